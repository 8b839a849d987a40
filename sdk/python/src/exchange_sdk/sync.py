"""The same without asyncio: `SyncExchange` runs an `Exchange` on an event loop in a thread of its own.

Its methods are those of `Exchange`, wrapped one by one: parameters, types and documentation are the
originals'. Any thread may call them, several at a time.
"""

import functools
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

import httpx

from exchange_sdk.client import Exchange
from exchange_sdk.clock import ExchangeClock
from exchange_sdk.history import PAGE_SIZE, History, Page
from exchange_sdk.retries import Retries
from exchange_sdk.signing import AgentKey
from exchange_sdk.stream import Stream
from exchange_sdk.sync_loop import Loop
from exchange_sdk.sync_stream import SyncStream
from exchange_sdk.transport import RateLimit
from exchange_sdk.wallet import Wallet

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class SyncHistory(Generic[T]):
    """Everything of one kind: `for item in history`, or `history.all()`. See `History`."""

    def __init__(self, loop: Loop, history: History[T]) -> None:
        self._loop = loop
        self._history = history

    @property
    def cursor(self) -> str | None:
        """After the last page of which every item was given."""
        return self._history.cursor

    @property
    def seq(self) -> int:
        """As of when the newest page is true."""
        return self._history.seq

    def __iter__(self) -> Iterator[T]:
        return self._loop.iterate(aiter(self._history))

    def pages(self, size: int = PAGE_SIZE) -> Iterator[Page[T]]:
        """The pages themselves, at most `size` items each."""
        return self._loop.iterate(self._history.pages(size))

    def all(self, limit: int | None = None) -> list[T]:
        """All items, or the first `limit`, as a list."""
        return self._loop.run(self._history.all(limit))

    def first(self) -> T | None:
        """The first item, or None where there is none."""
        return self._loop.run(self._history.first())


def blocking(
    method: Callable[Concatenate[Exchange, P], Coroutine[Any, Any, R]],
) -> "Callable[Concatenate[SyncExchange, P], R]":
    """The method, which waits for its result."""

    @functools.wraps(method)
    def call(exchange: "SyncExchange", /, *args: P.args, **options: P.kwargs) -> R:
        return exchange.run(method(exchange.asynchronous, *args, **options))

    return call


def listing(
    method: Callable[Concatenate[Exchange, P], History[T]],
) -> "Callable[Concatenate[SyncExchange, P], SyncHistory[T]]":
    """The method, whose history is iterated without `async`."""

    @functools.wraps(method)
    def call(exchange: "SyncExchange", /, *args: P.args, **options: P.kwargs) -> SyncHistory[T]:
        return SyncHistory(exchange.loop, method(exchange.asynchronous, *args, **options))

    return call


def streaming(
    method: Callable[Concatenate[Exchange, P], Stream],
) -> "Callable[Concatenate[SyncExchange, P], SyncStream]":
    """The method, whose stream is used without `async`."""

    @functools.wraps(method)
    def call(exchange: "SyncExchange", /, *args: P.args, **options: P.kwargs) -> SyncStream:
        make = functools.partial(method, exchange.asynchronous, *args, **options)
        return SyncStream(exchange.loop, exchange.loop.call(make))

    return call


class SyncExchange:
    """One exchange, without asyncio. `with SyncExchange(url, key=key) as exchange:`"""

    def __init__(
        self,
        url: str,
        *,
        key: AgentKey | None = None,
        wallet: Wallet | None = None,
        host: str | None = None,
        timeout_s: float = 10.0,
        retries: Retries = Retries(),  # noqa: B008 - frozen
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """As `Exchange`."""
        self.asynchronous = Exchange(
            url, key=key, wallet=wallet, host=host, timeout_s=timeout_s, retries=retries, http=http
        )
        """What this runs."""
        self.loop = Loop()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """The result of any other coroutine of `asynchronous`."""
        return self.loop.run(work)

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return self.asynchronous.url

    @property
    def key(self) -> AgentKey | None:
        """Who trades."""
        return self.asynchronous.key

    @property
    def wallet(self) -> Wallet | None:
        """The owner."""
        return self.asynchronous.wallet

    @property
    def clock(self) -> ExchangeClock:
        """The exchange's time, once something was signed."""
        return self.asynchronous.clock

    @property
    def seq(self) -> int:
        """The engine's sequence number of the newest change made here."""
        return self.asynchronous.seq

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the newest answer said of the budget that is nearest to empty."""
        return self.asynchronous.rate_limit

    # market data
    time = blocking(Exchange.time)
    deployment = blocking(Exchange.deployment)
    assets = blocking(Exchange.assets)
    asset = blocking(Exchange.asset)
    markets = blocking(Exchange.markets)
    market = blocking(Exchange.market)
    book = blocking(Exchange.book)
    ticker = blocking(Exchange.ticker)
    tickers = blocking(Exchange.tickers)
    trades = listing(Exchange.trades)
    candles = listing(Exchange.candles)
    latest_candles = blocking(Exchange.latest_candles)

    # one's own
    whoami = blocking(Exchange.whoami)
    me = blocking(Exchange.me)
    agents = blocking(Exchange.agents)
    balances = blocking(Exchange.balances)
    order = blocking(Exchange.order)
    open_orders = blocking(Exchange.open_orders)
    find_order = blocking(Exchange.find_order)
    orders = listing(Exchange.orders)
    fills = listing(Exchange.fills)
    ledger = listing(Exchange.ledger)
    transfers = listing(Exchange.transfers)
    deposits = listing(Exchange.deposits)
    withdrawals = listing(Exchange.withdrawals)
    withdrawal = blocking(Exchange.withdrawal)
    withdrawal_quote = blocking(Exchange.withdrawal_quote)
    withdrawal_addresses = blocking(Exchange.withdrawal_addresses)
    deposit_address = blocking(Exchange.deposit_address)

    # trading
    place = blocking(Exchange.place)
    submit = blocking(Exchange.submit)
    amend = blocking(Exchange.amend)
    cancel = blocking(Exchange.cancel)
    cancel_all = blocking(Exchange.cancel_all)
    batch = blocking(Exchange.batch)
    outcome = blocking(Exchange.outcome)
    cancel_all_after = blocking(Exchange.cancel_all_after)

    # the owner's
    approve = blocking(Exchange.approve)
    revoke = blocking(Exchange.revoke)
    transfer = blocking(Exchange.transfer)
    add_withdrawal_address = blocking(Exchange.add_withdrawal_address)
    remove_withdrawal_address = blocking(Exchange.remove_withdrawal_address)
    deposit = blocking(Exchange.deposit)
    send_deposit = blocking(Exchange.send_deposit)
    wait_for_deposit = blocking(Exchange.wait_for_deposit)
    withdraw = blocking(Exchange.withdraw)
    wait_for_withdrawal = blocking(Exchange.wait_for_withdrawal)
    claim = blocking(Exchange.claim)
    session_token = blocking(Exchange.session_token)
    request = blocking(Exchange.request)
    stream = streaming(Exchange.stream)

    def close(self) -> None:
        """Signs out, where signed in, and ends the connections and the thread."""
        if self.loop.is_closed:
            return
        try:
            self.run(self.asynchronous.aclose())
        finally:
            self.loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Sync{self.asynchronous!r}"
