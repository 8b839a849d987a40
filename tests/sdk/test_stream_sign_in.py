"""Who a stream speaks for, and what happens when that ends."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.sdk.chaos_proxy import ChaosProxy, chaos_proxy
from tests.sdk.market import Market
from tests.sdk.watching import until

from exchange_sdk import AgentKey, Exchange
from exchange_sdk.errors import (
    AgentExpired,
    AgentRevoked,
    AgentUnknown,
    NotAuthenticated,
    ScopeMissing,
)
from exchange_sdk.private_feeds import Orders
from exchange_sdk.signing import KeyKind
from exchange_sdk.stream import Stream

MARKET = "ETH-USDC"
QUICK = {"first_delay_s": 0.01, "longest_delay_s": 0.05}


@pytest.fixture
async def proxy(market: Market) -> AsyncIterator[ChaosProxy]:
    async with chaos_proxy(market.url) as found:
        yield found


async def reconnected(proxy: ChaosProxy, stream: Stream, orders: Orders) -> None:
    """The connection is lost, and another one speaks for the same owner."""
    resumed = orders._topic.resumed
    proxy.cut()
    await until(lambda: orders._topic.resumed > resumed and orders.is_live, "it is signed in again")


async def order_is_told(exchange: Exchange, stream: Stream) -> None:
    orders = await stream.orders()
    placed = await exchange.place(MARKET, "buy", size=1, price=2000)
    assert (await anext(orders)).order_id == placed.order_id


@pytest.mark.parametrize("kind", ["ed25519", "secp256k1"])
async def test_a_key_signs_the_challenge_of_each_connection(market: Market, proxy: ChaosProxy, kind: KeyKind):
    key = AgentKey.generate(kind)
    async with market.owner() as owner:
        await owner.approve(key, "bot")
        async with Exchange(proxy.url, key=key) as exchange, exchange.stream(**QUICK) as stream:
            orders = await stream.orders()
            for _ in range(2):
                placed = await exchange.place(MARKET, "buy", size=1, price=2000)
                assert (await anext(orders)).order_id == placed.order_id
                await reconnected(proxy, stream, orders)
            assert stream.connects == 3


async def test_a_session_that_was_ended_is_renewed_and_nothing_is_lost(market: Market):
    async with market.owner() as exchange, exchange.stream(**QUICK) as stream:
        orders = await stream.orders()
        token = await exchange.session_token()
        placed = await exchange.place(MARKET, "buy", size=1, price=2000)
        await market.running.edge.sessions.revoke(token)
        await exchange.cancel(placed.order)
        await until(lambda: orders._topic.resumed == 1, "it is signed in again, and goes on")
        assert [(await anext(orders)).status for _ in range(2)] == ["open", "cancelled"]
        assert stream.connects == 1, "on the same connection"
        assert await exchange.session_token() != token


async def test_a_session_that_has_expired_is_renewed(market: Market):
    async with market.owner() as exchange, exchange.stream(**QUICK) as stream:
        orders = await stream.orders()
        market.running.faults.clock_ahead_ns = 3_601 * 10**9
        await until(lambda: not orders.is_live, "the exchange has ended the subscription")
        market.running.faults.clock_ahead_ns = 0
        await until(lambda: orders._topic.resumed > 0, "it is signed in again, and goes on")
        await order_is_told(exchange, stream)


async def test_a_revoked_key_ends_what_is_private_at_once_and_says_why(market: Market):
    key = AgentKey.generate()
    async with market.owner() as owner:
        await owner.approve(key, "bot")
        async with Exchange(market.url, key=key) as exchange, exchange.stream(**QUICK) as stream:
            orders, book = await stream.orders(), await stream.book(MARKET)
            await owner.revoke(key)
            with pytest.raises(AgentRevoked):
                await anext(orders)
            with pytest.raises(AgentRevoked):
                await stream.trading.place(MARKET, "buy", size=1, price=2000)
            with pytest.raises(AgentRevoked):
                await stream.fills()
            assert book.is_live, "what is public goes on"
            assert stream.is_connected


async def test_a_key_that_has_expired_ends_what_is_private(market: Market):
    key = AgentKey.generate()
    async with market.owner() as owner:
        await owner.approve(key, "bot", expires=timedelta(minutes=1))
        async with Exchange(market.url, key=key) as exchange, exchange.stream(**QUICK) as stream:
            orders = await stream.orders()
            market.running.faults.clock_ahead_ns = 61 * 10**9
            with pytest.raises(AgentExpired):
                await anext(orders)
            market.running.faults.clock_ahead_ns = 0


async def test_a_key_that_nobody_has_approved_is_refused_and_the_public_goes_on(market: Market):
    async with Exchange(market.url, key=AgentKey.generate()) as exchange, exchange.stream() as stream:
        with pytest.raises(AgentUnknown):
            await stream.orders()
        with pytest.raises(AgentUnknown):
            await stream.trading.cancel_all()
        assert await stream.book(MARKET)


async def test_a_key_that_is_approved_while_the_stream_is_there_is_taken_from_the_next_connection_on(
    market: Market, proxy: ChaosProxy
):
    key = AgentKey.generate()
    async with (
        market.owner() as owner,
        Exchange(proxy.url, key=key) as exchange,
        exchange.stream(**QUICK) as stream,
    ):
        with pytest.raises(NotAuthenticated):
            await stream.orders()
        await owner.approve(key, "bot")
        proxy.cut()
        await until(lambda: stream.connects == 2, "it is connected again")
        assert await stream.orders()


async def test_what_a_key_may_not_read_is_refused_and_what_it_may_is_not(market: Market):
    async with market.agent(scopes=["trade"]) as exchange, exchange.stream() as stream:
        with pytest.raises(ScopeMissing):
            await stream.orders()
        placed = await stream.trading.place(MARKET, "buy", size=1, price=2000)
        assert placed.order.is_open
    async with market.agent(scopes=["read"]) as exchange, exchange.stream() as stream:
        assert await stream.orders()
        with pytest.raises(ScopeMissing):
            await stream.trading.place(MARKET, "buy", size=1, price=2000)


async def test_a_clock_that_went_wrong_is_set_right_and_the_sign_in_repeated(
    market: Market, proxy: ChaosProxy
):
    key = AgentKey.generate()
    async with market.owner() as owner:
        await owner.approve(key, "bot")
    async with Exchange(proxy.url, key=key) as exchange, exchange.stream(**QUICK) as stream:
        orders = await stream.orders()
        exchange.clock._origin_ns -= 3_600 * 10**9
        await reconnected(proxy, stream, orders)
        assert abs(exchange.clock.now_ms() - time.time_ns() // 10**6) < 10_000


async def test_sign_ins_that_are_refused_for_now_are_tried_again(market: Market, proxy: ChaosProxy):
    key = AgentKey.generate()
    async with market.owner() as owner:
        await owner.approve(key, "bot")
    async with Exchange(proxy.url, key=key) as exchange, exchange.stream(**QUICK) as stream:
        orders = await stream.orders()
        exchange._http._deployment = None  # to be asked for again before it signs
        await reconnected(proxy, stream, orders)
        assert orders.stale_since_ms is None
