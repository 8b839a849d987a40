"""An owner's orders meet: what gives way is the taker's choice."""

import pytest
from tests.core.venue import Venue, ends, fills, refusal, trades

from exchange.core.events import (
    Event,
    OrderAccepted,
    OrderEnded,
    OrderKnown,
    OrderRested,
    SelfTradePrevented,
    Trade,
)
from exchange.core.matching import MAX_WORK
from exchange.core.rejects import RejectReason
from exchange.core.words import SelfTradePrevention, Side, TimeInForce

NEWEST = SelfTradePrevention.CANCEL_NEWEST
OLDEST = SelfTradePrevention.CANCEL_OLDEST
BOTH = SelfTradePrevention.CANCEL_BOTH
DECREMENT = SelfTradePrevention.DECREMENT


def prevented(events: list[Event]) -> list[SelfTradePrevented]:
    return [event for event in events if isinstance(event, SelfTradePrevented)]


@pytest.fixture
def mixed(fair: Venue) -> Venue:
    """Asks: Ann's 5 at 100, Alice's 5 at 101, Ann's 5 at 102."""
    for name, price in (("ann", 100), ("alice", 101), ("ann", 102)):
        fair.sell(name, 5, at=price)
    return fair


def own_ask(venue: Venue) -> int:
    (order_id,) = venue.state.accounts[venue.account_id("alice")].orders
    return order_id


def test_cancel_newest_ends_the_taker_and_is_what_an_order_has_unless_it_says(mixed: Venue) -> None:
    own = own_ask(mixed)
    events = mixed.buy("alice", 12, at=102)
    assert isinstance(events[0], OrderAccepted)
    assert events[0].self_trade_prevention is NEWEST
    assert trades(events) == [(100, 5)]
    assert ends(events)[-1] == (mixed.last_order_id, "self_trade")
    assert mixed.open(own).remaining_lots == 5
    assert mixed.has("alice", "COIN") == (999_500, 0)


def test_cancel_oldest_ends_the_maker_and_the_taker_goes_on(mixed: Venue) -> None:
    own = own_ask(mixed)
    events = mixed.buy("alice", 12, at=102, stp=OLDEST)
    assert trades(events) == [(100, 5), (102, 5)]
    assert (own, "self_trade") in ends(events)
    assert isinstance(events[-1], OrderRested)
    assert mixed.depth() == ([(102, 2)], [])
    assert mixed.has("alice", "APPLE") == (10_010, 0)


def test_cancel_both_ends_the_maker_then_the_taker(mixed: Venue) -> None:
    own = own_ask(mixed)
    events = mixed.buy("alice", 12, at=102, stp=BOTH)
    assert trades(events) == [(100, 5)]
    assert ends(events)[-2:] == [(own, "self_trade"), (mixed.last_order_id, "self_trade")]
    maker_end, taker_end = [event for event in events if isinstance(event, OrderEnded)][-2:]
    assert (maker_end.was_resting, maker_end.remaining_lots, maker_end.released_atoms) == (True, 5, 5)
    assert (taker_end.was_resting, taker_end.remaining_lots) == (False, 7)
    assert mixed.depth() == ([], [(102, 5)])
    assert mixed.has("alice", "APPLE") == (10_005, 0)
    assert mixed.has("alice", "COIN") == (999_500, 0)


def test_decrement_takes_the_smaller_remainder_off_both_without_trade_or_fee(mixed: Venue) -> None:
    own = own_ask(mixed)
    events = mixed.buy("alice", 12, at=102, stp=DECREMENT)
    taker = mixed.last_order_id
    assert trades(events) == [(100, 5), (102, 2)]
    (event,) = prevented(events)
    assert event == SelfTradePrevented(
        market_id=1,
        maker_order_id=own,
        taker_order_id=taker,
        maker_account_id=mixed.account_id("alice"),
        taker_account_id=mixed.account_id("alice"),
        taker_side=Side.BUY,
        price_ticks=101,
        size_lots=5,
        maker_released_atoms=5,
        taker_released_atoms=510,
        maker_remaining_lots=0,
        taker_remaining_lots=2,
    )
    assert ends(events)[1:] == [(own, "self_trade"), (taker, "filled")]
    assert mixed.fees() == 0


def test_decrement_leaves_what_is_larger_with_the_difference(fair: Venue) -> None:
    fair.sell("alice", 8, at=100)
    own = fair.last_order_id
    events = fair.buy("alice", 3, at=100, stp=DECREMENT)
    assert ends(events) == [(fair.last_order_id, "self_trade")]
    order = fair.open(own)
    assert (order.size_lots, order.remaining_lots, order.held_atoms) == (5, 5, 5)
    assert fair.depth() == ([], [(100, 5)])
    assert fair.has("alice", "APPLE") == (9_995, 5)
    events = fair.buy("alice", 7, at=100, stp=DECREMENT)
    assert ends(events) == [(own, "self_trade")]
    assert fair.depth() == ([(100, 2)], [])
    assert fair.open(fair.last_order_id).size_lots == 2
    assert fair.has("alice", "COIN") == (999_800, 200)


def test_decrement_of_equal_sizes_ends_the_maker_then_the_taker(fair: Venue) -> None:
    fair.sell("alice", 5, at=100)
    own = fair.last_order_id
    events = fair.buy("alice", 5, at=100, stp=DECREMENT)
    taker = fair.last_order_id
    assert ends(events) == [(own, "self_trade"), (taker, "self_trade")]
    assert [event.released_atoms for event in events if isinstance(event, OrderEnded)] == [0, 0]
    assert fair.has("alice", "APPLE") == (10_000, 0)
    assert fair.has("alice", "COIN") == (1_000_000, 0)


def test_a_decremented_maker_keeps_its_place(fair: Venue) -> None:
    fair.sell("alice", 5, at=100)
    own = fair.last_order_id
    fair.sell("ann", 5, at=100)
    fair.buy("alice", 2, at=100, stp=DECREMENT)
    assert fair.queue(100)[0] == (own, 3)
    (trade,) = fills(fair.buy("bob", 1, at=100))
    assert trade.maker_order_id == own


def test_a_decremented_order_that_was_filled_in_part_keeps_its_filled_part(fair: Venue) -> None:
    fair.sell("alice", 8, at=100, cid="mine")
    own = fair.last_order_id
    fair.buy("bob", 3, at=100)
    fair.buy("alice", 2, at=100, stp=DECREMENT)
    assert (fair.open(own).size_lots, fair.open(own).remaining_lots) == (6, 3)
    (known,) = fair.sell("alice", 8, at=100, cid="mine")
    assert isinstance(known, OrderKnown)
    assert (known.status, known.size_lots, known.remaining_lots) == ("open", 6, 3)
    fair.buy("alice", 3, at=100, stp=DECREMENT)
    (known,) = fair.sell("alice", 8, at=100, cid="mine")
    assert isinstance(known, OrderKnown)
    assert (known.status, known.size_lots, known.remaining_lots) == ("self_trade", 3, 0)


def test_decrement_releases_the_fee_that_was_reserved_for_what_is_gone() -> None:
    venue = Venue()
    venue.open_market(maker_fee_bps=50, taker_fee_bps=100)
    venue.give("alice", apple=100, coin=100_000)
    venue.buy("alice", 10, at=100)
    assert venue.has("alice", "COIN") == (98_990, 1_010)
    (event,) = prevented(venue.sell("alice", 4, at=100, stp=DECREMENT))
    assert (event.maker_released_atoms, event.taker_released_atoms) == (404, 4)
    assert venue.has("alice", "COIN") == (99_394, 606)
    venue.cancel_all("alice")
    venue.sell("alice", 10, at=100)
    (event,) = prevented(venue.buy("alice", 4, at=120, stp=DECREMENT))
    assert (event.maker_released_atoms, event.taker_released_atoms) == (4, 485)
    assert venue.fees() == 0


@pytest.mark.parametrize("makers_mode", list(SelfTradePrevention))
def test_the_takers_mode_rules_whatever_the_maker_said(fair: Venue, makers_mode: SelfTradePrevention) -> None:
    fair.sell("alice", 5, at=100, stp=makers_mode)
    own = fair.last_order_id
    assert ends(fair.buy("alice", 5, at=100)) == [(fair.last_order_id, "self_trade")]
    assert ends(fair.buy("alice", 5, at=100, stp=OLDEST)) == [(own, "self_trade")]


@pytest.mark.parametrize("mode", list(SelfTradePrevention))
def test_the_owners_sub_accounts_are_the_owner(fair: Venue, mode: SelfTradePrevention) -> None:
    fair.transfer("alice", "COIN", 1_000, to=9)
    fair.sell("alice", 5, at=100)
    events = fair.buy("alice", 5, at=100, sub_account=9, stp=mode)
    assert trades(events) == []
    assert len(ends(events)) == {NEWEST: 1, OLDEST: 1, BOTH: 2, DECREMENT: 2}[mode]
    fair.cancel_all("alice")
    assert fair.has("alice", "APPLE") == (10_000, 0)


@pytest.mark.parametrize("mode", list(SelfTradePrevention))
def test_orders_of_different_owners_trade_in_every_mode(fair: Venue, mode: SelfTradePrevention) -> None:
    fair.sell("alice", 5, at=100, stp=mode)
    assert trades(fair.buy("bob", 5, at=100, stp=mode)) == [(100, 5)]


@pytest.mark.parametrize(("mode", "most"), [(NEWEST, 5), (BOTH, 5), (DECREMENT, 5), (OLDEST, 10)])
def test_fill_or_kill_counts_only_what_it_can_get(mixed: Venue, mode: SelfTradePrevention, most: int) -> None:
    own = own_ask(mixed)
    too_much = mixed.buy("alice", most + 1, at=102, tif=TimeInForce.FOK, stp=mode)
    assert refusal(too_much) is RejectReason.FILL_OR_KILL_UNFILLABLE
    assert mixed.open(own).remaining_lots == 5, "a refusal changes nothing"
    events = mixed.buy("alice", most, at=102, tif=TimeInForce.FOK, stp=mode)
    assert sum(size for _, size in trades(events)) == most
    assert ends(events)[-1] == (mixed.last_order_id, "filled")


def test_an_own_order_that_the_taker_does_not_get_to_stays(mixed: Venue) -> None:
    own = own_ask(mixed)
    for mode in SelfTradePrevention:
        mixed.buy("alice", 1, at=102, stp=mode)
    assert mixed.open(own).remaining_lots == 5


def test_an_amended_order_meets_its_owner_as_taker_by_its_own_mode(fair: Venue) -> None:
    fair.buy("alice", 5, at=90, stp=DECREMENT)
    bid = fair.last_order_id
    fair.sell("alice", 3, at=100)
    events = fair.amend("alice", bid, 6, at=100)
    (event,) = prevented(events)
    assert (event.taker_order_id, event.size_lots) == (bid, 3)
    assert fair.depth() == ([(100, 3)], [])


def test_a_self_trade_moves_no_price(fair: Venue) -> None:
    fair.trade_at(100)
    fair.buy("bob", 1, at=50, stop=110)
    fair.sell("alice", 5, at=120)
    fair.buy("alice", 5, at=120, stp=DECREMENT)
    assert fair.run_due() == []
    assert fair.state.books[1].last_ticks == 100


# ---- bounded work


def crowd_of_own(venue: Venue, count: int) -> None:
    """`count` one-lot asks at 100, all of Alice's, in as many sub-accounts as the limits need."""
    venue.checking = False
    venue.give("alice", apple=10_000, coin=1_000_000)
    for sub_account in (1, 2):
        venue.transfer("alice", "APPLE", 2_000, to=sub_account, cid=f"to {sub_account}")
    for number in range(count):
        venue.sell("alice", 1, at=100, sub_account=1 + number // 900)
    venue.checking = True
    venue.check()


@pytest.mark.parametrize("mode", [OLDEST, DECREMENT])
def test_a_thousand_and_one_own_makers_are_more_than_one_command_may_end(
    venue: Venue, mode: SelfTradePrevention
) -> None:
    crowd_of_own(venue, MAX_WORK + 1)
    events = venue.buy("alice", MAX_WORK + 5, at=100, stp=mode)
    assert [reason for _, reason in ends(events)] == ["self_trade"] * MAX_WORK + ["work_limit"]
    assert ends(events)[-1][0] == venue.last_order_id
    assert venue.depth() == ([], [(100, 1)])
    assert venue.has("alice", "COIN") == (1_000_000, 0)


@pytest.mark.parametrize("mode", [OLDEST, DECREMENT])
def test_after_a_thousand_own_makers_an_emptied_book_lets_the_rest_stand(
    venue: Venue, mode: SelfTradePrevention
) -> None:
    crowd_of_own(venue, MAX_WORK)
    events = venue.buy("alice", MAX_WORK + 5, at=100, stp=mode)
    assert isinstance(events[-1], OrderRested)
    assert events[-1].remaining_lots == {OLDEST: MAX_WORK + 5, DECREMENT: 5}[mode]


def test_passed_over_own_orders_count_towards_what_fill_or_kill_may_do(venue: Venue) -> None:
    crowd_of_own(venue, MAX_WORK - 1)
    venue.give("bob", apple=10)
    venue.sell("bob", 1, at=100)
    venue.sell("bob", 1, at=100)
    whole = {"tif": TimeInForce.FOK, "stp": OLDEST}
    assert refusal(venue.buy("alice", 2, at=100, **whole)) is RejectReason.FILL_OR_KILL_UNFILLABLE
    events = venue.buy("alice", 1, at=100, **whole)
    assert len(ends(events)) == MAX_WORK + 1, "999 own, the maker and the taker"
    assert [event for event in events if isinstance(event, Trade)]


def test_fills_and_prevented_self_trades_share_one_bound(venue: Venue) -> None:
    crowd_of_own(venue, 600)
    venue.checking = False
    venue.give("bob", apple=1_000)
    for _ in range(401):
        venue.sell("bob", 1, at=100)
    venue.checking = True
    events = venue.buy("alice", 1_000, at=100, stp=OLDEST)
    assert len(trades(events)) == 400
    assert ends(events)[-1] == (venue.last_order_id, "work_limit")
    assert venue.depth() == ([], [(100, 1)])
