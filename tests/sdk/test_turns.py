"""More requests at once than there are connections: each is made when its turn comes, and not before."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from importlib.abc import MetaPathFinder

import httpx
import pytest
from tests.sdk.market import Market
from tests.sdk.watching import until

from exchange_sdk import AgentKey, Exchange, Place, transport
from exchange_sdk.errors import Unreachable
from exchange_sdk.models import Placed

AT_ONCE = 2


class Searches(MetaPathFinder):
    """Knows which modules are searched for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        self.names.append(fullname)


class Gate(httpx.AsyncBaseTransport):
    """Holds orders back until it is opened."""

    def __init__(self) -> None:
        self.opens = asyncio.Event()
        self.orders: list[httpx.Request] = []
        self._real = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.orders.append(request)
            await self.opens.wait()
        return await self._real.handle_async_request(request)

    async def aclose(self) -> None:
        await self._real.aclose()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def client(market: Market, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Exchange]:
    """At most two requests at once."""
    monkeypatch.setattr(transport, "MOST_AT_ONCE", AT_ONCE)
    key = AgentKey.generate()
    async with market.owner() as owner:
        await owner.approve(key, "test")
    async with Exchange(market.url, key=key, http=gate) as exchange:
        await exchange.balances()
        yield exchange


def place(client: Exchange, orders: int) -> list[asyncio.Task[Placed]]:
    return [
        asyncio.create_task(client.place("ETH-USDC", "buy", size="0.1", price=1_000 + number))
        for number in range(orders)
    ]


async def test_what_waits_is_signed_when_its_turn_comes(client: Exchange, gate: Gate) -> None:
    placing = place(client, 6)
    await until(lambda: len(gate.orders) == AT_ONCE, "the first are on their way")
    client.clock._origin_ns += 3 * 10**9  # they take so long
    gate.opens.set()
    placed = await asyncio.gather(*placing)
    assert all(each.order.is_open for each in placed)
    expires_ms = [int(order.headers["Exchange-Expires"]) for order in gate.orders]
    assert min(expires_ms[AT_ONCE:]) >= max(expires_ms[:AT_ONCE]) + 2_900
    good_till_ms = [json.loads(order.content)["expires_at_ms"] for order in gate.orders]
    assert min(good_till_ms[AT_ONCE:]) >= max(good_till_ms[:AT_ONCE]) + 2_900
    nonces = [int(order.headers["Exchange-Nonce"]) for order in gate.orders]
    assert nonces == sorted(nonces), "so none is too old when it arrives"


async def test_what_waited_for_longer_than_it_is_good_for_is_not_sent(client: Exchange, gate: Gate) -> None:
    placing = place(client, 2)
    await until(lambda: len(gate.orders) == AT_ONCE, "the first are on their way")
    expires_at_ms = client.clock.now_ms() + 20_000
    late = Place(market="ETH-USDC", side="buy", size=1, price=900, expires_at_ms=expires_at_ms)
    waiting = asyncio.create_task(client.submit(late))
    await until(lambda: bool(client._http._turns._waiters), "it waits")
    client.clock._origin_ns += 30 * 10**9
    gate.opens.set()
    with pytest.raises(Unreachable):
        await waiting
    await asyncio.gather(*placing, return_exceptions=True)
    assert len(gate.orders) == AT_ONCE, "nothing was done"


async def test_a_cancellation_does_not_wait_behind_what_is_to_be_placed(client: Exchange, gate: Gate) -> None:
    placing = place(client, 6)
    await until(lambda: len(gate.orders) == AT_ONCE, "the first are on their way")
    assert (await client.cancel_all()).count == 0
    assert len(gate.orders) == AT_ONCE
    gate.opens.set()
    await asyncio.gather(*placing)


async def test_who_gives_up_while_waiting_leaves_the_turn_to_the_next(client: Exchange, gate: Gate) -> None:
    placing = place(client, 6)
    await until(lambda: len(gate.orders) == AT_ONCE, "the first are on their way")
    given_up = placing[:4]
    for each in given_up:
        each.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    gate.opens.set()
    assert all(each.order.is_open for each in await asyncio.gather(*placing[4:]))
    assert len(gate.orders) == 4, "the first were on their way, and the next were never sent"


async def test_what_waits_when_the_client_is_closed_was_not_done(
    market: Market, gate: Gate, client: Exchange
) -> None:
    placing = place(client, 4)
    await until(lambda: len(gate.orders) == AT_ONCE, "the first are on their way")
    await client.aclose()
    results = await asyncio.gather(*placing, return_exceptions=True)
    assert all(isinstance(result, Unreachable) for result in results[AT_ONCE:])
    assert len(gate.orders) == AT_ONCE


async def test_no_request_searches_the_disk_for_a_module_that_is_not_there(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Exchange(market.url) as exchange:
        await exchange.time()
        searches = Searches()
        monkeypatch.setattr(sys, "meta_path", [searches, *sys.meta_path])
        await exchange.time()
    assert "sniffio" not in searches.names
