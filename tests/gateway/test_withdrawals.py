import dataclasses

import pytest
from eth_account import Account

from exchange.core.markets import Asset
from exchange.gateway.refusals import GatewayRefusal
from exchange.gateway.typed_data import TypedDataDomain, WithdrawalMessage
from exchange.gateway.withdrawals import WithdrawalForm, withdrawal_command

NOW_S = 1_763_841_600
VAULT = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
USDC = Asset(2, "USDC", 6, 31337, VAULT, "0x" + "0c" * 20, 0, 1, listed=True)
STRAY = Asset(3, "STRAY", 0, 31337, VAULT, "0x" + "0d" * 20, 0, 1, listed=False)
ASSETS = {"USDC": USDC, "STRAY": STRAY}
DOMAIN = TypedDataDomain("0x" + "ab" * 32, 31337, VAULT)
KEY = Account.from_key("0x" + "2a" * 32)
OWNER = KEY.address.lower()
DESTINATION = "0x" + "77" * 20


def signed_form(key=KEY, owner=OWNER, domain=DOMAIN, amount_atoms=2_500_000, **changes) -> WithdrawalForm:
    message = WithdrawalMessage(
        owner, 0, USDC.token, amount_atoms, 0, DESTINATION, changes.get("nonce", 7), NOW_S + 3600
    )
    signature = "0x" + key.unsafe_sign_hash(domain.digest(message)).signature.hex()
    form = WithdrawalForm("USDC", "2.5", "0", DESTINATION, "7", NOW_S + 3600, signature)
    return dataclasses.replace(form, **{name: value for name, value in changes.items() if name != "nonce"})


def command_of(form: WithdrawalForm):
    return withdrawal_command(form, 1000, OWNER, ASSETS, DOMAIN, NOW_S * 10**9)


def code_of(form: WithdrawalForm) -> str:
    with pytest.raises(GatewayRefusal) as caught:
        command_of(form)
    return caught.value.code


def test_a_signed_request_becomes_a_command_named_by_its_digest():
    command = command_of(signed_form())
    message = WithdrawalMessage(OWNER, 0, USDC.token, 2_500_000, 0, DESTINATION, 7, NOW_S + 3600)
    assert command.withdrawal_id == "0x" + DOMAIN.digest(message).hex()
    assert (command.account_id, command.asset_id, command.amount_atoms) == (1000, 2, 2_500_000)
    assert (command.destination, command.nonce, command.deadline_s) == (DESTINATION, 7, NOW_S + 3600)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "2.500001"},
        {"amount": "25"},
        {"max_fee": "0.1"},
        {"destination": "0x" + "78" * 20},
        {"deadline_s": NOW_S + 3601},
    ],
)
def test_a_signature_over_other_values_is_the_wrong_signer(changes):
    assert code_of(signed_form(**changes)) == "signature_wrong_signer"


def test_a_signature_over_another_nonce_is_the_wrong_signer():
    assert code_of(signed_form(nonce=8)) == "signature_wrong_signer"


def test_a_signature_by_another_key_is_the_wrong_signer():
    assert code_of(signed_form(key=Account.create())) == "signature_wrong_signer"


def test_another_owners_own_valid_signature_is_the_wrong_signer_in_this_session():
    other = Account.create()
    assert code_of(signed_form(key=other, owner=other.address.lower())) == "signature_wrong_signer"


def test_a_signature_for_another_deployment_is_the_wrong_signer():
    elsewhere = TypedDataDomain("0x" + "cd" * 32, 31337, VAULT)
    assert code_of(signed_form(domain=elsewhere)) == "signature_wrong_signer"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"asset": "DOGE"}, "unknown_asset"),
        ({"asset": "STRAY"}, "unknown_asset"),
        ({"amount": "0"}, "must_be_positive"),
        ({"amount": "-1"}, "not_a_decimal"),
        ({"amount": "1e6"}, "not_a_decimal"),
        ({"amount": "0.0000001"}, "too_many_decimals"),
        ({"amount": str(2**128)}, "amount_too_large"),
        ({"max_fee": "x"}, "not_a_decimal"),
        ({"destination": "0x12"}, "address_invalid"),
        ({"destination": "0x" + "00" * 20}, "destination_invalid"),
        ({"destination": VAULT}, "destination_invalid"),
        ({"destination": USDC.token}, "destination_invalid"),
        ({"deadline_s": NOW_S}, "withdrawal_deadline_passed"),
        ({"deadline_s": NOW_S + 1}, "withdrawal_deadline_too_near"),
        ({"deadline_s": NOW_S + 119}, "withdrawal_deadline_too_near"),
        ({"deadline_s": NOW_S + 120}, "signature_wrong_signer"),
        ({"deadline_s": -(2**70)}, "withdrawal_deadline_passed"),
        ({"deadline_s": 2**70}, "withdrawal_deadline_too_far"),
        ({"signature": "0x00"}, "signature_invalid"),
    ],
)
def test_a_field_that_can_not_be_taken_has_its_code(changes, code):
    assert code_of(signed_form(**changes)) == code


@pytest.mark.parametrize("nonce", ["", "-1", "01", "1.0", "\u0667", str(2**63), "9" * 400, "1e3"])
def test_a_nonce_that_is_no_plain_number_is_refused(nonce):
    assert code_of(dataclasses.replace(signed_form(), nonce=nonce)) == "field_invalid"


def test_the_sub_account_is_part_of_what_is_signed():
    message = WithdrawalMessage(OWNER, 5, USDC.token, 2_500_000, 0, DESTINATION, 7, NOW_S + 3600)
    signature = "0x" + KEY.unsafe_sign_hash(DOMAIN.digest(message)).signature.hex()
    command = command_of(signed_form(signature=signature, sub_account=5))
    assert command.withdrawal_id == "0x" + DOMAIN.digest(message).hex()
    assert code_of(signed_form(signature=signature, sub_account=6)) == "signature_wrong_signer"
    assert code_of(signed_form(sub_account=5)) == "signature_wrong_signer"
