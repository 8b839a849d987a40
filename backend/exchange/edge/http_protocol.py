"""HTTP/1.1 from strangers, within bounds: uvicorn's httptools protocol with limits of its own.

uvicorn reads a request line and headers of any length for any time, and parses pipelined requests as fast as
they come. Here bytes go to the parser in small pieces, and between two pieces:

    a head (request line and headers) over MAX_HEAD_BYTES     400, closed
    a header beyond MAX_HEADERS                               400, closed
    a whole message over MAX_MESSAGE_BYTES                    400, closed
    a request waits for the answer to the one before          no more is parsed, nor read, until then
    no complete head `head_timeout_s` after it could begin    closed
    an answer that is not fetched for `write_timeout_s`       closed
    more connections than the limit has room for              503, closed; far more: closed at once
    more of one address than it may have                      429, closed; far more: closed at once

All is counted for each message anew, so a connection may live and pipeline for ever. The body's own limit is
`edge.body`'s; MAX_MESSAGE_BYTES leaves room for one that comes in chunks of one byte. Idle connections
between two requests are uvicorn's to close (`timeout_keep_alive`).
"""

import asyncio
import secrets
import socket
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from exchange.edge.envelope import SECURITY_HEADERS
from exchange.edge.http_answer import PlainAnswer
from exchange.edge.problems import RETRY_AFTER_S, EdgeCode, Problem
from exchange.edge.raw_problem import last_answer
from exchange.edge.ws.protocol import WebSocketProtocol
from exchange.edge.ws.upgrade import PATH
from exchange.gateway.open_connections import OpenConnection, OpenConnections, TooManyConnections

MAX_HEAD_BYTES = 16 * 1024
"""As much as any browser sends. What is in a head is taken apart before anybody is known: thousands of
parameters, cookies or entity tags cost milliseconds of the loop that trades, and as many more as there are.
"""
MAX_MESSAGE_BYTES = 512 * 1024
MAX_HEADERS = 100
PIECE_BYTES = 4 * 1024
"""The bounds are checked after each piece, so they are kept to within one."""
WEBSOCKET_PATH = PATH.encode()
SPARE_CONNECTIONS = 50
"""Connections beyond `limit_concurrency` that are still told so with a 503."""


class TooManyHeaders(ValueError):
    """A head has more than MAX_HEADERS headers; the parser turns this into its own error."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. For `uvicorn.Config(http=BoundedProtocol)`, or a `partial` with `open_connections`."""

    head_timeout_s = 10.0
    write_timeout_s = 30.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        open_connections: OpenConnections | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._open_connections = open_connections
        self._counted: OpenConnection | None = None
        self._unparsed = b""
        self._message_bytes = 0
        self._in_head = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # ---- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        limit = self.limit_concurrency
        if limit is not None and len(self.connections) > limit + SPARE_CONNECTIONS:
            transport.abort()
            return
        if self._open_connections is not None:
            address = get_remote_addr(transport)
            self._counted = self._open_connections.open(address[0] if address else None)
            if self._counted is None:
                transport.abort()
                return
        opened = transport.get_extra_info("socket")
        if opened is not None and opened.family in (socket.AF_INET, socket.AF_INET6):
            # asyncio leaves this out where a listening socket was made without a protocol number; then each
            # answer waits 40 ms for the client's delayed acknowledgement.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unparsed = b""
        self._cancel_head_timer()
        self._cancel_write_timer()
        if self._counted is not None:
            self._counted.close()
            self._counted = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unparsed += data
        self._parse()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_write_timer()

    # ---- the parser's callbacks

    def on_message_begin(self) -> None:
        self._in_head = True
        self._message_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer, after a chunked body: never to be taken for a header
        if len(self.headers) >= MAX_HEADERS:
            raise TooManyHeaders
        super().on_header(name, value.rstrip(b" \t"))  # the parser leaves what is behind it (RFC 9110, 5.5)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._cancel_head_timer()
        super().on_headers_complete()

    # ---- answers

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._unparsed or self._in_head:
            self._cancel_head_timer()  # while we did not read, the client could not send
            self._parse()

    def send_400_response(self, msg: str) -> None:
        """Answers and closes. `msg` is public."""
        if not self._is_idle():
            # An answer to an earlier request is due: this one would be taken for it.
            self.transport.close()
            return
        self.transport.write(last_answer(Problem(EdgeCode.BAD_REQUEST, msg)))
        self.transport.close()

    # ---- upgrades

    def handle_websocket_upgrade(self) -> None:
        """Gives the connection away, with the request that began it.

        What a client has sent behind it is lost: it must wait for the answer (RFC 6455, 4.1).
        """
        is_paused = self._write_timer is not None
        self._cancel_write_timer()
        self.flow.resume_reading()
        self.connections.discard(self)
        counted, self._counted = self._counted, None
        assert self.ws_protocol_class is not None
        protocol = self.ws_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        assert isinstance(protocol, WebSocketProtocol)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.upgrade(self.url, self.headers, counted)
        if is_paused:
            protocol.pause_writing()
        self.parser = None  # type: ignore[assignment]

    def _unsupported_upgrade_warning(self) -> None:
        """It is answered; what strangers want is nothing to fill a log with."""

    def _should_upgrade(self) -> bool:
        """Any other request is the application's, which says what is wrong with it."""
        return (
            super()._should_upgrade()
            and self._refusal is None
            and self.config.app.state.hub is not None  # type: ignore[union-attr]
            and self.url.partition(b"?")[0] == WEBSOCKET_PATH
            and self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and self._is_idle()
        )

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.send = PlainAnswer(cycle).send  # type: ignore[method-assign]
        if self._refusal is not None:
            app = _refusing(Problem.of_refusal(self._refusal))
        elif app is service_unavailable:
            app = _refusing(_too_many_connections())
        super()._start_asgi_task(cycle, app)

    # ---- the bounds

    def _parse(self) -> None:
        """Parses what there is, piece by piece, as far as the bounds and the requests in hand allow."""
        data, start = self._unparsed, 0
        while start < len(data) and not self.pipeline and self._is_ours():
            piece = data[start : start + PIECE_BYTES]
            start += len(piece)
            self._message_bytes += len(piece)
            super().data_received(piece)
            if self._is_ours():
                self._check_size()
        self._unparsed = data[start:]
        if not self._is_ours():
            self._unparsed = b""
            return
        if self._unparsed:
            self.flow.pause_reading()
        if self._in_head or self._is_idle():
            self._await_head()

    def _check_size(self) -> None:
        if self._in_head and self._message_bytes > MAX_HEAD_BYTES:
            self.send_400_response(f"The request line and headers are larger than {MAX_HEAD_BYTES} bytes.")
        elif self._message_bytes > MAX_MESSAGE_BYTES:
            self.send_400_response(f"The request is larger than {MAX_MESSAGE_BYTES} bytes.")

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_idle():
            self.transport.abort()
        else:
            self._await_head()  # an answer is on its way, and a client may pipeline at leisure until then

    @property
    def _refusal(self) -> TooManyConnections | None:
        return None if self._counted is None else self._counted.refusal

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_ours(self) -> bool:
        return not self.transport.is_closing() and self.transport.get_protocol() is self

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def _too_many_connections() -> Problem:
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return Problem(EdgeCode.OVERLOADED, "too many connections at this moment", headers=headers)


def _refusing(problem: Problem) -> ASGI3Application:
    """Answers whatever is asked with the problem, and closes the connection."""

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        problem.headers = {"Connection": "close"} | SECURITY_HEADERS | problem.headers
        await problem.response(secrets.token_hex(8))(scope, receive, send)

    return refuse
