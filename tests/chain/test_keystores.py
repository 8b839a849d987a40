"""The keystore file: opened with its password; wrong passwords, damage and public keys are told apart."""

import json
from typing import Any

import pytest
from eth_account import Account

from exchange.chain.dev_keys import DEV_CHAIN_ID, SIGNER_KEY, dev_key
from exchange.chain.errors import DevKeyRefused, KeystoreDamaged, KeystorePasswordWrong
from exchange.chain.keystores import MAX_KEYSTORE_CHARS, open_keystore

KEY = bytes(range(1, 33))
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def keystore() -> str:
    return json.dumps(Account.encrypt(KEY, PASSWORD, kdf="pbkdf2", iterations=10))


def changed(keystore: str, **fields: Any) -> str:
    """With fields of its `crypto` part replaced; None removes one."""
    content = json.loads(keystore)
    content["crypto"] |= fields
    content["crypto"] = {name: value for name, value in content["crypto"].items() if value is not None}
    return json.dumps(content)


@pytest.mark.parametrize("kdf", ["pbkdf2", "scrypt"])
def test_a_keystore_opens_with_its_password(kdf: str) -> None:
    content = json.dumps(Account.encrypt(KEY, PASSWORD, kdf=kdf, iterations=16))
    assert open_keystore(content, PASSWORD, 1) == KEY


def test_a_keystore_without_an_address_opens_too(keystore: str) -> None:
    content = json.loads(keystore)
    del content["address"]
    assert open_keystore(json.dumps(content), PASSWORD, 1) == KEY


@pytest.mark.parametrize("password", ["", "correct hors", "correct horse ", "Correct horse"])
def test_a_wrong_password_is_told_as_such(keystore: str, password: str) -> None:
    with pytest.raises(KeystorePasswordWrong):
        open_keystore(keystore, password, 1)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        "{}",
        '{"version": 3}',
        '{"version": 3, "crypto": []}',
        '{"version": 4, "crypto": {}}',
        "[" * 5_000,
        " " * (MAX_KEYSTORE_CHARS + 1),
    ],
)
def test_what_is_no_keystore_is_damaged(content: str) -> None:
    with pytest.raises(KeystoreDamaged):
        open_keystore(content, PASSWORD, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"mac": None},
        {"mac": "zz"},
        {"ciphertext": None},
        {"ciphertext": 5},
        {"kdf": "md5"},
        {"kdfparams": {"c": -1, "dklen": 32, "prf": "hmac-sha256", "salt": "00"}},
        {"kdfparams": {"c": 10, "dklen": 32, "prf": "sha256", "salt": "00"}},
        {"kdfparams": {"c": 10**30, "dklen": 32, "prf": "hmac-sha256", "salt": "00"}},
        {"cipherparams": {}},
    ],
    ids=str,
)
def test_a_damaged_field_is_told_as_damage(keystore: str, fields: dict[str, Any]) -> None:
    with pytest.raises(KeystoreDamaged):
        open_keystore(changed(keystore, **fields), PASSWORD, 1)


def test_damage_that_the_check_sum_does_not_cover_gives_no_other_key(keystore: str) -> None:
    """The initialization vector: with another one the file decrypts without a complaint, to other bytes."""
    with pytest.raises(KeystoreDamaged, match="address"):
        open_keystore(changed(keystore, cipherparams={"iv": "11" * 16}), PASSWORD, 1)


def test_a_public_development_key_opens_on_the_development_chain_only() -> None:
    content = json.dumps(Account.encrypt(dev_key(SIGNER_KEY), PASSWORD, kdf="pbkdf2", iterations=10))
    assert open_keystore(content, PASSWORD, DEV_CHAIN_ID) == dev_key(SIGNER_KEY)
    with pytest.raises(DevKeyRefused):
        open_keystore(content, PASSWORD, 1)


def test_no_refusal_shows_anything_of_the_file(keystore: str) -> None:
    for content in (keystore, changed(keystore, mac="zz"), changed(keystore, cipherparams={"iv": "11" * 16})):
        with pytest.raises((KeystoreDamaged, KeystorePasswordWrong)) as refusal:
            open_keystore(content, PASSWORD if content != keystore else "wrong", 1)
        assert json.loads(keystore)["crypto"]["ciphertext"] not in str(refusal.value)
        assert refusal.value.__cause__ is None
