"""The dead man's switch: all of an account's orders end unless it is renewed in time."""

import pytest
from tests.core.venue import SECOND, Venue, ends, refusal, trades

from exchange.core.accounts import FEES_ACCOUNT
from exchange.core.commands import CancelAllAfter
from exchange.core.events import CancelAllAfterFired, CancelAllAfterSet, OrderAccepted, OrderEnded, Ticked
from exchange.core.rejects import RejectReason
from exchange.core.words import MarketState, Side

DAY_S = 24 * 3600


@pytest.fixture
def armed(fair: Venue) -> Venue:
    """Alice has three orders, one awaits a trigger; her switch fires in 10 s."""
    fair.sell("alice", 10, at=100)
    fair.buy("alice", 10, at=90, stop=105)
    fair.buy("alice", 10, at=80)
    fair.cancel_all_after("alice", 10)
    return fair


def test_setting_it_answers_with_its_time(fair: Venue) -> None:
    alice = fair.account_id("alice")
    assert fair.cancel_all_after("alice", 10) == [CancelAllAfterSet(alice, fair.time_ns + 10 * SECOND)]


def test_when_it_fires_all_orders_end_the_oldest_first_and_hold_nothing(armed: Venue) -> None:
    ids = sorted(armed.state.orders)
    armed.pass_time(10)
    events = armed.tick()
    assert ends(events) == [(order_id, "cancel_all_after") for order_id in ids]
    assert [event.was_resting for event in events if isinstance(event, OrderEnded)] == [True, False, True]
    assert events[-2:] == [CancelAllAfterFired(armed.account_id("alice"), 3), Ticked(0)]
    assert armed.has("alice", "APPLE") == (10_000, 0)
    assert armed.has("alice", "COIN") == (1_000_000, 0)


def test_before_its_time_nothing_happens(armed: Venue) -> None:
    armed.pass_time(9.999_999_999)
    assert armed.tick() == [Ticked(0)]
    assert trades(armed.buy("bob", 1, at=100)) == [(100, 1)]


def test_what_it_cancels_never_trades(armed: Venue) -> None:
    armed.pass_time(10)
    armed.ticking = False
    assert refusal(armed.buy("bob", 1, at=100)) is RejectReason.WORK_QUEUED
    armed.ticking = True
    assert trades(armed.buy("bob", 1, at=100)) == []


def test_renewing_replaces_it(armed: Venue) -> None:
    armed.pass_time(9)
    armed.cancel_all_after("alice", 10)
    armed.pass_time(9)
    assert armed.tick() == [Ticked(0)]
    armed.pass_time(1)
    assert len(ends(armed.tick())) == 3


def test_it_may_be_set_sooner(armed: Venue) -> None:
    armed.cancel_all_after("alice", 1)
    armed.pass_time(1)
    assert len(ends(armed.tick())) == 3


def test_switched_off_it_does_not_fire(armed: Venue) -> None:
    assert armed.cancel_all_after("alice", 0) == [CancelAllAfterSet(armed.account_id("alice"), 0)]
    armed.pass_time(2 * DAY_S)
    assert armed.tick() == [Ticked(0)]
    assert len(armed.state.orders) == 3


def test_switching_off_what_is_not_on_is_no_refusal(fair: Venue) -> None:
    assert fair.cancel_all_after("alice", 0) == [CancelAllAfterSet(fair.account_id("alice"), 0)]


def test_it_fires_once(armed: Venue) -> None:
    armed.pass_time(10)
    armed.run_due()
    assert isinstance(armed.sell("alice", 1, at=100)[0], OrderAccepted)
    armed.pass_time(100)
    assert armed.tick() == [Ticked(0)]
    assert armed.depth() == ([], [(100, 1)])


def test_it_fires_for_an_account_without_orders(fair: Venue) -> None:
    fair.cancel_all_after("alice", 10)
    fair.pass_time(10)
    assert fair.tick() == [CancelAllAfterFired(fair.account_id("alice"), 0), Ticked(0)]


def test_one_tick_fires_one_switch_in_the_order_of_time_then_account(fair: Venue) -> None:
    for name, seconds in (("bob", 2), ("ann", 1), ("alice", 2)):
        fair.cancel_all_after(name, seconds)
    fair.pass_time(3)
    fired = [fair.tick()[0] for _ in range(3)]
    assert fired == [CancelAllAfterFired(fair.account_id(name), 0) for name in ("ann", "alice", "bob")]
    assert fair.tick() == [Ticked(0)]


def test_expiry_goes_before_it(armed: Venue) -> None:
    armed.sell("alice", 1, at=200, till_ns=armed.time_ns + 10 * SECOND)
    expiring = armed.last_order_id
    armed.pass_time(10)
    assert ends(armed.tick()) == [(expiring, "expired")]
    assert len(ends(armed.tick())) == 3


def test_it_belongs_to_one_account(armed: Venue) -> None:
    armed.transfer("alice", "APPLE", 10, to=1)
    armed.sell("alice", 1, at=100, sub_account=1)
    armed.sell("bob", 1, at=100)
    armed.pass_time(10)
    armed.run_due()
    assert armed.depth() == ([], [(100, 2)])


@pytest.mark.parametrize("state", list(MarketState))
def test_it_fires_in_every_state_of_a_market(armed: Venue, state: MarketState) -> None:
    armed.set_state(state)
    armed.pass_time(10)
    assert len(ends(armed.tick())) == 3
    assert armed.has("alice", "COIN")[1] == 0


def test_it_reaches_every_market_of_the_account(armed: Venue) -> None:
    armed.open_market("PEAR", "COIN")
    armed.buy("alice", 1, at=1, market=2)
    armed.set_state(MarketState.HALTED, market=2)
    armed.pass_time(10)
    assert len(ends(armed.tick())) == 4


def test_switches_fire_before_met_triggers(fair: Venue) -> None:
    """Alice's own stop is met and her switch is due: the switch ends it unfired."""
    fair.buy("alice", 1, at=90, stop=105)
    stop = fair.last_order_id
    fair.cancel_all_after("alice", 10)
    fair.trade_at(105)
    fair.pass_time(10)
    assert ends(fair.tick()) == [(stop, "cancel_all_after")]
    assert fair.tick() == [Ticked(0)]


@pytest.mark.parametrize("ahead_ns", [-1, -(2**40), DAY_S * SECOND + 1, 2**63, 2**64, 2**127, 2**200])
def test_a_time_that_is_not_ahead_or_too_far_is_refused(armed: Venue, ahead_ns: int) -> None:
    alice = armed.account_id("alice")
    for fires_ns in (armed.time_ns + ahead_ns, -1, armed.time_ns):
        events = armed.do(CancelAllAfter(alice, fires_ns))
        assert refusal(events) is RejectReason.CANCEL_ALL_AFTER_INVALID
    armed.pass_time(10)
    assert len(ends(armed.tick())) == 3, "the one that was set stays set"


@pytest.mark.parametrize("ahead_ns", [1, DAY_S * SECOND])
def test_the_nearest_and_the_farthest_time_are_taken(armed: Venue, ahead_ns: int) -> None:
    fires_ns = armed.time_ns + ahead_ns
    assert armed.do(CancelAllAfter(armed.account_id("alice"), fires_ns))[0] == CancelAllAfterSet(
        armed.account_id("alice"), fires_ns
    )
    armed.time_ns = fires_ns
    assert len(ends(armed.tick())) == 3


def test_nobody_and_the_system_have_no_switch(fair: Venue) -> None:
    for account_id in (0, -1, 5_000, FEES_ACCOUNT, 2**64):
        for fires_ns in (0, fair.time_ns + 1):
            events = fair.do(CancelAllAfter(account_id, fires_ns))
            assert refusal(events) is RejectReason.UNKNOWN_ACCOUNT


def test_it_may_be_set_while_work_is_due_and_after_it_has_passed(armed: Venue) -> None:
    armed.pass_time(10)
    armed.ticking = False
    armed.cancel_all_after("alice", 10)
    assert armed.tick() == [Ticked(0)], "renewed at the last moment"
    assert len(armed.state.orders) == 3


def test_cancelling_and_filling_do_not_switch_it_off(armed: Venue) -> None:
    armed.cancel_all("alice", side=Side.BUY)
    armed.buy("bob", 10, at=100)
    armed.pass_time(10)
    assert armed.tick()[0] == CancelAllAfterFired(armed.account_id("alice"), 0)


def test_a_thousand_orders_end_in_one_tick(venue: Venue) -> None:
    """As many as an account may have: the limit bounds the work."""
    venue.give("alice", apple=1_000)
    venue.checking = False
    for _ in range(1_000):
        venue.sell("alice", 1, at=100)
    venue.cancel_all_after("alice", 1)
    venue.checking = True
    venue.pass_time(1)
    events = venue.tick()
    assert len(ends(events)) == 1_000
    assert venue.has("alice", "APPLE") == (1_000, 0)
