"""From the outside's words and decimal strings to the core's numbers: exactly, or refused.

Nothing is rounded. A price off the tick or a size off the lot is refused with the nearest values below and
above that would be taken. The values come out of a decoded JSON object, so they may be of any type; null is
the same as a field that is not there.
"""

import re
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from functools import cache, lru_cache
from typing import TypeVar

from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.core.markets import Market
from exchange.core.rejects import RejectReason
from exchange.core.units import (
    MAX_DECIMAL_CHARS,
    MAX_PRICE_TICKS,
    MAX_SIZE_LOTS,
    AmountTooLarge,
    Atoms,
    DecimalSyntaxError,
    TooManyDecimals,
    parse_atoms,
    parse_decimal,
)
from exchange.gateway.refusals import FieldRefused, GatewayCode

MAX_REQUEST_LIFE_MS = 30_000
_STEPS_REMEMBERED = 8_192

_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
_MAX_ORDER_ID_CHARS = 19
_Word = TypeVar("_Word", bound=StrEnum)


def refuse_unknown_fields(body: Mapping[str, object], fields: Collection[str], within: str = "") -> None:
    """Raises FieldRefused (field_unknown) for the first field that is not one of these."""
    for field in body:
        if field not in fields:
            raise FieldRefused(GatewayCode.FIELD_UNKNOWN, "no such field", field=within + field)


def required(body: Mapping[str, object], field: str, within: str = "") -> object:
    """The field's value. Raises FieldRefused (field_missing)."""
    value = body.get(field)
    if value is None:
        raise FieldRefused(GatewayCode.FIELD_MISSING, "this field is required", field=within + field)
    return value


def parse_market(value: object, markets: Mapping[str, Market], field: str = "market") -> Market:
    """The market of a symbol. Raises FieldRefused (unknown_market)."""
    market = markets.get(value) if isinstance(value, str) else None
    if market is None:
        raise FieldRefused(RejectReason.UNKNOWN_MARKET, "no such market", field=field, value=value)
    return market


@cache
def _by_value(words: type[_Word]) -> dict[str, _Word]:
    """Read four times for each order, where calling the enumeration takes longer."""
    return {word.value: word for word in words}


def parse_word(value: object, field: str, words: type[_Word]) -> _Word:
    """One of an enumeration's words, exactly as written there."""
    if isinstance(value, str):
        word: _Word | None = _by_value(words).get(value)
        if word is not None:
            return word
    known = ", ".join(word.value for word in words)
    raise FieldRefused(GatewayCode.FIELD_INVALID, f"must be one of: {known}", field=field, value=value)


def parse_price_ticks(value: object, market: Market, field: str = "price") -> int:
    """Ticks of a price, 1..MAX_PRICE_TICKS."""
    if type(value) is str and len(value) <= MAX_DECIMAL_CHARS:
        ticks = _exact_steps(value, market.tick_mantissa, market.tick_decimals, MAX_PRICE_TICKS)
        if ticks:
            return ticks
    mantissa, decimals = _positive_decimal(value, field)
    return _whole_steps(
        mantissa * 10**market.tick_decimals,
        market.tick_mantissa * 10**decimals,
        largest=MAX_PRICE_TICKS,
        off_step=GatewayCode.PRICE_OFF_TICK,
        out_of_range=RejectReason.PRICE_OUT_OF_RANGE,
        step=f"the tick of {market.symbol}, {market.tick}",
        text=market.format_price,
        field=field,
        value=value,
    )


def parse_size_lots(value: object, market: Market, field: str = "size") -> int:
    """Lots of a size, 1..MAX_SIZE_LOTS."""
    if type(value) is str and len(value) <= MAX_DECIMAL_CHARS:
        lots = _exact_steps(value, market.lot_atoms, market.base_decimals, MAX_SIZE_LOTS)
        if lots:
            return lots
    mantissa, decimals = _positive_decimal(value, field)
    return _whole_steps(
        mantissa * 10**market.base_decimals,
        market.lot_atoms * 10**decimals,
        largest=MAX_SIZE_LOTS,
        off_step=GatewayCode.SIZE_OFF_LOT,
        out_of_range=RejectReason.SIZE_OUT_OF_RANGE,
        step=f"the lot of {market.symbol}, {market.lot}",
        text=market.format_size,
        field=field,
        value=value,
    )


def parse_amount_atoms(value: object, decimals: int, field: str, *, zero_allowed: bool = False) -> Atoms:
    """Atoms of an amount of an asset, below 2^128."""
    mantissa, _ = _decimal(value, field)
    assert isinstance(value, str)
    if mantissa == 0 and not zero_allowed:
        raise _not_positive(field, value)
    try:
        return parse_atoms(value, decimals)
    except TooManyDecimals as error:
        raise FieldRefused(
            GatewayCode.TOO_MANY_DECIMALS, f"at most {decimals} decimals", field=field, value=value
        ) from error
    except AmountTooLarge as error:
        raise FieldRefused(
            RejectReason.AMOUNT_TOO_LARGE, "does not fit in 128 bits of atoms", field=field, value=value
        ) from error


def parse_client_id(value: object, field: str) -> str:
    """An id of the caller's own: 1 to 36 letters, digits, - and _."""
    if isinstance(value, str) and _CLIENT_ID.fullmatch(value):
        return value
    raise FieldRefused(
        GatewayCode.FIELD_INVALID, "1 to 36 of the characters A-Z a-z 0-9 - _", field=field, value=value
    )


def parse_sub_account(value: object, field: str = "sub_account") -> int:
    """A sub-account's number, 0 (the main one) to 127."""
    return parse_whole(value, field, 0, MAX_SUB_ACCOUNT)


def parse_whole(value: object, field: str, least: int, most: int) -> int:
    """A JSON number without fraction, within bounds."""
    if type(value) is not int or not least <= value <= most:
        raise FieldRefused(
            GatewayCode.FIELD_INVALID,
            f"must be a whole number from {least} to {most}",
            field=field,
            value=value,
        )
    return value


def parse_order_id(value: object, field: str = "order_id") -> int:
    """The number in an order id. Whatever is none can be no order's: FieldRefused (unknown_order)."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_ORDER_ID_CHARS:
        number = int(value)
        if number < 2**63:
            return number
    raise FieldRefused(RejectReason.UNKNOWN_ORDER, "this is no order's id", field=field, value=value)


def parse_time_ms(value: object, field: str) -> int:
    """A point in time as whole milliseconds since 1970 (UTC)."""
    if type(value) is not int:
        raise FieldRefused(
            GatewayCode.FIELD_INVALID,
            "whole milliseconds since 1970 (UTC), as a number",
            field=field,
            value=value,
        )
    return value


def parse_expires_ns(value: object, now_ns: int, field: str = "expires_at_ms") -> int:
    """Until when the engine may take the request: a time in the next 30 s, by default all of them."""
    now_ms = now_ns // 1_000_000
    latest_ms = now_ms + MAX_REQUEST_LIFE_MS
    if value is None:
        return latest_ms * 1_000_000
    expires_ms = parse_time_ms(value, field)
    if expires_ms <= now_ms:
        raise FieldRefused(
            RejectReason.REQUEST_EXPIRED, f"this time is past; it is {now_ms} now", field=field, value=value
        )
    if expires_ms > latest_ms:
        raise FieldRefused(
            GatewayCode.EXPIRY_TOO_FAR,
            "at most 30 s from now",
            field=field,
            value=value,
            nearest=(str(latest_ms),),
        )
    return expires_ms * 1_000_000


@lru_cache(_STEPS_REMEMBERED)
def _exact_steps(text: str, step_mantissa: int, step_decimals: int, largest: int) -> int:
    """How many steps a decimal is, 1 to `largest`; 0 where it is to be looked at closely.

    Remembered, because who trades says the same prices and sizes over and over.
    """
    try:
        mantissa, decimals = parse_decimal(text)
    except DecimalSyntaxError:
        return 0
    steps, remainder = divmod(mantissa * 10**step_decimals, step_mantissa * 10**decimals)
    return 0 if remainder or steps > largest else steps


def _decimal(value: object, field: str) -> tuple[int, int]:
    if not isinstance(value, str):
        raise FieldRefused(
            GatewayCode.NOT_A_DECIMAL,
            'must be a decimal in a string, like "0.015", never a JSON number',
            field=field,
            value=value,
        )
    if len(value) > MAX_DECIMAL_CHARS:
        raise FieldRefused(
            GatewayCode.TOO_MANY_DIGITS, f"at most {MAX_DECIMAL_CHARS} characters", field=field, value=value
        )
    try:
        return parse_decimal(value)
    except DecimalSyntaxError as error:
        raise FieldRefused(
            GatewayCode.NOT_A_DECIMAL,
            "must be plain: digits 0-9, one optional point, no sign, no exponent, no separator",
            field=field,
            value=value,
        ) from error


def _positive_decimal(value: object, field: str) -> tuple[int, int]:
    mantissa, decimals = _decimal(value, field)
    if mantissa == 0:
        raise _not_positive(field, value)
    return mantissa, decimals


def _not_positive(field: str, value: object) -> FieldRefused:
    return FieldRefused(GatewayCode.MUST_BE_POSITIVE, "must be more than zero", field=field, value=value)


def _whole_steps(
    numerator: int,
    denominator: int,
    *,
    largest: int,
    off_step: StrEnum,
    out_of_range: StrEnum,
    step: str,
    text: Callable[[int], str],
    field: str,
    value: object,
) -> int:
    steps, remainder = divmod(numerator, denominator)
    if steps > largest:
        raise FieldRefused(out_of_range, f"at most {text(largest)}", field=field, value=value)
    if remainder:
        around = tuple(text(near) for near in (steps, steps + 1) if 1 <= near <= largest)
        raise FieldRefused(
            off_step, f"must be a whole multiple of {step}", field=field, value=value, nearest=around
        )
    return steps
