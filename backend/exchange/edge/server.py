"""The HTTP server: a socket taken before anything else starts, and uvicorn within bounds on it."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from exchange.edge.http_protocol import BoundedProtocol
from exchange.edge.ws.protocol import WebSocketProtocol
from exchange.gateway.open_connections import OpenConnections
from exchange.parts import CannotRun

BACKLOG = 2_048
MAX_CONNECTIONS = 1_000
SHUTDOWN_S = 5


class CannotListen(CannotRun):
    """The address can not be used."""


class PortTaken(CannotListen):
    """Somebody listens there already."""

    def __init__(self, port: int, option: str) -> None:
        self.port = port
        super().__init__(
            f"port {port} is taken, perhaps by an exchange that is already running; "
            f"stop it, or choose another with {option}"
        )


def listen(host: str, port: int, option: str = "--port") -> list[socket.socket]:
    """Sockets that listen already; `option` is what chooses the port. Raises CannotListen, PortTaken."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(port, option) from error
        raise CannotListen(f"can not listen on {host}:{port}: {error.strerror}") from error
    return [opened]


class Server(uvicorn.Server):
    """uvicorn for one app, without its signal handlers: the process has its own."""

    def __init__(
        self, app: ASGIApp, *, max_streams: int = 0, connections: OpenConnections | None = None
    ) -> None:
        """With `max_streams` the app has a hub, whose WebSockets are connections beside all others.

        `connections` bounds those of each address. None: all may be of one, for no stranger gets here.
        """
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(BoundedProtocol, open_connections=connections),  # type: ignore[arg-type]
                limit_concurrency=MAX_CONNECTIONS + max_streams,
                proxy_headers=False,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws=WebSocketProtocol if max_streams else "none",
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_S,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield

    async def run_until_cancelled(self, sockets: list[socket.socket]) -> None:
        """Serves; on cancellation lets requests under way finish, within a bound."""
        serving = asyncio.ensure_future(self.serve(sockets))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self.should_exit = True
            await serving
            raise
