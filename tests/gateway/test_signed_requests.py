import secrets

import pytest
from coincurve import PrivateKey
from eth_account import Account
from eth_account.messages import encode_defunct
from nacl.bindings import crypto_core_ed25519_scalar_add
from nacl.signing import SigningKey

from exchange.core.words import AgentScope
from exchange.gateway.callers import Caller
from exchange.gateway.refusals import GatewayRefusal
from exchange.gateway.sessions import Session
from exchange.gateway.signatures import SECP256K1_ORDER
from exchange.gateway.signed_requests import (
    ED25519_ORDER,
    SignedHeaders,
    Signers,
    request_text,
    signed_headers,
    verify,
    websocket_text,
)
from exchange.sequencer.agents import Agent

GENESIS_ID = "0x" + "ab" * 32
HOST = "exchange.example"
NOW_MS = 1_763_841_600_000
NONCE = str(NOW_MS * 1_000)
EXPIRES_MS = str(NOW_MS + 10_000)
CHALLENGE = "0x" + "c4" * 32
OWNER = "0x" + "a1" * 20
ED25519 = SigningKey(b"\x07" * 32)
SECP256K1 = Account.from_key("0x" + "2a" * 32)
ED25519_KEY = "0x" + ED25519.verify_key.encode().hex()
SECP256K1_KEY = SECP256K1.address.lower()
both_kinds = pytest.mark.parametrize("key", [ED25519_KEY, SECP256K1_KEY], ids=["ed25519", "secp256k1"])


def signed(key: str, text: bytes) -> str:
    if key == ED25519_KEY:
        return "0x" + ED25519.sign(text).signature.hex()
    return "0x" + SECP256K1.sign_message(encode_defunct(text)).signature.hex()


class View:
    """What `Signers` asks of the committed view."""

    genesis_id = GENESIS_ID

    def __init__(self, *agents: Agent) -> None:
        self.agents = {agent.key: agent for agent in agents}

    def agent(self, key: str) -> Agent | None:
        return self.agents.get(key)

    def account_id(self, owner: str) -> int | None:
        return 7 if owner == OWNER else None


def an_agent(key: str, **changes) -> Agent:
    fields = {
        "key": key,
        "owner": OWNER,
        "name": "bot",
        "scopes": (AgentScope.TRADE,),
        "market_ids": (),
        "sub_accounts": (),
        "expires_ns": (NOW_MS + 3_600_000) * 10**6,
        "ip_ranges": (),
        "nonce": 1,
        "approved_ns": 1,
    }
    return Agent(**fields | changes)


def caller_of(
    key: str, *, agent: Agent | None = None, address: str | None = "203.0.113.7", **changes
) -> Caller:
    """Who has signed a request, of which `changes` were made after signing."""
    signers = Signers(View(agent or an_agent(key)), HOST, lambda: NOW_MS * 10**6)
    sent = {"method": "POST", "target": b"/v1/orders?x=1", "body": b'{"a":1}'}
    headers = {"key": key, "nonce": NONCE, "expires_ms": changes.pop("signed_expires_ms", EXPIRES_MS)}
    text = request_text(GENESIS_ID, changes.pop("host", HOST), **headers, **sent)
    headers["signature"] = signed(key, text)
    for name, value in changes.items():
        (headers if name in headers else sent)[name] = value
    return signers.of_request(SignedHeaders(**headers), **sent, address=address)


def refusal_of(key: str, **changes) -> GatewayRefusal:
    with pytest.raises(GatewayRefusal) as caught:
        caller_of(key, **changes)
    return caught.value


@both_kinds
def test_a_signed_request_is_its_owners_agents(key):
    agent = an_agent(key)
    assert caller_of(key, agent=agent) == Caller.of_agent(agent, 7)


@both_kinds
@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"target": b"/v1/orders?x=2"},
        {"target": b"/v1/orders"},
        {"target": b"/v1/orders?x=%31"},
        {"body": b'{"a":2}'},
        {"body": b'{"a": 1}'},
        {"body": b""},
        {"nonce": str(int(NONCE) + 1)},
        {"expires_ms": str(int(EXPIRES_MS) + 1)},
        {"host": "evil.example"},
    ],
    ids=str,
)
def test_a_change_of_anything_that_was_signed_is_the_wrong_signer(key, changes):
    refusal = refusal_of(key, **changes)
    assert (refusal.code, refusal.field) == ("signature_wrong_signer", "Exchange-Signature")
    lines = refusal.members["signed_text"].split("\n")
    assert lines[:4] == ["exchange-request-1", GENESIS_ID, HOST, key]
    assert lines[4] == changes.get("method", "POST")
    assert lines[5] == changes.get("target", b"/v1/orders?x=1").decode()
    assert lines[7:] == [changes.get("nonce", NONCE), changes.get("expires_ms", EXPIRES_MS)]
    assert ("recovered_key" in refusal.members) == (key == SECP256K1_KEY)


def test_of_an_ethereum_key_the_one_that_has_signed_is_named():
    stranger = Account.create()
    text = b"a text"
    signature = "0x" + stranger.sign_message(encode_defunct(text)).signature.hex()
    with pytest.raises(GatewayRefusal) as caught:
        verify(SECP256K1_KEY, text, signature)
    assert caught.value.members == {"signed_text": "a text", "recovered_key": stranger.address.lower()}
    assert stranger.address.lower() in caught.value.detail


def test_a_text_of_bytes_that_are_no_utf_8_can_be_shown():
    with pytest.raises(GatewayRefusal) as caught:
        verify(ED25519_KEY, b"GET\n/\xff" + b"x" * 10_000, signed(ED25519_KEY, b"another"))
    assert caught.value.members["signed_text"].startswith("GET\n/\\xff")
    assert len(caught.value.members["signed_text"]) == 8_192


@both_kinds
@pytest.mark.parametrize(
    "spoil",
    [
        lambda signature: None,
        lambda signature: 7,
        lambda signature: "",
        lambda signature: signature[2:],
        lambda signature: signature[:-2],
        lambda signature: signature + "00",
        lambda signature: signature[:-1] + "g",
        lambda signature: signature[:-2] + " 0",
        lambda signature: signature[:-4] + "\n\n00",
        lambda signature: "0X" + signature[2:],
        lambda signature: "0x" + "\u0661" * (len(signature) - 2),
    ],
)
def test_what_is_no_signature_at_all_is_invalid(key, spoil):
    with pytest.raises(GatewayRefusal) as caught:
        verify(key, b"text", spoil(signed(key, b"text")))
    assert caught.value.code == "signature_invalid"
    assert caught.value.members["signed_text"] == "text"


def test_a_signature_of_the_other_kind_is_invalid():
    for key, other in ((ED25519_KEY, SECP256K1_KEY), (SECP256K1_KEY, ED25519_KEY)):
        with pytest.raises(GatewayRefusal) as caught:
            verify(key, b"text", signed(other, b"text"))
        assert caught.value.code == "signature_invalid"


def test_the_second_form_of_an_ethereum_signature_is_malleable():
    raw = bytes.fromhex(signed(SECP256K1_KEY, b"text")[2:])
    high_s = SECP256K1_ORDER - int.from_bytes(raw[32:64])
    twin = raw[:32] + high_s.to_bytes(32) + bytes([55 - raw[64]])
    with pytest.raises(GatewayRefusal) as caught:
        verify(SECP256K1_KEY, b"text", "0x" + twin.hex())
    assert caught.value.code == "signature_malleable"
    for v in (0, 1, 29, raw[64] + 8):
        with pytest.raises(GatewayRefusal) as caught:
            verify(SECP256K1_KEY, b"text", "0x" + raw[:64].hex() + bytes([v % 256]).hex())
        assert caught.value.code == "signature_invalid"


def test_the_second_form_of_an_ed25519_signature_is_malleable():
    raw = bytes.fromhex(signed(ED25519_KEY, b"text")[2:])
    s = int.from_bytes(raw[32:], "little")
    twin = raw[:32] + (s + ED25519_ORDER).to_bytes(32, "little")
    with pytest.raises(GatewayRefusal) as caught:
        verify(ED25519_KEY, b"text", "0x" + twin.hex())
    assert caught.value.code == "signature_malleable"
    assert crypto_core_ed25519_scalar_add(bytes(32), twin[32:]) == raw[32:]  # it is the same number


def test_a_signature_that_fits_no_ethereum_key_is_invalid():
    for r in range(1, 50):
        with pytest.raises(GatewayRefusal) as caught:
            verify(SECP256K1_KEY, b"text", "0x" + r.to_bytes(32).hex() + "01".zfill(64) + "1b")
        assert caught.value.code in {"signature_invalid", "signature_wrong_signer"}


def test_an_ethereum_key_signs_as_a_personal_message_only():
    text = b"text"
    raw = PrivateKey(bytes(SECP256K1.key)).sign_recoverable(text)
    with pytest.raises(GatewayRefusal) as caught:
        verify(SECP256K1_KEY, text, "0x" + raw[:64].hex() + bytes([raw[64] + 27]).hex())
    assert caught.value.code == "signature_wrong_signer"


@both_kinds
def test_an_agent_that_is_unknown_revoked_or_over_is_told_so(key):
    other = an_agent("0x" + "01" * 20)
    assert refusal_of(key, agent=other).code == "agent_unknown"
    assert refusal_of(key, agent=an_agent(key, revoked_ns=5)).code == "agent_revoked"
    assert refusal_of(key, agent=an_agent(key, expires_ns=NOW_MS * 10**6)).code == "agent_expired"
    assert caller_of(key, agent=an_agent(key, expires_ns=NOW_MS * 10**6 + 1)).owner == OWNER


def test_a_request_is_good_until_its_expiry_and_at_most_for_a_minute():
    for expires_ms in (NOW_MS + 1, NOW_MS + 60_000):
        assert caller_of(ED25519_KEY, signed_expires_ms=str(expires_ms)).owner == OWNER
    expired = refusal_of(ED25519_KEY, signed_expires_ms=str(NOW_MS))
    assert (expired.code, expired.field, expired.value) == (
        "signature_expired",
        "Exchange-Expires",
        str(NOW_MS),
    )
    far = refusal_of(ED25519_KEY, signed_expires_ms=str(NOW_MS + 60_001))
    assert (far.code, far.nearest) == ("signature_deadline_too_far", (str(NOW_MS + 60_000),))


def test_a_key_with_ranges_is_taken_from_there_only_and_only_the_signer_learns_so():
    agent = an_agent(ED25519_KEY, ip_ranges=("203.0.113.0/24",))
    assert caller_of(ED25519_KEY, agent=agent, address="::ffff:203.0.113.9").agent == agent
    for address in ("203.0.114.7", "::1", None):
        refusal = refusal_of(ED25519_KEY, agent=agent, address=address)
        assert (refusal.code, refusal.value) == ("ip_not_allowed", address)
        assert "203.0.113" not in refusal.detail, "from where it may come is nothing for who has stolen it"
    forged = refusal_of(ED25519_KEY, agent=agent, address="198.51.100.1", body=b"{}")
    assert forged.code == "signature_wrong_signer"


# ---- headers


def raw_headers(**changes) -> list[tuple[bytes, bytes]]:
    values = {"key": ED25519_KEY, "nonce": NONCE, "expires": EXPIRES_MS, "signature": "0x" + "00" * 64}
    values |= changes
    signing = [
        (b"exchange-" + name.encode(), value.encode("latin-1"))
        for name, value in values.items()
        if value is not None
    ]
    return [(b"host", b"x"), *signing, (b"accept", b"*/*")]


def test_a_request_without_any_of_the_headers_is_not_signed():
    assert signed_headers([]) is None
    assert signed_headers([(b"host", b"x"), (b"exchange-unknown", b"y")]) is None


def test_the_headers_are_read_as_they_are():
    assert signed_headers(raw_headers()) == SignedHeaders(ED25519_KEY, NONCE, EXPIRES_MS, "0x" + "00" * 64)


@pytest.mark.parametrize("name", ["key", "nonce", "expires", "signature"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_header_that_is_missing_is_named(name, value):
    with pytest.raises(GatewayRefusal) as caught:
        signed_headers(raw_headers(**{name: value}))
    assert caught.value.code == "signature_header_missing"
    assert caught.value.field == f"Exchange-{name.capitalize()}"


@pytest.mark.parametrize("name", ["key", "nonce", "expires", "signature"])
def test_a_header_that_is_there_twice_is_named(name):
    with pytest.raises(GatewayRefusal) as caught:
        signed_headers([*raw_headers(), (f"exchange-{name}".encode(), b"1")])
    assert (caught.value.code, caught.value.field) == (
        "signature_header_invalid",
        f"Exchange-{name.capitalize()}",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", "0x12"),
        ("key", ED25519_KEY.upper()),
        ("key", "\xff" * 66),
        ("nonce", "-1"),
        ("nonce", "+1"),
        ("nonce", "1.5"),
        ("nonce", "1e6"),
        ("nonce", "0"),
        ("nonce", "01"),
        ("nonce", "1 "),
        ("nonce", "1_0"),
        ("nonce", "\xb2"),
        ("nonce", str(2**63)),
        ("nonce", "1" * 5_000),
        ("expires", "x"),
        ("expires", "0"),
        ("expires", "017"),
        ("expires", "1" * 16),
    ],
)
def test_a_header_that_is_malformed_is_named(name, value):
    with pytest.raises(GatewayRefusal) as caught:
        signed_headers(raw_headers(**{name: value}))
    assert caught.value.code == "signature_header_invalid"
    assert caught.value.field == f"Exchange-{name.capitalize()}"
    assert caught.value.value == value[:100]


# ---- WebSockets


def socket_caller(key: object = ED25519_KEY, expires_ms: object = NOW_MS + 10_000, **changes) -> Caller:
    agent = changes.pop("agent", an_agent(ED25519_KEY))
    signers = Signers(View(agent), HOST, lambda: NOW_MS * 10**6)
    text = websocket_text(
        GENESIS_ID, HOST, ED25519_KEY, changes.pop("signed_challenge", CHALLENGE), str(expires_ms)
    )
    signature = changes.pop("signature", signed(ED25519_KEY, text))
    address = changes.pop("address", "203.0.113.7")
    return signers.of_websocket(key, CHALLENGE, expires_ms, signature, address)


def socket_code(**changes) -> tuple[str, str | None]:
    with pytest.raises(GatewayRefusal) as caught:
        socket_caller(**changes)
    return caught.value.code, caught.value.field


def test_the_answer_to_a_challenge_tells_who_is_there():
    assert socket_caller() == Caller.of_agent(an_agent(ED25519_KEY), 7)


def test_what_is_wrong_with_the_answer_to_a_challenge_is_told_by_its_field():
    assert socket_code(key=7) == ("field_invalid", "key")
    assert socket_code(key="0x" + "01" * 20) == ("agent_unknown", "key")
    for expires_ms in ("1763841610000", None, 1.5, True, 0, -1, 10**15):
        assert socket_code(expires_ms=expires_ms) == ("field_invalid", "expires_ms")
    assert socket_code(expires_ms=NOW_MS) == ("signature_expired", "expires_ms")
    assert socket_code(expires_ms=NOW_MS + 60_001) == ("signature_deadline_too_far", "expires_ms")
    assert socket_code(signature=None) == ("signature_invalid", "signature")
    assert socket_code(signed_challenge="0x" + "c5" * 32) == ("signature_wrong_signer", "signature")
    assert socket_code(agent=an_agent(ED25519_KEY, revoked_ns=1)) == ("agent_revoked", "key")
    assert socket_code(agent=an_agent(ED25519_KEY, ip_ranges=("10.0.0.0/8",))) == ("ip_not_allowed", None)


def test_a_signed_request_is_no_answer_to_a_challenge():
    text = request_text(GENESIS_ID, HOST, ED25519_KEY, "GET", b"/v1/ws", b"", NONCE, EXPIRES_MS)
    assert socket_code(signature=signed(ED25519_KEY, text)) == ("signature_wrong_signer", "signature")


def test_who_goes_on_must_still_be_allowed_to():
    agent = an_agent(ED25519_KEY)
    view, now_ns = View(agent), [NOW_MS * 10**6]
    signers = Signers(view, HOST, lambda: now_ns[0])
    caller = Caller.of_agent(agent, 7)
    session = Caller.of_session(Session(OWNER, 7, 1, agent.expires_ns), secrets.token_bytes(32))
    signers.require_live(caller)
    signers.require_live(session)
    now_ns[0] = agent.expires_ns
    for one, code in ((caller, "agent_expired"), (session, "session_expired")):
        with pytest.raises(GatewayRefusal) as caught:
            signers.require_live(one)
        assert caught.value.code == code
    view.agents[ED25519_KEY] = an_agent(ED25519_KEY, revoked_ns=1)
    with pytest.raises(GatewayRefusal) as caught:
        signers.require_live(caller)
    assert caught.value.code == "agent_revoked"
