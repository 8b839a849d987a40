"""Market orders and their worst price: given, or left to the market's band around the reference price."""

import pytest
from tests.core.venue import Venue, ends, refusal, trades

from exchange.core.book import Book
from exchange.core.events import OrderAccepted
from exchange.core.prices import reference_ticks, worst_ticks
from exchange.core.rejects import RejectReason
from exchange.core.units import MAX_PRICE_TICKS
from exchange.core.words import OrderType, Side, TimeInForce


def worst_of(venue: Venue, name: str, side: Side, **more: int) -> int:
    """The worst price that a market order without one is given."""
    order = {"kind": OrderType.MARKET, "tif": TimeInForce.IOC, **more}
    event = venue.order(name, side, 1, 0, **order)[0]  # type: ignore[arg-type]
    assert isinstance(event, OrderAccepted)
    return event.price_ticks


def test_without_any_price_there_is_no_default(fair: Venue) -> None:
    assert refusal(fair.market_buy("bob", 1)) is RejectReason.NO_REFERENCE_PRICE
    assert refusal(fair.market_sell("bob", 1)) is RejectReason.NO_REFERENCE_PRICE
    assert ends(fair.market_buy("bob", 1, worst=100)) == [(fair.last_order_id, "unfilled")]


def test_the_default_is_the_markets_band_around_the_last_price(fair: Venue) -> None:
    fair.trade_at(1_000)
    assert worst_of(fair, "bob", Side.BUY) == 1_050
    assert worst_of(fair, "bob", Side.SELL) == 950
    fair.set_bands(0, 100)
    assert worst_of(fair, "bob", Side.BUY) == 1_010
    assert worst_of(fair, "bob", Side.SELL) == 990


def test_the_band_is_rounded_towards_the_reference(fair: Venue) -> None:
    fair.trade_at(99)
    assert worst_of(fair, "bob", Side.BUY) == 103, "103.95"
    assert worst_of(fair, "bob", Side.SELL) == 95, "94.05"


def test_quotes_that_left_the_last_price_behind_move_the_reference(fair: Venue) -> None:
    fair.trade_at(1_000)
    fair.buy("alice", 1, at=1_200)
    assert worst_of(fair, "ben", Side.BUY) == 1_260
    fair.cancel_all("alice")
    fair.sell("alice", 1, at=800)
    assert worst_of(fair, "ben", Side.SELL) == 760


def test_quotes_on_both_sides_of_the_last_price_leave_it_alone(fair: Venue) -> None:
    fair.trade_at(1_000)
    fair.buy("alice", 1, at=100)
    fair.sell("alice", 1, at=9_000)
    assert reference_ticks(fair.state.books[1]) == 1_000


def test_before_the_first_trade_it_is_the_middle_of_the_quotes_or_the_one_there_is(fair: Venue) -> None:
    book: Book = fair.state.books[1]
    assert reference_ticks(book) is None
    fair.buy("alice", 1, at=100)
    assert reference_ticks(book) == 100
    fair.sell("alice", 1, at=201)
    assert reference_ticks(book) == 150, "150.5, rounded down"
    fair.cancel_all("alice", side=Side.BUY)
    assert reference_ticks(book) == 201


def test_orders_that_await_their_trigger_are_no_quotes(fair: Venue) -> None:
    fair.buy("alice", 1, at=100, stop=105)
    assert refusal(fair.market_buy("bob", 1)) is RejectReason.NO_REFERENCE_PRICE


def test_with_a_trigger_the_reference_is_the_trigger(fair: Venue) -> None:
    assert worst_of(fair, "bob", Side.BUY, stop=2_000) == 2_100
    fair.trade_at(1_000)
    assert worst_of(fair, "ben", Side.SELL, stop=500) == 475


@pytest.mark.parametrize(
    ("side", "reference", "band", "worst"),
    [
        (Side.BUY, 1, 1, 1),
        (Side.SELL, 1, 1, 1),
        (Side.SELL, 1, 10_000, 1),
        (Side.SELL, MAX_PRICE_TICKS, 10_000, 1),
        (Side.BUY, MAX_PRICE_TICKS, 1, MAX_PRICE_TICKS),
        (Side.BUY, 2**62, 10_000, MAX_PRICE_TICKS),
        (Side.BUY, 2**62 - 1, 10_000, 2**63 - 2),
        (Side.SELL, MAX_PRICE_TICKS, 1, MAX_PRICE_TICKS - MAX_PRICE_TICKS // 10_000),
    ],
)
def test_a_worst_price_is_a_price(side: Side, reference: int, band: int, worst: int) -> None:
    assert worst_ticks(side, reference, band) == worst


def test_a_market_order_goes_as_far_as_its_default_and_no_farther(fair: Venue) -> None:
    fair.trade_at(100)
    for price in (104, 105, 106):
        fair.sell("ann", 1, at=price)
    events = fair.market_buy("bob", 5)
    assert trades(events) == [(104, 1), (105, 1)]
    assert fair.depth() == ([], [(106, 1)])


def test_the_default_is_taken_once_when_the_order_is_accepted(fair: Venue) -> None:
    fair.trade_at(100)
    for price in (101, 104, 106, 107):
        fair.sell("ann", 1, at=price)
    events = fair.market_buy("bob", 5)
    assert trades(events) == [(101, 1), (104, 1)], "up to 105, though each trade moves the price"
    assert ends(events)[-1] == (fair.last_order_id, "unfilled")
    assert fair.has("bob", "COIN") == (1_000_000 - 205, 0)


def test_a_fill_or_kill_market_order_may_use_the_default(fair: Venue) -> None:
    fair.sell("ann", 5, at=100)
    too_much = fair.market_buy("bob", 6, tif=TimeInForce.FOK)
    assert refusal(too_much) is RejectReason.FILL_OR_KILL_UNFILLABLE
    assert trades(fair.market_buy("bob", 5, tif=TimeInForce.FOK)) == [(100, 5)]


def test_a_limit_order_has_no_default_price(fair: Venue) -> None:
    fair.trade_at(100)
    assert refusal(fair.buy("bob", 1, at=0)) is RejectReason.PRICE_OUT_OF_RANGE
    assert refusal(fair.buy("bob", 1, at=0, tif=TimeInForce.IOC)) is RejectReason.PRICE_OUT_OF_RANGE


@pytest.mark.parametrize("price", [-1, MAX_PRICE_TICKS + 1, 2**64, 2**127, 2**128])
def test_a_worst_price_out_of_range_is_refused(fair: Venue, price: int) -> None:
    assert refusal(fair.market_buy("bob", 1, worst=price)) is RejectReason.PRICE_OUT_OF_RANGE


@pytest.mark.parametrize("tif", [TimeInForce.GTC, TimeInForce.POST_ONLY])
def test_a_market_order_does_not_rest(fair: Venue, tif: TimeInForce) -> None:
    assert refusal(fair.market_buy("bob", 1, worst=1, tif=tif)) is RejectReason.INVALID_COMBINATION


def test_the_hold_of_a_market_buy_is_at_its_worst_price(fair: Venue) -> None:
    fair.trade_at(1_000)
    fair.give("poor", coin=1_049)
    assert refusal(fair.market_buy("poor", 1)) is RejectReason.INSUFFICIENT_FUNDS
    fair.give("poor", coin=1)
    assert ends(fair.market_buy("poor", 1)) == [(fair.last_order_id, "unfilled")]
