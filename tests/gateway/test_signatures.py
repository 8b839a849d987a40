import pytest
from eth_account import Account

from exchange.gateway.refusals import SignatureRefused
from exchange.gateway.signatures import SECP256K1_ORDER, parse_signature, recover_address, require_signer

DIGEST = bytes(range(32))
KEY = Account.from_key("0x" + "2a" * 32)
OWNER = KEY.address.lower()
SIGNED = KEY.unsafe_sign_hash(DIGEST)
SIGNATURE = "0x" + SIGNED.signature.hex()


def rebuilt(r: int, s: int, v: int) -> str:
    return "0x" + r.to_bytes(32).hex() + s.to_bytes(32).hex() + v.to_bytes(1).hex()


def code_of(text: object) -> str:
    with pytest.raises(SignatureRefused) as caught:
        recover_address(DIGEST, parse_signature(text))
    return caught.value.code


def test_the_signer_of_a_digest_is_recovered():
    assert recover_address(DIGEST, parse_signature(SIGNATURE)) == OWNER


def test_upper_case_digits_are_the_same_signature():
    assert parse_signature("0x" + SIGNATURE[2:].upper()) == parse_signature(SIGNATURE)


def test_a_high_s_is_refused_although_it_recovers_to_the_signer():
    twin = rebuilt(SIGNED.r, SECP256K1_ORDER - SIGNED.s, 55 - SIGNED.v)
    assert Account._recover_hash(DIGEST, signature=twin).lower() == OWNER
    assert code_of(twin) == "signature_malleable"


@pytest.mark.parametrize("v", [0, 1, 26, 29, 31, 37, 255])
def test_only_v_of_27_or_28_is_taken(v):
    assert code_of(rebuilt(SIGNED.r, SIGNED.s, v)) == "signature_invalid"


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "0x",
        SIGNATURE[2:],
        SIGNATURE[:-2],
        SIGNATURE + "00",
        SIGNATURE + "\n",
        "0X" + SIGNATURE[2:],
        SIGNATURE[:-1] + "g",
        "0x" + "\uff10" * 130,
    ],
)
def test_a_text_of_another_form_is_refused(text):
    assert code_of(text) == "signature_invalid"


@pytest.mark.parametrize(
    ("r", "s"), [(0, 1), (1, 0), (SECP256K1_ORDER, 1), (1, SECP256K1_ORDER), (2**256 - 1, 1), (5, 1)]
)
def test_numbers_that_are_no_point_of_the_curve_are_refused(r, s):
    assert code_of(rebuilt(r, s, 27)) == "signature_invalid"


def test_another_key_is_the_wrong_signer():
    with pytest.raises(SignatureRefused) as caught:
        require_signer(DIGEST, parse_signature(SIGNATURE), Account.create().address.lower())
    assert caught.value.code == "signature_wrong_signer"
