"""Market buys that say what they may cost, fee included, instead of a size."""

from fractions import Fraction
from math import ceil

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.venue import Venue, ends, fills, refusal, trades

from exchange.core.events import Event, OrderAccepted, OrderEnded, OrderKnown
from exchange.core.rejects import RejectReason
from exchange.core.units import MAX_ATOMS, MAX_SIZE_LOTS
from exchange.core.words import OrderType, SelfTradePrevention, Side, TimeInForce


@pytest.fixture
def stall(fair: Venue) -> Venue:
    """Asks: Ann's 5 at 100 and 5 at 110."""
    fair.sell("ann", 5, at=100)
    fair.sell("ann", 5, at=110)
    return fair


def accepted(events: list[Event]) -> OrderAccepted:
    event = events[0]
    assert isinstance(event, OrderAccepted)
    return event


def test_an_amount_buys_whole_lots_from_the_best_price_on_and_the_rest_comes_back(stall: Venue) -> None:
    events = stall.spend("bob", 850, worst=200)
    assert (accepted(events).size_lots, accepted(events).quote_atoms, accepted(events).hold_atoms) == (
        8,
        850,
        850,
    )
    assert trades(events) == [(100, 5), (110, 3)]
    assert ends(events)[-1] == (stall.last_order_id, "filled")
    last = events[-1]
    assert isinstance(last, OrderEnded)
    assert last.released_atoms == 20
    assert stall.has("bob", "COIN") == (1_000_000 - 830, 0)
    assert stall.has("bob", "APPLE") == (10_008, 0)


def test_its_hold_is_kept_whole_until_its_end(stall: Venue) -> None:
    events = stall.spend("bob", 850, worst=200)
    assert [trade.buyer_released_atoms for trade in fills(events)] == [0, 0]


@pytest.mark.parametrize(
    ("amount", "lots"), [(100, 1), (199, 1), (200, 2), (500, 5), (609, 5), (610, 6), (1_050, 10), (9_999, 10)]
)
def test_what_an_amount_buys(stall: Venue, amount: int, lots: int) -> None:
    assert sum(size for _, size in trades(stall.spend("bob", amount, worst=200))) == lots


def test_less_than_one_lot_buys_nothing(stall: Venue) -> None:
    for amount in (1, 99):
        assert refusal(stall.spend("bob", amount, worst=200)) is RejectReason.AMOUNT_BUYS_NOTHING
    assert stall.has("bob", "COIN") == (1_000_000, 0)


def test_an_empty_book_or_one_out_of_reach_sells_nothing(fair: Venue) -> None:
    assert refusal(fair.spend("bob", 1_000, worst=100)) is RejectReason.AMOUNT_BUYS_NOTHING
    fair.sell("ann", 1, at=101)
    assert refusal(fair.spend("bob", 1_000, worst=100)) is RejectReason.AMOUNT_BUYS_NOTHING


def test_it_stops_at_its_worst_price(stall: Venue) -> None:
    events = stall.spend("bob", 5_000, worst=105)
    assert trades(events) == [(100, 5)]
    assert stall.has("bob", "COIN") == (1_000_000 - 500, 0)


def test_without_a_worst_price_it_stops_at_the_markets_band(stall: Venue) -> None:
    assert trades(stall.spend("bob", 5_000)) == [(100, 5)], "5 % above 100 is 105"


def test_the_first_order_that_is_not_taken_whole_is_the_last(fair: Venue) -> None:
    """What is left would not buy one lot of the dear order, and it does not look behind it."""
    fair.sell("ann", 3, at=100)
    fair.sell("ann", 3, at=150)
    assert trades(fair.spend("bob", 420, worst=200)) == [(100, 3)]


def fee_stall(taker: int, maker: int = 0) -> Venue:
    venue = Venue()
    venue.open_market(maker_fee_bps=maker, taker_fee_bps=taker)
    venue.give("ann", apple=1_000)
    venue.give("bob", coin=1_000_000)
    venue.sell("ann", 500, at=100)
    return venue


@pytest.mark.parametrize(
    ("amount", "lots", "fee"), [(1_010, 10, 10), (1_009, 9, 9), (101, 1, 1), (102, 1, 1), (50_500, 500, 500)]
)
def test_the_amount_includes_the_takers_fee_to_the_last_atom(amount: int, lots: int, fee: int) -> None:
    venue = fee_stall(100)
    events = venue.spend("bob", amount, worst=200)
    assert trades(events) == [(100, lots)]
    assert venue.has("bob", "COIN") == (1_000_000 - 100 * lots - fee, 0)
    assert venue.fees() == fee


def test_the_takers_rate_is_what_is_paid_even_when_the_makers_is_higher() -> None:
    venue = fee_stall(taker=0, maker=500)
    assert trades(venue.spend("bob", 1_000, worst=200)) == [(100, 10)]
    assert venue.has("bob", "COIN") == (999_000, 0)


def test_the_amount_must_be_available_whole(stall: Venue) -> None:
    assert refusal(stall.spend("bob", 1_000_001, worst=200)) is RejectReason.INSUFFICIENT_FUNDS
    assert trades(stall.spend("bob", 1_000_000, worst=200)) == [(100, 5), (110, 5)]


@pytest.mark.parametrize("amount", [-1, -(2**64), MAX_ATOMS + 1, 2**200])
def test_an_impossible_amount_is_refused(stall: Venue, amount: int) -> None:
    assert refusal(stall.spend("bob", amount, worst=200)) is RejectReason.AMOUNT_TOO_LARGE


@pytest.mark.parametrize("amount", [2**63, 2**64, 2**127, MAX_ATOMS])
def test_a_huge_amount_is_exact(amount: int) -> None:
    venue = Venue()
    lot = 2**64
    venue.open_market(lot_atoms=lot)
    venue.give("ann", apple=MAX_ATOMS)
    venue.give("bob", coin=MAX_ATOMS)
    venue.sell("ann", 2**63 - 1, at=1)
    events = venue.spend("bob", amount, worst=1)
    lots = min(amount // lot, 2**63 - 1)
    if lots == 0:
        assert refusal(events) is RejectReason.AMOUNT_BUYS_NOTHING
    else:
        assert trades(events) == [(1, lots)]
        assert venue.has("bob", "COIN") == (MAX_ATOMS - lots * lot, 0)


def test_a_huge_amount_of_base_is_exact() -> None:
    venue = Venue()
    venue.open_market(tick=(1, 24), lot_atoms=10**24)
    venue.give("ann", apple=MAX_ATOMS)
    venue.give("bob", coin=MAX_ATOMS)
    venue.sell("ann", 2**48, at=1)
    assert trades(venue.spend("bob", 2**48, worst=1)) == [(1, 2**48)]
    assert venue.has("bob", "APPLE") == (2**48 * 10**24, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": OrderType.LIMIT},
        {"size": 1},
        {"size": -1},
        {"side": Side.SELL},
        {"tif": TimeInForce.FOK},
        {"tif": TimeInForce.GTC},
        {"stop": 90},
        {"take_profit": 90},
        {"stp": SelfTradePrevention.DECREMENT},
    ],
)
def test_what_an_amount_does_not_go_with(stall: Venue, wrong: dict[str, object]) -> None:
    right: dict[str, object] = {
        "side": Side.BUY, "size": 0, "at": 200, "kind": OrderType.MARKET, "tif": TimeInForce.IOC,
        "spending": 500,
    }  # fmt: skip
    events = stall.order("bob", **{**right, **wrong})  # type: ignore[arg-type]
    assert refusal(events) is RejectReason.INVALID_COMBINATION


def test_sent_again_it_is_known_with_the_size_it_bought(stall: Venue) -> None:
    stall.spend("bob", 850, worst=200, cid="lunch")
    (known,) = stall.spend("bob", 850, worst=200, cid="lunch")
    assert isinstance(known, OrderKnown)
    assert (known.status, known.size_lots, known.remaining_lots) == ("filled", 8, 0)
    assert refusal(stall.spend("bob", 851, worst=200, cid="lunch")) is RejectReason.CLIENT_ORDER_ID_REUSED


@pytest.mark.parametrize(
    ("mode", "lots"),
    [
        (SelfTradePrevention.CANCEL_NEWEST, 5),
        (SelfTradePrevention.CANCEL_BOTH, 5),
        (SelfTradePrevention.CANCEL_OLDEST, 10),
    ],
)
def test_ones_own_orders_count_as_for_fill_or_kill(fair: Venue, mode: SelfTradePrevention, lots: int) -> None:
    for name, price in (("ann", 100), ("bob", 101), ("ann", 102)):
        fair.sell(name, 5, at=price)
    events = fair.spend("bob", 100_000, worst=200, stp=mode)
    assert sum(size for _, size in trades(events)) == lots
    assert ends(events)[-1] == (fair.last_order_id, "filled")
    assert fair.has("bob", "COIN")[1] == 0


def test_behind_ones_own_order_an_amount_buys_nothing(fair: Venue) -> None:
    fair.sell("bob", 5, at=100)
    fair.sell("ann", 5, at=101)
    assert refusal(fair.spend("bob", 1_000, worst=200)) is RejectReason.AMOUNT_BUYS_NOTHING


def test_it_buys_from_a_thousand_orders_at_most(venue: Venue) -> None:
    venue.checking = False
    for name in ("alice", "ann"):
        venue.give(name, apple=1_000)
    venue.give("bob", coin=1_000_000)
    for number in range(1_001):
        venue.sell("alice" if number % 2 else "ann", 1, at=100)
    venue.checking = True
    events = venue.spend("bob", 500_000, worst=100)
    assert accepted(events).size_lots == 1_000
    assert ends(events)[-1] == (venue.last_order_id, "filled")
    assert venue.has("bob", "COIN") == (900_000, 0)


def test_the_size_of_a_buy_by_amount_fits_63_bits_like_any_other(venue: Venue) -> None:
    """Several makers together offer more lots than one order may have."""
    for name in ("alice", "ann", "al"):
        venue.give(name, apple=MAX_SIZE_LOTS)
        venue.sell(name, MAX_SIZE_LOTS, at=1)
    venue.give("bob", coin=2**66)
    event = venue.spend("bob", 2**65, worst=1)[0]
    assert accepted([event]).size_lots <= MAX_SIZE_LOTS


offers = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 20)), min_size=1, max_size=6)


@settings(max_examples=150)
@given(offers, st.integers(1, 5_000), st.sampled_from([0, 1, 33, 999, 10_000]))
def test_it_buys_as_much_as_it_can_and_never_costs_more(
    asks: list[tuple[int, int]], amount: int, rate: int
) -> None:
    venue = Venue(checking=False)
    venue.open_market(taker_fee_bps=rate)
    venue.give("ann", apple=1_000)
    venue.give("bob", coin=amount)
    for price, size in asks:
        venue.sell("ann", size, at=price)
    events = venue.spend("bob", amount, worst=100)
    venue.check()
    left = sorted(asks)
    notional, lots = 0, 0

    def cost(value: int) -> int:
        return value + ceil(Fraction(value * rate, 10_000))

    while left and cost(notional + left[0][0]) <= amount:  # lot by lot, the cheapest first
        price, size = left[0]
        notional, lots = notional + price, lots + 1
        left[0] = (price, size - 1)
        left = [offer for offer in left if offer[1]]
    if lots == 0:
        assert refusal(events) is RejectReason.AMOUNT_BUYS_NOTHING
    else:
        assert sum(size for _, size in trades(events)) == lots
        assert venue.has("bob", "COIN") == (amount - cost(notional), 0)


def test_the_memory_of_a_refused_amount_is_free_again(stall: Venue) -> None:
    assert refusal(stall.spend("bob", 1, worst=200, cid="lunch")) is RejectReason.AMOUNT_BUYS_NOTHING
    stall.spend("bob", 100, worst=200, cid="lunch")
    again = msgspec.structs.replace(stall.log[-1][1], quote_atoms=1)
    assert refusal(stall.do(again)) is RejectReason.CLIENT_ORDER_ID_REUSED
