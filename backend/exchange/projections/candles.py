"""Candles in ClickHouse: kept by materialized views over `trades`, merged when they are read."""

from dataclasses import dataclass

from exchange.projections.page import MAX_LIMIT
from exchange.stores.clickhouse import ClickHouse

INTERVALS_S = {"1m": 60}
"""Candle intervals by public name, in seconds."""

_MINUTE_MS = 60_000
_MAX_MINUTE = 2**32 - 1


@dataclass(frozen=True, slots=True)
class CandleRow:
    """Trades of one market in [open_ms, open_ms + interval). Prices in ticks, volumes in lots and atoms."""

    open_ms: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int
    base_atoms: int
    quote_atoms: int
    trades: int


@dataclass(frozen=True, slots=True)
class Candles:
    """`items` oldest first, as of at least `seq`; intervals without a trade have none."""

    seq: int
    items: list[CandleRow]


async def candles(
    clickhouse: ClickHouse,
    seq: int,
    market_id: int,
    interval: str,
    *,
    from_ms: int | None = None,
    to_ms: int | None = None,
    limit: int = 500,
) -> Candles:
    """The newest `limit` candles that begin in [from_ms, to_ms).

    `seq` is the projection's, read before the call. The last candle may still grow. Raises KeyError for an
    interval that is not in INTERVALS_S, ClickHouseError.
    """
    assert 1 <= limit <= MAX_LIMIT
    assert INTERVALS_S[interval] == 60
    rows = await clickhouse.query(
        "SELECT minute, argMinMerge(open), max(high), min(low), argMaxMerge(close),"
        " sum(volume_lots), sum(base_atoms), sum(quote_atoms), sum(trades)"
        " FROM candles_1m"
        " WHERE market_id = {market:UInt32} AND minute >= {first:UInt32} AND minute < {end:UInt32}"
        " GROUP BY minute ORDER BY minute DESC LIMIT {limit:UInt32}",
        {
            "market": market_id,
            "first": _minute(from_ms, 0),
            "end": _minute(to_ms, _MAX_MINUTE),
            "limit": limit,
        },
    )
    return Candles(seq, [CandleRow(row[0] * _MINUTE_MS, *row[1:]) for row in reversed(rows)])


def _minute(time_ms: int | None, default: int) -> int:
    """The first minute that begins at `time_ms` or later, within what the table can hold."""
    if time_ms is None:
        return default
    return min(max(-(-time_ms // _MINUTE_MS), 0), _MAX_MINUTE)
