"""Connections of a client: each keeps so many requests under way, and says when and how each was answered.

Plain protocols in one loop: answers that come together are read together, and what takes their place is
written together.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec
from scripts.bench.feeds.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frames,
    after_upgrade,
    client_frame,
    new_key,
    upgrade_request,
)
from scripts.bench.load.wires import (
    Answer,
    Credential,
    Key,
    batch_request,
    decode_answer,
    decode_batch,
    frame,
    post_request,
    single_request,
)
from scripts.bench.orders import Drawn

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
DONE = b"200"
EMPTY_BODY = (
    b'{"market":"ETH-USDC","side":"buy","time_in_force":"gtc","price":"2999.50","size":"0.0010","sub_account":3,'
    b'"client_order_id":"load-1234567"}'
)
"""As large as that of an order."""


class Broken(Exception):
    """The server said something that ends the measurement; the text says what."""


class Work(Protocol):
    """Where a connection gets its requests from, and where it takes the answers to."""

    def due(self) -> float | None:
        """When the next request is due, by `time.perf_counter`; None while there is nothing to send."""

    def draw(self, trader: int) -> Drawn:
        """What is to be sent next."""

    def answered(self, trader: int, drawn: Drawn, answer: Answer) -> None:
        """What became of one operation."""

    def acknowledged(self, due: float, operations: int) -> None:
        """A request was answered, with so many operations in it."""

    def broke(self, error: Exception) -> None:
        """The connection is of no more use."""


class Connection(asyncio.Protocol):
    """What all kinds share: a transport, and the requests that wait for their answers, oldest first."""

    def __init__(self, trader: int, window: int, work: Work) -> None:
        self.trader = trader
        self.window = window
        """Requests that may be under way."""
        self.work = work
        self.transport: asyncio.Transport | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting: deque[tuple[float, list[Drawn]]] = deque()
        """When each was due, and its operations."""
        self.is_closed = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if not self.is_closed:
            self.work.broke(Broken(f"the server hung up: {error}"))

    def close(self) -> None:
        self.is_closed = True
        if self.transport is not None:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            self.take(data)
        except (Broken, msgspec.DecodeError, ValueError) as error:
            self.work.broke(error)
            return
        self.pump()

    def pump(self) -> None:
        """Sends what is due and has room."""
        waiting, work, window = self.waiting, self.work, self.window
        written: list[bytes] = []
        while len(waiting) < window and (due := work.due()) is not None:
            drawn, request = self.request()
            waiting.append((due, drawn))
            written.append(request)
        if written:
            assert self.transport is not None
            self.transport.write(b"".join(written))

    def request(self) -> tuple[list[Drawn], bytes]:
        """The next request's operations and its bytes."""
        raise NotImplementedError

    def take(self, data: bytes) -> None:
        """Takes in what the server has sent."""
        raise NotImplementedError

    def settle(self, answers: list[Answer]) -> None:
        """The oldest request has these answers, one for each of its operations."""
        due, drawn = self.waiting.popleft()
        if len(answers) != len(drawn):
            raise Broken(f"{len(drawn)} operations, {len(answers)} answers")
        for each, answer in zip(drawn, answers, strict=True):
            self.work.answered(self.trader, each, answer)
        self.work.acknowledged(due, len(drawn))


class _Http(Connection):
    """One request after the other."""

    def __init__(self, host: bytes, credential: Credential, trader: int, work: Work) -> None:
        super().__init__(trader, 1, work)
        self.host = host
        self.credential = credential
        self._received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.ready.set_result(None)

    def take(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head_end = received.find(HEAD_END)
        place = received.lower().find(LENGTH, 0, head_end) if head_end > 0 else -1
        if head_end < 0:
            self._received = received
            return
        if place < 0:
            raise Broken(f"an answer without length: {received[:200]!r}")
        begin, begin_length = head_end + len(HEAD_END), place + len(LENGTH)
        length = int(received[begin_length : received.index(b"\r\n", begin_length)])
        if len(received) < begin + length:
            self._received = received
            return
        self._received = b""
        self.settle(self.answers(received[9:12], received[begin : begin + length]))

    def answers(self, status: bytes, body: bytes) -> list[Answer]:
        """What one response says."""
        raise NotImplementedError


class SingleHttp(_Http):
    """One operation in a request."""

    def request(self) -> tuple[list[Drawn], bytes]:
        drawn = self.work.draw(self.trader)
        return [drawn], single_request(self.host, self.credential, drawn)

    def answers(self, status: bytes, body: bytes) -> list[Answer]:
        return [decode_answer(body)]


class EmptyHttp(_Http):
    """As if an order were placed, at a route that does nothing."""

    def __init__(self, host: bytes, credential: Credential, trader: int, work: Work, path: bytes) -> None:
        super().__init__(host, credential, trader, work)
        self._path = path

    def request(self) -> tuple[list[Drawn], bytes]:
        return [], post_request(self.host, self.credential, self._path, EMPTY_BODY)

    def settle(self, answers: list[Answer]) -> None:
        due, _ = self.waiting.popleft()
        if answers[0].refusal is not None:
            raise Broken(f"the empty route refused: {answers[0].refusal}")
        self.work.acknowledged(due, 1)

    def answers(self, status: bytes, body: bytes) -> list[Answer]:
        return [decode_answer(body)]


class BatchHttp(_Http):
    """Some operations in a request."""

    def __init__(self, host: bytes, credential: Credential, trader: int, work: Work, size: int) -> None:
        super().__init__(host, credential, trader, work)
        self._size = size

    def request(self) -> tuple[list[Drawn], bytes]:
        drawn = [self.work.draw(self.trader) for _ in range(self._size)]
        return drawn, batch_request(self.host, self.credential, drawn)

    def answers(self, status: bytes, body: bytes) -> list[Answer]:
        if status != DONE:
            refused = decode_answer(body)
            return [refused] * self._size
        return decode_batch(body).results


class Stream(Connection):
    """Operations over WebSocket, each a frame; the answers come in the order of the requests."""

    def __init__(self, port: int, credential: Key | str, trader: int, window: int, work: Work) -> None:
        """`credential`: a key, or a session's token."""
        super().__init__(trader, window, work)
        self._port = port
        self._credential = credential
        self._key = new_key()
        self._frames = Frames()
        self._handshake: bytes | None = b""
        self._numbers = 0
        self._answered = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.write(upgrade_request("127.0.0.1", self._port, self._key, deflate=False))

    def request(self) -> tuple[list[Drawn], bytes]:
        drawn = self.work.draw(self.trader)
        self._numbers += 1
        return [drawn], frame(self._numbers, drawn)

    def pump(self) -> None:
        if self.ready.done():
            super().pump()

    def take(self, data: bytes) -> None:
        if self._handshake is not None:
            self._handshake += data
            rest = after_upgrade(self._handshake, self._key, deflate=False)
            if rest is None:
                return
            self._handshake, data = None, rest
        for each in self._frames.feed(data):
            if each.opcode == TEXT:
                self._message(each.payload)
            elif each.opcode == PING:
                assert self.transport is not None
                self.transport.write(client_frame(each.payload, PONG))
            elif each.opcode == CLOSE:
                raise Broken(f"the server closed the connection: {each.payload!r}")

    def _message(self, message: bytes) -> None:
        if not self.ready.done():
            self._introduce(message)
            return
        answer = decode_answer(message)
        if answer.type in {"result", "error"}:
            self._answered += 1
            if answer.id != str(self._answered):
                raise Broken(f"request {self._answered} is next, the answer is {message[:200]!r}")
            self.settle([answer])
        elif answer.type != "heartbeat":
            raise Broken(f"the server said {message[:200]!r}")

    def _introduce(self, message: bytes) -> None:
        assert self.transport is not None
        content = msgspec.json.decode(message)
        match content["type"]:
            case "welcome":
                credential = self._credential
                text = (
                    msgspec.json.encode({"op": "auth", "token": credential})
                    if isinstance(credential, str)
                    else credential.websocket(content["challenge"])
                )
                self.transport.write(client_frame(text))
            case "authenticated":
                self.ready.set_result(None)
            case "heartbeat":
                pass
            case _:
                raise Broken(f"the server said {message[:300]!r}")


async def connect(port: int, make: Callable[[], Connection]) -> Connection:
    """A connection that is ready to send. Raises Broken."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(make, "127.0.0.1", port)
    async with asyncio.timeout(30):
        await connection.ready
    return connection


now = time.perf_counter
