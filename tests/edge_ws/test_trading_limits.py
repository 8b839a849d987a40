"""What a connection may send of what trades: how long, how much, how fast; and what is kept of it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest
from tests.edge.agents import approved
from tests.edge.harness import Trader, running_exchange, served
from tests.edge_ws.speaking import (
    ORDER,
    Client,
    Streams,
    connection_of,
    engine_standing_still,
    until,
)
from websockets.exceptions import InvalidStatus

from exchange.core.commands import SetRateClass
from exchange.core.words import RateClass
from exchange.edge.app import create_app
from exchange.edge.ws import limits, protocol
from exchange.edge.ws.connection import Connection
from exchange.edge.ws.limits import COMMANDS_IN_FLIGHT, MAX_REFUSED_TRADING
from exchange.gateway.rate_policy import (
    AccountClasses,
    AccountRates,
    IpRates,
    KeyRates,
    Rate,
    RateLimitPolicy,
)

PLENTY = {"USDC": 10**15, "ETH": 10**24}


def place(number: int = 1) -> str:
    return json.dumps({"op": "place", "id": str(number), **ORDER})


def padded(text: str, size_bytes: int) -> str:
    return text[:-1] + " " * (size_bytes - len(text)) + "}"


async def test_a_batch_of_64_kib_is_taken_from_who_may_trade_and_from_nobody_else(streams):
    trader = await streams.exchange.trader(**PLENTY)
    batch = json.dumps({"op": "batch", "operations": [{"op": "place", **ORDER}] * 100})
    full = padded(batch, 65_536)
    async with streams.client() as client:
        assert (await client.say(batch))["code"] == "message_too_large"
        await client.sign_in(trader)
        assert len((await client.say(full))["results"]) == 100
        assert (await client.say(padded(batch, 65_537)))["code"] == "message_too_large"
        assert (await client.say(padded(place(), 4_096)))["type"] == "result"
        for text in (place(), '{"op": "ping"}'):
            assert (await client.say(padded(text, 4_097)))["code"] == "message_too_large"
        assert (await client.say(padded(batch, 80 * 1024)))["code"] == "message_too_large"
        await client.socket.send(padded(batch, 80 * 1024 + 1))
        assert (await client.closed())[0] == 1009


async def test_who_has_signed_out_is_a_stranger_again(streams):
    trader = await streams.exchange.trader(**PLENTY)
    async with streams.signed_in(trader) as client:
        assert (await trader.request("POST", "/v1/auth/logout")).status_code == 204
        await until(lambda: connection_of(streams.exchange).bounds is limits.STRANGERS)
        assert (await client.say(padded(place(), 5_000)))["code"] == "message_too_large"
        await client.socket.send(" " * (16 * 1024 + 1))
        assert (await client.closed())[0] == 1009


async def test_what_a_stranger_wants_to_trade_is_counted_with_all_else(streams):
    async with streams.client() as client:
        for number in range(500):
            await client.socket.send(place(number))
        assert await client.closed() == (4002, "flood")


async def test_no_more_is_read_while_a_thousand_commands_are_under_way(streams):
    """What is sent beyond that waits with the client, and is done later."""
    trader = await streams.exchange.trader(**PLENTY)
    batch = {"op": "batch", "operations": [{"op": "place", **ORDER}] * 100}
    async with streams.signed_in(trader) as client:
        async with engine_standing_still(streams.exchange):
            sending = asyncio.create_task(send_all(client, [json.dumps(batch)] * 5 + [place()] * 3_000))
            connection = connection_of(streams.exchange)
            await until(lambda: connection.is_backed_up)
            for _ in range(50):
                await asyncio.sleep(0.001)
            # One piece that is taken apart may have some more.
            a_piece = limits.TRADERS.piece_bytes // len(place())
            assert COMMANDS_IN_FLIGHT <= connection._turns.weight <= COMMANDS_IN_FLIGHT + a_piece
            assert streams.exchange.sequencer.waiting <= COMMANDS_IN_FLIGHT + a_piece
        found = [await client.receive() for _ in range(5 + 3_000)]
        await sending
    assert {message["type"] for message in found[:505]} == {"result"}
    # An account may have so many open orders; what counts is that each was looked at.
    assert {message.get("code") for message in found[505:]} <= {None, "too_many_open_orders"}


async def send_all(client: Client, texts: list[str]) -> None:
    for text in texts:
        await client.socket.send(text)


def small_socket(port: int) -> socket.socket:
    """Takes little in while nobody reads."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    opened.connect(("127.0.0.1", port))
    opened.setblocking(False)
    return opened


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is kept for who does not read, so that a test need not send much."""
    monkeypatch.setattr(protocol, "UNSENT_BYTES", 2_048)


@asynccontextmanager
async def stalling(streams: Streams) -> AsyncIterator[Client]:
    """In the end it is gone without a word: for the answer to a close it would have to read."""
    async with streams.client(sock=small_socket(streams.port), max_queue=1, ping_interval=None) as client:
        try:
            yield client
        finally:
            client.socket.transport.abort()


def stop_reading(client: Client, connection: Connection) -> None:
    """From here on the server can write next to nothing."""
    client.socket.transport.pause_reading()
    server_side = connection._write.__self__.get_extra_info("socket")
    server_side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)


async def place_while_the_engine_stands_still(streams: Streams, client: Client, orders: int) -> Connection:
    """All are under way when the engine goes on, and the client reads nothing."""
    connection = connection_of(streams.exchange)
    async with engine_standing_still(streams.exchange):
        for number in range(orders):
            await client.socket.send(place(number))
        await until(lambda: connection._turns.weight == orders)
        stop_reading(client, connection)
    return connection


async def test_results_wait_in_their_order_for_who_does_not_read(streams, little_room):
    trader = await streams.exchange.trader(**PLENTY)
    async with stalling(streams) as client:
        await client.sign_in(trader)
        connection = await place_while_the_engine_stands_still(streams, client, 600)
        open_orders = streams.exchange.view.open_orders
        await until(lambda: len(open_orders(trader.account_id)) == 600)  # the engine waits for nobody
        assert not connection.writable
        assert 0 < connection._turns.weight < 600
        client.socket.transport.resume_reading()
        results = [await client.receive() for _ in range(600)]
    assert [result["id"] for result in results] == [str(number) for number in range(600)]
    seqs = [result["seq"] for result in results]
    assert seqs == sorted(seqs)


async def test_who_lets_too_many_results_wait_is_cut_off(streams, little_room, monkeypatch):
    monkeypatch.setattr(limits, "MAX_RESULT_BYTES", 50_000)
    monkeypatch.setattr(protocol, "CLOSE_WAIT_S", 0.2)
    trader = await streams.exchange.trader(**PLENTY)
    async with stalling(streams) as client:
        await client.sign_in(trader)
        # More than go into one row of the journal: what comes with the first may still be written.
        await place_while_the_engine_stands_still(streams, client, 900)
        await until(lambda: streams.exchange.streams.cuts["slow_reader"] == 1)
        await until(lambda: streams.exchange.streams.connections == 0)
    assert len(streams.exchange.view.open_orders(trader.account_id)) == 900


# ---- rates


@asynccontextmanager
async def paced(
    database_url: str, pool: asyncpg.Pool, *, orders: int, requests: int = 10**6
) -> AsyncIterator[Streams]:
    """An exchange where an owner may place so many orders, and an address ask so often; no time passes."""
    roomy = Rate(burst=10**6, per_s=10**6)
    rates = [AccountRates(Rate(burst=times * orders, per_s=1)) for times in (1, 10)]
    policy = RateLimitPolicy(
        ip=IpRates(Rate(burst=requests, per_s=1), sign_ins=roomy),
        key=KeyRates(roomy),
        account=AccountClasses(*rates),
    )
    async with (
        running_exchange(database_url, pool, rate_policy=policy, rate_clock_ns=lambda: 10**15) as exchange,
        served(create_app(exchange.edge, exchange.hub)) as url,
    ):
        yield Streams(exchange, url)


async def test_orders_beyond_the_rate_are_refused_and_cancels_have_their_own(database_url, pool):
    async with paced(database_url, pool, orders=5) as streams:
        trader = await streams.exchange.trader(**PLENTY)
        async with streams.signed_in(trader) as client:
            ids = [(await client.place())["order"]["order_id"] for _ in range(5)]
            refused = await client.refused("rate_limited", id="x", op="place", **ORDER)
            assert (refused["id"], refused["retry_after_s"]) == ("x", 1)
            assert refused["retry_at_ms"] > streams.exchange.edge.clock_ns() // 10**6
            await client.refused("rate_limited", op="amend", order_id=ids[0], price="1")
            for order_id in ids[:4]:
                await client.done("cancel", order_id=order_id)
            await client.done("cancel_all")
            await client.done("cancel_all_after", seconds=60)
            await client.done("cancel_on_disconnect", enabled=True)
            for _ in range(3):  # those that can not be done count as well
                await client.refused("unknown_order", op="cancel", order_id="1")
            await client.refused("rate_limited", op="cancel", order_id="1")
            await client.refused("rate_limited", op="cancel_on_disconnect", enabled=False)


async def test_orders_that_can_not_be_count_too(database_url, pool):
    async with paced(database_url, pool, orders=3) as streams:
        trader = await streams.exchange.trader(**PLENTY)
        async with streams.signed_in(trader) as client:
            await client.refused("price_off_tick", "price", op="place", **ORDER | {"price": "0.001"})
            await client.refused("field_missing", "market", op="place")
            await client.refused("unknown_order", op="amend", order_id="1", price="1")
            await client.refused("rate_limited", op="place", **ORDER)


async def test_operations_of_a_batch_beyond_the_rate_are_refused_and_the_others_stand(database_url, pool):
    async with paced(database_url, pool, orders=4) as streams:
        trader = await streams.exchange.trader(**PLENTY)
        async with streams.signed_in(trader) as client:
            order_id = (await client.place())["order"]["order_id"]
            operations = [{"op": "place", **ORDER}] * 5 + [{"op": "cancel", "order_id": order_id}]
            results = (await client.done("batch", operations=operations))["results"]
            assert [result["status"] for result in results] == [201, 201, 201, 429, 429, 200]
            assert {result["problem"]["code"] for result in results[3:5]} == {"rate_limited"}


async def test_all_connections_of_an_owner_share_its_rate(database_url, pool):
    async with paced(database_url, pool, orders=2) as streams:
        trader = await streams.exchange.trader(**PLENTY)
        async with streams.signed_in(trader) as first, streams.signed_in(trader) as second:
            await first.place()
            assert (await trader.order()).status_code == 201
            await second.refused("rate_limited", op="place", **ORDER)
            assert (await trader.order()).status_code == 429


async def test_a_market_maker_has_more_from_one_moment_to_the_next(database_url, pool):
    async with paced(database_url, pool, orders=1) as streams:
        trader = await streams.exchange.trader(**PLENTY)
        async with streams.signed_in(trader) as client:
            await client.place()
            await client.refused("rate_limited", op="place", **ORDER)
            await streams.exchange.sequencer.submit(SetRateClass(trader.owner, RateClass.MARKET_MAKER))
            for _ in range(10):
                await client.place()
            await client.refused("rate_limited", op="place", **ORDER)


async def test_many_owners_behind_one_address_do_no_more_than_over_http(database_url, pool):
    async with paced(database_url, pool, orders=100, requests=40) as streams:
        traders = [await streams.exchange.trader(**PLENTY) for _ in range(3)]
        maker = traders[2]
        await streams.exchange.sequencer.submit(SetRateClass(maker.owner, RateClass.MARKET_MAKER))
        placed = 0
        async with (
            streams.signed_in(traders[0]) as first,
            streams.signed_in(traders[1]) as second,
            streams.signed_in(maker) as third,
        ):
            while (await (first, second)[placed % 2].ask(op="place", **ORDER))["type"] == "result":
                placed += 1
            assert 0 < placed < 40
            await first.refused("rate_limited", op="place", **ORDER)
            await second.refused("rate_limited", op="place", **ORDER)
            assert (await second.done("cancel_all"))["count"] == placed // 2, "cancels pass"
            await third.place()  # whom the operator knows is not counted with the others
            operations = [{"op": "place", **ORDER}, {"op": "cancel", "order_id": "1"}]
            results = (await first.done("batch", operations=operations))["results"]
            assert [result["problem"]["code"] for result in results] == ["rate_limited", "unknown_order"]


async def open_many(streams: Streams, trader: Trader, connections: int) -> None:
    async with AsyncExitStack() as clients:
        for _ in range(connections):
            await clients.enter_async_context(streams.signed_in(trader))


async def test_upgrades_count_with_the_requests_of_an_address(database_url, pool):
    async with paced(database_url, pool, orders=1, requests=10) as streams:
        trader = await streams.exchange.trader(**PLENTY)
        with pytest.raises(InvalidStatus) as refused:
            await open_many(streams, trader, 20)
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "1"
        assert streams.exchange.streams.cuts["rate_limited"] == 1


async def test_whoever_goes_on_and_on_beyond_the_rate_is_closed_with_4002(database_url, pool, monkeypatch):
    assert MAX_REFUSED_TRADING == 2_000
    monkeypatch.setattr(limits, "MAX_REFUSED_TRADING", 300)
    async with paced(database_url, pool, orders=10) as streams:
        trader = await streams.exchange.trader(**PLENTY)
        async with streams.signed_in(trader) as client:
            for number in range(309):
                await client.socket.send(place(number))
            found = [await client.receive() for _ in range(309)]
            assert [message["type"] for message in found] == ["result"] * 10 + ["error"] * 299
            assert (await client.ask(op="ping"))["type"] == "pong"
            await client.socket.send(place())
            assert await client.closed() == (4002, "flood")


async def test_an_attempt_with_a_key_counts_with_the_requests_of_its_address(database_url, pool):
    async with paced(database_url, pool, orders=1, requests=50) as streams:
        bot = await approved(await streams.exchange.trader(**PLENTY))
        async with streams.client() as client:
            budget = streams.exchange.edge.rate_limits.ip.ordinary.buckets
            while not budget.take_all("127.0.0.1", 1):
                pass
            assert (await client.answer_challenge(bot))["code"] == "rate_limited"
