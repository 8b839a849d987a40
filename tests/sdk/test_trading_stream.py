"""Orders over a stream: answered in their order, and never a guess about what became of them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.sdk.chaos_proxy import ChaosProxy, chaos_proxy
from tests.sdk.market import Market
from tests.sdk.watching import until

from exchange_sdk import Amend, Cancel, Exchange, Place
from exchange_sdk.errors import (
    InsufficientFunds,
    NotAuthenticated,
    OutcomeUnknown,
    PriceOffTick,
    Refused,
    UnknownOrder,
    Unreachable,
)
from exchange_sdk.models import Placed
from exchange_sdk.orders import BatchOutcomeUnknown
from exchange_sdk.stream import Stream

MARKET = "ETH-USDC"
QUICK = {"first_delay_s": 0.01, "longest_delay_s": 0.05}


@pytest.fixture
async def proxy(market: Market) -> AsyncIterator[ChaosProxy]:
    async with chaos_proxy(market.url) as found:
        yield found


@pytest.fixture
async def client(market: Market, proxy: ChaosProxy) -> AsyncIterator[Exchange]:
    """Of an owner with 10 ETH and 100,000 USDC, on a quoted market, through the proxy."""
    await market.quote()
    async with Exchange(proxy.url, wallet=await market.wallet(ETH=10, USDC=100_000)) as exchange:
        yield exchange


@pytest.fixture
async def stream(client: Exchange) -> AsyncIterator[Stream]:
    async with client.stream(order_life_s=0.5, **QUICK) as stream:
        await stream.orders()
        yield stream


@pytest.fixture
async def direct(market: Market, client: Exchange) -> AsyncIterator[Exchange]:
    """The same owner, not through the proxy."""
    async with Exchange(market.url, wallet=client.wallet) as direct:
        yield direct


async def test_an_order_is_placed_changed_and_ended(stream: Stream):
    placed = await stream.trading.place(MARKET, "buy", size="0.5", price=2000, client_order_id="mine-1")
    assert (placed.order.client_order_id, placed.order.is_open, placed.fills) == ("mine-1", True, ())
    changed = await stream.trading.amend(placed.order, price="2000.01", size="0.6")
    assert (str(changed.order.price), str(changed.order.size)) == ("2000.01", "0.6")
    assert (await stream.trading.cancel(changed)).status == "cancelled"
    with pytest.raises(UnknownOrder):
        await stream.trading.cancel(placed)
    assert stream.trading.seq > placed.seq
    assert stream.trading.in_flight == 0


async def test_what_was_just_sent_is_ended_by_its_client_order_id_without_waiting_for_its_answer(
    stream: Stream,
):
    order = Place(market=MARKET, side="buy", size=1, price=2900)
    placed, ended = await asyncio.gather(
        stream.trading.submit(order), stream.trading.cancel(client_order_id=order.client_order_id)
    )
    assert (placed.order.status, ended.status) == ("open", "cancelled")
    assert ended.order_id == placed.order_id
    with pytest.raises(UnknownOrder):
        await stream.trading.cancel(client_order_id=order.client_order_id, sub_account=0)


async def test_what_an_order_fills_at_once_is_in_its_answer(stream: Stream):
    placed = await stream.trading.place(MARKET, "buy", size=6, price=3010, time_in_force="ioc")
    assert [(int(fill.price), int(fill.size)) for fill in placed.fills] == [(3000, 5), (3010, 1)]
    assert placed.order.is_filled


async def test_all_orders_are_ended_at_once_and_by_the_dead_mans_switch(stream: Stream):
    for price in (2000, 2001):
        await stream.trading.place(MARKET, "buy", size=1, price=price)
    sell = await stream.trading.place(MARKET, "sell", size=1, price=4000)
    assert (await stream.trading.cancel_all(MARKET, side="buy")).count == 2
    assert (await stream.trading.cancel_all()).order_ids == (sell.order_id,)
    assert (await stream.trading.cancel_all_after(60)).cancel_all_at_ms is not None
    assert (await stream.trading.cancel_all_after(0)).cancel_all_at_ms is None


async def test_each_operation_of_a_batch_is_done_or_refused_by_itself(stream: Stream):
    open_order = await stream.trading.place(MARKET, "buy", size=1, price=2000)
    results = await stream.trading.batch(
        [
            Place(market=MARKET, side="buy", size=1, price=2100),
            Place(market=MARKET, side="buy", size=10_000, price=2100),
            Amend(order=open_order, size="0.5"),
            Cancel(order="999"),
        ]
    )
    assert [result.ok for result in results] == [True, False, True, False]
    assert isinstance(results[1].error, InsufficientFunds)
    assert isinstance(results[3].error, UnknownOrder)
    assert str(results[2].unwrap().size) == "0.5"


async def test_a_refusal_is_raised_with_what_is_wrong(stream: Stream):
    with pytest.raises(PriceOffTick) as refused:
        await stream.trading.place(MARKET, "buy", size=1, price="2000.005")
    assert refused.value.field == "price"
    assert refused.value.nearest == ("2000", "2000.01")


async def test_a_batch_that_is_too_large_for_who_may_not_trade_is_refused_and_not_unknown(market: Market):
    orders = [Place(market=MARKET, side="buy", size=1, price=2000 + number) for number in range(30)]
    async with market.agent(scopes=["read"]) as reader, reader.stream() as stream:
        with pytest.raises(Refused) as refused:
            await stream.trading.batch(orders)
        assert refused.value.code == "message_too_large"
        with pytest.raises(Refused) as refused:
            await stream.trading.batch(orders[:2])
        assert refused.value.code == "scope_missing"


async def test_many_at_once_are_done_in_the_order_of_the_calls_and_each_gets_its_own_answer(stream: Stream):
    orders = [Place(market=MARKET, side="buy", size="0.001", price=1000 + number) for number in range(300)]
    answers = await asyncio.gather(*[stream.trading.submit(order) for order in orders])
    assert [answer.order.client_order_id for answer in answers] == [order.client_order_id for order in orders]
    ids = [int(answer.order_id) for answer in answers]
    assert ids == sorted(ids)
    assert len(stream._topics) == 1


async def test_orders_and_what_they_do_are_told_over_the_same_connection(stream: Stream):
    orders = await stream.orders()
    for price in range(1000, 1010):
        placed = await stream.trading.place(MARKET, "buy", size="0.1", price=price)
        assert (await anext(orders)).order_id == placed.order_id
    await until(lambda: (orders.seq or 0) >= stream.trading.seq, "the state has all that was answered")
    assert len(orders.open) == 10


# ---- when the connection is lost


async def lose(proxy: ChaosProxy, placing: asyncio.Task[Placed]) -> OutcomeUnknown:
    """The connection is lost, and with it the answer that was held; what is raised of the order then."""
    proxy.cut()
    with pytest.raises(OutcomeUnknown) as unknown:
        await placing
    proxy.let_answers()
    return unknown.value


async def test_an_order_whose_answer_was_lost_is_found_by_its_client_order_id(
    stream: Stream, proxy: ChaosProxy, direct: Exchange
):
    proxy.hold_answers()
    placing = asyncio.create_task(stream.trading.place(MARKET, "buy", size=1, price=2000))
    await until_async(direct, 1)
    unknown = await lose(proxy, placing)
    assert unknown.client_order_id is not None
    found = await stream.trading.outcome(unknown)
    assert found is not None
    assert (found.client_order_id, found.is_open) == (unknown.client_order_id, True)


async def test_an_order_that_never_arrived_is_known_not_to_be_once_its_life_is_over(
    stream: Stream, proxy: ChaosProxy, direct: Exchange
):
    proxy.freeze()
    placing = asyncio.create_task(stream.trading.place(MARKET, "buy", size=1, price=2000))
    await until(lambda: stream.trading.in_flight == 1, "it was sent")
    proxy.cut()
    with pytest.raises(OutcomeUnknown) as unknown:
        await placing
    proxy.thaw()
    assert await stream.trading.outcome(unknown.value) is None
    assert unknown.value.settled_at_ms is not None
    assert (await direct.time()).time_ms > unknown.value.settled_at_ms
    assert await direct.open_orders() == []


async def test_an_order_is_not_called_lost_while_the_exchange_may_still_be_at_committing_it(
    client: Exchange, market: Market
):
    async with client.stream(order_life_s=0.3, timeout_s=0.5, **QUICK) as stream:
        await stream.orders()
        async with market.running.edge.pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE journal IN EXCLUSIVE MODE")
            with pytest.raises(OutcomeUnknown) as unknown:
                await stream.trading.place(MARKET, "buy", size=1, price=2000)
            looking = asyncio.create_task(stream.trading.outcome(unknown.value))
            done, _ = await asyncio.wait({looking}, timeout=4)
            assert not done, "nobody can know yet"
        found = await looking
        assert found is not None
        assert found.is_open


async def test_the_account_of_an_order_is_known_where_its_outcome_is_not(
    client: Exchange, stream: Stream, proxy: ChaosProxy, direct: Exchange
):
    await client.transfer("USDC", 10_000, to=1)
    proxy.hold_answers()
    placing = asyncio.create_task(stream.trading.place(MARKET, "buy", size=1, price=2000, sub_account=1))
    async with asyncio.timeout(20):
        while not await direct.open_orders(sub_account=1):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    found = await stream.trading.outcome(await lose(proxy, placing))
    assert found is not None
    assert found.sub_account == 1


async def test_the_same_order_sent_again_after_an_unknown_outcome_is_one_order(
    stream: Stream, proxy: ChaosProxy, direct: Exchange
):
    order = Place(market=MARKET, side="buy", size=1, price=2000)
    proxy.hold_answers()
    placing = asyncio.create_task(stream.trading.submit(order))
    await until_async(direct, 1)
    await lose(proxy, placing)
    await until(lambda: stream._sign_in.is_signed_in, "it is connected again")
    again = await stream.trading.submit(order)
    assert again.order.is_open
    assert len(await direct.open_orders()) == 1


async def test_of_a_batch_it_is_told_which_orders_to_look_for(stream: Stream, proxy: ChaosProxy):
    orders = [Place(market=MARKET, side="buy", size=1, price=2000 + number) for number in range(2)]
    proxy.freeze()
    sending = asyncio.create_task(stream.trading.batch(orders))
    await until(lambda: stream.trading.in_flight == 1, "it was sent")
    proxy.cut()
    with pytest.raises(BatchOutcomeUnknown) as unknown:
        await sending
    assert unknown.value.operations == orders
    proxy.thaw()


async def test_an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown(
    client: Exchange, proxy: ChaosProxy
):
    async with client.stream(timeout_s=0.5, **QUICK) as stream:
        await stream.orders()
        proxy.hold_answers()
        with pytest.raises(OutcomeUnknown):
            await stream.trading.place(MARKET, "buy", size=1, price=2000)
        assert stream.trading.in_flight == 1
        proxy.let_answers()
        await until(lambda: stream.trading.in_flight == 0, "the late answer came")
        assert (await stream.trading.cancel_all()).count == 1


async def test_without_a_connection_nothing_is_sent_and_that_is_told_at_once(
    stream: Stream, proxy: ChaosProxy
):
    proxy.refuses = True
    proxy.cut()
    await until(lambda: not stream.is_connected, "the connection is lost")
    with pytest.raises(Unreachable):
        await stream.trading.place(MARKET, "buy", size=1, price=2000)
    assert stream.trading.in_flight == 0


async def test_orders_of_a_lost_connection_are_cancelled_where_that_was_asked_for_also_of_the_next_one(
    stream: Stream, proxy: ChaosProxy, direct: Exchange
):
    kept = await direct.place(MARKET, "buy", size=1, price=1999)
    await stream.trading.cancel_on_disconnect()
    for _ in range(2):
        placed = await stream.trading.place(MARKET, "buy", size=1, price=2000)
        connects = stream.connects
        proxy.cut()
        await until(lambda connects=connects: stream.connects > connects, "it is connected again")
        await until_async(direct, 1)
        assert (await direct.order(placed)).status == "cancelled"
        await until(lambda: stream._sign_in.is_signed_in, "it is signed in again")
    assert (await direct.order(kept)).is_open
    await stream.trading.cancel_on_disconnect(False)
    assert not stream.trading.cancels_on_disconnect


async def test_a_session_that_ended_refuses_orders_until_it_is_renewed(
    market: Market, client: Exchange, stream: Stream
):
    await market.running.edge.sessions.revoke(await client.session_token())
    for _ in range(100):
        try:
            placed = await stream.trading.place(MARKET, "buy", size=1, price=2000)
        except NotAuthenticated:
            await asyncio.sleep(0.01)
            continue
        assert placed.order.is_open
        return
    raise AssertionError("the session was never renewed")


async def until_async(exchange: Exchange, open_orders: int) -> None:
    """Waits until there are so many open orders."""
    async with asyncio.timeout(20):
        while len(await exchange.open_orders()) != open_orders:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# ---- what is known of time


async def test_an_order_with_a_longer_life_of_its_own_is_found_as_well(
    market: Market, client: Exchange, proxy: ChaosProxy, direct: Exchange
):
    async with client.stream(order_life_s=0.5, **QUICK) as stream:
        await stream.orders()
        order = Place(
            market=MARKET, side="buy", size=1, price=3000, expires_at_ms=client.clock.now_ms() + 25_000
        )
        proxy.hold_answers()
        placing = asyncio.create_task(stream.trading.submit(order))
        async with asyncio.timeout(20):
            while not await direct.fills().all():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        found = await stream.trading.outcome(await lose(proxy, placing))
        assert found is not None
        assert found.is_filled


@pytest.mark.parametrize("wrong_s", [-60, 60])
async def test_a_clock_that_went_wrong_under_a_connection_costs_one_order_at_most(
    client: Exchange, stream: Stream, wrong_s: int
):
    client.clock._origin_ns += wrong_s * 10**9
    with pytest.raises(Refused) as refused:
        await stream.trading.place(MARKET, "buy", size=1, price=2000)
    assert refused.value.code in {"request_expired", "expiry_too_far"}
    assert (await stream.trading.place(MARKET, "buy", size=1, price=2000)).order.is_open
    client.clock._origin_ns += wrong_s * 10**9
    with pytest.raises(Refused):
        await client.place(MARKET, "buy", size=1, price=2000)
    assert (await client.place(MARKET, "buy", size=1, price=2000)).order.is_open


@pytest.mark.parametrize("over_the_stream", [True, False])
async def test_a_batch_finds_out_about_a_wrong_clock_as_well(
    client: Exchange, stream: Stream, over_the_stream: bool
):
    batch = stream.trading.batch if over_the_stream else client.batch
    client.clock._origin_ns -= 60 * 10**9
    (late,) = await batch([Place(market=MARKET, side="buy", size=1, price=2000)])
    assert not late.ok
    (placed,) = await batch([Place(market=MARKET, side="buy", size=1, price=2000)])
    assert placed.unwrap().is_open
