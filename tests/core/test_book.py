from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.core.accounts import Account
from exchange.core.book import Book, BookSide
from exchange.core.matching import can_fill, would_trade
from exchange.core.orders import Order, Side

OWNER = Account(1_000, owner="0xa", sub_account=0)
OTHER = Account(1_001, owner="0xb", sub_account=0)


def order(order_id: int, side: Side, price: int, size: int, account: Account = OWNER) -> Order:
    return Order(order_id, account, 1, side, price, size, size, 0, 0, 0, None)


def queue(side: BookSide) -> list[tuple[int, int, int]]:
    return [
        (level.price_ticks, waiting.order_id, waiting.remaining_lots)
        for level in side.levels()
        for waiting in level.orders.values()
    ]


def naive(resting: list[Order], side: Side) -> list[tuple[int, int, int]]:
    """Best price first, then first come first served: `resting` is in order of arrival."""
    best_first = sorted(resting, key=lambda o: -o.price_ticks if side is Side.BUY else o.price_ticks)
    return [(o.price_ticks, o.order_id, o.remaining_lots) for o in best_first]


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "remove", "fill"]),
        st.one_of(st.integers(1, 6), st.sampled_from([2**63 - 1, 2**62])),
        st.integers(1, 9),
        st.integers(0, 1_000),
    ),
    max_size=60,
)


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
@settings(max_examples=150)
@given(steps=steps)
def test_a_side_is_always_the_naive_sorted_list(side: Side, steps: list[tuple[str, int, int, int]]) -> None:
    book, resting = BookSide(side), list[Order]()
    for number, (kind, price, size, pick) in enumerate(steps, start=1):
        if kind == "add":
            new = order(number, side, price, size)
            book.add(new)
            resting.append(new)
        elif resting and kind == "remove":
            book.remove(resting.pop(pick % len(resting)))
        elif resting:
            level = book.best()
            assert level is not None
            first = next(iter(level.orders.values()))
            book.fill(level, first, min(size, first.remaining_lots))
            resting = [o for o in resting if o.remaining_lots]
        assert queue(book) == naive(resting, side)
        assert len(book) == len(resting)
        sizes: Counter[int] = Counter()
        for waiting in resting:
            sizes[waiting.price_ticks] += waiting.remaining_lots
        assert {level.price_ticks: level.size_lots for level in book.levels()} == dict(sizes)
        best = book.best()
        assert (best.price_ticks if best else None) == (naive(resting, side)[0][0] if resting else None)


def test_a_partly_filled_order_keeps_its_place() -> None:
    side = BookSide(Side.SELL)
    first, second = order(1, Side.SELL, 100, 5), order(2, Side.SELL, 100, 5)
    side.add(first)
    side.add(second)
    level = side.best()
    assert level is not None
    side.fill(level, first, 4)
    assert queue(side) == [(100, 1, 1), (100, 2, 5)]
    assert level.size_lots == 6


def test_an_order_can_not_be_filled_by_more_than_remains_of_it() -> None:
    side = BookSide(Side.SELL)
    resting = order(1, Side.SELL, 100, 5)
    side.add(resting)
    level = side.best()
    assert level is not None
    for size in (0, -1, 6):
        with pytest.raises(AssertionError):
            side.fill(level, resting, size)


def test_an_order_of_the_other_side_or_with_nothing_left_does_not_enter() -> None:
    side = BookSide(Side.SELL)
    with pytest.raises(AssertionError):
        side.add(order(1, Side.BUY, 100, 5))
    spent = order(2, Side.SELL, 100, 5)
    spent.remaining_lots = 0
    with pytest.raises(AssertionError):
        side.add(spent)


@pytest.mark.parametrize(("limit", "trades"), [(99, False), (100, True), (101, True)])
def test_a_buy_trades_at_its_limit_or_below(limit: int, trades: bool) -> None:
    book = Book()
    book.asks.add(order(1, Side.SELL, 100, 1))
    assert would_trade(book.opposite(Side.BUY), limit) is trades
    assert not would_trade(book.opposite(Side.SELL), limit)


@pytest.mark.parametrize(("limit", "trades"), [(99, True), (100, True), (101, False)])
def test_a_sell_trades_at_its_limit_or_above(limit: int, trades: bool) -> None:
    book = Book()
    book.bids.add(order(1, Side.BUY, 100, 1))
    assert would_trade(book.opposite(Side.SELL), limit) is trades


def test_only_liquidity_in_reach_and_not_behind_ones_own_order_counts_for_fill_or_kill() -> None:
    book = Book()
    book.asks.add(order(1, Side.SELL, 100, 3))
    book.asks.add(order(2, Side.SELL, 101, 3))
    book.asks.add(order(3, Side.SELL, 101, 3, OTHER))
    book.asks.add(order(4, Side.SELL, 102, 3))

    def fits(size: int, limit: int, account: Account) -> bool:
        return can_fill(book.asks, order(9, Side.BUY, limit, size, account))

    stranger = Account(1_002, owner="0xc", sub_account=0)
    assert fits(12, 102, stranger)
    assert not fits(13, 102, stranger)
    assert not fits(10, 101, stranger)
    assert fits(6, 102, OTHER)
    assert not fits(7, 102, OTHER)
