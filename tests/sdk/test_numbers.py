"""Exact numbers, and nothing else."""

from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_sdk import Amend, Place
from exchange_sdk.book import OrderBook
from exchange_sdk.channels import Bbo
from exchange_sdk.models import Book, Level, Market
from exchange_sdk.numbers import decimal, from_atoms, is_whole, plain, round_to, to_atoms
from exchange_sdk.orders import time_ms_of

numbers = st.decimals(min_value=0, max_value=10**39, allow_nan=False, allow_infinity=False, places=18)
steps = st.sampled_from(["0.01", "0.0001", "1", "0.05", "25", "0.000000000000000001"]).map(Decimal)


@pytest.mark.parametrize("value", [0.1, 1.0, float("nan"), 1e300])
def test_floats_are_refused_with_what_to_write_instead(value: float) -> None:
    with pytest.raises(TypeError, match=r"price is the float .*not exact: give Decimal\('"):
        decimal(value, "price")  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["price", "size", "amount", "stop", "take_profit"])
def test_an_order_takes_no_float_anywhere(field: str) -> None:
    good = {"market": "ETH-USDC", "side": "buy", "size": 1, "price": 1}
    with pytest.raises(TypeError, match=f"{field} is the float"):
        Place(**good | {field: 0.1})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [True, None, b"1", [1], 1j])
def test_what_is_no_number_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="must be Decimal, int or str"):
        decimal(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1e3", "1_000", "1,5", ".5", "5.", "-1", "+1", "٣", "NaN"])
def test_text_is_plain_digits_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="plain decimal number"):
        decimal(text)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), Decimal("1E+99"), Decimal("1E-99")])
def test_decimals_that_are_no_amounts_are_refused(value: Decimal) -> None:
    with pytest.raises(ValueError, match="value"):
        decimal(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("0E-81"), "0"),
        (Decimal("-0.0"), "0"),
        ("3000.50", "3000.5"),
        ("007", "7"),
        (100, "100"),
        (Decimal("1.10"), "1.1"),
    ],
)
def test_numbers_are_written_as_the_exchange_takes_them(value: Decimal | int | str, text: str) -> None:
    assert plain(value) == text


@given(numbers, steps)
def test_rounding_gives_the_nearest_steps_around_a_value(value: Decimal, step: Decimal) -> None:
    down, up, nearest = (round_to(value, step, how) for how in ("down", "up", "nearest"))
    with localcontext(Context(prec=200)):
        assert down <= value <= up
        assert up - down == (0 if is_whole(value, step) else step)
        assert nearest in {down, up}
        assert abs(nearest - value) <= abs(step / 2)
        assert down % step == up % step == 0


@given(numbers)
def test_nothing_depends_on_the_decimal_context(value: Decimal) -> None:
    with localcontext(Context(prec=3)):
        assert plain(value) == plain(Decimal(str(value)))
        rounded = round_to(value, "0.000000000000000001")
    assert rounded == value


@given(st.integers(min_value=0, max_value=2**128), st.integers(min_value=0, max_value=18))
def test_atoms_come_back_as_they_were(atoms: int, decimals: int) -> None:
    assert to_atoms(from_atoms(atoms, decimals), decimals) == atoms


def test_an_amount_finer_than_its_atoms_is_refused() -> None:
    assert to_atoms("1.500000", 6) == 1_500_000
    assert to_atoms("1.5000000", 6) == 1_500_000, "zeros say nothing"
    with pytest.raises(ValueError, match="finer than 6 decimals"):
        to_atoms("0.0000001", 6)


def test_halves_are_rounded_up_and_unknown_ways_refused() -> None:
    assert round_to("0.015", "0.01", "nearest") == Decimal("0.02")
    for step in (0, -1):
        with pytest.raises(ValueError, match="step must be above zero"):
            round_to(1, step)
    with pytest.raises(ValueError, match="down, up or nearest"):
        round_to(1, 1, "away")  # type: ignore[arg-type]


def test_a_market_rounds_prices_to_ticks_and_sizes_to_lots() -> None:
    market = Market(
        "ETH-USDC", "ETH", "USDC", Decimal("0.05"), Decimal("0.001"), "open", None, 0, 0, 0, 0, ()
    )
    assert market.round_price("3000.03") == Decimal("3000.05")
    assert market.round_price("3000.03", "down") == Decimal(3000)
    assert market.round_size("1.2349") == Decimal("1.234")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 1}, "needs a price"),
        ({"price": 1}, "give a size"),
        ({"size": 1, "amount": 1, "price": 1}, "give a size"),
        ({"size": 1, "price": 1, "stop": 1, "take_profit": 1}, "one trigger"),
    ],
)
def test_an_order_that_can_not_be_one_is_found_where_it_is_written(
    fields: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Place(market="ETH-USDC", side="buy", **fields)  # type: ignore[arg-type]


def test_an_amendment_changes_something_of_one_order() -> None:
    with pytest.raises(ValueError, match="new price, a new size"):
        Amend(order="1")
    with pytest.raises(ValueError, match="an order_id is digits"):
        Amend(order="mine-1", size=1)
    with pytest.raises(TypeError, match="not int"):
        Amend(order=1, size=1)  # type: ignore[arg-type]


def test_times_are_milliseconds_or_know_their_zone() -> None:
    from datetime import UTC, datetime, timedelta, timezone

    at = datetime(2026, 11, 29, 10, 0, 0, 999_999, tzinfo=UTC)
    assert time_ms_of(at) == 1795946400999
    assert time_ms_of(at.astimezone(timezone(timedelta(hours=5, minutes=30)))) == 1795946400999
    assert time_ms_of(1795946400999) == 1795946400999
    for wrong in (1795946400.999, at.replace(tzinfo=None), True, "2026"):
        with pytest.raises(TypeError):
            time_ms_of(wrong)  # type: ignore[arg-type]


def test_the_middle_of_a_book_does_not_depend_on_the_precision_of_who_asks() -> None:
    bid, ask = Level(Decimal("29876.54"), Decimal(1)), Level(Decimal("29876.57"), Decimal(1))
    live = OrderBook()
    live._bids.replace([("29876.54", "1")])
    live._asks.replace([("29876.57", "1")])
    rest = Book(seq=1, market="A-B", time_ms=0, group=None, bids=(bid,), asks=(ask,))
    with localcontext(Context(prec=3)):
        assert rest.mid == live.mid == Bbo(bid, ask).mid == Decimal("29876.555")
        assert live.spread == Decimal("0.03")
