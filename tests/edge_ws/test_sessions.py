"""Who a connection speaks for, and what happens to its private streams when it does not any more."""

import asyncio
import gc

import pytest
from tests.edge.harness import ORIGIN, running_exchange, served
from tests.edge_ws.speaking import BOOK, Streams

from exchange.edge.app import create_app
from exchange.edge.cookies import SESSION_COOKIE
from exchange.edge.ws.connection import Connection
from exchange.edge.ws.protocol import WebSocketProtocol
from exchange.gateway.rate_limit import TokenBuckets
from exchange.gateway.session_endings import SessionEndings
from exchange.gateway.sessions import Sessions
from exchange.stores.postgres import open_connection

PRIVATE = ("orders", "fills", "balances", "deposits", "withdrawals")


def cookie_of(trader, **headers: str) -> dict[str, str]:
    return {"Cookie": f"theme=dark; {SESSION_COOKIE}={trader.token}"} | headers


async def ended(client, code: str) -> None:
    """All private streams end, and a public one goes on."""
    found = [await client.receive() for _ in PRIVATE]
    assert {message["channel"] for message in found} == set(PRIVATE)
    for message in found:
        assert (message["type"], message["code"]) == ("ended", code)
        assert ("sub_account" in message) == (message["channel"] in {"orders", "fills", "balances"})


async def test_a_token_opens_the_private_streams_and_says_until_when(streams):
    trader = await streams.exchange.trader(USDC=10**10)
    async with streams.client() as client:
        await client.refused("unauthenticated", op="subscribe", channel="orders")
        answer = await client.ask(op="auth", id="1", token=trader.token)
        me = (await trader.get("/v1/me")).json()
        assert answer == {
            "type": "authenticated",
            "id": "1",
            "owner": trader.key.address,
            "expires_ms": me["session_expires_at_ms"],
        }
        for channel in PRIVATE:
            await client.subscribe(channel=channel)


async def test_a_token_that_is_none_opens_nothing(streams):
    async with streams.client() as client:
        await client.refused("session_invalid", op="auth", token="x" * 43)
        await client.refused("session_invalid", op="auth", token="' OR 1=1")
        await client.refused("unauthenticated", "token", op="auth")
        await client.refused("unauthenticated", op="subscribe", channel="balances")


async def test_the_cookie_of_the_upgrade_counts_from_our_own_pages_only(streams):
    trader = await streams.exchange.trader(USDC=10**10)
    async with streams.client(additional_headers=cookie_of(trader), origin=ORIGIN) as client:
        assert (await client.ask(op="auth"))["owner"] == trader.key.address
        await client.subscribe(channel="orders")
    async with streams.client(additional_headers=cookie_of(trader)) as client:
        await client.refused("origin_required", op="auth")
        await client.sign_in(trader)


async def test_nobody_subscribes_to_what_is_somebody_elses(streams):
    owner = await streams.exchange.trader(USDC=10**10)
    other = await streams.exchange.trader(USDC=5 * 10**6)
    async with streams.signed_in(other) as client:
        snapshot = await client.subscribe(channel="balances")
        assert snapshot["data"] == [{"asset": "USDC", "available": "5", "held": "0"}]
        await client.refused(
            "unknown_account", "sub_account", op="subscribe", channel="orders", sub_account=1
        )
        await client.subscribe(channel="orders")
        await owner.order()
        order = (await other.order(price="1")).json()
        found = {message["channel"]: message for message in [await client.receive(), await client.receive()]}
        assert found["orders"]["data"] == [order["order"]]
        assert found["balances"]["data"] == [{"asset": "USDC", "available": "3.999", "held": "1.001"}]


async def test_signing_out_ends_the_private_streams_at_once_and_no_other(streams):
    trader = await streams.exchange.trader(USDC=10**10)
    another = await streams.exchange.trader(USDC=10**10)
    async with streams.signed_in(trader) as client, streams.signed_in(another) as untouched:
        await client.subscribe(**BOOK)
        for channel in PRIVATE:
            await client.subscribe(channel=channel)
        await untouched.subscribe(channel="orders")
        assert (await trader.request("POST", "/v1/auth/logout")).status_code == 204
        await ended(client, "session_invalid")
        await client.refused("unauthenticated", op="subscribe", channel="orders")
        await client.refused("session_invalid", op="auth", token=trader.token)
        await another.order()
        assert (await untouched.receive())["channel"] == "orders"
        assert (await client.receive())["channel"] == "book"


async def test_a_session_that_another_process_ends_is_ended_here_too(database_url, pool, streams):
    trader = await streams.exchange.trader(USDC=10**10)
    sessions = streams.exchange.edge.sessions
    listening = SessionEndings(sessions, lambda: open_connection(database_url))
    task = asyncio.create_task(listening.run())
    await listening.listening.wait()
    async with streams.signed_in(trader) as client:
        for channel in PRIVATE:
            await client.subscribe(channel=channel)
        elsewhere = Sessions(pool, clock_ns=streams.exchange.edge.clock_ns)
        await elsewhere.revoke(trader.token)
        await ended(client, "session_invalid")
        assert (await trader.get("/v1/me")).status_code == 401
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_session_that_expires_ends_its_private_streams(streams):
    trader = await streams.exchange.trader(USDC=10**10)
    async with streams.signed_in(trader) as client:
        for channel in PRIVATE:
            await client.subscribe(channel=channel)
        streams.exchange.faults.clock_ahead_ns = 3601 * 10**9
        await ended(client, "session_expired")
        await client.refused("session_expired", op="auth", token=trader.token)


async def test_a_session_that_has_just_expired_gets_nothing_private(streams, monkeypatch):
    trader = await streams.exchange.trader(USDC=10**10)
    hub, faults = streams.exchange.hub, streams.exchange.faults
    open_topic = hub.open

    async def open_for_too_long(*given):
        fan_out = await open_topic(*given)
        faults.clock_ahead_ns = 3601 * 10**9
        return fan_out

    monkeypatch.setattr(hub, "_tick", lambda: None)  # the next one is still to come
    async with streams.signed_in(trader) as first, streams.signed_in(trader) as second:
        with monkeypatch.context() as slow:
            slow.setattr(hub, "open", open_for_too_long)
            await first.refused("unauthenticated", op="subscribe", channel="balances")
        await second.refused("unauthenticated", op="subscribe", channel="balances")
        await second.subscribe(**BOOK)
    assert not any(
        topic.subscribers for topic in streams.exchange.feeds._topics.values() if topic.key.is_private
    )


async def test_another_session_on_the_same_connection_ends_the_streams_of_the_first(streams):
    first = await streams.exchange.trader(USDC=10**10)
    second = await streams.exchange.trader(USDC=10**10)
    async with streams.signed_in(first) as client:
        for channel in PRIVATE:
            await client.subscribe(channel=channel)
        assert (await client.ask(op="auth", token=first.token))["type"] == "authenticated"  # changes nothing
        await client.send(op="auth", token=second.token)
        await ended(client, "unauthenticated")
        assert (await client.receive())["owner"] == second.key.address
        await first.request("POST", "/v1/auth/logout")
        await client.subscribe(channel="orders")
        order = (await second.order()).json()
        assert (await client.receive())["data"] == [order["order"]]


async def test_attempts_to_authenticate_are_counted_with_those_to_sign_in(database_url, pool):
    async with running_exchange(database_url, pool) as exchange:
        app = create_app(exchange.edge, exchange.hub)
        app.state.auth_buckets = TokenBuckets(burst=3, per_s=1, clock_ns=lambda: 0)  # of a clock that stands
        async with served(app) as url, Streams(exchange, url).client() as client:
            for _ in range(3):
                await client.refused("session_invalid", op="auth", token="x" * 43)
            refused = await client.refused("rate_limited", op="auth", token="x" * 43)
            assert refused["retry_after_s"] == 1


async def test_a_connection_that_is_gone_leaves_nothing_behind(streams):
    trader = await streams.exchange.trader(USDC=10**10)
    hub = streams.exchange.hub
    async with streams.signed_in(trader) as client:
        await client.subscribe(**BOOK)
        for channel in PRIVATE:
            await client.subscribe(channel=channel)
        assert len(hub._fan_outs) == 1 + len(PRIVATE)
        assert streams.exchange.streams.subscriptions["orders"] == 1
    async with asyncio.timeout(10):
        while hub._clients:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)
    assert not hub._fan_outs
    assert not hub._by_credential
    assert not +streams.exchange.streams.subscriptions


async def test_what_is_left_of_connections_waits_for_no_collector(streams):
    trader = await streams.exchange.trader(USDC=10**10)
    gc.collect()
    gc.disable()  # full collections are rare in the engine's process
    try:
        for number in range(10):
            async with streams.signed_in(trader) as client:
                await client.subscribe(channel="orders")
                if number % 2:
                    client.socket.transport.abort()
        async with asyncio.timeout(10):
            while any(type(found) in {Connection, WebSocketProtocol} for found in gc.get_objects()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


@pytest.mark.parametrize("trouble", ["lost", "unheard"])
async def test_what_was_not_heard_is_found_out_by_asking(database_url, pool, streams, trouble):
    trader = await streams.exchange.trader(USDC=10**10)
    sessions = streams.exchange.edge.sessions
    opened = []

    async def connect():
        opened.append(await open_connection(database_url))
        return opened[-1]

    listening = SessionEndings(sessions, connect, check_s=0.05, retry_s=0.05)
    async with streams.signed_in(trader) as client:
        for channel in PRIVATE:
            await client.subscribe(channel=channel)
        task = asyncio.create_task(listening.run())
        await listening.listening.wait()
        if trouble == "lost":
            opened[0].terminate()
        await pool.execute("UPDATE sessions SET revoked_ns = 1")  # and nobody is notified
        await ended(client, "session_invalid")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
