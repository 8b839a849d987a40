"""The Tick: work that comes due by itself, a bounded part at a time, before anything new may trade."""

import pytest
from tests.core.venue import SECOND, Venue, refusal

from exchange.core.commands import CancelAll, CancelOrder, Command, OpenAccount, Tick, TransferFunds
from exchange.core.events import (
    CancelAllAfterFired,
    Event,
    OrderEnded,
    OrderKnown,
    OrderTriggered,
    Rejected,
    Ticked,
)
from exchange.core.invariants import audit
from exchange.core.rejects import RejectReason
from exchange.core.schedule import work_is_due
from exchange.core.state import NEVER_NS
from exchange.core.words import MarketState


def kinds(events: list[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


def test_with_nothing_due_a_tick_does_nothing(fair: Venue) -> None:
    fair.sell("alice", 1, at=100)
    assert fair.tick() == [Ticked(0)]
    assert fair.depth() == ([], [(100, 1)])


def test_the_very_first_command_may_be_a_tick() -> None:
    venue = Venue(rules=1)
    assert venue.tick() == [Ticked(0)]
    assert venue.state.seq == 1


@pytest.fixture
def due(fair: Venue) -> Venue:
    """Ann's order has expired, Ben's switch is due, Bob's stop is met. No Tick comes by itself."""
    fair.sell("ann", 1, at=200, till_ns=fair.time_ns + SECOND)
    fair.sell("ben", 1, at=201)
    fair.cancel_all_after("ben", 1)
    fair.buy("bob", 1, at=50, stop=105, cid="stop")
    fair.trade_at(105)
    fair.ticking = False
    fair.pass_time(1)
    return fair


def test_expiries_go_first_then_switches_then_triggers(due: Venue) -> None:
    assert kinds(due.tick()) == [OrderEnded, Ticked]
    assert kinds(due.tick()) == [OrderEnded, CancelAllAfterFired, Ticked]
    assert kinds(due.tick())[0] is OrderTriggered
    assert due.tick() == [Ticked(0)]


def test_until_it_is_all_done_nothing_is_placed_or_amended(due: Venue) -> None:
    stop = due.state.accounts[due.account_id("bob")].client_orders["stop"].order_id
    for _ in range(3):
        assert work_is_due(due.state, due.time_ns)
        assert refusal(due.sell("alice", 1, at=900)) is RejectReason.WORK_QUEUED
        assert refusal(due.amend("bob", stop, 1, at=51)) is RejectReason.WORK_QUEUED
        due.tick()
    assert not work_is_due(due.state, due.time_ns)
    assert not isinstance(due.sell("alice", 1, at=900)[0], Rejected)


def test_what_was_sent_before_is_still_known_while_work_is_due(due: Venue) -> None:
    (event,) = due.buy("bob", 1, at=50, stop=105, cid="stop")
    assert isinstance(event, OrderKnown)


def test_everything_else_is_taken_while_work_is_due(due: Venue) -> None:
    alice = due.account_id("alice")
    taken: list[Command] = [
        CancelAll(alice, None),
        OpenAccount("0xnew"),
        TransferFunds(alice, 1, due.asset_id("COIN"), 5, "t", due.time_ns),
        CancelOrder(alice, 12345),
    ]
    for command in taken:
        events = due.do(command)
        assert events
        assert events[0] != Rejected(RejectReason.WORK_QUEUED)
    due.deposit("alice", "COIN", 1)
    due.withdraw("alice", "COIN", 1)
    due.cancel_all_after("alice", 5)
    due.set_limits("alice", 5, 5)
    due.set_state(MarketState.POST_ONLY)
    assert [events for _, _, events in due.log[-5:] if isinstance(events[0], Rejected)] == []


def test_a_wrong_order_is_told_so_before_it_is_told_to_wait(due: Venue) -> None:
    assert refusal(due.sell("alice", 0, at=100)) is RejectReason.SIZE_OUT_OF_RANGE
    assert refusal(due.sell("alice", 1, at=100, market=9)) is RejectReason.UNKNOWN_MARKET
    due.set_state(MarketState.HALTED)
    assert refusal(due.sell("alice", 1, at=100)) is RejectReason.WORK_QUEUED, "before the market's state"


def test_ticks_are_stamped_like_any_command(due: Venue) -> None:
    seq = due.state.seq
    due.tick()
    assert due.state.seq == seq + 1


def test_work_that_comes_due_between_two_ticks_waits_its_turn(due: Venue) -> None:
    due.tick()
    due.sell("ann", 1, at=300)  # refused: the switch is still due
    due.cancel_all_after("ann", 2)
    due.pass_time(2)
    first, second = due.tick(), due.tick()
    fired = [event for event in (*first, *second) if isinstance(event, CancelAllAfterFired)]
    assert [event.account_id for event in fired] == [due.account_id("ben"), due.account_id("ann")]
    assert kinds(due.tick())[0] is OrderTriggered


def test_when_the_next_work_is_due_is_always_known(fair: Venue) -> None:
    """`work_due_ns` is what the sequencer waits for in quiet time."""
    assert fair.state.work_due_ns == NEVER_NS
    fair.cancel_all_after("ben", 20)
    assert fair.state.work_due_ns == fair.time_ns + 20 * SECOND
    fair.sell("ann", 1, at=200, till_ns=fair.time_ns + 10 * SECOND)
    order_id = fair.last_order_id
    assert fair.state.work_due_ns == fair.time_ns + 10 * SECOND
    fair.sell("ann", 1, at=200, till_ns=fair.time_ns + 15 * SECOND)
    assert fair.state.work_due_ns == fair.time_ns + 10 * SECOND
    fair.cancel("ann", order_id)
    assert fair.state.work_due_ns == fair.time_ns + 15 * SECOND
    fair.buy("bob", 1, at=50, stop=105)
    fair.trade_at(105)
    assert fair.state.work_due_ns == 0
    fair.run_due()
    assert fair.state.work_due_ns == fair.time_ns + 15 * SECOND
    fair.cancel_all_after("ben", 5)
    assert fair.state.work_due_ns == fair.time_ns + 5 * SECOND
    fair.cancel_all_after("ben", 0)
    fair.cancel_all("ann")
    assert fair.state.work_due_ns == NEVER_NS


def test_a_tick_is_due_at_the_very_nanosecond(fair: Venue) -> None:
    fair.cancel_all_after("ben", 1)
    assert not work_is_due(fair.state, fair.time_ns + SECOND - 1)
    assert work_is_due(fair.state, fair.time_ns + SECOND)


def test_ticks_end_however_much_is_due(venue: Venue) -> None:
    """Three thousand pieces of work of every kind at once."""
    venue.checking = False
    for number in range(30):
        name = f"trader{number}"
        venue.give(name, apple=100, coin=100_000)
        for step in range(40):
            venue.sell(name, 1, at=1_000 + step, till_ns=venue.time_ns + SECOND)
            venue.buy(name, 1, at=1, stop=500 + step)
        venue.cancel_all_after(name, 1 + number % 2)
    venue.trade_at(600)
    venue.ticking = False
    venue.pass_time(1)
    ticks = 0
    while work_is_due(venue.state, venue.time_ns):
        venue.do(Tick())
        ticks += 1
    assert ticks == 2 + 15 + 15 * 40, "1,200 expiries; half of the switches; the stops of the other half"
    audit(venue.state)
