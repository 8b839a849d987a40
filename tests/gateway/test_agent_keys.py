import pytest
from eth_account import Account
from nacl.signing import SigningKey

from exchange.gateway.agent_keys import KeyKind, can_sign, kind_of, parse_key
from exchange.gateway.refusals import FieldRefused

ED25519 = "0x" + SigningKey(b"\x07" * 32).verify_key.encode().hex()
SECP256K1 = Account.from_key("0x" + "2a" * 32).address.lower()


def test_the_length_of_a_key_tells_its_kind():
    assert kind_of(parse_key(ED25519)) is KeyKind.ED25519
    assert kind_of(parse_key(SECP256K1)) is KeyKind.SECP256K1


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        [],
        "",
        "0x",
        ED25519[2:],
        ED25519[:-1],
        ED25519 + "0",
        ED25519[:-1] + "g",
        "0X" + ED25519[2:],
        ED25519 + "\n",
        " " + ED25519,
        "0x" + "\u0660" * 40,
        "0x" + "a" * 63,
        "0x" + "a" * 41,
    ],
)
def test_whatever_else_is_no_key(value):
    with pytest.raises(FieldRefused) as caught:
        parse_key(value)
    assert (caught.value.code, caught.value.field) == ("field_invalid", "key")


def test_a_key_in_capital_letters_is_refused_with_the_form_that_is_taken():
    for key in (ED25519, SECP256K1):
        with pytest.raises(FieldRefused) as caught:
            parse_key("0x" + key[2:].upper())
        assert caught.value.nearest == (key,)
    with pytest.raises(FieldRefused) as caught:
        parse_key("0x" + "A" * 39)
    assert caught.value.nearest == ()


def test_points_with_which_anybody_can_sign_are_no_keys():
    assert can_sign(ED25519)
    assert can_sign(SECP256K1)
    neutral, order_two, off_curve = b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f", b"\x02" + bytes(31)
    for point in (neutral, order_two, off_curve, bytes(32), b"\xff" * 32):
        assert not can_sign("0x" + point.hex())
    assert not can_sign("0x" + "00" * 20)
