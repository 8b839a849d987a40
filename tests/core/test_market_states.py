"""What may be done in a market that is not open, and what happens when it opens again."""

import pytest
from tests.core.venue import Venue, ends, refusal, trades

from exchange.core.commands import OpenMarket, SetMarketState
from exchange.core.events import AllCancelled, MarketOpened, MarketStateSet, OrderAccepted, OrderAmended
from exchange.core.rejects import RejectReason
from exchange.core.words import MarketState, OrderType, Side, TimeInForce

PRE_OPEN, OPEN, POST_ONLY = MarketState.PRE_OPEN, MarketState.OPEN, MarketState.POST_ONLY
CANCEL_ONLY, HALTED = MarketState.CANCEL_ONLY, MarketState.HALTED

ORDERS: dict[str, dict[str, object]] = {
    "gtc": {},
    "post only": {"tif": TimeInForce.POST_ONLY},
    "gtt": {"till_ns": 2**63 - 1},
    "ioc": {"tif": TimeInForce.IOC},
    "fok": {"tif": TimeInForce.FOK},
    "market": {"kind": OrderType.MARKET, "tif": TimeInForce.IOC},
    "stop": {"stop": 200},
    "stop, post only": {"stop": 200, "tif": TimeInForce.POST_ONLY},
    "take profit": {"take_profit": 5},
}
TAKEN = {PRE_OPEN: {"gtc", "post only", "gtt"}, POST_ONLY: {"post only"}, CANCEL_ONLY: set(), HALTED: set()}


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("state", TAKEN)
def test_what_a_market_takes_in_each_state(fair: Venue, state: MarketState, kind: str) -> None:
    fair.set_state(state)
    events = fair.buy("bob", 1, at=10, **ORDERS[kind])
    if kind in TAKEN[state]:
        assert isinstance(events[0], OrderAccepted)
        assert fair.depth() == ([(10, 1)], [])
    else:
        assert refusal(events) is RejectReason(f"market_{state.value}")
        assert fair.has("bob", "COIN") == (1_000_000, 0)


@pytest.mark.parametrize("state", [PRE_OPEN, POST_ONLY])
@pytest.mark.parametrize("tif", [TimeInForce.POST_ONLY, TimeInForce.GTC, TimeInForce.GTT])
def test_nothing_trades_before_the_market_is_open(fair: Venue, state: MarketState, tif: TimeInForce) -> None:
    fair.sell("alice", 5, at=100)
    fair.set_state(state)
    more = {"tif": tif, "till_ns": fair.time_ns + 1 if tif is TimeInForce.GTT else 0}
    expected = (
        RejectReason.POST_ONLY_WOULD_CROSS
        if state is PRE_OPEN or tif is TimeInForce.POST_ONLY
        else RejectReason.MARKET_POST_ONLY
    )
    for price in (100, 101):
        assert refusal(fair.buy("bob", 1, at=price, **more)) is expected
    assert fair.depth() == ([], [(100, 5)])


def test_a_market_opens_in_the_state_it_is_opened_in(fair: Venue) -> None:
    fair.list_asset("PEAR")
    (event,) = fair.do(OpenMarket("PEAR-COIN", "PEAR", "COIN", 1, 0, 1, 0, 0, PRE_OPEN))
    assert isinstance(event, MarketOpened)
    assert event.state is PRE_OPEN
    fair.buy("bob", 5, at=100, market=2)
    fair.give("alice", pear=10)
    assert refusal(fair.sell("alice", 5, at=100, market=2)) is RejectReason.POST_ONLY_WOULD_CROSS
    fair.set_state(OPEN, market=2)
    assert trades(fair.sell("alice", 5, at=100, market=2)) == [(100, 5)]


def test_setting_a_state_answers_with_it(fair: Venue) -> None:
    for state in MarketState:
        assert fair.set_state(state) == [MarketStateSet(1, state)]
        assert fair.set_state(state) == [MarketStateSet(1, state)], "again is no refusal"


def test_a_market_that_is_not_there_has_no_state(fair: Venue) -> None:
    for market_id in (0, -1, 2, 2**64):
        assert refusal(fair.do(SetMarketState(market_id, OPEN))) is RejectReason.UNKNOWN_MARKET


def test_other_markets_go_on(fair: Venue) -> None:
    fair.open_market("PEAR", "COIN")
    fair.set_state(HALTED)
    assert isinstance(fair.buy("bob", 1, at=10, market=2)[0], OrderAccepted)


# ---- cancelling


@pytest.mark.parametrize("state", [PRE_OPEN, POST_ONLY, CANCEL_ONLY])
def test_orders_are_cancelled_in_every_state_but_halted(fair: Venue, state: MarketState) -> None:
    for price in (10, 11, 12):
        fair.buy("bob", 1, at=price)
    first, *_ = fair.state.orders
    fair.set_state(state)
    assert ends(fair.cancel("bob", first)) == [(first, "cancelled")]
    assert len(ends(fair.cancel_all("bob", market=1))) == 2


def test_a_halted_market_takes_no_cancel(fair: Venue) -> None:
    fair.buy("bob", 1, at=10)
    bid = fair.last_order_id
    fair.set_state(HALTED)
    assert refusal(fair.cancel("bob", bid)) is RejectReason.MARKET_HALTED
    assert refusal(fair.cancel_all("bob", market=1)) is RejectReason.MARKET_HALTED
    assert refusal(fair.cancel("bob", bid + 1)) is RejectReason.UNKNOWN_ORDER
    assert fair.depth() == ([(10, 1)], [])


def test_cancelling_everywhere_leaves_orders_in_halted_markets(fair: Venue) -> None:
    fair.open_market("PEAR", "COIN")
    fair.buy("bob", 1, at=10, market=1)
    fair.buy("bob", 1, at=10, market=2)
    fair.set_state(HALTED)
    events = fair.cancel_all("bob")
    assert events[-1] == AllCancelled(fair.account_id("bob"), None, 1)
    assert fair.depth(1) == ([(10, 1)], [])
    assert fair.depth(2) == ([], [])


# ---- amending

AMENDMENTS = {"smaller": (4, 10), "same": (5, 10), "larger": (6, 10), "cheaper": (5, 9), "dearer": (5, 11)}


@pytest.mark.parametrize("amendment", AMENDMENTS)
@pytest.mark.parametrize("tif", [TimeInForce.GTC, TimeInForce.POST_ONLY])
@pytest.mark.parametrize("state", list(MarketState))
def test_what_is_amended_in_each_state(
    fair: Venue, state: MarketState, tif: TimeInForce, amendment: str
) -> None:
    fair.buy("bob", 5, at=10, tif=tif)
    bid = fair.last_order_id
    fair.set_state(state)
    size, price = AMENDMENTS[amendment]
    events = fair.amend("bob", bid, size, at=price)
    only_smaller = amendment in ("smaller", "same")
    taken = (
        state in (OPEN, PRE_OPEN)
        or (state in (POST_ONLY, CANCEL_ONLY) and only_smaller)
        or (state is POST_ONLY and tif is TimeInForce.POST_ONLY)
    )
    if taken:
        assert isinstance(events[0], OrderAmended)
        assert events[0].kept_priority is only_smaller
    else:
        assert refusal(events) is RejectReason(f"market_{state.value}")
        assert fair.open(bid).size_lots == 5


@pytest.mark.parametrize("state", list(MarketState))
@pytest.mark.parametrize("amendment", ["smaller", "larger"])
def test_what_is_amended_of_an_order_that_awaits_its_trigger(
    fair: Venue, state: MarketState, amendment: str
) -> None:
    fair.buy("bob", 5, at=10, stop=200, tif=TimeInForce.POST_ONLY)
    stop = fair.last_order_id
    fair.set_state(state)
    size, price = AMENDMENTS[amendment]
    events = fair.amend("bob", stop, size, at=price)
    smaller_is_enough = state in (POST_ONLY, CANCEL_ONLY) and amendment == "smaller"
    if state in (OPEN, PRE_OPEN) or smaller_is_enough:
        assert isinstance(events[0], OrderAmended)
        assert fair.open(stop).awaiting_trigger
    else:
        assert refusal(events) is RejectReason(f"market_{state.value}")


@pytest.mark.parametrize(("state", "tif"), [(PRE_OPEN, TimeInForce.GTC), (POST_ONLY, TimeInForce.POST_ONLY)])
def test_no_amendment_trades_before_the_market_is_open(
    fair: Venue, state: MarketState, tif: TimeInForce
) -> None:
    fair.sell("alice", 5, at=100)
    fair.buy("bob", 5, at=10, tif=tif)
    bid = fair.last_order_id
    fair.set_state(state)
    assert refusal(fair.amend("bob", bid, 5, at=100)) is RejectReason.POST_ONLY_WOULD_CROSS
    assert isinstance(fair.amend("bob", bid, 5, at=99)[0], OrderAmended)
    assert fair.depth() == ([(99, 5)], [(100, 5)])


# ---- opening


def test_the_book_that_was_built_before_opening_trades_from_then_on(fair: Venue) -> None:
    fair.set_state(PRE_OPEN)
    fair.sell("alice", 5, at=100)
    fair.sell("ann", 5, at=99)
    fair.buy("bob", 5, at=98)
    fair.set_state(OPEN)
    assert trades(fair.buy("ben", 7, at=100)) == [(99, 5), (100, 2)]


def test_sending_again_is_answered_whatever_the_markets_state(fair: Venue) -> None:
    fair.buy("bob", 5, at=10, cid="mine")
    for state in MarketState:
        fair.set_state(state)
        (event,) = fair.buy("bob", 5, at=10, cid="mine")
        assert type(event).__name__ == "OrderKnown"


def test_limits_are_asked_for_after_the_markets_state(fair: Venue) -> None:
    fair.set_limits("bob", 0, 0)
    assert refusal(fair.buy("bob", 1, at=10)) is RejectReason.TOO_MANY_OPEN_ORDERS
    fair.set_state(CANCEL_ONLY)
    assert refusal(fair.buy("bob", 1, at=10)) is RejectReason.MARKET_CANCEL_ONLY


def test_selling_side_and_buying_side_are_cancelled_apart(fair: Venue) -> None:
    fair.buy("bob", 1, at=10)
    fair.sell("bob", 1, at=20)
    events = fair.cancel_all("bob", side=Side.SELL)
    assert events[-1] == AllCancelled(fair.account_id("bob"), None, 1, Side.SELL)
    assert fair.depth() == ([(10, 1)], [])
