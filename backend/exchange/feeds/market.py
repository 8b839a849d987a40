"""All public streams of one market."""

from exchange.feeds.book import BboTopic, BookTopic, best_levels
from exchange.feeds.candles import NEVER_NS, CandlesTopic
from exchange.feeds.keys import TopicKey
from exchange.feeds.tickers import TickerTopic
from exchange.feeds.topic import Topic
from exchange.feeds.trades import TradesTopic
from exchange.feeds.updates import PublicTrade
from exchange.sequencer.committed import CommittedView

_NEED_DEPTH = (BookTopic, BboTopic, TickerTopic)
_NEED_TRADES = (TradesTopic, CandlesTopic, TickerTopic)


class MarketTopics:
    """The topics of a market, and what makes updates of what has happened in it."""

    def __init__(self, view: CommittedView, market_id: int) -> None:
        self._view = view
        self._market_id = market_id
        self._topics: dict[TopicKey, Topic] = {}
        self._takers: list[TradesTopic | CandlesTopic | TickerTopic] = []
        self._watches = False
        self._is_traded = False
        self._due_ns = 0
        """When time alone changes something next."""

    def add(self, topic: Topic) -> Topic:
        """The topic is new, and as of the view's seq."""
        self._topics[topic.key] = topic
        self._due_ns = 0
        self._watch()
        return topic

    def remove(self, topic: Topic) -> None:
        del self._topics[topic.key]
        self._watch()

    def __bool__(self) -> bool:
        return bool(self._topics)

    def end(self) -> None:
        """Forgets all."""
        self._topics.clear()
        self._watch()

    def _watch(self) -> None:
        self._takers = [topic for topic in self._topics.values() if isinstance(topic, _NEED_TRADES)]
        watches = any(isinstance(topic, _NEED_DEPTH) for topic in self._topics.values())
        if watches and not self._watches:
            self._view.watch_depth(self._market_id)
        elif self._watches and not watches:
            self._view.unwatch_depth(self._market_id)
        self._watches = watches

    def take(self, trade: PublicTrade) -> None:
        self._is_traded = True
        for topic in self._takers:
            topic.take(trade)

    def flush(self, horizon_ns: int) -> None:
        """One update for each topic in which something changed, as of the view's seq.

        `horizon_ns`: nothing that the view does not have yet will have an earlier time.
        """
        view = self._view
        seq, time_ns = view.seq, view.time_ns
        horizon_ns = max(time_ns, horizon_ns)
        bids, asks = view.take_touched(self._market_id) if self._watches else (set(), set())
        depth_moved = bool(bids or asks)
        if not (depth_moved or self._is_traded or horizon_ns >= self._due_ns):
            return
        best = best_levels(view, self._market_id) if depth_moved else None
        self._is_traded, self._due_ns = False, NEVER_NS
        for topic in self._topics.values():
            match topic:
                case BookTopic():
                    if depth_moved:
                        topic.change(seq, time_ns, bids, asks)
                case BboTopic():
                    if best is not None:
                        topic.change(seq, time_ns, best)
                case TradesTopic():
                    topic.flush(seq, time_ns)
                case CandlesTopic():
                    topic.flush(seq, time_ns, horizon_ns)
                    self._due_ns = min(self._due_ns, topic.due_ns)
                case TickerTopic():
                    topic.flush(seq, time_ns, horizon_ns, best)
                    self._due_ns = min(self._due_ns, topic.due_ns)
