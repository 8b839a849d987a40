import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.core.accounts import Account
from exchange.core.book import NO_LOW_TICKS, Book, BookSide
from exchange.core.matching import can_fill, lots_for_amount
from exchange.core.orders import Order
from exchange.core.words import OrderType, SelfTradePrevention, Side, TimeInForce

OWNER = Account(1_000, owner="0xa", sub_account=0)
OTHER = Account(1_001, owner="0xb", sub_account=0)
STRANGER = Account(1_002, owner="0xc", sub_account=0)


def order(
    order_id: int,
    side: Side,
    price: int,
    size: int,
    account: Account = OWNER,
    stp: SelfTradePrevention = SelfTradePrevention.CANCEL_NEWEST,
    quote_atoms: int = 0,
) -> Order:
    return Order(
        order_id,
        account,
        1,
        side,
        OrderType.LIMIT,
        TimeInForce.GTC,
        stp,
        price,
        size,
        size,
        0,
        0,
        0,
        None,
        0,
        quote_atoms=quote_atoms,
    )


def book_with(asks: list[Order], bids: list[Order]) -> Book:
    book = Book(0, 0)
    for side, resting in ((book.asks, asks), (book.bids, bids)):
        for one in resting:
            side.add(one.price_ticks, one)
    return book


def queue(side: BookSide) -> list[tuple[int, int, int]]:
    return [
        (price, waiting.order_id, waiting.remaining_lots)
        for price, level in side.levels_from_best()
        for waiting in level
    ]


def naive(resting: list[Order], highest_first: bool) -> list[tuple[int, int, int]]:
    """Best price first, then first come first served: `resting` is in order of arrival."""
    best_first = sorted(resting, key=lambda o: -o.price_ticks if highest_first else o.price_ticks)
    return [(o.price_ticks, o.order_id, o.remaining_lots) for o in best_first]


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "remove", "remove best"]),
        st.one_of(st.integers(1, 6), st.sampled_from([2**63 - 1, 2**62])),
        st.integers(0, 1_000),
    ),
    max_size=60,
)


@pytest.mark.parametrize("sign", [1, -1])
@settings(max_examples=150)
@given(steps=steps, limits=st.lists(st.integers(0, 7), max_size=3))
def test_a_side_is_always_the_naive_sorted_list(
    sign: int, steps: list[tuple[str, int, int]], limits: list[int]
) -> None:
    side, resting = BookSide(sign), list[Order]()
    for number, (kind, price, pick) in enumerate(steps, start=1):
        if kind == "add":
            new = order(number, Side.BUY, price, 5)
            side.add(price, new)
            resting.append(new)
        elif resting:
            best = naive(resting, sign > 0)[0][1]
            gone = (
                next(o for o in resting if o.order_id == best)
                if kind == "remove best"
                else resting[pick % len(resting)]
            )
            side.remove(gone)
            resting.remove(gone)
        expected = naive(resting, sign > 0)
        assert queue(side) == expected
        assert len(side) == len(resting)
        assert side.best_ticks() == (expected[0][0] if expected else None)
        for limit in limits:
            in_reach = bool(expected) and (expected[0][0] - limit) * sign >= 0
            assert side.reaches(limit) == in_reach
        assert side.keys == sorted(side.levels)
        assert all(level.first for level in side.levels.values()), "no empty level stays"


def test_a_partly_filled_order_keeps_its_place() -> None:
    side = BookSide(-1)
    first, second = order(1, Side.SELL, 100, 5), order(2, Side.SELL, 100, 5)
    side.add(100, first)
    side.add(100, second)
    first.remaining_lots = 1
    assert queue(side) == [(100, 1, 1), (100, 2, 5)]


def test_an_order_that_leaves_and_comes_back_is_the_last_of_its_price() -> None:
    side = BookSide(-1)
    first, second = order(1, Side.SELL, 100, 5), order(2, Side.SELL, 100, 5)
    side.add(100, first)
    side.add(100, second)
    side.remove(first)
    side.add(100, first)
    assert queue(side) == [(100, 2, 5), (100, 1, 5)]


def test_an_order_enters_once_and_leaves_once() -> None:
    side = BookSide(-1)
    resting = order(1, Side.SELL, 100, 5)
    side.add(100, resting)
    with pytest.raises(AssertionError):
        side.add(100, resting)
    side.remove(resting)
    with pytest.raises(AssertionError):
        side.remove(resting)


@pytest.mark.parametrize(("limit", "trades"), [(99, False), (100, True), (101, True)])
def test_a_buy_trades_at_its_limit_or_below(limit: int, trades: bool) -> None:
    book = book_with(asks=[order(1, Side.SELL, 100, 1)], bids=[])
    assert book.opposite(Side.BUY).reaches(limit) is trades
    assert not book.opposite(Side.SELL).reaches(limit)


@pytest.mark.parametrize(("limit", "trades"), [(99, True), (100, True), (101, False)])
def test_a_sell_trades_at_its_limit_or_above(limit: int, trades: bool) -> None:
    book = book_with(asks=[], bids=[order(1, Side.BUY, 100, 1)])
    assert book.opposite(Side.SELL).reaches(limit) is trades


def test_an_orders_own_side_is_where_it_rests() -> None:
    book = Book(0, 0)
    assert (book.own(Side.BUY), book.own(Side.SELL)) == (book.bids, book.asks)
    assert (book.opposite(Side.BUY), book.opposite(Side.SELL)) == (book.asks, book.bids)


@pytest.mark.parametrize("where", ["bids", "asks", "rises", "falls"])
def test_a_book_with_an_order_anywhere_is_not_empty(where: str) -> None:
    book = Book(0, 0)
    assert book.is_empty()
    getattr(book, where).add(100, order(1, Side.BUY, 100, 1))
    assert not book.is_empty()


def test_only_liquidity_in_reach_and_not_behind_ones_own_order_counts_for_fill_or_kill() -> None:
    asks = [
        order(1, Side.SELL, 100, 3),
        order(2, Side.SELL, 101, 3),
        order(3, Side.SELL, 101, 3, OTHER),
        order(4, Side.SELL, 102, 3),
    ]
    book = book_with(asks=asks, bids=[])

    def fits(size: int, limit: int, account: Account, stp: SelfTradePrevention) -> bool:
        return can_fill(book.asks, order(9, Side.BUY, limit, size, account, stp))

    for mode in SelfTradePrevention:
        assert fits(12, 102, STRANGER, mode)
        assert not fits(13, 102, STRANGER, mode)
        assert fits(9, 101, STRANGER, mode)
        assert not fits(10, 101, STRANGER, mode)
        assert fits(6, 102, OTHER, mode)
        passes = mode is SelfTradePrevention.CANCEL_OLDEST
        assert fits(7, 102, OTHER, mode) is passes
        assert fits(9, 102, OTHER, mode) is passes
        assert not fits(10, 102, OTHER, mode)


def test_an_amount_buys_the_same_liquidity_that_counts_for_fill_or_kill() -> None:
    asks = [order(1, Side.SELL, 100, 3), order(2, Side.SELL, 101, 3, OTHER), order(3, Side.SELL, 102, 3)]
    book = book_with(asks=asks, bids=[])

    def lots(amount: int, account: Account, stp: SelfTradePrevention, limit: int = 102) -> int:
        taker = order(9, Side.BUY, limit, 0, account, stp, quote_atoms=amount)
        return lots_for_amount(book.asks, taker, 1)

    assert lots(99, STRANGER, SelfTradePrevention.CANCEL_NEWEST) == 0
    assert lots(300, STRANGER, SelfTradePrevention.CANCEL_NEWEST) == 3
    assert lots(401, STRANGER, SelfTradePrevention.CANCEL_NEWEST) == 4
    assert lots(10_000, STRANGER, SelfTradePrevention.CANCEL_NEWEST) == 9
    assert lots(10_000, STRANGER, SelfTradePrevention.CANCEL_NEWEST, limit=101) == 6
    assert lots(10_000, OTHER, SelfTradePrevention.CANCEL_NEWEST) == 3
    assert lots(10_000, OTHER, SelfTradePrevention.CANCEL_BOTH) == 3
    assert lots(10_000, OTHER, SelfTradePrevention.CANCEL_OLDEST) == 6


def waiting(trigger_ticks: int) -> Order:
    return order(trigger_ticks, Side.BUY, 1, 1)


def test_a_rise_is_met_from_its_trigger_up_and_a_fall_from_its_trigger_down() -> None:
    book = Book(0, 0)
    book.rises.add(110, waiting(110))
    book.falls.add(90, waiting(90))
    met_at = {100: False, 109: False, 110: True, 111: True, 91: False, 90: True, 1: True}
    for last, met in met_at.items():
        book.last_ticks = last
        book.forget_range()
        assert book.trigger_is_met() is met


def test_before_the_first_trade_no_trigger_is_met() -> None:
    book = Book(0, 0)
    book.rises.add(1, waiting(1))
    book.falls.add(2**63 - 1, waiting(2**63 - 1))
    assert not book.trigger_is_met()
    book.forget_range()
    assert not book.trigger_is_met()
    assert book.low_ticks == NO_LOW_TICKS


def test_the_range_keeps_the_extremes_until_it_is_forgotten() -> None:
    book = Book(0, 0)
    book.rises.add(110, waiting(110))
    book.last_ticks = 100
    book.forget_range()
    book.widen_range(112, 95)
    book.last_ticks = 95
    assert (book.high_ticks, book.low_ticks) == (112, 95)
    assert book.trigger_is_met()
    book.forget_range()
    assert (book.high_ticks, book.low_ticks) == (95, 95)
    assert not book.trigger_is_met()
