"""JSON from strangers: RFC 8259 and nothing beside it.

Python's parser takes NaN, duplicate keys, integers of any length, lone surrogates and nesting up to the
stack's end. Here each of these is a Problem with its own code. A number with a fraction or an exponent
decodes to JsonFloat, which is no number: no field of this API is one, and its literal can be shown back.
"""

import json
import re
from typing import Never

from exchange.edge.problems import EdgeCode, Problem

MAX_DEPTH = 16
MAX_INT_DIGITS = 20

_STRUCTURE = re.compile(rb'\\.|["{}\[\]]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonFloat:
    """A JSON number with a fraction or an exponent, kept as it was written."""

    __slots__ = ("literal",)

    def __init__(self, literal: str) -> None:
        self.literal = literal

    def __repr__(self) -> str:
        return self.literal  # also what `str` and an error's `value` show


def decode_json(raw: bytes) -> object:
    """The value of a JSON text. Raises Problem with a code for each way in which it can be bad."""
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


def _check_depth(raw: bytes) -> None:
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return
    depth, in_string = 0, False
    for token in _STRUCTURE.findall(raw):
        if token == b'"':
            in_string = not in_string
        elif in_string:
            continue
        elif token in b"{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise Problem(EdgeCode.NESTING_TOO_DEEP, f"at most {MAX_DEPTH} levels")
        elif token in b"}]":
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


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=JsonFloat, parse_constant=_constant
)
