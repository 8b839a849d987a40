"""Calls whose caller does not wait for the answer any more: they cost nothing that later calls need."""

import asyncio
import random

import httpx
from tests.sdk.market import Market
from tests.sdk.watching import until

from exchange_sdk import Exchange


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
