"""Bots in tests: keys that their owners approve, requests that they sign as docs/api/signing.md has it."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from nacl.signing import SigningKey
from tests.edge.harness import HOST, Exchange, Trader

from exchange.gateway.typed_data import AgentApprovalMessage


class Ed25519Key:
    """A key of a bot."""

    kind = "ed25519"

    def __init__(self) -> None:
        self._secret = SigningKey.generate()
        self.text = "0x" + self._secret.verify_key.encode().hex()

    @property
    def secret(self) -> str:
        return "0x" + bytes(self._secret).hex()

    def sign(self, text: str) -> str:
        return "0x" + self._secret.sign(text.encode()).signature.hex()


class Secp256k1Key:
    """The same, of Ethereum's kind."""

    kind = "secp256k1"

    def __init__(self) -> None:
        self._secret: LocalAccount = Account.create()
        self.text = self._secret.address.lower()

    @property
    def secret(self) -> str:
        return "0x" + bytes(self._secret.key).hex()

    def sign(self, text: str) -> str:
        return "0x" + bytes(self._secret.sign_message(encode_defunct(text=text)).signature).hex()


Key = Ed25519Key | Secp256k1Key


def approval(
    trader: Trader,
    key: str,
    *,
    wallet: LocalAccount | None = None,
    changes: dict[str, Any] | None = None,
    **signed: Any,
) -> dict[str, Any]:
    """The body that approves a key for everything, but for what is `signed`; `changes` apply afterwards."""
    now_s = trader.exchange.edge.clock_ns() // 10**9
    body = {
        "key": key,
        "name": "bot",
        "scopes": ["read", "trade"],
        "markets": [],
        "sub_accounts": [],
        "expires_at_s": now_s + 24 * 3_600,
        "ip_ranges": [],
        "nonce": "1",
        "deadline_s": now_s + 600,
    } | signed
    message = AgentApprovalMessage(
        account=trader.owner,
        key=body["key"],
        name=body["name"],
        scopes=tuple(body["scopes"]),
        markets=tuple(body["markets"]),
        sub_accounts=tuple(body["sub_accounts"]),
        expires_s=body["expires_at_s"],
        ip_ranges=tuple(body["ip_ranges"]),
        nonce=int(body["nonce"]),
        deadline_s=body["deadline_s"],
    )
    digest = trader.exchange.domain.agent_digest(message)
    signature = (wallet or trader.key).unsafe_sign_hash(digest).signature
    return body | {"signature": "0x" + signature.hex()} | (changes or {})


@dataclass(slots=True)
class Bot:
    """A key, and the requests that it signs."""

    exchange: Exchange
    key: Key = field(default_factory=Ed25519Key)
    _nonce: int = 0

    def next_nonce(self) -> int:
        """The time in microseconds, and always more than before."""
        self._nonce = max(self._nonce + 1, self.exchange.edge.clock_ns() // 1_000)
        return self._nonce

    def headers(self, method: str, target: str, body: bytes = b"", **changes: Any) -> dict[str, str]:
        """The headers of a signed request. `changes` are of what is signed: host, nonce, expires_ms, ..."""
        nonce = str(changes.get("nonce") or self.next_nonce())
        expires_ms = str(changes.get("expires_ms", self.exchange.edge.clock_ns() // 10**6 + 10_000))
        text = "\n".join(
            [
                "exchange-request-1",
                changes.get("genesis_id", self.exchange.view.genesis_id),
                changes.get("host", HOST),
                self.key.text,
                method,
                target,
                hashlib.sha256(body).hexdigest(),
                nonce,
                expires_ms,
            ]
        )
        return {
            "Exchange-Key": self.key.text,
            "Exchange-Nonce": nonce,
            "Exchange-Expires": expires_ms,
            "Exchange-Signature": self.key.sign(text),
        }

    async def request(
        self,
        method: str,
        target: str,
        json: Any = None,
        *,
        headers: dict[str, str] | None = None,
        **signed: Any,
    ) -> httpx.Response:
        """A signed request. `signed` is otherwise than it should be; `headers` come on top."""
        content = b"" if json is None else msgspec.json.encode(json)
        own = self.headers(method, target, content, **signed)
        if content:
            own["Content-Type"] = "application/json"
        return await self.exchange.client.request(
            method, target, content=content, headers=own | (headers or {})
        )

    async def get(self, target: str) -> httpx.Response:
        return await self.request("GET", target)

    async def order(self, **changes: Any) -> httpx.Response:
        """An order to buy 1 ETH at 3000, with changes."""
        body = {"market": "ETH-USDC", "side": "buy", "price": "3000", "size": "1"}
        return await self.request("POST", "/v1/orders", body | changes)


async def approved(trader: Trader, key: Key | None = None, **signed: Any) -> Bot:
    """A bot of the trader's, approved for everything but for what is `signed` otherwise."""
    bot = Bot(trader.exchange, key or Ed25519Key())
    response = await trader.request("POST", "/v1/agents", json=approval(trader, bot.key.text, **signed))
    assert response.status_code == 201, response.text
    return bot
