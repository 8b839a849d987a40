"""The signer's own limits: per token, how much one payment and how much all of a time may be.

A file of its own, on the signer's machine, so that nothing the exchange says can raise them:

    [[token]]
    token = "0x0000000000000000000000000000000000000000"
    decimals = 18
    max_payment = "25"        # decimals of the token, net of the fee
    max_in_window = "100"     # over all payments of any 24 hours
    window_minutes = 1440

A token that is not in it is not signed for.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from exchange.core.units import parse_atoms
from exchange.policy_signer.refusals import LimitsInvalid

MAX_WINDOW_MINUTES = 31 * 24 * 60
MAX_DECIMALS = 36

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """Of one token, in atoms. Both bounds are inclusive; the window is any `window_s` seconds on end."""

    max_payment_atoms: int
    max_in_window_atoms: int
    window_s: int


class _Token(msgspec.Struct, forbid_unknown_fields=True):
    token: str
    decimals: int
    max_payment: str
    max_in_window: str
    window_minutes: int


class _File(msgspec.Struct, forbid_unknown_fields=True):
    token: list[_Token]


def parse_limits(text: str) -> Mapping[str, TokenLimits]:
    """Limits by the token's lower-case address. Raises LimitsInvalid."""
    try:
        tables = msgspec.convert(tomllib.loads(text), _File).token
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise LimitsInvalid(str(error)) from error
    limits: dict[str, TokenLimits] = {}
    for table in tables:
        token = table.token.lower()
        if _ADDRESS.fullmatch(table.token) is None:
            raise LimitsInvalid(f"not a token's address: {table.token!r}")
        if token in limits:
            raise LimitsInvalid(f"token {token} is there twice")
        limits[token] = _limits(token, table)
    if not limits:
        raise LimitsInvalid("no token may be paid")
    return limits


def _limits(token: str, table: _Token) -> TokenLimits:
    if not 0 <= table.decimals <= MAX_DECIMALS:
        raise LimitsInvalid(f"token {token}: decimals must be 0 to {MAX_DECIMALS}")
    if not 1 <= table.window_minutes <= MAX_WINDOW_MINUTES:
        raise LimitsInvalid(f"token {token}: window_minutes must be 1 to {MAX_WINDOW_MINUTES}")
    try:
        limits = TokenLimits(
            max_payment_atoms=parse_atoms(table.max_payment, table.decimals),
            max_in_window_atoms=parse_atoms(table.max_in_window, table.decimals),
            window_s=60 * table.window_minutes,
        )
    except ValueError as error:
        raise LimitsInvalid(f"token {token}: {error}") from error
    if not 0 < limits.max_payment_atoms <= limits.max_in_window_atoms:
        raise LimitsInvalid(f"token {token}: max_payment must be positive and at most max_in_window")
    return limits
