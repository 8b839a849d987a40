"""The keys of agents, as text: an Ed25519 public key, or the address of a secp256k1 key.

Both are 0x and lower-case hexadecimal digits, 64 or 40 of them, so the length tells the kind.
"""

import re
from enum import StrEnum

from nacl.bindings import crypto_core_ed25519_is_valid_point

from exchange.gateway.refusals import FieldRefused, GatewayCode

ED25519_KEY_CHARS = 2 + 64
SECP256K1_KEY_CHARS = 2 + 40
_KEY = re.compile(r"0x(?:[0-9a-f]{64}|[0-9a-f]{40})", re.ASCII)


class KeyKind(StrEnum):
    """With what an agent signs."""

    ED25519 = "ed25519"
    SECP256K1 = "secp256k1"


def kind_of(key: str) -> KeyKind:
    """The kind of a well-formed key."""
    return KeyKind.ED25519 if len(key) == ED25519_KEY_CHARS else KeyKind.SECP256K1


def is_key(text: str) -> bool:
    """Whether the text has the form of a key."""
    return _KEY.fullmatch(text) is not None


def parse_key(value: object, field: str = "key") -> str:
    """The key of a field, which must be written in its one form. Raises FieldRefused (field_invalid)."""
    if isinstance(value, str) and is_key(value):
        return value
    lower = value.lower() if isinstance(value, str) and value.isascii() else ""
    raise FieldRefused(
        GatewayCode.FIELD_INVALID,
        "must be 0x and 64 (an Ed25519 public key) or 40 (a secp256k1 address) lower-case hexadecimal digits",
        field=field,
        value=value,
        nearest=(lower,) if is_key(lower) else (),
    )


def can_sign(key: str) -> bool:
    """Whether there may be a secret for the key: of Ed25519, a point of the group that signatures are in."""
    raw = bytes.fromhex(key[2:])
    if kind_of(key) is KeyKind.SECP256K1:
        return any(raw)
    return crypto_core_ed25519_is_valid_point(raw)
