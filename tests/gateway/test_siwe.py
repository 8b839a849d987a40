import asyncio

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from exchange.gateway.refusals import GatewayRefusal
from exchange.gateway.signatures import SECP256K1_ORDER
from exchange.gateway.siwe import Login
from exchange.gateway.siwe_package import SiwePackage

NOW_NS = 1_763_841_600_000_000_000
KEY = Account.from_key("0x" + "2a" * 32)
OWNER = KEY.address.lower()


class Clock:
    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def login(pool, clock) -> Login:
    return login_at(pool, clock)


def login_at(pool, clock, *, domain="localhost:8000", uri="http://localhost:8000", chain_id=31337) -> Login:
    return Login(pool, domain=domain, uri=uri, chain_id=chain_id, clock_ns=clock)


def sign(message: str, key=KEY) -> str:
    return "0x" + key.sign_message(encode_defunct(text=message)).signature.hex()


async def code_of(login: Login, message: str, signature: object, token: str | None) -> str:
    with pytest.raises(GatewayRefusal) as caught:
        await login.redeem(message, signature, token)
    return caught.value.code


async def test_the_issued_text_binds_every_field(login):
    challenge = await login.issue(OWNER)
    parsed = SiwePackage().load().SiweMessage.from_message(challenge.message, abnf=True)
    assert (parsed.domain, parsed.uri, parsed.chain_id) == ("localhost:8000", "http://localhost:8000", 31337)
    assert (parsed.address, parsed.version.value) == (KEY.address, "1")
    assert parsed.statement
    assert len(parsed.nonce) >= 16
    assert parsed.issued_at == "2025-11-22T20:00:00Z"
    assert parsed.expiration_time == "2025-11-22T20:05:00Z"
    assert challenge.expires_ns == NOW_NS + 300 * 10**9


async def test_a_signed_text_signs_its_wallet_in_once(login):
    challenge = await login.issue(OWNER)
    signature = sign(challenge.message)
    assert await login.redeem(challenge.message, signature, challenge.pre_login_token) == OWNER
    assert await code_of(login, challenge.message, signature, challenge.pre_login_token) == "login_nonce_used"


async def test_of_many_logins_at_once_with_one_nonce_one_wins(login):
    challenge = await login.issue(OWNER)
    signature = sign(challenge.message)
    results = await asyncio.gather(
        *(login.redeem(challenge.message, signature, challenge.pre_login_token) for _ in range(12)),
        return_exceptions=True,
    )
    assert results.count(OWNER) == 1
    assert {result.code for result in results if result != OWNER} == {"login_nonce_used"}


async def test_an_expired_text_is_refused(login, clock):
    challenge = await login.issue(OWNER)
    clock.now_ns += 300 * 10**9
    assert (
        await code_of(login, challenge.message, sign(challenge.message), challenge.pre_login_token)
        == "login_expired"
    )


@pytest.mark.parametrize("token", [None, "", "x" * 43, "é" * 43, "x" * 5000, "\0"])
async def test_a_login_without_its_pre_login_token_is_refused(login, token):
    challenge = await login.issue(OWNER)
    assert (
        await code_of(login, challenge.message, sign(challenge.message), token) == "pre_login_token_invalid"
    )


async def test_the_pre_login_token_of_another_login_is_no_use(login):
    mine, other = await login.issue(OWNER), await login.issue(OWNER)
    assert (
        await code_of(login, mine.message, sign(mine.message), other.pre_login_token)
        == "login_message_mismatch"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("localhost:8000 wants", "evil.example wants"),
        ("URI: http://localhost:8000", "URI: http://evil.example"),
        ("Chain ID: 31337", "Chain ID: 1"),
        ("Version: 1", "Version: 2"),
        ("Expiration Time: 2025", "Expiration Time: 2035"),
        ("Nonce: ", "Nonce: a"),
        ("\n\nURI", "\n\n\nURI"),
        (KEY.address, KEY.address.lower()),
    ],
)
async def test_a_text_that_differs_anywhere_is_refused_although_it_is_signed(login, before, after):
    challenge = await login.issue(OWNER)
    assert before in challenge.message
    changed = challenge.message.replace(before, after, 1)
    assert await code_of(login, changed, sign(changed), challenge.pre_login_token) == "login_message_mismatch"


@pytest.mark.parametrize(
    "elsewhere",
    [{"domain": "evil.example"}, {"uri": "http://evil.example"}, {"chain_id": 1}],
    ids=["domain", "uri", "chain"],
)
async def test_a_text_issued_for_another_domain_uri_or_chain_is_refused(pool, clock, login, elsewhere):
    challenge = await login_at(pool, clock, **elsewhere).issue(OWNER)
    assert (
        await code_of(login, challenge.message, sign(challenge.message), challenge.pre_login_token)
        == "login_message_mismatch"
    )


async def test_another_wallets_signature_is_refused_and_leaves_the_nonce_unused(login):
    challenge = await login.issue(OWNER)
    stranger = sign(challenge.message, Account.create())
    assert (
        await code_of(login, challenge.message, stranger, challenge.pre_login_token)
        == "signature_wrong_signer"
    )
    assert await login.redeem(challenge.message, sign(challenge.message), challenge.pre_login_token) == OWNER


async def test_the_malleable_twin_of_a_signature_is_refused(login):
    challenge = await login.issue(OWNER)
    signed = KEY.sign_message(encode_defunct(text=challenge.message))
    twin = (
        "0x"
        + signed.r.to_bytes(32).hex()
        + (SECP256K1_ORDER - signed.s).to_bytes(32).hex()
        + bytes([55 - signed.v]).hex()
    )
    assert await code_of(login, challenge.message, twin, challenge.pre_login_token) == "signature_malleable"


@pytest.mark.parametrize("signature", ["", "0x", "0x" + "00" * 65, "0x" + "ff" * 65, None, 5])
async def test_a_malformed_signature_is_refused(login, signature):
    challenge = await login.issue(OWNER)
    code = await code_of(login, challenge.message, signature, challenge.pre_login_token)
    assert code == "signature_invalid"


async def test_nothing_that_would_let_a_reader_of_the_database_sign_in_is_stored(login, pool):
    challenge = await login.issue(OWNER)
    stored = str(await pool.fetch("SELECT * FROM login_challenges"))
    nonce = SiwePackage().load().SiweMessage.from_message(challenge.message).nonce
    assert challenge.pre_login_token not in stored
    assert nonce not in stored


async def test_old_challenges_are_forgotten(login, pool, clock):
    await login.issue(OWNER)
    clock.now_ns += 1_000 * 10**9
    await login.issue(OWNER)
    assert await pool.fetchval("SELECT count(*) FROM login_challenges") == 1
