"""Open orders, depth and last price as the events tell them. Venue compares with the engine at every step."""

import pytest
from tests.core.venue import SECOND, Venue, address

from exchange.core.events import Event
from exchange.core.words import AccountState, MarketState, SelfTradePrevention, Side
from exchange.sequencer.committed import OpenOrder


@pytest.fixture(name="venue")
def opened_venue() -> Venue:
    venue = Venue()
    venue.open_market()
    venue.give("alice", apple=10_000, coin=10_000_000)
    venue.give("bob", apple=10_000, coin=10_000_000)
    return venue


def seen(venue: Venue, order_id: int) -> OpenOrder:
    order = venue.view.open_order(order_id)
    assert order is not None
    return order


def test_an_order_that_awaits_its_trigger_is_open_but_in_no_depth(venue: Venue) -> None:
    venue.trade_at(100)
    venue.buy("alice", 5, at=120, stop=110)
    waiting = seen(venue, venue.last_order_id)
    assert (waiting.awaiting_trigger, waiting.trigger, waiting.trigger_ticks) == (True, "stop", 110)
    assert venue.view.open_orders(waiting.account_id) == [waiting]
    assert venue.view.depth(1, 10) == ([], [])


def test_once_triggered_it_rests_in_the_depth(venue: Venue) -> None:
    venue.trade_at(100)
    venue.buy("alice", 5, at=105, stop=110)
    order_id = venue.last_order_id
    venue.trade_at(110)
    venue.run_due()
    assert not seen(venue, order_id).awaiting_trigger
    assert venue.view.depth(1, 10) == ([(105, 5)], [])


def test_a_triggered_order_that_fills_is_open_no_more(venue: Venue) -> None:
    venue.trade_at(100)
    venue.buy("alice", 5, at=130, stop=110)
    order_id = venue.last_order_id
    venue.sell("bob", 6, at=115)
    venue.trade_at(110)
    venue.run_due()
    assert venue.view.open_order(order_id) is None
    assert venue.view.open_orders(venue.account_id("alice")) == []
    assert venue.view.depth(1, 10) == ([], [(115, 1)])


def test_a_smaller_size_at_the_same_price_shows_in_its_level(venue: Venue) -> None:
    venue.buy("alice", 5, at=100)
    order_id = venue.last_order_id
    venue.amend("alice", order_id, 3, at=100)
    assert (seen(venue, order_id).size_lots, seen(venue, order_id).remaining_lots) == (3, 3)
    assert venue.view.depth(1, 10) == ([(100, 3)], [])


def test_another_price_moves_an_order_to_another_level(venue: Venue) -> None:
    venue.buy("alice", 5, at=100)
    order_id = venue.last_order_id
    venue.amend("alice", order_id, 5, at=101)
    assert seen(venue, order_id).price_ticks == 101
    assert venue.view.depth(1, 10) == ([(101, 5)], [])


def test_an_amended_order_may_trade_and_rest_with_what_is_left(venue: Venue) -> None:
    venue.buy("alice", 5, at=100)
    order_id = venue.last_order_id
    venue.sell("bob", 2, at=103)
    venue.amend("alice", order_id, 6, at=103)
    assert (seen(venue, order_id).size_lots, seen(venue, order_id).remaining_lots) == (6, 4)
    assert venue.view.depth(1, 10) == ([(103, 4)], [])


def test_an_amended_order_may_be_filled_at_once(venue: Venue) -> None:
    venue.buy("alice", 5, at=100)
    order_id = venue.last_order_id
    venue.sell("bob", 5, at=103)
    venue.amend("alice", order_id, 5, at=103)
    assert venue.view.open_order(order_id) is None
    assert venue.view.depth(1, 10) == ([], [])


def test_amending_an_order_that_waits_leaves_it_waiting(venue: Venue) -> None:
    venue.trade_at(100)
    venue.buy("alice", 5, at=120, stop=110)
    order_id = venue.last_order_id
    venue.amend("alice", order_id, 7, at=121)
    order = seen(venue, order_id)
    assert (order.awaiting_trigger, order.size_lots, order.price_ticks) == (True, 7, 121)
    assert venue.view.depth(1, 10) == ([], [])


def test_a_prevented_self_trade_shrinks_the_maker_and_the_depth(venue: Venue) -> None:
    venue.sell("alice", 9, at=100)
    maker_id = venue.last_order_id
    venue.buy("alice", 4, at=100, stp=SelfTradePrevention.DECREMENT)
    assert (seen(venue, maker_id).size_lots, seen(venue, maker_id).remaining_lots) == (5, 5)
    assert venue.view.depth(1, 10) == ([], [(100, 5)])


def test_what_a_new_order_lost_to_its_own_owner_is_no_part_of_its_size(venue: Venue) -> None:
    venue.sell("alice", 4, at=100)
    venue.sell("bob", 3, at=100)
    venue.buy("alice", 10, at=100, stp=SelfTradePrevention.DECREMENT)
    taker = seen(venue, venue.last_order_id)
    assert (taker.size_lots, taker.remaining_lots) == (6, 3)
    venue.buy("bob", 1, at=90)
    assert seen(venue, venue.last_order_id).size_lots == 1, "the next order has lost nothing"


def test_what_an_amended_order_lost_to_its_own_owner_is_no_part_of_its_size(venue: Venue) -> None:
    venue.buy("alice", 10, at=90, stp=SelfTradePrevention.DECREMENT)
    order_id = venue.last_order_id
    venue.sell("alice", 4, at=100)
    venue.amend("alice", order_id, 10, at=100)
    assert (seen(venue, order_id).size_lots, seen(venue, order_id).remaining_lots) == (6, 6)
    assert venue.view.depth(1, 10) == ([(100, 6)], [])


def test_a_good_till_time_order_says_until_when(venue: Venue) -> None:
    till_ns = venue.time_ns + 5 * SECOND
    venue.buy("alice", 5, at=100, till_ns=till_ns)
    order_id = venue.last_order_id
    assert seen(venue, order_id).good_till_ns == till_ns
    venue.pass_time(6)
    venue.run_due()
    assert venue.view.open_order(order_id) is None
    assert venue.view.depth(1, 10) == ([], [])


def test_a_dead_mans_switch_shows_until_it_fires(venue: Venue) -> None:
    account_id = venue.account_id("alice")
    assert venue.view.cancel_all_ns(account_id) == 0
    venue.buy("alice", 5, at=100)
    venue.cancel_all_after("alice", 5)
    assert venue.view.cancel_all_ns(account_id) == venue.time_ns + 5 * SECOND
    venue.pass_time(6)
    venue.run_due()
    assert venue.view.cancel_all_ns(account_id) == 0
    assert venue.view.open_orders(account_id) == []


def test_the_last_price_is_none_until_there_is_a_trade(venue: Venue) -> None:
    assert venue.view.last_ticks(1) is None
    venue.sell("alice", 5, at=101)
    venue.sell("alice", 5, at=103)
    assert venue.view.last_ticks(1) is None
    venue.buy("bob", 7, at=103)
    assert venue.view.last_ticks(1) == 103
    assert venue.view.last_ticks(2) is None


def test_sub_accounts_are_listed_by_number_and_opened_by_transfers(venue: Venue) -> None:
    account_id = venue.account_id("alice")
    third = venue.account_id("alice", 3)
    venue.transfer("alice", "APPLE", 7, to=1)
    first = venue.view.account_id(address("alice"), 1)
    assert venue.view.sub_accounts(address("alice")) == [(0, account_id), (1, first), (3, third)]
    assert venue.view.sub_accounts(address("nobody")) == []
    assert first is not None
    assert venue.view.sub_account(first) == 1
    assert venue.view.balance(first, 1).available_atoms == 7
    assert list(venue.view.balances(first)) == [1]
    venue.transfer("alice", "APPLE", 7, to=0, sub_account=1)
    assert venue.view.balances(first) == {}, "empty ones are left out"


def test_terms_are_seen_as_they_were_set(venue: Venue) -> None:
    account_id = venue.account_id("alice")
    assert venue.view.account_limits(account_id) == (1_000, 1_000)
    venue.set_limits("alice", 20, 10)
    assert venue.view.account_limits(account_id) == (20, 10)
    assert venue.view.account_state(account_id) is AccountState.ACTIVE
    venue.restrict("alice", AccountState.CANCEL_ONLY)
    assert venue.view.account_state(account_id) is AccountState.CANCEL_ONLY
    venue.set_tier("alice", 2)
    assert (venue.view.fee_tier(address("alice")), venue.view.fee_tier(address("bob"))) == (2, 0)
    venue.set_tier("alice", 0)
    assert venue.view.fee_tier(address("alice")) == 0
    assert venue.view.rules_version == venue.state.rules_version == 2


def test_a_market_is_seen_as_it_was_set(venue: Venue) -> None:
    venue.set_fees((-1, 3), (-2, 2))
    venue.set_bands(2_000, 100)
    venue.set_state(MarketState.POST_ONLY)
    market = venue.view.markets[1]
    assert (market.maker_fee_bps, market.taker_fee_bps, market.fee_tiers) == (-1, 3, ((-2, 2),))
    assert (market.price_band_bps, market.market_band_bps, market.state) == (2_000, 100, "post_only")
    assert venue.view.market_by_symbol["APPLE-COIN"] is market


def test_what_a_reader_holds_never_changes(venue: Venue) -> None:
    """A reader may keep what it read across an await: it stays what was true as of the seq it read."""
    venue.sell("alice", 5, at=100)
    order_id = venue.last_order_id
    order, market = seen(venue, order_id), venue.view.markets[1]
    (listed,) = venue.view.open_orders(venue.account_id("alice"))
    venue.buy("bob", 2, at=100)
    venue.amend("alice", order_id, 3, at=100)
    venue.set_state(MarketState.HALTED)
    assert (order.remaining_lots, order.size_lots, listed.remaining_lots) == (5, 5, 5)
    assert market.state is MarketState.OPEN
    assert seen(venue, order_id).remaining_lots == 1
    with pytest.raises(AttributeError):
        order.remaining_lots = 4  # type: ignore[misc]


def test_there_is_a_fold_for_every_event(venue: Venue) -> None:
    assert set(venue.view._folds) == set(Event.__args__)


def test_an_event_that_nobody_thought_of_is_a_bug(venue: Venue) -> None:
    class Novelty:
        pass

    with pytest.raises(KeyError):
        venue.view.advance(venue.view.seq + 1, venue.time_ns, [[Novelty()]])  # type: ignore[list-item]


def test_orders_keep_their_age_when_they_are_amended(venue: Venue) -> None:
    venue.buy("alice", 1, at=99)
    first = venue.last_order_id
    venue.buy("alice", 1, at=98)
    second = venue.last_order_id
    venue.amend("alice", first, 2, at=97)
    listed = venue.view.open_orders(venue.account_id("alice"))
    assert [order.order_id for order in listed] == [first, second], "oldest first"
    assert all(order.side is Side.BUY for order in listed)


def test_the_depth_that_is_watched_tells_at_which_prices_it_changed(venue: Venue) -> None:
    venue.buy("alice", 5, at=90)
    venue.view.watch_depth(1)
    assert venue.view.take_touched(1) == (set(), set())
    nothing = venue.view.take_touched(1)
    venue.buy("alice", 5, at=95)
    order_id = venue.last_order_id
    venue.sell("bob", 7, at=105)
    assert nothing == (set(), set()), "what was taken never changes"
    venue.sell("bob", 2, at=95)
    assert venue.view.take_touched(1) == ({95}, {105})
    venue.amend("alice", order_id, 4, at=92)
    assert venue.view.take_touched(1) == ({92, 95}, set()), "where it was and where it is"
    assert [venue.view.size_at(1, Side.BUY, price) for price in (95, 92, 90)] == [0, 2, 5]
    assert venue.view.size_at(1, Side.SELL, 105) == 7
    venue.view.unwatch_depth(1)
    venue.buy("alice", 5, at=91)
    venue.view.watch_depth(1)
    assert venue.view.take_touched(1) == (set(), set())


def test_the_whole_depth_can_be_read(venue: Venue) -> None:
    for price in range(50, 99):
        venue.buy("alice", 1, at=price)
    bids, asks = venue.view.depth(1, None)
    assert (bids, asks) == ([(price, 1) for price in range(98, 49, -1)], [])
