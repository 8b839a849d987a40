"""A projection into ClickHouse that follows the journal of a test, and what must come of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
from tests.projections.conftest import JournaledExchange

from exchange.projections.candles import INTERVALS_S, SECONDS_KEPT_S, CandleRow, candles
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.trades import RowOfTrades, TradeTotals, trade_totals, trades_of, trades_page
from exchange.projections.volumes import DAY_NS, volumes_of_accounts
from exchange.stores.clickhouse import ClickHouse

MONDAY_NS = -259_200 * 10**9


def follower(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> ClickHouseProjection:
    return ClickHouseProjection(pool, journaled.tail, clickhouse, insert_interval_s=0.0)


@asynccontextmanager
async def running(projection: ClickHouseProjection) -> AsyncIterator[ClickHouseProjection]:
    task = asyncio.create_task(projection.run())
    try:
        yield projection
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def new_rows(projection: ClickHouseProjection, journaled: JournaledExchange) -> list[RowOfTrades]:
    return [trades_of(row) for row in await journaled.tail.read_events(projection.seq)]


async def caught_up(pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse) -> None:
    async with running(follower(pool, journaled, clickhouse)) as projection:
        assert await projection.reached(journaled.state.seq, 30)


def expected_candles(journaled: JournaledExchange, interval: str) -> list[CandleRow]:
    """What the raw trades make of it."""
    length_ns = INTERVALS_S[interval] * 10**9
    offset_ns = MONDAY_NS if interval == "1w" else 0
    spans: dict[int, list[Any]] = {}
    for time_ns, trade in journaled.trades:
        spans.setdefault((time_ns - offset_ns) // length_ns, []).append(trade)
    return [
        CandleRow(
            open_ms=(number * length_ns + offset_ns) // 1_000_000,
            open_ticks=of_span[0].price_ticks,
            high_ticks=max(trade.price_ticks for trade in of_span),
            low_ticks=min(trade.price_ticks for trade in of_span),
            close_ticks=of_span[-1].price_ticks,
            volume_lots=sum(trade.size_lots for trade in of_span),
            base_atoms=sum(trade.base_atoms for trade in of_span),
            quote_atoms=sum(trade.quote_atoms for trade in of_span),
            trades=len(of_span),
            last_trade_id=of_span[-1].trade_id,
        )
        for number, of_span in sorted(spans.items())
    ]


def expected_volumes(journaled: JournaledExchange, first_day: int) -> dict[int, int]:
    volumes: dict[int, int] = {}
    for time_ns, trade in journaled.trades:
        if time_ns // DAY_NS >= first_day:
            for account_id in (trade.maker_account_id, trade.taker_account_id):
                volumes[account_id] = volumes.get(account_id, 0) + trade.quote_atoms
    return volumes


async def check(journaled: JournaledExchange, clickhouse: ClickHouse) -> None:
    """Everything in ClickHouse is what the journal makes of it."""
    stored = await trades_page(clickhouse, 0, 1, limit=1_000)
    assert [
        (row.trade_id, row.time_ns, row.price_ticks, row.size_lots, row.taker_side) for row in stored.items
    ] == [
        (trade.trade_id, time_ns, trade.price_ticks, trade.size_lots, trade.taker_side)
        for time_ns, trade in reversed(journaled.trades)
    ]
    kept_ns = time.time_ns() - SECONDS_KEPT_S * 10**9
    for interval in INTERVALS_S:
        if interval != "1s" or journaled.trades[0][0] > kept_ns:
            read = await candles(clickhouse, 0, 1, interval, limit=1_000)
            assert read.items == expected_candles(journaled, interval), interval
    assert await volumes_of_accounts(clickhouse, [1], 0) == expected_volumes(journaled, 0)
    count = len(journaled.trades)
    assert await trade_totals(clickhouse) == TradeTotals.whole(
        count, sum(trade.trade_id for _, trade in journaled.trades)
    )
