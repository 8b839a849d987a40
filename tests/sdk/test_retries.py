"""What gets lost on the way, against a real exchange: done once, or told to be unknown."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from tests.sdk.faulty import Fault, FaultyWay
from tests.sdk.market import Market

from exchange.sequencer.sequencer import Overloaded as EngineOverloaded
from exchange_sdk import Amend, Cancel, Exchange, OutcomeUnknown, Place, Retries
from exchange_sdk.errors import InsufficientFunds, Overloaded, UnknownOrder, Unreachable
from exchange_sdk.orders import BatchOutcomeUnknown

ALWAYS = [Fault.ANSWER_LOST] * 20


class Sleeps:
    """Sleeps for no time, and knows for how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def way() -> FaultyWay:
    return FaultyWay()


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
async def client(market: Market, way: FaultyWay, sleeps: Sleeps) -> AsyncIterator[Exchange]:
    async with market.agent(http=way) as exchange:
        exchange._http.sleep = sleeps
        yield exchange


async def test_an_order_whose_answer_was_lost_is_sent_again_and_placed_once(
    client: Exchange, way: FaultyWay
) -> None:
    way.faults.extend([Fault.ANSWER_LOST, Fault.ANSWER_LOST])
    placed = await client.place("ETH-USDC", "buy", size=1, price=2900)
    assert placed.order.is_open
    assert [order.order_id for order in await client.open_orders()] == [placed.order_id]
    assert len(way.sent) == 3
    assert len({request.content for request in way.sent}) == 1, "the very same order"
    for header in ("Exchange-Nonce", "Exchange-Signature"):
        assert len({request.headers[header] for request in way.sent}) == 3, "each signed anew"


async def test_an_order_without_any_answer_is_unknown_and_can_be_found(
    client: Exchange, way: FaultyWay
) -> None:
    way.faults.extend(ALWAYS)
    with pytest.raises(OutcomeUnknown) as caught:
        await client.place("ETH-USDC", "buy", size=1, price=2900)
    unknown = caught.value
    assert len(way.sent) == Retries().attempts
    assert unknown.client_order_id is not None
    assert unknown.settled_at_ms is not None
    found = await client.outcome(unknown)
    assert found is not None
    assert found.client_order_id == unknown.client_order_id


async def test_an_order_that_never_arrived_is_unknown_and_is_not_found(
    market: Market, client: Exchange, way: FaultyWay
) -> None:
    way.faults.extend([Fault.REQUEST_LOST] * 20)
    with pytest.raises(OutcomeUnknown) as caught:
        await client.place("ETH-USDC", "buy", size=1, price=2900)
    unknown = caught.value
    assert await client.find_order(unknown.client_order_id or "") is None
    wait = client._http.sleep

    async def until_settled(seconds: float) -> None:
        await wait(seconds)
        market.running.faults.clock_ahead_ns = 60 * 10**9

    client._http.sleep = until_settled
    assert await client.outcome(unknown) is None
    with pytest.raises(ValueError, match="only an order that was placed"):
        await client.outcome(OutcomeUnknown("DELETE /v1/orders/1"))


async def test_an_amendment_is_never_sent_twice(client: Exchange, way: FaultyWay) -> None:
    placed = await client.place("ETH-USDC", "buy", size=1, price=2900)
    way.sent.clear()
    way.faults.append(Fault.ANSWER_LOST)
    with pytest.raises(OutcomeUnknown, match="may have been done or not"):
        await client.amend(placed, size="0.4")
    assert len(way.sent) == 1
    assert (await client.order(placed)).size == Decimal("0.4"), "it was done"


async def test_a_batch_is_sent_again_only_where_nothing_in_it_is_amended(
    client: Exchange, way: FaultyWay
) -> None:
    order = Place(market="ETH-USDC", side="buy", size=1, price=2900)
    way.faults.append(Fault.ANSWER_LOST)
    (first,) = await client.batch([order])
    assert (len(way.sent), first.status) == (2, 200)
    assert len(await client.open_orders()) == 1
    way.faults.append(Fault.ANSWER_LOST)
    with pytest.raises(OutcomeUnknown):
        await client.batch([Amend(order=first.unwrap(), size="0.4"), Cancel(order=first.unwrap())])
    assert len(way.sent) == 3
    assert await client.open_orders() == []


async def test_of_a_batch_without_any_answer_it_is_told_which_orders_to_look_for(
    client: Exchange, way: FaultyWay
) -> None:
    orders = [Place(market="ETH-USDC", side="buy", size=1, price=2900 + number) for number in range(2)]
    way.faults.extend(ALWAYS)
    with pytest.raises(BatchOutcomeUnknown) as caught:
        await client.batch(orders)
    assert caught.value.operations == orders
    assert caught.value.settled_at_ms is not None
    for order in orders:
        found = await client.find_order(order.client_order_id)
        assert found is not None
        assert found.is_open


async def test_a_cancellation_whose_answer_was_lost_ends_with_the_cancelled_order(
    client: Exchange, way: FaultyWay
) -> None:
    placed = await client.place("ETH-USDC", "buy", size=1, price=2900)
    way.faults.append(Fault.ANSWER_LOST)
    ended = await client.cancel(placed)
    assert (ended.order_id, ended.status) == (placed.order_id, "cancelled")


async def test_so_does_one_by_client_order_id_of_an_order_whose_placing_was_not_answered(
    client: Exchange, way: FaultyWay
) -> None:
    way.faults.extend(ALWAYS)
    with pytest.raises(OutcomeUnknown) as caught:
        await client.place("ETH-USDC", "buy", size=1, price=2900)
    name = caught.value.client_order_id
    assert name is not None
    way.faults.clear()
    way.faults.append(Fault.ANSWER_LOST)
    ended = await client.cancel(client_order_id=name)
    assert (ended.client_order_id, ended.status) == (name, "cancelled")
    assert await client.open_orders() == []
    with pytest.raises(UnknownOrder):
        await client.cancel(client_order_id=name)


async def test_a_cancellation_that_a_key_may_not_look_up_stays_unknown(
    market: Market, way: FaultyWay, sleeps: Sleeps
) -> None:
    async with market.agent(http=way, scopes=["trade"]) as exchange:
        exchange._http.sleep = sleeps
        placed = await exchange.place("ETH-USDC", "buy", size=1, price=2900)
        way.faults.append(Fault.ANSWER_LOST)
        with pytest.raises(OutcomeUnknown) as caught:
            await exchange.cancel(placed)
        assert isinstance(caught.value.refusal, UnknownOrder)


async def test_a_cancellation_that_came_too_late_says_so_also_when_sent_twice(
    market: Market, client: Exchange, way: FaultyWay
) -> None:
    await market.quote()
    filled = await client.place("ETH-USDC", "buy", size=1, price=3000)
    assert filled.order.is_filled
    way.faults.append(Fault.REQUEST_LOST)
    with pytest.raises(UnknownOrder):
        await client.cancel(filled)


@pytest.mark.parametrize("fault", [Fault.GATEWAY_TIMEOUT, Fault.NONSENSE])
async def test_an_answer_that_says_nothing_is_as_good_as_none(
    client: Exchange, way: FaultyWay, fault: Fault
) -> None:
    way.faults.append(fault)
    placed = await client.place("ETH-USDC", "buy", size=1, price=2900)
    way.faults.append(fault)
    with pytest.raises(OutcomeUnknown):
        await client.amend(placed, size="0.4")
    assert (await client.order(placed)).size == Decimal("0.4")


async def test_a_refusal_after_a_lost_answer_does_not_hide_that_the_first_may_have_been_done(
    client: Exchange, way: FaultyWay
) -> None:
    way.faults.append(Fault.REQUEST_LOST)
    with pytest.raises(OutcomeUnknown) as caught:
        await client.place("ETH-USDC", "buy", size=1_000, price=2900)
    assert isinstance(caught.value.refusal, InsufficientFunds)
    assert caught.value.__cause__ is caught.value.refusal


async def test_what_could_not_be_sent_is_sent_whatever_it_is(client: Exchange, way: FaultyWay) -> None:
    placed = await client.place("ETH-USDC", "buy", size=1, price=2900)
    way.faults.extend([Fault.NO_CONNECTION, Fault.NO_CONNECTION])
    assert (await client.amend(placed, size="0.4")).order.size == Decimal("0.4")


async def test_who_can_not_be_reached_is_unreachable_and_nothing_was_done(
    client: Exchange, way: FaultyWay
) -> None:
    way.faults.extend([Fault.NO_CONNECTION] * 20)
    with pytest.raises(Unreachable):
        await client.place("ETH-USDC", "buy", size=1, price=2900)
    way.faults.clear()
    assert await client.open_orders() == []


async def test_reads_are_sent_again_and_then_unreachable(
    client: Exchange, way: FaultyWay, sleeps: Sleeps
) -> None:
    way.concerns = lambda request: request.url.path == "/v1/balances"
    way.faults.extend([Fault.ANSWER_LOST, Fault.GATEWAY_TIMEOUT, Fault.NO_CONNECTION])
    assert (await client.balances())["ETH"].total == 10
    way.faults.extend(ALWAYS)
    with pytest.raises(Unreachable):
        await client.balances()
    assert len(sleeps.seconds) == 3 + Retries().attempts - 1


async def test_the_time_that_an_overloaded_exchange_asks_for_is_waited(
    market: Market, client: Exchange, way: FaultyWay, sleeps: Sleeps
) -> None:
    placed = await client.place("ETH-USDC", "buy", size=1, price=2900)
    way.sent.clear()
    market.running.faults.refuse = EngineOverloaded(2)
    with pytest.raises(Overloaded) as caught:
        await client.cancel(placed)
    assert caught.value.retry_after_s == 2
    assert len(way.sent) == Retries().attempts
    assert sleeps.seconds == [2, 2, 2, 2]
    with pytest.raises(Overloaded):
        await client.amend(placed, size="0.4")
    assert len(way.sent) == Retries().attempts + 1, (
        "no answer was lost, but an amendment is the caller's to repeat"
    )


async def test_an_exchange_that_asks_for_longer_than_allowed_is_an_error_at_once(
    market: Market, client: Exchange, way: FaultyWay, sleeps: Sleeps
) -> None:
    market.running.faults.refuse = EngineOverloaded(60)
    with pytest.raises(Overloaded, match="retry after 60 s"):
        await client.place("ETH-USDC", "buy", size=1, price=2900)
    assert (len(way.sent), sleeps.seconds) == (1, [])


async def test_an_order_is_not_sent_again_after_its_request_has_expired(
    client: Exchange, way: FaultyWay, sleeps: Sleeps
) -> None:
    await client.balances()
    way.faults.extend(ALWAYS)
    with pytest.raises(OutcomeUnknown):
        await client.submit(
            Place(
                market="ETH-USDC",
                side="buy",
                size=1,
                price=2900,
                expires_at_ms=client.clock.now_ms(),
            )
        )
    assert (len(way.sent), sleeps.seconds) == (1, [])


def test_delays_double_up_to_the_longest_and_end() -> None:
    retries = Retries(attempts=6, first_delay_s=1, longest_delay_s=5)
    for attempt, most in ((1, 1), (2, 2), (3, 4), (4, 5), (5, 5)):
        delays = [retries.delay_s(attempt, None) for _ in range(200)]
        assert all(delay is not None and most / 2 <= delay <= most for delay in delays)
        assert len(set(delays)) > 100, "clients do not come back together"
    assert retries.delay_s(6, None) is None
    assert retries.delay_s(1, 4.0) == 4.0
    assert retries.delay_s(1, 5.1) is None


async def test_an_order_of_another_account_is_looked_for_in_that_account(market: Market) -> None:
    way, sleeps = FaultyWay(), Sleeps()
    async with market.owner(http=way) as owner:
        await owner.transfer("USDC", 10_000, to=1)
        owner._http.sleep = sleeps
        way.faults.extend(ALWAYS)
        with pytest.raises(OutcomeUnknown) as caught:
            await owner.place("ETH-USDC", "buy", size=1, price=2900, sub_account=1)
        way.faults.clear()
        assert caught.value.sub_account == 1
        found = await owner.outcome(caught.value)
        assert found is not None
        assert found.sub_account == 1
