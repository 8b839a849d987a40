"""The client of these tests would notice: a server that says these things fails."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.streams.client import StreamClient
from tests.streams.folds import Book
from tests.streams.serving import MARKET
from websockets.asyncio.server import ServerConnection, serve

Frame = dict[str, Any]

WELCOME: Frame = {
    "type": "welcome",
    "seq": 1,
    "time_ms": 1,
    "genesis_id": "0x" + "00" * 32,
    "challenge": "0x" + "00" * 32,
    "heartbeat_ms": 5000,
    "limits": {
        "request_bytes": 1,
        "requests_at_once": 1,
        "requests_per_s": 1,
        "subscriptions": 1,
        "batch_bytes": 1,
        "commands_in_flight": 1,
    },
}


def checksum(text: str) -> int:
    return zlib.crc32(text.encode())


def subscribed(**changes: Any) -> Frame:
    return {
        "type": "subscribed", "id": "r1", "channel": "book", "market": MARKET, "resumed": False, "seq": 10
    } | changes  # fmt: skip


def book(kind: str, bids: list[list[str]], asks: list[list[str]], whole: str, **changes: Any) -> Frame:
    frame = {"type": kind, "channel": "book", "market": MARKET, "seq": 10, "time_ms": 1}
    if kind == "update":
        frame |= {"prev_seq": 10, "seq": 11}
    return frame | {"data": {"bids": bids, "asks": asks, "checksum": checksum(whole)}} | changes


SNAPSHOT = book("snapshot", [["10", "1"]], [["11", "2"]], "10:1,11:2")
UPDATE = book("update", [["10", "0"], ["9", "1"]], [], "9:1,11:2")


@pytest.fixture
async def script() -> AsyncIterator[tuple[list[Frame], StreamClient]]:
    """What a pretended server will say after the first request, and a client of it."""
    frames: list[Frame] = []

    async def say(connection: ServerConnection) -> None:
        await connection.send(json.dumps(WELCOME))
        await connection.recv()
        for frame in frames:
            await connection.send(json.dumps(frame))
        await connection.wait_closed()

    async with serve(say, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield frames, StreamClient(f"http://127.0.0.1:{port}")


async def hears(script: tuple[list[Frame], StreamClient], *said: Frame) -> StreamClient:
    frames, client = script
    frames += said
    await client.connect()
    held = await client.subscribe("book", market=MARKET)
    try:
        await client.until(lambda: held.snapshots + held.updates >= len(said) - 1)
    finally:
        try:
            await client.drop(abruptly=True)
        except AssertionError as found:
            raise AssertionError(str(found)) from found
    return client


async def test_what_a_right_server_says_is_taken(script):
    client = await hears(script, subscribed(), SNAPSHOT, UPDATE)
    (held,) = client.held.values()
    assert isinstance(held.fold, Book)
    assert held.fold.sides() == ([("9", "1")], [("11", "2")])
    assert held.seq == 11


@pytest.mark.parametrize(
    "said",
    [
        (subscribed(), UPDATE),
        (subscribed(resumed=True), SNAPSHOT),
        (subscribed(id="r2"), SNAPSHOT),
        (subscribed(market="WBTC-USDC"), SNAPSHOT),
        (subscribed(), SNAPSHOT, UPDATE | {"prev_seq": 11, "seq": 12}),
        (subscribed(), SNAPSHOT, UPDATE | {"prev_seq": 9, "seq": 10}),
        (subscribed(), SNAPSHOT, UPDATE, UPDATE),
        (subscribed(), SNAPSHOT, SNAPSHOT | {"seq": 9}),
        (subscribed(), SNAPSHOT, book("update", [["9", "1"]], [], "9:1,11:2")),
        (subscribed(), SNAPSHOT, book("update", [["12", "1"]], [], "12:1,10:1,11:2")),
        (subscribed(), SNAPSHOT, book("update", [["9", "1"], ["9", "2"]], [], "10:1,9:2,11:2")),
        (subscribed(), book("snapshot", [["9", "1"], ["10", "1"]], [], "10:1,9:1")),
        (subscribed(), book("snapshot", [["9", "0"]], [], "9:0")),
        (subscribed(), SNAPSHOT | {"market": "WBTC-USDC"}),
        (subscribed(), SNAPSHOT, {"type": "pong", "seq": 1, "time_ms": 1}),
        (subscribed(), SNAPSHOT, {"type": "heartbeat", "seq": 9, "time_ms": 1}),
        (subscribed(), SNAPSHOT, UPDATE | {"note": "hello"}),
    ],
)
async def test_what_a_server_must_never_say_is_noticed(script, said):
    with pytest.raises(AssertionError):
        async with asyncio.timeout(5):
            await hears(script, *said)
