"""Messages as the bytes that go on the wire, made once and written to any number of connections.

What a server sends is not masked, so a frame is the same for everybody. Deflated frames are too, because
every connection that takes them has agreed to a window of WINDOW_BITS and to no context between messages.
Source: RFC 6455, 5.2; RFC 7692, 7.2.1.
"""

import struct
import zlib
from collections.abc import Sequence

WINDOW_BITS = 12
_MEMORY_LEVEL = 5
_LEVEL = 3
_MIN_DEFLATED_BYTES = 100
"""Shorter texts hardly shrink; any message may be sent as it is."""
_TEXT = 0x81
_DEFLATED_TEXT = 0xC1
_PING = 0x89


class Frames:
    """One or more messages, in order. `plain` and `deflated` are for `transport.write`."""

    __slots__ = ("_deflated", "_payloads", "messages", "payload_bytes", "plain")

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self._payloads = payloads
        self._deflated: bytes | None = None
        self.messages = len(payloads)
        self.payload_bytes = sum(map(len, payloads))
        self.plain = b"".join([_framed(_TEXT, payload) for payload in payloads])

    @property
    def deflated(self) -> bytes:
        """For connections that have agreed to permessage-deflate; made when the first of them wants it."""
        if self._deflated is None:
            self._deflated = b"".join([_deflated(payload) for payload in self._payloads])
        return self._deflated


def ping_frame(payload: bytes) -> bytes:
    """A ping, of at most 125 bytes."""
    return _framed(_PING, payload)


def _deflated(payload: bytes) -> bytes:
    if len(payload) < _MIN_DEFLATED_BYTES:
        return _framed(_TEXT, payload)
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -WINDOW_BITS, _MEMORY_LEVEL)
    # The flush ends with an empty block, which the receiver puts there itself.
    return _framed(_DEFLATED_TEXT, (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4])


def _framed(first_byte: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((first_byte, length)) + payload
    if length < 65_536:
        return struct.pack("!BBH", first_byte, 126, length) + payload
    return struct.pack("!BBQ", first_byte, 127, length) + payload
