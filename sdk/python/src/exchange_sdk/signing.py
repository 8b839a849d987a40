"""Agent keys, and what they sign: requests, and the challenge of a stream.

An agent key trades for an owner who approved it, and can never move anything out. Its id is the Ed25519
public key (0x and 64 hex digits) or the secp256k1 address (0x and 40). What is signed is a text of lines,
specified in docs/api/signing.md of the exchange: Ed25519 signs its bytes, secp256k1 signs it as a
personal message (EIP-191).
"""

import hashlib
import logging
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Literal, Self

from nacl.signing import SigningKey

from exchange_sdk.clock import Nonces

log = logging.getLogger("exchange_sdk")

KeyKind = Literal["ed25519", "secp256k1"]
"""Which curve. Ed25519 is the default: faster on both sides."""

SIGNATURE_HEADERS = ("Exchange-Key", "Exchange-Nonce", "Exchange-Expires", "Exchange-Signature")
_KEY_ID = re.compile(r"0x(?:[0-9a-f]{64}|[0-9a-f]{40})", re.ASCII)
_SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_SECRET = re.compile(r"(?:(ed25519|secp256k1):)?(?:0x)?([0-9a-fA-F]{64})", re.ASCII)


def request_text(
    genesis_id: str, host: str, key: str, method: str, target: str, body: bytes, nonce: int, expires_ms: int
) -> bytes:
    """What is signed of a request; `target` is path and query exactly as sent."""
    digest = hashlib.sha256(body).hexdigest()
    lines = ("exchange-request-1", genesis_id, host, key, method, target, digest, str(nonce), str(expires_ms))
    return "\n".join(lines).encode()


def websocket_text(genesis_id: str, host: str, key: str, challenge: str, expires_ms: int) -> bytes:
    """What is signed to speak for the owner on a stream; `challenge` is of its `welcome`."""
    return "\n".join(("exchange-websocket-1", genesis_id, host, key, challenge, str(expires_ms))).encode()


def key_id(key: "AgentKey | str") -> str:
    """The id of a key, given as itself or by its id. Raises ValueError."""
    if isinstance(key, AgentKey):
        return key.id
    if not isinstance(key, str) or _KEY_ID.fullmatch(key.lower()) is None:
        raise ValueError("a key's id is 0x and 64 (Ed25519) or 40 (secp256k1) hex digits")
    return key.lower()


class AgentKey:
    """A key that trades for an owner. Make it with `generate`, keep it with `save` or `secret_text`."""

    __slots__ = ("_secp256k1", "_secret", "_signer", "id", "kind", "nonces")

    def __init__(self, secret: bytes, kind: KeyKind = "ed25519") -> None:
        """`secret`: 32 bytes. Raises TypeError, ValueError."""
        if not isinstance(secret, bytes):
            raise TypeError(f"secret must be bytes, not {type(secret).__name__}")
        if len(secret) != 32:
            raise ValueError(f"secret must have 32 bytes, not {len(secret)}")
        if kind not in {"ed25519", "secp256k1"}:
            raise ValueError(f"kind must be ed25519 or secp256k1, not {kind!r}")
        self.kind: KeyKind = kind
        self._secret = secret
        self.nonces = Nonces()
        """One source for all who use this key object, so that no two requests have the same nonce."""
        self._signer: SigningKey | None = None
        if kind == "ed25519":
            self._signer = SigningKey(secret)
            self.id = "0x" + self._signer.verify_key.encode().hex()
        else:
            from eth_keys.datatypes import PrivateKey  # noqa: PLC0415 - takes 0.1 s to import

            if not 0 < int.from_bytes(secret) < _SECP256K1_ORDER:
                raise ValueError("these 32 bytes are no secp256k1 key")
            self._secp256k1 = PrivateKey(secret)
            self.id = self._secp256k1.public_key.to_address()

    @classmethod
    def generate(cls, kind: KeyKind = "ed25519") -> Self:
        """A new key."""
        while True:
            try:
                return cls(secrets.token_bytes(32), kind)
            except ValueError:  # pragma: no cover - one of 2^128 secrets is no secp256k1 key
                continue

    @classmethod
    def from_secret(cls, secret: str | bytes, kind: KeyKind | None = None) -> Self:
        """From 32 bytes, their hex digits, or `secret_text()`. Without a kind in the text or here: Ed25519.

        Raises ValueError, which does not show the secret.
        """
        if isinstance(secret, bytes):
            return cls(secret, kind or "ed25519")
        if not isinstance(secret, str):
            raise TypeError(f"a secret is str or bytes, not {type(secret).__name__}")
        match = _SECRET.fullmatch(secret.strip())
        if match is None:
            raise ValueError("a secret is 64 hex digits, or ed25519: or secp256k1: before them")
        named: KeyKind | None = None
        if match[1]:
            named = "ed25519" if match[1] == "ed25519" else "secp256k1"
        if named and kind and named != kind:
            raise ValueError(f"the secret is of a {named} key, not {kind}")
        return cls(bytes.fromhex(match[2]), named or kind or "ed25519")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """From a file that `save` wrote; warns of one that others can read. Raises OSError, ValueError."""
        with Path(path).open(encoding="ascii") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                log.warning("others can read or change this key: chmod 600 %s", path)
            return cls.from_secret(file.read())

    def save(self, path: str | Path) -> None:
        """Into a new file that only this user can read. Raises OSError, FileExistsError among them; no file
        is left by halves, nor written over.
        """
        target = Path(path)
        target.touch(mode=0o600, exist_ok=False)
        try:
            target.write_text(self.secret_text() + "\n", "ascii")
        except BaseException:
            target.unlink()
            raise

    def secret_text(self) -> str:
        """The secret, for a safe place: `ed25519:0x...`."""
        return f"{self.kind}:0x{self._secret.hex()}"

    def sign(self, text: bytes) -> str:
        """The signature as 0x-hex: 64 bytes, or 65 (r, s, v of 27 or 28, low s) of a secp256k1 key."""
        if self._signer is not None:
            return "0x" + self._signer.sign(text).signature.hex()
        from eth_account.messages import defunct_hash_message  # noqa: PLC0415 - takes 0.2 s to import

        signature = self._secp256k1.sign_msg_hash(bytes(defunct_hash_message(text)))
        return f"0x{signature.r:064x}{signature.s:064x}{signature.v + 27:02x}"

    def sign_request(
        self,
        method: str,
        target: str,
        body: bytes,
        *,
        genesis_id: str,
        host: str,
        nonce: int,
        expires_ms: int,
    ) -> dict[str, str]:
        """The four headers of a request. `target`: path and query exactly as sent."""
        text = request_text(genesis_id, host, self.id, method, target, body, nonce, expires_ms)
        values = (self.id, str(nonce), str(expires_ms), self.sign(text))
        return dict(zip(SIGNATURE_HEADERS, values, strict=True))

    def sign_websocket(self, challenge: str, *, genesis_id: str, host: str, expires_ms: int) -> str:
        """The signature of a stream's `auth`. `challenge` is of its `welcome`."""
        return self.sign(websocket_text(genesis_id, host, self.id, challenge, expires_ms))

    def __repr__(self) -> str:
        return f"AgentKey({self.kind} {self.id})"

    def __reduce__(self) -> str:
        raise TypeError("an AgentKey is not pickled: its secret would be in the copy; use secret_text()")
