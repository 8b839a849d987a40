"""The keystore file: a private key encrypted with a password (keystore version 3), and how it is opened.

Its check sum covers the password and the encrypted bytes, but not the initialization vector: damage there
gives another key without a word. So the key's address is compared with the file's, where the file has one.
Source: Web3 Secret Storage Definition.
"""

import json
from typing import Any

from eth_account import Account

from exchange.chain.dev_keys import refuse_dev_key
from exchange.chain.errors import KeystoreDamaged, KeystorePasswordWrong

MAX_KEYSTORE_CHARS = 16 * 1024

_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, AssertionError, OverflowError)
"""What eth-account makes of fields that are missing or wrong."""


def open_keystore(content: str, password: str, chain_id: int) -> bytes:
    """The 32 secret bytes in a keystore's JSON text, for use on one chain.

    Raises KeystorePasswordWrong, KeystoreDamaged, and DevKeyRefused for a development key elsewhere than on
    the development chain. No message says anything of the content.
    """
    keystore = _parsed(content)
    try:
        key = bytes(Account.decrypt(keystore, password))
        address = str(Account.from_key(key).address).lower()
    except _DAMAGE as error:
        if str(error) == "MAC mismatch":
            raise KeystorePasswordWrong from None
        raise KeystoreDamaged("a field is missing or wrong") from None
    named = str(keystore.get("address") or address).lower().removeprefix("0x")
    if named != address[2:]:
        raise KeystoreDamaged("the key in it does not belong to the address in it")
    refuse_dev_key(address, chain_id)
    return key


def _parsed(content: str) -> dict[str, Any]:
    if len(content) > MAX_KEYSTORE_CHARS:
        raise KeystoreDamaged("it is too long")
    try:
        keystore = json.loads(content)
    except (ValueError, RecursionError):
        raise KeystoreDamaged("it is no JSON") from None
    if not isinstance(keystore, dict) or keystore.get("version") != 3:
        raise KeystoreDamaged("it is no keystore of version 3")
    return keystore
