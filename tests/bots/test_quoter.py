"""A quoting bot against a served exchange, on a way on which things get lost: it never quotes on what it only
believes to stand."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import httpx
import pytest
from bots.desk import CannotTrade
from bots.quoter import Quoter
from bots.quoting import Funds, Quote
from tests.sdk.chaos_proxy import ChaosProxy, chaos_proxy
from tests.sdk.market import Market as Served
from tests.sdk.watching import until

from exchange.edge.ws import limits
from exchange.feeds import message_log
from exchange_sdk import AgentKey, Exchange
from exchange_sdk.errors import AgentRevoked
from exchange_sdk.models import Market
from exchange_sdk.stream import Stream

SYMBOL = "ETH-USDC"
ROUND_S = 0.02


class Held(httpx.AsyncBaseTransport):
    """The way to the exchange, on which reads of the history of orders wait when they shall."""

    def __init__(self) -> None:
        self.may_pass = asyncio.Event()
        self.may_pass.set()
        self.waiting = 0
        self._real = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and request.url.path == "/v1/orders":
            self.waiting += 1
            await self.may_pass.wait()
        return await self._real.handle_async_request(request)

    async def aclose(self) -> None:
        await self._real.aclose()


class DearerOnceSold:
    """One ask at 3000; once something was sold, at 3100."""

    def __init__(self) -> None:
        self.may_begin = True
        self.asked = 0

    def quotes(self, market: Market, funds: Funds, sold: Decimal, elapsed_ms: int) -> Sequence[Quote]:
        self.asked += 1
        quote = Quote("sell", Decimal(3100 if sold else 3000), Decimal(1))
        return [quote] if self.may_begin else []


@pytest.fixture(autouse=True)
def many_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.05)


@pytest.fixture
async def proxy(market: Served) -> AsyncIterator[ChaosProxy]:
    async with chaos_proxy(market.url) as found:
        yield found


@asynccontextmanager
async def bot(
    served: Served, url: str, way: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[tuple[Exchange, Stream, Exchange]]:
    """The client and the stream of a bot, and its owner, who is not on that way."""
    key = AgentKey.generate()
    async with (
        served.owner() as owner,
        Exchange(url, key=key, http=way) as exchange,
    ):
        await owner.approve(key, "bot")
        async with exchange.stream(first_delay_s=0.01, longest_delay_s=0.05) as stream:
            yield exchange, stream, owner


@asynccontextmanager
async def running(quoter: Quoter) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(quoter.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def stands(owner: Exchange, *prices: int) -> None:
    """Waits until the owner's open orders are at these prices."""
    async with asyncio.timeout(20):
        while [order.price for order in await owner.open_orders()] != list(prices):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def buy(served: Served, *sizes: str) -> None:
    async with served.owner(await served.wallet(USDC=100_000)) as taker:
        for size in sizes:
            await taker.place(SYMBOL, "buy", size=size, price=3000)


@pytest.mark.parametrize("kept", [1, 100])
async def test_what_was_sold_while_the_connection_was_lost_is_not_sold_again_at_the_old_price(
    kept: int,
    market: Served,
    proxy: ChaosProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(message_log, "KEPT_MESSAGES", kept)  # with 1 the histories must be read
    way, strategy = Held(), DearerOnceSold()
    strategy.may_begin = False
    async with (
        bot(market, proxy.url, way) as (client, stream, owner),
        running(Quoter(client, stream, {SYMBOL: strategy}, round_s=ROUND_S)) as task,
    ):
        await until(lambda: strategy.asked > 0, "it has begun, and the switch is set")
        proxy.hold_answers()
        strategy.may_begin = True
        await stands(owner, 3000)
        await buy(market, "0.25", "0.25", "0.25", "0.25")
        way.may_pass.clear()
        proxy.cut()
        proxy.let_answers()
        await until(lambda: way.waiting > 0 or kept > 1, "the bot reads what it missed")
        await asyncio.sleep(20 * ROUND_S)
        if kept == 1:
            assert await owner.open_orders() == [], "it does not know yet that it has sold"
        way.may_pass.set()
        await stands(owner, 3100)
        asks = [order.price async for order in owner.orders()]
        assert sorted(price for price in asks if price is not None) == [3000, 3100]
        assert not task.done()


async def test_an_unknown_market_is_told_by_its_name(market: Served) -> None:
    async with bot(market, market.url) as (client, stream, _):
        with pytest.raises(CannotTrade, match="no market ETH-EUR"):
            await Quoter(client, stream, {"ETH-EUR": DearerOnceSold()}).run()


async def test_the_switch_outlasts_long_rounds(market: Served) -> None:
    async with bot(market, market.url) as (client, stream, owner):
        asked: list[int] = []
        real = stream.trading.cancel_all_after

        async def noted(seconds: int, *, sub_account: int = 0) -> object:
            asked.append(seconds)
            return await real(seconds, sub_account=sub_account)

        stream.trading.cancel_all_after = noted  # type: ignore[method-assign,assignment]
        for round_s, at_least_s in ((1.0, 15), (60.0, 120)):
            async with running(Quoter(client, stream, {SYMBOL: DearerOnceSold()}, round_s=round_s)):
                await stands(owner, 3000)
            assert asked.pop() >= at_least_s
            asked.clear()


async def test_it_ends_when_its_key_is_revoked(market: Served) -> None:
    async with bot(market, market.url) as (client, stream, owner):
        quoter = Quoter(client, stream, {SYMBOL: DearerOnceSold()}, round_s=ROUND_S)
        async with running(quoter) as task:
            await stands(owner, 3000)
            assert client.key is not None
            await owner.revoke(client.key)
            with pytest.raises(AgentRevoked):
                await asyncio.wait_for(task, 20)


async def test_what_is_always_refused_is_told(
    market: Served,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class OffTick:
        def quotes(self, market: Market, funds: Funds, sold: Decimal, elapsed_ms: int) -> Sequence[Quote]:
            return [Quote("sell", Decimal("3000.001"), Decimal(1))]

    async with (
        bot(market, market.url) as (client, stream, _),
        running(Quoter(client, stream, {SYMBOL: OffTick()}, round_s=ROUND_S)),
    ):
        await until(lambda: "price_off_tick" in caplog.text, "the refusal is in the log")


async def test_after_a_batch_without_an_answer_it_pulls_before_it_quotes_again(
    market: Served, proxy: ChaosProxy
) -> None:
    key, strategy = AgentKey.generate(), DearerOnceSold()
    strategy.may_begin = False
    async with market.owner() as owner, Exchange(proxy.url, key=key) as client:
        await owner.approve(key, "bot")
        async with (
            client.stream(timeout_s=0.5) as stream,
            running(Quoter(client, stream, {SYMBOL: strategy}, round_s=ROUND_S)) as task,
        ):
            await until(lambda: strategy.asked > 0, "it has begun, and the switch is set")
            proxy.hold_answers()
            strategy.may_begin = True
            await stands(owner, 3000)
            asked = strategy.asked
            await asyncio.sleep(2)
            assert strategy.asked == asked, "what stands is not known, so nothing is to be quoted"
            assert len(await owner.open_orders()) <= 1
            proxy.let_answers()
            await stands(owner, 3000)
            await until(lambda: strategy.asked > asked + 2, "it goes on")
            assert len(await owner.open_orders()) == 1
            assert not task.done()
