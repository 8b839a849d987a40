"""Counting what is there at a rebuild's end, however much that is."""

import asyncio
from typing import Any

import asyncpg
import pytest

from exchange.projections.rebuild import Rebuild, RebuildWatch, begin_rebuild, read_rebuild
from exchange.projections.trades import RowOfTrades, StoredTrade, insert_trades, trade_columns
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.errors import ClickHouseError
from exchange.stores.postgres import Connection

MARKETS, MINUTES = 4, 200
AT_ONCE = 300
"""Candles that one query may count here, so that counting takes so much less than ClickHouse could."""


async def insert_a_trade_a_minute(clickhouse: ClickHouse) -> None:
    trades = [
        (n // MARKETS, StoredTrade(n + 1, n % MARKETS + 1, 1, 2, 1_000, 1_001, "buy", 5, 5, 5, 25))
        for n in range(MARKETS * MINUTES)
    ]
    rows = [
        RowOfTrades(n + 1, n + 1, minute * 60 * 10**9, [(n + 1, trade)])
        for n, (minute, trade) in enumerate(trades)
    ]
    await insert_trades(clickhouse, trade_columns(rows), "1")


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionRefusedError("nobody listens"),
        asyncpg.ConnectionDoesNotExistError("closed in the middle of operation"),
        asyncpg.InterfaceError("the connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_whatever_the_driver_makes_of_an_outage_it_is_waited_out(
    pool: asyncpg.Pool, clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """All that was seen of a Postgres that was killed. The engine ends with the tasks beside it."""
    monkeypatch.setattr("exchange.projections.rebuild.OUTAGE_PAUSE_S", 0.01)
    await clickhouse.migrate()
    watch = RebuildWatch(pool, clickhouse, poll_s=0.01)
    looked_again = asyncio.Event()

    async def look(_: Connection) -> None:
        if not watch_failed.is_set():
            watch_failed.set()
            raise failure
        looked_again.set()

    watch_failed = asyncio.Event()
    monkeypatch.setattr(watch, "_done", look)
    task = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(10):
            await looked_again.wait()
    finally:
        task.cancel()
    assert watch_failed.is_set()


async def test_a_rebuild_is_finished_also_when_all_candles_at_once_are_too_many_to_count(
    pool: asyncpg.Pool, clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await clickhouse.migrate()
    await insert_a_trade_a_minute(clickhouse)
    query = clickhouse.query

    async def limited(sql: str, *more: Any, **options: Any) -> Any:
        return await query(f"{sql} SETTINGS max_rows_to_group_by = {AT_ONCE}", *more, **options)

    monkeypatch.setattr(clickhouse, "query", limited)
    with pytest.raises(ClickHouseError, match="TOO_MANY_ROWS"):
        await clickhouse.query("SELECT 1 FROM candles GROUP BY market_id, interval_s, open_s")
    async with pool.acquire() as connection:
        rebuild, _ = await begin_rebuild(connection)
        await RebuildWatch(pool, clickhouse)._finish(connection, rebuild.id)
        finished: Rebuild = await read_rebuild(connection, rebuild.id)
    assert finished.finished_ms is not None
    lengths = (60, 300, 900, 1_800, 3_600, 14_400, 86_400, 7 * 86_400)
    assert finished.candles == MARKETS * sum(-(-MINUTES * 60 // length) for length in lengths)
