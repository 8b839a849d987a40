"""A client that keeps to nothing: it writes frames bit by bit, and reads what comes back.

Source: RFC 6455, 5.2 (frames), 5.5 (control frames); RFC 7692, 7.2 (compression).
"""

import asyncio
import base64
import json
import os
import socket
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.streams.spec import SHAPES, Frame

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
TIMEOUT_S = 15.0
UNASKED = frozenset({"welcome", "heartbeat", "snapshot", "update", "ended"})


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    reserved: int = 0,
    masked: bool = True,
    length: int | None = None,
) -> bytes:
    """The bytes of a frame; `length` claims another length than the payload's."""
    claimed = len(payload) if length is None else length
    first = (0x80 if final else 0) | reserved << 4 | opcode
    mask_bit = 0x80 if masked else 0
    if claimed < 126:
        head = bytes((first, mask_bit | claimed))
    elif claimed < 2**16:
        head = struct.pack("!BBH", first, mask_bit | 126, claimed)
    else:
        head = struct.pack("!BBQ", first, mask_bit | 127, claimed)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    whole = (mask * (len(payload) // 4 + 1))[: len(payload)]
    hidden = int.from_bytes(payload) ^ int.from_bytes(whole)
    return head + mask + hidden.to_bytes(len(payload))


def deflated(payload: bytes, window_bits: int = 12) -> bytes:
    """A message's payload as permessage-deflate sends it."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -window_bits)
    return (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


@dataclass(slots=True)
class Hostile:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int
    headers: dict[str, str]
    close_code: int | None = None
    replies: list[Frame] = field(default_factory=list)
    """To requests; what comes unasked is held against the document and forgotten."""
    pongs: list[bytes] = field(default_factory=list)

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        path: str = "/v1/ws",
        extensions: str = "",
        receive_buffer: int | None = None,
        **headers: str,
    ) -> "Hostile":
        address = urlsplit(url)
        opened = socket.socket()
        if receive_buffer is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, (address.hostname, address.port))
        reader, writer = await asyncio.open_connection(sock=opened, limit=4096)
        fields = {
            "Host": address.netloc,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
        }
        if extensions:
            fields["Sec-WebSocket-Extensions"] = extensions
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value)]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        try:
            async with asyncio.timeout(TIMEOUT_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except BaseException:
            writer.transport.abort()
            raise
        found = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return cls(reader, writer, int(head[0].split()[1]), found)

    async def __aenter__(self) -> "Hostile":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def send(self, data: bytes) -> None:
        """Writes bytes; that the server may have closed already is no error here."""
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def send_text(self, text: str | bytes) -> None:
        await self.send(frame(TEXT, text if isinstance(text, bytes) else text.encode()))

    async def send_json(self, body: Any) -> None:
        await self.send_text(json.dumps(body))

    async def read_frame(self) -> tuple[int, bytes] | None:
        """(opcode, payload) of the next frame; None at the end."""
        try:
            first, second = await self.reader.readexactly(2)
            assert first & 0x70 in (0, 0x40), "reserved bits of the server"
            assert first & 0x80, "the server never fragments"
            assert not second & 0x80, "a server's frame is never masked"
            size = second
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            payload = await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        if first & 0x40:
            payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
        return first & 0x0F, payload

    async def read_until_closed(self) -> int | None:
        """Reads to the end; the close code, None when there was none."""
        async with asyncio.timeout(TIMEOUT_S):
            while (found := await self.read_frame()) is not None:
                self._take(*found)
        return self.close_code

    async def settle(self) -> list[Frame] | None:
        """Pings by message and reads until the pong: the replies to all before; None when it was closed."""
        marker = base64.urlsafe_b64encode(os.urandom(9)).decode()
        await self.send_json({"op": "ping", "id": marker})
        async with asyncio.timeout(TIMEOUT_S):
            while (found := await self.read_frame()) is not None:
                self._take(*found)
                if self.replies and self.replies[-1].get("id") == marker:
                    assert self.replies[-1]["type"] == "pong", self.replies[-1]
                    replies, self.replies = self.replies[:-1], []
                    return replies
        return None

    def _take(self, opcode: int, payload: bytes) -> None:
        assert self.close_code is None, "a frame after the close"
        match opcode:
            case 1:
                text = SHAPES.check(payload.decode())
                if text["type"] not in UNASKED:
                    self.replies.append(text)
            case 8:
                (self.close_code,) = struct.unpack("!H", payload[:2])
                payload[2:].decode()
                self._answer(frame(CLOSE, payload[:2]))
            case 10:
                self.pongs.append(payload)
            case 9:
                self._answer(frame(PONG, payload))
            case _:
                raise AssertionError(f"a frame of opcode {opcode} from the server")

    def _answer(self, data: bytes) -> None:
        with suppress(RuntimeError):  # this side may have been closed
            self.writer.write(data)
