"""One WebSocket to the exchange, from its welcome until it is lost.

Frames come in order and are handed on in the same turn of the loop: a reply to who asked, everything else
to one function. So whatever a reply changes is changed before the frame behind it is looked at. Nothing
here waits for a reader of the data; what may wait for one is bounded where it waits.

Two ways to send. `post` is for subscriptions: sent a little slower than the exchange allows, in order.
`send` is for orders: at once. When the connection is lost, everybody who still waits for a reply is told
so.
"""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State

from exchange_sdk.errors import ExchangeError, Problem, Unreachable, error_of

LOOKS = 10
"""So often it is looked, within the time after which silence is a loss, whether anything came."""
MAX_FRAME_BYTES = 2**26
FRAMES_READ_AHEAD = 16
CLOSE_TIMEOUT_S = 1.0
LONGEST_ASKED_S = 60.0
"""A proxy in maintenance may ask for hours; but the exchange may be back long before."""
SHARE_OF_LIMITS = 0.9
"""As much of what the exchange allows is used, so that clocks need not agree."""

_encode = msgspec.json.Encoder().encode


class Limits(msgspec.Struct, frozen=True):
    """What the exchange allows one connection."""

    requests_at_once: int = 100
    requests_per_s: int = 50


class Welcome(msgspec.Struct, frozen=True):
    """The first message."""

    seq: int
    genesis_id: str
    challenge: str = ""
    limits: Limits = Limits()


class Frame(msgspec.Struct):
    """Any message: what is the same in all of them. `data` is read by who knows what it is."""

    type: str
    id: str | None = None
    channel: str = ""
    market: str | None = None
    interval: str | None = None
    sub_account: int | None = None
    seq: int = 0
    prev_seq: int | None = None
    time_ms: int = 0
    resumed: bool = False
    code: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


_read_frame = msgspec.json.Decoder(Frame).decode
_read_welcome = msgspec.json.Decoder(Welcome).decode
_read_problem = msgspec.json.Decoder(Problem).decode


@dataclass(frozen=True, slots=True)
class Reply:
    """What the exchange answered to one request."""

    frame: Frame
    raw: bytes

    @property
    def error(self) -> ExchangeError | None:
        """The refusal, if it is one."""
        return error_of(_read_problem(self.raw)) if self.frame.type == "error" else None


OnReply = Callable[[Reply | None], None]
"""Called once: with the reply, or with None when the connection was lost before it came."""
OnFrame = Callable[[Frame, bytes], None]


class NotOpened(ExchangeError):
    """There is no connection to be had now. `is_final`: another attempt will fare no better."""

    code = "unreachable"

    def __init__(self, reason: str, *, retry_after_s: float | None = None, is_final: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        self.is_final = is_final


def websocket_url(url: str) -> str:
    """Where the streams are, of the exchange at this URL."""
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/v1/ws", "", ""))


class Connection:
    """Made by `open_connection`; `run` serves it until it is lost."""

    def __init__(self, websocket: ClientConnection, welcome: Welcome, silence_s: float) -> None:
        self.welcome = welcome
        self._websocket = websocket
        self._silence_s = silence_s
        self._ids = itertools.count(1)
        self._replies: dict[str, OnReply] = {}
        self._posted: deque[tuple[dict[str, Any], OnReply]] = deque()
        self._has_posted = asyncio.Event()
        self._quiet_looks = 0
        self._heard_s = asyncio.get_running_loop().time()
        self._why_lost = ""

    @property
    def silent_s(self) -> float:
        """How long ago anything came."""
        return asyncio.get_running_loop().time() - self._heard_s

    @property
    def is_open(self) -> bool:
        return self._websocket.state is State.OPEN

    async def run(self, on_frame: OnFrame) -> str:
        """Hands on what comes until the connection is lost; why it was."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._watch()), loop.create_task(self._send_posted())]
        try:
            while True:
                raw = await self._websocket.recv(decode=False)
                self._quiet_looks = 0
                self._heard_s = loop.time()
                try:
                    frame = _read_frame(raw)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    self.abort("something came that can not be read")
                    continue
                self._take(frame, raw, on_frame)
        except ConnectionClosed as closed:
            return self._why_lost or _reason(closed)
        finally:
            self.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._lose_replies()

    def post(self, body: dict[str, Any], on_reply: OnReply) -> None:
        """Sends a request when it is its turn."""
        self._posted.append((body, on_reply))
        self._has_posted.set()

    async def request(self, body: dict[str, Any]) -> Reply | None:
        """Posts a request and waits for its reply; None when the connection was lost."""
        answered: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()

        def on_reply(reply: Reply | None) -> None:
            if not answered.done():
                answered.set_result(reply)

        self.post(body, on_reply)
        return await answered

    async def send(self, body: dict[str, Any], on_reply: OnReply) -> None:
        """Sends a request at once: it is on its way before anything is waited for, in the order of the calls.

        Raises Unreachable when the connection is lost already: nothing was sent then.
        """
        if not self.is_open:
            raise Unreachable("the connection is lost, nothing was sent")
        identifier = str(next(self._ids))
        self._replies[identifier] = on_reply
        with contextlib.suppress(ConnectionClosed):  # `run` tells on_reply: whether it arrived is unknown
            await self._websocket.send(_encode(body | {"id": identifier}), text=True)

    def abort(self, why: str = "") -> None:
        """Ends the connection like a cable that is cut."""
        self._why_lost = self._why_lost or why
        self._websocket.transport.abort()

    async def close(self) -> None:
        """Says good-bye to the exchange, but does not wait for long."""
        self._why_lost = self._why_lost or "it was closed"
        await self._websocket.close()

    def _take(self, frame: Frame, raw: bytes, on_frame: OnFrame) -> None:
        if frame.id is None:
            on_frame(frame, raw)
            return
        on_reply = self._replies.pop(frame.id, None)
        if on_reply is not None:
            on_reply(Reply(frame, raw))

    def _lose_replies(self) -> None:
        waiting = list(self._replies.values()) + [on_reply for _, on_reply in self._posted]
        self._replies.clear()
        self._posted.clear()
        for on_reply in waiting:
            on_reply(None)

    async def _send_posted(self) -> None:
        """A bucket of tokens, like the exchange's own but a bit smaller."""
        limits = self.welcome.limits
        most, per_s = limits.requests_at_once * SHARE_OF_LIMITS, limits.requests_per_s * SHARE_OF_LIMITS
        loop = asyncio.get_running_loop()
        tokens, then_s = most, loop.time()
        while True:
            while not self._posted:
                self._has_posted.clear()
                await self._has_posted.wait()
            now_s = loop.time()
            tokens, then_s = min(most, tokens + (now_s - then_s) * per_s), now_s
            if tokens < 1:
                await asyncio.sleep((1 - tokens) / per_s)
                continue
            tokens -= 1
            body, on_reply = self._posted.popleft()
            try:
                await self.send(body, on_reply)
            except Unreachable:
                on_reply(None)
                return

    async def _watch(self) -> None:
        """Cuts the connection when nothing came for too long.

        It counts looks and not time, so that a loop that was busy with something else reads first what came
        meanwhile.
        """
        while self._quiet_looks < LOOKS:
            await asyncio.sleep(self._silence_s / LOOKS)
            self._quiet_looks += 1
        self.abort(f"nothing came for {self._silence_s:g} s")


async def open_connection(
    url: str, *, silence_s: float, timeout_s: float, compressed: bool = False
) -> Connection:
    """Connects and hears the welcome. Raises NotOpened."""
    websocket: ClientConnection | None = None
    try:
        async with asyncio.timeout(timeout_s):
            websocket = await connect(
                websocket_url(url),
                compression="deflate" if compressed else None,
                ping_interval=None,  # the exchange's heartbeats are watched instead
                max_size=MAX_FRAME_BYTES,
                max_queue=FRAMES_READ_AHEAD,
                open_timeout=None,
                close_timeout=CLOSE_TIMEOUT_S,
            )
            welcome = _read_welcome(await websocket.recv(decode=False))
            return Connection(websocket, welcome, silence_s)
    except InvalidStatus as refused:
        raise _not_opened(refused) from refused
    except msgspec.MsgspecError as error:
        _drop(websocket)
        raise NotOpened(f"{url} does not speak this protocol", is_final=True) from error
    except TimeoutError as error:
        _drop(websocket)
        raise NotOpened(f"{url} did not answer within {timeout_s:g} s") from error
    except (OSError, WebSocketException, EOFError) as error:
        _drop(websocket)
        raise NotOpened(f"{url}: {error or type(error).__name__}") from error
    except BaseException:
        _drop(websocket)
        raise


def _drop(websocket: ClientConnection | None) -> None:
    if websocket is not None:
        websocket.transport.abort()


def _not_opened(refused: InvalidStatus) -> NotOpened:
    status, headers = refused.response.status_code, refused.response.headers
    try:
        problem = _read_problem(refused.response.body or b"")
        reason = f"{problem.code}: {problem.detail or problem.title}"
    except msgspec.MsgspecError:
        reason = f"the upgrade was answered {status}"
    asked = headers.get("Retry-After", "")
    is_final = 400 <= status < 500 and status not in {408, 425, 429}
    asked_s = min(float(asked), LONGEST_ASKED_S) if asked.isascii() and asked.isdigit() else None
    return NotOpened(reason, retry_after_s=asked_s, is_final=is_final)


def _reason(closed: ConnectionClosed) -> str:
    if closed.rcvd is None:
        return "the connection was lost"
    return f"the exchange closed the connection: {closed.rcvd.code} {closed.rcvd.reason}".rstrip()
