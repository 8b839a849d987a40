"""All streams of an exchange: what is committed comes in, typed updates go out.

No sockets, no bytes and no waiting here, but for the first read of what a stream continues. Whoever owns the
sockets (the hub) does this, all in one loop:

    committed  is called by the sequencer right after the committed view has a batch; it only remembers it
    drain      soon after: private updates, exact per command
    advance    at its own pace: what has gathered for public streams, one update each; in quiet times too,
               about every second, because candles end and tickers move by the clock
    open, close, `Topic.snapshot`, `Topic.since`  for its subscribers
    expire     about every second: forgets topics that nobody has wanted for a while

Should one of these fail, that is a bug: `reset` drops all topics, and subscribers have to open theirs anew.
The engine is never concerned.
"""

import asyncio
from collections import deque

from exchange.core.events import Trade
from exchange.feeds.accounts import AccountTopics
from exchange.feeds.book import BboTopic, BookTopic
from exchange.feeds.errors import FeedsOverrun, FeedUnavailable
from exchange.feeds.keys import Channel, TopicKey
from exchange.feeds.market import MarketTopics
from exchange.feeds.message_log import Memory
from exchange.feeds.topic import Outgoing, Topic
from exchange.feeds.trades import RecentTrades, TradesTopic, public
from exchange.feeds.updates import Update
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.row import Committed

MAX_QUEUED = 2_000
"""Batches that may wait to be drained; beyond that nobody drains them."""
PUBLIC_KEPT_S = 60.0
PRIVATE_KEPT_S = 120.0
"""How long a topic is kept after its last subscriber has gone, so that one can come back and resume."""

MAX_IDLE = 10_000
"""Topics without subscribers; beyond that the oldest are forgotten at once."""

Handed = list[tuple[Topic, list[Update]]]


class Feeds:
    """The streams of the exchange whose committed view this is."""

    def __init__(self, view: CommittedView) -> None:
        self.woken = asyncio.Event()
        """Set when something was committed; the hub clears it before it drains."""
        self._view = view
        self._queue: deque[Committed] = deque()
        self._overrun = False
        self._outgoing = Outgoing()
        self._topics: dict[TopicKey, Topic] = {}
        self._markets: dict[int, MarketTopics] = {}
        self._recent = RecentTrades(view.seq)
        self._accounts = AccountTopics(view, Memory())
        self._idle_since_s: dict[Topic, float | None] = {}

    # ---- what is committed

    def committed(self, batch: Committed) -> None:
        """Remembers a batch. Nothing can fail here."""
        if len(self._queue) >= MAX_QUEUED:
            self._queue.clear()
            self._overrun = True
        self._queue.append(batch)
        self.woken.set()

    def drain(self) -> Handed:
        """Takes in what was committed. Everything there is to send now, private updates above all.

        Each topic's updates are in order, and are handed out once. Raises FeedsOverrun.
        """
        self._fold()
        return self._outgoing.take()

    def advance(self) -> Handed:
        """As `drain`, and one update for each public topic that changed, as of the view's seq."""
        self._fold()
        for market in self._markets.values():
            market.flush()
        return self._outgoing.take()

    def _fold(self) -> None:
        """Brings everything that is folded to the view's seq."""
        if self._overrun:
            raise FeedsOverrun
        accounts = self._accounts
        while self._queue:
            batch = self._queue.popleft()
            seq, time_ns = batch.seq_first, batch.time_ns
            for events in batch.events:
                for event in events:
                    if type(event) is Trade:
                        self._take_trade(event, seq, time_ns)
                if accounts:
                    accounts.take(seq, time_ns, events)
                seq += 1
        accounts.settle()

    def _take_trade(self, event: Trade, seq: int, time_ns: int) -> None:
        trade = public(event, seq, time_ns)
        self._recent.add(trade)
        market = self._markets.get(event.market_id)
        if market is not None:
            market.take(trade)

    # ---- topics

    async def open(self, key: TopicKey) -> Topic:
        """The topic, for one subscriber more. Its market or account must exist.

        Raises FeedUnavailable, FeedsOverrun.
        """
        topic = self._topics.get(key)
        if topic is None:
            self._fold()
            topic = self._made(key)
            self._topics[key] = topic
        topic.subscribers += 1
        self._idle_since_s.pop(topic, None)
        return topic

    def close(self, topic: Topic) -> None:
        """The topic has one subscriber less."""
        assert topic.subscribers > 0
        topic.subscribers -= 1
        if not topic.subscribers and self._topics.get(topic.key) is topic:
            self._idle_since_s[topic] = None
            if len(self._idle_since_s) > MAX_IDLE:
                self._drop(next(iter(self._idle_since_s)))

    def expire(self, now_s: float) -> None:
        """Forgets topics without subscribers whose time is over. `now_s` is of a steady clock."""
        for topic, since_s in list(self._idle_since_s.items()):
            if since_s is None:
                self._idle_since_s[topic] = now_s
            elif now_s - since_s >= (PRIVATE_KEPT_S if topic.key.is_private else PUBLIC_KEPT_S):
                self._drop(topic)

    def reset(self) -> None:
        """Begins anew from the view. All topics so far are dead: close none of them, open others."""
        self._queue.clear()
        self._overrun = False
        self._outgoing.take()
        self._topics.clear()
        self._idle_since_s.clear()
        for market in self._markets.values():
            market.end()
        self._markets.clear()
        self._recent = RecentTrades(self._view.seq)
        self._accounts = AccountTopics(self._view, Memory())

    def _drop(self, topic: Topic) -> None:
        del self._idle_since_s[topic]
        del self._topics[topic.key]
        self._outgoing.discard(topic)
        if topic.key.is_private:
            self._accounts.remove(topic)
            return
        market = self._markets[topic.key.market_id]
        market.remove(topic)
        if not market:
            del self._markets[topic.key.market_id]

    def _made(self, key: TopicKey) -> Topic:
        """A new topic, as of the view's seq."""
        view, outgoing = self._view, self._outgoing
        if key.is_private:
            return self._accounts.make(key, outgoing, self._fold)
        market = self._markets.get(key.market_id) or MarketTopics(view, key.market_id)

        def settle() -> None:
            self._fold()
            market.flush()

        topic: Topic
        match key.channel:
            case Channel.BOOK:
                topic = BookTopic(key, view, outgoing, settle)
            case Channel.BBO:
                topic = BboTopic(key, view, outgoing, settle)
            case Channel.TRADES:
                trades = self._recent.after(key.market_id, 0)
                topic = TradesTopic(key, view, outgoing, settle, trades)
            case _:
                raise FeedUnavailable(key, "this channel is not there yet")
        market.flush()
        market.add(topic)
        self._markets[key.market_id] = market
        return topic
