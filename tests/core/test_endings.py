"""Whatever ends an order, it holds nothing then; whatever fills it, what it needs no more is free at once."""

from collections.abc import Callable

import pytest
from tests.core.venue import SECOND, Venue, ends, fills

from exchange.core.accounts import FEES_ACCOUNT
from exchange.core.events import OrderEnded
from exchange.core.words import EndReason, SelfTradePrevention, Side, TimeInForce

BUY, SELL = Side.BUY, Side.SELL


def other(side: Side) -> Side:
    return SELL if side is BUY else BUY


def rest_at(side: Side) -> int:
    """A price at which an order of the side meets nothing, and that of `makers` crosses."""
    return 110 if side is BUY else 90


def makers(venue: Venue, side: Side, count: int = 1, size: int = 3) -> None:
    """Opposite orders at 100, of Bob's."""
    for _ in range(count):
        venue.order("bob", other(side), size, 100)


def alice(venue: Venue, side: Side, size: int = 10, **more: object) -> int:
    """Alice's order, the one that is to end."""
    venue.order("alice", side, size, rest_at(side), **more)  # type: ignore[arg-type]
    return venue.last_order_id


def filled(venue: Venue, side: Side) -> int:
    order_id = alice(venue, side)
    for size in (4, 6):
        venue.order("bob", other(side), size, rest_at(side))
    return order_id


def cancelled(venue: Venue, side: Side) -> int:
    makers(venue, side)
    order_id = alice(venue, side)
    venue.cancel("alice", order_id)
    return order_id


def unfilled(venue: Venue, side: Side) -> int:
    makers(venue, side)
    return alice(venue, side, tif=TimeInForce.IOC)


def self_trade(venue: Venue, side: Side) -> int:
    makers(venue, side)
    venue.transfer("alice", "APPLE" if side is BUY else "COIN", 1_000, to=1)
    venue.order("alice", other(side), 5, 101 if side is BUY else 99, sub_account=1)
    return alice(venue, side)


def decremented(venue: Venue, side: Side) -> int:
    makers(venue, side)
    venue.transfer("alice", "APPLE" if side is BUY else "COIN", 1_000, to=1)
    venue.order("alice", other(side), 9, 101 if side is BUY else 99, sub_account=1)
    return alice(venue, side, stp=SelfTradePrevention.DECREMENT)


def work_limit(venue: Venue, side: Side) -> int:
    venue.checking = False
    venue.give("ben", apple=100_000, coin=10**7)
    makers(venue, side, count=600, size=1)
    for _ in range(401):
        venue.order("ben", other(side), 1, 100)
    order_id = alice(venue, side, size=1_001)
    venue.checking = True
    return order_id


def expired(venue: Venue, side: Side) -> int:
    makers(venue, side)
    order_id = alice(venue, side, till_ns=venue.time_ns + SECOND)
    venue.pass_time(1)
    venue.run_due()
    return order_id


def cancel_all_after(venue: Venue, side: Side) -> int:
    makers(venue, side)
    order_id = alice(venue, side)
    venue.cancel_all_after("alice", 1)
    venue.pass_time(1)
    venue.run_due()
    return order_id


def post_only_would_cross(venue: Venue, side: Side) -> int:
    last = 105 if side is BUY else 95
    order_id = alice(venue, side, tif=TimeInForce.POST_ONLY, stop=last)
    venue.order("bob", other(side), 1, 108 if side is BUY else 92)
    venue.trade_at(last)
    venue.run_due()
    return order_id


def account_frozen(venue: Venue, side: Side) -> int:
    makers(venue, side)
    order_id = alice(venue, side)
    venue.freeze("alice")
    return order_id


ENDINGS: dict[str, Callable[[Venue, Side], int]] = {
    "filled": filled,
    "cancelled": cancelled,
    "unfilled": unfilled,
    "self_trade": self_trade,
    "self_trade, decremented": decremented,
    "work_limit": work_limit,
    "expired": expired,
    "cancel_all_after": cancel_all_after,
    "post_only_would_cross": post_only_would_cross,
    "account_frozen": account_frozen,
}


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("ending", ENDINGS)
def test_an_order_that_ends_holds_nothing(ending: str, side: Side) -> None:
    venue = Venue()
    venue.open_market(maker_fee_bps=-7, taker_fee_bps=310)
    for name in ("alice", "bob"):
        venue.give(name, apple=100_000, coin=10**7)
    order_id = ENDINGS[ending](venue, side)
    (end,) = [
        event
        for _, _, events in venue.log
        for event in events
        if isinstance(event, OrderEnded) and event.order_id == order_id
    ]
    assert end.reason == ending.partition(",")[0]
    assert order_id not in venue.state.orders
    assert (venue.has("alice", "APPLE")[1], venue.has("alice", "COIN")[1]) == (0, 0)
    assert_paid_for_its_fills_alone(venue, order_id, side)


def assert_paid_for_its_fills_alone(venue: Venue, order_id: int, side: Side) -> None:
    apples, coins = 0, 0
    for _, _, events in venue.log:
        for trade in fills(events):
            if order_id in (trade.maker_order_id, trade.taker_order_id):
                is_maker = trade.maker_order_id == order_id
                sign = 1 if side is BUY else -1
                apples += sign * trade.base_atoms
                coins -= sign * trade.quote_atoms
                coins -= trade.maker_fee_atoms if is_maker else trade.taker_fee_atoms
    for symbol, before, change in (("APPLE", 100_000, apples), ("COIN", 10**7, coins)):
        moved = sum(
            venue.has("alice", symbol, sub_account=number)[0]
            + venue.has("alice", symbol, sub_account=number)[1]
            for number in (0, 1)
        )
        assert moved == before + change


def test_every_way_to_end_is_among_them() -> None:
    assert {ending.partition(",")[0] for ending in ENDINGS} == {reason.value for reason in EndReason}


# ---- price improvement


@pytest.fixture
def dear() -> Venue:
    """Alice sells 4 at 80, 4 at 90 and 100 at 100, at a taker fee of 1 %."""
    venue = Venue()
    venue.open_market(taker_fee_bps=100)
    venue.give("alice", apple=1_000)
    venue.give("bob", coin=100_000)
    for size, price in ((4, 80), (4, 90), (100, 100)):
        venue.sell("alice", size, at=price)
    return venue


def test_each_fill_of_a_buy_releases_its_own_improvement_and_fee_reserve(dear: Venue) -> None:
    """Held: 1,000 and 10 of fee. After 4 at 80: 320 and 4 of fee; what 6 at 100 need is 600 and 6 less."""
    events = dear.buy("bob", 10, at=100)
    assert [trade.taker_fee_atoms for trade in fills(events)] == [4, 3, 2]
    assert [trade.buyer_released_atoms for trade in fills(events)] == [80, 41, 0]
    assert sum(trade.buyer_released_atoms for trade in fills(events)) == 1_010 - 880 - 9
    assert ends(events)[-1] == (dear.last_order_id, "filled")
    assert dear.has("bob", "COIN") == (100_000 - 880 - 9, 0)


def test_what_rests_holds_exactly_what_the_rest_needs(dear: Venue) -> None:
    dear.buy("bob", 20, at=95)
    assert dear.depth()[0] == [(95, 12)]
    assert dear.has("bob", "COIN") == (100_000 - 680 - 7 - 1_140 - 12, 1_140 + 12)
    assert dear.has("bob", "COIN")[1] == dear.open(dear.last_order_id).held_atoms


def test_an_amended_order_releases_its_improvement_too(dear: Venue) -> None:
    dear.buy("bob", 10, at=50)
    events = dear.amend("bob", dear.last_order_id, 10, at=100)
    assert [trade.buyer_released_atoms for trade in fills(events)] == [80, 41, 0]
    assert dear.has("bob", "COIN") == (100_000 - 880 - 9, 0)


def test_a_market_order_releases_all_that_its_worst_price_held(dear: Venue) -> None:
    events = dear.market_buy("bob", 10, worst=5_000)
    assert sum(trade.buyer_released_atoms for trade in fills(events)) == 50_500 - 889
    assert dear.has("bob", "COIN") == (100_000 - 889, 0)


def test_the_sellers_side_of_an_improvement_is_its_price(dear: Venue) -> None:
    dear.buy("bob", 4, at=79)
    dear.give("carol", apple=10)
    (trade,) = fills(dear.sell("carol", 4, at=10))
    assert (trade.price_ticks, trade.buyer_released_atoms) == (79, 4), (
        "the taker's fee that a maker is spared"
    )
    assert dear.has("carol", "COIN") == (4 * 79 - 4, 0)
    assert dear.system(FEES_ACCOUNT, "COIN") == 4
