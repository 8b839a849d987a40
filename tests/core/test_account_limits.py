import pytest
from tests.core.venue import Venue, refusal, trades

from exchange.core.accounts import FEES_ACCOUNT, MAX_OPEN_ORDERS
from exchange.core.commands import SetAccountLimits
from exchange.core.events import AccountLimitsSet, OrderAccepted, OrderRested
from exchange.core.rejects import RejectReason
from exchange.core.words import TimeInForce


@pytest.fixture
def limited(fair: Venue) -> Venue:
    """Bob may have 3 orders open, 2 in one market. There are markets 1 and 2."""
    fair.open_market("PEAR", "COIN")
    fair.set_limits("bob", 3, 2)
    return fair


def test_setting_limits_answers_with_them(fair: Venue) -> None:
    assert fair.set_limits("bob", 3, 2) == [AccountLimitsSet(fair.account_id("bob"), 3, 2)]


def test_a_market_takes_as_many_orders_as_its_limit(limited: Venue) -> None:
    for _ in range(2):
        assert isinstance(limited.buy("bob", 1, at=10)[-1], OrderRested)
    assert refusal(limited.buy("bob", 1, at=10)) is RejectReason.TOO_MANY_ORDERS_IN_MARKET
    assert isinstance(limited.buy("bob", 1, at=10, market=2)[-1], OrderRested)


def test_a_limit_of_no_order_in_a_market_refuses_the_first_one(limited: Venue) -> None:
    """Once the first order of an account in a market slipped through; see decision 14."""
    limited.set_limits("bob", 3, 0)
    for market in (1, 2):
        assert refusal(limited.buy("bob", 1, at=10, market=market)) is RejectReason.TOO_MANY_ORDERS_IN_MARKET
    limited.sell("alice", 5, at=100)
    assert trades(limited.buy("bob", 1, at=100, tif=TimeInForce.IOC)) == [(100, 1)]


def test_the_limit_in_all_is_told_before_the_markets(limited: Venue) -> None:
    for market in (1, 1, 2):
        limited.buy("bob", 1, at=10, market=market)
    assert refusal(limited.buy("bob", 1, at=10, market=1)) is RejectReason.TOO_MANY_OPEN_ORDERS
    assert refusal(limited.buy("bob", 1, at=10, market=2)) is RejectReason.TOO_MANY_OPEN_ORDERS


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
def test_what_does_not_rest_needs_no_room(limited: Venue, tif: TimeInForce) -> None:
    for market in (1, 1, 2):
        limited.buy("bob", 1, at=10, market=market)
    limited.sell("alice", 5, at=100)
    assert trades(limited.buy("bob", 1, at=100, tif=tif)) == [(100, 1)]
    assert trades(limited.spend("bob", 100, worst=100)) == [(100, 1)]


@pytest.mark.parametrize("tif", [TimeInForce.GTC, TimeInForce.POST_ONLY, TimeInForce.GTT])
def test_what_may_rest_needs_room_even_when_it_would_fill(limited: Venue, tif: TimeInForce) -> None:
    limited.set_limits("bob", 0, 0)
    limited.sell("alice", 5, at=100)
    till_ns = limited.time_ns + 1 if tif is TimeInForce.GTT else 0
    events = limited.buy("bob", 1, at=100, tif=tif, till_ns=till_ns)
    assert refusal(events) is RejectReason.TOO_MANY_OPEN_ORDERS


def test_an_order_that_ends_makes_room(limited: Venue) -> None:
    limited.buy("bob", 1, at=10)
    first = limited.last_order_id
    limited.buy("bob", 1, at=11)
    limited.cancel("bob", first)
    limited.buy("bob", 1, at=10)
    limited.sell("alice", 1, at=11)
    limited.buy("bob", 1, at=9, till_ns=limited.time_ns + 1)
    limited.time_ns += 1
    assert isinstance(limited.buy("bob", 1, at=9)[-1], OrderRested)
    assert refusal(limited.buy("bob", 1, at=9)) is RejectReason.TOO_MANY_ORDERS_IN_MARKET


def test_orders_beyond_a_lower_limit_stay(limited: Venue) -> None:
    limited.buy("bob", 1, at=10)
    limited.buy("bob", 1, at=10)
    limited.set_limits("bob", 1, 1)
    assert limited.depth() == ([(10, 2)], [])
    assert refusal(limited.buy("bob", 1, at=10)) is RejectReason.TOO_MANY_OPEN_ORDERS
    limited.set_limits("bob", 1_000, 3)
    assert isinstance(limited.buy("bob", 1, at=10)[0], OrderAccepted)


def test_limits_are_of_one_account(limited: Venue) -> None:
    limited.set_limits("bob", 0, 0)
    limited.transfer("bob", "COIN", 100, to=5)
    assert isinstance(limited.buy("bob", 1, at=10, sub_account=5)[0], OrderAccepted)
    assert isinstance(limited.buy("ben", 1, at=10)[0], OrderAccepted)


@pytest.mark.parametrize("limits", [(0, 0), (1, 0), (1, 1), (MAX_OPEN_ORDERS, MAX_OPEN_ORDERS)])
def test_possible_limits_are_taken(fair: Venue, limits: tuple[int, int]) -> None:
    assert fair.set_limits("bob", *limits) == [AccountLimitsSet(fair.account_id("bob"), *limits)]


@pytest.mark.parametrize(
    "limits", [(0, 1), (5, 6), (-1, -1), (1, -1), (MAX_OPEN_ORDERS + 1, 1), (2**64, 2**64), (2**128, 0)]
)
def test_impossible_limits_are_refused(fair: Venue, limits: tuple[int, int]) -> None:
    assert refusal(fair.set_limits("bob", *limits)) is RejectReason.ACCOUNT_LIMITS_INVALID
    account = fair.state.accounts[fair.account_id("bob")]
    assert (account.max_open_orders, account.max_orders_per_market) == (MAX_OPEN_ORDERS, MAX_OPEN_ORDERS)


def test_nobody_and_the_system_have_no_limits(fair: Venue) -> None:
    for account_id in (0, -1, 5_000, FEES_ACCOUNT, 2**64):
        assert refusal(fair.do(SetAccountLimits(account_id, 1, 1))) is RejectReason.UNKNOWN_ACCOUNT
