"""Candles in ClickHouse: kept by materialized views over `trades`, merged when they are read.

A candle covers [open, open + interval). Intervals are counted from 1970, weeks from the Monday before it.
Candles of one second are kept for 30 days, all others for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from exchange.projections.page import MAX_LIMIT
from exchange.stores.clickhouse import ClickHouse

INTERVALS_S = {
    "1s": 1,
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "4h": 14_400,
    "1d": 86_400,
    "1w": 604_800,
}
"""Candle intervals by public name, in seconds."""

MINUTE_S = 60
SECONDS_KEPT_S = 30 * 86_400
"""So old may candles of one second be and still be read; the table keeps them for a day more."""

_WEEK = "1w"
_MONDAY_S = -259_200
"""The Monday before 1970 began, from which weeks are counted."""
_MAX_OPEN_S = 2**60
_FAR_S = _MAX_OPEN_S - 604_800

COLUMNS = (
    "open_s, argMinMerge(open), max(high), min(low), argMaxMerge(close), sum(volume_lots), sum(base_atoms), "
    "sum(quote_atoms), sum(trades), max(last_trade_id)"
)
"""What is selected per market and `open_s` for `row_of_record`."""


class CandleRow(msgspec.Struct, frozen=True, gc=False):
    """Trades of one market in [open_ms, open_ms + interval). Prices in ticks, volumes in lots and atoms.

    `last_trade_id` is the id of its last trade; of an empty one that was filled in, 0.
    """

    open_ms: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int
    base_atoms: int
    quote_atoms: int
    trades: int
    last_trade_id: int


@dataclass(frozen=True, slots=True)
class Candles:
    """`items` oldest first, as of at least `seq`."""

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
    fill: bool = False,
    oldest: bool = False,
    now_ms: int | None = None,
) -> Candles:
    """The newest `limit` candles that begin in [from_ms, to_ms), or the oldest.

    Intervals without a trade have none, unless they are filled in: then there is one for each, with the close
    before it as its prices, from the market's first trade to the interval that `now_ms` is in (or to `to_ms`,
    or without both to the last trade). With `now_ms`, candles of one second are those of the last 30 days.

    `seq` is the projection's, read before the call. The last candle may still grow. Raises KeyError for an
    interval that is not in INTERVALS_S, ClickHouseError.
    """
    assert 1 <= limit <= MAX_LIMIT
    series = _Series(clickhouse, market_id, interval)
    from_s = _MONDAY_S if from_ms is None else -(-from_ms // 1_000)
    to_s = _MAX_OPEN_S if to_ms is None else -(-to_ms // 1_000)
    now_s = None if now_ms is None else now_ms // 1_000
    if now_s is not None and interval == "1s":
        from_s = max(from_s, now_s // MINUTE_S * MINUTE_S - SECONDS_KEPT_S)
    from_s, to_s = (series.align(min(max(time_s, _MONDAY_S), _MAX_OPEN_S)) for time_s in (from_s, to_s))
    if oldest and fill:
        return Candles(seq, await _filled_from_oldest(series, from_s, to_s, limit, now_s))
    if oldest:
        return Candles(seq, await series.oldest(from_s, to_s, limit))
    rows = await series.newest(from_s, to_s, limit)
    if fill:
        rows = await _filled(series, rows, from_s, to_s, limit, now_s)
    return Candles(seq, rows)


def open_s(interval: str, time_s: int) -> int:
    """When the interval began that this time is in."""
    length_s, offset_s = INTERVALS_S[interval], _offset_s(interval)
    return (time_s - offset_s) // length_s * length_s + offset_s


def last_close_ms(interval: str, to_ms: int) -> int:
    """When the last interval ends that begins before this time."""
    return (open_s(interval, (to_ms - 1) // 1_000) + INTERVALS_S[interval]) * 1_000


def row_of_record(record: tuple[int, ...]) -> CandleRow:
    """A candle of the columns COLUMNS."""
    return CandleRow(record[0] * 1_000, *record[1:])


def empty_candle(open_ms: int, close_ticks: int) -> CandleRow:
    """An interval without trades, after a candle that closed at this price."""
    return CandleRow(open_ms, close_ticks, close_ticks, close_ticks, close_ticks, 0, 0, 0, 0, 0)


class _Series:
    """The candles of one market in one interval."""

    def __init__(self, clickhouse: ClickHouse, market_id: int, interval: str) -> None:
        self._clickhouse = clickhouse
        self.interval = interval
        self.market_id = market_id
        self.interval_s = INTERVALS_S[interval]

    def of(self, interval: str) -> "_Series":
        """The same market in another interval."""
        return _Series(self._clickhouse, self.market_id, interval)

    def align(self, time_s: int) -> int:
        """The beginning of the first interval that begins at this time or later."""
        return open_s(self.interval, time_s + self.interval_s - 1)

    async def newest(self, from_s: int, to_s: int, limit: int) -> list[CandleRow]:
        """The newest candles that begin in [from_s, to_s), oldest first."""
        rows = await self._outermost("DESC", ">= (SELECT min(open_s)", from_s, to_s, limit)
        return [row_of_record(row) for row in reversed(rows)]

    async def oldest(self, from_s: int, to_s: int, limit: int) -> list[CandleRow]:
        """The oldest candles that begin in [from_s, to_s), oldest first."""
        rows = await self._outermost("ASC", "<= (SELECT max(open_s)", from_s, to_s, limit)
        return [row_of_record(row) for row in rows]

    async def _outermost(
        self, order: Literal["ASC", "DESC"], within: str, from_s: int, to_s: int, limit: int
    ) -> list[tuple[int, ...]]:
        """The candles nearest to an end of [from_s, to_s), the nearest first.

        First it is found out, in the tables' order, when the farthest of them begins, so that no others are
        merged: to merge all that a market ever had to show its last hours would take far longer.
        """
        keys = ("market_id", "open_s") if self.interval == "1s" else ("market_id", "interval_s", "open_s")
        source = f"{self._source} AND open_s >= {{first:Int64}} AND open_s < {{end:Int64}}"
        opens = (
            f"SELECT open_s FROM {source} ORDER BY {', '.join(f'{key} {order}' for key in keys)}"  # noqa: S608
            " LIMIT 1 BY open_s LIMIT {limit:UInt32}"
        )
        return await self._select(
            f"SELECT {COLUMNS} FROM {source} AND open_s {within} FROM ({opens}))"  # noqa: S608
            f" GROUP BY open_s ORDER BY open_s {order} LIMIT {{limit:UInt32}}"
            " SETTINGS max_threads = 1",  # they are few; the engine may be on the same machine
            first=from_s,
            end=to_s,
            limit=limit,
        )

    @property
    def _source(self) -> str:
        if self.interval == "1s":
            return "candles_1s WHERE market_id = {market:UInt32}"
        return "candles WHERE market_id = {market:UInt32} AND interval_s = {interval:UInt32}"

    async def _select(self, sql: str, **parameters: int) -> list[tuple[int, ...]]:
        return await self._clickhouse.query(
            sql, {"market": self.market_id, "interval": self.interval_s, **parameters}
        )


async def _filled(
    series: _Series, rows: list[CandleRow], from_s: int, to_s: int, limit: int, now_s: int | None
) -> list[CandleRow]:
    """The newest `limit` intervals in [from_s, to_s), of which `rows` are the newest that have trades."""
    end_s = rows[-1].open_ms // 1_000 + series.interval_s if rows else from_s
    if now_s is None:
        end_s = max(end_s, to_s if to_s < _FAR_S else 0)
    else:
        end_s = max(end_s, min(to_s, open_s(series.interval, now_s) + series.interval_s))
    first_s = max(from_s, end_s - limit * series.interval_s)
    shown = [row for row in rows if row.open_ms >= first_s * 1_000]
    if not shown or shown[0].open_ms > first_s * 1_000:
        close_ticks = await _close_before(series, first_s)
        if close_ticks is not None:
            return list(_without_gaps(series, shown, first_s, end_s, close_ticks))
    if not shown:
        return []
    return list(_without_gaps(series, shown, shown[0].open_ms // 1_000, end_s, shown[0].open_ticks))


async def _filled_from_oldest(
    series: _Series, from_s: int, to_s: int, limit: int, now_s: int | None
) -> list[CandleRow]:
    """The oldest `limit` intervals in [from_s, to_s), from the market's first trade on."""
    first_s, close_ticks = from_s, await _close_before(series, from_s)
    if close_ticks is None:
        first = await series.oldest(from_s, to_s, 1)
        if not first:
            return []
        first_s, close_ticks = first[0].open_ms // 1_000, first[0].open_ticks
    end_s = min(to_s, first_s + limit * series.interval_s)
    rows = await series.newest(first_s, end_s, limit)
    last_end_s = rows[-1].open_ms // 1_000 + series.interval_s if rows else first_s
    if now_s is not None:
        end_s = min(end_s, max(last_end_s, open_s(series.interval, now_s) + series.interval_s))
    elif to_s >= _FAR_S:
        end_s = last_end_s
    return list(_without_gaps(series, rows, first_s, end_s, close_ticks))


async def _close_before(series: _Series, time_s: int) -> int | None:
    """The price of the last trade before the beginning of an interval."""
    before = await series.newest(_MONDAY_S, time_s, 1)
    if not before and series.interval == "1s":
        # It is older than seconds are kept, and so in an earlier minute.
        before = await series.of("1m").newest(0, open_s("1m", time_s), 1)
    return before[-1].close_ticks if before else None


def _without_gaps(
    series: _Series, rows: Iterable[CandleRow], first_s: int, end_s: int, close_ticks: int
) -> Iterable[CandleRow]:
    by_open_ms = {row.open_ms: row for row in rows}
    for at_s in range(first_s, end_s, series.interval_s):
        row = by_open_ms.get(at_s * 1_000) or empty_candle(at_s * 1_000, close_ticks)
        close_ticks = row.close_ticks
        yield row


def _offset_s(interval: str) -> int:
    return _MONDAY_S if interval == _WEEK else 0
