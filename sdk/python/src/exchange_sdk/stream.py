"""Everything that changes, over one WebSocket that is connected again whenever it is lost.

    async with exchange.stream() as stream:
        book = await stream.book("ETH-USDC")
        async for trade in stream.trades("ETH-USDC"):
            print(trade.price, book.best_bid, book.is_live)

Each subscription goes on where it stopped, or tells what it could not go on with. It never pretends:
`is_live` and `stale_since_ms` say how things stand.
"""

import asyncio
import random
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from exchange_sdk.channels import CHANNELS, Subject
from exchange_sdk.connection import Connection, Frame, NotOpened, open_connection
from exchange_sdk.errors import ExchangeError, StreamClosed, Unreachable, WrongDeployment
from exchange_sdk.models import Interval
from exchange_sdk.private_feeds import Deposits, Fills, Orders, Withdrawals
from exchange_sdk.sign_in import SignIn
from exchange_sdk.subscriptions import (
    Balances,
    Candles,
    LiveBbo,
    LiveBook,
    LiveTicker,
    Subscription,
    Trades,
)
from exchange_sdk.topics import Topic
from exchange_sdk.trading_stream import TradingStream
from exchange_sdk.transport import Transport

if TYPE_CHECKING:
    from exchange_sdk.client import Exchange

S = TypeVar("S", bound=Subscription[Any])

STEADY_S = 5.0
"""A connection that lasted for so long was a good one: the next is tried for at once."""


class Stream:
    """One connection to the exchange's streams, and all that is subscribed to over it."""

    def __init__(
        self,
        exchange: "Exchange",
        *,
        timeout_s: float = 10.0,
        silence_s: float = 10.0,
        first_delay_s: float = 0.25,
        longest_delay_s: float = 15.0,
        order_life_s: float = 10.0,
        compressed: bool = False,
    ) -> None:
        """Made by `exchange.stream()`.

        `timeout_s`: how long to wait for a connection, for a subscription to begin, and for a reply.
        `silence_s`: when nothing came for so long (the exchange says something every 5 s), the connection
        counts as lost. Between two attempts to connect it waits up to `first_delay_s`, doubled each time,
        up to `longest_delay_s`. `order_life_s`: the exchange takes an order no later than this; after it,
        an order whose outcome is unknown is settled.
        """
        self.http: Transport = exchange._http
        self.begin_timeout_s = timeout_s
        self.trading = TradingStream(self, exchange, order_life_s=order_life_s, timeout_s=timeout_s)
        """Orders over this connection."""
        self.connection: Connection | None = None
        self.connects = 0
        """How often it has been connected."""
        self.why_lost = "it was never connected"
        """Why the last connection was lost, or could not be had."""
        self._silence_s = silence_s
        self._first_delay_s = first_delay_s
        self._longest_delay_s = longest_delay_s
        self._compressed = compressed
        self._topics: dict[Subject, Topic] = {}
        self._sign_in = SignIn(self, exchange)
        self._work: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        """Set when it was connected once, or will never be."""
        self._error: ExchangeError | None = None
        self._is_closed = False

    # ---- life

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self.connection is not None

    @property
    def silent_s(self) -> float | None:
        """How long ago the exchange said anything; None while there is no connection.

        What is live is as old as this at most. While all is well it stays below 5 s.
        """
        return None if self.connection is None else self.connection.silent_s

    async def __aenter__(self) -> Self:
        """Connects. Raises Unreachable, WrongDeployment."""
        if self._work is not None:
            raise StreamClosed("a stream is used once: make another one")
        self._work = asyncio.create_task(self._run(), name="exchange stream")
        try:
            async with asyncio.timeout(self.begin_timeout_s):
                await self._settled.wait()
        except TimeoutError:
            await self.close()
            raise Unreachable(self.why_lost) from None
        except BaseException:
            await self.close()
            raise
        if self._error is not None:
            await self.close()
            raise self._error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection; iterations end when what waits was read."""
        self._is_closed = True
        try:
            if self.connection is not None:
                await self.connection.close()
        finally:  # also when it is interrupted: nothing goes on connecting
            if self._work is not None:
                self._work.cancel()
                await asyncio.gather(self._work, return_exceptions=True)
            self._end(self._error)

    # ---- subscriptions

    def book(self, market: str) -> LiveBook:
        """A market's whole order book, kept up to date."""
        return self._subscribed(LiveBook(self._topic("book", market), self))

    def bbo(self, market: str) -> LiveBbo:
        """A market's best bid and best ask."""
        return self._subscribed(LiveBbo(self._topic("bbo", market), self))

    def ticker(self, market: str) -> LiveTicker:
        """A market's last 24 hours."""
        return self._subscribed(LiveTicker(self._topic("ticker", market), self))

    def trades(self, market: str, *, recent: bool = False) -> Trades:
        """A market's trades from now on; with `recent`, after the newest 50 there were."""
        return self._subscribed(Trades(self._topic("trades", market), self, recent=recent))

    def candles(self, market: str, interval: Interval = "1m") -> Candles:
        """A market's candles: the last two, then whatever changes."""
        return self._subscribed(Candles(self._topic("candles", market, interval), self))

    def orders(self, sub_account: int = 0) -> Orders:
        """Every change of your orders from now on, and those that are open."""
        return self._subscribed(Orders(self._own_topic("orders", sub_account), self))

    def fills(self, sub_account: int = 0) -> Fills:
        """Your fills from now on."""
        return self._subscribed(Fills(self._own_topic("fills", sub_account), self))

    def balances(self, sub_account: int = 0) -> Balances:
        """What you have, kept up to date."""
        return self._subscribed(Balances(self._own_topic("balances", sub_account), self))

    def deposits(self) -> Deposits:
        """Every step of your deposits from now on."""
        return self._subscribed(Deposits(self._own_topic("deposits"), self))

    def withdrawals(self) -> Withdrawals:
        """Every step of your withdrawals from now on."""
        return self._subscribed(Withdrawals(self._own_topic("withdrawals"), self))

    def _topic(self, channel: str, market: str | None, interval: str | None = None) -> Topic:
        return self._topic_of(Subject(channel, market=market, interval=interval))

    def _own_topic(self, channel: str, sub_account: int | None = None) -> Topic:
        self._sign_in.require_credential()
        return self._topic_of(Subject(channel, sub_account=sub_account))

    def _topic_of(self, subject: Subject) -> Topic:
        if self._is_closed or self._work is None:
            raise StreamClosed("the stream is not open: async with exchange.stream() as stream")
        if subject not in self._topics:
            self._topics[subject] = Topic(subject, self)
        return self._topics[subject]

    def _subscribed(self, subscription: S) -> S:
        subscription.follow()
        if subscription.is_private and self._sign_in.error is not None:
            subscription.fail(self._sign_in.error)
        return subscription

    # ---- what topics, subscriptions and the sign-in call

    def now_ms(self) -> int:
        """By the exchange's clock."""
        return self.http.clock.now_ms()

    def connection_for(self, topic: Topic) -> Connection | None:
        """Where the topic can be asked for now."""
        is_ready = self._sign_in.is_signed_in or not topic.channel.is_private
        return self.connection if is_ready else None

    def call_later(self, attempt: int, asked_s: float | None, callback: Callable[[], None]) -> None:
        """After a while that grows with the attempts, and is no shorter than asked for."""
        delay_s = max(asked_s or 0.0, self.delay_s(attempt))
        asyncio.get_running_loop().call_later(delay_s, callback)

    def delay_s(self, attempt: int) -> float:
        """How long to wait before the attempt that follows the given one: 0 for the first. Random, so that
        clients that lost the exchange together do not come back together."""
        longest_s = min(self._longest_delay_s, self._first_delay_s * 2.0 ** min(attempt, 30))
        return random.uniform(0.0, longest_s)  # noqa: S311 - no secret

    def signed_out(self, connection: Connection, code: str = "") -> None:
        """The connection speaks for nobody any more."""
        if connection is self.connection:
            self._sign_in.signed_out(connection, code)

    async def signed_in_connection(self) -> Connection:
        """The present one, once it speaks for somebody. Raises Unreachable, or why nobody can be signed
        in."""
        if not self._sign_in.is_signed_in:
            await self._sign_in.done(self.begin_timeout_s)
        assert self.connection is not None
        return self.connection

    async def prepare(self, connection: Connection) -> None:
        """It is signed in: what must be done before anything else. Raises ExchangeError."""
        await self.trading.prepare(connection)

    def signed_in(self) -> None:
        """The connection speaks for the owner now."""
        for topic in list(self._topics.values()):
            topic.sync()

    def sign_in_failed(self, error: ExchangeError) -> None:
        """It never will."""
        for topic in list(self._topics.values()):
            if topic.channel.is_private:
                topic.fail(error)

    def forget(self, topic: Topic) -> None:
        """Nobody follows it any more."""
        if self._topics.get(topic.subject) is topic:
            del self._topics[topic.subject]

    # ---- the connection

    async def _run(self) -> None:
        try:
            await self._keep_connected()
        except ExchangeError as error:
            self._end(error)
        except Exception as error:
            self._end(StreamClosed(f"an error of this package has ended the stream: {error!r}"))
            raise

    async def _keep_connected(self) -> None:
        attempt = 0
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection = await self._connect()
            except NotOpened as error:
                self.why_lost = str(error)
                if error.is_final and not self.connects:
                    raise Unreachable(str(error)) from error
                attempt += 1
                await asyncio.sleep(max(error.retry_after_s or 0.0, self.delay_s(attempt)))
                continue
            began_s = loop.time()
            await self._serve(connection)
            attempt = 0 if loop.time() - began_s > STEADY_S else attempt + 1
            await asyncio.sleep(self.delay_s(attempt))

    async def _connect(self) -> Connection:
        """Raises NotOpened, WrongDeployment."""
        try:
            await self.http.ready()
        except WrongDeployment:
            raise
        except ExchangeError as error:
            raise NotOpened(str(error)) from error
        connection = await open_connection(
            self.http.url,
            silence_s=self._silence_s,
            timeout_s=self.begin_timeout_s,
            compressed=self._compressed,
        )
        genesis_id = (await self.http.deployment()).genesis_id
        if connection.welcome.genesis_id != genesis_id:
            connection.abort()
            raise WrongDeployment(
                "another exchange answers at this address now: what is held here is not its"
            )
        return connection

    async def _serve(self, connection: Connection) -> None:
        self.connection = connection
        self.connects += 1
        self._settled.set()
        self._sign_in.on_connected(connection)
        for topic in list(self._topics.values()):
            topic.sync()
        reason = "it was closed"
        try:
            reason = await connection.run(self._on_frame)
        finally:
            self.connection = None
            self.why_lost = reason
            self._sign_in.on_lost()
            for topic in list(self._topics.values()):
                topic.on_lost(reason)

    def _on_frame(self, frame: Frame, raw: bytes) -> None:
        if frame.type == "heartbeat":
            for topic in list(self._topics.values()):
                topic.on_heartbeat(frame.seq)
            return
        if frame.channel not in CHANNELS:
            return  # of a newer exchange
        subject = Subject(frame.channel, frame.market, frame.interval, frame.sub_account)
        addressed = self._topics.get(subject)
        if addressed is None:
            return  # nobody follows it any more
        if frame.type in {"snapshot", "update"}:
            addressed.on_data(frame)
        elif frame.type == "ended" and self.connection is not None:
            addressed.on_ended(frame)
            self.signed_out(self.connection, frame.code)

    def _end(self, error: ExchangeError | None) -> None:
        self._is_closed = True
        self._error = error
        self._settled.set()
        for topic in list(self._topics.values()):
            topic.fail(error)

    def __repr__(self) -> str:
        state = "connected" if self.is_connected else f"not connected: {self.why_lost}"
        return f"<Stream {self.http.url}, {state}>"
