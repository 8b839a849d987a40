"""Keys and what they sign: against the vectors, and against the real exchange."""

import asyncio
import json
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.sdk.faulty import FaultyWay
from tests.sdk.market import Market

from exchange.gateway.signed_requests import verify
from exchange_sdk import AgentKey, Exchange, OutcomeUnknown, Wallet
from exchange_sdk.clock import ExchangeClock, Nonces
from exchange_sdk.errors import AgentRevoked, AgentUnknown, NonceRefused
from exchange_sdk.models import Deployment
from exchange_sdk.ownership import APPROVAL_TYPE, typed_data
from exchange_sdk.signing import KeyKind, key_id, request_text, websocket_text

VECTORS = json.loads((Path(__file__).parents[1] / "signing" / "vectors.json").read_text())
KINDS: tuple[KeyKind, ...] = ("ed25519", "secp256k1")


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=named)
def test_requests_are_signed_as_the_vectors_are(vector: dict[str, Any]) -> None:
    key = AgentKey.from_secret(vector["secret_key"], vector["kind"])
    nonce, expires_ms = int(vector["nonce"]), int(vector["expires_ms"])
    body = vector["body"].encode()
    text = request_text(
        VECTORS["genesis_id"],
        VECTORS["host"],
        key.id,
        vector["method"],
        vector["target"],
        body,
        nonce,
        expires_ms,
    )
    assert text.decode() == vector["text"]
    headers = key.sign_request(
        vector["method"],
        vector["target"],
        body,
        genesis_id=VECTORS["genesis_id"],
        host=VECTORS["host"],
        nonce=nonce,
        expires_ms=expires_ms,
    )
    assert headers["Exchange-Key"] == vector["key"]
    assert headers["Exchange-Signature"] == vector["signature"]


@pytest.mark.parametrize("vector", VECTORS["websocket"], ids=named)
def test_challenges_are_signed_as_the_vectors_are(vector: dict[str, Any]) -> None:
    key = AgentKey.from_secret(vector["secret_key"], vector["kind"])
    genesis_id, host, expires_ms = VECTORS["genesis_id"], VECTORS["host"], int(vector["expires_ms"])
    text = websocket_text(genesis_id, host, key.id, vector["challenge"], expires_ms)
    assert text.decode() == vector["text"]
    signature = key.sign_websocket(
        vector["challenge"], genesis_id=genesis_id, host=host, expires_ms=expires_ms
    )
    assert signature == vector["signature"]


@pytest.mark.parametrize("vector", VECTORS["approvals"], ids=named)
def test_approvals_are_signed_as_the_vectors_are(vector: dict[str, Any]) -> None:
    wallet = Wallet.from_key(vector["owner_secret_key"])
    deployment = Deployment(
        seq=0,
        genesis_id=VECTORS["genesis_id"],
        chain_id=VECTORS["chain_id"],
        vault=VECTORS["vault"],
        confirmations=None,
        withdrawals_halted=False,
        host=VECTORS["host"],
    )
    message = vector["message"] | {
        name: int(vector["message"][name]) for name in ("expires", "nonce", "deadline")
    }
    signed = typed_data(deployment, "AgentApproval", APPROVAL_TYPE, message)
    assert wallet.sign_typed(signed) == vector["signature"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_signature_has_the_one_form_that_the_exchange_takes(kind: KeyKind) -> None:
    key = AgentKey.generate(kind)
    for number in range(50):
        text = b"text %d" % number
        verify(key.id, text, key.sign(text))  # low s among others, which a coin decides


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_comes_back_from_what_was_kept_of_it(kind: KeyKind, tmp_path: Path) -> None:
    key = AgentKey.generate(kind)
    path = tmp_path / "maker.key"
    key.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert AgentKey.load(path).id == key.id
    assert AgentKey.from_secret(key.secret_text()).id == key.id
    with pytest.raises(FileExistsError):
        AgentKey.generate().save(path)
    assert AgentKey.load(path).id == key.id, "no key is ever written over another"


def test_a_file_that_others_can_read_is_warned_of_without_showing_the_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key, path = AgentKey.generate(), tmp_path / "maker.key"
    key.save(path)
    assert AgentKey.load(path).id == key.id
    assert caplog.records == []
    path.chmod(0o640)
    assert AgentKey.load(path).id == key.id
    (warning,) = caplog.messages
    assert f"chmod 600 {path}" in warning
    assert key.secret_text()[-64:] not in warning


def test_a_key_that_can_not_be_written_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> int:
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "write_text", write)
    with pytest.raises(OSError, match="full"):
        AgentKey.generate().save(tmp_path / "maker.key")
    assert list(tmp_path.iterdir()) == []


def test_a_secret_that_is_not_there_is_told_as_such() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        AgentKey.from_secret(None)  # type: ignore[arg-type]


def test_what_is_no_secret_is_refused_without_showing_it() -> None:
    for secret in ("", "0x12", "ab" * 31, "zz" * 32, "rsa:" + "ab" * 32):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            AgentKey.from_secret(secret)
        assert not secret or secret not in str(caught.value)
    with pytest.raises(ValueError, match="of a secp256k1 key, not ed25519"):
        AgentKey.from_secret("secp256k1:" + "ab" * 32, "ed25519")
    with pytest.raises(ValueError, match="32 bytes"):
        AgentKey(b"short")
    with pytest.raises(TypeError):
        AgentKey("ab" * 32)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind"):
        AgentKey(b"x" * 32, "rsa")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="secp256k1"):
        AgentKey(b"\xff" * 32, "secp256k1")


def test_nothing_that_is_printed_or_pickled_holds_a_secret() -> None:
    wallet, key = Wallet.from_key("46" * 32), AgentKey.from_secret("ab" * 32)
    exchange = Exchange("http://localhost:8000", key=key, wallet=wallet)
    for shown in (repr(key), str(key), repr(wallet), repr(exchange)):
        assert "46" * 32 not in shown
        assert "ab" * 32 not in shown
    assert key.id in repr(exchange)
    assert wallet.address in repr(exchange)
    for secret in (key, wallet):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(secret)


def test_a_key_is_named_by_itself_or_its_id() -> None:
    key = AgentKey.generate()
    assert key_id(key) == key_id(key.id.upper().replace("0X", "0x")) == key.id
    for other in ("", "0x12", key.id + "00", "0x" + "zz" * 32):
        with pytest.raises(ValueError, match="0x and 64"):
            key_id(other)


def test_nonces_increase_whoever_takes_them_and_whatever_the_clock_does() -> None:
    nonces = Nonces()
    taken: list[list[int]] = [[] for _ in range(4)]

    def take(mine: list[int]) -> None:
        mine.extend(nonces.next(1_000_000 - step) for step in range(2_000))  # a clock that runs backwards

    threads = [threading.Thread(target=take, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in taken)
    assert len({nonce for mine in taken for nonce in mine}) == 8_000
    assert nonces.next(10**18) == 10**15, "back to the clock's microseconds"


async def test_many_tasks_sign_with_one_key(market: Market) -> None:
    async with market.agent() as exchange:
        placed = await asyncio.gather(
            *(exchange.place("ETH-USDC", "buy", size="0.001", price=2900) for _ in range(300))
        )
        assert len({one.order_id for one in placed}) == 300
        assert len(await exchange.open_orders()) == 300


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_local_clock_an_hour_off_does_not_matter(market: Market, hours: int) -> None:
    async with market.agent() as exchange:
        exchange._http.clock = ExchangeClock(lambda: time.time_ns() + hours * 3_600 * 10**9)
        assert (await exchange.place("ETH-USDC", "buy", size=1, price=2900)).order.is_open
        assert round(exchange.clock.offset_ms / 3_600_000) == -hours


async def test_a_clock_that_went_wrong_is_learned_again(market: Market) -> None:
    way = FaultyWay()
    async with market.agent(http=way) as exchange:
        placed = await exchange.place("ETH-USDC", "buy", size=1, price=2900)
        way.sent.clear()
        now_ns = exchange.clock.monotonic_ns()
        exchange.clock.learn(exchange.clock.now_ms() + 3_600_000, now_ns, now_ns)
        assert (await exchange.cancel(placed)).status == "cancelled", "nonces went back by that hour, too"
        assert len(way.sent) == 2


async def test_a_nonce_that_another_process_used_first_is_told_from_a_failure(market: Market) -> None:
    way = FaultyWay()
    async with market.agent(http=way) as exchange:
        assert exchange.key is not None
        twin = AgentKey.from_secret(exchange.key.secret_text())
        async with Exchange(market.url, key=twin) as other:
            placed = await other.place("ETH-USDC", "buy", size=1, price=2900)
            used = twin.nonces._last
            exchange.key.nonces = Repeating(used)
            again = await exchange.place("ETH-USDC", "buy", size=1, price=2800)
            assert again.order.is_open, "sent again with the next nonce"
            assert len(way.sent) == 2
            exchange.key.nonces = Repeating(used)
            with pytest.raises(OutcomeUnknown) as caught:
                await exchange.amend(placed, size="0.5")
            assert isinstance(caught.value.refusal, NonceRefused)


class Repeating(Nonces):
    """Gives first a nonce that was given before."""

    def __init__(self, nonce: int) -> None:
        super().__init__()
        self._repeated: int | None = nonce

    def next(self, now_ns: int) -> int:
        nonce, self._repeated = self._repeated, None
        return super().next(now_ns) if nonce is None else nonce


async def test_a_key_is_unknown_before_it_is_approved_and_dead_after_it_is_revoked(market: Market) -> None:
    key = AgentKey.generate()
    async with market.owner() as owner, Exchange(market.url, key=key) as exchange:
        with pytest.raises(AgentUnknown):
            await exchange.balances()
        agent = await owner.approve(key, "maker")
        assert agent.is_active
        assert [one.key for one in await owner.agents()] == [key.id]
        assert (await exchange.place("ETH-USDC", "buy", size=1, price=2900)).order.is_open
        revoked = await owner.revoke(key)
        assert revoked.state == "revoked"
        assert (await owner.revoke(key.id)).state == "revoked", "twice is once"
        with pytest.raises(AgentRevoked):
            await exchange.place("ETH-USDC", "buy", size=1, price=2900)
