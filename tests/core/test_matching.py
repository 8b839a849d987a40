import pytest
from tests.core.venue import Venue, ends, fills, refusal, trades

from exchange.core.events import OrderAccepted, OrderEnded, OrderRested, Trade
from exchange.core.matching import MAX_WORK
from exchange.core.rejects import RejectReason
from exchange.core.words import OrderType, TimeInForce


@pytest.fixture
def two(venue: Venue) -> Venue:
    """Alice and Ann have apples, Bob and Ben have coins."""
    for seller in ("alice", "ann"):
        venue.give(seller, apple=1_000)
    for buyer in ("bob", "ben"):
        venue.give(buyer, coin=1_000_000)
    return venue


def test_an_order_that_meets_nothing_rests_at_its_price(two: Venue) -> None:
    accepted, rested = two.sell("alice", 10, at=100)
    assert isinstance(accepted, OrderAccepted)
    assert isinstance(rested, OrderRested)
    assert (accepted.order_id, rested.order_id) == (two.state.seq, two.state.seq)
    assert (accepted.hold_atoms, rested.remaining_lots) == (10, 10)
    assert two.depth() == ([], [(100, 10)])
    assert two.has("alice", "APPLE") == (990, 10)


def test_the_best_price_trades_first_and_the_trade_is_at_the_makers_price(two: Venue) -> None:
    two.sell("alice", 5, at=102)
    two.sell("ann", 5, at=100)
    two.sell("alice", 5, at=101)
    assert trades(two.buy("bob", 12, at=102)) == [(100, 5), (101, 5), (102, 2)]
    two.buy("bob", 5, at=90)
    two.buy("ben", 5, at=92)
    two.buy("bob", 5, at=91)
    assert trades(two.sell("ann", 12, at=90)) == [(92, 5), (91, 5), (90, 2)]


def test_at_one_price_the_oldest_order_trades_first(two: Venue) -> None:
    two.sell("alice", 5, at=100)
    first = two.last_order_id
    two.sell("ann", 5, at=100)
    second = two.last_order_id
    makers = [trade.maker_order_id for trade in fills(two.buy("bob", 6, at=100))]
    assert makers == [first, second]


def test_a_partly_filled_maker_keeps_its_turn(two: Venue) -> None:
    two.sell("alice", 5, at=100)
    first = two.last_order_id
    two.sell("ann", 5, at=100)
    two.buy("bob", 2, at=100)
    (trade,) = fills(two.buy("ben", 1, at=100))
    assert trade.maker_order_id == first
    assert trade.maker_remaining_lots == 2


def test_a_price_improvement_is_available_again_at_the_fill(two: Venue) -> None:
    two.sell("alice", 4, at=90)
    (trade,) = fills(two.buy("bob", 10, at=100))
    assert trade.buyer_released_atoms == 40
    assert two.has("bob", "COIN") == (1_000_000 - 4 * 90 - 6 * 100, 600)
    assert two.depth() == ([(100, 6)], [])


def test_a_seller_gets_the_better_price_whole(two: Venue) -> None:
    two.buy("bob", 4, at=110)
    (trade,) = fills(two.sell("alice", 4, at=100))
    assert (trade.price_ticks, trade.quote_atoms, trade.buyer_released_atoms) == (110, 440, 0)
    assert two.has("alice", "COIN") == (440, 0)


def test_events_tell_the_whole_story_in_order(two: Venue) -> None:
    two.sell("alice", 5, at=100)
    maker = two.last_order_id
    events = two.buy("bob", 8, at=100)
    taker = two.last_order_id
    assert [type(event) for event in events] == [OrderAccepted, Trade, OrderEnded, OrderRested]
    assert ends(events) == [(maker, "filled")]
    trade = fills(events)[0]
    assert (trade.taker_order_id, trade.taker_remaining_lots, trade.maker_remaining_lots) == (taker, 3, 0)
    assert (trade.base_atoms, trade.quote_atoms) == (5, 500)


def test_trade_ids_run_without_gaps_over_all_markets(two: Venue) -> None:
    two.open_market("PEAR", "COIN")
    two.give("alice", pear=10)
    ids = []
    for market in (1, 2, 1):
        two.sell("alice", 2, at=100, market=market)
        ids += [trade.trade_id for trade in fills(two.buy("bob", 2, at=100, market=market))]
    assert ids == [1, 2, 3]


def test_markets_do_not_see_each_others_orders(two: Venue) -> None:
    two.open_market("PEAR", "COIN")
    two.sell("alice", 5, at=100)
    assert trades(two.buy("bob", 5, at=100, market=2)) == []


def test_immediate_or_cancel_takes_what_is_there_and_ends(two: Venue) -> None:
    two.sell("alice", 5, at=100)
    events = two.buy("bob", 8, at=100, tif=TimeInForce.IOC)
    assert trades(events) == [(100, 5)]
    assert ends(events)[-1] == (two.last_order_id, "unfilled")
    assert two.depth() == ([], [])
    assert two.has("bob", "COIN") == (999_500, 0)


def test_immediate_or_cancel_against_an_empty_book_ends_with_everything_released(two: Venue) -> None:
    events = two.buy("bob", 8, at=100, tif=TimeInForce.IOC)
    assert [type(event) for event in events] == [OrderAccepted, OrderEnded]
    assert events[1].released_atoms == 800  # type: ignore[union-attr]
    assert two.has("bob", "COIN") == (1_000_000, 0)


def test_fill_or_kill_fills_whole_or_changes_nothing(two: Venue) -> None:
    two.sell("alice", 5, at=100)
    two.sell("ann", 5, at=101)
    too_much = two.buy("bob", 11, at=101, tif=TimeInForce.FOK)
    assert refusal(too_much) is RejectReason.FILL_OR_KILL_UNFILLABLE
    too_cheap = two.buy("bob", 6, at=100, tif=TimeInForce.FOK)
    assert refusal(too_cheap) is RejectReason.FILL_OR_KILL_UNFILLABLE
    assert two.depth() == ([], [(100, 5), (101, 5)])
    assert trades(two.buy("bob", 10, at=101, tif=TimeInForce.FOK)) == [(100, 5), (101, 5)]


def test_fill_or_kill_does_not_count_ones_own_liquidity(two: Venue) -> None:
    two.give("alice", coin=10_000)
    two.sell("ann", 5, at=100)
    two.sell("alice", 5, at=101)
    two.sell("ann", 5, at=102)
    assert refusal(two.buy("alice", 6, at=102, tif=TimeInForce.FOK)) is RejectReason.FILL_OR_KILL_UNFILLABLE
    assert trades(two.buy("alice", 5, at=102, tif=TimeInForce.FOK)) == [(100, 5)]


def test_post_only_order_that_would_cross_is_rejected(two: Venue) -> None:
    two.sell("alice", 5, at=100)
    crossing = two.buy("bob", 1, at=100, tif=TimeInForce.POST_ONLY)
    assert refusal(crossing) is RejectReason.POST_ONLY_WOULD_CROSS
    assert isinstance(two.buy("bob", 1, at=99, tif=TimeInForce.POST_ONLY)[-1], OrderRested)
    assert refusal(two.sell("ann", 1, at=99, tif=TimeInForce.POST_ONLY)) is RejectReason.POST_ONLY_WOULD_CROSS


def test_a_market_order_stops_at_its_worst_price_and_never_rests(two: Venue) -> None:
    two.sell("alice", 5, at=100)
    two.sell("ann", 5, at=110)
    events = two.buy("bob", 10, at=105, kind=OrderType.MARKET, tif=TimeInForce.IOC)
    assert trades(events) == [(100, 5)]
    assert ends(events)[-1] == (two.last_order_id, "unfilled")
    assert two.depth() == ([], [(110, 5)])
    assert two.has("bob", "COIN") == (999_500, 0)


@pytest.mark.parametrize("tif", [TimeInForce.GTC, TimeInForce.POST_ONLY])
def test_a_market_order_that_may_rest_is_refused(two: Venue, tif: TimeInForce) -> None:
    events = two.buy("bob", 1, at=100, kind=OrderType.MARKET, tif=tif)
    assert refusal(events) is RejectReason.INVALID_COMBINATION


def test_a_market_order_may_be_fill_or_kill(two: Venue) -> None:
    two.sell("alice", 5, at=100)
    whole = {"kind": OrderType.MARKET, "tif": TimeInForce.FOK}
    assert refusal(two.buy("bob", 6, at=100, **whole)) is RejectReason.FILL_OR_KILL_UNFILLABLE
    assert trades(two.buy("bob", 5, at=100, **whole)) == [(100, 5)]


def test_an_order_that_meets_its_own_owner_ends_and_the_resting_one_stays(two: Venue) -> None:
    two.give("alice", coin=10_000)
    two.sell("ann", 5, at=100)
    two.sell("alice", 5, at=101)
    events = two.buy("alice", 20, at=102)
    assert trades(events) == [(100, 5)]
    assert ends(events)[-1] == (two.last_order_id, "self_trade")
    assert two.depth() == ([], [(101, 5)])
    assert two.has("alice", "COIN") == (9_500, 0)


def test_sub_accounts_of_one_owner_do_not_trade_with_each_other(two: Venue) -> None:
    sub = two.account_id("alice", sub_account=7)
    assert sub != two.account_id("alice")
    two.give("alice", coin=1_000)
    two.transfer("alice", "COIN", 1_000, to=7)
    two.sell("alice", 5, at=100)
    events = two.buy("alice", 5, at=100, sub_account=7)
    assert (trades(events), ends(events)) == ([], [(two.last_order_id, "self_trade")])
    assert two.has("alice", "COIN", sub_account=7) == (1_000, 0)


def test_fill_or_kill_does_not_count_the_liquidity_of_the_owners_other_accounts(two: Venue) -> None:
    two.give("alice", coin=1_000)
    two.transfer("alice", "COIN", 1_000, to=7)
    two.sell("alice", 5, at=100)
    events = two.buy("alice", 5, at=100, sub_account=7, tif=TimeInForce.FOK)
    assert refusal(events) is RejectReason.FILL_OR_KILL_UNFILLABLE


def test_a_fill_that_ends_the_taker_wins_over_an_own_order_behind_it(two: Venue) -> None:
    two.give("alice", coin=10_000)
    two.sell("ann", 5, at=100)
    two.sell("alice", 5, at=100)
    events = two.buy("alice", 5, at=100)
    assert ends(events)[-1] == (two.last_order_id, "filled")


def crowd(venue: Venue, count: int) -> None:
    """`count` one-lot asks at 100, from as many sellers as the open-order limit needs."""
    venue.checking = False
    for number in range(count):
        seller = f"seller{number // 900}"
        if number % 900 == 0:
            venue.give(seller, apple=1_000)
        venue.sell(seller, 1, at=100)
    venue.checking = True
    venue.check()


def test_one_command_makes_at_most_a_thousand_fills_and_the_rest_ends(two: Venue) -> None:
    crowd(two, MAX_WORK + 1)
    two.give("rich", coin=1_000_000)
    all_of_it = two.buy("rich", MAX_WORK + 1, at=100, tif=TimeInForce.FOK)
    assert refusal(all_of_it) is RejectReason.FILL_OR_KILL_UNFILLABLE
    events = two.buy("rich", MAX_WORK + 5, at=100)
    assert len(trades(events)) == MAX_WORK
    assert ends(events)[-1] == (two.last_order_id, "work_limit")
    assert two.depth() == ([], [(100, 1)])
    assert two.has("rich", "COIN") == (1_000_000 - 100 * MAX_WORK, 0)


def test_exactly_a_thousand_fills_are_a_whole_fill(two: Venue) -> None:
    crowd(two, MAX_WORK)
    two.give("rich", coin=1_000_000)
    events = two.buy("rich", MAX_WORK, at=100, tif=TimeInForce.FOK)
    assert len(trades(events)) == MAX_WORK
    assert ends(events)[-1] == (two.last_order_id, "filled")


def test_after_a_thousand_fills_an_emptied_book_lets_the_rest_stand(two: Venue) -> None:
    crowd(two, MAX_WORK)
    two.give("rich", coin=1_000_000)
    events = two.buy("rich", MAX_WORK + 5, at=100)
    assert isinstance(events[-1], OrderRested)
    assert two.depth() == ([(100, 5)], [])
