"""How one setting is read: a variable, what it must be, and a refusal that names it."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from exchange.chain.errors import DevKeyRefused, KeystoreInvalid
from exchange.chain.keystores import open_keystore
from exchange.gateway.rate_policy import PolicyInvalid, RateLimitPolicy, read_policy
from exchange.parts import CannotRun

Environment = Mapping[str, str]

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_SHARED_TOKEN = re.compile(r"[!-~]{32,256}", re.ASCII)
_PUBLIC_URL = re.compile(
    r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/%-]*)?(\?[A-Za-z0-9._~=&%-]*)?",
    re.ASCII,
)
_MAX_DIGITS = 19


class SettingsInvalid(CannotRun):
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


def http_url(environment: Environment, name: str) -> str | None:
    """An http(s) address; None if it is not set."""
    url = environment.get(name)
    if not url:
        return None
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc:
        raise SettingsInvalid(name, "not an http(s) address")  # not shown: it may hold a secret
    return url


def public_url(environment: Environment, name: str) -> str | None:
    """The same of one that everybody is shown and that stands in a header, so it has no user or fragment."""
    url = http_url(environment, name)
    if url is not None and _PUBLIC_URL.fullmatch(url) is None:
        raise SettingsInvalid(name, "a host, and perhaps a port, a path and a query, in ASCII, are taken")
    return url


def host_and_port(environment: Environment, name: str) -> tuple[str, int] | None:
    """host:port; None if it is not set."""
    text = environment.get(name)
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 2**16):
        raise SettingsInvalid(name, f"not host:port, like 127.0.0.1:9100: {text!r}")
    return host, int(port)


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
