"""Streams without asyncio: `with exchange.stream() as stream:` of a `SyncExchange`.

What is live changes in the loop's thread. So what is read of it is read there, by `read` and the properties
below: in between, nothing changes.
"""

import functools
from collections.abc import Callable, Coroutine, Iterator, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from exchange_sdk.channels import Bbo
from exchange_sdk.models import Balance, Level, Order, Ticker
from exchange_sdk.notices import Notice
from exchange_sdk.private_feeds import Orders
from exchange_sdk.stream import Stream
from exchange_sdk.subscriptions import Balances, LiveBbo, LiveBook, LiveTicker, Subscription
from exchange_sdk.sync_loop import Loop
from exchange_sdk.trading_stream import TradingStream

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


class SyncSubscription(Generic[T]):
    """A subscription that was live when it was made."""

    def __init__(self, loop: Loop, feed: Subscription[T]) -> None:
        self._loop = loop
        self._feed = feed

    @property
    def is_live(self) -> bool:
        """Whether what was read last is what the exchange has."""
        return self._feed.is_live

    @property
    def is_current(self) -> bool:
        """Whether it is live, and nothing of an absence is still on its way."""
        return self._loop.call(lambda: self._feed.is_current)

    @property
    def stale_reason(self) -> str | None:
        """Why it is not live; None while it is."""
        return self._feed.stale_reason

    @property
    def seq(self) -> int | None:
        """The exchange's sequence number as of which the state is true."""
        return self._feed.seq

    def require_live(self) -> Self:
        """Itself, if it is live. Raises NotLive, or what it has failed with."""
        self._feed.require_live()
        return self

    def close(self) -> None:
        """Ends it."""
        self._loop.run(self._feed.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Sync of {self._feed!r}>"


class SyncFeed(SyncSubscription[T]):
    """Items as they come: `for item in feed`."""

    def __iter__(self) -> Iterator[T]:
        """The next items. Where an iteration was left, the next one goes on."""
        return self._loop.iterate(aiter(self._feed))

    def with_notices(self) -> Iterator[T | Notice]:
        """The same items, with what the subscription says of itself between them."""
        return self._loop.iterate(self._feed.with_notices())


class SyncBook(SyncSubscription[LiveBook]):
    """A whole order book. Iterated, it gives itself whenever it has changed."""

    def __init__(self, loop: Loop, feed: LiveBook) -> None:
        super().__init__(loop, feed)
        self._book = feed

    def __iter__(self) -> Iterator[Self]:
        return (self for _ in self._loop.iterate(aiter(self._feed)))

    def with_notices(self) -> Iterator[Self | Notice]:
        """The same, with what the subscription says of itself in between."""
        for event in self._loop.iterate(self._feed.with_notices()):
            yield event if isinstance(event, Notice) else self

    def read(self, look: Callable[[LiveBook], R]) -> R:
        """What `look` returns of the book, which does not change meanwhile."""
        return self._loop.call(functools.partial(look, self._book))

    @property
    def best_bid(self) -> Level | None:
        """The highest bid; None where there is none. Also while the book is stale: see `require_live`."""
        return self.read(lambda book: book.best_bid)

    @property
    def best_ask(self) -> Level | None:
        """The lowest ask; None where there is none. Also while the book is stale: see `require_live`."""
        return self.read(lambda book: book.best_ask)

    @property
    def mid(self) -> Decimal | None:
        """Half way between the two; None where one is missing."""
        return self.read(lambda book: book.mid)

    def depth(self, levels: int | None = None) -> tuple[list[Level], list[Level]]:
        """Bids and asks of one moment, best first: all, or the best `levels`."""
        return self.read(lambda book: book.depth(levels))


class SyncNewest(SyncFeed[T]):
    """Something of which only the newest value counts."""

    def __init__(self, loop: Loop, feed: Subscription[T], value: Callable[[], T]) -> None:
        super().__init__(loop, feed)
        self._value = value

    @property
    def value(self) -> T:
        """The newest that was heard, also while it is stale: see `require_live`."""
        return self._loop.call(self._value)


class SyncOrders(SyncFeed[Order]):
    """Changes of your orders, and those that are open."""

    def __init__(self, loop: Loop, feed: Orders) -> None:
        super().__init__(loop, feed)
        self._orders = feed

    @property
    def open(self) -> Mapping[str, Order]:
        """Those that are open now, by their id."""
        return self._loop.call(lambda: dict(self._orders.open))


class SyncBalances(SyncFeed[Balance]):
    """What you have."""

    def __init__(self, loop: Loop, feed: Balances) -> None:
        super().__init__(loop, feed)
        self._balances = feed

    @property
    def by_asset(self) -> Mapping[str, Balance]:
        """All that are not empty, now."""
        return self._loop.call(lambda: dict(self._balances.by_asset))

    def __getitem__(self, asset: str) -> Balance:
        return self._loop.call(lambda: self._balances[asset])


def _traded(
    method: Callable[Concatenate[TradingStream, P], Coroutine[Any, Any, R]],
) -> "Callable[Concatenate[SyncTrading, P], R]":
    @functools.wraps(method)
    def call(trading: "SyncTrading", /, *args: P.args, **options: P.kwargs) -> R:
        return trading.loop.run(method(trading.asynchronous, *args, **options))

    return call


class SyncTrading:
    """Orders over the stream's connection. See `TradingStream`."""

    def __init__(self, loop: Loop, trading: TradingStream) -> None:
        self.loop = loop
        self.asynchronous = trading

    place = _traded(TradingStream.place)
    submit = _traded(TradingStream.submit)
    amend = _traded(TradingStream.amend)
    cancel = _traded(TradingStream.cancel)
    cancel_all = _traded(TradingStream.cancel_all)
    batch = _traded(TradingStream.batch)
    cancel_all_after = _traded(TradingStream.cancel_all_after)
    cancel_on_disconnect = _traded(TradingStream.cancel_on_disconnect)
    outcome = _traded(TradingStream.outcome)

    @property
    def seq(self) -> int:
        """The exchange's sequence number of the newest change that was answered here."""
        return self.asynchronous.seq

    @property
    def in_flight(self) -> int:
        """Requests that were sent and are not answered yet."""
        return self.asynchronous.in_flight

    @property
    def cancels_on_disconnect(self) -> bool:
        """Whether the exchange was asked to."""
        return self.asynchronous.cancels_on_disconnect


def _followed(
    method: Callable[Concatenate[Stream, P], S], wrapped: Callable[[Loop, S], R]
) -> "Callable[Concatenate[SyncStream, P], R]":
    """The method, which waits until the subscription is live."""

    @functools.wraps(method)
    def call(stream: "SyncStream", /, *args: P.args, **options: P.kwargs) -> R:
        feed = stream.loop.call(functools.partial(method, stream.asynchronous, *args, **options))
        assert isinstance(feed, Subscription)
        stream.loop.run(feed.__aenter__())
        return wrapped(stream.loop, feed)

    return call


def _feed(loop: Loop, feed: Subscription[T]) -> SyncFeed[T]:
    return SyncFeed(loop, feed)


def _bbo(loop: Loop, feed: LiveBbo) -> SyncNewest[Bbo]:
    return SyncNewest(loop, feed, lambda: feed.value)


def _ticker(loop: Loop, feed: LiveTicker) -> SyncNewest[Ticker]:
    return SyncNewest(loop, feed, lambda: feed.value)


class SyncStream:
    """One connection to the exchange's streams. See `Stream`."""

    def __init__(self, loop: Loop, stream: Stream) -> None:
        """Made by `SyncExchange.stream()`."""
        self.loop = loop
        self.asynchronous = stream
        """What this runs."""
        self.trading = SyncTrading(loop, stream.trading)
        """Orders over this connection."""

    book = _followed(Stream.book, SyncBook)
    bbo = _followed(Stream.bbo, _bbo)
    ticker = _followed(Stream.ticker, _ticker)
    trades = _followed(Stream.trades, _feed)
    candles = _followed(Stream.candles, _feed)
    orders = _followed(Stream.orders, SyncOrders)
    fills = _followed(Stream.fills, _feed)
    balances = _followed(Stream.balances, SyncBalances)
    deposits = _followed(Stream.deposits, _feed)
    withdrawals = _followed(Stream.withdrawals, _feed)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self.asynchronous.is_connected

    @property
    def silent_s(self) -> float | None:
        """How long ago the exchange said anything; None while there is no connection."""
        return self.loop.call(lambda: self.asynchronous.silent_s)

    @property
    def why_lost(self) -> str:
        """Why the last connection was lost, or could not be had."""
        return self.asynchronous.why_lost

    @property
    def connects(self) -> int:
        """How often it has been connected."""
        return self.asynchronous.connects

    def close(self) -> None:
        """Ends the connection; iterations end when what waits was read."""
        self.loop.run(self.asynchronous.close())

    def __enter__(self) -> Self:
        self.loop.run(self.asynchronous.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Sync of {self.asynchronous!r}>"
