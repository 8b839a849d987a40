import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.strategies import COMMANDS, EVENTS, structs

from exchange.core.commands import Command, CreditDeposit, ListAsset, PlaceOrder
from exchange.core.events import Event, Rejected
from exchange.core.orders import OrderType, Side, TimeInForce
from exchange.core.rejects import RejectReason
from exchange.journal.rows import encode_payload

decode_commands = msgspec.json.Decoder(list[Command]).decode
decode_events = msgspec.json.Decoder(list[list[Event]]).decode


@given(st.lists(structs(COMMANDS), max_size=5))
def test_any_commands_are_read_back_as_they_were_written(commands: list[Command]) -> None:
    encoded = encode_payload(commands)
    decoded = decode_commands(encoded)
    assert decoded == commands
    assert [type(command) for command in decoded] == [type(command) for command in commands]
    assert encode_payload(decoded) == encoded


@given(st.lists(st.lists(structs(EVENTS), max_size=3), max_size=4))
def test_any_events_are_read_back_as_they_were_written(events: list[list[Event]]) -> None:
    encoded = encode_payload(events)
    decoded = decode_events(encoded)
    assert decoded == events
    assert encode_payload(decoded) == encoded


@pytest.mark.parametrize("amount", [0, 2**53 + 1, 2**63, 2**64, 2**127, 2**127 + 1, 2**128 - 1])
def test_an_amount_beyond_64_bits_is_exact(amount: int) -> None:
    deposit = CreditDeposit(1, "0xv", 1, "0xo", "0xt", amount, "0xh", 0, 1)
    assert decode_commands(encode_payload([deposit])) == [deposit]
    assert str(amount).encode() in encode_payload([deposit])


def test_the_written_form_is_an_array_that_begins_with_the_kind() -> None:
    order = PlaceOrder(1, 2, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 3, 4, None, 5)
    assert json.loads(encode_payload([order])) == [
        ["PlaceOrder", 1, 2, "buy", "limit", "gtc", 3, 4, None, 5, "cancel_newest"]
    ]
    assert json.loads(encode_payload([[Rejected(RejectReason.UNKNOWN_ORDER)]])) == [
        [["Rejected", "unknown_order"]]
    ]


def test_a_field_with_a_default_may_be_missing_at_the_end_of_an_old_row() -> None:
    old = b'[["ListAsset","ETH",18,1,"0xv","0xt"]]'
    assert decode_commands(old) == [ListAsset("ETH", 18, 1, "0xv", "0xt")]


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
        b'[["OpenAccount","\xff"]]',
        b'[["PlaceOrder",1,2,"BUY","limit","gtc",3,4,null,5]]',
    ],
)
def test_what_is_no_command_is_refused(payload: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decode_commands(payload)


@pytest.mark.parametrize(
    "payload", [b'[[["CancelOrder",1,2]]]', b'[[["Rejected","because"]]]', b'[["Rejected","unknown_order"]]']
)
def test_what_is_no_event_is_refused(payload: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_events(payload)


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
