import pytest
from tests.core.venue import Venue, ends, refusal

from exchange.core.accounts import CHAIN_ACCOUNT
from exchange.core.commands import CancelAll, CancelClientOrder, CancelOrder
from exchange.core.events import AllCancelled, OrderAccepted, OrderEnded
from exchange.core.rejects import RejectReason
from exchange.core.words import MarketState, Side, TimeInForce


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


# ---- by the client's own id


@pytest.fixture
def named(busy: Venue) -> Venue:
    """Alice's `mine` in market 1 and `other` in market 2; Bob has a `mine` too."""
    busy.give("alice", apple=100, pear=100)
    busy.give("bob", coin=10_000)
    busy.sell("alice", 7, at=110, cid="mine")
    busy.sell("alice", 8, at=60, market=2, cid="other")
    busy.buy("bob", 3, at=80, cid="mine")
    return busy


def named_id(venue: Venue, cid: str, name: str = "alice") -> int:
    return venue.state.accounts[venue.account_id(name)].client_orders[cid].order_id


def test_an_order_is_cancelled_by_its_client_order_id_as_by_its_own(named: Venue) -> None:
    order_id = named_id(named, "mine")
    (event,) = named.cancel_by_client("alice", "mine")
    assert isinstance(event, OrderEnded)
    assert (event.order_id, event.reason, event.remaining_lots, event.was_resting) == (
        order_id, "cancelled", 7, True,
    )  # fmt: skip
    assert event.released_atoms == 7
    assert named.depth() == ([(90, 5), (80, 3)], [(100, 10), (101, 20)]), "Bob's of the same id stays"


def test_an_order_that_awaits_its_trigger_is_cancelled_by_its_client_order_id(named: Venue) -> None:
    named.sell("alice", 1, at=50, cid="stop", stop=55, market=2)
    assert ends(named.cancel_by_client("alice", "stop")) == [(named.last_order_id - 1, "cancelled")]


@pytest.mark.parametrize("cid", ["nobody's", "", "MINE", "x" * 1_000])
def test_an_id_that_no_order_has_is_unknown(named: Venue, cid: str) -> None:
    assert refusal(named.cancel_by_client("alice", cid)) is RejectReason.UNKNOWN_ORDER


def test_somebody_elses_client_order_id_is_unknown(named: Venue) -> None:
    assert refusal(named.cancel_by_client("bob", "other")) is RejectReason.UNKNOWN_ORDER
    named.transfer("alice", "APPLE", 1, to=1)
    assert refusal(named.cancel_by_client("alice", "mine", sub_account=1)) is RejectReason.UNKNOWN_ORDER


def test_an_order_is_cancelled_once_by_whichever_id(named: Venue) -> None:
    order_id = named_id(named, "mine")
    named.cancel_by_client("alice", "mine")
    assert refusal(named.cancel_by_client("alice", "mine")) is RejectReason.UNKNOWN_ORDER
    assert refusal(named.cancel("alice", order_id)) is RejectReason.UNKNOWN_ORDER
    named.cancel("alice", named_id(named, "other"))
    assert refusal(named.cancel_by_client("alice", "other")) is RejectReason.UNKNOWN_ORDER


def test_an_order_that_was_filled_is_unknown_while_it_is_remembered_and_after(named: Venue) -> None:
    named.buy("bob", 1, at=100, cid="swift", tif=TimeInForce.IOC)
    assert refusal(named.cancel_by_client("bob", "swift")) is RejectReason.UNKNOWN_ORDER
    named.pass_time(61)
    named.tick()
    assert "swift" not in named.state.accounts[named.account_id("bob")].client_orders
    assert refusal(named.cancel_by_client("bob", "swift")) is RejectReason.UNKNOWN_ORDER


def test_of_an_id_used_again_the_open_order_is_cancelled(named: Venue) -> None:
    named.cancel_by_client("alice", "mine")
    named.pass_time(61)
    named.sell("alice", 2, at=120, cid="mine")
    again_id = named.last_order_id
    assert ends(named.cancel_by_client("alice", "mine")) == [(again_id, "cancelled")]


def test_cancelling_by_client_order_id_for_nobody_or_for_the_system_is_refused(named: Venue) -> None:
    for account_id in (5_000, CHAIN_ACCOUNT):
        command = CancelClientOrder(account_id, "mine")
        assert refusal(named.do(command)) is RejectReason.UNKNOWN_ACCOUNT


def test_in_a_market_that_the_sender_may_not_touch_it_is_unknown(named: Venue) -> None:
    for only in ((2,), (9,), (0, -1, 2**70)):
        assert refusal(named.cancel_by_client("alice", "mine", only)) is RejectReason.UNKNOWN_ORDER
    assert len(ends(named.cancel_by_client("alice", "mine", (2, 1)))) == 1


def test_in_a_halted_market_it_stays_and_is_not_told_of_to_who_may_not_touch_it(named: Venue) -> None:
    named.set_state(MarketState.HALTED)
    assert refusal(named.cancel_by_client("alice", "mine", (2,))) is RejectReason.UNKNOWN_ORDER
    assert refusal(named.cancel_by_client("alice", "mine")) is RejectReason.MARKET_HALTED
    named.set_state(MarketState.CANCEL_ONLY)
    assert len(ends(named.cancel_by_client("alice", "mine"))) == 1


def test_a_cancel_by_client_order_id_does_not_take_the_id_for_an_order_that_comes_later(named: Venue) -> None:
    assert refusal(named.cancel_by_client("alice", "later")) is RejectReason.UNKNOWN_ORDER
    assert isinstance(named.sell("alice", 1, at=130, cid="later")[0], OrderAccepted)
