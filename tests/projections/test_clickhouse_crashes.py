"""Exactly once: the projection into ClickHouse dies between any two steps, and nothing is lost or doubled."""

import asyncio
import json
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs
from tests.projections.conftest import MINUTE_NS, JournaledExchange
from tests.projections.following import caught_up, check, expected_candles, follower, new_rows
from tests.projections.traffic import FIRST_ACCOUNT, place

from exchange.core.words import Side
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.trades import TABLES
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.clickhouse_schema import CLUSTER_ONLY, MIGRATIONS
from exchange.stores.errors import ClickHouseError

VIEWED = [table for table in TABLES if table != "trades"]


@pytest.fixture
async def journaled(journaled: JournaledExchange) -> JournaledExchange:
    """Of today, so that candles of one second are kept and counted."""
    journaled.time_ns = time.time_ns() // MINUTE_NS * MINUTE_NS - 360 * MINUTE_NS
    return journaled


class Crash(BaseException):
    """Ends the process, as far as the code under test can tell."""


class Steps:
    """Counts what is written anywhere, and dies before the step number `last`."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.taken: list[str] = []

    def take(self, step: str) -> None:
        self.taken.append(" ".join(step.split())[:60])
        if len(self.taken) == self.last:
            raise Crash


class SteppingClickHouse(ClickHouse):
    """Each statement that changes something is a step."""

    steps: Steps

    @classmethod
    def beside(cls, clickhouse: ClickHouse, steps: Steps) -> "SteppingClickHouse":
        stepping = cls(path=clickhouse.path, database=clickhouse.database)
        stepping.steps = steps
        return stepping

    async def command(self, sql: str, **options: Any) -> None:
        self.steps.take(sql)
        await super().command(sql, **options)

    async def insert_columns(
        self, table: str, names: Sequence[str], columns: Sequence[Sequence[object]], **options: Any
    ) -> None:
        self.steps.take(f"INSERT INTO {table}")
        await super().insert_columns(table, names, columns, **options)


class SteppingConnection:
    """Each statement that changes something, and each commit, is a step."""

    def __init__(self, connection: Any, steps: Steps) -> None:
        self._connection = connection
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, sql: str, *values: object) -> Any:
        self._steps.take(sql)
        return await self._connection.execute(sql, *values)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self._connection.transaction():
            yield
            self._steps.take("COMMIT")


class SteppingPool:
    """A pool of such connections."""

    def __init__(self, pool: asyncpg.Pool, steps: Steps) -> None:
        self._pool = pool
        self._steps = steps

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[SteppingConnection]:
        async with self._pool.acquire() as connection:
            yield SteppingConnection(connection, self._steps)


async def everything_it_ever_does(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse, steps: Steps
) -> None:
    """Starts, inserts two blocks, passes a row without trades, starts over, inserts again."""
    stepping = SteppingClickHouse.beside(clickhouse, steps)
    try:
        projection = ClickHouseProjection(SteppingPool(pool, steps), journaled.tail, stepping)  # type: ignore[arg-type]
        await projection.load()
        rows = await new_rows(projection, journaled)
        if rows:
            await projection.apply(rows[: len(rows) // 2 + 1])
            await projection.apply(await new_rows(projection, journaled))
        await journaled.batch(place(FIRST_ACCOUNT, Side.BUY, 100_000, 1))
        await projection.apply(await new_rows(projection, journaled))
        await projection.reset()
        await projection.apply(await new_rows(projection, journaled))
    finally:
        await stepping.close()


@pytest.mark.timeout(300)
async def test_a_death_between_any_two_steps_neither_loses_nor_doubles_a_trade(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    undisturbed = Steps(last=0)
    await trade(journaled, 3)
    await everything_it_ever_does(pool, journaled, clickhouse, undisturbed)
    assert undisturbed.taken.count("INSERT INTO trades") == 3
    for table in TABLES:
        assert any(step.startswith(f"TRUNCATE TABLE {table} ") for step in undisturbed.taken)
    for last in range(1, len(undisturbed.taken) + 1):
        await trade(journaled, 3)
        steps = Steps(last)
        with pytest.raises(Crash):
            await everything_it_ever_does(pool, journaled, clickhouse, steps)
        await caught_up(pool, journaled, clickhouse)
        await check(journaled, clickhouse)


async def trade(journaled: JournaledExchange, times: int = 1) -> None:
    for _ in range(times):
        journaled.time_ns += MINUTE_NS // 7
        for side in (Side.SELL, Side.BUY):
            price_ticks = 200_000 + len(journaled.trades)
            await journaled.batch(place(FIRST_ACCOUNT + (side is Side.BUY), side, price_ticks, 1))


@pytest.mark.parametrize("view", VIEWED)
async def test_a_block_that_reached_only_some_of_the_views_is_repeated_into_the_others(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse, view: str
) -> None:
    await journaled.random_batches(2, batches=10)
    await caught_up(pool, journaled, clickhouse)
    await journaled.random_batches(3, batches=10)
    projection = follower(pool, journaled, clickhouse)
    await projection.load()
    rows = await new_rows(projection, journaled)
    assert any(row.trades for row in rows)
    await clickhouse.command(f"RENAME TABLE {view} TO away")
    with pytest.raises(ClickHouseError, match=view):
        await projection.apply(rows)
    await clickhouse.command(f"RENAME TABLE away TO {view}")
    with capture_logs() as logs:
        await caught_up(pool, journaled, clickhouse)
    assert logs == [], "the block is repeated, nothing is rebuilt"
    await check(journaled, clickhouse)


@pytest.mark.parametrize("lost", TABLES)
@pytest.mark.parametrize(
    "how", ["TRUNCATE TABLE {}", "ALTER TABLE {} DELETE WHERE {} SETTINGS mutations_sync = 1"]
)
async def test_a_hole_in_any_table_is_found_at_the_next_start_and_all_is_filled_again(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse, lost: str, how: str
) -> None:
    await journaled.random_batches(4, batches=15)
    await caught_up(pool, journaled, clickhouse)
    hole = {
        "trades": f"trade_id = {journaled.trades[3][1].trade_id}",
        "candles_1s": f"open_s = {journaled.trades[3][0] // 10**9}",
        "candles": "interval_s = 14400",
        "account_volumes_daily": f"account_id = {journaled.trades[3][1].taker_account_id}",
    }
    await clickhouse.command(how.format(lost, hole[lost]))
    await journaled.random_batches(5, batches=5)
    with capture_logs() as logs:
        await caught_up(pool, journaled, clickhouse)
    assert [entry["event"] for entry in logs] == ["clickhouse_rebuild"]
    await check(journaled, clickhouse)


@pytest.mark.parametrize("doubled", VIEWED)
async def test_a_doubled_block_in_any_view_is_found_at_the_next_start(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse, doubled: str
) -> None:
    await journaled.random_batches(6, batches=10)
    await caught_up(pool, journaled, clickhouse)
    await clickhouse.command(f"INSERT INTO {doubled} SELECT * FROM {doubled}")
    with capture_logs() as logs:
        await caught_up(pool, journaled, clickhouse)
    assert [entry["event"] for entry in logs] == ["clickhouse_rebuild"]
    await check(journaled, clickhouse)


async def test_a_schema_that_was_interrupted_anywhere_is_completed(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    await journaled.random_batches(7, batches=5)
    whole = Steps(last=0)
    for last in range(1, 100):
        steps = Steps(last)
        fresh = ClickHouse(path=clickhouse.path, database=f"{clickhouse.database}_{last}")
        stepping = SteppingClickHouse.beside(fresh, steps)
        try:
            try:
                await stepping.migrate()
                whole = steps
            except Crash:
                await fresh.migrate()
            await fresh.command(f"DROP DATABASE {fresh.database} SYNC")
        finally:
            await stepping.close()
            await fresh.close()
        if whole is steps:
            break
    files = [path.name for path in MIGRATIONS.glob("*.sql") if not path.name.endswith(CLUSTER_ONLY)]
    assert whole.taken.count("INSERT INTO migrations") == len(files)


async def test_a_folder_of_the_first_version_is_brought_up_to_date_and_filled_again(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    await journaled.random_batches(8, batches=10)
    await caught_up(pool, journaled, clickhouse)  # what Postgres knows of is not lost on the way
    for name in ("0001_trades.sql", "0002_candles_1m.sql"):
        shutil.copy(MIGRATIONS / name, tmp_path)
    old = ClickHouse(path=clickhouse.path, database=f"{clickhouse.database}_old")
    try:
        await old.migrate(tmp_path)
        await old.insert("trades", ["market_id", "trade_id", "time_ns"], [(1, 1, 10**18)], token="1-1")
        assert await old.query("SELECT sum(trades) FROM candles_1m") == [(1,)]
        with capture_logs() as logs:
            await caught_up(pool, journaled, old)
        assert [entry["event"] for entry in logs] == ["clickhouse_rebuild"]
        await check(journaled, old)
        assert await old.query("SELECT count() FROM system.tables WHERE name LIKE 'candles_1m%'"
                               " AND database = currentDatabase()") == [(0,)]  # fmt: skip
        with pytest.raises(ClickHouseError, match="accounts_are_known"):
            await old.insert("trades", ["market_id", "trade_id", "time_ns"], [(1, 1, 10**18)], token="1-2")
    finally:
        await old.command(f"DROP DATABASE {old.database} SYNC")
        await old.close()


# -- a process of its own --------------------------------------------------------------------------------

FOLLOW = """
import asyncio, json, os, sys
from pathlib import Path
from exchange.journal.tail import Tail
from exchange.projections import clickhouse as module
from exchange.projections.candles import INTERVALS_S, candles
from exchange.projections.trades import trades_page
from exchange.projections.volumes import volumes_of_accounts
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.clickhouse_schema import CLUSTER_ONLY, MIGRATIONS
from exchange.stores.postgres import open_pool

module.MAX_TRADES_PER_BLOCK, module.ROWS_PER_READ = 3, 4

def told(name):
    real = getattr(module, name)
    async def step(*arguments):
        print(name, flush=True)
        if name == sys.argv[4]:
            os._exit(9)
        return await real(*arguments)
    setattr(module, name, step)

async def main(url, folder, seq, _):
    for name in ("record_block", "insert_trades", "mark_inserted", "move_cursor"):
        told(name)
    pool = await open_pool(url)
    clickhouse = await ClickHouse.open(path=Path(folder))
    projection = module.ClickHouseProjection(pool, Tail(pool), clickhouse, insert_interval_s=0)
    task = asyncio.create_task(projection.run())
    assert await projection.reached(int(seq), 100)
    task.cancel()
    page = await trades_page(clickhouse, projection.seq, 1, limit=1000)
    read = [
        [str(candle) for candle in (await candles(clickhouse, 0, 1, interval, limit=1000)).items]
        for interval in INTERVALS_S
    ]
    volumes = await volumes_of_accounts(clickhouse, [1], 0)
    await clickhouse.close()
    await pool.close()
    print(json.dumps([[row.trade_id for row in page.items], read, sum(volumes.values())]))

asyncio.run(main(*sys.argv[1:]))
"""


async def follow_in_a_process(
    url: str,
    folder: Path,
    journaled: JournaledExchange,
    *,
    kill_at: int | None = None,
    exit_before: str = "",
    may_rebuild: bool = True,
) -> list[Any]:
    """What the process has in ClickHouse at the end.

    Nothing when it is killed at its step number `kill_at`, or ends itself before a step of this name.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FOLLOW, url, str(folder), str(journaled.state.seq), exit_before),
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdout is not None
    lines = []
    try:
        async with asyncio.timeout(120):
            async for line in process.stdout:
                lines.append(line)
                if len(lines) == kill_at:
                    process.kill()
            status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    if kill_at is not None:
        assert status == -signal.SIGKILL, "it was to be killed amid its work"
        return []
    assert status == (9 if exit_before else 0)
    rebuilt = any(b"clickhouse_rebuild" in line for line in lines)
    assert may_rebuild or not rebuilt, "a block is dropped when it is repeated, and nothing is filled again"
    return [] if exit_before else list(json.loads(lines[-1]))


def expected_in_a_process(journaled: JournaledExchange) -> list[Any]:
    intervals = ("1s", "1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w")
    return [
        [trade.trade_id for _, trade in reversed(journaled.trades)],
        [[str(candle) for candle in expected_candles(journaled, interval)] for interval in intervals],
        2 * sum(trade.quote_atoms for _, trade in journaled.trades),
    ]


async def test_killed_processes_and_a_deleted_folder_cost_nothing(
    database_url: str, journaled: JournaledExchange, tmp_path: Path
) -> None:
    folder = tmp_path / "chdb"
    for kill_at in (2, 3, 5, 9, 14):
        await trade(journaled)
        await journaled.random_batches(100 + kill_at, batches=6)
        await trade(journaled)
        await follow_in_a_process(database_url, folder, journaled, kill_at=kill_at)
    found = await follow_in_a_process(database_url, folder, journaled)
    assert found == expected_in_a_process(journaled)
    shutil.rmtree(folder)
    found = await follow_in_a_process(database_url, folder, journaled)
    assert found == expected_in_a_process(journaled)


async def test_a_block_is_known_again_after_the_engine_was_started_again(
    database_url: str, journaled: JournaledExchange, tmp_path: Path
) -> None:
    await trade(journaled, 5)
    for step in ("insert_trades", "mark_inserted", "mark_inserted"):
        await follow_in_a_process(
            database_url, tmp_path / "chdb", journaled, exit_before=step, may_rebuild=False
        )
    found = await follow_in_a_process(database_url, tmp_path / "chdb", journaled, may_rebuild=False)
    assert found == expected_in_a_process(journaled)
