import pytest
from tests.core.venue import Venue, ends, refusal

from exchange.core.accounts import CHAIN_ACCOUNT
from exchange.core.commands import CancelAll, CancelOrder
from exchange.core.events import AllCancelled, OrderEnded
from exchange.core.rejects import RejectReason
from exchange.core.words import Side


@pytest.fixture
def busy(venue: Venue) -> Venue:
    """Alice has orders 100 and 101 in market 1 and one in market 2; Bob has a bid."""
    venue.open_market("PEAR", "COIN")
    venue.give("alice", apple=100, pear=100)
    venue.give("bob", coin=10_000)
    venue.sell("alice", 10, at=100)
    venue.sell("alice", 20, at=101)
    venue.sell("alice", 30, at=50, market=2)
    venue.buy("bob", 5, at=90)
    return venue


def test_a_cancelled_order_leaves_the_book_and_holds_nothing(busy: Venue) -> None:
    bid = busy.last_order_id
    (event,) = busy.cancel("bob", bid)
    assert isinstance(event, OrderEnded)
    assert (event.reason, event.remaining_lots, event.released_atoms) == ("cancelled", 5, 450)
    assert event.was_resting
    assert busy.depth() == ([], [(100, 10), (101, 20)])
    assert busy.has("bob", "COIN") == (10_000, 0)


def test_a_partly_filled_order_releases_what_is_left_of_its_hold() -> None:
    venue = Venue()
    venue.open_market(maker_fee_bps=7, taker_fee_bps=31)
    venue.give("alice", apple=100)
    venue.give("bob", coin=10_000)
    venue.buy("bob", 50, at=100)
    bid = venue.last_order_id
    venue.sell("alice", 13, at=100)
    venue.cancel("bob", bid)
    assert venue.has("bob", "COIN") == (10_000 - 1_300 - 1, 0)


def test_somebody_elses_order_is_unknown(busy: Venue) -> None:
    assert refusal(busy.cancel("alice", busy.last_order_id)) is RejectReason.UNKNOWN_ORDER


def test_an_order_is_cancelled_once(busy: Venue) -> None:
    bid = busy.last_order_id
    busy.cancel("bob", bid)
    assert refusal(busy.cancel("bob", bid)) is RejectReason.UNKNOWN_ORDER
    for never in (0, -1, 10**30):
        assert refusal(busy.cancel("bob", never)) is RejectReason.UNKNOWN_ORDER


def test_cancelling_for_nobody_or_for_the_system_is_refused(busy: Venue) -> None:
    for account_id in (5_000, CHAIN_ACCOUNT):
        assert refusal(busy.do(CancelOrder(account_id, 1))) is RejectReason.UNKNOWN_ACCOUNT
        assert refusal(busy.do(CancelAll(account_id, None))) is RejectReason.UNKNOWN_ACCOUNT


def test_cancel_all_of_one_market_leaves_the_others(busy: Venue) -> None:
    events = busy.cancel_all("alice", market=1)
    assert len(ends(events)) == 2
    assert events[-1] == AllCancelled(busy.account_id("alice"), 1, 2)
    assert busy.depth(1) == ([(90, 5)], [])
    assert busy.depth(2) == ([], [(50, 30)])


def test_cancel_all_ends_the_orders_of_every_market_oldest_first(busy: Venue) -> None:
    events = busy.cancel_all("alice")
    order_ids = [order_id for order_id, _ in ends(events)]
    assert order_ids == sorted(order_ids)
    assert len(order_ids) == 3
    assert events[-1] == AllCancelled(busy.account_id("alice"), None, 3)
    assert busy.has("alice", "APPLE") == (100, 0)
    assert busy.has("alice", "PEAR") == (100, 0)
    assert busy.depth(1) == ([(90, 5)], []), "Bob's bid stays"


def test_cancel_all_of_nothing_is_no_refusal(busy: Venue) -> None:
    busy.cancel_all("alice")
    assert busy.cancel_all("alice") == [AllCancelled(busy.account_id("alice"), None, 0)]


def test_cancel_all_of_an_unknown_market_is_refused(busy: Venue) -> None:
    assert refusal(busy.cancel_all("alice", market=3)) is RejectReason.UNKNOWN_MARKET


@pytest.mark.parametrize("market", [0, -1, 3, 2**64])
def test_a_market_that_is_not_there_is_unknown_whatever_its_number(busy: Venue, market: int) -> None:
    assert refusal(busy.cancel_all("alice", market=market)) is RejectReason.UNKNOWN_MARKET


@pytest.fixture
def both_sides(busy: Venue) -> Venue:
    """Alice has bids too: one in each market."""
    busy.give("alice", coin=1_000)
    busy.buy("alice", 1, at=80)
    busy.buy("alice", 1, at=40, market=2)
    return busy


def test_cancel_all_of_one_side_leaves_the_other(both_sides: Venue) -> None:
    events = both_sides.cancel_all("alice", side=Side.SELL)
    assert events[-1] == AllCancelled(both_sides.account_id("alice"), None, 3, Side.SELL)
    assert both_sides.depth(1) == ([(90, 5), (80, 1)], [])
    assert both_sides.depth(2) == ([(40, 1)], [])


def test_cancel_all_of_one_side_of_one_market(both_sides: Venue) -> None:
    events = both_sides.cancel_all("alice", market=2, side=Side.BUY)
    assert events[-1] == AllCancelled(both_sides.account_id("alice"), 2, 1, Side.BUY)
    assert both_sides.depth(1) == ([(90, 5), (80, 1)], [(100, 10), (101, 20)])
    assert both_sides.depth(2) == ([], [(50, 30)])


def test_cancel_all_goes_by_age_across_markets_and_sides(both_sides: Venue) -> None:
    ids = [order_id for order_id, _ in ends(both_sides.cancel_all("alice"))]
    assert ids == sorted(ids)
    markets = [event.market_id for event in both_sides.log[-1][2] if isinstance(event, OrderEnded)]
    assert markets == [1, 1, 2, 1, 2]


def test_cancel_all_is_the_accounts_own(busy: Venue) -> None:
    busy.transfer("alice", "APPLE", 10, to=1)
    busy.sell("alice", 10, at=102, sub_account=1)
    busy.cancel_all("alice")
    assert busy.depth(1) == ([(90, 5)], [(102, 10)])
