from decimal import Decimal

import pytest
from bots.mirroring import Margin, OtherBook, mirrored
from bots.quoting import Funds, Quote
from tests.bots.markets import levels, market

RICH = Funds(Decimal(1_000), Decimal(10**7))
BOOK = OtherBook(levels(("2999", "2"), ("2998", "4")), levels(("3001", "2"), ("3002", "4")))


def test_the_other_books_levels_stand_here_wider_and_smaller() -> None:
    margin = Margin(bps=Decimal(100), size_share=Decimal("0.25"))
    assert mirrored(market(tick="1"), BOOK, RICH, margin) == [
        Quote("buy", Decimal(2969), Decimal("0.5")),
        Quote("buy", Decimal(2968), Decimal(1)),
        Quote("sell", Decimal(3032), Decimal("0.5")),
        Quote("sell", Decimal(3033), Decimal(1)),
    ]


def test_levels_that_fall_on_one_tick_are_put_together() -> None:
    [bid, ask] = mirrored(market(tick="100"), BOOK, RICH, Margin(bps=Decimal(0), size_share=Decimal(1)))
    assert (bid.price, bid.size, ask.price, ask.size) == (2900, 6, 3100, 6)


def test_no_more_levels_than_asked_for() -> None:
    quotes = mirrored(market(), BOOK, RICH, Margin(levels=1))
    assert [quote.side for quote in quotes] == ["buy", "sell"]


def test_funds_bound_what_is_mirrored() -> None:
    quotes = mirrored(market(), BOOK, Funds(Decimal("0.5"), Decimal(0)), Margin(reserve=Decimal(0)))
    assert [(quote.side, quote.size) for quote in quotes] == [("sell", Decimal("0.5"))]


@pytest.mark.parametrize(
    "book",
    [
        OtherBook((), BOOK.asks),
        OtherBook(BOOK.bids, ()),
        OtherBook(levels(("3001", "1")), levels(("3001", "1"))),
    ],
    ids=["no bids", "no asks", "crossed"],
)
def test_a_book_in_trouble_is_not_mirrored(book: OtherBook) -> None:
    assert mirrored(market(), book, RICH, Margin()) == []


def test_margins_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        Margin(levels=0)
