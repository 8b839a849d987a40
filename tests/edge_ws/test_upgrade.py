"""The handshake, spoken in raw bytes where a client library would not."""

import asyncio
import base64
import json

import pytest
from tests.edge.harness import ORIGIN, impatient, running_exchange, served
from tests.edge_ws.speaking import Streams
from websockets.exceptions import InvalidStatus

from exchange.edge.app import create_app

HEAD = [
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
    "Sec-WebSocket-Version: 13",
]


async def answer_to(streams: Streams, line: str, *headers: str, then: bytes = b"") -> tuple[int, dict, bytes]:
    """Status, headers and body of the answer to a request in raw bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", streams.port)
    try:
        writer.write("\r\n".join([line, *headers, "", ""]).encode("latin-1") + then)
        async with asyncio.timeout(10):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status = int(head.split()[1])
            pairs = [row.partition(": ") for row in head.split("\r\n")[1:] if row]
            found = {name.lower(): value for name, _, value in pairs}
            body = await reader.readexactly(int(found.get("content-length", 0)))
            return status, found, body
    finally:
        writer.transport.abort()


async def refused(streams: Streams, status: int, code: str, line: str, *headers: str) -> dict:
    found_status, found, body = await answer_to(streams, line, *headers)
    assert found.get("content-type") == "application/problem+json", (found_status, found, body)
    problem = json.loads(body)
    assert (found_status, problem["code"]) == (status, code), problem
    assert problem["request_id"] == found["x-request-id"]
    assert found["x-content-type-options"] == "nosniff"
    return found


async def test_an_upgrade_as_the_standard_has_it_is_answered_with_101(streams):
    status, headers, _ = await answer_to(streams, "GET /v1/ws HTTP/1.1", *HEAD)
    assert status == 101
    assert headers["sec-websocket-accept"]
    assert "sec-websocket-extensions" not in headers


async def test_only_get_and_only_this_path_can_be_upgraded(streams):
    await refused(streams, 404, "not_found", "GET /v1/streams HTTP/1.1", *HEAD)
    await refused(streams, 405, "method_not_allowed", "POST /v1/ws HTTP/1.1", *HEAD, "Content-Length: 0")
    await refused(streams, 422, "field_unknown", "GET /v1/ws?token=x HTTP/1.1", *HEAD)
    status, _, _ = await answer_to(streams, "GET /v1/markets HTTP/1.1", *HEAD)
    assert status == 200


async def test_a_plain_request_is_told_to_upgrade(streams):
    headers = await refused(streams, 426, "upgrade_required", "GET /v1/ws HTTP/1.1", "Host: localhost")
    assert headers["upgrade"] == "websocket"
    await refused(streams, 426, "upgrade_required", "GET /v1/ws HTTP/1.0", *HEAD)
    await refused(streams, 426, "upgrade_required", "GET /v1/ws HTTP/1.1", *HEAD[:2], *HEAD[3:])


@pytest.mark.parametrize(
    ("without", "instead"),
    [
        (3, []),
        (3, ["Sec-WebSocket-Key: short"]),
        (3, [HEAD[3], HEAD[3]]),
        (4, []),
        (4, ["Sec-WebSocket-Version: 8"]),
        (0, ["Sec-WebSocket-Extensions: ;;"]),
    ],
)
async def test_a_bad_handshake_is_refused(streams, without, instead):
    headers = [header for number, header in enumerate(HEAD) if number != without]
    found = await refused(streams, 400, "bad_request", "GET /v1/ws HTTP/1.1", *headers, *instead)
    assert found["sec-websocket-version"] == "13"
    assert found["connection"] == "close"


async def test_another_sites_page_gets_no_stream(streams):
    for origin in ("https://evil.example", "null", "http://localhost:80000", ORIGIN + "/", ORIGIN.upper()):
        await refused(streams, 403, "origin_not_allowed", "GET /v1/ws HTTP/1.1", *HEAD, f"Origin: {origin}")
    twice = [f"Origin: {ORIGIN}", "Origin: https://evil.example"]
    await refused(streams, 403, "origin_not_allowed", "GET /v1/ws HTTP/1.1", *HEAD, *twice)
    assert streams.exchange.streams.cuts["origin_not_allowed"] == 6
    async with streams.client(origin=ORIGIN) as client:
        assert client.welcome["type"] == "welcome"


async def test_a_smaller_window_than_ours_is_agreed_to_but_gets_plain_frames(streams):
    extension = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9"
    _, headers, _ = await answer_to(streams, "GET /v1/ws HTTP/1.1", *HEAD, extension)
    assert "server_max_window_bits=9" in headers["sec-websocket-extensions"]
    connection = await until_one(streams)
    assert not connection._takes_deflated


async def test_deflating_keeps_no_context_between_messages(streams):
    extension = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    _, headers, _ = await answer_to(streams, "GET /v1/ws HTTP/1.1", *HEAD, extension)
    agreed = headers["sec-websocket-extensions"]
    assert "server_no_context_takeover" in agreed
    assert "client_no_context_takeover" in agreed


async def until_one(streams: Streams):
    async with asyncio.timeout(10):
        while not streams.exchange.hub._clients:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)
    return next(iter(streams.exchange.hub._clients))


async def test_an_upgrade_behind_a_request_that_is_still_answered_is_no_upgrade(streams):
    pipelined = "\r\n".join(["GET /v1/ws HTTP/1.1", *HEAD, "", ""]).encode()
    line = "GET /v1/markets?min_seq=1000 HTTP/1.1"  # waits a little
    reader, writer = await asyncio.open_connection("127.0.0.1", streams.port)
    found = []
    with impatient(streams.exchange):
        writer.write(f"{line}\r\nHost: localhost\r\n\r\n".encode() + pipelined)
        async with asyncio.timeout(10):
            for _ in range(2):
                head = await reader.readuntil(b"\r\n\r\n")
                found.append(int(head.split()[1]))
                length = next(row for row in head.lower().split(b"\r\n") if row.startswith(b"content-length"))
                await reader.readexactly(int(length.split(b":")[1]))
    writer.transport.abort()
    assert found == [503, 426]


async def test_an_upgrade_on_a_connection_that_has_served_requests_is_one(streams):
    reader, writer = await asyncio.open_connection("127.0.0.1", streams.port)
    async with asyncio.timeout(10):
        writer.write(b"GET /v1/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(row for row in head.lower().split(b"\r\n") if row.startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
        writer.write("\r\n".join(["GET /v1/ws HTTP/1.1", *HEAD, "", ""]).encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert b"welcome" in await reader.readuntil(b"}}")
    writer.transport.abort()


async def test_beyond_the_operators_number_of_streams_an_upgrade_is_answered_503(database_url, pool):
    async with (
        running_exchange(database_url, pool, max_streams=2) as exchange,
        served(create_app(exchange.edge, exchange.hub)) as url,
    ):
        streams = Streams(exchange, url)
        async with streams.client(), streams.client():
            found = await refused(streams, 503, "overloaded", "GET /v1/ws HTTP/1.1", *HEAD)
            assert found["retry-after"] == "1"
            with pytest.raises(InvalidStatus):
                async with streams.client():
                    pass
            assert exchange.streams.connections == 2
        async with asyncio.timeout(10):
            while exchange.streams.connections:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.01)
        async with streams.client():
            assert exchange.streams.connections_opened == 3


async def test_without_a_hub_there_are_no_streams(exchange):
    async with served(create_app(exchange.edge)) as url:
        await refused(Streams(exchange, url), 426, "upgrade_required", "GET /v1/ws HTTP/1.1", *HEAD)
