"""JSON from strangers: RFC 8259 and nothing beside it.

Python's parser takes NaN, duplicate keys, integers of any length, lone surrogates and nesting up to the
stack's end. Here each of these is a Problem with its own code. A number with a fraction or an exponent
decodes to JsonFloat, which is no number: no field of this API is one, and its literal can be shown back.

Nearly every text is plain and sound, and is decoded by msgspec, five times as fast. It takes duplicate keys
too; but in a text that has as many colons as its value has members, no key can be there twice. A text that
may be anything but plain goes the long way, which knows what to say of it. How long that takes has a bound:
it is done before anybody is known, in the loop that trades, so a text may have only so many values.
"""

import json
import re
from typing import Never

import msgspec

from exchange.edge.problems import EdgeCode, Problem

MAX_DEPTH = 16
MAX_INT_DIGITS = 20
MAX_VALUES = 4_000
"""More than twice what the largest batch has."""

_STRUCTURE = re.compile(rb'"[^"\\]*(?:\\.?[^"\\]*)*"?|[{}\[\]]', re.DOTALL)
"""A whole text in quotes, as far as it goes, or a bracket."""
_LOOKED_AT_BYTES = 1_024
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonFloat:
    """A JSON number with a fraction or an exponent, kept as it was written."""

    __slots__ = ("literal",)

    def __init__(self, literal: str) -> None:
        self.literal = literal

    def __repr__(self) -> str:
        return self.literal  # also what `str` and an error's `value` show


class _NotPlain(Exception):
    """What the short way leaves to the long one."""


def decode_json(raw: bytes) -> object:
    """The value of a JSON text. Raises Problem with a code for each way in which it can be bad."""
    _check_values(raw)
    if b"\\u" not in raw:
        try:
            value: object = _decode_plain(raw)
            if _members(value, MAX_DEPTH) == raw.count(b":"):
                return value
        except (_NotPlain, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    return decode_any(raw)


def decode_any(raw: bytes) -> object:
    """The same, the long way."""
    _check_values(raw)
    _check_depth(raw)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Problem(EdgeCode.INVALID_UTF8, f"invalid UTF-8 at byte {error.start}") from error
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Problem(EdgeCode.MALFORMED_JSON, f"{error.msg} at character {error.pos}") from error
    if b"\\u" in raw:
        _check_surrogates(value)
    return value


def _members(value: object, depth: int) -> int:
    """How many members all objects in it have. Raises _NotPlain for what is nested more than `depth` levels,
    or has a number with more than 64 bits.
    """
    kind = type(value)
    if kind is dict:
        inner, count = value.values(), len(value)  # type: ignore[attr-defined,arg-type]
    elif kind is list:
        inner, count = value, 0
    elif kind is int and not _MIN_INT <= value <= _MAX_INT:  # type: ignore[operator]
        raise _NotPlain
    else:
        return 0
    if not depth:
        raise _NotPlain
    for each in inner:
        if type(each) is not str:
            count += _members(each, depth - 1)
    return count


def _check_values(raw: bytes) -> None:
    """There are no more values than brackets and commas, but for one."""
    if raw.count(b",") + raw.count(b"{") + raw.count(b"[") < MAX_VALUES:
        return
    _check_depth(raw[:_LOOKED_AT_BYTES])
    raise Problem(EdgeCode.TOO_MANY_VALUES, f"at most {MAX_VALUES} values")


def _check_depth(raw: bytes) -> None:
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for token in _STRUCTURE.finditer(raw):
        first = raw[token.start()]
        if first in b"{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise Problem(EdgeCode.NESTING_TOO_DEEP, f"at most {MAX_DEPTH} levels")
        elif first in b"}]":
            depth -= 1


def _check_surrogates(value: object) -> None:
    match value:
        case str() if _SURROGATE.search(value):
            raise Problem(EdgeCode.INVALID_UTF8, "a \\u escape is half of a surrogate pair")
        case dict():
            for key, inner in value.items():
                _check_surrogates(key)
                _check_surrogates(inner)
        case list():
            for inner in value:
                _check_surrogates(inner)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Problem(EdgeCode.DUPLICATE_KEY, field=key[:100].encode("utf-8", "replace").decode())
            seen.add(key)
    return result


def _integer(literal: str) -> int:
    if len(literal) > MAX_INT_DIGITS:
        raise Problem(EdgeCode.NUMBER_TOO_LARGE, f"at most {MAX_INT_DIGITS} digits", value=literal)
    return int(literal)


def _constant(literal: str) -> Never:
    raise Problem(EdgeCode.MALFORMED_JSON, f"{literal} is not JSON")


def _float(_: str) -> Never:
    raise _NotPlain


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=JsonFloat, parse_constant=_constant
)
_decode_plain = msgspec.json.Decoder(float_hook=_float).decode
