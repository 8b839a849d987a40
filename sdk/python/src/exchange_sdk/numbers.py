"""Exact numbers: in as Decimal, int or text, out as Decimal. Never a float, which can not hold 0.1.

Text is plain digits with at most one point, as the exchange takes it: no sign, exponent or separator.
Nothing here depends on, or is rounded by, the precision of the current decimal context.
"""

import re
from decimal import Context, Decimal
from typing import Literal

Number = Decimal | int | str
"""What every price, size and amount may be given as."""

Rounding = Literal["down", "up", "nearest"]
"""`nearest` rounds a half up."""

EXACT = Context(prec=200)
"""Has room for whatever comes of two numbers of the exchange."""

_PLAIN = re.compile(r"[0-9]{1,80}(?:\.[0-9]{1,80})?", re.ASCII)


def decimal(value: Number, name: str = "value") -> Decimal:
    """The value, exactly. Raises TypeError for floats and anything else, ValueError for what is no number."""
    if isinstance(value, float):
        raise TypeError(
            f"{name} is the float {value!r}, which is not exact: give Decimal('{value!r}') or '{value!r}'"
        )
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise TypeError(f"{name} must be Decimal, int or str, not {type(value).__name__}")
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) is None:
            raise ValueError(f"{name} must be a plain decimal number such as '0.015', not {value!r}")
        return Decimal(value)
    exact = Decimal(value)
    if not exact.is_finite():
        raise ValueError(f"{name} must be a number, not {value}")
    if not exact:
        return Decimal(0)
    if abs(exact.adjusted()) > 80:
        raise ValueError(f"{name} has too many digits: {value}")
    return exact


def plain(value: Number, name: str = "value") -> str:
    """The value as the exchange writes it: no exponent, no zeros that say nothing. Raises as `decimal`."""
    text = format(decimal(value, name), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def round_to(value: Number, step: Number, rounding: Rounding = "down") -> Decimal:
    """The value as a whole number of steps: a price to ticks, a size to lots.

    Raises ValueError for a step that is not above zero.
    """
    exact, unit = decimal(value), decimal(step, "step")
    if unit <= 0:
        raise ValueError(f"step must be above zero, not {step}")
    scale = max(_decimals(exact), _decimals(unit))
    atoms, step_atoms = _scaled(exact, scale), _scaled(unit, scale)
    whole, rest = divmod(atoms, step_atoms)
    if rounding == "up":
        whole += rest > 0
    elif rounding == "nearest":
        whole += 2 * rest >= step_atoms
    elif rounding != "down":
        raise ValueError(f"rounding must be down, up or nearest, not {rounding!r}")
    return _unscaled(whole * step_atoms, scale)


def half_way(one: Decimal, other: Decimal) -> Decimal:
    """The middle of two numbers, exactly."""
    return EXACT.divide(EXACT.add(one, other), Decimal(2))


def is_whole(value: Number, step: Number) -> bool:
    """Whether the value is a whole number of steps."""
    return round_to(value, step) == decimal(value)


def to_atoms(value: Number, decimals: int, name: str = "value") -> int:
    """The value in the smallest units of an asset. Raises ValueError where it is finer than those."""
    exact = decimal(value, name)
    if _decimals(Decimal(plain(exact))) > decimals:
        raise ValueError(f"{name} is finer than {decimals} decimals: {value}")
    return _scaled(Decimal(plain(exact)), decimals)


def from_atoms(atoms: int, decimals: int) -> Decimal:
    """An amount of smallest units as the number that people read."""
    return Decimal(plain(_unscaled(atoms, decimals)))


def _decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def _scaled(value: Decimal, scale: int) -> int:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    number = int("".join(map(str, digits))) * int(10 ** (exponent + scale))
    return -number if sign else number


def _unscaled(number: int, scale: int) -> Decimal:
    digits = str(abs(number)).rjust(scale + 1, "0")
    text = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    return Decimal(plain(Decimal(("-" if number < 0 else "") + text)))
