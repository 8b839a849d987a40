"""The network between the exchange and its database: latency, torn connections, lost answers, stalls."""

from collections.abc import Callable
from random import Random

import asyncpg
from tests.sim.connection import Fate, SimConnection, SimPool, Trip
from tests.sim.database import Database
from tests.sim.faults import Faults, Trace
from tests.sim.loop import Host, SimLoop

from exchange.journal import log

APPEND_TIMEOUT_S = 10.0
FOLLOWERS_TIMEOUT_S = 30.0


class SimWire:
    """Connections to the simulated database, and their fate."""

    def __init__(
        self, loop: SimLoop, random: Random, faults: Faults, trace: Trace, database: Database
    ) -> None:
        self._loop = loop
        self._random = random
        self._faults = faults
        self._trace = trace
        self._database = database
        self.on_append: Callable[[], None] = lambda: None
        """Told when a row of the journal has been committed."""
        self._stalled_until_s = 0.0
        self._projection_stalled_until_s = 0.0

    # ---- opening

    async def connect(
        self, host: Host, purpose: str, *, timeout: float = 10.0, command_timeout: float | None = None
    ) -> SimConnection:
        """A new connection. Raises OSError, TimeoutError or asyncpg.PostgresError."""
        connection = SimConnection(self._database, self, host, purpose, command_timeout)
        if not self._database.up:
            connection.terminate()
            raise self._random.choice(
                (ConnectionRefusedError("refused"), asyncpg.CannotConnectNowError("starting"))
            )
        await connection.ask("CONNECT", lambda session: None, timeout)
        return connection

    def pool(self, host: Host, purpose: str) -> SimPool:
        async def connect() -> SimConnection:
            return await self.connect(host, purpose, command_timeout=FOLLOWERS_TIMEOUT_S)

        return SimPool(connect, host)

    # ---- trouble

    def stall(self, for_s: float) -> None:
        """The server accepts everything and answers nothing for a while."""
        self._stalled_until_s = self._loop.time() + for_s

    def stall_projection(self, for_s: float) -> None:
        """Whatever moves the cursor of the read tables waits."""
        self._projection_stalled_until_s = self._loop.time() + for_s

    def trip(self, connection: SimConnection, sql: str) -> Trip:
        random, faults = self._random, self._faults
        there_s = 0.0001 + random.random() * 0.001
        back_s = 0.0001 + random.random() * 0.0005
        if not faults.active:
            return Trip(there_s, back_s)
        if sql is log._APPEND:
            if faults.happens("crash_in_commit", 0.004):
                # At any moment of the commit: before the server has it, or before its answer is back.
                when_s = random.random() * (there_s + back_s)
                self._loop.call_later(when_s, connection.host.crash, context=self._loop.world.context)
            return self._append_trip(there_s, back_s)
        if "UPDATE projection_cursors" in sql:
            there_s = max(there_s, self._projection_stalled_until_s - self._loop.time())
        if faults.happens("connection_torn", 0.004):
            faults.note("connection_torn", connection.purpose)
            return Trip(there_s, back_s, Fate.LOST)
        if faults.happens("answer_lost", 0.004):
            return Trip(there_s, back_s, Fate.ANSWER_LOST)
        if faults.happens("statement_refused", 0.003):
            faults.note("statement_refused", connection.purpose)
            return Trip(there_s, back_s, Fate.REFUSED)
        return Trip(there_s, back_s)

    def _append_trip(self, there_s: float, back_s: float) -> Trip:
        faults = self._faults
        if faults.happens("commit_lost", 0.004):
            faults.note("commit_lost")
            return Trip(there_s, back_s, Fate.LOST)
        if faults.happens("commit_ambiguous", 0.004):
            return Trip(there_s, back_s, Fate.ANSWER_LOST)
        if faults.happens("commit_refused", 0.003):
            faults.note("commit_refused")
            return Trip(there_s, back_s, Fate.REFUSED)
        if faults.happens("commit_late", 0.004):
            return Trip(APPEND_TIMEOUT_S + self._random.choice((-0.0005, 0.0005, 0.2, 3.0, 3.0)), back_s)
        return Trip(there_s, back_s)

    def arrival_s(self) -> float:
        return self._stalled_until_s - self._loop.time()

    def carried_out(self, connection: SimConnection, sql: str, fate: Fate, given_up: bool) -> None:
        self._trace.note("sql", connection.purpose, sql.split(None, 3)[:3], self._database.last_status)
        if sql is log._APPEND:
            done = self._database.last_status == "INSERT 0 1"
            if given_up:
                self._faults.note("commit_late" if done else "commit_late_fenced")
            elif not connection.host.alive:
                self._faults.note("crash_in_commit", done)
            elif fate is Fate.ANSWER_LOST:
                self._faults.note("commit_ambiguous", done)
            if done:
                self.on_append()
        elif fate is Fate.ANSWER_LOST:
            self._faults.note("answer_lost", connection.purpose)

    def broken(self) -> Exception:
        return self._random.choice(
            (
                asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
                ConnectionResetError("connection reset by peer"),
                asyncpg.InterfaceError("the connection is closed"),
                asyncpg.InternalClientError("unexpected state of the connection"),
            )
        )
