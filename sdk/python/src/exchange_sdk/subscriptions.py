"""What a stream gives you: subscriptions, to be awaited, iterated and asked.

    book = await stream.book("ETH-USDC")           # until it is live
    async for trade in stream.trades("ETH-USDC"):  # as they come, over any number of reconnects
    async for event in trades.with_notices():      # with Stale, Live and Gap between them

Whoever reads slowly costs a bounded memory: of states (book, best prices, ticker, balances, candles) the
newest is given, of trades the newest ones, with a Gap; of what is private nothing is left out, see
`private_feeds`.
"""

import asyncio
from collections.abc import AsyncIterator, Generator, Hashable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Generic, Protocol, Self, TypeVar

from exchange_sdk.book import OrderBook
from exchange_sdk.channels import Bbo, BookState, KeyedState, LastState, Message, NewestState
from exchange_sdk.errors import ExchangeError, NotLive, StreamClosed, Unreachable
from exchange_sdk.inbox import Inbox, InboxEnded
from exchange_sdk.models import Balance, Candle, Level, Ticker, Trade
from exchange_sdk.notices import Gap, Live, Notice, Stale
from exchange_sdk.topics import Topic
from exchange_sdk.transport import Transport

T = TypeVar("T")

WAITING_ITEMS = 1_000
"""Of one subscription: so many may wait for their reader."""


class SubscriptionHost(Protocol):
    """The stream, as its subscriptions see it."""

    http: Transport

    def now_ms(self) -> int:
        """By the exchange's clock."""

    @property
    def begin_timeout_s(self) -> float:
        """How long to wait at most for a subscription to begin."""


class Subscription(Generic[T]):
    """One subscription, and what waits for its reader."""

    def __init__(self, topic: Topic, host: SubscriptionHost, inbox: Inbox[T]) -> None:
        self._topic = topic
        self._host = host
        self._inbox = inbox
        self._stale_since_ms: int | None = host.now_ms()
        self._stale_reason = "it has not begun"
        self._told_stale_ms: int | None = None
        """Since when, if its reader was told that it is stale, and not yet that it is live again."""
        self._has_begun = False
        self._error: ExchangeError | None = None
        self._settled = asyncio.Event()
        """Set when it has begun, or never will."""

    # ---- what it is

    @property
    def is_live(self) -> bool:
        """What you read here is what the exchange has, as far as it was sent; see also `Stream.silent_s`."""
        return self._stale_since_ms is None

    @property
    def is_current(self) -> bool:
        """It is live, and nothing is on its way any more of what happened before the connection was made.

        After a reconnect what was missed comes in message by message; this is true once all of it is there,
        which the exchange's next sign of life tells where nothing was missed: after 5 s at most.
        """
        return self.is_live and self._topic.is_made_up

    @property
    def stale_since_ms(self) -> int | None:
        """Since when it is not live; None while it is."""
        return self._stale_since_ms

    @property
    def stale_reason(self) -> str | None:
        """Why it is not live; None while it is."""
        return None if self.is_live else self._stale_reason

    @property
    def seq(self) -> int | None:
        """The exchange's sequence number as of which the state is true; None before it has begun."""
        return self._topic.seq

    @property
    def waiting(self) -> int:
        """How many items its reader has not read yet."""
        return self._inbox.waiting

    def require_live(self) -> Self:
        """Itself, if it is live. Raises NotLive, or what it has failed with."""
        if self._error is not None:
            raise self._error
        if not self.is_live:
            raise NotLive(f"{self._topic.subject} is stale: {self._stale_reason}", self._stale_since_ms)
        return self

    def __repr__(self) -> str:
        state = "live" if self.is_live else f"stale: {self._stale_reason}"
        return f"<{type(self).__name__} {self._topic.subject}, {state}>"

    @property
    def is_private(self) -> bool:
        """Whether it is of one's own things, and needs a key or a wallet."""
        return self._topic.channel.is_private

    # ---- using it

    def __await__(self) -> Generator[Any, None, Self]:
        return self.begun().__await__()

    async def begun(self) -> Self:
        """Waits until it has been live once. Raises what the exchange refuses it with, or Unreachable."""
        try:
            async with asyncio.timeout(self._host.begin_timeout_s):
                await self._settled.wait()
        except TimeoutError:
            raise Unreachable(f"{self._topic.subject} did not begin: {self._stale_reason}") from None
        if not self._has_begun:
            raise self._error or StreamClosed("the stream is closed")
        return self

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        """The next item. Where an iteration was left, the next one goes on."""
        while True:
            item = await self._next()
            if not isinstance(item, Notice):
                return item

    async def with_notices(self) -> AsyncIterator[T | Notice]:
        """The same items, with what the subscription says of itself between them."""
        while True:
            try:
                item = await self._next()
            except StopAsyncIteration:
                return
            yield item

    async def _next(self) -> T | Notice:
        try:
            return await self._inbox.get()
        except InboxEnded:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        """Ends it; iterations end when everything was read that waits."""
        self.fail(None)

    async def __aenter__(self) -> Self:
        """Waits until it has been live once; where that does not come, it is closed."""
        try:
            return await self.begun()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ---- what the stream and the topic call

    def follow(self) -> None:
        """Begins it."""
        self._topic.add(self)

    @property
    def resume_seq(self) -> int | None:
        """See `topics.Follower`."""
        return None

    def on_joined(self) -> None:
        """The topic is live already, for others, and its state is there."""
        self._gone_live(resumed=False)

    def on_snapshot(self, message: Message) -> None:
        self._gone_live(resumed=False)
        self._replaced(message)

    def on_resumed(self, seq: int) -> None:
        if self._has_begun:
            self._gone_live(resumed=True)
        else:
            self.on_joined()

    def on_update(self, message: Message) -> None:
        raise NotImplementedError

    def on_caught_up(self, seq: int) -> None:
        """Everything up to this seq was sent."""

    def on_stale(self, reason: str) -> None:
        if self._stale_since_ms is None:
            self._stale_since_ms, self._stale_reason = self._host.now_ms(), reason
            if self._told_stale_ms is None:
                self._told_stale_ms = self._stale_since_ms
                self._inbox.note(Stale(since_ms=self._stale_since_ms, reason=reason))

    def fail(self, error: ExchangeError | None) -> None:
        """It is over: because of an error, or because nobody wants it any more."""
        if self._inbox.is_closed:
            return
        self._error = error
        reason = "it was closed" if error is None else str(error)
        if self._stale_since_ms is None:
            self._stale_since_ms = self._host.now_ms()
        self._stale_reason = reason
        self._inbox.close(error)
        self._settled.set()
        self._topic.remove(self)

    def _replaced(self, message: Message) -> None:
        """A snapshot has come."""
        raise NotImplementedError

    def _gone_live(self, *, resumed: bool) -> None:
        """It is live, and whoever heard that it was not hears so."""
        self._state_is_live()
        if self._told_stale_ms is not None:
            stale_ms = max(0, self._host.now_ms() - self._told_stale_ms)
            self._inbox.note(Live(seq=self._topic.seq or 0, resumed=resumed, stale_ms=stale_ms))
            self._told_stale_ms = None

    def _state_is_live(self) -> None:
        self._stale_since_ms = None
        self._settled.set()
        self._has_begun = True


def _newest(_: object) -> Hashable:
    return None


class LiveBook(Subscription["LiveBook"]):
    """A market's whole order book, kept up to date. Iterated, it gives itself whenever it has changed."""

    def __init__(self, topic: Topic, host: SubscriptionHost) -> None:
        super().__init__(topic, host, Inbox(1, _newest))

    @property
    def book(self) -> OrderBook:
        """The book itself; it changes in place."""
        state = self._topic.state
        assert isinstance(state, BookState)
        return state.book

    @property
    def market(self) -> str:
        """Whose book it is."""
        return self._topic.subject.market or ""

    @property
    def best_bid(self) -> Level | None:
        """The highest price that somebody buys at."""
        return self.book.best_bid

    @property
    def best_ask(self) -> Level | None:
        """The lowest price that somebody sells at."""
        return self.book.best_ask

    @property
    def mid(self) -> Decimal | None:
        """Half way between the best prices; None while a side is empty."""
        return self.book.mid

    @property
    def spread(self) -> Decimal | None:
        """From the best bid to the best ask; None while a side is empty."""
        return self.book.spread

    def bids(self, levels: int | None = None) -> list[Level]:
        """The best bids, the highest first; all of them without a number."""
        return self.book.bids(levels)

    def asks(self, levels: int | None = None) -> list[Level]:
        """The best asks, the lowest first; all of them without a number."""
        return self.book.asks(levels)

    def depth(self, levels: int | None = None) -> tuple[list[Level], list[Level]]:
        """Bids and asks, the best first."""
        return self.book.depth(levels)

    def size_at(self, price: Decimal) -> Decimal:
        """What is offered at a price, on either side; 0 where there is nothing."""
        return self.book.size_at(price)

    def on_joined(self) -> None:
        super().on_joined()
        self._inbox.put(self)

    def _replaced(self, message: Message) -> None:
        self._inbox.put(self)

    def on_update(self, message: Message) -> None:
        self._inbox.put(self)


V = TypeVar("V", Bbo, Ticker)


class Newest(Subscription[V]):
    """A value of which only the newest counts. Iterated, it gives the newest whenever it has changed."""

    def __init__(self, topic: Topic, host: SubscriptionHost) -> None:
        super().__init__(topic, host, Inbox(1, _newest))

    @property
    def value(self) -> V:
        """The newest. Raises NotLive before there is one."""
        state = self._topic.state
        assert isinstance(state, NewestState)
        value: V | None = state.value
        if value is None:
            raise NotLive(f"{self._topic.subject} has not begun", self._stale_since_ms)
        return value

    def on_joined(self) -> None:
        super().on_joined()
        self._inbox.put(self.value)

    def _replaced(self, message: Message) -> None:
        self._inbox.put(message.data)

    def on_update(self, message: Message) -> None:
        self._inbox.put(message.data)


class LiveBbo(Newest[Bbo]):
    """A market's best prices."""


class LiveTicker(Newest[Ticker]):
    """A market's last 24 hours."""


class Trades(Subscription[Trade]):
    """The trades of a market since it was subscribed to, oldest first, each once.

    After an absence the newest 50 are made up for; when there were more, a Gap says so.
    """

    def __init__(self, topic: Topic, host: SubscriptionHost, *, recent: bool) -> None:
        super().__init__(topic, host, Inbox(WAITING_ITEMS))
        self._gives_recent = recent
        self._last_id: int | None = None

    def on_joined(self) -> None:
        super().on_joined()
        state = self._topic.state
        assert isinstance(state, LastState)
        self._last_id = 0 if state.last is None else int(state.last.trade_id)

    def on_snapshot(self, message: Message) -> None:
        trades: tuple[Trade, ...] = message.data
        newest = int(trades[-1].trade_id) if trades else 0
        if self._last_id is None:
            self._last_id = 0 if self._gives_recent else newest
        elif newest > self._last_id < int(trades[0].trade_id):
            self._inbox.note(Gap(missed=None, reason="more trades than are remembered happened meanwhile"))
        super().on_snapshot(message)

    def _replaced(self, message: Message) -> None:
        self.on_update(message)

    def on_update(self, message: Message) -> None:
        assert self._last_id is not None
        for trade in message.data:
            trade_id = int(trade.trade_id)
            if trade_id > self._last_id:
                self._last_id = trade_id
                self._inbox.put(trade)


class Candles(Subscription[Candle]):
    """The candles of a market as they change; one that is `closed` is final. The first are the last two
    there are.

    Of a candle that waits for its reader the newest state is given.
    """

    def __init__(self, topic: Topic, host: SubscriptionHost) -> None:
        super().__init__(topic, host, Inbox(WAITING_ITEMS, lambda candle: candle.open_ms))
        self._last_open_ms: int | None = None

    def on_joined(self) -> None:
        super().on_joined()
        state = self._topic.state
        assert isinstance(state, LastState)
        if state.last is not None:
            self._take((state.last,))

    def on_snapshot(self, message: Message) -> None:
        candles: tuple[Candle, ...] = message.data
        if self._last_open_ms is not None and candles and self._last_open_ms < candles[0].open_ms:
            self._inbox.note(Gap(missed=None, reason="candles may have ended meanwhile"))
        super().on_snapshot(message)

    def _replaced(self, message: Message) -> None:
        self._take(message.data)

    def on_update(self, message: Message) -> None:
        self._take(message.data)

    def _take(self, candles: tuple[Candle, ...]) -> None:
        for candle in candles:
            self._last_open_ms = max(candle.open_ms, self._last_open_ms or 0)
            self._inbox.put(candle)


class Balances(Subscription[Balance]):
    """What an account has, by asset: `balances["USDC"].available`. Iterated, it gives all, then what changes.

    Of an asset that waits for its reader the newest state is given.
    """

    def __init__(self, topic: Topic, host: SubscriptionHost) -> None:
        super().__init__(topic, host, Inbox(WAITING_ITEMS, lambda balance: balance.asset))
        self._told: dict[str, Balance] = {}

    @property
    def by_asset(self) -> Mapping[str, Balance]:
        """All that are not empty."""
        state = self._topic.state
        assert isinstance(state, KeyedState)
        return state.by_key

    def __getitem__(self, asset: str) -> Balance:
        """The balance of an asset; of one that the account does not have it is 0."""
        nothing = Decimal(0)
        empty = Balance(asset=asset, available=nothing, held=nothing, total=nothing)
        return self.by_asset.get(asset, empty)

    def on_joined(self) -> None:
        super().on_joined()
        self._take(self.by_asset.values())

    def _replaced(self, message: Message) -> None:
        self._take(message.data)
        for asset in self._told.keys() - self.by_asset.keys():
            self._take((self[asset],))

    def on_update(self, message: Message) -> None:
        self._take(message.data)

    def _take(self, balances: Iterable[Balance]) -> None:
        for balance in balances:
            if self._told.get(balance.asset) != balance:
                self._told[balance.asset] = balance
                self._inbox.put(balance)
