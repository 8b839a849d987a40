import pytest
from tests.core.venue import Venue, refusal, trades

from exchange.core.accounts import FEES_ACCOUNT, MAX_OPEN_ORDERS
from exchange.core.commands import PlaceOrder
from exchange.core.events import OrderAccepted, OrderRested
from exchange.core.rejects import RejectReason
from exchange.core.units import MAX_ATOMS, MAX_PRICE_TICKS, MAX_SIZE_LOTS
from exchange.core.words import OrderType, Side, TimeInForce

BEYOND = [2**63, 2**64, 2**127, 2**128 - 1, 2**128, 2**200]
BAD_PRICES = [0, -1, *BEYOND]
BAD_SIZES = [0, -1, *BEYOND]


def test_an_order_of_an_unknown_or_a_system_account_is_refused(venue: Venue) -> None:
    venue.give("alice", apple=1)
    for account_id in (999_999, 0, -1, FEES_ACCOUNT, *BEYOND):
        order = PlaceOrder(
            account_id, 1, Side.SELL, OrderType.LIMIT, TimeInForce.GTC, 1, 1, None, venue.time_ns + 1
        )
        assert refusal(venue.do(order)) is RejectReason.UNKNOWN_ACCOUNT


def test_an_order_for_an_unknown_market_is_refused(venue: Venue) -> None:
    venue.give("alice", apple=1)
    for market in (2, 0, -1, *BEYOND):
        assert refusal(venue.sell("alice", 1, at=1, market=market)) is RejectReason.UNKNOWN_MARKET


def test_an_expiry_of_any_size_is_too_early_or_too_late(venue: Venue) -> None:
    venue.give("alice", apple=1)
    for expires_ns in BEYOND:
        late = venue.sell("alice", 1, at=1, expires_ns=expires_ns)
        assert refusal(late) is RejectReason.REQUEST_EXPIRY_TOO_FAR
        early = venue.sell("alice", 1, at=1, expires_ns=-expires_ns)
        assert refusal(early) is RejectReason.REQUEST_EXPIRED


def test_the_largest_price_and_the_largest_size_are_taken(venue: Venue) -> None:
    venue.give("alice", apple=MAX_ATOMS)
    assert isinstance(venue.sell("alice", MAX_SIZE_LOTS, at=1)[-1], OrderRested)
    assert isinstance(venue.sell("alice", 1, at=MAX_PRICE_TICKS)[-1], OrderRested)
    assert isinstance(venue.sell("alice", MAX_SIZE_LOTS, at=MAX_PRICE_TICKS)[-1], OrderRested)
    assert venue.depth()[1] == [(1, MAX_SIZE_LOTS), (MAX_PRICE_TICKS, 1 + MAX_SIZE_LOTS)]


def test_a_request_is_taken_until_its_expiry_and_refused_after(venue: Venue) -> None:
    venue.give("alice", apple=2)
    taken = venue.sell("alice", 1, at=100, expires_ns=venue.time_ns)
    assert isinstance(taken[0], OrderAccepted)
    late = venue.sell("alice", 1, at=100, expires_ns=venue.time_ns - 1)
    assert refusal(late) is RejectReason.REQUEST_EXPIRED


@pytest.mark.parametrize("price", BAD_PRICES)
def test_a_price_out_of_range_is_refused(venue: Venue, price: int) -> None:
    venue.give("alice", apple=1)
    assert refusal(venue.sell("alice", 1, at=price)) is RejectReason.PRICE_OUT_OF_RANGE


@pytest.mark.parametrize("size", BAD_SIZES)
def test_a_size_out_of_range_is_refused(venue: Venue, size: int) -> None:
    venue.give("alice", apple=1)
    assert refusal(venue.sell("alice", size, at=1)) is RejectReason.SIZE_OUT_OF_RANGE


def test_a_sell_needs_the_base_and_a_buy_the_notional(venue: Venue) -> None:
    venue.give("alice", apple=10)
    venue.give("bob", coin=999)
    assert refusal(venue.sell("alice", 11, at=1)) is RejectReason.INSUFFICIENT_FUNDS
    assert refusal(venue.buy("bob", 10, at=100)) is RejectReason.INSUFFICIENT_FUNDS
    assert venue.has("bob", "COIN") == (999, 0)
    assert isinstance(venue.buy("bob", 9, at=111)[-1], OrderRested)
    assert venue.has("bob", "COIN") == (0, 999)


def test_a_buy_needs_the_fee_reserve_to_the_last_atom() -> None:
    venue = Venue()
    venue.open_market(maker_fee_bps=10, taker_fee_bps=30)
    venue.give("bob", coin=1_003)
    assert refusal(venue.buy("bob", 10, at=101)) is RejectReason.INSUFFICIENT_FUNDS
    assert isinstance(venue.buy("bob", 10, at=100)[-1], OrderRested)
    assert venue.has("bob", "COIN") == (0, 1_003)
    venue.give("ben", coin=1_002)
    assert refusal(venue.buy("ben", 10, at=100)) is RejectReason.INSUFFICIENT_FUNDS


def test_what_is_held_can_not_be_used_twice(venue: Venue) -> None:
    venue.give("alice", apple=10)
    venue.sell("alice", 6, at=100)
    assert refusal(venue.sell("alice", 5, at=100)) is RejectReason.INSUFFICIENT_FUNDS
    assert refusal(venue.withdraw("alice", "APPLE", 5)) is RejectReason.INSUFFICIENT_FUNDS
    assert isinstance(venue.sell("alice", 4, at=100)[-1], OrderRested)


def test_the_largest_balance_can_be_sold_and_bought_whole() -> None:
    venue = Venue()
    lot = 2**66
    venue.open_market(lot_atoms=lot)
    venue.give("alice", apple=MAX_ATOMS)
    venue.give("bob", coin=MAX_ATOMS)
    lots = 2**62 - 1
    assert isinstance(venue.sell("alice", lots, at=1)[-1], OrderRested)
    assert trades(venue.buy("bob", lots, at=1)) == [(1, lots)]
    assert venue.has("bob", "APPLE") == (lots * lot, 0)
    assert venue.has("alice", "COIN") == (lots * lot, 0)


def test_an_order_whose_base_notional_or_hold_exceeds_128_bits_is_refused() -> None:
    venue = Venue()
    venue.open_market(lot_atoms=2**66, taker_fee_bps=10_000)
    venue.give("alice", apple=MAX_ATOMS)
    venue.give("bob", coin=MAX_ATOMS)
    assert refusal(venue.sell("alice", 2**62, at=1)) is RejectReason.AMOUNT_TOO_LARGE
    assert refusal(venue.sell("alice", 1, at=2**62)) is RejectReason.AMOUNT_TOO_LARGE
    assert refusal(venue.buy("bob", 2**61, at=1)) is RejectReason.AMOUNT_TOO_LARGE, "notional and fee"
    largest = MAX_PRICE_TICKS
    assert refusal(venue.buy("bob", largest, at=largest)) is RejectReason.AMOUNT_TOO_LARGE


def test_a_cheap_buy_of_more_base_than_128_bits_is_refused() -> None:
    venue = Venue()
    venue.open_market(tick=(1, 24), lot_atoms=10**24)
    venue.give("bob", coin=MAX_ATOMS)
    assert refusal(venue.buy("bob", 2**50, at=1)) is RejectReason.AMOUNT_TOO_LARGE
    assert isinstance(venue.buy("bob", 2**48, at=1)[-1], OrderRested)


def test_an_account_has_at_most_a_thousand_open_orders(venue: Venue) -> None:
    venue.give("alice", apple=2_000)
    venue.give("bob", coin=1_000)
    venue.checking = False
    for _ in range(MAX_OPEN_ORDERS):
        venue.sell("alice", 1, at=100)
    venue.checking = True
    assert refusal(venue.sell("alice", 1, at=100)) is RejectReason.TOO_MANY_OPEN_ORDERS
    post_only = venue.sell("alice", 1, at=100, tif=TimeInForce.POST_ONLY)
    assert refusal(post_only) is RejectReason.TOO_MANY_OPEN_ORDERS
    may_not_rest = venue.sell("alice", 1, at=100, tif=TimeInForce.IOC)
    assert isinstance(may_not_rest[0], OrderAccepted)
    venue.buy("bob", 1, at=100)
    assert isinstance(venue.sell("alice", 1, at=100)[-1], OrderRested)


def test_a_refused_order_changes_nothing_but_the_sequence(venue: Venue) -> None:
    venue.give("alice", apple=10)
    before = (venue.has("alice", "APPLE"), venue.depth(), venue.state.seq)
    venue.sell("alice", 11, at=100, cid="mine")
    assert (venue.has("alice", "APPLE"), venue.depth(), venue.state.seq) == (
        before[0],
        before[1],
        before[2] + 1,
    )
    assert isinstance(venue.sell("alice", 10, at=100, cid="mine")[0], OrderAccepted), "the id is still free"
