"""Requests that an agent's key has signed: the text, the signature, and who that is.

A signature covers the deployment, its host, the key, the method, path and query as sent, the body's hash, a
nonce and an expiry. Nothing of that is taken from where the request says it was sent to, so one signed for
another deployment or host is of no use here. The nonce is used up in the core, with what was asked for
(`core.approving`); here is everything that needs no memory. The form is specified in docs/api/signing.md.

Ed25519 signs the text itself, and secp256k1 as a personal message (EIP-191). Each signature is taken in one
form only. Sources: RFC 8032, EIP-2, EIP-191.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from eth_hash.auto import keccak
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from exchange.core.rejects import RejectReason
from exchange.gateway.agent_keys import KeyKind, is_key, kind_of, parse_key
from exchange.gateway.callers import Caller
from exchange.gateway.ip_ranges import is_within
from exchange.gateway.refusals import (
    AgentRefused,
    CredentialsRefused,
    FieldRefused,
    GatewayCode,
    RequestSignatureRefused,
    SessionRefused,
    SignatureRefused,
)
from exchange.gateway.signatures import parse_signature, recover_address
from exchange.sequencer.agents import Agent
from exchange.sequencer.committed import CommittedView

KEY_HEADER = "Exchange-Key"
NONCE_HEADER = "Exchange-Nonce"
EXPIRES_HEADER = "Exchange-Expires"
SIGNATURE_HEADER = "Exchange-Signature"
HEADERS = (KEY_HEADER, NONCE_HEADER, EXPIRES_HEADER, SIGNATURE_HEADER)

MAX_EXPIRES_AWAY_MS = 60_000
MAX_NONCE_CHARS = 19
MAX_EXPIRES_CHARS = 15
MAX_TEXT_SHOWN_CHARS = 8_192
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
_ED25519_SIGNATURE_CHARS = 2 + 128
_WANTED = {name.lower().encode(): place for place, name in enumerate(HEADERS)}


class SignedHeaders(NamedTuple):
    """The headers of a signed request, each well-formed but for the signature."""

    key: str
    nonce: str
    expires_ms: str
    signature: str


def signed_headers(headers: Iterable[tuple[bytes, bytes]]) -> SignedHeaders | None:
    """What of a request's headers (names in lower case) is about its signature; None when nothing is.

    Raises CredentialsRefused (signature_header_missing, signature_header_invalid).
    """
    found: list[bytes | None] = [None, None, None, None]
    is_signed = False
    for name, value in headers:
        place = _WANTED.get(name)
        if place is None:
            continue
        if found[place] is not None:
            raise _header_invalid(HEADERS[place], "is there twice", value)
        found[place] = value
        is_signed = True
    if not is_signed:
        return None
    for place, raw in enumerate(found):
        if not raw:
            raise CredentialsRefused(
                GatewayCode.SIGNATURE_HEADER_MISSING,
                f"a signed request has all of {', '.join(HEADERS)}",
                field=HEADERS[place],
            )
    key, nonce, expires_ms, signature = (raw.decode("latin-1") for raw in found if raw is not None)
    if not is_key(key):
        raise _header_invalid(
            KEY_HEADER, "must be 0x and 64 or 40 lower-case hexadecimal digits", key.encode("latin-1")
        )
    if not _is_number(nonce, MAX_NONCE_CHARS) or int(nonce) >= 2**63:
        raise _header_invalid(
            NONCE_HEADER, "must be microseconds since 1970 in digits", nonce.encode("latin-1")
        )
    if not _is_number(expires_ms, MAX_EXPIRES_CHARS):
        raise _header_invalid(
            EXPIRES_HEADER, "must be milliseconds since 1970 in digits", expires_ms.encode("latin-1")
        )
    return SignedHeaders(key, nonce, expires_ms, signature)


def request_text(
    genesis_id: str, host: str, key: str, method: str, target: bytes, body: bytes, nonce: str, expires_ms: str
) -> bytes:
    """What a request's key signs. `target` is path and query as sent; `host` the public origin's."""
    body_hash = hashlib.sha256(body).hexdigest()
    return b"exchange-request-1\n%b\n%b\n%b\n%b\n%b\n%b\n%b\n%b" % (
        genesis_id.encode(),
        host.encode(),
        key.encode(),
        method.encode(),
        target,
        body_hash.encode(),
        nonce.encode(),
        expires_ms.encode(),
    )


def websocket_text(genesis_id: str, host: str, key: str, challenge: str, expires_ms: str) -> bytes:
    """What a key signs to say on a WebSocket who is there; `challenge` is the connection's own."""
    return f"exchange-websocket-1\n{genesis_id}\n{host}\n{key}\n{challenge}\n{expires_ms}".encode()


def verify(key: str, text: bytes, signature: object, field: str = SIGNATURE_HEADER) -> None:
    """Raises RequestSignatureRefused unless the well-formed key has signed the text.

    Its codes: signature_invalid for another form, signature_malleable for another than the one form of a
    number, signature_wrong_signer.
    """
    try:
        if kind_of(key) is KeyKind.ED25519:
            _verify_ed25519(key, text, signature, field)
        else:
            _verify_secp256k1(key, text, signature, field)
    except SignatureRefused as refused:
        raise RequestSignatureRefused(
            refused.code,
            refused.detail,
            field=refused.field,
            value=refused.value,
            members={"signed_text": _shown(text)} | refused.members,
        ) from refused


class Signers:
    """Which agent has signed something, by what the committed view knows of agents."""

    __slots__ = ("_clock_ns", "_host", "_view")

    def __init__(self, view: CommittedView, host: str, clock_ns: Callable[[], int]) -> None:
        """`host` is the deployment's public origin without its scheme, in lower case."""
        self._view = view
        self._host = host
        self._clock_ns = clock_ns

    def of_request(
        self, headers: SignedHeaders, method: str, target: bytes, body: bytes, address: str | None
    ) -> Caller:
        """Who has signed a request that came from the connection's `address`.

        Raises CredentialsRefused (agent_*), RequestSignatureRefused, AgentRefused (ip_not_allowed).
        """
        agent = self._agent(headers.key, KEY_HEADER)
        self._require_in_time(int(headers.expires_ms), EXPIRES_HEADER)
        text = request_text(
            self._view.genesis_id,
            self._host,
            headers.key,
            method,
            target,
            body,
            headers.nonce,
            headers.expires_ms,
        )
        verify(headers.key, text, headers.signature)
        return self._caller(agent, address)

    def of_websocket(
        self, key: object, challenge: str, expires_ms: object, signature: object, address: str | None
    ) -> Caller:
        """Who has answered a connection's challenge; the first, third and fourth are its request's fields.

        Raises FieldRefused, and as `of_request`.
        """
        key = parse_key(key)
        if type(expires_ms) is not int or not 0 < expires_ms < 10**MAX_EXPIRES_CHARS:
            raise FieldRefused(
                GatewayCode.FIELD_INVALID,
                "whole milliseconds since 1970 (UTC), as a number",
                field="expires_ms",
                value=expires_ms,
            )
        agent = self._agent(key, "key")
        self._require_in_time(expires_ms, "expires_ms")
        text = websocket_text(self._view.genesis_id, self._host, key, challenge, str(expires_ms))
        verify(key, text, signature, "signature")
        return self._caller(agent, address)

    def require_live(self, caller: Caller) -> None:
        """That nobody has ended what the caller came in by, and that it is not over.

        That a session was ended its watchers hear. Raises CredentialsRefused (agent_revoked, agent_expired),
        SessionRefused (session_expired).
        """
        if caller.agent is not None:
            self._agent(caller.agent.key, None)
        elif caller.expires_ns <= self._clock_ns():
            raise SessionRefused(GatewayCode.SESSION_EXPIRED, "this session is over; sign in again")

    def _agent(self, key: str, field: str | None) -> Agent:
        agent = self._view.agent(key)
        if agent is None:
            raise CredentialsRefused(
                RejectReason.AGENT_UNKNOWN, "nobody has approved this key here", field=field, value=key
            )
        if agent.revoked_ns:
            raise CredentialsRefused(
                RejectReason.AGENT_REVOKED,
                "the owner has revoked this key; it will never be taken again",
                field=field,
                value=key,
            )
        if agent.expires_ns <= self._clock_ns():
            raise CredentialsRefused(
                RejectReason.AGENT_EXPIRED,
                "what the owner allowed this key is over; another key has to be approved",
                field=field,
                value=key,
            )
        return agent

    def _require_in_time(self, expires_ms: int, field: str) -> None:
        now_ms = self._clock_ns() // 1_000_000
        if expires_ms <= now_ms:
            raise RequestSignatureRefused(
                GatewayCode.SIGNATURE_EXPIRED,
                f"this time is past; it is {now_ms} now",
                field=field,
                value=expires_ms,
            )
        if expires_ms > now_ms + MAX_EXPIRES_AWAY_MS:
            raise RequestSignatureRefused(
                GatewayCode.SIGNATURE_DEADLINE_TOO_FAR,
                f"at most 60 s from now; it is {now_ms} now",
                field=field,
                value=expires_ms,
                nearest=(str(now_ms + MAX_EXPIRES_AWAY_MS),),
            )

    def _caller(self, agent: Agent, address: str | None) -> Caller:
        if agent.ip_ranges and not is_within(agent.ip_ranges, address):
            raise AgentRefused(
                GatewayCode.IP_NOT_ALLOWED,
                "the owner did not allow this key from this address; from where, GET /v1/agents tells",
                value=address,
            )
        account_id = self._view.account_id(agent.owner)
        assert account_id is not None  # the core takes no approval without one
        return Caller.of_agent(agent, account_id)


def _verify_ed25519(key: str, text: bytes, signature: object, field: str) -> None:
    raw = _ed25519_signature(signature, field)
    try:
        crypto_sign_open(raw + text, bytes.fromhex(key[2:]))
    except BadSignatureError as error:
        if int.from_bytes(raw[32:], "little") >= ED25519_ORDER:
            raise SignatureRefused(
                GatewayCode.SIGNATURE_MALLEABLE,
                "the signature's second half is not below the group's order; only that form is taken",
                field=field,
                value=signature,
            ) from error
        raise SignatureRefused(
            GatewayCode.SIGNATURE_WRONG_SIGNER,
            "the signature is not by this key over `signed_text`; compare that with what was signed",
            field=field,
            value=signature,
        ) from error


def _verify_secp256k1(key: str, text: bytes, signature: object, field: str) -> None:
    raw = parse_signature(signature, field)
    digest = keccak(b"\x19Ethereum Signed Message:\n%d%b" % (len(text), text))
    signer = recover_address(digest, raw, field)
    if signer != key:
        raise SignatureRefused(
            GatewayCode.SIGNATURE_WRONG_SIGNER,
            f"over `signed_text` the signature is by {signer}; compare that with what was signed",
            field=field,
            value=signature,
            members={"recovered_key": signer},
        )


def _ed25519_signature(signature: object, field: str) -> bytes:
    if isinstance(signature, str) and len(signature) == _ED25519_SIGNATURE_CHARS and signature[:2] == "0x":
        try:
            raw = bytes.fromhex(signature[2:])
        except ValueError:
            raw = b""
        if len(raw) == 64:  # `fromhex` passes over blanks
            return raw
    raise SignatureRefused(
        GatewayCode.SIGNATURE_INVALID,
        "not an Ed25519 signature: 0x and 128 hexadecimal digits",
        field=field,
        value=signature,
    )


def _is_number(text: str, max_chars: int) -> bool:
    """Whether it is a positive whole number in its one form."""
    return len(text) <= max_chars and text.isascii() and text.isdigit() and text[0] != "0"


def _header_invalid(name: str, detail: str, value: bytes) -> CredentialsRefused:
    return CredentialsRefused(
        GatewayCode.SIGNATURE_HEADER_INVALID, detail, field=name, value=value.decode("latin-1")
    )


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")[:MAX_TEXT_SHOWN_CHARS]
