"""All streams of an exchange: what is committed comes in, typed updates go out.

No sockets, no bytes and no waiting here, but for the first read of what a stream continues. Whoever owns the
sockets (the hub) does this, all in one loop:

    committed  is called by the sequencer right after the committed view has a batch; it only remembers it
    drain      soon after: private updates, exact per command
    advance    at its own pace: what has gathered for public streams, one update each; in quiet times too,
               about every second, because candles end and tickers move by the clock
    open, close, `Topic.snapshot`, `Topic.since`  for its subscribers
    expire     about every second: forgets topics that nobody has wanted for a while

Should taking in fail, whoever asked for it, that is a bug, and something is missing of which nobody knows.
From then on everything that would have to take in more raises FeedsBroken, and `woken` is set, so that the
hub finds out: `reset` drops all topics, and subscribers have to open theirs anew. The engine is never
concerned.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from exchange.core.events import Trade
from exchange.feeds.accounts import AccountTopics
from exchange.feeds.book import BboTopic, BookTopic
from exchange.feeds.candles import CandlesTopic
from exchange.feeds.errors import FeedsOverrun, FeedUnavailable, FoldFailed
from exchange.feeds.history import History, PastTrades
from exchange.feeds.keys import Channel, TopicKey
from exchange.feeds.market import MarketTopics
from exchange.feeds.message_log import Memory
from exchange.feeds.tickers import TickerTopic
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

PAST_TIMEOUT_S = 2.0
"""How long trades may take to be read; without those before its time a stream of them begins all the same."""
PAST_RETRY_S = 5.0
"""So long after a failure the next subscriber need not wait for the same."""

RELEASE_TIMEOUT_S = 2.0
"""How long the view may take to reach what was read: where an answer is late, ClickHouse has it first."""

BEGIN_TIMEOUT_S = 3.0
"""How long a topic may take to read what it continues, and to wait for others that do. Whoever asks for it
waits for so long, with all it asks for behind."""

Handed = list[tuple[Topic, list[Update]]]


class Feeds:
    """The streams of the exchange whose committed view this is.

    `history` is what candles and tickers continue; without it there are none. `horizon_ns`: nothing that the
    view does not have yet will have an earlier time.
    """

    def __init__(self, view: CommittedView, history: History | None, horizon_ns: Callable[[], int]) -> None:
        self.woken = asyncio.Event()
        """Set when `drain` has something to take in, or to raise; the hub clears it before it drains."""
        self._view = view
        self._history = history
        self._horizon_ns = horizon_ns
        self._beginning = asyncio.Lock()
        self._queue: deque[Committed] = deque()
        self._overrun = False
        self._failure: BaseException | None = None
        """What taking in has raised."""
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

        Each topic's updates are in order, and are handed out once. Raises FeedsBroken.
        """
        self._take_in()
        return self._outgoing.take()

    def advance(self) -> Handed:
        """As `drain`, and one update for each public topic that changed, as of the view's seq."""
        self._take_in(*self._markets.values())
        return self._outgoing.take()

    def _take_in(self, *markets: MarketTopics) -> None:
        """Brings everything that is folded, and all topics of these markets, to the view's seq.

        Raises FeedsBroken after a failure, until `reset`.
        """
        self._require_whole()
        try:
            self._fold()
            if markets:
                horizon_ns = self._horizon_ns()
                for market in markets:
                    market.flush(horizon_ns)
        except BaseException as error:
            self._failure = error
            self.woken.set()
            raise

    def _require_whole(self) -> None:
        if self._overrun:
            raise FeedsOverrun
        if self._failure is not None:
            raise FoldFailed from self._failure

    def _fold(self) -> None:
        """Takes in what waits to be drained."""
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

        Raises FeedUnavailable, FeedsBroken.
        """
        self._require_whole()
        topic = self._topics.get(key)
        if topic is None or self._wants_past(topic):
            topic = await self._begun(key)
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
        self._failure = None
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

    async def _begun(self, key: TopicKey) -> Topic:
        """The topic, made unless somebody else has made it meanwhile. Raises FeedUnavailable, FeedsBroken."""
        match key.channel:
            case Channel.TRADES:
                return await self._trades(key)
            case Channel.CANDLES | Channel.TICKER:
                try:
                    # One after the other, for ClickHouse does one at a time.
                    async with asyncio.timeout(BEGIN_TIMEOUT_S), self._beginning:
                        return self._topics.get(key) or self._add(await self._continued(key))
                except TimeoutError as error:
                    raise FeedUnavailable(key, "ClickHouse takes too long") from error
            case _:
                return self._add(self._new(key))

    def _add(self, topic: Topic) -> Topic:
        self._topics[topic.key] = topic
        return topic

    def _new(self, key: TopicKey) -> Topic:
        """A new topic of the view's seq that needs nothing but the view."""
        if key.is_private:
            self._take_in()
            return self._accounts.make(key, self._outgoing, self._take_in)
        market, settle = self._settled(key.market_id)
        kind = BookTopic if key.channel is Channel.BOOK else BboTopic
        return market.add(kind(key, self._view, self._outgoing, settle))

    def _wants_past(self, topic: Topic) -> bool:
        """Whether trades of before its time are to be read for it."""
        if self._history is None or not isinstance(topic, TradesTopic):
            return False
        return topic.lacks_past and topic.past_due_s <= asyncio.get_running_loop().time()

    async def _trades(self, key: TopicKey) -> Topic:
        """The topic of the market's trades: in any case it has those in memory, if need be no older ones."""
        if self._history is None:
            return self._with_past(key, None)
        try:
            async with asyncio.timeout(PAST_TIMEOUT_S), self._beginning:
                topic, from_seq = self._topics.get(key), self._recent.floor_seq
                if isinstance(topic, TradesTopic):
                    if not self._wants_past(topic):
                        return topic
                    from_seq = topic.past_seq
                return self._with_past(key, await self._history.trades(key, from_seq))
        except (FeedUnavailable, TimeoutError):
            return self._with_past(key, None)

    def _with_past(self, key: TopicKey, past: PastTrades | None) -> Topic:
        """The topic, made unless there is one, with what was read, where that reaches to what it has."""
        topic = self._topics.get(key)
        if topic is None:
            market, settle = self._settled(key.market_id)
            trades, past_seq = self._recent.after(key.market_id, 0), self._recent.floor_seq
            made = TradesTopic(key, self._view, self._outgoing, settle, trades, past_seq)
            topic = self._add(market.add(made))
        assert isinstance(topic, TradesTopic)
        if past is not None and past.seq >= topic.past_seq:
            topic.put_past(past.trades)
        else:
            topic.past_due_s = asyncio.get_running_loop().time() + PAST_RETRY_S
        return topic

    async def _continued(self, key: TopicKey) -> Topic:
        """A new topic that continues candles in ClickHouse. Raises FeedUnavailable."""
        if self._history is None:
            raise FeedUnavailable(key, "there is no ClickHouse")
        from_seq = self._recent.floor_seq
        kind: type[CandlesTopic | TickerTopic]
        if key.channel is Channel.CANDLES:
            kind, past = CandlesTopic, await self._history.candles(key, from_seq)
        else:
            now_ms = self._horizon_ns() // 1_000_000
            kind, past = TickerTopic, await self._history.minutes(key, from_seq, now_ms)
        if not await self._view.reached(past.newest_seq, RELEASE_TIMEOUT_S):
            raise FeedUnavailable(key, "ClickHouse is ahead of what the engine has answered")
        self._take_in()
        if past.seq < self._recent.floor_seq:
            raise FeedUnavailable(key, "ClickHouse is too far behind")
        market, settle = self._settled(key.market_id)
        recent = self._recent.after(key.market_id, past.last_trade_id)
        horizon_ns = max(self._view.time_ns, self._horizon_ns())
        return market.add(kind(key, self._view, self._outgoing, settle, past, recent, horizon_ns))

    def _settled(self, market_id: int) -> tuple[MarketTopics, Callable[[], None]]:
        """The market's topics, to which all that has happened is told, and what does that again."""
        market = self._markets.get(market_id)
        if market is None:
            market = self._markets[market_id] = MarketTopics(self._view, market_id)
        self._take_in(market)
        return market, partial(self._take_in, market)
