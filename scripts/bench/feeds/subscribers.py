"""The subscribers: a process that holds many connections and reads them as fast as they are ready.

Plain sockets in one epoll loop. Of each message its place is taken; each book connection's chain of
`prev_seq` is checked; some rebuild the book from every message and compare each checksum. Words:

    connect  until every connection has its first snapshot
    begin    latencies count from here on
    end      and no longer; nothing else changes
    finish   reads on until nothing comes any more; then tells everything

    python -m scripts.bench.feeds.subscribers SETTINGS
"""

import os
import resource
import select
import socket
import sys
import time
from array import array
from pathlib import Path

import msgspec
from scripts.bench.children import say
from scripts.bench.feeds.commit_times import CommitTimes
from scripts.bench.feeds.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    Frames,
    Inflater,
    NotWebSocket,
    after_upgrade,
    client_frame,
    new_key,
    read_update,
    upgrade_request,
)
from scripts.bench.feeds.rebuilt_book import BookDiffers, RebuiltBook
from scripts.bench.measure import Latencies

RECEIVE_BYTES = 256 * 1024
CONNECTING_AT_ONCE = 20
"""Few, so that those who read already are not kept waiting by those who come."""
CONNECT_TIMEOUT_S = 60.0
QUIET_S = 0.5
FINISH_TIMEOUT_S = 15.0
WANTED_FILES = 8_192
STDIN = 0


class Settings(msgspec.Struct):
    """Who subscribes to what. `tape`: where one reader's messages are kept, for the bare loop to send."""

    port: int
    market: str
    books: int
    checked: int
    tokens: list[str]
    """Each of a session whose fills are read."""
    deflate: bool
    commit_times: str
    tape: str | None


class Taped(msgspec.Struct, array_like=True):
    """One message of the tape; its time is from the beginning of the measurement."""

    after_ns: int
    prev_seq: int
    seq: int
    message: bytes


class Figures(msgspec.Struct):
    """What the subscribers have seen between `begin` and `end`; books and faults: from first to last."""

    messages: int = 0
    received_bytes: int = 0
    frames: int = 0
    """Of one book reader."""
    newest: Latencies | None = None
    oldest: Latencies | None = None
    fills: Latencies | None = None
    fill_messages: int = 0
    gaps: int = 0
    unfit: int = 0
    """Updates that end where the reader stood already."""
    later_snapshots: int = 0
    wrong_books: list[str] = msgspec.field(default_factory=list)
    checked_messages: int = 0
    lowest_seq: int = 0
    highest_seq: int = 0
    """Of all book readers, at the end."""
    bids: list[tuple[str, str]] = msgspec.field(default_factory=list)
    asks: list[tuple[str, str]] = msgspec.field(default_factory=list)


class Connection:
    """One subscription on a connection of its own."""

    __slots__ = (
        "book",
        "frames",
        "is_open",
        "is_private",
        "key",
        "received",
        "seq",
        "snapshots",
        "socket",
        "token",
    )

    def __init__(self, port: int, *, token: str | None, book: RebuiltBook | None, deflate: bool) -> None:
        self.token = token
        self.is_private = token is not None
        self.book = book
        self.seq = 0
        self.snapshots = 0
        self.is_open = False
        self.frames = Frames()
        self.received = b""
        self.key = new_key()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=CONNECT_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(upgrade_request("127.0.0.1", port, self.key, deflate=deflate))
        self.socket.setblocking(False)


class Subscribers:
    """All of them, and what they have seen."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._times = CommitTimes(Path(settings.commit_times)).by_seq
        self._epoll = select.epoll()
        self._epoll.register(STDIN, select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._inflate = Inflater().inflate
        self._ready = 0
        self._recording = False
        self._began_ns = 0
        self._newest_ns, self._oldest_ns, self._fills_ns = array("q"), array("q"), array("q")
        self._told: list[str] = []
        self._tape: list[Taped] = []
        self._taped: Connection | None = None
        self.figures = Figures()

    # ---- the words

    def connect(self) -> None:
        """Every connection, until it has its first snapshot."""
        settings = self._settings
        wanted = [(None, number < settings.checked) for number in range(settings.books)]
        private = [(token, False) for token in settings.tokens]
        waiting = [*wanted, *private][::-1]
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while self._ready < len(wanted) + len(private):
            while waiting and len(self._connections) - self._ready < CONNECTING_AT_ONCE:
                token, checked = waiting.pop()
                book = RebuiltBook() if checked else None
                connection = Connection(settings.port, token=token, book=book, deflate=settings.deflate)
                self._connections[connection.socket.fileno()] = connection
                self._epoll.register(connection.socket, select.EPOLLIN)
                if self._taped is None:
                    self._taped = connection
            self._read(0.1)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._ready} of {settings.books} connections have a snapshot")

    def begin(self) -> None:
        self._recording = True
        self._began_ns = time.monotonic_ns()

    def end(self) -> None:
        self._recording = False

    def finish(self) -> Figures:
        """Reads what is still under way, and sums up."""
        deadline = time.monotonic() + FINISH_TIMEOUT_S
        while self._read(QUIET_S) and time.monotonic() < deadline:
            pass
        figures = self.figures
        figures.newest, figures.oldest = _latencies(self._newest_ns), _latencies(self._oldest_ns)
        figures.fills = _latencies(self._fills_ns)
        figures.fill_messages = len(self._fills_ns)
        books = [each for each in self._connections.values() if not each.is_private]
        figures.lowest_seq = min(each.seq for each in books)
        figures.highest_seq = max(each.seq for each in books)
        for number, connection in enumerate(each for each in books if each.book is not None):
            assert connection.book is not None
            bids, asks = connection.book.levels()
            if number and (bids, asks) != (figures.bids, figures.asks):
                figures.wrong_books.append("two readers have rebuilt different books")
            figures.bids, figures.asks = bids, asks
        if self._settings.tape is not None:
            Path(self._settings.tape).write_bytes(msgspec.msgpack.encode(self._tape))
        return figures

    def run(self) -> None:
        """Reads, and does what it is told, until its input ends."""
        words = {"connect": self.connect, "begin": self.begin, "end": self.end, "finish": self.finish}
        while True:
            self._read(1.0)
            while self._told:
                word = self._told.pop(0)
                if not word:
                    return
                say(words[word]())

    # ---- reading

    def _read(self, timeout_s: float) -> int:
        """Reads every connection that is ready, once; how many were."""
        count = 0
        for number, _ in self._epoll.poll(timeout_s):
            if number == STDIN:
                self._told.extend(os.read(STDIN, 4096).decode("ascii").split() or [""])
                continue
            count += 1
            connection = self._connections[number]
            received = connection.socket.recv(RECEIVE_BYTES)
            now_ns = time.monotonic_ns()
            if not received:
                raise NotWebSocket("the server hung up")
            if not connection.is_open:
                received = self._open(connection, received)
            if self._recording:
                self.figures.received_bytes += len(received)
            for frame in connection.frames.feed(received):
                self._take(connection, frame, now_ns)
        return count

    def _open(self, connection: Connection, received: bytes) -> bytes:
        """The end of the handshake, and the subscription; what came after it."""
        connection.received += received
        rest = after_upgrade(connection.received, connection.key, deflate=self._settings.deflate)
        if rest is None:
            return b""
        connection.is_open = True
        if connection.token is None:
            request = {"op": "subscribe", "channel": "book", "market": self._settings.market}
            connection.socket.sendall(client_frame(msgspec.json.encode(request)))
        else:
            auth = {"op": "auth", "token": connection.token}
            request = {"op": "subscribe", "channel": "fills", "sub_account": 0}
            frames = [client_frame(msgspec.json.encode(each)) for each in (auth, request)]
            connection.socket.sendall(b"".join(frames))
        return rest

    def _take(self, connection: Connection, frame: Frame, now_ns: int) -> None:
        if frame.opcode == PING:
            connection.socket.sendall(client_frame(frame.payload, PONG))
            return
        if frame.opcode == CLOSE:
            raise NotWebSocket(f"the server closed the connection: {frame.payload!r}")
        if frame.opcode != TEXT:
            raise NotWebSocket(f"a frame with opcode {frame.opcode}")
        message = self._inflate(frame.payload) if frame.is_compressed else frame.payload
        kind, seq, prev_seq = read_update(message)
        if kind == "update":
            assert prev_seq is not None
            self._take_update(connection, message, seq, prev_seq, now_ns)
        elif kind == "snapshot":
            connection.seq = seq
            connection.snapshots += 1
            self._ready += connection.snapshots == 1
            self.figures.later_snapshots += connection.snapshots > 1
            self._check(connection, message, is_snapshot=True)
        elif kind in {"error", "ended"}:
            raise NotWebSocket(f"the server said {message!r}")

    def _take_update(
        self, connection: Connection, message: bytes, seq: int, prev_seq: int, now_ns: int
    ) -> None:
        figures = self.figures
        if prev_seq > connection.seq:
            figures.gaps += 1
        elif seq <= connection.seq:
            figures.unfit += 1
        connection.seq = seq
        if self._recording:
            figures.messages += 1
            if connection.is_private:
                self._fills_ns.append(now_ns - self._times[seq])
            else:
                self._newest_ns.append(now_ns - self._times[seq])
                self._oldest_ns.append(now_ns - self._times[prev_seq + 1])
            if connection is self._taped:
                figures.frames += 1
                self._tape.append(Taped(now_ns - self._began_ns, prev_seq, seq, message))
        self._check(connection, message, is_snapshot=False)

    def _check(self, connection: Connection, message: bytes, *, is_snapshot: bool) -> None:
        book = connection.book
        if book is None:
            return
        self.figures.checked_messages += 1
        try:
            (book.take_snapshot if is_snapshot else book.take_update)(message)
        except BookDiffers as error:
            self.figures.wrong_books.append(str(error))


def _latencies(taken_ns: "array[int]") -> Latencies | None:
    return Latencies.of([each / 1e9 for each in sorted(taken_ns)]) if taken_ns else None


def main() -> None:
    """Lives as its parent says."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, WANTED_FILES), hard))
    Subscribers(msgspec.json.decode(sys.argv[1], type=Settings)).run()


if __name__ == "__main__":
    main()
