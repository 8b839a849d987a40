"""Hearing of sessions that other processes have ended.

Whoever ends one notifies in the same statement, so who listens hears of it as soon as it is true. A listener
may be cut off, so the sessions in use are also asked for each time that it begins and every CHECK_S.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import structlog

from exchange.gateway.sessions import ENDED_CHANNEL, Sessions
from exchange.stores.errors import OUTAGES

CHECK_S = 30.0
RETRY_S = 1.0

logger = structlog.get_logger(__name__)


class SessionEndings:
    """Tells `sessions` of those ended elsewhere. Opens a connection of its own."""

    def __init__(
        self,
        sessions: Sessions,
        connect: Callable[[], Awaitable[asyncpg.Connection]],
        *,
        check_s: float = CHECK_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._sessions = sessions
        self._connect = connect
        self._check_s = check_s
        self._retry_s = retry_s
        self.listening = asyncio.Event()
        """Set while the database would be heard."""

    async def run(self) -> None:
        """Listens until cancelled, through outages."""
        while True:
            try:
                connection = await self._connect()
                try:
                    await self._listen(connection)
                finally:
                    self.listening.clear()
                    connection.terminate()
            except OUTAGES as error:
                logger.warning("session_endings_not_heard", error=repr(error))
            await asyncio.sleep(self._retry_s)

    async def _listen(self, connection: asyncpg.Connection) -> None:
        """Until the connection is lost."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(ENDED_CHANNEL, self._heard)
        self.listening.set()
        while not lost.is_set():
            await self._sessions.check()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._check_s):
                    await lost.wait()

    def _heard(self, connection: Any, pid: int, channel: str, payload: object) -> None:
        del connection, pid, channel
        self._sessions.forget(bytes.fromhex(str(payload)))
