from fractions import Fraction
from math import ceil

from hypothesis import given
from hypothesis import strategies as st
from tests.core.venue import Venue, ends, fills

from exchange.core import fees
from exchange.core.accounts import FEES_ACCOUNT, Account
from exchange.core.events import OrderAccepted
from exchange.core.orders import Order
from exchange.core.words import OrderType, SelfTradePrevention, Side, TimeInForce

notionals = st.lists(st.one_of(st.integers(1, 50), st.integers(1, 2**120)), min_size=1, max_size=30)
rates = st.integers(0, 10_000)
maker_rates = st.integers(-10_000, 10_000)


def order(maker_fee_bps: int, taker_fee_bps: int) -> Order:
    return Order(
        1,
        Account(1_000, "0xa", 0),
        1,
        Side.BUY,
        OrderType.LIMIT,
        TimeInForce.GTC,
        SelfTradePrevention.CANCEL_NEWEST,
        1,
        1,
        1,
        0,
        maker_fee_bps,
        taker_fee_bps,
        None,
        0,
    )


@given(notionals, maker_rates)
def test_many_small_fills_cost_what_one_large_fill_costs(sizes: list[int], rate: int) -> None:
    piecewise = order(rate, max(rate, 0))
    for notional in sizes:
        fee = fees.charge(piecewise, notional, rate)
        assert -notional <= fee <= notional
        assert fee * rate >= 0, "a fee or a rebate, never the other"
    exact = Fraction(sum(sizes) * rate, 10_000)
    assert piecewise.fee_charged_atoms == ceil(exact)
    whole = order(rate, max(rate, 0))
    assert fees.charge(whole, sum(sizes), rate) == ceil(exact)


@given(
    st.lists(st.tuples(st.integers(1, 2**100), st.booleans()), min_size=1, max_size=20), maker_rates, rates
)
def test_the_reserve_always_covers_the_fee_whether_charged_as_maker_or_taker(
    steps: list[tuple[int, bool]], maker: int, taker: int
) -> None:
    charged = order(maker, taker)
    left = sum(notional for notional, _ in steps)
    for notional, as_maker in steps:
        rate = maker if as_maker else taker
        reserved = fees.reserve_atoms(charged, left)
        fee = fees.charge(charged, notional, rate)
        left -= notional
        assert 0 <= fees.reserve_atoms(charged, left) <= reserved - fee
    owed = sum(Fraction(n * (maker if m else taker), 10_000) for n, m in steps)
    assert charged.fee_charged_atoms == ceil(owed)


@given(st.integers(0, 2**128 - 1), rates)
def test_the_notional_that_an_amount_pays_for_is_the_largest(amount: int, rate: int) -> None:
    notional = fees.spendable_atoms(amount, rate)
    assert notional + ceil(Fraction(notional * rate, 10_000)) <= amount
    more = notional + 1
    assert more + ceil(Fraction(more * rate, 10_000)) > amount


def fee_venue(maker: int, taker: int) -> Venue:
    venue = Venue()
    venue.open_market(maker_fee_bps=maker, taker_fee_bps=taker)
    return venue


def test_maker_and_taker_pay_their_own_rate_in_quote() -> None:
    venue = fee_venue(10, 25)
    venue.give("alice", apple=100)
    venue.give("bob", coin=10_100)
    venue.sell("alice", 100, at=100)
    (trade,) = fills(venue.buy("bob", 100, at=100))
    assert (trade.maker_fee_atoms, trade.taker_fee_atoms) == (10, 25)
    assert venue.has("alice", "COIN") == (9_990, 0)
    assert venue.has("bob", "COIN") == (75, 0)
    assert venue.has("bob", "APPLE") == (100, 0)
    assert venue.system(FEES_ACCOUNT, "COIN") == 35


def test_a_buys_hold_includes_the_larger_of_its_two_fees() -> None:
    for maker, taker in ((10, 25), (25, 10)):
        venue = fee_venue(maker, taker)
        venue.give("bob", coin=10_025)
        accepted = venue.buy("bob", 100, at=100)[0]
        assert isinstance(accepted, OrderAccepted)
        assert accepted.hold_atoms == 10_025
        assert venue.has("bob", "COIN") == (0, 10_025)


def test_a_resting_buy_that_fills_as_maker_gets_its_unneeded_fee_reserve_back_with_each_fill() -> None:
    venue = fee_venue(0, 100)
    venue.give("bob", coin=1_010)
    venue.give("alice", apple=10)
    venue.buy("bob", 10, at=100)
    (trade,) = fills(venue.sell("alice", 4, at=100))
    assert (trade.maker_fee_atoms, trade.taker_fee_atoms, trade.buyer_released_atoms) == (0, 4, 4)
    assert venue.has("bob", "COIN") == (4, 606)
    events = venue.sell("alice", 6, at=100)
    assert fills(events)[0].buyer_released_atoms == 6
    assert [reason for _, reason in ends(events)] == ["filled", "filled"]
    assert venue.has("bob", "COIN") == (10, 0)


def test_a_tiny_first_fill_pays_the_rounding_and_later_ones_pay_less() -> None:
    venue = fee_venue(0, 30)
    venue.give("bob", coin=1_000)
    venue.give("alice", apple=400)
    venue.buy("bob", 400, at=1)
    for _ in range(4):
        venue.sell("alice", 1, at=1)
    assert venue.fees() == 4, "four orders, each rounded up once"
    venue.give("carol", apple=400)
    for _ in range(3):
        venue.buy("bob", 100, at=1)
    charged = [trade.taker_fee_atoms for trade in fills(venue.sell("carol", 400, at=1))]
    assert charged == [2, 0], "396, then 4 of the next bid: one order, rounded up once in all"
    assert sum(charged) == ceil(Fraction(400 * 30, 10_000))


def test_a_seller_at_a_fee_of_the_whole_price_gets_nothing_and_never_less() -> None:
    venue = fee_venue(10_000, 10_000)
    venue.give("alice", apple=3)
    venue.give("bob", coin=6)
    venue.sell("alice", 3, at=1)
    venue.buy("bob", 3, at=1)
    assert venue.has("alice", "COIN") == (0, 0)
    assert venue.has("bob", "COIN") == (0, 0)
    assert venue.fees() == 6


def test_rates_are_those_of_the_orders_acceptance_for_both_sides() -> None:
    venue = fee_venue(10, 20)
    venue.give("alice", apple=100)
    for buyer in ("bob", "ben"):
        venue.give(buyer, coin=100_000)
    accepted = venue.sell("alice", 100, at=100)[0]
    assert isinstance(accepted, OrderAccepted)
    assert (accepted.maker_fee_bps, accepted.taker_fee_bps) == (10, 20)
    venue.buy("bob", 100, at=99)
    venue.set_fees((9_000, 9_999))
    (trade,) = fills(venue.buy("ben", 100, at=100))
    assert (trade.maker_fee_atoms, trade.taker_fee_atoms) == (10, 9_999), (
        "only the new order pays the new rate"
    )
    (trade,) = fills(venue.sell("ben", 100, at=99))
    assert (trade.maker_fee_atoms, trade.taker_fee_atoms) == (10, 9_900)
