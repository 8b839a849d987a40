"""The baseline: a bare loop that writes to many sockets the frames that one reader of the exchange received.

The same bytes at the same times after one another, to the same readers; no exchange, no engine, no feeds.
What it takes of the machine, and how late its frames are read, is what loop, kernel and readers cost anybody.
Words:

    listen  the port
    play    the whole tape, from its beginning

    python -m scripts.bench.feeds.bare SETTINGS
"""

import asyncio
import sys
import time
from pathlib import Path

import msgspec
import uvloop
from scripts.bench.children import obey
from scripts.bench.feeds.commit_times import CommitTimes
from scripts.bench.feeds.frames import accept_of, server_frame
from scripts.bench.feeds.subscribers import Taped

LEAD_S = 0.2
KEY = b"sec-websocket-key:"
SNAPSHOT = b'{"type":"snapshot","channel":"book","seq":%d,"data":{"bids":[],"asks":[],"checksum":0}}'
"""Of an empty book."""


class Settings(msgspec.Struct):
    """What is played."""

    tape: str
    commit_times: str


class Reader(asyncio.Protocol):
    """One connection: shakes hands, answers the first request with a snapshot, and is only written to."""

    def __init__(self, playing: "Playing") -> None:
        self._playing = playing
        self._received = b""
        self._is_open = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self._received += data
        if not self._is_open:
            head, end, self._received = self._received.partition(b"\r\n\r\n")
            if not end:
                self._received = head
                return
            self._is_open = True
            lines = head.split(b"\r\n")
            key = next(line[len(KEY) :].strip() for line in lines if line.lower().startswith(KEY))
            answer = [
                b"HTTP/1.1 101 Switching Protocols",
                b"Upgrade: websocket",
                b"Connection: Upgrade",
                b"Sec-WebSocket-Accept: " + accept_of(key),
            ]
            self.transport.write(b"\r\n".join([*answer, b"", b""]))
        if self._received:
            self._received = b""
            self.transport.write(self._playing.snapshot)
            self._playing.readers.append(self.transport)


class Playing:
    """The tape, and everybody who listens."""

    def __init__(self, settings: Settings) -> None:
        self._tape = msgspec.msgpack.decode(Path(settings.tape).read_bytes(), type=list[Taped])
        self._times = CommitTimes(Path(settings.commit_times))
        seq = self._tape[0].prev_seq
        self.snapshot = server_frame(SNAPSHOT % seq)
        self.readers: list[asyncio.Transport] = []

    async def listen(self) -> int:
        server = await asyncio.get_running_loop().create_server(
            lambda: Reader(self), "127.0.0.1", 0, backlog=2_048
        )
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def play(self) -> None:
        begin_ns = time.monotonic_ns() + int(LEAD_S * 1e9) - self._tape[0].after_ns
        for taped in self._tape:
            await asyncio.sleep(max(0.0, (begin_ns + taped.after_ns - time.monotonic_ns()) / 1e9))
            self._times.set(taped.prev_seq + 1, taped.seq, time.monotonic_ns())
            frame = server_frame(taped.message)
            for transport in self.readers:
                transport.write(frame)


async def run(settings: Settings) -> None:
    """Lives as its parent says."""
    playing = Playing(settings)
    await obey({"listen": playing.listen, "play": playing.play})


def main() -> None:
    """In the loop that the exchange runs in."""
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings))


if __name__ == "__main__":
    main()
