"""What each market has done in the last 24 hours, out of its one-minute candles in ClickHouse.

The 24 hours are the 1,440 whole minutes of which the last is the present one, so that a fold over candles of
a minute, here or while trades come in, always gives the same numbers.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from exchange.projections.candles import COLUMNS, MINUTE_S, CandleRow, row_of_record
from exchange.projections.trades import last_price_before
from exchange.stores.clickhouse import ClickHouse

WINDOW_S = 1_440 * MINUTE_S
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class TickerRow:
    """One market in [open_ms, close_ms). Prices in ticks, volumes in atoms.

    `open_ticks` is the price of the last trade before the window, so that close - open is the change; of the
    first in it where none was before. Without trades in the window all four are the last price.
    """

    open_ms: int
    close_ms: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    base_atoms: int
    quote_atoms: int
    trades: int
    last_trade_id: int


@dataclass(frozen=True, slots=True)
class Tickers:
    """By market, as of at least `seq`. A market that never had a trade has none."""

    seq: int
    items: dict[int, TickerRow]


@dataclass(frozen=True, slots=True)
class MinuteCandles:
    """The window's one-minute candles by market, oldest first, as of at least `seq`.

    `before_ticks` is the price of the last trade before the window. A market that never had a trade is in
    neither.
    """

    seq: int
    items: dict[int, list[CandleRow]]
    before_ticks: dict[int, int]


def window_ms(now_ms: int) -> tuple[int, int]:
    """The 24 hours [from, to) that a ticker at this time is about."""
    to_ms = now_ms // _MINUTE_MS * _MINUTE_MS + _MINUTE_MS
    return to_ms - WINDOW_S * 1_000, to_ms


async def tickers(clickhouse: ClickHouse, seq: int, market_ids: Collection[int], now_ms: int) -> Tickers:
    """The markets' last 24 hours. `seq` is the projection's, read before the call. Raises ClickHouseError."""
    from_ms, to_ms = window_ms(now_ms)
    records = await _select(
        clickhouse,
        "SELECT market_id, argMinMerge(open), max(high), min(low), argMaxMerge(close), sum(base_atoms),"
        " sum(quote_atoms), sum(trades), min(first_trade_id), max(last_trade_id)",
        "GROUP BY market_id",
        market_ids,
        from_ms,
        to_ms,
    )
    traded = {record[0]: record[1:] for record in records}
    before = await _before(clickhouse, market_ids, from_ms)
    items = {}
    for market_id in sorted(market_ids):
        last = before.get(market_id)
        if market_id in traded:
            first, high, low, close, base, quote, trades, _, last_id = traded[market_id]
            opened = first if last is None else last[0]
            items[market_id] = TickerRow(
                from_ms, to_ms, opened, high, low, close, base, quote, trades, last_id
            )
        elif last is not None:
            price, last_id = last
            items[market_id] = TickerRow(from_ms, to_ms, price, price, price, price, 0, 0, 0, last_id)
    return Tickers(seq, items)


async def minute_candles(
    clickhouse: ClickHouse, seq: int, market_ids: Collection[int], now_ms: int
) -> MinuteCandles:
    """What tickers are made of, to continue them with the trades after each market's `last_trade_id`.

    `seq` is the projection's, read before the call. Raises ClickHouseError.
    """
    from_ms, to_ms = window_ms(now_ms)
    records = await _select(
        clickhouse,
        f"SELECT market_id, {COLUMNS}",
        "GROUP BY market_id, open_s ORDER BY market_id, open_s",
        market_ids,
        from_ms,
        to_ms,
    )
    before = await _before(clickhouse, market_ids, from_ms)
    items: dict[int, list[CandleRow]] = {market_id: [] for market_id in sorted(before)}
    for market_id, *record in records:
        items.setdefault(market_id, []).append(row_of_record(tuple(record)))
    return MinuteCandles(seq, items, {market_id: price for market_id, (price, _) in before.items()})


async def _select(
    clickhouse: ClickHouse, select: str, group: str, market_ids: Collection[int], from_ms: int, to_ms: int
) -> Sequence[tuple[int, ...]]:
    return await clickhouse.query(
        f"{select} FROM candles"
        " WHERE market_id IN {markets:Array(UInt32)} AND interval_s = 60"
        " AND open_s >= {first:Int64} AND open_s < {end:Int64} "
        f"{group}",
        {"markets": sorted(market_ids), "first": from_ms // 1_000, "end": to_ms // 1_000},
    )


async def _before(
    clickhouse: ClickHouse, market_ids: Collection[int], from_ms: int
) -> dict[int, tuple[int, int]]:
    """Price and id of the last trade before a time, by market.

    One query finds those of the day before, which is nearly all; each other market is asked for by itself.
    """
    records = await _select(
        clickhouse,
        "SELECT market_id, argMaxMerge(close), max(last_trade_id)",
        "GROUP BY market_id",
        market_ids,
        from_ms - WINDOW_S * 1_000,
        from_ms,
    )
    found = {market_id: (price, trade_id) for market_id, price, trade_id in records}
    for market_id in sorted(set(market_ids) - found.keys()):
        last = await last_price_before(clickhouse, market_id, from_ms * 1_000_000)
        if last is not None:
            found[market_id] = last
    return found
