"""What proxies and balancers answer in the exchange's place, and what fails while something is sent again:
never taken for a refusal of the exchange, and never for nothing having been done."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial

import httpx
import pytest
from tests.sdk.faulty import Fault, FaultyWay
from tests.sdk.market import Market

from exchange_sdk import Amend, Exchange, OutcomeUnknown, Retries
from exchange_sdk.errors import Unreachable

BETWEEN = [Fault.GATEWAY_TIMEOUT, Fault.NO_BACKEND, Fault.SLOW_BACKEND, Fault.GARBLED]


async def no_sleep(seconds: float) -> None:
    """Does not wait."""


@pytest.fixture
def way() -> FaultyWay:
    return FaultyWay()


@pytest.fixture
async def client(market: Market, way: FaultyWay) -> AsyncIterator[Exchange]:
    async with market.agent(http=way) as exchange:
        exchange._http.sleep = no_sleep
        yield exchange


@pytest.mark.parametrize("fault", BETWEEN)
async def test_what_something_between_answers_does_not_tell_what_was_done(
    client: Exchange, way: FaultyWay, fault: Fault
) -> None:
    way.faults.append(fault)
    placed = await client.place("ETH-USDC", "buy", size=1, price=2900)
    assert [order.order_id for order in await client.open_orders()] == [placed.order_id], "placed once"
    way.faults.append(fault)
    with pytest.raises(OutcomeUnknown):
        await client.amend(placed, size="0.4")
    assert (await client.order(placed)).size == Decimal("0.4"), "it was done"
    way.faults.append(fault)
    with pytest.raises(OutcomeUnknown):
        await client.batch([Amend(order=placed, size="0.3")])


@pytest.mark.parametrize("fault", BETWEEN)
async def test_a_read_that_only_something_between_answers_is_unreachable(
    client: Exchange, way: FaultyWay, fault: Fault
) -> None:
    way.concerns = lambda request: request.url.path == "/v1/balances"
    way.faults.append(fault)
    assert (await client.balances())["ETH"].total == 10
    way.faults.extend([fault] * 20)
    with pytest.raises(Unreachable):
        await client.balances()


async def test_an_order_stays_unknown_when_nothing_can_be_signed_any_more(
    client: Exchange, way: FaultyWay
) -> None:
    await client.balances()
    way.faults.append(Fault.ANSWER_LOST)

    async def clock_is_forgotten_and_can_not_be_asked_for(seconds: float) -> None:
        client.clock.forget()
        way.concerns = lambda request: True
        way.faults.extend([Fault.NO_CONNECTION] * 20)

    client._http.sleep = clock_is_forgotten_and_can_not_be_asked_for
    with pytest.raises(OutcomeUnknown) as caught:
        await client.place("ETH-USDC", "buy", size=1, price=2900)
    assert isinstance(caught.value.__cause__, Unreachable)
    way.faults.clear()
    client._http.sleep = no_sleep
    order = await client.outcome(caught.value)
    assert order is not None
    assert order.is_open, "it had been placed"


async def test_an_order_stays_unknown_when_its_session_can_not_be_renewed(
    market: Market, way: FaultyWay
) -> None:
    async with market.owner(http=way) as owner:
        owner._http.sleep = no_sleep
        token = await owner.session_token()
        way.concerns = lambda request: request.url.path == "/v1/orders" and request.method == "POST"
        way.faults.append(Fault.ANSWER_LOST)

        async def session_is_ended_and_no_other_to_be_had(seconds: float) -> None:
            await market.running.edge.sessions.revoke(token)
            way.concerns = lambda request: request.url.path.startswith("/v1/auth/")
            way.faults.extend([Fault.NO_CONNECTION] * 40)

        owner._http.sleep = session_is_ended_and_no_other_to_be_had
        with pytest.raises(OutcomeUnknown) as caught:
            await owner.place("ETH-USDC", "buy", size=1, price=2900)
        assert caught.value.client_order_id is not None
        way.faults.clear()
        assert len(await owner.open_orders()) == 1


async def test_a_login_whose_answer_was_lost_is_made_again(market: Market, way: FaultyWay) -> None:
    async with market.owner(http=way) as owner:
        owner._http.sleep = no_sleep
        way.concerns = lambda request: request.url.path == "/v1/auth/login"
        way.faults.append(Fault.ANSWER_LOST)
        placed = await owner.place("ETH-USDC", "buy", size=1, price=2900)
        assert placed.order.is_open


async def test_without_a_login_nothing_was_done(market: Market, way: FaultyWay) -> None:
    async with market.owner(http=way) as owner:
        owner._http.sleep = no_sleep
        way.concerns = lambda request: request.url.path == "/v1/auth/login"
        way.faults.extend([Fault.ANSWER_LOST] * 20)
        with pytest.raises(Unreachable):
            await owner.place("ETH-USDC", "buy", size=1, price=2900)


async def test_a_stream_signs_in_although_an_answer_of_the_login_was_lost(
    market: Market, way: FaultyWay
) -> None:
    async with market.owner(http=way) as owner, owner.stream() as stream:
        owner._http.sleep = no_sleep
        way.concerns = lambda request: request.url.path == "/v1/auth/login"
        way.faults.extend([Fault.SLOW_BACKEND] * 7)
        orders = await stream.orders()
        assert orders.is_live


async def test_a_request_goes_to_the_exchange_only(client: Exchange) -> None:
    with pytest.raises(ValueError, match="begins with /"):
        await client.request("GET", "@other.example/v1/time")


async def test_whatever_the_way_raises_is_an_error_of_this_package(market: Market) -> None:
    class Loop(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.TooManyRedirects("round and round", request=request)

    async with Exchange(market.url, http=Loop()) as exchange:
        exchange._http.sleep = no_sleep
        with pytest.raises(Unreachable):
            await exchange.time()


async def drip(ended: asyncio.Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers a byte at a time, until nobody listens."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)
    writer.transport.abort()
    ended.set()


async def test_an_answer_that_drips_without_end_is_none() -> None:
    ended = asyncio.Event()
    server = await asyncio.start_server(partial(drip, ended), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = {"timeout_s": 0.2, "retries": Retries(attempts=1)}
    async with Exchange(f"http://127.0.0.1:{port}", **options) as exchange:  # type: ignore[arg-type]
        with pytest.raises(Unreachable):
            await asyncio.wait_for(exchange.time(), 20)
    await asyncio.wait_for(ended.wait(), 20)
    server.close()
    await server.wait_closed()
