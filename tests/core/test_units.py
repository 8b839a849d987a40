import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.core.units import (
    MAX_ATOMS,
    MAX_DECIMAL_CHARS,
    AmountTooLarge,
    DecimalSyntaxError,
    TooManyDecimals,
    div_ceil,
    format_atoms,
    parse_atoms,
    parse_decimal,
)

decimals = st.integers(0, 36)
atoms = st.one_of(st.integers(0, MAX_ATOMS), st.integers(0, 2_000), st.just(MAX_ATOMS))


@given(atoms, decimals)
def test_formatting_and_parsing_an_amount_gives_it_back(amount: int, places: int) -> None:
    assert parse_atoms(format_atoms(amount, places), places) == amount


@given(atoms, decimals)
def test_a_formatted_amount_is_the_shortest_exact_decimal(amount: int, places: int) -> None:
    text = format_atoms(amount, places)
    assert Fraction(text) == Fraction(amount, 10**places)
    assert text == "0" or not text.startswith("00")
    assert "." not in text or not text.endswith(("0", "."))


@given(atoms, decimals)
def test_a_negative_amount_is_formatted_with_a_sign_and_refused_by_the_parser(
    amount: int, places: int
) -> None:
    if amount == 0:
        return
    text = format_atoms(-amount, places)
    assert text == "-" + format_atoms(amount, places)
    with pytest.raises(DecimalSyntaxError):
        parse_atoms(text, places)


@given(st.text(max_size=90), decimals)
def test_any_text_is_parsed_exactly_or_refused(text: str, places: int) -> None:
    try:
        amount = parse_atoms(text, places)
    except (DecimalSyntaxError, TooManyDecimals, AmountTooLarge):
        return
    assert text.isascii()
    assert Fraction(text) * 10**places == amount


@given(st.from_regex(r"[0-9]{0,50}\.?[0-9]{0,50}", fullmatch=True), decimals)
def test_any_run_of_digits_is_parsed_exactly_or_refused_for_the_true_cause(text: str, places: int) -> None:
    try:
        amount = parse_atoms(text, places)
    except DecimalSyntaxError:
        whole, point, fraction = text.partition(".")
        padded = whole != "0" and whole.startswith("0")
        assert not whole or padded or (point and not fraction) or len(text) > MAX_DECIMAL_CHARS
    except TooManyDecimals:
        assert (Fraction(text) * 10**places).denominator != 1
    except AmountTooLarge:
        assert Fraction(text) * 10**places > MAX_ATOMS
    else:
        assert Fraction(text) * 10**places == amount


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", "-", "+1", "-1", "-0", "1.", ".5", "00", "01", "1e3", "1E3", "1e+999999", "0x10",
        "1_000", "1,000", "1 000", " 1", "1 ", "1\n", "\n1", "\t1", "1.2.3", "nan", "NaN", "inf", "Infinity",
        "null", "1/2", "\uff11\uff12", "\u0661\u0662", "1\uff0e5", "\u00b2", "\u00bd", "1\u2009000", "1\x00",
        "\u22121", "1.-5", "1.+5", "1e-3", "1.5e2", "0b1", "1j", "1f", "1L",
    ],
)  # fmt: skip
def test_what_is_no_plain_ascii_decimal_is_refused(text: str) -> None:
    with pytest.raises(DecimalSyntaxError):
        parse_decimal(text)


def test_a_text_longer_than_the_bound_is_refused_even_when_its_value_is_small() -> None:
    assert parse_decimal("0." + "0" * (MAX_DECIMAL_CHARS - 2)) == (0, 0)
    with pytest.raises(DecimalSyntaxError):
        parse_decimal("0." + "0" * (MAX_DECIMAL_CHARS - 1))


def test_an_error_carries_no_more_of_a_long_text_than_the_bound() -> None:
    with pytest.raises(DecimalSyntaxError) as caught:
        parse_decimal("9" * 100_000)
    assert len(caught.value.text) == MAX_DECIMAL_CHARS


@pytest.mark.parametrize("places", [0, 6, 8, 18, 36])
def test_two_to_the_128_less_one_is_the_largest_amount(places: int) -> None:
    assert parse_atoms(format_atoms(2**128 - 1, places), places) == 2**128 - 1
    with pytest.raises(AmountTooLarge):
        parse_atoms(format_atoms(2**128, places), places)


def test_trailing_zeros_are_not_decimals() -> None:
    assert parse_decimal("0.0150") == (15, 3)
    assert parse_atoms("1.500000", 1) == 15
    assert parse_atoms("5.000", 0) == 5
    with pytest.raises(TooManyDecimals):
        parse_atoms("1.55", 1)


@given(st.integers(-(10**60), 10**60), st.integers(1, 10**20))
def test_div_ceil_is_the_ceiling_of_the_exact_quotient(numerator: int, denominator: int) -> None:
    assert div_ceil(numerator, denominator) == math.ceil(Fraction(numerator, denominator))
