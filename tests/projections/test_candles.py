"""Candles and tickers against a recomputation from random raw trades, around the edges of all intervals."""

import itertools
import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.projections.candles import INTERVALS_S, SECONDS_KEPT_S, CandleRow, candles
from exchange.projections.tickers import TickerRow, minute_candles, tickers
from exchange.projections.trades import insert_trades
from exchange.stores.clickhouse import ClickHouse

SECOND_NS = 10**9
DAY_S = 86_400
NOW_S = int(time.time()) // 60 * 60 + 37
"""Of today, because candles of one second are only kept for 30 days."""
MONDAY_S = -3 * DAY_S
"""1970 began on a Thursday."""

EXAMPLES = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_market_ids = itertools.count(1)


@dataclass(frozen=True)
class Print:
    """A trade as far as candles are concerned."""

    trade_id: int
    time_ns: int
    price_ticks: int
    size_lots: int

    @property
    def base_atoms(self) -> int:
        return self.size_lots * 10**30

    @property
    def quote_atoms(self) -> int:
        return self.size_lots * self.price_ticks * 10**20


def edges(interval: str) -> st.SearchStrategy[int]:
    """Times a little before, at and after where an interval begins, some of them long ago."""
    length_s = INTERVALS_S[interval]
    ago = st.one_of(st.integers(0, 3), st.integers(0, 100), st.integers(0, max(3, 1_000 * DAY_S // length_s)))
    return st.builds(
        lambda intervals, nudge_ns: max(
            (begins(interval, NOW_S) - intervals * length_s) * SECOND_NS + nudge_ns, SECOND_NS
        ),
        ago,
        st.sampled_from((-SECOND_NS, -1, 0, 1, SECOND_NS - 1, SECOND_NS, 61 * SECOND_NS)),
    )


times = st.one_of(
    *(edges(interval) for interval in INTERVALS_S),
    st.integers((NOW_S - 2 * DAY_S) * SECOND_NS, NOW_S * SECOND_NS),
).filter(lambda time_ns: time_ns <= NOW_S * SECOND_NS)


@st.composite
def histories(draw: st.DrawFn) -> list[Print]:
    """A market's trades, oldest first; several may be of one time."""
    first_id = draw(st.integers(1, 2**40))
    return [
        Print(first_id + 3 * number, time_ns, draw(st.integers(1, 1_000)), draw(st.integers(1, 50)))
        for number, time_ns in enumerate(sorted(draw(st.lists(times, max_size=40))))
    ]


async def store(clickhouse: ClickHouse, history: list[Print], data: st.DataObject | None = None) -> int:
    """Inserts the trades, in random blocks some of which are repeated, as a market of its own."""
    market_id = next(_market_ids)
    begin = 0
    while begin < len(history):
        end = len(history) if data is None else data.draw(st.integers(begin + 1, len(history)))
        block = history[begin:end]
        columns: list[list[Any]] = [
            [market_id] * len(block),
            [trade.trade_id for trade in block],
            [trade.trade_id for trade in block],
            [trade.time_ns for trade in block],
            [trade.price_ticks for trade in block],
            [trade.size_lots for trade in block],
            [trade.base_atoms for trade in block],
            [trade.quote_atoms for trade in block],
            ["buy"] * len(block),
            [1_000] * len(block),
            [1_001] * len(block),
        ]
        for _ in range(1 if data is None else data.draw(st.integers(1, 2))):
            await insert_trades(clickhouse, columns, f"{market_id}-{begin}")
        begin = end
    return market_id


# -- the same by hand


def begins(interval: str, time_s: int) -> int:
    first_s = MONDAY_S if interval == "1w" else 0
    return time_s - (time_s - first_s) % INTERVALS_S[interval]


def candle_of(open_s: int, inside: list[Print]) -> CandleRow:
    prices = [trade.price_ticks for trade in inside]
    return CandleRow(
        open_s * 1_000,
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        sum(trade.size_lots for trade in inside),
        sum(trade.base_atoms for trade in inside),
        sum(trade.quote_atoms for trade in inside),
        len(inside),
        inside[-1].trade_id,
    )


def expected_candles(
    history: list[Print], interval: str, from_ms: int | None, to_ms: int | None, fill: bool
) -> list[CandleRow]:
    """All of them, one interval after the other from the first trade on."""
    length_s = INTERVALS_S[interval]
    oldest_s = NOW_S // 60 * 60 - SECONDS_KEPT_S if interval == "1s" else -(10**10)
    if not history:
        return []
    found: list[CandleRow] = []
    by_open: dict[int, list[Print]] = {}
    for trade in history:
        by_open.setdefault(begins(interval, trade.time_ns // SECOND_NS), []).append(trade)
    opens = sorted(by_open)
    if fill:
        first_s = max(opens[0], oldest_s if from_ms is None else max(oldest_s, from_ms // 1_000 - length_s))
        first_s = begins(interval, first_s)
        opens = [*range(first_s, begins(interval, NOW_S) + 1, length_s)]
    for open_s in opens:
        if open_s < oldest_s or (from_ms is not None and open_s * 1_000 < from_ms):
            continue
        if to_ms is not None and open_s * 1_000 >= to_ms:
            continue
        if open_s in by_open:
            found.append(candle_of(open_s, by_open[open_s]))
        else:
            close = [trade.price_ticks for trade in history if trade.time_ns < open_s * SECOND_NS][-1]
            found.append(CandleRow(open_s * 1_000, close, close, close, close, 0, 0, 0, 0, 0))
    return found


@EXAMPLES
@given(history=histories(), interval=st.sampled_from([*INTERVALS_S]), data=st.data())
async def test_candles_are_what_the_trades_make_of_them(
    clickhouse: ClickHouse, history: list[Print], interval: str, data: st.DataObject
) -> None:
    market_id = await store(clickhouse, history, data)
    length_s = INTERVALS_S[interval]
    bounds = st.one_of(
        st.none(),
        st.builds(
            lambda ago, nudge_ms: (begins(interval, NOW_S) - ago * length_s) * 1_000 + nudge_ms,
            st.integers(-2, 30),
            st.sampled_from((-1, 0, 1)),
        ),
    )
    for fill in (False, True):
        from_ms, to_ms = data.draw(bounds), data.draw(bounds)
        limit = data.draw(st.sampled_from((1, 2, 7, 1_000)))
        oldest = data.draw(st.booleans())
        forgets_the_time = not fill and interval != "1s" and data.draw(st.booleans())
        if fill and oldest and interval in {"1s", "1m"}:
            from_ms = from_ms or (NOW_S - 30 * length_s) * 1_000  # the hand would be slow
        if fill and interval in {"1s", "1m", "5m"}:
            from_ms = max(from_ms or 0, (NOW_S - 1_500 * length_s) * 1_000)
        read = await candles(
            clickhouse,
            5,
            market_id,
            interval,
            from_ms=from_ms,
            to_ms=to_ms,
            limit=limit,
            fill=fill,
            oldest=oldest,
            now_ms=None if forgets_the_time else NOW_S * 1_000,
        )
        expected = expected_candles(history, interval, from_ms, to_ms, fill)
        assert read.items == (expected[:limit] if oldest else expected[-limit:])
        assert read.seq == 5


@EXAMPLES
@given(history=histories(), later=st.integers(0, 2 * DAY_S), data=st.data())
async def test_tickers_are_what_the_trades_of_the_last_day_make_of_them(
    clickhouse: ClickHouse, history: list[Print], later: int, data: st.DataObject
) -> None:
    market_id = await store(clickhouse, history, data)
    never_traded = next(_market_ids)
    now_ms = (NOW_S + later) * 1_000 + data.draw(st.sampled_from((0, 1, 999)))
    to_ms = now_ms // 60_000 * 60_000 + 60_000
    from_ms = to_ms - DAY_S * 1_000
    inside = [trade for trade in history if from_ms * 10**6 <= trade.time_ns < to_ms * 10**6]
    before = [trade for trade in history if trade.time_ns < from_ms * 10**6]
    expected = {}
    if inside:
        day = candle_of(0, inside)
        opened = (before[-1:] or inside)[0].price_ticks
        expected[market_id] = TickerRow(
            from_ms,
            to_ms,
            opened,
            day.high_ticks,
            day.low_ticks,
            day.close_ticks,
            day.base_atoms,
            day.quote_atoms,
            day.trades,
            day.last_trade_id,
        )
    elif before:
        last = before[-1].price_ticks
        expected[market_id] = TickerRow(from_ms, to_ms, last, last, last, last, 0, 0, 0, before[-1].trade_id)
    read = await tickers(clickhouse, 5, [never_traded, market_id], now_ms)
    assert (read.seq, read.items) == (5, expected)

    minutes = await minute_candles(clickhouse, 5, [never_traded, market_id], now_ms)
    wanted = expected_candles(history, "1m", from_ms, to_ms, False)
    assert minutes.items == ({market_id: wanted} if history else {})
    assert minutes.before_ticks == ({market_id: before[-1].price_ticks} if before else {})


async def test_many_markets_have_a_ticker_each_and_no_market_none(clickhouse: ClickHouse) -> None:
    ids = []
    for number in range(1, 12):
        ago_s = number * 5 * 3_600
        trade = Print(number, (NOW_S - ago_s) * SECOND_NS, 100 + number, 1)
        ids.append(await store(clickhouse, [trade]))
    read = await tickers(clickhouse, 5, ids, NOW_S * 1_000)
    assert [row.close_ticks for row in read.items.values()] == [100 + number for number in range(1, 12)]
    assert [row.trades for row in read.items.values()] == [1, 1, 1, 1, *[0] * 7]
    assert (await tickers(clickhouse, 5, [], NOW_S * 1_000)).items == {}


async def test_a_gap_longer_than_any_stretch_that_is_looked_at_is_bridged(clickhouse: ClickHouse) -> None:
    history = [Print(1, 5 * SECOND_NS, 7, 1), Print(2, NOW_S * SECOND_NS, 9, 1)]
    market_id = await store(clickhouse, history)
    for interval in INTERVALS_S:
        if interval == "1s":
            continue
        read = await candles(clickhouse, 5, market_id, interval, limit=2)
        assert [row.close_ticks for row in read.items] == [7, 9]
        filled = await candles(clickhouse, 5, market_id, interval, limit=3, fill=True, now_ms=NOW_S * 1_000)
        assert [row.open_ticks for row in filled.items] == [7, 7, 9]
    week = (await candles(clickhouse, 5, market_id, "1w")).items[0]
    assert week.open_ms == MONDAY_S * 1_000, "the first week began before 1970 did"


@pytest.mark.parametrize("interval", ["2m", "1M", "1m' OR 1=1 --"])
async def test_an_unknown_interval_is_refused(clickhouse: ClickHouse, interval: str) -> None:
    with pytest.raises(KeyError):
        await candles(clickhouse, 0, 1, interval)
