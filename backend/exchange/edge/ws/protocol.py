"""One WebSocket at the transport: bytes in, whole text messages to the connection; frames out.

Theory of operation. `http_protocol` hands a connection over when its request wants to upgrade. The standard's
rules (framing, masks, limits, the closing handshake) are those of websockets' sans-I/O `ServerProtocol`; what
we send does not go through it, because it is framed once for everybody (`frames`).

    a message is whole                      `connection.on_text`, or told that binary is not taken
    the client does not read                `connection.writable` is False, and nothing more is read from it
    too many of its requests wait           nothing more is read from it
    it reads again                          `connection.on_writable`
    it sends much at once                   a piece (`limits.Bounds`) is taken apart in each turn of the loop;
                                            of what that inflates to no more is looked at in one turn, either
    we close                                nothing more is taken apart nor answered; the client has
                                            CLOSE_WAIT_S to close its side
    an error of ours while reading          logged, closed with 1011
"""

import asyncio
import socket
from collections import deque
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from exchange.edge.dependencies import Edge
from exchange.edge.problems import Problem
from exchange.edge.raw_problem import last_answer
from exchange.edge.ws.close_codes import CloseCode
from exchange.edge.ws.connection import Connection
from exchange.edge.ws.hub import Hub
from exchange.edge.ws.upgrade import accept, open_handshake, takes_deflated
from exchange.gateway.open_connections import OpenConnection
from exchange.gateway.rate_limit import client_key
from exchange.gateway.rate_limits import RateLimited, RateLimits

IGNORED_BYTES = 256 * 1024
"""So much is still read when nothing more is looked at: there may be a client's close and end behind it."""
UNSENT_BYTES = 64 * 1024
"""What may wait in the system for a slow reader: more would be old before it is sent. Here nothing waits but
the rest of what was written last: every piece that waits costs some 700 bytes beside its own, so that small
ones would cost ten times what they hold.
"""
CLOSE_WAIT_S = 5.0
STOP_WAIT_S = 2.0
_CONTROL = frozenset({Opcode.PING, Opcode.PONG})


class WebSocketProtocol(asyncio.Protocol):
    """For `uvicorn.Config(ws=WebSocketProtocol)`; the app's state has the hub."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        del app_state  # of the server's lifespan; ours is the app's
        self._app_state = config.app.state  # type: ignore[union-attr]
        self._server_connections = server_state.connections
        self._websocket = open_handshake()
        self._transport: asyncio.Transport
        self._connection: Connection | None = None
        self._counted: OpenConnection | None = None
        self._message = bytearray()
        self._is_binary = False
        self._is_paused = False
        self._unparsed = b""
        self._frames: deque[Frame] = deque()
        """Of the piece that was taken apart last, those that were not looked at yet."""
        self._next_turn: asyncio.Handle | None = None
        self._ignored_bytes = 0
        self._close_timer: asyncio.TimerHandle | None = None

    # ---- the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._server_connections.add(self)  # type: ignore[arg-type]
        transport.set_write_buffer_limits(high=0)
        opened = transport.get_extra_info("socket")
        if hasattr(socket, "TCP_NOTSENT_LOWAT") and opened.family in {socket.AF_INET, socket.AF_INET6}:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server_connections.discard(self)
        if self._counted is not None:
            self._counted.close()
            self._counted = None
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._forget_unparsed()
        if self._connection is not None:
            self._connection.on_lost()
            self._connection = None
        self._websocket.parser.close()  # it holds what holds it, and cycles are collected late here
        del self._websocket.parser

    def data_received(self, data: bytes) -> None:
        if self._websocket.state is not State.OPEN:
            self._ignored_bytes += len(data)
            if self._ignored_bytes > IGNORED_BYTES:
                self._transport.pause_reading()
            return
        self._unparsed += data
        if self._next_turn is None:
            self._parse()
        if self._unparsed or self._frames:
            self._read_or_not()

    def _parse_on(self) -> None:
        self._next_turn = None
        self._parse()
        self._read_or_not()

    def _parse(self) -> None:
        """Takes a piece apart; the rest is for the next turns of the loop, as are too many inflated bytes."""
        assert self._connection is not None
        bounds = self._connection.bounds
        if not self._frames:
            self._websocket.max_size = bounds.message_bytes
            piece, self._unparsed = self._unparsed[: bounds.piece_bytes], self._unparsed[bounds.piece_bytes :]
            self._websocket.receive_data(piece)
            self._frames.extend(self._websocket.events_received())  # type: ignore[arg-type]  # no requests
        taken_bytes = 0
        with self._connection.containing():
            while self._frames and taken_bytes < bounds.piece_bytes:
                frame = self._frames.popleft()
                taken_bytes += len(frame.data)
                self._take(frame)
        if not self._frames:
            self._send_answers()
        elif self._next_turn is None:
            self._next_turn = asyncio.get_running_loop().call_soon(self._parse_on)

    def eof_received(self) -> None:
        self._wait_for_close(CLOSE_WAIT_S)  # what is still to be written may never be read

    def pause_writing(self) -> None:
        self._is_paused = True
        if self._connection is not None:
            self._connection.writable = False
            self._read_or_not()

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._connection is not None and self._websocket.state is State.OPEN:
            self._connection.writable = True
            self._connection.on_writable()
            self._read_or_not()

    # ---- what the server calls

    def upgrade(
        self, target: bytes, headers: list[tuple[bytes, bytes]], counted: OpenConnection | None
    ) -> None:
        """Answers the request that this connection began with, and opens the stream.

        It goes on being `counted` as one of its address until it is lost.
        """
        self._counted = counted
        state = self._app_state
        hub: Hub = state.hub
        edge: Edge = state.edge
        address = get_remote_addr(self._transport)
        host = address[0] if address else None
        try:
            _take_from(edge.rate_limits, host)
            hub.require_room()
            upgrade, answer = accept(
                self._websocket, target.decode("latin-1"), headers, edge.config.allowed_origins
            )
        except Problem as problem:
            hub.count_cut(problem.code.value)
            self._transport.write(last_answer(problem))
            self._transport.close()
            self._wait_for_close(CLOSE_WAIT_S)
            return
        self._transport.write(answer)
        self._connection = Connection(
            hub=hub,
            edge=edge,
            auth_buckets=state.auth_buckets,
            address=host,
            upgrade=upgrade,
            takes_deflated=takes_deflated(self._websocket),
            write=self._transport.write,
            close=self.close,
            read_or_not=self._read_or_not,
            unsent_bytes=self._transport.get_write_buffer_size,
        )
        self._connection.open()

    def shutdown(self) -> None:
        """Called when the server stops."""
        if self._connection is not None:
            self._connection.on_server_stop()
        self.close(CloseCode.GOING_AWAY)
        self._wait_for_close(STOP_WAIT_S)

    def close(self, code: CloseCode) -> None:
        """Closes it: nothing is sent after that, and what is received is ignored (RFC 6455, 7.1.7)."""
        if self._websocket.state is not State.OPEN:
            return
        self._websocket.fail(code, code.reason)
        self._send_answers()

    def _read_or_not(self) -> None:
        """Reads no faster than what is read can be served."""
        if (
            self._transport.is_closing()
            or self._connection is None
            or self._websocket.state is not State.OPEN
        ):
            return
        must_wait = self._is_paused or self._connection.is_backed_up
        if must_wait or self._unparsed or self._frames:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
        if self._unparsed and not must_wait and self._next_turn is None:
            self._next_turn = asyncio.get_running_loop().call_soon(self._parse_on)

    def _forget_unparsed(self) -> None:
        self._unparsed = b""
        self._frames.clear()
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None

    # ---- frames

    def _take(self, frame: Frame) -> None:
        connection = self._connection
        closed_with = self._websocket.close_sent
        if connection is None or (closed_with is not None and closed_with is not self._websocket.close_rcvd):
            return  # we are closing; what came before the client's own close is still taken
        if frame.opcode is Opcode.TEXT and frame.fin:  # as nearly all are
            self._take_text(connection, bytes(frame.data))
            return
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY:
                self._message = bytearray(frame.data)
                self._is_binary = frame.opcode is Opcode.BINARY
            case Opcode.CONT:
                self._message += frame.data
            case Opcode.PONG:
                connection.on_pong()
            case Opcode.CLOSE:
                return
        if frame.opcode in _CONTROL or not frame.fin:
            connection.on_part()
            return
        message, self._message = bytes(self._message), bytearray()
        if self._is_binary:
            connection.on_binary()
        else:
            self._take_text(connection, message)

    def _take_text(self, connection: Connection, message: bytes) -> None:
        try:
            message.decode()
        except UnicodeDecodeError:
            self.close(CloseCode.INVALID_TEXT)
        else:
            connection.on_text(message)

    def _send_answers(self) -> None:
        """Sends what the standard wants to be sent: pongs, and what belongs to the closing handshake."""
        for answer in self._websocket.data_to_send():
            if self._transport.is_closing():
                return
            if answer:
                self._transport.write(answer)
            else:
                self._end()

    def _end(self) -> None:
        """Our close is sent. What the client does to that is not looked at, but it may take its time."""
        if self._connection is not None:
            self._connection.on_closing()
        self._forget_unparsed()
        # Half of the connection only: closed whole, it could be reset before our close frame is read.
        self._transport.write_eof()
        self._transport.resume_reading()
        self._wait_for_close(CLOSE_WAIT_S)

    def _wait_for_close(self, wait_s: float) -> None:
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._close_timer = asyncio.get_running_loop().call_later(wait_s, self._transport.abort)


def _take_from(rate_limits: RateLimits, host: str | None) -> None:
    """For one upgrade. Raises Problem (rate_limited)."""
    try:
        rate_limits.take_address(client_key(host))
    except RateLimited as refusal:
        raise Problem.of_refusal(refusal) from refusal
