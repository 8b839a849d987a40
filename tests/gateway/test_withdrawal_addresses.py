"""An address that withdrawals may go to: taken only as its owner signed it."""

import dataclasses
import unicodedata
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hypothesis import given
from hypothesis import strategies as st

from exchange.core.markets import Asset
from exchange.gateway.refusals import FieldRefused, GatewayRefusal
from exchange.gateway.typed_data import TypedDataDomain, WithdrawalAddressMessage, WithdrawalMessage
from exchange.gateway.withdrawal_addresses import SignedAddress, WithdrawalAddressForm, signed_address

NOW_S = 1_763_841_600
VAULT = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
USDC = Asset(2, "USDC", 6, 31337, VAULT, "0x" + "0c" * 20, 0, 1, listed=True)
DOMAIN = TypedDataDomain("0x" + "ab" * 32, 31337, VAULT)
KEY = Account.from_key("0x" + "2a" * 32)
OWNER = KEY.address.lower()
COLD = "0x" + "77" * 20


def signed_form(
    key: LocalAccount = KEY, owner: str = OWNER, domain: TypedDataDomain = DOMAIN, **changes: Any
) -> WithdrawalAddressForm:
    """A form whose fields change after it was signed."""
    message = WithdrawalAddressMessage(owner, COLD, 7, NOW_S + 600)
    signature = "0x" + key.unsafe_sign_hash(domain.address_digest(message)).signature.hex()
    return dataclasses.replace(WithdrawalAddressForm(COLD, "cold", "7", NOW_S + 600, signature), **changes)


def taken(form: WithdrawalAddressForm) -> SignedAddress:
    return signed_address(form, OWNER, [USDC], DOMAIN, NOW_S * 10**9)


def code_of(form: WithdrawalAddressForm) -> str:
    with pytest.raises(GatewayRefusal) as caught:
        taken(form)
    return caught.value.code


def test_a_signed_address_is_known_by_its_digest():
    form = signed_form()
    message = WithdrawalAddressMessage(OWNER, COLD, 7, NOW_S + 600)
    digest = "0x" + DOMAIN.address_digest(message).hex()
    assert taken(form) == SignedAddress(OWNER, COLD, "cold", 7, NOW_S + 600, digest, form.signature)


def test_the_label_is_not_part_of_what_is_signed():
    assert taken(signed_form(label="another")).label == "another"
    assert taken(signed_form(label="")).label == ""


def test_a_signature_over_other_values_or_by_another_key_is_the_wrong_signer():
    stranger = Account.create()
    for form in (
        signed_form(address="0x" + "78" * 20),
        signed_form(nonce="8"),
        signed_form(deadline_s=NOW_S + 601),
        signed_form(key=stranger),
        signed_form(key=stranger, owner=stranger.address.lower()),
        signed_form(domain=TypedDataDomain("0x" + "cd" * 32, 31337, VAULT)),
        signed_form(domain=TypedDataDomain("0x" + "ab" * 32, 1, VAULT)),
        signed_form(domain=TypedDataDomain("0x" + "ab" * 32, 31337, "0x" + "11" * 20)),
    ):
        assert code_of(form) == "signature_wrong_signer"


def test_a_signed_withdrawal_does_not_add_its_destination():
    withdrawal = WithdrawalMessage(OWNER, 0, USDC.token, 1, 0, COLD, 7, NOW_S + 600)
    signature = "0x" + KEY.unsafe_sign_hash(DOMAIN.digest(withdrawal)).signature.hex()
    assert code_of(signed_form(signature=signature)) == "signature_wrong_signer"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"address": "0x12"}, "address_invalid"),
        ({"address": "0x" + "00" * 20}, "destination_invalid"),
        ({"address": VAULT}, "destination_invalid"),
        ({"address": USDC.token}, "destination_invalid"),
        ({"address": KEY.address}, "destination_invalid"),
        ({"label": "x" * 65}, "field_invalid"),
        ({"label": " cold"}, "field_invalid"),
        ({"label": "cold\n"}, "field_invalid"),
        ({"label": "co\x00ld"}, "field_invalid"),
        ({"label": "\u202edloc"}, "field_invalid"),
        ({"label": "co\u200bld"}, "field_invalid"),
        ({"label": "\ud800"}, "field_invalid"),
        ({"nonce": "-1"}, "field_invalid"),
        ({"nonce": str(2**63)}, "field_invalid"),
        ({"deadline_s": NOW_S}, "signature_expired"),
        ({"deadline_s": -(2**70)}, "signature_expired"),
        ({"deadline_s": NOW_S + 3_601}, "signature_deadline_too_far"),
        ({"deadline_s": 2**70}, "signature_deadline_too_far"),
        ({"signature": "0x00"}, "signature_invalid"),
    ],
)
def test_a_field_that_can_not_be_taken_has_its_code(changes: dict[str, Any], code: str):
    assert code_of(signed_form(**changes)) == code


@given(st.text(max_size=70))
def test_a_label_is_taken_exactly_as_it_is_and_looks_like_what_it_is(label: str):
    try:
        kept = taken(signed_form(label=label)).label
    except FieldRefused:
        return
    assert kept == label
    assert all(unicodedata.category(char)[0] not in "CZ" or char == " " for char in kept)
    assert kept == kept.strip()
