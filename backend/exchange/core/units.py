"""Integer units and the one strict grammar for decimal amounts.

Every amount is a plain int of the asset's smallest unit (atoms), every price a count of ticks, every
size a count of lots. Decimal strings exist only at the outside; this module turns them into integers
exactly or refuses them, and back. There is no float and no rounding here except the named `div_ceil`.
"""

import re
from typing import Final, NewType

Atoms = NewType("Atoms", int)

MAX_ATOMS: Final = 2**128 - 1
"""Largest amount a user balance or a hold may have."""

MAX_PRICE_TICKS: Final = 2**63 - 1
MAX_SIZE_LOTS: Final = 2**63 - 1
MAX_TIME_NS: Final = 2**63 - 1

BPS_PER_ONE: Final = 10_000

MAX_DECIMAL_CHARS: Final = 80
_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?", re.ASCII)


class DecimalSyntaxError(ValueError):
    """The text is not a plain decimal: ASCII digits, one optional point, no sign, no exponent."""

    def __init__(self, text: str) -> None:
        self.text = text[:MAX_DECIMAL_CHARS]
        super().__init__(f"not a plain decimal number: {self.text!r}")


class TooManyDecimals(ValueError):
    """The number is finer than the asset's atoms."""

    def __init__(self, text: str, decimals: int) -> None:
        self.text = text
        self.decimals = decimals
        super().__init__(f"{text!r} has more than {decimals} decimals")


class AmountTooLarge(ValueError):
    """The number does not fit in 128 bits of atoms."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"{text!r} is too large")


def div_ceil(numerator: int, denominator: int) -> int:
    """Quotient rounded towards plus infinity; the only rounding of a fee."""
    return -(-numerator // denominator)


def parse_decimal(text: str) -> tuple[int, int]:
    """Exact (mantissa, decimals) of a plain decimal, trailing zeros of the fraction dropped.

    `"0.0150"` is `(15, 3)`. Raises DecimalSyntaxError.
    """
    if len(text) > MAX_DECIMAL_CHARS:
        raise DecimalSyntaxError(text)
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise DecimalSyntaxError(text)
    whole, fraction = match[1], (match[2] or "").rstrip("0")
    return int(whole + fraction), len(fraction)


def parse_atoms(text: str, decimals: int) -> Atoms:
    """Atoms of a decimal string for an asset of `decimals` decimals.

    Raises DecimalSyntaxError, TooManyDecimals, AmountTooLarge (more than MAX_ATOMS). Zero is allowed.
    """
    mantissa, used_decimals = parse_decimal(text)
    if used_decimals > decimals:
        raise TooManyDecimals(text, decimals)
    atoms = mantissa * 10 ** (decimals - used_decimals)
    if atoms > MAX_ATOMS:
        raise AmountTooLarge(text)
    return Atoms(atoms)


def format_atoms(atoms: int, decimals: int) -> str:
    """Shortest plain decimal string of an amount; the inverse of `parse_atoms`."""
    sign, digits = ("-", -atoms) if atoms < 0 else ("", atoms)
    whole, fraction = divmod(digits, 10**decimals)
    if fraction == 0:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{str(fraction).zfill(decimals).rstrip('0')}"
