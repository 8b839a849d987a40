"""What is asked of the signer: JSON from a stranger, made into an owner's request or refused.

    {"withdrawal": {"account": "0x...", "subAccount": "0", "token": "0x...", "amount": "1000",
                    "maxFee": "10", "destination": "0x...", "nonce": "7", "deadline": "1767225600"},
     "owner_signature": "0x...", "fee": "5", "journal_seq": 4711}

`withdrawal` is the message of the owner's EIP-712 typed data by its own field names, every number of it a
decimal string; amounts are atoms. There is no domain, no id, no digest and no payment in it: the signer has
the first, and works out the others itself.
"""

import json
import re
from dataclasses import dataclass
from typing import Never

import msgspec

from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.core.units import MAX_ATOMS
from exchange.gateway.refusals import SignatureRefused
from exchange.gateway.signatures import parse_signature
from exchange.gateway.typed_data import WithdrawalMessage
from exchange.gateway.withdrawals import MAX_DEADLINE_S, MAX_NONCE
from exchange.policy_signer.refusals import RefusalCode, Refused

MAX_SEQ = 2**63 - 1
_MAX_INT_DIGITS = 20

_ADDRESS = re.compile(r"0x[0-9a-f]{40}", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,38}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """The owner's message and signature (65 bytes, low s), the fee to be kept, and where to look it up."""

    message: WithdrawalMessage
    owner_signature: bytes
    fee_atoms: int
    journal_seq: int


class _Withdrawal(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    account: str
    sub_account: str
    token: str
    amount: str
    max_fee: str
    destination: str
    nonce: str
    deadline: str


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    withdrawal: _Withdrawal
    owner_signature: str
    fee: str
    journal_seq: int


def parse_request(raw: bytes) -> SigningRequest:
    """Raises Refused: malformed_json, field_invalid, signature_invalid, signature_malleable."""
    try:
        body = msgspec.convert(_decode(raw), _Body)
    except msgspec.ValidationError as error:
        raise Refused(RefusalCode.FIELD_INVALID, str(error)) from error
    except UnicodeEncodeError as error:
        raise Refused(RefusalCode.MALFORMED_JSON, "a \\u escape is half of a surrogate pair") from error
    message = body.withdrawal
    if not 1 <= body.journal_seq <= MAX_SEQ:
        raise Refused(RefusalCode.FIELD_INVALID, f"journal_seq must be 1 to {MAX_SEQ}")
    return SigningRequest(
        message=WithdrawalMessage(
            account=_address("account", message.account),
            sub_account=_number("subAccount", message.sub_account, MAX_SUB_ACCOUNT),
            token=_address("token", message.token),
            amount_atoms=_number("amount", message.amount, MAX_ATOMS),
            max_fee_atoms=_number("maxFee", message.max_fee, MAX_ATOMS),
            destination=_address("destination", message.destination),
            nonce=_number("nonce", message.nonce, MAX_NONCE),
            deadline_s=_number("deadline", message.deadline, MAX_DEADLINE_S),
        ),
        owner_signature=_signature(body.owner_signature),
        fee_atoms=_number("fee", body.fee, MAX_ATOMS),
        journal_seq=body.journal_seq,
    )


def _address(field: str, text: str) -> str:
    if _ADDRESS.fullmatch(text) is None:
        raise Refused(RefusalCode.FIELD_INVALID, f"{field} must be an address, 0x and 40 lower-case digits")
    return text


def _number(field: str, text: str, maximum: int) -> int:
    if _NUMBER.fullmatch(text) is None or int(text) > maximum:
        raise Refused(RefusalCode.FIELD_INVALID, f"{field} must be a whole number up to {maximum}, as text")
    return int(text)


def _signature(text: str) -> bytes:
    try:
        return parse_signature(text, "owner_signature")
    except SignatureRefused as error:
        raise Refused(RefusalCode(error.code), error.detail) from error


# ---- JSON, and nothing beside it -------------------------------------------------------------------------


def _decode(raw: bytes) -> object:
    """RFC 8259 without what Python's parser takes beside it. The caller bounds the length."""
    try:
        return _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:  # of bad UTF-8 too; a refusal of ours passes
        raise Refused(RefusalCode.MALFORMED_JSON, "the body is not JSON") from error


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise Refused(RefusalCode.MALFORMED_JSON, "a key is there twice")
    return result


def _integer(literal: str) -> int:
    if len(literal) > _MAX_INT_DIGITS:
        raise Refused(RefusalCode.MALFORMED_JSON, f"a number has more than {_MAX_INT_DIGITS} digits")
    return int(literal)


def _no_number(literal: str) -> Never:
    raise Refused(RefusalCode.MALFORMED_JSON, "only whole numbers are taken")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_no_number, parse_constant=_no_number
)
