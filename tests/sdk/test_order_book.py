"""The book that the SDK puts together is the exchange's, or it says that it is not."""

import random
import zlib
from decimal import Decimal

import pytest

from exchange_sdk.book import BookData, ChecksumMismatch, OrderBook
from exchange_sdk.models import Level

Levels = dict[str, str]


def checksum(bids: Levels, asks: Levels) -> int:
    """As docs/api/websocket.md has it."""
    best_bids = sorted(bids.items(), key=lambda level: -Decimal(level[0]))[:25]
    best_asks = sorted(asks.items(), key=lambda level: Decimal(level[0]))[:25]
    return zlib.crc32(",".join(f"{price}:{size}" for price, size in best_bids + best_asks).encode())


def data(bids: Levels, asks: Levels, after: tuple[Levels, Levels] | None = None) -> BookData:
    """A message with these levels, after which the book is `after`."""
    whole = after or (bids, asks)
    return BookData(bids=tuple(bids.items()), asks=tuple(asks.items()), checksum=checksum(*whole))


def level(price: str, size: str) -> Level:
    return Level(Decimal(price), Decimal(size))


@pytest.fixture
def book() -> OrderBook:
    book = OrderBook()
    book.replace(data({"3000.01": "1.5", "3000": "2", "2990.5": "1"}, {"3001": "0.25", "3010": "4"}))
    return book


def test_the_checksum_is_that_of_the_documentation():
    book = OrderBook()
    text = "3000.01:1.5,3000:2,3001:0.25"
    levels = (("3000.01", "1.5"), ("3000", "2"))
    book.replace(BookData(bids=levels, asks=(("3001", "0.25"),), checksum=zlib.crc32(text.encode())))
    assert book.checksum == zlib.crc32(text.encode())


def test_it_shows_the_best_first_and_what_lies_between(book: OrderBook):
    assert book.best_bid == level("3000.01", "1.5")
    assert book.best_ask == level("3001", "0.25")
    assert book.mid == Decimal("3000.505")
    assert book.spread == Decimal("0.99")
    assert book.bids(2) == [level("3000.01", "1.5"), level("3000", "2")]
    assert book.asks() == [level("3001", "0.25"), level("3010", "4")]
    assert book.depth(1) == ([level("3000.01", "1.5")], [level("3001", "0.25")])
    assert book.size_at(Decimal("3010.00")) == Decimal(4)
    assert book.size_at(Decimal(3011)) == 0


def test_an_empty_side_has_no_best_price_and_no_middle():
    book = OrderBook()
    book.replace(data({"3000": "1"}, {}))
    assert (book.best_ask, book.mid, book.spread) == (None, None, None)
    assert book.asks() == []


def test_changed_levels_take_the_place_of_the_old_and_0_ends_one(book: OrderBook):
    after = {"3000.02": "9", "3000": "3", "2990.5": "1"}, {"3010": "4"}
    book.apply(data({"3000.01": "0", "3000": "3", "3000.02": "9"}, {"3001": "0"}, after))
    assert book.bids() == [level("3000.02", "9"), level("3000", "3"), level("2990.5", "1")]
    assert book.asks() == [level("3010", "4")]


def test_a_level_that_never_was_may_end_and_one_may_come_as_it_is(book: OrderBook):
    after = {"3000.01": "1.5", "3000": "2", "2990.5": "1"}, {"3001": "0.25", "3010": "4"}
    book.apply(data({"1": "0", "3000": "2"}, {"4000": "0"}, after))
    assert book.best_bid == level("3000.01", "1.5")


def test_a_size_that_differs_is_found_by_the_checksum(book: OrderBook):
    wrong = {"3000.01": "1.6", "3000": "2", "2990.5": "1"}, {"3001": "0.25", "3010": "4"}
    with pytest.raises(ChecksumMismatch):
        book.apply(data({}, {}, wrong))


def test_a_small_size_keeps_its_text_in_the_checksum():
    book = OrderBook()
    book.replace(data({"0.00000001": "0.00000000001"}, {}))
    assert book.best_bid == level("0.00000001", "0.00000000001")


def test_only_the_best_25_levels_of_a_side_are_compared():
    bids = {str(price): "1" for price in range(100, 70, -1)}
    book = OrderBook()
    book.replace(data(bids, {}))
    far_away = {**bids, "71": "5"}
    book.apply(data({}, {}, (far_away, {})))


@pytest.mark.parametrize("seed", range(5))
def test_after_any_updates_it_equals_a_book_kept_by_sorting(seed: int):
    rng = random.Random(seed)
    sides: tuple[Levels, Levels] = ({}, {})
    book = OrderBook()
    book.replace(data({}, {}))
    for _ in range(300):
        changes: tuple[Levels, Levels] = ({}, {})
        for side, change in zip(sides, changes, strict=True):
            for _ in range(rng.randint(0, 5)):
                price = str(Decimal(rng.randint(1, 60)) / 4)
                change[price] = rng.choice(["0", str(rng.randint(1, 9)), "0.5"])
            side.update(change)
            for price in [price for price, size in side.items() if size == "0"]:
                del side[price]
        book.apply(data(*changes, sides))
        bids = sorted((level(*item) for item in sides[0].items()), reverse=True)
        assert book.bids() == bids
        assert book.asks() == sorted(level(*item) for item in sides[1].items())
