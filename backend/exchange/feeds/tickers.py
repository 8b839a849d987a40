"""Tickers: the last 24 hours of a market, which move with its trades, its best prices, and the clock.

A fold over the one-minute candles of the window: those of ClickHouse, continued with the trades.
"""

from collections import deque
from collections.abc import Callable, Iterable

from exchange.feeds.book import best_levels
from exchange.feeds.candles import GrowingCandle
from exchange.feeds.history import PastCandles
from exchange.feeds.keys import TopicKey
from exchange.feeds.topic import Outgoing, Topic
from exchange.feeds.updates import BboData, PublicTrade, TickerData, Update
from exchange.projections.tickers import TickerRow, window_ms
from exchange.sequencer.committed import CommittedView

_MS_NS = 1_000_000
_MINUTE_MS = 60_000


class TickerTopic(Topic):
    """The ticker of one market. Every update says all there is."""

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
        self._minutes = deque(GrowingCandle(row) for row in past.candles)
        self._before_ticks = past.before_ticks
        self._last_trade_id = past.last_trade_id
        self._from_ms, self._to_ms = 0, 0
        self._whole: GrowingCandle | None = None
        """All minutes of the window as one."""
        for trade in recent:
            self.take(trade)
        self._whole = _joined(self._minutes)
        self._slide(horizon_ns)
        self._is_traded = False
        self._is_by_clock = True
        """Time alone made the newest state, so that `self.seq` may have been told before."""
        self._data = self._now(best_levels(view, key.market_id))
        self._time_ns = view.time_ns
        self._last: Update | None = None

    def take(self, trade: PublicTrade) -> None:
        """The next trade; one that ClickHouse had already is left out."""
        if trade.trade_id <= self._last_trade_id:
            return
        self._last_trade_id = trade.trade_id
        open_ms = trade.time_ns // _MS_NS // _MINUTE_MS * _MINUTE_MS
        last = self._minutes[-1] if self._minutes else None
        if last is not None and last.open_ms == open_ms:
            last.add(trade)
        else:
            self._minutes.append(GrowingCandle.of_first(open_ms, trade))
        if self._whole is None:
            self._whole = GrowingCandle.of_first(open_ms, trade)
        else:
            self._whole.add(trade)
        self._is_traded = True

    def flush(self, seq: int, time_ns: int, horizon_ns: int, best: BboData | None) -> None:
        """Publishes what is not as it was. `best` are the best levels where they may have changed."""
        data = self._data
        is_slid = self._slide(horizon_ns)
        is_best = best is not None and (best.bid, best.ask) != (data.bid, data.ask)
        if not (self._is_traded or is_slid or is_best):
            return
        self._is_by_clock = not (self._is_traded or is_best)
        self._time_ns = horizon_ns if self._is_by_clock else time_ns
        self._is_traded = False
        self._data = self._now(best or BboData(data.bid, data.ask))
        self._last = self._publish(seq, self._time_ns, self._data)

    @property
    def due_ns(self) -> int:
        """When time alone moves the window next."""
        return self._to_ms * _MS_NS

    def _slide(self, horizon_ns: int) -> bool:
        """Moves the window to the present minute; whether that was another one."""
        now_ms = horizon_ns // _MS_NS
        if now_ms < self._to_ms:
            return False
        self._from_ms, self._to_ms = window_ms(now_ms)
        minutes, held = self._minutes, len(self._minutes)
        while minutes and minutes[0].open_ms < self._from_ms:
            self._before_ticks = minutes.popleft().close_ticks
        if len(minutes) != held:
            self._whole = _joined(minutes)
        return True

    def _now(self, best: BboData) -> TickerData:
        return TickerData(self._row(), self._from_ms, self._to_ms, best.bid, best.ask)

    def _row(self) -> TickerRow | None:
        whole, before_ticks = self._whole, self._before_ticks
        if whole is not None:
            return TickerRow(
                self._from_ms,
                self._to_ms,
                whole.open_ticks if before_ticks is None else before_ticks,
                whole.high_ticks,
                whole.low_ticks,
                whole.close_ticks,
                whole.base_atoms,
                whole.quote_atoms,
                whole.trades,
                self._last_trade_id,
            )
        if before_ticks is None:
            return None
        prices = (before_ticks, before_ticks, before_ticks, before_ticks)
        return TickerRow(self._from_ms, self._to_ms, *prices, 0, 0, 0, self._last_trade_id)

    def _snapshot(self) -> Update:
        return Update(self.key, self.seq, None, self._time_ns, self._data)

    def _since(self, seq: int) -> list[Update]:
        if seq > self.seq or (seq == self.seq and not self._is_by_clock):
            return []
        if self._last is not None and self._last.prev_seq == seq:
            return [self._last]
        return [Update(self.key, self.seq, seq, self._time_ns, self._data)]


def _joined(minutes: Iterable[GrowingCandle]) -> GrowingCandle | None:
    """All of them as one candle."""
    whole: GrowingCandle | None = None
    for minute in minutes:
        if whole is None:
            whole = GrowingCandle(minute.row())
        else:
            whole.join(minute)
    return whole
