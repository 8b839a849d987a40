"""A strict client of `/v1/ws`: keeps everything from messages alone, and believes none of them.

Each frame is held against the AsyncAPI document; each update must fit what is held (`prev_seq`), each book
its checksum; replies must come in the order of the requests. After a disconnect it resumes.
"""

import asyncio
import itertools
import json
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.streams.folds import Fold, new_fold
from tests.streams.spec import SHAPES, Frame
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

TIMEOUT_S = 20.0
OF_ACCOUNT = frozenset({"orders", "fills", "balances"})
BY_TIME = frozenset({"deposits", "withdrawals", "candles", "ticker"})
"""Channels that change without a command, too: such an update may have the `seq` that is held."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a subscription is of."""

    channel: str
    market: str | None = None
    interval: str | None = None
    sub_account: int | None = None

    @classmethod
    def of(cls, frame: Frame) -> "Subject":
        return cls(frame["channel"], frame.get("market"), frame.get("interval"), frame.get("sub_account"))

    def parameters(self) -> Frame:
        names = ("channel", "market", "interval", "sub_account")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


@dataclass(slots=True)
class Held:
    """What the client has of one subscription."""

    fold: Fold
    account_id: int = 0
    """Whose; 0 where it is a market's."""
    seq: int | None = None
    """The newest that it holds; None before the first snapshot."""
    live: bool = False
    awaits_snapshot: bool = False
    resumed: int = 0
    snapshots: int = 0
    replaced: int = 0
    """Snapshots that came later, because it had read so slowly."""
    updates: int = 0


Heard = Callable[[Subject, Held, Frame], None]


class CutOff(Exception):
    """The server has closed the connection."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        super().__init__(f"closed by the server with {code}")


@dataclass(slots=True)
class Connected:
    """One connection of the client, as long as it lasts."""

    websocket: ClientConnection
    reader: asyncio.Task[None] | None = None
    replies: "deque[tuple[str, asyncio.Future[Frame]]]" = field(default_factory=deque)


class StreamClient:
    """What it holds stays over disconnects. `heard` is called after each message that was taken in."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        account_id: int | None = None,
        compressed: bool = False,
        heard: Heard | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        self._url = url.replace("http", "ws", 1) + "/v1/ws"
        self._token = token
        self._account_id = account_id or 0
        self._compressed = compressed
        self._heard = heard
        self._receive_buffer = receive_buffer
        self._ids = itertools.count(1)
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._now: Connected | None = None
        self.held: dict[Subject, Held] = {}
        self.welcome: Frame = {}
        self.heartbeats = 0
        self.close_code: int | None = None

    # ---- the connection

    async def connect(self) -> None:
        """Connects, authenticates, and subscribes again, resuming, to all that was subscribed to."""
        assert self._now is None
        websocket = await connect(
            self._url,
            compression="deflate" if self._compressed else None,
            sock=self._socket(),
            ping_interval=None,
            max_size=2**24,
            max_queue=4,
            open_timeout=TIMEOUT_S,
            close_timeout=TIMEOUT_S,
        )
        self._now = Connected(websocket)
        async with asyncio.timeout(TIMEOUT_S):
            self.welcome = SHAPES.check(await _text(websocket))
        assert self.welcome["type"] == "welcome"
        self._now.reader = asyncio.create_task(self._read(self._now))
        if self._token is not None:
            reply = await self.request({"op": "auth", "token": self._token})
            assert reply["type"] == "authenticated", reply
        for subject in list(self.held):
            await self._subscribe(subject)

    async def drop(self, *, abruptly: bool = False) -> None:
        """Ends the connection: with a closing handshake, or as a cable that is cut."""
        now, self._now = self._now, None
        if now is None:
            return
        self.resume_reading()
        if abruptly:
            now.websocket.transport.abort()
        else:
            await now.websocket.close()
        await self._finished(now)

    async def closed(self) -> int | None:
        """Waits until the server has closed the connection; the close code."""
        now = self._now
        assert now is not None
        async with asyncio.timeout(TIMEOUT_S):
            await now.websocket.wait_closed()
        self._now = None
        await self._finished(now)
        return now.websocket.close_code

    @property
    def is_connected(self) -> bool:
        return self._now is not None

    @property
    def is_cut_off(self) -> bool:
        """The server has closed the connection; `closed` tells with which code."""
        return self._now is not None and self._now.reader is not None and self._now.reader.done()

    @property
    def is_stalled(self) -> bool:
        return not self._may_read.is_set()

    def stall(self) -> None:
        """Reads nothing any more, until `resume_reading`."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        self._may_read.set()

    async def _finished(self, now: Connected) -> None:
        assert now.reader is not None
        await now.reader
        for held in self.held.values():
            held.live = held.awaits_snapshot = False
        for _, reply in now.replies:
            reply.cancel()

    # ---- requests

    async def request(self, body: Frame) -> Frame:
        """Sends a request and waits for its reply."""
        reply = await self.send(body)
        assert self._now is not None
        assert self._now.reader is not None
        waited_for = (reply, self._now.reader)
        await asyncio.wait(waited_for, timeout=TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():
            self.require_connected()
            raise AssertionError(f"no reply to {body}")
        return reply.result()

    async def send(self, body: Frame) -> "asyncio.Future[Frame]":
        """Sends a request; its reply will be in the future. Raises CutOff."""
        assert self._now is not None
        identifier = f"r{next(self._ids)}"
        reply: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._now.replies.append((identifier, reply))
        try:
            await self._now.websocket.send(json.dumps(body | {"id": identifier}))
        except ConnectionClosed as closed:
            raise CutOff(self._now.websocket.close_code) from closed
        return reply

    async def subscribe(self, channel: str, **parameters: Any) -> Held:
        """Subscribes, and waits for the reply; what is held from then on."""
        if channel in OF_ACCOUNT:
            parameters.setdefault("sub_account", 0)
        subject = Subject(channel, **parameters)
        if subject not in self.held:
            self.held[subject] = Held(new_fold(channel), self._account_id)
        return await self._subscribe(subject)

    async def _subscribe(self, subject: Subject) -> Held:
        held = self.held[subject]
        body = {"op": "subscribe"} | subject.parameters()
        if held.seq is not None and not held.live:  # live, updates may be on their way before the reply
            body["resume_seq"] = held.seq
        reply = await self.request(body)
        assert reply["type"] == "subscribed", reply
        assert Subject.of(reply) == subject
        return held

    async def unsubscribe(self, channel: str, **parameters: Any) -> None:
        """Ends a subscription, and forgets what is held of it."""
        subject = Subject(channel, **parameters)
        reply = await self.request({"op": "unsubscribe"} | subject.parameters())
        assert reply["type"] == "unsubscribed", reply
        assert subject not in self.held

    # ---- messages

    async def _read(self, now: Connected) -> None:
        try:
            while True:
                await self._may_read.wait()
                self._take(now, SHAPES.check(await _text(now.websocket)))
        except ConnectionClosed:
            self.close_code = now.websocket.close_code

    def _take(self, now: Connected, frame: Frame) -> None:
        match frame["type"]:
            case "heartbeat":
                self._take_heartbeat(frame)
            case "snapshot" | "update":
                self._take_data(frame)
            case "ended":
                del self.held[Subject.of(frame)]
            case _:
                self._take_reply(now, frame)

    def _take_reply(self, now: Connected, frame: Frame) -> None:
        assert now.replies, f"a reply to no request: {frame}"
        identifier, reply = now.replies.popleft()
        assert frame.get("id") == identifier, f"expected the reply to {identifier}: {frame}"
        if frame["type"] == "subscribed":
            assert Subject.of(frame) in self.held, f"subscribed to what was not asked for: {frame}"
            held = self.held[Subject.of(frame)]
            resumes = held.seq is not None and not held.live
            assert resumes or not frame["resumed"], "resumed what was not asked for"
            assert not frame["resumed"] or frame["seq"] == held.seq, "resumed from elsewhere"
            held.live, held.awaits_snapshot = True, not frame["resumed"]
            held.resumed += frame["resumed"]
        elif frame["type"] == "unsubscribed":
            del self.held[Subject.of(frame)]
        if not reply.done():
            reply.set_result(frame)

    def _take_heartbeat(self, frame: Frame) -> None:
        self.heartbeats += 1
        for subject, held in self.held.items():
            if held.live and not held.awaits_snapshot:
                assert held.seq is not None
                assert frame["seq"] >= held.seq, f"a heartbeat from before {subject}: {frame}"
                held.seq = frame["seq"]

    def _take_data(self, frame: Frame) -> None:
        subject = Subject.of(frame)
        held = self.held.get(subject)
        assert held is not None, f"a message of no subscription: {frame}"
        assert held.live, f"a message of no subscription of this connection: {frame}"
        if frame["type"] == "snapshot":
            # The first of a fresh subscription may be a little older than what was held before.
            assert held.awaits_snapshot or held.seq is None or frame["seq"] >= held.seq, frame
            held.fold.replace(frame["data"])
            held.replaced += not held.awaits_snapshot
            held.awaits_snapshot = False
            held.snapshots += 1
        else:
            assert not held.awaits_snapshot, f"an update before the snapshot: {frame}"
            assert held.seq is not None
            assert frame["prev_seq"] <= held.seq, f"a hole after {held.seq}: {frame}"
            may_be_equal = subject.channel in BY_TIME
            assert frame["seq"] > held.seq - may_be_equal, f"not new after {held.seq}: {frame}"
            assert frame["seq"] > frame["prev_seq"] - may_be_equal, frame
            held.fold.apply(frame["data"])
            held.updates += 1
        held.seq = frame["seq"]
        if self._heard is not None:
            self._heard(subject, held, frame)

    # ---- waiting

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits, looking after each turn of the loop, until something is true of what is held."""
        async with asyncio.timeout(TIMEOUT_S):
            while not holds():
                self.require_connected()
                await asyncio.sleep(0.002)

    def require_sound(self) -> None:
        """Raises what the reader has found, if anything."""
        if self._now is not None and self._now.reader is not None and self._now.reader.done():
            self._now.reader.result()

    def require_connected(self) -> None:
        """Raises what the reader has found, or CutOff."""
        self.require_sound()
        if self.is_cut_off:
            raise CutOff(self.close_code)

    def _socket(self) -> socket.socket | None:
        if self._receive_buffer is None:
            return None
        address = urlsplit(self._url)
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        made.connect((address.hostname, address.port))  # to this machine: at once
        made.setblocking(False)
        return made


async def _text(websocket: ClientConnection) -> str:
    text = await websocket.recv()
    assert type(text) is str, "a binary frame"
    return text
