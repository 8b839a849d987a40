"""Commands and events as the journal keeps them: exact both ways, or a typed refusal."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.core.strategies import COMMANDS, EVENTS, plain, structs

from exchange.core.commands import CancelOrder, Command, CreditDeposit, ListAsset, OpenAccount, PlaceOrder
from exchange.core.events import Event, Rejected
from exchange.core.rejects import RejectReason
from exchange.core.words import OrderType, Side, TimeInForce
from exchange.journal.rows import decode_row, encode_command, encode_payload, join_commands

REFUSED = (msgspec.DecodeError, UnicodeDecodeError)
EDGES = [n + d for n in (2**63, 2**64, 2**127, 2**128) for d in (-1, 0, 1)]
NUMBERS = [0, 1, 2**53 + 1, *EDGES, *(-n for n in EDGES), 2**200, 10**4_000]


def decode_commands(payload: bytes) -> list[Command]:
    """The commands of a stored row."""
    return decode_row(_record(payload, b"[]")).commands


def decode_events(payload: bytes) -> list[list[Event]]:
    """The events of a stored row."""
    return decode_row(_record(b"[]", payload)).events


def _record(commands: bytes, events: bytes) -> dict[str, object]:
    numbers = dict.fromkeys(("seq_first", "seq_last", "epoch", "time_ns", "rules_version"), 1)
    return {**numbers, "commands": commands, "events": events, "hash_prev": b"", "hash": b""}


@given(st.lists(structs(COMMANDS), max_size=5))
def test_any_commands_are_read_back_as_they_were_written(commands: list[Command]) -> None:
    encoded = encode_payload(commands)
    decoded = decode_commands(encoded)
    assert decoded == commands
    assert [type(command) for command in decoded] == [type(command) for command in commands]
    assert encode_payload(decoded) == encoded
    assert join_commands(map(encode_command, commands)) == encoded


@given(st.lists(st.lists(structs(EVENTS), max_size=3), max_size=4))
def test_any_events_are_read_back_as_they_were_written(events: list[list[Event]]) -> None:
    encoded = encode_payload(events)
    decoded = decode_events(encoded)
    assert decoded == events
    assert [[type(event) for event in some] for some in decoded] == [
        [type(event) for event in some] for some in events
    ]
    assert encode_payload(decoded) == encoded


# ---- numbers


@pytest.mark.parametrize("kind", [*COMMANDS, *EVENTS])
def test_every_number_of_every_kind_is_exact_at_and_beyond_64_and_128_bits(
    kind: type[msgspec.Struct],
) -> None:
    decode = msgspec.json.Decoder(kind).decode
    for field in msgspec.structs.fields(kind):
        for number in NUMBERS if field.type is int else ():
            written = msgspec.structs.replace(plain(kind), **{field.name: number})
            assert decode(encode_command(written)) == written


@pytest.mark.parametrize("amount", NUMBERS)
def test_an_amount_beyond_64_bits_is_exact(amount: int) -> None:
    deposit = CreditDeposit(1, "0xv", 1, "0xo", "0xt", amount, "0xh", 0, 1)
    assert decode_commands(encode_payload([deposit])) == [deposit]
    assert str(amount).encode() in encode_payload([deposit])


@pytest.mark.parametrize("digits", [4_301, 100_000])
def test_a_number_without_end_is_refused_both_ways(digits: int) -> None:
    with pytest.raises(ValueError, match="4300 digits"):
        encode_command(CancelOrder(1, 10**digits))
    with pytest.raises(REFUSED):
        decode_commands(b'[["CancelOrder",1,' + b"9" * digits + b"]]")


@pytest.mark.parametrize(
    "number",
    [b"2.0", b"2.5", b"2e1", b"2E+1", b"02", b"+2", b"0x2", b"2_0", b"NaN", b"Infinity", b"-",
     b"1" * 400 + b".0", b'"2"', b"true", b"null", b"[2]", b"{}", b"1e999999999", b"2 2",
     "\N{FULLWIDTH DIGIT TWO}".encode()],
)  # fmt: skip
def test_what_is_no_whole_number_is_refused(number: bytes) -> None:
    with pytest.raises(REFUSED):
        decode_commands(b'[["CancelOrder",1,' + number + b"]]")


# ---- text


@pytest.mark.parametrize("text", [chr(0xD800), chr(0xDFFF), f"a{chr(0xDC80)}b", chr(0xDC00) + chr(0xD800)])
def test_a_lone_surrogate_can_not_be_written(text: str) -> None:
    """Whoever takes a command in must refuse it before it is applied; see Sequencer.submit."""
    with pytest.raises(ValueError, match="surrogates not allowed"):
        encode_command(OpenAccount(text))


@pytest.mark.parametrize(
    "escaped",
    [
        rb"\ud800",
        rb"\udc00",
        rb"\ud800\ud800",
        rb"\udc00\ud800",
        rb"\ud800A",
        rb"x\ud800\u0041",
        rb"\ud83dx\ude00",
    ],
)
def test_a_lone_surrogate_can_not_be_read(escaped: bytes) -> None:
    with pytest.raises(REFUSED):
        decode_commands(b'[["OpenAccount","' + escaped + b'abcdef",0]]')


@pytest.mark.parametrize(
    "raw", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x00", b"\x1f", b"\n"]
)
def test_bytes_that_are_no_text_are_refused(raw: bytes) -> None:
    with pytest.raises(REFUSED):
        decode_commands(b'[["OpenAccount","' + raw + b'",0]]')


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("\x00\x1f\x7f\"\\/\u2028\ufffe\U0010ffff\U0001f600")  # fmt: skip
def test_any_text_is_exact(text: str) -> None:
    assert decode_commands(encode_payload([OpenAccount(text)])) == [OpenAccount(text)]


# ---- shape


def test_the_written_form_is_an_array_that_begins_with_the_kind() -> None:
    order = PlaceOrder(1, 2, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 3, 4, None, 5)
    assert json.loads(encode_payload([order])) == [
        ["PlaceOrder", 1, 2, "buy", "limit", "gtc", 3, 4, None, 5, "cancel_newest", 0, None, 0, 0]
    ]
    assert json.loads(encode_payload([[Rejected(RejectReason.UNKNOWN_ORDER)]])) == [
        [["Rejected", "unknown_order"]]
    ]


def test_a_field_with_a_default_may_be_missing_at_the_end_of_an_old_row() -> None:
    old = b'[["ListAsset","ETH",18,1,"0xv","0xt"]]'
    assert decode_commands(old) == [ListAsset("ETH", 18, 1, "0xv", "0xt")]
    order = PlaceOrder(1, 2, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 3, 4, None, 5)
    assert decode_commands(b'[["PlaceOrder",1,2,"buy","limit","gtc",3,4,null,5,"cancel_newest"]]') == [order]


@pytest.mark.parametrize("kind", [*COMMANDS, *EVENTS])
def test_a_field_that_is_not_known_here_is_refused(kind: type[msgspec.Struct]) -> None:
    """A row of newer code must not be read as if the new field had not been there."""
    written = encode_command(plain(kind))
    decode = msgspec.json.Decoder(kind).decode
    assert decode(written)
    with pytest.raises(REFUSED):
        decode(written[:-1] + b',"from the future"]')


@pytest.mark.parametrize(
    "payload",
    [
        b'[["MintMoney",1,2]]',
        b'[["Rejected","unknown_order"]]',
        b'[["placeorder",1,2]]',
        b"[[]]",
        b"[{}]",
        b"[null]",
        b"null",
        b"",
        b'[["CancelOrder",1]]',
        b'[["CancelOrder",1,2.5]]',
        b'[["CancelOrder",1,"2"]]',
        b'[["CancelOrder",1,true]]',
        b'[["CancelOrder",1,NaN]]',
        b'[["CancelOrder",1,2]',
        b'[["CancelOrder",1,2]]x',
        b'[["CancelOrder",1,2],]',
        b'[["CancelOrder",1,2,3]]',
        b'\xef\xbb\xbf[["CancelOrder",1,2]]',
        b'[["OpenAccount","\xff"]]',
        b'[["PlaceOrder",1,2,"BUY","limit","gtc",3,4,null,5]]',
        b'[["SetFees",1,[[1]]]]',
        b'[["SetFees",1,[[1,2,3]]]]',
        b'[["SetFees",1,[1,2]]]',
        b'[["SetMarketState",1,"closed"]]',
        b'[["CancelAll",1,null,"both"]]',
        b'[["PlaceOrder",1,2,"buy","limit","gtc",3,4,null,5,"cancel_newest",0,"trailing",7,0]]',
    ],
)
def test_what_is_no_command_is_refused(payload: bytes) -> None:
    with pytest.raises(REFUSED):
        decode_commands(payload)


@pytest.mark.parametrize(
    "payload", [b'[[["CancelOrder",1,2]]]', b'[[["Rejected","because"]]]', b'[["Rejected","unknown_order"]]']
)
def test_what_is_no_event_is_refused(payload: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_events(payload)


# ---- noise


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_are_what_they_say(payload: bytes) -> None:
    for decode in (decode_commands, decode_events):
        try:
            decoded: Any = decode(payload)
        except REFUSED:
            continue
        assert decode(encode_payload(decoded)) == decoded


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9),
        st.sampled_from([kind.__name__ for kind in COMMANDS]),
    ),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=100)
@given(json_values)
def test_any_other_json_is_refused_or_is_what_it_says(value: object) -> None:
    payload = json.dumps([value]).encode()
    try:
        decoded = decode_commands(payload)
    except REFUSED:
        return
    assert decode_commands(encode_payload(decoded)) == decoded


@given(st.lists(structs(COMMANDS), min_size=1, max_size=3), st.data())
def test_a_truncated_payload_is_refused(commands: list[Command], data: st.DataObject) -> None:
    encoded = encode_payload(commands)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(REFUSED):
        decode_commands(encoded[:cut])


@settings(max_examples=150)
@given(st.lists(structs(COMMANDS), min_size=1, max_size=2), st.data())
def test_a_changed_byte_is_refused_or_read_as_what_it_then_says(
    commands: list[Command], data: st.DataObject
) -> None:
    encoded = bytearray(encode_payload(commands))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_commands(bytes(encoded))
    except REFUSED:
        return
    assert decode_commands(encode_payload(decoded)) == decoded


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        b'[["CancelOrder",1,' + b"[" * 200_000,
        b'[["CancelOrder",1,2,' + b"[" * 200_000 + b"]" * 200_000 + b"]]",
        b'[["SetFees",1,' + b"[" * 200_000,
        b'[["OpenAccount",' + b'{"":' * 200_000,
    ],
)
def test_nesting_without_end_is_refused(payload: bytes) -> None:
    for decode in (decode_commands, decode_events):
        with pytest.raises(REFUSED):
            decode(payload)


def test_an_oversized_payload_is_refused_or_exact() -> None:
    long = "x" * 5_000_000
    assert decode_commands(encode_payload([OpenAccount(long)])) == [OpenAccount(long)]
    for huge in (
        b'[["OpenAccount","' + b"x" * 5_000_000,
        b'[["CancelOrder",1,' + b"7" * 5_000_000 + b"]]",
        b'[["CancelOrder",' + b"1," * 2_000_000 + b"1]]",
        b'[["CancelOrder",1,2],' * 100_000,
        b" " * 5_000_000,
    ):
        with pytest.raises(REFUSED):
            decode_commands(huge)


# ---- kinds


def test_commands_and_events_can_not_be_changed() -> None:
    order: Any = PlaceOrder(1, 2, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 3, 4, None, 5)
    with pytest.raises(AttributeError):
        order.size_lots = 9
    event: Any = Rejected(RejectReason.UNKNOWN_ORDER)
    with pytest.raises(AttributeError):
        event.reason = RejectReason.UNKNOWN_ASSET


def test_no_two_kinds_share_a_name() -> None:
    names = [kind.__name__ for kind in (*COMMANDS, *EVENTS)]
    assert len(set(names)) == len(names)
