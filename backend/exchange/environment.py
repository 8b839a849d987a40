"""How one setting is read: a variable, what it must be, and a refusal that names it."""

import re
from collections.abc import Mapping
from pathlib import Path

from exchange.chain.errors import DevKeyRefused, KeystoreInvalid
from exchange.chain.keystores import open_keystore
from exchange.gateway.rate_policy import PolicyInvalid, RateLimitPolicy, read_policy

Environment = Mapping[str, str]

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_SHARED_TOKEN = re.compile(r"[!-~]{32,256}", re.ASCII)
_MAX_DIGITS = 19


class SettingsInvalid(Exception):
    """A setting is missing or makes no sense. Every function here raises it."""

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(f"{name}: {problem}")


def required(environment: Environment, name: str, default: str = "") -> str:
    """The variable's text, which is not empty."""
    value = environment.get(name, default)
    if not value:
        raise SettingsInvalid(name, "is not set (docs/runbook.md lists every variable)")
    return value


def positive(environment: Environment, name: str, default: str = "") -> int:
    """A whole number above zero."""
    text = required(environment, name, default)
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text) > 0):
        raise SettingsInvalid(name, f"not a positive whole number: {text!r}")
    return int(text)


def at_most(environment: Environment, name: str, default: str, most: int) -> int:
    """A whole number from 1 to `most`."""
    number = positive(environment, name, default)
    if number > most:
        raise SettingsInvalid(name, f"more than {most}: {number}")
    return number


def whole(environment: Environment, name: str, default: str, most: int) -> int:
    """A whole number from 0 to `most`."""
    text = required(environment, name, default)
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text) <= most):
        raise SettingsInvalid(name, f"not a whole number from 0 to {most}: {text!r}")
    return int(text)


def file_text(environment: Environment, name: str) -> str:
    """The content of the file that the variable names."""
    try:
        return Path(required(environment, name)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(name, f"can not be read: {error}") from error


def is_address(text: str) -> bool:
    """Whether this is 0x and 40 hexadecimal digits of either case."""
    return _ADDRESS.fullmatch(text) is not None


def address(environment: Environment, name: str) -> str:
    """A lower-case address."""
    text = required(environment, name)
    if not is_address(text):
        raise SettingsInvalid(name, f"not an address: {text!r}")
    return text.lower()


def keystore(environment: Environment, name: str, password: str, chain_id: int) -> bytes:
    """The secret bytes in the keystore file that the variable names, for use on one chain."""
    try:
        return open_keystore(file_text(environment, name), password, chain_id)
    except (KeystoreInvalid, DevKeyRefused) as error:
        raise SettingsInvalid(name, str(error)) from error


def shared_token(environment: Environment, name: str) -> str:
    """The token in the file that the variable names."""
    token = file_text(environment, name).strip()
    if _SHARED_TOKEN.fullmatch(token) is None:
        raise SettingsInvalid(name, "a token has 32 to 256 visible ASCII characters, and no spaces")
    return token


def rate_policy(environment: Environment, name: str) -> RateLimitPolicy:
    """The rates in the file that the variable names; the default ones if it is not set."""
    if not environment.get(name):
        return RateLimitPolicy()
    try:
        return read_policy(file_text(environment, name))
    except PolicyInvalid as error:
        raise SettingsInvalid(name, str(error)) from error
