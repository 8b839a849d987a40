"""Requests as bytes: the one form that is taken, and all others with their codes. Never a bare hash."""

import json
from copy import deepcopy
from typing import Any

import pytest

from exchange.chain.dev_keys import dev_address
from exchange.gateway.typed_data import WithdrawalMessage
from exchange.policy_signer.refusals import Refused
from exchange.policy_signer.requests import SigningRequest, parse_request

SIGNATURE = bytes(31) + b"\x01" + bytes(31) + b"\x02" + b"\x1b"
BODY: dict[str, Any] = {
    "withdrawal": {
        "account": dev_address(0),
        "subAccount": "3",
        "token": "0x" + "c0" * 20,
        "amount": "1000",
        "maxFee": "10",
        "destination": "0x" + "d1" * 20,
        "nonce": "7",
        "deadline": "1800000000",
    },
    "owner_signature": f"0x{SIGNATURE.hex()}",
    "fee": "5",
    "journal_seq": 4711,
}


def code_of(body: object) -> str:
    """The refusal of a body, bytes or something for JSON."""
    with pytest.raises(Refused) as refusal:
        parse_request(body if isinstance(body, bytes) else json.dumps(body).encode())
    return refusal.value.code


def changed(name: str, value: object) -> dict[str, Any]:
    body = deepcopy(BODY)
    (body["withdrawal"] if name in body["withdrawal"] else body)[name] = value
    return body


def test_a_request_is_taken_to_the_last_field() -> None:
    message = WithdrawalMessage(
        dev_address(0), 3, "0x" + "c0" * 20, 1_000, 10, "0x" + "d1" * 20, 7, 1_800_000_000
    )
    assert parse_request(json.dumps(BODY).encode()) == SigningRequest(message, SIGNATURE, 5, 4711)


def test_the_largest_numbers_are_taken() -> None:
    for name, largest in (
        ("amount", 2**128 - 1),
        ("nonce", 2**63 - 1),
        ("deadline", 2**40),
        ("subAccount", 127),
    ):
        parse_request(json.dumps(changed(name, str(largest))).encode())
        assert code_of(changed(name, str(largest + 1))) == "field_invalid"


@pytest.mark.parametrize(
    "bare",
    [
        {"hash": "0x" + "11" * 32},
        {"digest": "0x" + "11" * 32, "journal_seq": 1},
        {"withdrawal": "0x" + "11" * 32, "owner_signature": "0x", "fee": "0", "journal_seq": 1},
        {"payment": {"id": "0x" + "11" * 32}},
        "0x" + "11" * 32,
        ["0x" + "11" * 32],
    ],
    ids=str,
)
def test_a_bare_hash_is_never_taken(bare: object) -> None:
    assert code_of(bare) == "field_invalid"


@pytest.mark.parametrize("extra", ["hash", "digest", "withdrawal_id", "payment", "domain", "vault"])
def test_a_field_that_would_say_what_to_sign_is_refused(extra: str) -> None:
    assert code_of(BODY | {extra: "0x" + "11" * 32}) == "field_invalid"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage",
        b"\xff\xfe{}",
        b"{",
        b"[" * 4_000,
        b'{"a":' * 800,
        b"NaN",
        b'{"journal_seq": NaN}',
        b'{"journal_seq": 1e3}',
        b'{"journal_seq": 1.0}',
        b'{"journal_seq": ' + b"1" * 21 + b"}",
        b'{"fee": "1", "fee": "2"}',
        b"\x00" * 100,
        b'{"\\ud800": 1}',
        b'"\\udfff"',
    ],
    ids=lambda raw: repr(raw[:20]),
)
def test_what_is_not_strict_json_is_malformed(raw: bytes) -> None:
    assert code_of(raw) == "malformed_json"


@pytest.mark.parametrize(
    "raw", [b"null", b"1", b'"x"', b"[]", b"{}", b'{"withdrawal": null}', b'"\\ud83d\\ude00"']
)
def test_json_of_another_shape_is_an_invalid_field(raw: bytes) -> None:
    assert code_of(raw) == "field_invalid"


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 1_000},
        {"amount": "1_000"},
        {"amount": "01000"},
        {"amount": "+1000"},
        {"amount": " 1000"},
        {"amount": "1000.0"},
        {"amount": "1e3"},
        {"amount": "-1"},
        {"amount": ""},
        {"amount": "\uff11"},
        {"amount": str(2**128)},
        {"amount": "9" * 3_000},
        {"maxFee": str(2**128)},
        {"nonce": str(2**63)},
        {"deadline": str(2**40 + 1)},
        {"subAccount": "128"},
        {"subAccount": 0},
        {"account": "0x" + "AB" * 20},
        {"account": "0x12"},
        {"destination": "0x" + "11" * 21},
        {"token": "ETH"},
        {"token": None},
        {"fee": 5},
        {"fee": "-5"},
        {"journal_seq": "1"},
        {"journal_seq": 0},
        {"journal_seq": -1},
        {"journal_seq": 2**63},
        {"journal_seq": True},
        {"journal_seq": None},
        {"owner_signature": 5},
    ],
    ids=str,
)
def test_a_field_of_another_form_is_refused(change: dict[str, Any]) -> None:
    [(name, value)] = change.items()
    assert code_of(changed(name, value)) == "field_invalid"


def test_every_field_is_needed_and_no_other_is_taken() -> None:
    for name in BODY:
        assert code_of({key: value for key, value in BODY.items() if key != name}) == "field_invalid"
    for name in BODY["withdrawal"]:
        fewer = {key: value for key, value in BODY["withdrawal"].items() if key != name}
        assert code_of(changed("withdrawal", fewer)) == "field_invalid"
    assert code_of(changed("withdrawal", BODY["withdrawal"] | {"chainId": "1"})) == "field_invalid"
