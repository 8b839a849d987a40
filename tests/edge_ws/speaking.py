"""Real WebSocket clients, and short ways to speak with the server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.edge.harness import Exchange, Trader
from tests.streams.spec import SHAPES
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

BOOK = {"channel": "book", "market": "ETH-USDC"}
ORDERS = {"channel": "orders", "sub_account": 0}
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
        while True:
            message = await self.heard()
            if message["type"] != "heartbeat":
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
