"""Candles that grow with the trades: begun with what ClickHouse has, exact from there on without it.

A candle is closed when nothing can come into it any more: a trade of a later interval did come, or its
interval is over by the engine's clock, which no batch that is still to come can be earlier than.
"""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from exchange.feeds.history import SHOWN_CANDLES, PastCandles
from exchange.feeds.keys import TopicKey
from exchange.feeds.topic import Outgoing, Topic
from exchange.feeds.updates import CandlesData, LiveCandle, PublicTrade, Update
from exchange.projections.candles import INTERVALS_S, CandleRow, open_s
from exchange.sequencer.committed import CommittedView

KEPT_CANDLES = 100
NEVER_NS = 2**63
_SECOND_NS = 10**9


class GrowingCandle:
    """The trades of one interval so far."""

    __slots__ = (
        "base_atoms",
        "close_ticks",
        "high_ticks",
        "last_trade_id",
        "low_ticks",
        "open_ms",
        "open_ticks",
        "quote_atoms",
        "trades",
        "volume_lots",
    )

    def __init__(self, row: CandleRow) -> None:
        self.open_ms = row.open_ms
        self.open_ticks = row.open_ticks
        self.high_ticks = row.high_ticks
        self.low_ticks = row.low_ticks
        self.close_ticks = row.close_ticks
        self.volume_lots = row.volume_lots
        self.base_atoms = row.base_atoms
        self.quote_atoms = row.quote_atoms
        self.trades = row.trades
        self.last_trade_id = row.last_trade_id

    @classmethod
    def of_first(cls, open_ms: int, trade: PublicTrade) -> "GrowingCandle":
        """One that begins with this trade."""
        price_ticks = trade.price_ticks
        row = CandleRow(open_ms, price_ticks, price_ticks, price_ticks, price_ticks, 0, 0, 0, 0, 0)
        candle = cls(row)
        candle.add(trade)
        return candle

    def add(self, trade: PublicTrade) -> None:
        price_ticks = trade.price_ticks
        if price_ticks > self.high_ticks:
            self.high_ticks = price_ticks
        elif price_ticks < self.low_ticks:
            self.low_ticks = price_ticks
        self.close_ticks = price_ticks
        self.volume_lots += trade.size_lots
        self.base_atoms += trade.base_atoms
        self.quote_atoms += trade.quote_atoms
        self.trades += 1
        self.last_trade_id = trade.trade_id

    def join(self, later: "GrowingCandle") -> None:
        """Takes in all of a later candle."""
        self.high_ticks = max(self.high_ticks, later.high_ticks)
        self.low_ticks = min(self.low_ticks, later.low_ticks)
        self.close_ticks = later.close_ticks
        self.volume_lots += later.volume_lots
        self.base_atoms += later.base_atoms
        self.quote_atoms += later.quote_atoms
        self.trades += later.trades
        self.last_trade_id = later.last_trade_id

    def row(self) -> CandleRow:
        return CandleRow(
            self.open_ms,
            self.open_ticks,
            self.high_ticks,
            self.low_ticks,
            self.close_ticks,
            self.volume_lots,
            self.base_atoms,
            self.quote_atoms,
            self.trades,
            self.last_trade_id,
        )


class _Told:
    """A candle and when its readers heard of it last."""

    __slots__ = ("by_clock", "candle", "changed_seq", "closed", "end_ns")

    def __init__(self, candle: GrowingCandle, interval_s: int, changed_seq: int) -> None:
        self.candle = candle
        self.end_ns = candle.open_ms * 1_000_000 + interval_s * _SECOND_NS
        self.changed_seq = changed_seq
        self.closed = False
        self.by_clock = True
        """The last change was made by time alone, so that `changed_seq` may have been told before."""

    def live(self) -> LiveCandle:
        return LiveCandle(self.candle.row(), self.closed)


class CandlesTopic(Topic):
    """The candles of one market and interval. Intervals without a trade have none."""

    def __init__(
        self,
        key: TopicKey,
        view: CommittedView,
        outgoing: Outgoing,
        settle: Callable[[], None],
        past: PastCandles,
        recent: Iterable[PublicTrade],
        horizon_ns: int,
    ) -> None:
        """`recent` are all trades after those in `past`. `horizon_ns`: nothing earlier is still to come."""
        super().__init__(key, view, outgoing, settle)
        self._interval_s = INTERVALS_S[key.interval]
        self._floor_seq = self.seq
        self._time_ns = view.time_ns
        self._candles: deque[_Told] = deque()
        self._changed: dict[_Told, None] = {}
        self._last_trade_id = past.last_trade_id
        for row in past.candles:
            self._append(GrowingCandle(row))
        for trade in recent:
            self.take(trade)
        self._close(horizon_ns)
        self._changed.clear()

    def take(self, trade: PublicTrade) -> None:
        """The next trade; one that ClickHouse had already is left out."""
        if trade.trade_id <= self._last_trade_id:
            return
        self._last_trade_id = trade.trade_id
        told = self._candles[-1] if self._candles else None
        if told is not None and trade.time_ns < told.end_ns:
            told.candle.add(trade)
        else:
            open_ms = open_s(self.key.interval, trade.time_ns // _SECOND_NS) * 1_000
            told = self._append(GrowingCandle.of_first(open_ms, trade))
        self._changed[told] = None

    def flush(self, seq: int, time_ns: int, horizon_ns: int) -> None:
        """Publishes the candles that changed or have closed since the last call."""
        is_traded = bool(self._changed)
        self._close(horizon_ns)
        if not self._changed:
            return
        self._time_ns = time_ns if is_traded else horizon_ns
        for told in self._changed:
            told.by_clock = not is_traded
            told.changed_seq = seq
        for told in islice(reversed(self._candles), SHOWN_CANDLES):
            if told.by_clock and told.changed_seq == self.seq:
                self._changed[told] = None  # whoever is at this seq may not have heard of it
        changed = sorted(self._changed, key=lambda told: told.end_ns)
        self._changed.clear()
        self._publish(seq, self._time_ns, CandlesData(tuple(told.live() for told in changed)))

    @property
    def due_ns(self) -> int:
        """When time alone closes a candle next."""
        return self._candles[-1].end_ns if self._candles and not self._candles[-1].closed else NEVER_NS

    def _close(self, horizon_ns: int) -> None:
        if self._candles and not (told := self._candles[-1]).closed and told.end_ns <= horizon_ns:
            told.closed = True
            self._changed[told] = None

    def _append(self, candle: GrowingCandle) -> _Told:
        if self._candles and not (before := self._candles[-1]).closed:
            before.closed = True
            self._changed[before] = None
        if len(self._candles) == KEPT_CANDLES:
            self._floor_seq = self._candles.popleft().changed_seq
        told = _Told(candle, self._interval_s, self.seq)
        self._candles.append(told)
        return told

    def _snapshot(self) -> Update:
        newest = tuple(self._candles)[-SHOWN_CANDLES:]
        data = CandlesData(tuple(told.live() for told in newest))
        return Update(self.key, self.seq, None, self._time_ns, data)

    def _since(self, seq: int) -> list[Update] | None:
        if seq < self._floor_seq:
            return None
        changed = [
            told.live()
            for told in self._candles
            if told.changed_seq > seq or (told.by_clock and told.changed_seq == seq)
        ]
        if not changed:
            return []
        return [Update(self.key, self.seq, seq, self._time_ns, CandlesData(tuple(changed)))]
