"""Real WebSocket clients, and short ways to speak with the server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.edge.agents import Bot
from tests.edge.harness import HOST, Exchange, Trader
from tests.streams.spec import SHAPES
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from exchange.edge.ws.connection import Connection

BOOK = {"channel": "book", "market": "ETH-USDC"}
ORDERS = {"channel": "orders", "sub_account": 0}
ORDER = {"market": "ETH-USDC", "side": "buy", "price": "3000", "size": "1"}
ANSWER_S = 10


@dataclass(slots=True)
class Client:
    """One connection. What comes is told apart by `type`, in the order in which it came."""

    socket: ClientConnection
    welcome: dict[str, Any]

    async def send(self, **request: Any) -> None:
        await self.socket.send(json.dumps(request))

    async def receive(self) -> dict[str, Any]:
        """The next message but for heartbeats."""
        async with asyncio.timeout(ANSWER_S):
            while (message := await self.heard())["type"] == "heartbeat":
                pass
        return message

    async def heard(self) -> dict[str, Any]:
        async with asyncio.timeout(ANSWER_S):
            text = await self.socket.recv()
        assert isinstance(text, str)
        return SHAPES.check(text)

    async def ask(self, **request: Any) -> dict[str, Any]:
        """The reply to a request, which must be the next message."""
        await self.send(**request)
        return await self.receive()

    async def say(self, raw: str | bytes) -> dict[str, Any]:
        await self.socket.send(raw)
        return await self.receive()

    async def refused(self, code: str, field: str | None = None, **request: Any) -> dict[str, Any]:
        answer = await self.ask(**request)
        assert (answer["type"], answer["code"], answer.get("field")) == ("error", code, field), answer
        return answer

    async def subscribe(self, **subject: Any) -> dict[str, Any]:
        """Subscribes; the snapshot."""
        reply = await self.ask(op="subscribe", **subject)
        assert reply["type"] == "subscribed", reply
        assert not reply["resumed"]
        snapshot = await self.receive()
        assert snapshot["type"] == "snapshot", snapshot
        assert snapshot["channel"] == subject["channel"]
        return snapshot

    async def done(self, op: str, **fields: Any) -> dict[str, Any]:
        """The result of a request that trades."""
        result = await self.ask(op=op, **fields)
        assert (result["type"], result.get("op")) == ("result", op), result
        return result

    async def place(self, **changes: Any) -> dict[str, Any]:
        """The result of an order to buy 1 ETH at 3000, with changes."""
        return await self.done("place", **ORDER | changes)

    async def sign_in(self, trader: Trader) -> None:
        reply = await self.ask(op="auth", token=trader.token)
        assert reply["type"] == "authenticated", reply

    async def closed(self) -> tuple[int | None, str | None]:
        """Reads up to the end; its code and reason."""
        try:
            async with asyncio.timeout(20):
                while True:
                    await self.socket.recv()
        except ConnectionClosed:
            return self.socket.close_code, self.socket.close_reason

    async def answer_challenge(self, bot: Bot, **changes: Any) -> dict[str, Any]:
        """The reply to a bot that says who it is; `changes` are of what it signs, or sends."""
        expires_ms = changes.get("expires_ms", bot.exchange.edge.clock_ns() // 10**6 + 10_000)
        signed = {
            "genesis_id": self.welcome["genesis_id"],
            "host": HOST,
            "key": bot.key.text,
            "challenge": self.welcome["challenge"],
            "expires_ms": expires_ms,
        } | changes.get("signed", {})
        text = "\n".join(["exchange-websocket-1", *map(str, signed.values())])
        request = {"key": bot.key.text, "expires_ms": expires_ms, "signature": bot.key.sign(text)}
        return await self.ask(op="auth", **request | changes.get("sent", {}))


@asynccontextmanager
async def engine_standing_still(exchange: Exchange) -> AsyncIterator[None]:
    """Nothing is committed, and so nothing answered, until the end of this."""
    log = exchange.sequencer._log
    append, may_go_on = log.append, asyncio.Event()

    async def append_later(*given: Any) -> None:
        await may_go_on.wait()
        await append(*given)

    log.append = append_later  # type: ignore[method-assign]
    try:
        yield
    finally:
        log.append = append  # type: ignore[method-assign]
        may_go_on.set()


def connection_of(exchange: Exchange) -> Connection:
    """The server's side of the client that came last."""
    connection = list(exchange.hub._clients)[-1]
    assert isinstance(connection, Connection)
    return connection


async def until(holds: Callable[[], bool]) -> None:
    """Waits, turn by turn of the loop, until something is true of the server, of which no event tells."""
    async with asyncio.timeout(ANSWER_S):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@dataclass(slots=True)
class Streams:
    """The exchange, and where its streams are."""

    exchange: Exchange
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Client]:
        options = {"max_size": None, "compression": None} | options
        async with connect(self.url.replace("http", "ws") + "/v1/ws", **options) as socket:
            async with asyncio.timeout(ANSWER_S):
                welcome = SHAPES.check(await socket.recv())
            yield Client(socket, welcome)

    @asynccontextmanager
    async def signed_in(self, trader: Trader, **options: Any) -> AsyncIterator[Client]:
        async with self.client(**options) as client:
            await client.sign_in(trader)
            yield client
