"""Trades as everybody sees them, and the memory of recent ones that other streams continue from."""

from collections import deque
from collections.abc import Callable, Iterable

from exchange.core.events import Trade
from exchange.feeds.keys import TopicKey
from exchange.feeds.topic import Outgoing, Topic
from exchange.feeds.updates import PublicTrade, TradesData, Update
from exchange.sequencer.committed import CommittedView

SNAPSHOT_TRADES = 50
KEPT_TRADES = 1_000
"""Of one market, for those who follow it."""
RECENT_TRADES = 50_000
"""Of all markets, for streams that begin with what ClickHouse has: so far behind may that be."""


def public(trade: Trade, seq: int, time_ns: int) -> PublicTrade:
    """What everybody may know of a trade."""
    return PublicTrade(
        trade.market_id,
        trade.trade_id,
        seq,
        time_ns,
        trade.price_ticks,
        trade.size_lots,
        trade.base_atoms,
        trade.quote_atoms,
        trade.taker_side,
    )


class RecentTrades:
    """All trades after `floor_seq`, of all markets, oldest first."""

    def __init__(self, floor_seq: int, capacity: int = RECENT_TRADES) -> None:
        self.floor_seq = floor_seq
        self._trades: deque[PublicTrade] = deque()
        self._capacity = capacity

    def add(self, trade: PublicTrade) -> None:
        if len(self._trades) == self._capacity:
            self.floor_seq = self._trades.popleft().seq
        self._trades.append(trade)

    def after(self, market_id: int, trade_id: int) -> list[PublicTrade]:
        """The market's, as far as they are remembered, oldest first."""
        found = []
        for trade in reversed(self._trades):
            if trade.trade_id <= trade_id:
                break
            if trade.market_id == market_id:
                found.append(trade)
        found.reverse()
        return found


class TradesTopic(Topic):
    """The trades of a market: a snapshot has the newest, each update those since."""

    def __init__(
        self,
        key: TopicKey,
        view: CommittedView,
        outgoing: Outgoing,
        settle: Callable[[], None],
        trades: Iterable[PublicTrade],
        past_seq: int,
    ) -> None:
        """`trades` are all after `past_seq`, oldest first."""
        super().__init__(key, view, outgoing, settle)
        self.past_seq = past_seq
        self.past_due_s = 0.0
        """When it may be tried again to read those up to `past_seq`, by the loop's clock."""
        self._has_past = False
        self._floor_seq = self.seq
        self._trades = deque(trades, maxlen=KEPT_TRADES)
        self._new: list[PublicTrade] = []
        self._last: Update | None = None
        self._time_ns = view.time_ns

    @property
    def lacks_past(self) -> bool:
        """Whether snapshots could do with the trades up to `past_seq`, which have not been read yet."""
        return not self._has_past and len(self._trades) < SNAPSHOT_TRADES

    def put_past(self, trades: Iterable[PublicTrade]) -> None:
        """Puts those up to `past_seq` before the others, oldest first; they are for snapshots only."""
        if not self.lacks_past:
            return
        known = {trade.trade_id for trade in self._trades}
        past = [trade for trade in trades if trade.seq <= self.past_seq and trade.trade_id not in known]
        self._trades.extendleft(reversed(past))
        self._has_past = True
        self.rewritten += 1

    def take(self, trade: PublicTrade) -> None:
        self._new.append(trade)

    def flush(self, seq: int, time_ns: int) -> None:
        """Publishes what was taken since the last call."""
        if not self._new:
            return
        lost = len(self._trades) + len(self._new) - KEPT_TRADES
        if lost > 0:
            held = len(self._trades)
            last_lost = self._trades[lost - 1] if lost <= held else self._new[lost - held - 1]
            self._floor_seq = max(self._floor_seq, last_lost.seq)
        self._trades.extend(self._new)
        self._time_ns = time_ns
        self._last = self._publish(seq, time_ns, TradesData(tuple(self._new)))
        self._new.clear()

    def _snapshot(self) -> Update:
        newest = tuple(self._trades)[-SNAPSHOT_TRADES:]
        return Update(self.key, self.seq, None, self._time_ns, TradesData(newest))

    def _since(self, seq: int) -> list[Update] | None:
        if seq >= self.seq:
            return []
        if seq < self._floor_seq:
            return None
        if self._last is not None and self._last.prev_seq == seq:
            return [self._last]
        found = []
        for trade in reversed(self._trades):
            if trade.seq <= seq:
                break
            found.append(trade)
        found.reverse()
        return [Update(self.key, self.seq, seq, self._time_ns, TradesData(tuple(found)))]
