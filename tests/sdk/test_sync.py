"""The client without asyncio, against a real exchange that runs in another thread than its callers."""

import asyncio
import inspect
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from typing import TypeVar

import pytest
from tests.sdk.market import Market

from exchange_sdk import AgentKey, Exchange, SyncExchange, Wallet
from exchange_sdk.channels import CHANNELS
from exchange_sdk.errors import InsufficientFunds, NoCredential, Unreachable
from exchange_sdk.stream import Stream
from exchange_sdk.subscriptions import Subscription
from exchange_sdk.sync_stream import SyncStream, SyncTrading
from exchange_sdk.trading_stream import TradingStream

T = TypeVar("T")
ASYNC_ONLY = {"aclose"}


def public(kind: type) -> dict[str, object]:
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}


def test_everything_that_the_client_can_do_can_be_done_without_asyncio() -> None:
    assert public(Exchange).keys() - public(SyncExchange).keys() == ASYNC_ONLY
    for name, method in public(Exchange).items():
        if inspect.isfunction(method) and name not in ASYNC_ONLY:
            twin = getattr(SyncExchange, name)
            assert inspect.signature(twin).parameters == inspect.signature(method).parameters, name
            assert twin.__doc__ == method.__doc__
            assert not inspect.iscoroutinefunction(twin)
    assert inspect.signature(SyncExchange).parameters == inspect.signature(Exchange).parameters


def test_everything_that_a_stream_carries_can_be_had_without_asyncio() -> None:
    channels = set(CHANNELS)
    assert len(channels) >= 10
    assert channels <= public(SyncStream).keys()
    of_its_own = {"prepare"}
    assert public(TradingStream).keys() - public(SyncTrading).keys() == of_its_own
    for name in channels:
        twin, method = getattr(SyncStream, name), getattr(Stream, name)
        assert inspect.signature(twin).parameters == inspect.signature(method).parameters


async def elsewhere(work: Callable[[], T]) -> T:
    """The exchange is served by this loop, so callers that wait must do so elsewhere."""
    return await asyncio.to_thread(work)


async def test_a_program_without_asyncio_trades(market: Market) -> None:
    await market.quote()
    wallet = await market.wallet(ETH=10, USDC=100_000)
    key = AgentKey.generate()

    def play() -> None:
        with SyncExchange(market.url, wallet=wallet) as owner:
            owner.approve(key, "bot")
        with SyncExchange(market.url, key=key) as exchange:
            placed = exchange.place("ETH-USDC", "buy", size="0.5", price=3000)
            assert placed.order.is_filled
            assert exchange.seq == placed.seq
            for _ in range(3):
                exchange.place("ETH-USDC", "buy", size="0.1", price=3000)
            history = exchange.fills(oldest_first=True)
            assert [fill.size for fill in history] == [Decimal("0.5")] + [Decimal("0.1")] * 3
            assert len(exchange.fills(resume=history.cursor).all()) == 0
            assert [len(page.items) for page in exchange.fills().pages(3)] == [3, 1]
            assert len(list(islice(exchange.fills(), 2))) == 2
            assert exchange.fills().first() == exchange.fills().all()[0]
            with pytest.raises(InsufficientFunds):
                exchange.place("ETH-USDC", "buy", size=1_000, price=2900)
            with pytest.raises(NoCredential):
                exchange.transfer("USDC", 1, to=1)

    await elsewhere(play)


async def test_many_threads_share_one_client(market: Market) -> None:
    wallet = await market.wallet(USDC=100_000)
    key = AgentKey.generate()

    def play() -> None:
        with SyncExchange(market.url, wallet=wallet, key=key) as exchange:
            exchange.approve(key, "bot")
            failed: list[BaseException] = []

            def place() -> None:
                try:
                    for _ in range(10):
                        exchange.place("ETH-USDC", "buy", size="0.01", price=2900)
                except BaseException as error:
                    failed.append(error)

            threads = [threading.Thread(target=place) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert failed == []
            assert len(exchange.open_orders()) == 80

    await elsewhere(play)


async def test_a_stream_is_followed_and_traded_over_without_asyncio(market: Market) -> None:
    await market.quote()
    wallet = await market.wallet(ETH=10, USDC=100_000)
    key = AgentKey.generate()

    def play() -> None:
        with SyncExchange(market.url, wallet=wallet, key=key) as exchange:
            exchange.approve(key, "bot")
            with exchange.stream() as stream:
                book, trades, orders = stream.book("ETH-USDC"), stream.trades("ETH-USDC"), stream.orders()
                assert (book.best_bid, book.best_ask) == ((2990, 5), (3000, 5))
                assert book.mid == 2995
                placed = stream.trading.place("ETH-USDC", "buy", size=1, price=2991)
                changes = iter(book)
                while (changed := next(changes)).best_bid != (2991, 1):
                    pass
                assert changed is book
                assert book.depth(1) == ([(2991, 1)], [(3000, 5)])
                assert book.read(lambda live: live.size_at(Decimal(2991))) == 1
                assert next(iter(orders)).order_id == placed.order_id
                assert list(orders.open) == [placed.order_id]
                stream.trading.place("ETH-USDC", "buy", size=2, price=3000)
                assert next(iter(trades)).size == 2
                bbo = stream.bbo("ETH-USDC")
                assert bbo.value.ask == (3000, 3)
                balances = stream.balances()
                assert balances["ETH"].total == 12
                assert set(balances.by_asset) == {"ETH", "USDC"}
                assert trades.require_live().is_live
                trades.close()
                assert list(trades) == []
                assert stream.is_connected
            assert not stream.is_connected

    await elsewhere(play)


async def test_a_subscription_that_does_not_begin_is_not_left_behind(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def begun(_: object) -> None:
        raise Unreachable("it did not begin")

    def play() -> None:
        with SyncExchange(market.url) as exchange, exchange.stream() as stream:
            monkeypatch.setattr(Subscription, "begun", begun)
            with pytest.raises(Unreachable):
                stream.book("ETH-USDC")
            topics = stream.asynchronous._topics.values()
            assert not any(topic._followers for topic in topics)

    await elsewhere(play)


def threads_of_clients() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "exchange-sdk"]


def test_a_closed_client_leaves_no_thread_and_says_so() -> None:
    exchange = SyncExchange("http://127.0.0.1:1", wallet=Wallet.generate())
    assert len(threads_of_clients()) == 1
    exchange.close()
    exchange.close()
    assert threads_of_clients() == []
    with pytest.raises(RuntimeError, match="closed"):
        exchange.markets()


def test_what_is_wrong_with_the_arguments_leaves_no_thread() -> None:
    with pytest.raises(ValueError, match="url"):
        SyncExchange("exchange.example")
    assert threads_of_clients() == []


_INTERRUPTED = """
import asyncio
import sys
import threading
from concurrent.futures import Future
from exchange_sdk import SyncExchange

cancelled = threading.Event()

def is_waited_for():
    frame = sys._current_frames()[threading.main_thread().ident]
    while frame is not None and frame.f_code is not Future.result.__code__:
        frame = frame.f_back
    return frame is not None

async def endless():
    while not is_waited_for():
        await asyncio.sleep(0.001)
    print("waiting", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        cancelled.set()

with SyncExchange("http://127.0.0.1:1") as exchange:
    try:
        exchange.run(endless())
    except KeyboardInterrupt:
        print("cancelled" if cancelled.wait(10) else "still running", flush=True)
"""


def test_an_interrupted_call_is_cancelled() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED],
        stdout=subprocess.PIPE,
        text=True,
        # A shell that runs us in the background has us ignore Ctrl-C, and our children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
            process.send_signal(signal.SIGINT)
            assert process.stdout.read() == "cancelled\n"
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_a_call_from_its_own_loop_is_refused_instead_of_waiting_for_ever() -> None:
    with SyncExchange("http://127.0.0.1:1") as exchange:

        async def within() -> None:
            exchange.markets()

        with pytest.raises(RuntimeError, match="own event loop"):
            exchange.run(within())


def test_it_shows_who_it_is_for_and_no_secret() -> None:
    key = AgentKey.from_secret("ab" * 32)
    with SyncExchange("http://localhost:8000", key=key) as exchange:
        assert repr(exchange) == f"SyncExchange('http://localhost:8000', {key!r})"
