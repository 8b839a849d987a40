"""Trades, candles and volumes in ClickHouse against a recomputation, and who else may follow."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs
from tests.fixtures.clickhouse_server import clickhouse_server
from tests.projections.conftest import MINUTE_NS, START_NS, JournaledExchange
from tests.projections.following import (
    caught_up,
    check,
    expected_volumes,
    follower,
    new_rows,
    running,
)
from tests.projections.traffic import FIRST_ACCOUNT, place

from exchange.core.words import Side
from exchange.journal.errors import HeadLost
from exchange.projections import blocks, trades
from exchange.projections import clickhouse as projection_module
from exchange.projections.candles import candles
from exchange.projections.errors import CursorMoved
from exchange.projections.trades import TradeTotals, trade_columns, trade_totals, trades_of, trades_page
from exchange.projections.volumes import DAY_NS, volumes_of_accounts
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.errors import ClickHouseError


@pytest.mark.parametrize("seed", [1, 2])
async def test_trades_and_candles_equal_a_recomputation(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse, seed: int
) -> None:
    await journaled.random_batches(seed, batches=30)
    assert len(journaled.trades) > 50
    await caught_up(pool, journaled, clickhouse)
    await check(journaled, clickhouse)


async def test_a_server_behind_a_url_is_told_and_asked_the_same(
    pool: asyncpg.Pool, journaled: JournaledExchange, tmp_path: Path
) -> None:
    async with clickhouse_server(tmp_path / "server") as server:
        await server.start()
        clickhouse = ClickHouse.at(server.url.replace("/?", "/venue?"))
        try:
            await journaled.random_batches(3, batches=10)
            await caught_up(pool, journaled, clickhouse)
            await journaled.random_batches(4, batches=10)
            await caught_up(pool, journaled, clickhouse)
            await check(journaled, clickhouse)
        finally:
            await clickhouse.close()


async def test_they_follow_while_the_journal_grows(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    async with running(follower(pool, journaled, clickhouse)) as projection:
        for seed in range(5):
            await journaled.random_batches(seed, batches=4)
            assert await projection.reached(journaled.state.seq, 20)
            await check(journaled, clickhouse)


async def test_the_types_that_inserts_are_made_for_are_those_of_the_table(clickhouse: ClickHouse) -> None:
    columns = await clickhouse.query(
        "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = 'trades'",
        {"database": clickhouse.database},
    )
    assert columns == list(zip(trades._COLUMNS, trades._TYPES, strict=True))


async def test_a_repeated_large_block_is_still_there_once(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    rows = [
        (1, number, number, START_NS + number * 1_000_000, 100 + number % 7, 1, 2**127, 2**127, "buy", 7, 8)
        for number in range(1, 60_001)
    ]
    for _ in range(3):
        await trades.insert_trades(clickhouse, list(zip(*rows, strict=True)), "1-1")
    assert await trade_totals(clickhouse) == TradeTotals.whole(60_000, 60_000 * 60_001 // 2)
    read = (await candles(clickhouse, 0, 1, "1m")).items
    assert sum(candle.quote_atoms for candle in read) == 60_000 * 2**127, "sums do not wrap"


async def newest_generation(pool: asyncpg.Pool) -> int | None:
    found: int | None = await pool.fetchval("SELECT max(generation) FROM clickhouse_blocks")
    return found


@pytest.mark.parametrize("while_it_trades", [False, True])
async def test_blocks_that_another_process_forgets_are_noticed_and_all_is_filled_again(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse, while_it_trades: bool
) -> None:
    await journaled.random_batches(14, batches=10)
    async with running(follower(pool, journaled, clickhouse)) as projection:
        assert await projection.reached(journaled.state.seq, 30)
        generation = await newest_generation(pool)
        async with pool.acquire() as connection:
            await blocks.forget_blocks(connection)
        if while_it_trades:
            await journaled.random_batches(15, batches=5)
        async with asyncio.timeout(20):
            while await newest_generation(pool) in {None, generation}:  # noqa: ASYNC110 - of a database
                await asyncio.sleep(0.05)
        assert await projection.reached(journaled.state.seq, 30)
    await check(journaled, clickhouse)


async def test_totals_counted_while_another_process_adds_a_block_empty_nothing(
    pool: asyncpg.Pool,
    journaled: JournaledExchange,
    clickhouse: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await journaled.random_batches(16, batches=10)
    first = follower(pool, journaled, clickhouse)
    await first.load()
    rows = await new_rows(first, journaled)
    await first.apply(rows[: len(rows) // 2])

    async def count_later(counted: ClickHouse) -> TradeTotals:
        await first.apply(rows[len(rows) // 2 :])
        return await trade_totals(counted)

    monkeypatch.setattr(projection_module, "trade_totals", count_later)
    with pytest.raises(CursorMoved):
        await follower(pool, journaled, clickhouse).load()
    await check(journaled, clickhouse)


async def test_trades_that_a_server_lost_while_nothing_happened_are_missed(
    pool: asyncpg.Pool,
    journaled: JournaledExchange,
    clickhouse: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projection_module, "COUNT_INTERVAL_S", 0.0)
    await journaled.random_batches(18, batches=10)
    async with running(follower(pool, journaled, clickhouse)) as projection:
        assert await projection.reached(journaled.state.seq, 30)
        generation = await newest_generation(pool)
        await clickhouse.command(f"DELETE FROM trades WHERE trade_id = {journaled.trades[0][1].trade_id}")
        async with asyncio.timeout(20):
            while await newest_generation(pool) in {None, generation}:  # noqa: ASYNC110 - of a database
                await asyncio.sleep(0.05)
        assert await projection.reached(journaled.state.seq, 30)
    await check(journaled, clickhouse)


@pytest.mark.parametrize(
    "lost",
    [
        "DELETE FROM trades WHERE trade_id % 2 = 0",
        "DELETE FROM candles WHERE open_s > 0",
        "DELETE FROM account_volumes_daily WHERE account_id > 0",
    ],
)
async def test_rows_that_a_server_lost_in_a_busy_market_are_missed(
    pool: asyncpg.Pool,
    journaled: JournaledExchange,
    clickhouse: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
    lost: str,
) -> None:
    """Some of them in any one of the tables: each is written to disk at its own time."""
    monkeypatch.setattr(projection_module, "COUNT_INTERVAL_S", 0.0)
    await journaled.random_batches(19, batches=10)
    async with running(follower(pool, journaled, clickhouse)) as projection:
        assert await projection.reached(journaled.state.seq, 30)
        generation, filling = await newest_generation(pool), projection.fillings
        await clickhouse.command(lost)
        async with asyncio.timeout(20):
            while await newest_generation(pool) in {None, generation}:
                await journaled.random_batches(20, batches=1)  # there is always another block
                await projection.reached(journaled.state.seq, 0.2)
        assert projection.fillings > filling
        assert len(journaled.trades) < 1_000, "as many as are compared"
        assert await projection.reached(journaled.state.seq, 30)
    await check(journaled, clickhouse)


async def test_what_another_process_has_filled_again_is_another_filling(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    await journaled.random_batches(21, batches=10)
    here, elsewhere = (follower(pool, journaled, clickhouse) for _ in range(2))
    await here.load()
    await here.apply(await new_rows(here, journaled))
    filling = here.fillings
    await elsewhere.reset()
    await elsewhere.apply(await new_rows(elsewhere, journaled))
    await here.load()
    assert here.seq == journaled.state.seq
    assert here.fillings > filling
    assert here.time_ns == 0, "not known to be complete up to any time"


async def test_seconds_that_have_expired_are_not_missed(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    await journaled.random_batches(17, batches=10)  # more than 31 days ago
    await caught_up(pool, journaled, clickhouse)
    await clickhouse.command("OPTIMIZE TABLE candles_1s FINAL")
    assert await clickhouse.query("SELECT count() FROM candles_1s") == [(0,)]
    with capture_logs() as logs:
        await caught_up(pool, journaled, clickhouse)
    assert logs == []
    await check(journaled, clickhouse)


async def test_the_columns_of_a_large_block_are_not_made_in_one_turn_of_the_loop(
    journaled: JournaledExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection_module, "TRADES_PER_PIECE", 1)
    await journaled.random_batches(22, batches=60)
    rows = [trades_of(row) for row in await journaled.tail.read_events(0)]
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    assert await projection_module.columns_in_pieces(rows) == trade_columns(rows)
    counting.cancel()
    pieces = sum(1 for row in rows if row.trades)  # a row is never cut
    assert pieces > 10
    assert turns >= pieces


async def test_two_followers_do_not_write_a_trade_twice(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    first, second = (follower(pool, journaled, clickhouse) for _ in range(2))
    async with running(first), running(second):
        for seed in range(5):
            await journaled.random_batches(seed, batches=5)
        assert await first.reached(journaled.state.seq, 30)
        assert await second.reached(journaled.state.seq, 30)
    await check(journaled, clickhouse)


async def test_batches_without_a_trade_move_the_cursor_and_insert_nothing(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    await journaled.batch(place(FIRST_ACCOUNT, Side.BUY, 100_000, 1))
    await caught_up(pool, journaled, clickhouse)
    assert await pool.fetchval("SELECT count(*) FROM clickhouse_blocks") == 0
    cursor = await pool.fetchval("SELECT seq FROM projection_cursors WHERE name = 'clickhouse'")
    assert cursor == journaled.state.seq


async def test_old_blocks_are_forgotten(
    pool: asyncpg.Pool,
    journaled: JournaledExchange,
    clickhouse: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blocks, "KEPT_BLOCKS", 2)
    projection = follower(pool, journaled, clickhouse)
    await projection.load()
    for seed in range(6):
        await journaled.random_batches(seed, batches=4)
        await projection.apply(await new_rows(projection, journaled))
    assert await pool.fetchval("SELECT count(*) FROM clickhouse_blocks") == 2
    await caught_up(pool, journaled, clickhouse)
    await check(journaled, clickhouse)


class Unreachable(ClickHouse):
    """Fails its first calls."""

    failures = 3

    async def insert_columns(self, *arguments: Any, **options: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise ClickHouseError("not now")
        await super().insert_columns(*arguments, **options)


async def test_it_tries_again_and_warns_while_clickhouse_fails(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    failing = Unreachable(path=clickhouse.path, database=clickhouse.database)
    await journaled.random_batches(8, batches=10)
    with capture_logs() as logs:
        await caught_up(pool, journaled, failing)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("clickhouse_stalled", "warning")] * 3
    await check(journaled, clickhouse)


async def test_clickhouse_ahead_of_the_journal_is_refused(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    await pool.execute("UPDATE projection_cursors SET seq = 1000000 WHERE name = 'clickhouse'")
    with pytest.raises(HeadLost):
        await follower(pool, journaled, clickhouse).run()


# -- reads -----------------------------------------------------------------------------------------------


async def test_pages_of_trades_put_together_are_all_trades_newest_first(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    await journaled.random_batches(12, batches=15)
    await caught_up(pool, journaled, clickhouse)
    ids: list[int] = []
    before = None
    while True:
        page = await trades_page(clickhouse, 5, 1, before=before, limit=7)
        assert page.seq == 5
        ids.extend(row.trade_id for row in page.items)
        before = page.next_key
        if before is None:
            break
    assert ids == [trade.trade_id for _, trade in reversed(journaled.trades)]
    assert (await trades_page(clickhouse, 5, 2)).items == []


async def trade_at(journaled: JournaledExchange, time_ns: int, price_ticks: int) -> None:
    journaled.time_ns = time_ns
    await journaled.batch(
        place(FIRST_ACCOUNT, Side.SELL, price_ticks, 1), place(FIRST_ACCOUNT + 1, Side.BUY, price_ticks, 1)
    )


async def test_a_candle_is_half_open_and_a_minute_without_trades_has_none(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    start_ns = (START_NS // MINUTE_NS + 1) * MINUTE_NS
    for offset_ns, price_ticks in (
        (0, 200_000),
        (MINUTE_NS - 1, 200_500),
        (MINUTE_NS, 200_100),
        (3 * MINUTE_NS, 200_200),
    ):
        await trade_at(journaled, start_ns + offset_ns, price_ticks)
    await caught_up(pool, journaled, clickhouse)
    start_ms = start_ns // 1_000_000

    async def opens(**bounds: int) -> list[int]:
        read = await candles(clickhouse, 0, 1, "1m", **bounds)
        return [(candle.open_ms - start_ms) // 60_000 for candle in read.items]

    assert await opens() == [0, 1, 3]
    assert await opens(from_ms=start_ms, to_ms=start_ms + 60_000) == [0]
    assert await opens(from_ms=start_ms + 1, to_ms=start_ms + 180_001) == [1, 3]
    assert await opens(from_ms=start_ms + 60_000, to_ms=start_ms + 180_000) == [1]
    assert await opens(limit=2) == [1, 3], "the newest ones, oldest first"
    assert await opens(from_ms=-(10**18), to_ms=10**18) == [0, 1, 3]
    [first, *_] = (await candles(clickhouse, 0, 1, "1m")).items
    assert (first.open_ticks, first.close_ticks, first.high_ticks, first.low_ticks) == (
        200_000,
        200_500,
        200_500,
        200_000,
    )


async def test_volumes_are_those_of_the_named_markets_since_a_day(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    first_day = journaled.time_ns // DAY_NS
    for time_ns in (journaled.time_ns, (first_day + 2) * DAY_NS - 1, (first_day + 2) * DAY_NS):
        await trade_at(journaled, time_ns, 200_000)
    await caught_up(pool, journaled, clickhouse)
    for day in range(first_day, first_day + 4):
        expected = expected_volumes(journaled, day)
        assert await volumes_of_accounts(clickhouse, [1, 2], day) == expected
        assert await volumes_of_accounts(clickhouse, [2], day) == {}
    assert sum(expected_volumes(journaled, first_day).values()) == 3 * sum(
        expected_volumes(journaled, first_day + 2).values()
    )
    assert await volumes_of_accounts(clickhouse, [], 0) == {}
