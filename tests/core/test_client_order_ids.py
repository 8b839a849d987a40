import pytest
from tests.core.venue import SECOND, Venue, refusal

from exchange.core.events import OrderAccepted, OrderEnded, OrderKnown
from exchange.core.rejects import RejectReason
from exchange.core.words import OrderType, Side, TimeInForce


@pytest.fixture
def rested(venue: Venue) -> Venue:
    """Alice's order `mine` of 10 at 100 stands in the book."""
    venue.give("alice", apple=1_000)
    venue.give("bob", coin=1_000_000)
    venue.sell("alice", 10, at=100, cid="mine")
    return venue


def known(venue: Venue) -> OrderKnown:
    (event,) = venue.sell("alice", 10, at=100, cid="mine")
    assert isinstance(event, OrderKnown)
    return event


def test_the_same_order_sent_again_answers_with_the_first_and_changes_nothing(rested: Venue) -> None:
    order_id = rested.last_order_id
    again = known(rested)
    assert (again.order_id, again.status, again.size_lots, again.remaining_lots) == (order_id, "open", 10, 10)
    assert rested.depth() == ([], [(100, 10)])
    assert rested.has("alice", "APPLE") == (990, 10)


def test_the_answer_tells_the_orders_present_state(rested: Venue) -> None:
    rested.buy("bob", 4, at=100)
    assert (known(rested).status, known(rested).remaining_lots) == ("open", 6)
    rested.buy("bob", 6, at=100)
    assert (known(rested).status, known(rested).remaining_lots) == ("filled", 0)


def test_a_cancelled_order_answers_with_what_remained(rested: Venue) -> None:
    order_id = rested.last_order_id
    rested.buy("bob", 3, at=100)
    rested.cancel("alice", order_id)
    assert (known(rested).status, known(rested).remaining_lots) == ("cancelled", 7)


def test_an_order_that_never_rested_is_remembered_too(rested: Venue) -> None:
    rested.buy("bob", 15, at=100, cid="sweep", tif=TimeInForce.IOC)
    (event,) = rested.buy("bob", 15, at=100, cid="sweep", tif=TimeInForce.IOC)
    assert isinstance(event, OrderKnown)
    assert (event.status, event.remaining_lots) == ("unfilled", 5)


def test_a_later_expiry_is_the_same_content(rested: Venue) -> None:
    rested.pass_time(5)
    assert known(rested).status == "open"


@pytest.mark.parametrize(
    "changed",
    [
        {"size": 11},
        {"at": 101},
        {"side": Side.BUY},
        {"tif": TimeInForce.POST_ONLY},
        {"kind": OrderType.MARKET, "tif": TimeInForce.IOC},
        {"market": 2},
    ],
)
def test_the_same_id_with_other_content_is_refused(rested: Venue, changed: dict[str, object]) -> None:
    rested.open_market("PEAR", "COIN")
    content: dict[str, object] = {"side": Side.SELL, "size": 10, "at": 100, "cid": "mine"}
    events = rested.order("alice", **{**content, **changed})  # type: ignore[arg-type]
    assert refusal(events) is RejectReason.CLIENT_ORDER_ID_REUSED


def test_an_id_belongs_to_its_account(rested: Venue) -> None:
    events = rested.buy("bob", 1, at=1, cid="mine")
    assert isinstance(events[0], OrderAccepted)


def test_an_id_is_remembered_for_60_s_of_command_time_after_the_end(rested: Venue) -> None:
    order_id = rested.last_order_id
    rested.cancel("alice", order_id)
    rested.pass_time(60)
    assert known(rested).order_id == order_id
    rested.pass_time(0.000_000_001)
    fresh = rested.sell("alice", 10, at=100, cid="mine")
    assert isinstance(fresh[0], OrderAccepted)
    assert fresh[0].order_id == rested.last_order_id != order_id


def test_an_id_may_be_used_for_other_content_once_it_is_forgotten(rested: Venue) -> None:
    rested.cancel("alice", rested.last_order_id)
    rested.pass_time(61)
    assert isinstance(rested.sell("alice", 3, at=300, cid="mine")[0], OrderAccepted)


def test_an_open_order_is_never_forgotten(rested: Venue) -> None:
    rested.pass_time(3600 * 24 * 365)
    assert known(rested).status == "open"
    assert refusal(rested.sell("alice", 1, at=1, cid="mine")) is RejectReason.CLIENT_ORDER_ID_REUSED


def test_forgetting_is_bounded_work_and_catches_up(venue: Venue) -> None:
    venue.give("alice", apple=10)
    venue.checking = False
    for number in range(2_500):
        venue.sell("alice", 1, at=100, cid=f"c{number}", tif=TimeInForce.IOC)
    account = venue.state.accounts[venue.account_id("alice")]
    assert len(account.client_orders) == 2_500
    venue.pass_time(61)
    sizes = []
    for _ in range(4):
        venue.cancel_all("alice")
        sizes.append(len(account.client_orders))
    assert sizes == [1_500, 500, 0, 0]
    assert not venue.state.ended_client_orders
    venue.check()


def test_an_order_without_an_id_is_a_new_order_each_time(venue: Venue) -> None:
    venue.give("alice", apple=10)
    venue.sell("alice", 5, at=100)
    venue.sell("alice", 5, at=100)
    assert venue.depth() == ([], [(100, 10)])


def test_an_expired_replay_is_refused_before_it_is_compared(rested: Venue) -> None:
    events = rested.sell("alice", 10, at=100, cid="mine", expires_ns=rested.time_ns - 1)
    assert refusal(events) is RejectReason.REQUEST_EXPIRED


def test_a_replay_at_the_very_expiry_is_not_placed_twice(rested: Venue) -> None:
    """The longest request there may be, replayed at the last moment at which it is taken."""
    longest_ns = rested.time_ns + 60 * SECOND
    rested.sell("alice", 50, at=100)
    first = rested.buy("bob", 15, at=100, cid="sweep", tif=TimeInForce.IOC, expires_ns=longest_ns)
    longest = rested.log[-1][1]
    rested.pass_time(60)
    again = rested.do(longest)
    placed = [event for event in (*first, *again) if isinstance(event, OrderAccepted)]
    assert len(placed) <= 1


def test_a_fill_that_ends_a_maker_of_another_owner_ends_that_owners_id(rested: Venue) -> None:
    events = rested.buy("bob", 10, at=100, cid="bobs")
    assert [event.reason for event in events if isinstance(event, OrderEnded)] == ["filled", "filled"]
    assert known(rested).status == "filled"
