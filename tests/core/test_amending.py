import pytest
from tests.core.venue import SECOND, Venue, ends, fills, refusal, trades

from exchange.core.accounts import FEES_ACCOUNT
from exchange.core.commands import AmendOrder
from exchange.core.events import Event, OrderAmended, OrderEnded, OrderKnown, OrderRested
from exchange.core.rejects import RejectReason
from exchange.core.units import MAX_ATOMS, MAX_PRICE_TICKS, MAX_SIZE_LOTS
from exchange.core.words import Side, TimeInForce


@pytest.fixture
def queued(fair: Venue) -> Venue:
    """At 100: Alice's 10, `mine`, then Ann's 10."""
    fair.sell("alice", 10, at=100, cid="mine")
    fair.sell("ann", 10, at=100)
    return fair


def mine(venue: Venue) -> int:
    return venue.state.accounts[venue.account_id("alice")].client_orders["mine"].order_id


def amended(events: list[Event]) -> OrderAmended:
    event = events[0]
    assert isinstance(event, OrderAmended)
    return event


# ---- what keeps its place


def test_a_smaller_size_keeps_its_place_and_releases_the_difference(queued: Venue) -> None:
    (event,) = queued.amend("alice", mine(queued), 4, at=100)
    assert event == OrderAmended(
        order_id=mine(queued),
        account_id=queued.account_id("alice"),
        market_id=1,
        side=Side.SELL,
        price_ticks=100,
        size_lots=4,
        remaining_lots=4,
        hold_asset_id=queued.asset_id("APPLE"),
        hold_change_atoms=-6,
        kept_priority=True,
    )
    assert queued.has("alice", "APPLE") == (9_996, 4)
    assert queued.queue(100) == [(mine(queued), 4), (mine(queued) + 1, 10)]


def test_the_same_price_and_size_change_nothing_and_keep_the_place(queued: Venue) -> None:
    (event,) = queued.amend("alice", mine(queued), 10, at=100)
    assert amended([event]).kept_priority
    assert amended([event]).hold_change_atoms == 0
    assert queued.queue(100)[0] == (mine(queued), 10)


def test_a_larger_size_goes_to_the_end_of_its_queue(queued: Venue) -> None:
    event, rested = queued.amend("alice", mine(queued), 11, at=100)
    assert (amended([event]).kept_priority, amended([event]).hold_change_atoms) == (False, 1)
    assert isinstance(rested, OrderRested)
    assert queued.queue(100) == [(mine(queued) + 1, 10), (mine(queued), 11)]
    (trade,) = fills(queued.buy("bob", 1, at=100))
    assert trade.maker_order_id == mine(queued) + 1


def test_another_price_is_the_end_of_that_prices_queue(queued: Venue) -> None:
    queued.sell("ann", 1, at=101)
    other = queued.last_order_id
    queued.amend("alice", mine(queued), 5, at=101)
    assert queued.queue(100) == [(mine(queued) + 1, 10)]
    assert queued.queue(101) == [(other, 1), (mine(queued), 5)]


def test_there_and_back_is_the_end_of_the_queue(queued: Venue) -> None:
    queued.amend("alice", mine(queued), 10, at=101)
    queued.amend("alice", mine(queued), 10, at=100)
    assert queued.queue(100) == [(mine(queued) + 1, 10), (mine(queued), 10)]


def test_an_amended_order_keeps_its_id_and_its_client_order_id(queued: Venue) -> None:
    queued.amend("alice", mine(queued), 25, at=105)
    (known,) = queued.sell("alice", 10, at=100, cid="mine")
    assert isinstance(known, OrderKnown)
    assert (known.order_id, known.status, known.size_lots, known.remaining_lots) == (
        mine(queued), "open", 25, 25
    )  # fmt: skip


# ---- sizes count what is filled


def test_the_size_counts_what_is_filled_already(queued: Venue) -> None:
    queued.buy("bob", 4, at=100)
    event = amended(queued.amend("alice", mine(queued), 7, at=100))
    assert (event.size_lots, event.remaining_lots, event.hold_change_atoms) == (7, 3, -3)
    assert event.kept_priority
    assert queued.has("alice", "APPLE") == (9_993, 3)


@pytest.mark.parametrize("size", [1, 3, 4])
def test_nothing_would_remain_is_refused(queued: Venue, size: int) -> None:
    queued.buy("bob", 4, at=100)
    assert refusal(queued.amend("alice", mine(queued), size, at=100)) is RejectReason.AMEND_BELOW_FILLED
    assert queued.open(mine(queued)).remaining_lots == 6


def test_a_partly_filled_order_made_larger_has_the_filled_part_behind_it(queued: Venue) -> None:
    queued.buy("bob", 4, at=100)
    event = amended(queued.amend("alice", mine(queued), 30, at=100))
    assert (event.remaining_lots, event.hold_change_atoms) == (26, 20)
    queued.buy("ben", 36, at=100)
    assert not queued.state.orders
    (known,) = queued.sell("alice", 10, at=100, cid="mine")
    assert known.size_lots == 30  # type: ignore[union-attr]


# ---- what is held


def test_a_buys_hold_follows_price_size_and_fees() -> None:
    venue = Venue()
    venue.open_market(maker_fee_bps=0, taker_fee_bps=100)
    venue.give("bob", coin=2_020)
    venue.buy("bob", 10, at=100)
    bid = venue.last_order_id
    assert venue.has("bob", "COIN") == (1_010, 1_010)
    event = amended(venue.amend("bob", bid, 10, at=90))
    assert event.hold_change_atoms == 909 - 1_010
    event = amended(venue.amend("bob", bid, 20, at=100))
    assert event.hold_change_atoms == 2_020 - 909
    assert venue.has("bob", "COIN") == (0, 2_020)
    too_much = venue.amend("bob", bid, 20, at=101)
    assert refusal(too_much) is RejectReason.INSUFFICIENT_FUNDS
    assert venue.has("bob", "COIN") == (0, 2_020)
    assert (venue.open(bid).price_ticks, venue.open(bid).size_lots) == (100, 20), "as it was"


def test_more_is_held_only_if_it_is_available(queued: Venue) -> None:
    assert refusal(queued.amend("alice", mine(queued), 10_001, at=100)) is RejectReason.INSUFFICIENT_FUNDS
    assert amended(queued.amend("alice", mine(queued), 10_000, at=100)).hold_change_atoms == 9_990
    assert queued.has("alice", "APPLE") == (0, 10_000)


def test_an_amended_order_keeps_the_rates_it_was_accepted_at() -> None:
    venue = Venue()
    venue.open_market(maker_fee_bps=10, taker_fee_bps=100)
    venue.give("bob", coin=100_000)
    venue.give("alice", apple=1_000)
    venue.buy("bob", 100, at=100)
    bid = venue.last_order_id
    venue.set_fees((500, 600))
    venue.sell("alice", 50, at=110)
    venue.amend("bob", bid, 150, at=110)
    assert venue.fees() == 55 + 275, "Bob takes at 1 %, Alice makes at 5 %"


def test_fees_stay_exact_over_fills_as_taker_and_as_maker() -> None:
    """The checks after every command compare each order's fees with the exact sum over all its fills."""
    venue = Venue()
    venue.open_market(maker_fee_bps=-7, taker_fee_bps=31)
    venue.give("bob", coin=100_000)
    venue.give("alice", apple=1_000)
    venue.buy("bob", 10, at=99)
    bid = venue.last_order_id
    for size in (1, 2, 1):
        venue.sell("alice", size, at=99)
    venue.sell("alice", 3, at=101)
    venue.amend("bob", bid, 30, at=101)
    for size in (1, 4, 1, 7):
        venue.sell("alice", size, at=100)
    venue.amend("bob", bid, 21, at=101)
    venue.cancel("bob", bid)
    assert venue.has("bob", "COIN")[1] == 0


# ---- trading at once


def test_an_order_amended_through_the_market_trades_as_taker_then_rests(queued: Venue) -> None:
    queued.buy("bob", 5, at=90)
    bid = queued.last_order_id
    events = queued.amend("bob", bid, 25, at=100)
    assert trades(events) == [(100, 10), (100, 10)]
    assert [trade.taker_order_id for trade in fills(events)] == [bid, bid]
    assert isinstance(events[-1], OrderRested)
    assert queued.depth() == ([(100, 5)], [])
    assert queued.open(bid).size_lots == 25


def test_an_order_amended_through_the_market_can_be_filled_whole(queued: Venue) -> None:
    queued.buy("bob", 5, at=90)
    bid = queued.last_order_id
    events = queued.amend("bob", bid, 5, at=120)
    assert trades(events) == [(100, 5)]
    assert ends(events) == [(bid, "filled")]
    (last,) = [event for event in events if isinstance(event, OrderEnded)]
    assert not last.was_resting
    assert queued.has("bob", "COIN") == (999_500, 0), "the improvement was released"


def test_an_amended_order_that_meets_its_owner_ends(queued: Venue) -> None:
    queued.buy("alice", 5, at=90)
    bid = queued.last_order_id
    assert ends(queued.amend("alice", bid, 5, at=100)) == [(bid, "self_trade")]
    assert queued.has("alice", "COIN") == (1_000_000, 0)


def test_a_post_only_order_is_not_amended_through_the_market(queued: Venue) -> None:
    queued.buy("bob", 5, at=90, tif=TimeInForce.POST_ONLY)
    bid = queued.last_order_id
    assert refusal(queued.amend("bob", bid, 5, at=100)) is RejectReason.POST_ONLY_WOULD_CROSS
    assert queued.has("bob", "COIN") == (999_550, 450)
    assert queued.depth()[0] == [(90, 5)]
    queued.amend("bob", bid, 5, at=99)
    assert queued.depth()[0] == [(99, 5)]


def test_an_amendment_that_trades_meets_triggers(queued: Venue) -> None:
    queued.buy("ben", 1, at=50, stop=100)
    queued.buy("bob", 5, at=90)
    queued.amend("bob", queued.last_order_id, 5, at=100)
    assert len(queued.run_due()) == 3


# ---- refusals


def test_only_ones_own_open_orders_are_amended(queued: Venue) -> None:
    assert refusal(queued.amend("ann", mine(queued), 5, at=100)) is RejectReason.UNKNOWN_ORDER
    for never in (0, -1, 2**63, 2**128, 10**30):
        assert refusal(queued.amend("alice", never, 5, at=100)) is RejectReason.UNKNOWN_ORDER
    queued.transfer("alice", "APPLE", 5, to=1)
    from_sub_account = queued.amend("alice", mine(queued), 5, at=100, sub_account=1)
    assert refusal(from_sub_account) is RejectReason.UNKNOWN_ORDER
    order_id = mine(queued)
    queued.cancel("alice", order_id)
    assert refusal(queued.amend("alice", order_id, 5, at=100)) is RejectReason.UNKNOWN_ORDER


def test_amending_for_nobody_or_for_the_system_is_refused(queued: Venue) -> None:
    for account_id in (0, -1, 5_000, FEES_ACCOUNT, 2**64):
        events = queued.do(AmendOrder(account_id, mine(queued), 100, 5, queued.time_ns))
        assert refusal(events) is RejectReason.UNKNOWN_ACCOUNT


def test_an_amendment_lives_no_longer_than_an_order_request(queued: Venue) -> None:
    for expires_ns, reason in (
        (queued.time_ns - 1, RejectReason.REQUEST_EXPIRED),
        (queued.time_ns + 60 * SECOND + 1, RejectReason.REQUEST_EXPIRY_TOO_FAR),
    ):
        events = queued.amend("alice", mine(queued), 5, at=100, expires_ns=expires_ns)
        assert refusal(events) is reason
    for expires_ns in (queued.time_ns, queued.time_ns + 60 * SECOND):
        assert amended(queued.amend("alice", mine(queued), 5, at=100, expires_ns=expires_ns))


@pytest.mark.parametrize("price", [0, -1, MAX_PRICE_TICKS + 1, 2**64, 2**127, 2**128, 2**200])
def test_a_price_out_of_range_is_refused(queued: Venue, price: int) -> None:
    assert refusal(queued.amend("alice", mine(queued), 5, at=price)) is RejectReason.PRICE_OUT_OF_RANGE


@pytest.mark.parametrize("size", [0, -1, MAX_SIZE_LOTS + 1, 2**64, 2**127, 2**128, 2**200])
def test_a_size_out_of_range_is_refused(queued: Venue, size: int) -> None:
    assert refusal(queued.amend("alice", mine(queued), size, at=100)) is RejectReason.SIZE_OUT_OF_RANGE


def test_the_farthest_price_is_taken(queued: Venue) -> None:
    queued.amend("alice", mine(queued), 10, at=MAX_PRICE_TICKS)
    assert queued.depth()[1][-1] == (MAX_PRICE_TICKS, 10)


def test_numbers_beyond_128_bits_are_refused_and_the_largest_are_exact() -> None:
    venue = Venue()
    venue.open_market(lot_atoms=2**66)
    venue.give("bob", coin=MAX_ATOMS)
    venue.buy("bob", 1, at=1)
    bid = venue.last_order_id
    for size, price in ((2**62, 1), (1, 2**62), (2**31, 2**31), (MAX_SIZE_LOTS, MAX_PRICE_TICKS)):
        assert refusal(venue.amend("bob", bid, size, at=price)) is RejectReason.AMOUNT_TOO_LARGE
    venue.amend("bob", bid, 2**62 - 1, at=1)
    assert venue.has("bob", "COIN") == (MAX_ATOMS - (2**62 - 1) * 2**66, (2**62 - 1) * 2**66)
    venue.amend("bob", bid, 1, at=2**62 - 1)
    assert venue.has("bob", "COIN")[1] == (2**62 - 1) * 2**66


def test_a_refused_amendment_changes_nothing(queued: Venue) -> None:
    before = (queued.queue(100), queued.has("alice", "APPLE"))
    queued.amend("alice", mine(queued), 10_001, at=100)
    queued.amend("alice", mine(queued), 5, at=0)
    queued.amend("alice", mine(queued), MAX_SIZE_LOTS, at=MAX_PRICE_TICKS)
    assert (queued.queue(100), queued.has("alice", "APPLE")) == before


def test_amending_does_not_count_against_the_open_order_limits(queued: Venue) -> None:
    queued.set_limits("alice", 1, 1)
    queued.amend("alice", mine(queued), 20, at=101)
    assert queued.queue(101) == [(mine(queued), 20)]


def test_an_amended_order_that_does_too_much_work_ends(venue: Venue) -> None:
    venue.checking = False
    for name in ("alice", "ann"):
        venue.give(name, apple=1_000)
    venue.give("bob", coin=1_000_000)
    venue.buy("bob", 1_001, at=50)
    bid = venue.last_order_id
    for number in range(1_001):
        venue.sell("alice" if number % 2 else "ann", 1, at=100)
    venue.checking = True
    events = venue.amend("bob", bid, 1_001, at=100)
    assert len(trades(events)) == 1_000
    assert ends(events)[-1] == (bid, "work_limit")
    assert venue.has("bob", "COIN") == (900_000, 0)
