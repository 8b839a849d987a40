"""What is sent deflated costs by what it inflates to, and nobody else waits for all of it."""

import asyncio
import zlib

from tests.edge_ws.test_upgrade import HEAD

from exchange.edge.ws.connection import Connection
from exchange.edge.ws.limits import STRANGERS

DEFLATING = (
    "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_max_window_bits=9"
)
"""Answers come plain: the server's window is larger than that."""
CLOSE_FRAME = bytes([0b1000_1000, 0x80 | 2, 0, 0, 0, 0]) + (1000).to_bytes(2)


def deflated_frame(text: str) -> bytes:
    """A masked text frame, as a client that deflates sends it."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    payload = (deflate.compress(text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(payload) < 126
    return bytes([0b1100_0001, 0x80 | len(payload), 0, 0, 0, 0]) + payload


async def test_of_what_little_inflates_to_no_more_is_looked_at_in_one_turn_of_the_loop(streams, monkeypatch):
    turns, looked_at = 0, []
    on_text = Connection.on_text

    def looking(connection: Connection, raw: bytes) -> None:
        looked_at.append((turns, len(raw)))
        on_text(connection, raw)

    async def counting() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    monkeypatch.setattr(Connection, "on_text", looking)
    counter = asyncio.create_task(counting())
    reader, writer = await asyncio.open_connection("127.0.0.1", streams.port)
    writer.write("\r\n".join(["GET /v1/ws HTTP/1.1", *HEAD, DEFLATING, "", ""]).encode())
    async with asyncio.timeout(20):
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        ping = '{"op": "ping", "x": "' + " " * 3_000 + '"}'
        frames = deflated_frame(ping) * 8 + deflated_frame('{"op": "ping"}') * 4
        assert len(frames) < STRANGERS.piece_bytes
        writer.write(frames + CLOSE_FRAME)
        answers = await reader.read()  # to the end: what came before the close is all answered
    counter.cancel()
    writer.transport.abort()
    assert answers.count(b'"field_unknown"') == 8
    assert answers.count(b'"pong"') == 4
    assert len({turn for turn, size_bytes in looked_at if size_bytes > 3_000}) == 8, looked_at
    assert len(looked_at) == 12
