"""The short way of decoding gives what the long one gives, or leaves it to that."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exchange.edge import strict_json
from exchange.edge.problems import Problem
from exchange.edge.strict_json import MAX_DEPTH, MAX_VALUES, JsonFloat, decode_any, decode_json
from exchange.gateway.batches import MAX_OPERATIONS
from exchange.gateway.requests import PLACE_FIELDS

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**21), 10**21)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.sampled_from('ab:"\\{}[],\n\u00e9\U0001f600'), max_size=6)
)
KEYS = st.sampled_from(["a", "b", "c:", ""])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """JSON, escaped or not, with blanks or without, now and then with a piece out of its place."""
    text = json.dumps(
        draw(VALUES),
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", " : ")])),
    )
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(text)))
        end = draw(st.integers(place, min(len(text), place + 3)))
        text = (
            text[:place]
            + draw(st.sampled_from(["", '"a":1,', ",", "}", "0", "e5", "\\u0061", "[["]))
            + text[end:]
        )
    return text.encode()


def shown(value: object) -> object:
    """Two floats with one literal are equal here."""
    if isinstance(value, JsonFloat):
        return ("float", value.literal)
    if isinstance(value, dict):
        return {key: shown(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shown(inner) for inner in value]
    return (type(value), value)


def outcome(decode, raw: bytes) -> object:
    try:
        return shown(decode(raw))
    except Problem as problem:
        return problem.code, problem.detail, problem.value, problem.field


@given(texts())
@example(b'{"a":1,"a":2}')
@example(b'{"a":1,"a":":"}')
@example(b'{"a" :1,"a":2}')
@example(b'{"a":{"b":1},"a":{"b":1}}')
@example(b'[{"a":1,"a":1},{"b:":2}]')
@example(b'{"a":18446744073709551616}')
@example(b'{"a":-9223372036854775809}')
@example(b'{"a":123456789012345678901}')
@example(b'{"a":1.0}')
@example(b'{"a":1E400}')
@example(b'{"a":"\\ud800"}')
@example(b'{"\\u0061":1,"a":2}')
@example(b'{"a":"\xed\xa0\x80"}')
@example(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
@example(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
@example(b"[" * 30_000)
@example(b"[" + b"{}," * 1_999 + b"{}]")
@example(b"[" + b"{}," * 2_000 + b"{}]")
@example(b"[" + b"1," * 4_000 + b"1]")
@example(b'["\\u0041",' + b'"",' * 3_000 + b'"\\\\"]')
@example(b"{},[[" + b'"\\' * 3_000)
def test_both_ways_give_the_same(raw: bytes) -> None:
    assert outcome(decode_json, raw) == outcome(decode_any, raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"market":"ETH-USDC","side":"buy","price":"2999.5","size":"0.1","sub_account":3}',
        b'{"operations":[{"op":"cancel","order_id":"7"},{"op":"place","trigger":{"type":"stop","price":"1"}}]}',
        b"{}",
    ],
)
def test_what_is_usually_sent_goes_the_short_way(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_need(_: bytes) -> object:
        raise AssertionError("this is plain")

    expected = json.loads(raw)
    monkeypatch.setattr(strict_json, "decode_any", no_need)
    assert decode_json(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"{}," * 20_000 + b"{}]",
        b"[" + b"{}," * 20_000 + b'"\\u0041"]',
        b'{"a":[' + b'"",' * 20_000 + b"1.5]}",
        b"," * 60_000,
    ],
)
def test_a_text_of_too_many_values_is_not_read(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: object) -> object:
        raise AssertionError("it takes tens of milliseconds, and nobody knows yet who has sent it")

    monkeypatch.setattr(strict_json, "_decode_plain", never)
    monkeypatch.setattr(strict_json, "_DECODER", None)
    with pytest.raises(Problem, match="too_many_values"):
        decode_json(raw)


def test_the_largest_batch_has_half_as_many_values_as_are_read() -> None:
    order = dict.fromkeys(PLACE_FIELDS, "x") | {
        "op": "place",
        "trigger": {"type": "stop", "price": "1"},
    }
    raw = json.dumps({"operations": [order] * MAX_OPERATIONS}).encode()
    assert decode_json(raw) == json.loads(raw)
    assert raw.count(b",") + raw.count(b"{") + raw.count(b"[") < MAX_VALUES / 2


def test_a_key_that_is_there_twice_is_named() -> None:
    with pytest.raises(Problem, match=re.escape("duplicate_key")) as raised:
        decode_json(b'{"side":"buy","side":"sell"}')
    assert raised.value.field == "side"
