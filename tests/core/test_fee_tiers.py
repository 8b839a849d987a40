"""Fee schedules: rates by tier, changed by the operator, pinned by orders; and rebates for makers."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.venue import Venue, address, fills, refusal

from exchange.core.accounts import FEES_ACCOUNT
from exchange.core.commands import OpenMarket, SetFees, SetFeeTier
from exchange.core.events import FeesSet, FeeTierSet, OrderAccepted
from exchange.core.markets import MAX_FEE_TIERS
from exchange.core.rejects import RejectReason
from exchange.core.words import Side, TimeInForce

TABLE = ((10, 50), (5, 40), (-10, 30))


@pytest.fixture
def tiered(fair: Venue) -> Venue:
    """Tier 0 pays (10, 50), tier 1 (5, 40), tier 2 (-10, 30) bps as maker and taker."""
    fair.set_fees(*TABLE)
    return fair


def rates_of(venue: Venue, name: str, **more: int) -> tuple[int, int]:
    """The rates at which an order of the person is accepted."""
    event = venue.buy(name, 1, at=1, tif=TimeInForce.IOC, **more)[0]
    assert isinstance(event, OrderAccepted)
    return event.maker_fee_bps, event.taker_fee_bps


def test_setting_fees_and_tiers_answers_with_them(fair: Venue) -> None:
    assert fair.set_fees(*TABLE) == [FeesSet(1, 10, 50, ((5, 40), (-10, 30)))]
    assert fair.set_tier("bob", 2) == [FeeTierSet(address("bob"), 2)]


def test_everybody_begins_in_tier_0(tiered: Venue) -> None:
    assert rates_of(tiered, "bob") == TABLE[0]


@pytest.mark.parametrize(("tier", "rates"), [(0, TABLE[0]), (1, TABLE[1]), (2, TABLE[2]), (15, TABLE[2])])
def test_a_tier_has_its_rates_and_one_beyond_the_table_the_last(
    tiered: Venue, tier: int, rates: tuple[int, int]
) -> None:
    tiered.set_tier("bob", tier)
    assert rates_of(tiered, "bob") == rates
    assert rates_of(tiered, "ben") == TABLE[0]


def test_a_market_without_a_table_has_one_rate_for_all(fair: Venue) -> None:
    fair.open_market("PEAR", "COIN", maker_fee_bps=1, taker_fee_bps=2)
    fair.set_tier("bob", 3)
    assert rates_of(fair, "bob", market=2) == (1, 2)


def test_a_tier_is_the_owners_in_all_sub_accounts_those_to_come_too(tiered: Venue) -> None:
    tiered.transfer("bob", "COIN", 100, to=1)
    tiered.set_tier("bob", 1)
    tiered.transfer("bob", "COIN", 100, to=2, cid="t2")
    for sub_account in (0, 1, 2):
        assert rates_of(tiered, "bob", sub_account=sub_account) == TABLE[1]


def test_a_tier_may_be_set_before_there_is_an_account(tiered: Venue) -> None:
    tiered.set_tier("zoe", 2)
    tiered.give("zoe", coin=100)
    assert rates_of(tiered, "zoe") == TABLE[2]
    tiered.set_tier("zoe", 0)
    assert rates_of(tiered, "zoe") == TABLE[0]
    assert tiered.state.fee_tiers == {}


def test_orders_keep_the_rates_they_were_accepted_at(tiered: Venue) -> None:
    tiered.sell("alice", 100, at=100)
    tiered.set_tier("alice", 1)
    tiered.set_tier("bob", 1)
    (trade,) = fills(tiered.buy("bob", 100, at=100))
    assert (trade.maker_fee_atoms, trade.taker_fee_atoms) == (10, 40)


def test_new_rates_are_for_new_orders(tiered: Venue) -> None:
    tiered.sell("alice", 100, at=100)
    tiered.set_fees((100, 200))
    tiered.sell("ann", 100, at=100)
    old, new = fills(tiered.buy("bob", 200, at=100))
    assert (old.maker_fee_atoms, new.maker_fee_atoms) == (10, 100)
    assert (old.taker_fee_atoms, new.taker_fee_atoms) == (200, 200)


# ---- rebates


def rebate_venue(maker: int, taker: int) -> Venue:
    venue = Venue()
    venue.open_market(maker_fee_bps=maker, taker_fee_bps=taker)
    for name in ("alice", "bob"):
        venue.give(name, apple=10_000, coin=1_000_000)
    return venue


def test_a_maker_that_sells_gets_the_rebate_on_top_of_its_price() -> None:
    venue = rebate_venue(-20, 30)
    venue.sell("alice", 100, at=100)
    (trade,) = fills(venue.buy("bob", 100, at=100))
    assert (trade.maker_fee_atoms, trade.taker_fee_atoms) == (-20, 30)
    assert venue.has("alice", "COIN") == (1_010_020, 0)
    assert venue.has("bob", "COIN") == (1_000_000 - 10_030, 0)
    assert venue.fees() == 10


def test_a_maker_that_buys_has_the_rebate_available_at_once() -> None:
    venue = rebate_venue(-20, 30)
    venue.buy("bob", 200, at=100)
    assert venue.has("bob", "COIN")[1] == 20_060, "the hold is at its worse rate"
    (trade,) = fills(venue.sell("alice", 100, at=100))
    assert trade.maker_fee_atoms == -20
    assert trade.buyer_released_atoms == 50, "the rebate, and the fee that was reserved for this half"
    assert venue.has("bob", "COIN") == (1_000_000 - 20_060 + 50, 10_030)


@pytest.mark.parametrize("price", [1, 7, 99, 100, 101, 333])
def test_many_small_rebates_are_what_one_large_one_is_rounded_down(price: int) -> None:
    venue = rebate_venue(-20, 30)
    venue.sell("alice", 50, at=price)
    given_so_far = 0
    for filled in range(1, 51):
        (trade,) = fills(venue.buy("bob", 1, at=price))
        given_so_far -= trade.maker_fee_atoms
        assert given_so_far == filled * price * 20 // 10_000
        assert venue.fees() >= 0


def test_taker_fees_are_rounded_up_and_rebates_down_so_the_house_never_pays() -> None:
    venue = rebate_venue(-30, 30)
    venue.sell("alice", 1_000, at=1)
    for _ in range(300):
        venue.buy("bob", 1, at=1)
    assert venue.fees() == 300, "each taker rounds up to 1, the maker is owed 0.9 in all"
    venue.buy("bob", 100, at=1)
    assert venue.fees() == 300 + 1 - 1


def test_a_single_trade_may_give_back_more_than_it_takes_by_the_rounding_but_never_all_of_them() -> None:
    """Each order is rounded once over all its fills. The taker has paid its rounding with the fill before,
    and the maker's two halves of an atom become a whole one.
    """
    venue = rebate_venue(-100, 100)
    venue.give("carol", coin=100_000)
    venue.sell("alice", 2, at=50)
    (half,) = fills(venue.buy("carol", 1, at=50))
    assert (half.taker_fee_atoms, half.maker_fee_atoms) == (1, 0)
    venue.sell("bob", 1, at=1)
    small, other_half = fills(venue.buy("carol", 2, at=50))
    assert (small.taker_fee_atoms, small.maker_fee_atoms) == (1, 0)
    assert (other_half.taker_fee_atoms, other_half.maker_fee_atoms) == (0, -1)
    assert venue.fees() == 1


steps = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob", "carol"]),
        st.sampled_from(Side),
        st.integers(1, 30),
        st.integers(1, 9),
        st.sampled_from([0, 1, 2]),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_whatever_is_traded_fees_are_exact_and_the_fees_account_is_never_short(
    orders: list[tuple[str, Side, int, int, int]], rebate: int, more: int, middle: int
) -> None:
    """The checks after each command prove every order's fees; the sum is proved here."""
    venue = Venue(checking=False)
    venue.open_market()
    venue.set_fees((-rebate, rebate + more), (middle, rebate), (-rebate, rebate))
    for tier, name in enumerate(("alice", "bob", "carol")):
        venue.set_tier(name, tier)
        venue.give(name, apple=1_000, coin=10_000)
    for name, side, size, price, tier in orders:
        venue.order(name, side, size, price)
        venue.set_tier(name, tier)
        assert venue.fees() >= 0
    venue.check()
    exact = Fraction(0)
    rates: dict[int, tuple[int, int]] = {}
    owed: dict[int, Fraction] = {}
    for _, _, events in venue.log:
        for event in events:
            if isinstance(event, OrderAccepted):
                rates[event.order_id] = (event.maker_fee_bps, event.taker_fee_bps)
        for trade in fills(events):
            for order_id, rate in (
                (trade.maker_order_id, rates[trade.maker_order_id][0]),
                (trade.taker_order_id, rates[trade.taker_order_id][1]),
            ):
                fee = Fraction(trade.quote_atoms * rate, 10_000)
                owed[order_id] = owed.get(order_id, Fraction(0)) + fee
                exact += fee
    assert venue.fees() == sum(map(ceil, owed.values()))
    assert venue.fees() >= exact >= 0


@pytest.mark.parametrize("price", [1, 2**62])
def test_rebates_on_the_largest_amounts_are_exact(price: int) -> None:
    venue = Venue()
    venue.open_market(maker_fee_bps=-9_999, taker_fee_bps=10_000)
    size = 2**126 // price if price > 1 else 2**62
    size = min(size, 2**62)
    venue.give("alice", apple=2**64)
    venue.give("bob", coin=2**127)
    venue.sell("alice", size, at=price)
    (trade,) = fills(venue.buy("bob", size, at=price))
    notional = price * size
    assert (trade.maker_fee_atoms, trade.taker_fee_atoms) == (-(notional * 9_999 // 10_000), notional)
    assert venue.system(FEES_ACCOUNT, "COIN") == notional - notional * 9_999 // 10_000


# ---- what may be set


@pytest.mark.parametrize(
    "tiers",
    [
        (),
        tuple((1, 1) for _ in range(MAX_FEE_TIERS + 1)),
        ((-10_001, 10_000),),
        ((10_001, 10_000),),
        ((0, -1),),
        ((0, 10_001),),
        ((-6, 5),),
        ((-5, 5), (0, 4)),
        ((0, 4), (-5, 5)),
        ((2**64, 2**64),),
        ((-(2**128), 2**128),),
    ],
)
def test_impossible_fees_are_refused(tiered: Venue, tiers: tuple[tuple[int, int], ...]) -> None:
    assert refusal(tiered.set_fees(*tiers)) is RejectReason.FEES_INVALID
    assert rates_of(tiered, "bob") == TABLE[0]


@pytest.mark.parametrize(
    "tiers",
    [
        ((0, 0),),
        ((-10_000, 10_000),),
        ((10_000, 0),),
        ((-5, 5), (10, 5)),
        tuple((-n, 100 - n) for n in range(MAX_FEE_TIERS)),
    ],
)
def test_possible_fees_are_taken(fair: Venue, tiers: tuple[tuple[int, int], ...]) -> None:
    assert fair.set_fees(*tiers) == [FeesSet(1, *tiers[0], tiers[1:])]


@pytest.mark.parametrize("tier", [-1, MAX_FEE_TIERS, 2**64, 2**128])
def test_an_impossible_tier_is_refused(fair: Venue, tier: int) -> None:
    assert refusal(fair.set_tier("bob", tier)) is RejectReason.FEES_INVALID


def test_nobody_has_no_tier_and_no_market_no_fees(fair: Venue) -> None:
    assert refusal(fair.do(SetFeeTier("", 1))) is RejectReason.ACCOUNT_INVALID
    for market_id in (0, -1, 2, 2**64):
        assert refusal(fair.do(SetFees(market_id, ((0, 0),)))) is RejectReason.UNKNOWN_MARKET


def test_a_rebate_must_be_covered_by_the_takers_that_are_still_open(fair: Venue) -> None:
    """An order accepted at a taker rate of 5 may trade against one that gets a rebate of 6."""
    fair.set_fees((0, 5))
    fair.buy("bob", 1, at=10)
    assert refusal(fair.set_fees((-6, 50))) is RejectReason.FEES_INVALID
    assert fair.set_fees((-5, 50))
    fair.cancel_all("bob")
    assert fair.set_fees((-6, 50)), "found without open orders, it begins anew"


def test_a_taker_rate_must_cover_the_rebates_that_are_still_open(fair: Venue) -> None:
    fair.set_fees((-20, 50))
    fair.buy("bob", 1, at=10)
    assert refusal(fair.set_fees((0, 19))) is RejectReason.FEES_INVALID
    assert fair.set_fees((0, 20))
    assert refusal(fair.set_fees((-21, 50))) is RejectReason.FEES_INVALID, "the 20 counts as well"


@pytest.mark.parametrize("where", [{}, {"stop": 500}])
def test_any_open_order_counts_one_that_awaits_its_trigger_too(fair: Venue, where: dict[str, int]) -> None:
    fair.set_fees((-20, 50))
    fair.buy("bob", 1, at=10, **where)
    assert refusal(fair.set_fees((0, 0))) is RejectReason.FEES_INVALID
    fair.cancel_all("bob")
    assert fair.set_fees((0, 0))


def test_what_was_ever_in_force_since_the_market_had_no_order_counts(fair: Venue) -> None:
    fair.set_fees((0, 5))
    fair.buy("bob", 1, at=10)
    for rates in ((0, 50), (0, 10), (0, 50)):
        fair.set_fees(rates)
    assert refusal(fair.set_fees((-6, 50))) is RejectReason.FEES_INVALID


def test_a_refused_table_is_not_held_against_later_ones(fair: Venue) -> None:
    fair.set_fees((-20, 50))
    fair.buy("bob", 1, at=10)
    fair.set_fees((0, 1))  # refused
    assert fair.set_fees((-30, 50))


def test_a_market_may_open_with_a_rebate_that_its_takers_cover(fair: Venue) -> None:
    covered = OpenMarket("X", "APPLE", "COIN", 1, 0, 1, -30, 30)
    not_covered = OpenMarket("Y", "APPLE", "COIN", 1, 0, 1, -31, 30)
    assert refusal(fair.do(not_covered)) is RejectReason.MARKET_INVALID
    assert fair.do(covered)
    fair.buy("bob", 1, at=10, market=2)
    assert refusal(fair.set_fees((0, 29), market=2)) is RejectReason.FEES_INVALID
