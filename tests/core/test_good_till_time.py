import msgspec
import pytest
from tests.core.venue import SECOND, START_NS, Venue, ends, fills, refusal, trades

from exchange.core.events import OrderAccepted, OrderEnded, OrderKnown, OrderRested, Ticked
from exchange.core.rejects import RejectReason
from exchange.core.words import MarketState, OrderType, TimeInForce

IN_TEN_S = START_NS + 10 * SECOND


def test_an_order_is_good_until_its_time(fair: Venue) -> None:
    accepted, rested = fair.sell("alice", 10, at=100, till_ns=IN_TEN_S)
    assert isinstance(accepted, OrderAccepted)
    assert (accepted.time_in_force, accepted.good_till_ns) == (TimeInForce.GTT, IN_TEN_S)
    assert isinstance(rested, OrderRested)
    fair.time_ns = IN_TEN_S - 1
    assert trades(fair.buy("bob", 4, at=100)) == [(100, 4)]
    assert fair.tick() == [Ticked(0)]


def test_at_its_time_it_ends_as_expired_and_holds_nothing(fair: Venue) -> None:
    fair.sell("alice", 10, at=100, till_ns=IN_TEN_S)
    order_id = fair.last_order_id
    fair.buy("bob", 4, at=100)
    fair.time_ns = IN_TEN_S
    ended, ticked = fair.tick()
    assert isinstance(ended, OrderEnded)
    assert (ended.order_id, ended.reason, ended.remaining_lots) == (order_id, "expired", 6)
    assert (ended.released_atoms, ended.was_resting) == (6, True)
    assert ticked == Ticked(1)
    assert fair.depth() == ([], [])
    assert fair.has("alice", "APPLE") == (9_996, 0)


def test_what_has_expired_never_trades(fair: Venue) -> None:
    fair.sell("alice", 10, at=100, till_ns=IN_TEN_S)
    expired = fair.last_order_id
    fair.time_ns = IN_TEN_S
    fair.ticking = False
    assert refusal(fair.buy("bob", 5, at=100)) is RejectReason.WORK_QUEUED
    assert refusal(fair.amend("alice", expired, 11, at=100)) is RejectReason.WORK_QUEUED
    fair.ticking = True
    events = fair.buy("bob", 5, at=100)
    assert (trades(events), ends(events)) == ([], [])
    assert fair.depth() == ([(100, 5)], [])


@pytest.mark.parametrize("ahead_ns", [0, -1, -START_NS - 1, 2**63 - START_NS, 2**64, 2**127, 2**200])
def test_a_time_that_is_not_ahead_or_beyond_63_bits_is_refused(fair: Venue, ahead_ns: int) -> None:
    events = fair.sell("alice", 10, at=100, tif=TimeInForce.GTT, till_ns=START_NS + ahead_ns)
    assert refusal(events) is RejectReason.GOOD_TILL_INVALID


@pytest.mark.parametrize("ahead_ns", [1, 2**63 - 1 - START_NS])
def test_the_nearest_and_the_farthest_time_are_taken(fair: Venue, ahead_ns: int) -> None:
    fair.sell("alice", 10, at=100, till_ns=START_NS + ahead_ns)
    order_id = fair.last_order_id
    fair.time_ns = START_NS + ahead_ns
    assert ends(fair.run_due()) == [(order_id, "expired")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"tif": TimeInForce.GTT},
        {"tif": TimeInForce.IOC, "till_ns": IN_TEN_S},
        {"tif": TimeInForce.FOK, "till_ns": IN_TEN_S},
        {"tif": TimeInForce.POST_ONLY, "till_ns": IN_TEN_S},
        {"tif": TimeInForce.GTT, "till_ns": IN_TEN_S, "kind": OrderType.MARKET},
    ],
)
def test_a_time_goes_with_good_till_time_alone(fair: Venue, wrong: dict[str, object]) -> None:
    assert refusal(fair.sell("alice", 10, at=100, **wrong)) is RejectReason.INVALID_COMBINATION


def test_good_till_cancelled_with_a_time_is_refused(fair: Venue) -> None:
    fair.sell("alice", 10, at=100, till_ns=IN_TEN_S)
    changed = msgspec.structs.replace(fair.log[-1][1], time_in_force=TimeInForce.GTC)
    assert refusal(fair.do(changed)) is RejectReason.INVALID_COMBINATION


def test_orders_expire_in_the_order_of_their_times_then_of_their_ids(fair: Venue) -> None:
    ids = []
    for seconds in (3, 1, 2, 1):
        fair.sell("alice", 1, at=100 + seconds, till_ns=START_NS + seconds * SECOND)
        ids.append(fair.last_order_id)
    fair.pass_time(5)
    events = fair.tick()
    assert [order_id for order_id, _ in ends(events)] == [ids[1], ids[3], ids[2], ids[0]]
    assert events[-1] == Ticked(4)


def test_only_what_is_due_expires(fair: Venue) -> None:
    for seconds in (1, 2):
        fair.sell("alice", 1, at=100, till_ns=START_NS + seconds * SECOND)
    fair.pass_time(1)
    assert fair.run_due()[-1] == Ticked(1)
    assert fair.depth() == ([], [(100, 1)])
    fair.pass_time(1)
    assert fair.run_due()[-1] == Ticked(1)


def test_a_thousand_and_one_orders_expire_in_two_ticks(venue: Venue) -> None:
    venue.checking = False
    for name in ("alice", "ann"):
        venue.give(name, apple=1_000)
    for number in range(1_001):
        venue.sell("alice" if number % 2 else "ann", 1, at=100 + number % 7, till_ns=IN_TEN_S)
    venue.checking = True
    venue.time_ns = IN_TEN_S
    first = venue.tick()
    assert (len(ends(first)), first[-1]) == (1_000, Ticked(1_000))
    venue.ticking = False
    assert refusal(venue.buy("bob", 1, at=1)) is RejectReason.WORK_QUEUED, "one is left"
    second = venue.tick()
    assert (len(ends(second)), second[-1]) == (1, Ticked(1))
    expired = [order_id for order_id, _ in ends(first + second)]
    assert expired == sorted(expired)
    assert venue.depth() == ([], [])
    assert venue.has("alice", "APPLE") == (1_000, 0)


def test_an_order_that_ended_before_its_time_does_not_expire(fair: Venue) -> None:
    fair.sell("alice", 1, at=100, till_ns=IN_TEN_S)
    fair.cancel("alice", fair.last_order_id)
    fair.sell("alice", 1, at=100, till_ns=IN_TEN_S)
    fair.buy("bob", 1, at=100)
    fair.sell("alice", 1, at=100)
    fair.buy("bob", 1, at=100, till_ns=IN_TEN_S)
    assert not fair.state.orders
    fair.time_ns = IN_TEN_S
    assert fair.tick() == [Ticked(0)]


def test_an_order_that_awaits_its_trigger_expires_too(fair: Venue) -> None:
    fair.buy("bob", 10, at=110, stop=105, till_ns=IN_TEN_S)
    fair.time_ns = IN_TEN_S
    ended, _ = fair.tick()
    assert isinstance(ended, OrderEnded)
    assert (ended.reason, ended.was_resting, ended.released_atoms) == ("expired", False, 1_100)
    fair.trade_at(106)
    assert fair.run_due() == [], "its trigger is gone with it"


@pytest.mark.parametrize("state", list(MarketState))
def test_orders_expire_in_every_state_of_a_market(fair: Venue, state: MarketState) -> None:
    fair.sell("alice", 10, at=100, till_ns=IN_TEN_S)
    fair.set_state(state)
    fair.time_ns = IN_TEN_S
    assert fair.tick()[-1] == Ticked(1)
    assert fair.has("alice", "APPLE") == (10_000, 0)


def test_an_amended_order_keeps_its_time(fair: Venue) -> None:
    fair.sell("alice", 10, at=100, till_ns=IN_TEN_S)
    order_id = fair.last_order_id
    fair.amend("alice", order_id, 20, at=101)
    fair.time_ns = IN_TEN_S
    assert ends(fair.tick()) == [(order_id, "expired")]


def test_an_expired_order_is_known_as_such_for_a_minute(fair: Venue) -> None:
    fair.sell("alice", 10, at=100, till_ns=IN_TEN_S, cid="mine")
    fair.time_ns = IN_TEN_S
    (known,) = fair.sell("alice", 10, at=100, till_ns=IN_TEN_S, cid="mine")
    assert isinstance(known, OrderKnown)
    assert (known.status, known.remaining_lots) == ("expired", 10)
    other_time = fair.sell("alice", 10, at=100, till_ns=IN_TEN_S + 1, cid="mine")
    assert refusal(other_time) is RejectReason.CLIENT_ORDER_ID_REUSED
    fair.pass_time(61)
    again = fair.sell("alice", 10, at=100, till_ns=IN_TEN_S, cid="mine")
    assert refusal(again) is RejectReason.GOOD_TILL_INVALID


def test_what_it_takes_at_once_is_traded_whatever_its_time(fair: Venue) -> None:
    fair.sell("alice", 4, at=99)
    events = fair.buy("bob", 10, at=100, till_ns=START_NS + 1)
    assert [trade.buyer_released_atoms for trade in fills(events)] == [4]
    assert fair.has("bob", "COIN") == (1_000_000 - 396 - 600, 600)
    fair.time_ns += 1
    fair.run_due()
    assert fair.has("bob", "COIN") == (1_000_000 - 396, 0)
