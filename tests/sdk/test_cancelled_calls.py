"""Calls whose caller does not wait for the answer any more: they cost nothing that later calls need."""

import asyncio
import random

import httpx
import pytest
from tests.sdk.faulty import Fault, FaultyWay
from tests.sdk.market import Market
from tests.sdk.watching import until

from exchange_sdk import AgentKey, Exchange
from exchange_sdk.errors import OutcomeUnknown, Unreachable


async def test_calls_that_are_cancelled_leave_no_connection_behind(market: Market) -> None:
    rng = random.Random(1)
    async with Exchange(market.url) as exchange:
        pool = exchange._http._client._transport._pool  # type: ignore[attr-defined]
        await exchange.time()
        for _ in range(400):
            call = asyncio.create_task(exchange.markets(refresh=True))
            await asyncio.sleep(rng.uniform(0, 0.008))
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        await until(lambda: not exchange._http._under_way, "all requests have ended")
        assert not pool._requests
        assert all(connection.is_idle() or connection.is_closed() for connection in pool.connections)
        assert (await exchange.time()).seq > 0


class Silent(httpx.AsyncBaseTransport):
    """Never answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_client_that_is_closed_waits_for_nothing_that_was_cancelled() -> None:
    async with Exchange("http://localhost:1", http=Silent()) as exchange:
        call = asyncio.create_task(exchange.time())
        await until(lambda: bool(exchange._http._under_way), "it is under way")
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert exchange._http._under_way, "it goes on"
    assert not exchange._http._under_way


class SilentToOrders(httpx.AsyncBaseTransport):
    """Passes everything on but the answers to orders."""

    def __init__(self) -> None:
        self.has_order = asyncio.Event()
        self._real = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/orders" and request.method == "POST":
            self.has_order.set()
            await asyncio.Event().wait()
        return await self._real.handle_async_request(request)

    async def aclose(self) -> None:
        await self._real.aclose()


async def test_who_waits_for_an_order_when_the_client_is_closed_is_told_that_it_may_be_done(
    market: Market,
) -> None:
    key = AgentKey.generate()
    async with market.owner() as owner:
        await owner.approve(key, "test")
    way = SilentToOrders()
    async with Exchange(market.url, key=key, http=way) as exchange:
        placing = asyncio.create_task(exchange.place("ETH-USDC", "buy", size=1, price=2900))
        await asyncio.wait_for(way.has_order.wait(), 20)
    with pytest.raises(OutcomeUnknown) as unknown:
        await placing
    assert unknown.value.client_order_id is not None
    with pytest.raises(Unreachable):
        await exchange.time()


async def test_an_order_that_waits_to_be_sent_again_is_unknown_when_the_client_is_closed(
    market: Market,
) -> None:
    way = FaultyWay()
    way.faults.append(Fault.ANSWER_LOST)
    key, waits, may_go_on = AgentKey.generate(), asyncio.Event(), asyncio.Event()

    async def wait(seconds: float) -> None:
        waits.set()
        await may_go_on.wait()

    async with market.owner() as owner:
        await owner.approve(key, "test")
    async with Exchange(market.url, key=key, http=way) as exchange:
        exchange._http.sleep = wait
        placing = asyncio.create_task(exchange.place("ETH-USDC", "buy", size=1, price=2900))
        await waits.wait()
    may_go_on.set()
    with pytest.raises(OutcomeUnknown):
        await placing
