import msgspec
import pytest
from tests.core.venue import Venue, ends, fills, refusal, trades

from exchange.core.events import Event, OrderAccepted, OrderEnded, OrderRested, OrderTriggered, Ticked
from exchange.core.rejects import RejectReason
from exchange.core.words import EndReason, MarketState, SelfTradePrevention, Side, TimeInForce


def triggered(events: list[Event]) -> list[int]:
    return [event.order_id for event in events if isinstance(event, OrderTriggered)]


def test_an_order_with_a_trigger_is_paid_for_and_in_no_book(fair: Venue) -> None:
    (accepted,) = fair.buy("bob", 10, at=110, stop=105)
    assert isinstance(accepted, OrderAccepted)
    assert (accepted.trigger, accepted.trigger_ticks, accepted.hold_atoms) == ("stop", 105, 1_100)
    assert fair.depth() == ([], [])
    assert fair.has("bob", "COIN") == (998_900, 1_100)
    assert trades(fair.sell("alice", 10, at=100)) == [], "it can not be traded with"
    assert fair.open(accepted.order_id).awaiting_trigger


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "fires", "waits"),
    [
        (Side.BUY, "stop", 105, [105, 106, 2**40], [104, 100, 1]),
        (Side.SELL, "take_profit", 105, [105, 106, 2**40], [104, 100, 1]),
        (Side.SELL, "stop", 95, [95, 94, 1], [96, 100, 2**40]),
        (Side.BUY, "take_profit", 95, [95, 94, 1], [96, 100, 2**40]),
    ],
)
def test_a_trigger_is_met_at_its_price_and_beyond(
    fair: Venue, side: Side, kind: str, trigger: int, fires: list[int], waits: list[int]
) -> None:
    fair.trade_at(100)
    for price in waits:
        fair.order("ben", side, 1, 100, **{kind: trigger})  # type: ignore[arg-type]
        fair.trade_at(price)
        assert fair.run_due() == []
        fair.cancel_all("ben")
        fair.trade_at(100)
    for price in fires:
        fair.order("ben", side, 1, 100, **{kind: trigger})  # type: ignore[arg-type]
        order_id = fair.last_order_id
        fair.trade_at(price)
        events = fair.run_due()
        assert events[0] == OrderTriggered(order_id, fair.account_id("ben"), 1, price)
        assert isinstance(events[1], OrderRested)
        assert events[2:] == [Ticked(0)]
        fair.cancel_all("ben")
        fair.trade_at(100)


@pytest.mark.parametrize(
    ("side", "kind", "met", "ahead"),
    [
        (Side.BUY, "stop", [100, 99, 1], 101),
        (Side.SELL, "take_profit", [100, 99, 1], 101),
        (Side.SELL, "stop", [100, 101, 2**63 - 1], 99),
        (Side.BUY, "take_profit", [100, 101, 2**63 - 1], 99),
    ],
)
def test_a_trigger_that_the_last_price_meets_is_refused(
    fair: Venue, side: Side, kind: str, met: list[int], ahead: int
) -> None:
    fair.trade_at(100)
    for trigger in met:
        events = fair.order("ben", side, 1, 100, **{kind: trigger})  # type: ignore[arg-type]
        assert refusal(events) is RejectReason.TRIGGER_ALREADY_MET
    assert isinstance(fair.order("ben", side, 1, 100, **{kind: ahead})[0], OrderAccepted)  # type: ignore[arg-type]


def test_before_the_first_trade_any_trigger_is_ahead_and_the_first_trade_meets_both_ways(fair: Venue) -> None:
    fair.buy("ben", 1, at=100, stop=1)
    fair.buy("ben", 1, at=99, take_profit=2**63 - 1)
    assert fair.run_due() == []
    fair.trade_at(500)
    assert len(triggered(fair.run_due())) == 2


@pytest.mark.parametrize("trigger", [0, -1, 2**63, 2**64, 2**127, 2**200])
@pytest.mark.parametrize("kind", ["stop", "take_profit"])
def test_a_trigger_needs_a_price_of_its_own(fair: Venue, kind: str, trigger: int) -> None:
    assert refusal(fair.buy("bob", 1, at=1, **{kind: trigger})) is RejectReason.TRIGGER_INVALID


def test_a_trigger_price_without_a_trigger_is_refused(fair: Venue) -> None:
    fair.buy("bob", 1, at=1)
    for trigger_ticks in (5, -5):
        changed = msgspec.structs.replace(fair.log[-1][1], trigger_ticks=trigger_ticks)
        assert refusal(fair.do(changed)) is RejectReason.INVALID_COMBINATION


def test_a_waiting_order_needs_its_funds_at_once(fair: Venue) -> None:
    assert refusal(fair.buy("bob", 10_001, at=100, stop=90)) is RejectReason.INSUFFICIENT_FUNDS
    assert refusal(fair.sell("bob", 10_001, at=100, stop=90)) is RejectReason.INSUFFICIENT_FUNDS


# ---- firing


def test_a_triggered_order_goes_on_like_a_new_one(fair: Venue) -> None:
    fair.buy("bob", 10, at=110, stop=105)
    stop = fair.last_order_id
    fair.sell("alice", 4, at=107)
    fair.buy("ann", 1, at=107)
    events = fair.run_due()
    assert triggered(events) == [stop]
    assert trades(events) == [(107, 3)]
    assert fair.depth() == ([(110, 7)], [])
    assert fair.has("bob", "COIN") == (1_000_000 - 321 - 770, 770), "the improvement is released at the fill"


def test_a_triggered_order_is_the_last_of_its_price(fair: Venue) -> None:
    fair.buy("bob", 1, at=100, stop=105)
    stop = fair.last_order_id
    fair.buy("ben", 1, at=100)
    before = fair.last_order_id
    fair.trade_at(105)
    fair.run_due()
    assert fair.queue(100) == [(before, 1), (stop, 1)]


@pytest.mark.parametrize(
    ("tif", "reason"),
    [
        (TimeInForce.IOC, "unfilled"),
        (TimeInForce.FOK, "unfilled"),
        (TimeInForce.POST_ONLY, "post_only_would_cross"),
    ],
)
def test_a_triggered_order_that_can_not_go_on_ends(fair: Venue, tif: TimeInForce, reason: str) -> None:
    fair.sell("alice", 4, at=110)
    fair.buy("bob", 10, at=110, stop=105, tif=tif, cid="mine")
    stop = fair.last_order_id
    fair.trade_at(105)
    events = fair.run_due()
    assert trades(events) == ([(110, 4)] if tif is TimeInForce.IOC else [])
    (ended,) = [event for event in events if isinstance(event, OrderEnded) and event.order_id == stop]
    assert (ended.reason, ended.was_resting) == (reason, False)
    assert fair.has("bob", "COIN")[1] == 0
    (known,) = fair.buy("bob", 10, at=110, stop=105, tif=tif, cid="mine")
    assert known.status == reason  # type: ignore[union-attr]


def test_a_triggered_fill_or_kill_that_fits_is_filled(fair: Venue) -> None:
    fair.sell("alice", 10, at=110)
    fair.buy("bob", 10, at=110, stop=105, tif=TimeInForce.FOK)
    fair.trade_at(105)
    assert trades(fair.run_due()) == [(110, 10)]


def test_a_triggered_post_only_order_rests_when_it_crosses_nothing(fair: Venue) -> None:
    fair.sell("alice", 4, at=111)
    fair.buy("bob", 10, at=110, stop=105, tif=TimeInForce.POST_ONLY)
    fair.trade_at(105)
    fair.run_due()
    assert fair.depth() == ([(110, 10)], [(111, 4)])


def test_a_triggered_market_order_goes_as_far_as_its_worst_price(fair: Venue) -> None:
    fair.buy("alice", 4, at=90)
    fair.buy("ann", 4, at=88)
    fair.market_sell("bob", 10, worst=89, stop=95)
    fair.trade_at(95)
    events = fair.run_due()
    assert trades(events) == [(90, 4)]
    assert ends(events)[-1][1] == "unfilled"
    assert fair.has("bob", "APPLE") == (9_996, 0)


def test_a_triggered_order_meets_its_owners_orders_by_its_own_mode(fair: Venue) -> None:
    fair.sell("bob", 4, at=110)
    own = fair.last_order_id
    fair.sell("alice", 4, at=110)
    fair.buy("bob", 4, at=110, stop=105, stp=SelfTradePrevention.CANCEL_OLDEST)
    fair.trade_at(105)
    events = fair.run_due()
    assert ends(events)[0] == (own, "self_trade")
    assert trades(events) == [(110, 4)]


def test_a_triggered_order_trades_at_the_rates_it_was_accepted_at() -> None:
    venue = Venue()
    venue.open_market(maker_fee_bps=10, taker_fee_bps=100)
    for name in ("alice", "bob"):
        venue.give(name, apple=1_000, coin=1_000_000)
    venue.buy("bob", 100, at=110, stop=105)
    venue.set_fees((200, 300))
    venue.sell("alice", 100, at=110)
    venue.trade_at(105)
    (trade,) = fills(venue.run_due())
    assert (trade.maker_fee_atoms, trade.taker_fee_atoms) == (220, 110)


def test_one_tick_fires_one_order(fair: Venue) -> None:
    ids = []
    for _ in range(3):
        fair.buy("bob", 1, at=50, stop=105)
        ids.append(fair.last_order_id)
    fair.trade_at(105)
    for order_id in ids:
        assert triggered(fair.tick()) == [order_id], "the oldest first"
    assert fair.tick() == [Ticked(0)]


def test_rises_go_before_falls_the_lowest_rise_and_the_highest_fall_first(fair: Venue) -> None:
    """A sell walks down from 120 to 80, after the price was 100."""
    fair.trade_at(100)
    waiting = {}
    for kind, trigger in (("stop", 110), ("stop", 105), ("stop", 120), ("stop", 121)):
        fair.buy("bob", 1, at=1, **{kind: trigger})
        waiting["buy", trigger] = fair.last_order_id
    for trigger in (85, 95, 80, 79):
        fair.sell("bob", 1, at=1_000, stop=trigger)
        waiting["sell", trigger] = fair.last_order_id
    for price in (120, 80):
        fair.buy("alice", 1, at=price)
    fair.ticking = False
    fair.sell("ann", 2, at=80)
    fair.ticking = True
    order = [("buy", 105), ("buy", 110), ("buy", 120), ("sell", 95), ("sell", 85), ("sell", 80)]
    assert triggered(fair.run_due()) == [waiting[key] for key in order]
    still_waiting = {order.order_id for order in fair.state.orders.values() if order.awaiting_trigger}
    assert still_waiting == {waiting["buy", 121], waiting["sell", 79]}


def test_a_stop_sets_off_a_stop(fair: Venue) -> None:
    """Each sells into the bid that the next one waits for."""
    stops = []
    for trigger, bid in ((95, 90), (90, 85), (85, 80)):
        fair.buy("alice", 1, at=bid)
        fair.market_sell("bob", 1, worst=1, stop=trigger)
        stops.append(fair.last_order_id)
    fair.market_sell("ben", 1, worst=1, stop=79)
    fair.trade_at(95)
    events = fair.run_due()
    assert triggered(events) == stops
    assert trades(events) == [(90, 1), (85, 1), (80, 1)]
    assert [event for event in events if isinstance(event, Ticked)] == [Ticked(0)] * 3
    assert fair.depth() == ([], [])
    assert len(fair.state.orders) == 1, "79 was never reached"


def test_a_cascade_of_many_stops_is_one_tick_each(fair: Venue) -> None:
    fair.checking = False
    for step in range(100):
        fair.buy("alice", 1, at=900 - step)
        fair.market_sell("bob", 1, worst=1, stop=901 - step)
    fair.checking = True
    fair.trade_at(901)
    ticks = 0
    while len(events := fair.tick()) > 1:
        ticks += 1
        assert len(triggered(events)) == 1
    assert ticks == 100
    assert fair.depth() == ([], [])


def test_what_is_met_stays_met_while_the_price_runs_back(fair: Venue) -> None:
    """Two rises are met; the first of them moves the price back down, the second still fires."""
    fair.trade_at(100)
    fair.buy("alice", 1, at=50)
    fair.sell("bob", 1, at=50, take_profit=105)
    fair.buy("bob", 1, at=40, stop=106)
    fair.ticking = False
    fair.trade_at(110)
    first, second = fair.tick(), fair.tick()
    assert trades(first) == [(50, 1)]
    assert len(triggered(second)) == 1
    assert fair.tick() == [Ticked(0)]


def test_what_a_triggered_orders_trades_reach_is_met_too(fair: Venue) -> None:
    fair.trade_at(100)
    fair.buy("alice", 1, at=50)
    fair.sell("bob", 1, at=50, take_profit=105)
    fair.buy("bob", 1, at=40, stop=106)
    fair.sell("ben", 1, at=900, stop=60)
    fair.trade_at(105)
    events = fair.run_due()
    assert len(triggered(events)) == 2
    assert trades(events) == [(50, 1)]
    fair.trade_at(106)
    assert len(triggered(fair.run_due())) == 1, "only now has it risen so far"


def test_a_fresh_trigger_knows_nothing_of_the_range_before_it(fair: Venue) -> None:
    fair.trade_at(120)
    fair.trade_at(100)
    fair.buy("bob", 1, at=1, stop=110)
    fair.sell("bob", 1, at=999, stop=90)
    fair.trade_at(101)
    assert fair.run_due() == []
    fair.trade_at(110)
    assert len(triggered(fair.run_due())) == 1


def test_a_met_trigger_in_one_market_holds_up_placements_in_all(fair: Venue) -> None:
    fair.open_market("PEAR", "COIN")
    fair.buy("bob", 1, at=1, stop=105, market=2)
    stop = fair.last_order_id
    fair.trade_at(105, market=2)
    fair.ticking = False
    assert refusal(fair.buy("ben", 1, at=100, market=1)) is RejectReason.WORK_QUEUED
    assert triggered(fair.tick()) == [stop]
    assert isinstance(fair.buy("ben", 1, at=100, market=1)[0], OrderAccepted)


def test_two_markets_may_wait_for_their_ticks_at_once(fair: Venue) -> None:
    """A trigger is met in the second market when it opens again, before the first market's is fired."""
    fair.open_market("PEAR", "COIN")
    for market in (1, 2):
        fair.buy("bob", 1, at=1, stop=105, market=market)
    ids = list(fair.state.orders)
    fair.ticking = False
    fair.trade_at(105, market=2)
    fair.set_state(MarketState.HALTED, market=2)
    fair.trade_at(105, market=1)
    fair.set_state(MarketState.OPEN, market=2)
    assert fair.state.met_markets == [1, 2]
    assert [triggered(fair.tick()) for _ in range(3)] == [[ids[0]], [ids[1]], []]


# ---- between being met and fired


@pytest.fixture
def met(fair: Venue) -> Venue:
    """Bob's two stops, at 105 and 106, are met; no Tick has come yet, and none comes by itself."""
    fair.buy("bob", 1, at=50, stop=105)
    fair.buy("bob", 2, at=50, stop=106)
    fair.trade_at(110)
    fair.ticking = False
    return fair


def test_nothing_is_placed_or_amended_while_a_trigger_is_met(met: Venue) -> None:
    first, second = met.state.orders
    assert refusal(met.sell("alice", 1, at=1_000)) is RejectReason.WORK_QUEUED
    assert refusal(met.amend("bob", first, 2, at=50)) is RejectReason.WORK_QUEUED
    assert refusal(met.amend("bob", second, 1, at=50)) is RejectReason.WORK_QUEUED


def test_a_met_order_can_be_cancelled_before_its_tick(met: Venue) -> None:
    first, second = met.state.orders
    assert ends(met.cancel("bob", first)) == [(first, "cancelled")]
    assert triggered(met.tick()) == [second]
    assert met.tick() == [Ticked(0)]


def test_when_the_last_met_order_is_cancelled_no_work_is_due(met: Venue) -> None:
    met.cancel_all("bob")
    assert met.tick() == [Ticked(0)]
    assert isinstance(met.sell("alice", 1, at=1_000)[0], OrderAccepted)
    met.buy("ben", 1, at=40, stop=1_001)
    assert met.tick() == [Ticked(0)], "the range before is forgotten"


def test_a_halt_keeps_met_orders_waiting_and_opening_fires_what_the_last_price_meets(met: Venue) -> None:
    first, second = met.state.orders
    met.set_state(MarketState.HALTED)
    assert met.tick() == [Ticked(0)]
    assert refusal(met.cancel("bob", first)) is RejectReason.MARKET_HALTED
    met.set_state(MarketState.OPEN)
    assert triggered(met.tick()) == [first]
    assert triggered(met.tick()) == [second]


@pytest.mark.parametrize(
    "state", [MarketState.PRE_OPEN, MarketState.POST_ONLY, MarketState.CANCEL_ONLY, MarketState.HALTED]
)
def test_triggers_fire_in_open_markets_only(met: Venue, state: MarketState) -> None:
    met.set_state(state)
    assert met.tick() == [Ticked(0)]
    met.set_state(MarketState.OPEN)
    assert len(triggered(met.tick())) == 1


def test_after_a_halt_only_the_last_price_counts(fair: Venue) -> None:
    """The price went up to 110 and back to 100 before the halt; a stop at 105 waits on after it."""
    fair.trade_at(100)
    fair.buy("bob", 1, at=50, stop=105)
    stop = fair.last_order_id
    fair.buy("alice", 1, at=110)
    fair.buy("alice", 1, at=100)
    fair.ticking = False
    fair.sell("ann", 2, at=100)
    assert fair.state.met_markets == [1]
    fair.set_state(MarketState.HALTED)
    fair.set_state(MarketState.OPEN)
    assert fair.tick() == [Ticked(0)]
    assert fair.open(stop).awaiting_trigger
    fair.trade_at(105)
    assert triggered(fair.tick()) == [stop]


def test_expiry_goes_before_a_met_trigger(met: Venue) -> None:
    met.ticking = True
    met.run_due()
    met.cancel_all("bob")
    met.buy("bob", 1, at=50, stop=120, till_ns=met.time_ns + 5)
    expiring = met.last_order_id
    met.buy("bob", 1, at=50, stop=120)
    staying = met.last_order_id
    met.cancel_all_after("ben", 0.000_000_005)
    met.trade_at(120)
    met.time_ns += 5
    assert met.tick() == [
        OrderEnded(expiring, met.account_id("bob"), 1, Side.BUY, 50, EndReason.EXPIRED, 1, 2, 50, False),
        Ticked(1),
    ]
    assert triggered(met.tick()) == [], "then the switch"
    assert triggered(met.tick()) == [staying]


# ---- cancelling, limits, amending


def test_a_waiting_order_is_cancelled_like_any_other(fair: Venue) -> None:
    fair.buy("bob", 10, at=110, stop=105)
    (ended,) = fair.cancel("bob", fair.last_order_id)
    assert isinstance(ended, OrderEnded)
    assert (ended.was_resting, ended.released_atoms) == (False, 1_100)
    assert fair.has("bob", "COIN") == (1_000_000, 0)
    fair.trade_at(105)
    assert fair.run_due() == []


def test_cancel_all_takes_waiting_orders_too(fair: Venue) -> None:
    fair.buy("bob", 10, at=110, stop=105)
    fair.sell("bob", 10, at=110, stop=95)
    fair.buy("bob", 1, at=10)
    assert len(ends(fair.cancel_all("bob", side=Side.BUY))) == 2
    assert len(ends(fair.cancel_all("bob"))) == 1
    assert fair.has("bob", "APPLE") == (10_000, 0)


def test_waiting_orders_count_as_open_orders(fair: Venue) -> None:
    fair.set_limits("bob", 2, 2)
    fair.buy("bob", 1, at=10, stop=105)
    fair.buy("bob", 1, at=10, stop=105, tif=TimeInForce.IOC)
    assert refusal(fair.buy("bob", 1, at=10, stop=105)) is RejectReason.TOO_MANY_OPEN_ORDERS
    immediate = fair.buy("bob", 1, at=10, stop=105, tif=TimeInForce.IOC)
    assert refusal(immediate) is RejectReason.TOO_MANY_OPEN_ORDERS


def test_an_amended_waiting_order_goes_on_waiting_at_its_trigger(fair: Venue) -> None:
    fair.buy("bob", 10, at=110, stop=105)
    stop = fair.last_order_id
    (amended,) = fair.amend("bob", stop, 20, at=120)
    assert amended.kept_priority  # type: ignore[union-attr]
    assert amended.hold_change_atoms == 1_300  # type: ignore[union-attr]
    assert fair.has("bob", "COIN") == (997_600, 2_400)
    assert fair.depth() == ([], [])
    fair.trade_at(105)
    fair.run_due()
    assert fair.depth() == ([(120, 20)], [])


def test_amending_does_not_change_a_waiting_orders_turn(fair: Venue) -> None:
    for _ in range(2):
        fair.buy("bob", 1, at=50, stop=105)
    first, second = fair.state.orders
    fair.amend("bob", first, 5, at=60)
    fair.trade_at(105)
    assert triggered(fair.run_due()) == [first, second]


def test_a_post_only_order_may_be_amended_across_the_market_while_it_waits(fair: Venue) -> None:
    """Whether it would cross is asked when it goes into the book."""
    fair.sell("alice", 1, at=100)
    fair.buy("bob", 1, at=90, stop=105, tif=TimeInForce.POST_ONLY)
    stop = fair.last_order_id
    fair.amend("bob", stop, 1, at=100)
    fair.cancel_all("alice")
    fair.trade_at(105)
    assert isinstance(fair.run_due()[1], OrderRested)
