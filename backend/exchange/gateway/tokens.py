"""Opaque random tokens: 32 random bytes as URL-safe text, known to us by their SHA-256 only."""

import hashlib
import re
import secrets

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def new_token() -> str:
    """43 characters of URL-safe base64."""
    return secrets.token_urlsafe(32)


def is_token(text: str) -> bool:
    """Whether the text has a token's form; anything else is refused before a look-up."""
    return _TOKEN.fullmatch(text) is not None


def sha256(text: str) -> bytes:
    """What is kept of a token, a nonce or a message."""
    return hashlib.sha256(text.encode()).digest()
