"""The client's side of WebSocket, as little as a benchmark needs, and cheap. Source: RFC 6455, RFC 7692.

A reader takes `type`, `seq` and `prev_seq` out of the bytes instead of parsing each message, so that
a thousand of them in one process still leave the server most of the machine. With compression the server
sends the same bytes to everybody: each is inflated once, and known again by its bytes.
"""

import base64
import hashlib
import os
import zlib
from collections.abc import Iterator
from typing import NamedTuple

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
FINAL, COMPRESSED = 0x80, 0x40
MASKED = 0x80
SHORT_BYTES, MEDIUM = 125, 126
INFLATED_KEPT = 64
"""Several flushes' worth: readers in one process are at most that far apart."""


class NotWebSocket(Exception):
    """The other side did something that this reader does not know; the text says what."""


class Frame(NamedTuple):
    """One whole frame as it came, unmasked as all of a server's are."""

    opcode: int
    is_compressed: bool
    payload: bytes


class Update(NamedTuple):
    """What a message says of its place; `prev_seq` is None but for updates, `seq` 0 where there is none."""

    kind: str
    seq: int
    prev_seq: int | None


def upgrade_request(host: str, port: int, key: bytes, *, deflate: bool) -> bytes:
    """The request that begins a connection at `/v1/ws`."""
    lines = [
        b"GET /v1/ws HTTP/1.1",
        b"Host: %s:%d" % (host.encode(), port),
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + key,
    ]
    if deflate:
        lines.append(
            b"Sec-WebSocket-Extensions: permessage-deflate; "
            b"server_no_context_takeover; client_no_context_takeover"
        )
    return b"\r\n".join([*lines, b"", b""])


def new_key() -> bytes:
    """A key of a connection's handshake."""
    return base64.b64encode(os.urandom(16))


def accept_of(key: bytes) -> bytes:
    """What a server answers to a key."""
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def after_upgrade(received: bytes, key: bytes, *, deflate: bool) -> bytes | None:
    """What came after the server's answer; None while the answer is not complete. Raises NotWebSocket."""
    head, end, rest = received.partition(b"\r\n\r\n")
    if not end:
        return None
    status, *lines = head.split(b"\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (each.partition(b":") for each in lines)
    }
    if b" 101 " not in status + b" ":
        raise NotWebSocket(f"the upgrade was answered {status!r} {rest[:300]!r}")
    if headers.get(b"sec-websocket-accept") != accept_of(key):
        raise NotWebSocket("the answer is to another key")
    if (b"permessage-deflate" in headers.get(b"sec-websocket-extensions", b"")) != deflate:
        raise NotWebSocket(
            f"compression was{'' if deflate else ' not'} asked for, the server answered otherwise"
        )
    return rest


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A short frame, masked with zeros: a client's must be masked, and nobody listens in."""
    if len(payload) > SHORT_BYTES:
        head = bytes([FINAL | opcode, MASKED | MEDIUM]) + len(payload).to_bytes(2)
    else:
        head = bytes([FINAL | opcode, MASKED | len(payload)])
    return head + bytes(4) + payload


def server_frame(payload: bytes) -> bytes:
    """A text frame as a server sends it."""
    size = len(payload)
    if size <= SHORT_BYTES:
        return bytes([FINAL | TEXT, size]) + payload
    if size < 2**16:
        return bytes([FINAL | TEXT, MEDIUM]) + size.to_bytes(2) + payload
    return bytes([FINAL | TEXT, MEDIUM + 1]) + size.to_bytes(8) + payload


class Frames:
    """Cuts what one connection receives into frames."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> Iterator[Frame]:
        """The frames that are complete now. Raises NotWebSocket for fragments and masked frames."""
        data = self._rest + received if self._rest else received
        start, end = 0, len(data)
        while end - start >= 2:
            first, size = data[start], data[start + 1]
            begin = start + 2
            if not first & FINAL or size & MASKED:
                raise NotWebSocket(f"a frame begins {data[start : start + 2]!r}")
            if size >= MEDIUM:
                begin += 2 if size == MEDIUM else 8
                if end < begin:
                    break
                size = int.from_bytes(data[start + 2 : begin])
            if end < begin + size:
                break
            start = begin + size
            yield Frame(first & 0x0F, bool(first & COMPRESSED), data[begin:start])
        self._rest = data[start:]


class Inflater:
    """Messages that were compressed each for itself, once for all that receive the same bytes."""

    def __init__(self) -> None:
        self._known: dict[bytes, bytes] = {}

    def inflate(self, payload: bytes) -> bytes:
        """The message. Raises NotWebSocket when these are no such bytes."""
        message = self._known.get(payload)
        if message is None:
            try:
                message = zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload + b"\x00\x00\xff\xff")
            except zlib.error as error:
                raise NotWebSocket(f"a compressed message: {error}") from error
            if len(self._known) >= INFLATED_KEPT:
                del self._known[next(iter(self._known))]
            self._known[payload] = message
        return message


def read_update(message: bytes) -> Update:
    """The place of a message, out of its bytes: the server writes its members in the documented order."""
    kind = message[9 : message.index(b'"', 9)].decode("ascii")
    if kind != "update":
        return Update(kind, _number_after(message, b'"seq":'), None)
    return Update(kind, _number_after(message, b'"seq":'), _number_after(message, b'"prev_seq":'))


def _number_after(message: bytes, name: bytes) -> int:
    place = message.find(name)
    if place < 0:
        return 0
    begin = end = place + len(name)
    while message[end : end + 1].isdigit():
        end += 1
    return int(message[begin:end])
