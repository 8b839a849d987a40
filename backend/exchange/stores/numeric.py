"""Postgres' binary NUMERIC as Python ints.

asyncpg gives NUMERIC as Decimal, whose default context rounds to 28 digits in arithmetic; amounts here have
39. The binary format is four 16-bit fields (digit groups, weight of the first group, sign, decimals shown)
and then the groups, base 10,000, most significant first. Source: numeric_send in Postgres' numeric.c.
"""

import struct

import asyncpg

_POSITIVE = 0x0000
_NEGATIVE = 0x4000
_HEADER = struct.Struct(">HhHH")
_ZERO = _HEADER.pack(0, 0, _POSITIVE, 0)
_GROUP = 10_000
_GROUPS_2 = _GROUP**2
_GROUPS_4 = _GROUP**4
_GROUPS_8 = _GROUP**8
_PACK_2 = struct.Struct(">HhHH2H").pack
_PACK_4 = struct.Struct(">HhHH4H").pack
_PACK_8 = struct.Struct(">HhHH8H").pack


class NotAnInteger(ValueError):
    """A NUMERIC with a fraction, NaN or infinity where amounts are whole."""


def encode_numeric(value: int) -> bytes:
    """The binary NUMERIC of an int, exact for any size. Raises TypeError for anything but an int."""
    if type(value) is not int:
        raise TypeError(f"a NUMERIC parameter must be an int, not {type(value).__name__}")
    if value == 0:
        return _ZERO
    sign, rest = (_POSITIVE, value) if value > 0 else (_NEGATIVE, -value)
    # Groups of zeros at either end are allowed: Postgres drops them. This is on the projections' hot path.
    if rest < _GROUPS_2:
        return _PACK_2(2, 1, sign, 0, *divmod(rest, _GROUP))
    if rest < _GROUPS_4:
        high, low = divmod(rest, _GROUPS_2)
        return _PACK_4(4, 3, sign, 0, *divmod(high, _GROUP), *divmod(low, _GROUP))
    if rest < _GROUPS_8:
        high, low = divmod(rest, _GROUPS_4)
        first, second = divmod(high, _GROUPS_2)
        third, fourth = divmod(low, _GROUPS_2)
        return _PACK_8(
            8,
            7,
            sign,
            0,
            *divmod(first, _GROUP),
            *divmod(second, _GROUP),
            *divmod(third, _GROUP),
            *divmod(fourth, _GROUP),
        )
    groups: list[int] = []
    while rest:
        rest, eight_digits = divmod(rest, _GROUPS_2)
        high, low = divmod(eight_digits, _GROUP)
        groups += (low, high)
    groups.reverse()
    count = len(groups)
    return struct.pack(f">HhHH{count}H", count, count - 1, sign, 0, *groups)


def decode_numeric(data: bytes) -> int:
    """The int of a binary NUMERIC. Raises NotAnInteger when it is not whole."""
    count, weight, sign, _decimals = _HEADER.unpack_from(data)
    if sign not in {_POSITIVE, _NEGATIVE}:
        raise NotAnInteger("NaN or infinity")
    groups = struct.unpack_from(f">{count}H", data, _HEADER.size)
    value = 0
    for group in groups:
        value = value * _GROUP + group
    whole_groups = weight + 1
    for _ in range(count, whole_groups):
        value *= _GROUP
    for _ in range(whole_groups, count):
        value, fraction = divmod(value, _GROUP)
        if fraction:
            raise NotAnInteger("a NUMERIC with a fraction")
    return -value if sign == _NEGATIVE else value


async def use_int_numeric(connection: asyncpg.Connection) -> None:
    """Makes the connection take and give NUMERIC as int, in COPY too."""
    await connection.set_type_codec(
        "numeric", schema="pg_catalog", encoder=encode_numeric, decoder=decode_numeric, format="binary"
    )
