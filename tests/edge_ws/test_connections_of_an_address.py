"""The exchange's own server, which lets one address have only so many connections open."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from tests.edge.harness import ROOMY, Exchange, running_exchange
from tests.edge_ws.speaking import Streams
from websockets.exceptions import InvalidStatus

from exchange.edge.app import create_app
from exchange.edge.http_protocol import BoundedProtocol
from exchange.edge.server import Server, listen
from exchange.gateway.open_connections import SPARE_CONNECTIONS, OpenConnections
from exchange.gateway.rate_policy import IpRates, RateLimitPolicy

MOST = 3
POLICY = RateLimitPolicy(
    ip=IpRates(ROOMY.ip.requests, sign_ins=ROOMY.ip.sign_ins, connections=MOST),
    key=ROOMY.key,
    account=ROOMY.account,
)
REQUEST = b"GET /v1/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Bounded:
    """The server, and connections to it."""

    def __init__(self, exchange: Exchange, port: int) -> None:
        self.streams = Streams(exchange, f"http://127.0.0.1:{port}")
        self.open: OpenConnections = exchange.edge.rate_limits.connections
        self.refused = exchange.edge.rate_limits.refused
        self.port = port

    async def connect(self, number: int) -> list[Opened]:
        """So many connections, of which the server knows."""
        before = len(self.open)
        opened = [await asyncio.open_connection("127.0.0.1", self.port) for _ in range(number)]
        await self.until(before + number)
        return opened

    async def until(self, number: int) -> None:
        async with asyncio.timeout(20):
            while len(self.open) != number:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.01)


@pytest.fixture
async def bounded(database_url, pool, monkeypatch) -> AsyncIterator[Bounded]:
    monkeypatch.setattr(BoundedProtocol, "head_timeout_s", 600.0)
    async with (
        running_exchange(database_url, pool, rate_policy=POLICY) as exchange,
        own_server(exchange) as port,
    ):
        yield Bounded(exchange, port)


@asynccontextmanager
async def own_server(exchange: Exchange) -> AsyncIterator[int]:
    sockets = listen("127.0.0.1", 0)
    app = create_app(exchange.edge, exchange.hub)
    server = Server(app, max_streams=2_000, connections=exchange.edge.rate_limits.connections)
    server.config.timeout_keep_alive = 600
    task = asyncio.create_task(server.run_until_cancelled(sockets))
    try:
        yield sockets[0].getsockname()[1]
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=20)
        sockets[0].close()


async def asked(opened: Opened) -> tuple[int, dict[str, str], dict]:
    """Status, headers and body of an answer."""
    reader, writer = opened
    async with asyncio.timeout(20):
        writer.write(REQUEST)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        rows = [row.partition(": ") for row in head.split("\r\n")[1:] if row]
        headers = {name.lower(): value for name, _, value in rows}
        body = await reader.readexactly(int(headers["content-length"]))
    return int(head.split()[1]), headers, json.loads(body)


def drop(opened: list[Opened]) -> None:
    for _, writer in opened:
        writer.transport.abort()


async def test_a_connection_beyond_the_bound_is_answered_429_and_closed(bounded):
    opened = await bounded.connect(MOST + 1)
    for within in opened[:MOST]:
        assert (await asked(within))[0] == 200
    status, headers, problem = await asked(opened[MOST])
    assert (status, problem["code"]) == (429, "rate_limited")
    assert f"{MOST} connections" in problem["detail"]
    assert (headers["retry-after"], headers["connection"]) == ("1", "close")
    assert headers["x-content-type-options"] == "nosniff"
    assert await opened[MOST][0].read() == b""
    await bounded.until(MOST)
    assert (await asked(opened[0]))[0] == 200, "the others go on"
    assert bounded.refused["ip-connections"] == 1
    drop(opened)
    await bounded.until(0)


async def test_a_connection_that_is_closed_makes_room(bounded):
    opened = await bounded.connect(MOST)
    drop(opened[:1])
    await bounded.until(MOST - 1)
    (another,) = await bounded.connect(1)
    assert (await asked(another))[0] == 200
    drop([*opened, another])
    await bounded.until(0)


async def test_far_beyond_the_bound_a_connection_is_closed_at_once(bounded):
    opened = await bounded.connect(MOST + SPARE_CONNECTIONS)
    reader, writer = await asyncio.open_connection("127.0.0.1", bounded.port)
    async with asyncio.timeout(20):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.transport.abort()
    assert len(bounded.open) == MOST + SPARE_CONNECTIONS
    drop(opened)
    await bounded.until(0)


async def test_refused_ones_leave_nothing_behind(bounded):
    opened = await bounded.connect(MOST)
    for _ in range(3 * SPARE_CONNECTIONS):
        over = await bounded.connect(1)
        assert (await asked(over[0]))[0] == 429
        drop(over)
        await bounded.until(MOST)
    drop(opened)
    await bounded.until(0)
    (another,) = await bounded.connect(1)
    assert (await asked(another))[0] == 200
    drop([another])


async def test_many_short_connections_are_all_served(bounded):
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=bounded.streams.url, limits=limits, timeout=20, headers={"Connection": "close"}
    ) as client:
        for _ in range(200):
            assert (await client.get("/v1/health/live")).status_code == 200
            await bounded.until(0)
    assert not bounded.refused["ip-connections"]


async def test_a_websocket_is_one_of_its_addresss_connections_until_it_is_closed(bounded):
    async with bounded.streams.client(), bounded.streams.client():
        await bounded.until(2)
        (within,) = await bounded.connect(1)
        with pytest.raises(InvalidStatus) as refusal:
            async with bounded.streams.client():
                pass
        assert refusal.value.response.status_code == 429
        assert json.loads(refusal.value.response.body)["code"] == "rate_limited"
        assert refusal.value.response.headers["Retry-After"] == "1"
        await bounded.until(3)
        drop([within])
        await bounded.until(2)
        async with bounded.streams.client():
            await bounded.until(3)
    await bounded.until(0)
    async with bounded.streams.client() as client:
        assert client.welcome["type"] == "welcome"
    await bounded.until(0)


async def test_a_refused_upgrade_gives_its_place_back(bounded):
    for _ in range(2 * MOST):
        with pytest.raises(InvalidStatus):
            async with bounded.streams.client(origin="https://elsewhere.example"):
                pass
        await bounded.until(0)
