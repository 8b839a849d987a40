"""How a client says it: bytes of requests, typed answers, for HTTP one by one, HTTP in batches and WebSocket.

No sockets here. Requests are put together from parts that were made before; what is left for each of them is
a hash and a signature over HTTP, and next to nothing over WebSocket, where only the connection is signed for.
"""

import time
from hashlib import sha256
from typing import Protocol

import msgspec
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair
from scripts.bench.feeds.frames import client_frame
from scripts.bench.load.traders import Trader
from scripts.bench.orders import MAX_CROSSING_LOTS, Cancel, Drawn, Place, price_ticks
from scripts.bench.workload import LEVELS_PER_SIDE

MARKET = "ETH-USDC"
CLIENT_ID_PREFIX = "load-"
"""Of client order ids; the rest is the number of the placement, by which the journal is compared."""
LOTS_PER_UNIT = 10_000
SIGNATURE_BYTES = 64
LIFE_MS = 50_000
"""Of a signed request: less than the minute that it may live."""


def _price_text(ticks: int) -> bytes:
    return f"{ticks // 100}.{ticks % 100:02}".encode("ascii")


_PRICES = {
    ticks: _price_text(ticks)
    for is_buy in (False, True)
    for ticks in (price_ticks(is_buy, distance) for distance in range(LEVELS_PER_SIDE))
}
_SIZES = [f"{lots / LOTS_PER_UNIT:.4f}".encode("ascii") for lots in range(MAX_CROSSING_LOTS + 1)]
_MEMBERS = (
    b'"market":"' + MARKET.encode("ascii") + b'","side":"%b","time_in_force":"%b","price":"%b","size":"%b",'
    b'"sub_account":%d,"client_order_id":"' + CLIENT_ID_PREFIX.encode("ascii") + b'%d"'
)


def members(place: Place) -> bytes:
    """Of an order as JSON, without braces."""
    _, sub_account, is_buy, ticks, lots, crosses, _ = place
    return _MEMBERS % (
        b"buy" if is_buy else b"sell",
        b"ioc" if crosses else b"gtc",
        _PRICES[ticks],
        _SIZES[lots],
        sub_account,
        place.number,
    )


class _Order(msgspec.Struct):
    order_id: str
    filled: str


class _Problem(msgspec.Struct):
    code: str


class Answer(msgspec.Struct):
    """What became of one operation: an order, or the code of why not."""

    status: int = 0
    order: _Order | None = None
    code: str = ""
    problem: _Problem | None = None
    """In a batch the code is in here."""
    type: str = ""
    id: str = ""
    """Of WebSocket: what it is, and which request it answers."""

    @property
    def refusal(self) -> str | None:
        """The code; None when it was done."""
        if self.order is not None:
            return None
        return self.code or (self.problem.code if self.problem is not None else "no_answer")

    @property
    def order_id(self) -> int:
        assert self.order is not None
        return int(self.order.order_id)

    @property
    def filled_lots(self) -> int:
        assert self.order is not None
        return round(float(self.order.filled) * LOTS_PER_UNIT)


class _Batch(msgspec.Struct):
    results: list[Answer]


decode_answer = msgspec.json.Decoder(Answer).decode
decode_batch = msgspec.json.Decoder(_Batch).decode


class Deployment(msgspec.Struct):
    """What a signature is bound to."""

    genesis_id: str
    host: str


class Credential(Protocol):
    """Lines of a request's head that say whose it is."""

    def lines(self, method: bytes, path: bytes, body: bytes) -> bytes: ...


class Token:
    """A session's, which says everything."""

    def __init__(self, trader: Trader) -> None:
        self._lines = f"Authorization: Bearer {trader.token}\r\n".encode("ascii")

    def lines(self, method: bytes, path: bytes, body: bytes) -> bytes:
        return self._lines


class Nobody:
    """For a route that asks nobody who he is."""

    def lines(self, method: bytes, path: bytes, body: bytes) -> bytes:
        return b""


class Key:
    """An agent's Ed25519 key, which signs each request."""

    def __init__(self, trader: Trader, deployment: Deployment) -> None:
        _, self._secret = crypto_sign_seed_keypair(bytes.fromhex(trader.seed))
        key = trader.key.encode("ascii")
        self._key = key
        self._deployment = deployment
        parts = ("exchange-request-1", deployment.genesis_id, deployment.host, trader.key)
        self._text = "\n".join(parts).encode("ascii") + b"\n%b\n%b\n%b\n%d\n%d"
        self._lines = (
            b"Exchange-Key: " + key + b"\r\nExchange-Nonce: %d\r\nExchange-Expires: %d\r\n"
            b"Exchange-Signature: 0x%b\r\n"
        )
        self._nonce = 0

    def lines(self, method: bytes, path: bytes, body: bytes) -> bytes:
        now_us = time.time_ns() // 1_000
        nonce = self._nonce = now_us if now_us > self._nonce else self._nonce + 1
        expires_ms = now_us // 1_000 + LIFE_MS
        digest = sha256(body).hexdigest().encode("ascii")
        text = self._text % (method, path, digest, nonce, expires_ms)
        signature = crypto_sign(text, self._secret)[:SIGNATURE_BYTES]
        return self._lines % (nonce, expires_ms, signature.hex().encode("ascii"))

    def websocket(self, challenge: str) -> bytes:
        """The message that says, over WebSocket, who is there."""
        expires_ms = time.time_ns() // 1_000_000 + LIFE_MS
        parts = (
            "exchange-websocket-1",
            self._deployment.genesis_id,
            self._deployment.host,
            self._key.decode(),
            challenge,
            str(expires_ms),
        )
        signature = crypto_sign("\n".join(parts).encode("ascii"), self._secret)[:SIGNATURE_BYTES]
        return msgspec.json.encode(
            {
                "op": "auth",
                "key": self._key.decode("ascii"),
                "expires_ms": expires_ms,
                "signature": f"0x{signature.hex()}",
            }
        )


def single_request(host: bytes, credential: Credential, drawn: Drawn) -> bytes:
    """One operation over HTTP."""
    if isinstance(drawn, Cancel):
        path = b"/v1/orders/%d" % drawn.order_id
        lines = credential.lines(b"DELETE", path, b"")
        return b"DELETE %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (path, host, lines)
    return post_request(host, credential, b"/v1/orders", b"{%b}" % members(drawn))


def batch_request(host: bytes, credential: Credential, batch: list[Drawn]) -> bytes:
    """Some operations in one request over HTTP."""
    items = [
        b'{"op":"cancel","order_id":"%d"}' % each.order_id
        if isinstance(each, Cancel)
        else b'{"op":"place",%b}' % members(each)
        for each in batch
    ]
    body = b'{"operations":[%b]}' % b",".join(items)
    return post_request(host, credential, b"/v1/orders/batch", body)


def frame(number: int, drawn: Drawn) -> bytes:
    """One operation over WebSocket."""
    if isinstance(drawn, Cancel):
        return client_frame(b'{"op":"cancel","id":"%d","order_id":"%d"}' % (number, drawn.order_id))
    return client_frame(b'{"op":"place","id":"%d",%b}' % (number, members(drawn)))


def post_request(host: bytes, credential: Credential, path: bytes, body: bytes) -> bytes:
    """Any request with a body."""
    return (
        b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b"
        % (path, host, credential.lines(b"POST", path, body), len(body), body)
    )
