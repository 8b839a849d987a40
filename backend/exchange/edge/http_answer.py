"""Answers in one piece: head and body of a plain answer are one write, where uvicorn makes two.

A write is a system call and wakes the client, so the second costs as much as the first. Headers are looked at
for characters that must not be there as uvicorn does it, but those that are in every answer only once. An
answer that is anything but plain (no length, no keep-alive, HEAD) is left to uvicorn, as is all that goes
wrong.
"""

from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

_LENGTH = b"content-length"
_NOT_PLAIN = frozenset({b"connection", b"transfer-encoding"})
_LINES_REMEMBERED = 1_024


@lru_cache(_LINES_REMEMBERED)
def _line(name: bytes, value: bytes) -> bytes | None:
    """A header as it is sent; None for one that uvicorn must see."""
    if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value) or name.lower() in _NOT_PLAIN:
        return None
    return b"%b: %b\r\n" % (name.lower(), value)


class PlainAnswer:
    """The `send` of one request; it takes the place of the cycle's own."""

    __slots__ = ("_cycle", "_head", "_length", "_send")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._send = cycle.send
        self._head: bytes | None = None
        self._length = 0

    async def send(self, message: Any) -> None:
        """As the cycle's. Raises RuntimeError for what is no answer."""
        cycle, head = self._cycle, self._head
        if head is None:
            if cycle.response_started or not self._begin(message):
                await self._send(message)
            return
        self._head = None
        if message["type"] != "http.response.body":
            raise RuntimeError(f"expected the body, not {message['type']!r}")
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        body = message.get("body", b"")
        cycle.expected_content_length = self._length
        if message.get("more_body", False) or len(body) != self._length:
            cycle.transport.write(head)
            await self._send(message)
            return
        cycle.transport.write(head + body)
        cycle.expected_content_length = 0
        cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()

    def _begin(self, message: Any) -> bool:
        """Puts the head together, if it is plain."""
        cycle = self._cycle
        if message["type"] != "http.response.start" or not cycle.keep_alive or cycle.disconnected:
            return False
        if cycle.scope["method"] == "HEAD":
            return False
        length = None
        lines = [STATUS_LINE[message["status"]]]
        for name, value in (*cycle.default_headers, *message.get("headers", ())):
            line = _line(name, value)
            if line is None:
                return False
            if name == _LENGTH:
                length = int(value)
            lines.append(line)
        if length is None:
            return False
        lines.append(b"\r\n")
        self._head, self._length = b"".join(lines), length
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        cycle.chunked_encoding = False
        return True
