"""The simulated database as asyncpg shows it: connections, transactions, prepared statements, a pool.

A request travels to the server, is carried out there whoever still waits for it, and its answer travels back.
Each of the three can go wrong (see `Wire`); so an answer that does not come leaves open whether the request
was carried out, as with the real thing. Cancelling a call sends a cancel request after it, which may come too
late.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, Protocol

import asyncpg
from tests.sim.database import Blocked, Database, Transaction
from tests.sim.loop import Host, HostGone, SimFuture
from tests.sim.statements import Result

RESET_TIMEOUT_S = 10.0


class Fate(Enum):
    """What becomes of a request."""

    DONE = "done"
    LOST = "lost"
    """The connection breaks before the server has it."""
    ANSWER_LOST = "answer lost"
    """The server carries it out, then the connection breaks."""
    REFUSED = "refused"
    """The server fails to carry it out and says so."""


@dataclass(slots=True)
class Trip:
    """How long a request travels to the server and its answer back, in seconds, and what becomes of it."""

    there_s: float
    back_s: float
    fate: Fate = Fate.DONE


class Wire(Protocol):
    """Decides what happens to requests."""

    def trip(self, connection: "SimConnection", sql: str) -> Trip: ...
    def arrival_s(self) -> float:
        """How long the server still keeps everybody waiting."""
        ...

    def carried_out(self, connection: "SimConnection", sql: str, fate: Fate, given_up: bool) -> None:
        """The server has done what was asked; whether the one who asked has given up already."""
        ...

    def broken(self) -> Exception: ...


class Record(dict[Any, Any]):
    """A row as asyncpg gives it: by name, by position, and one value after the other."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())

    def __missing__(self, position: int) -> Any:
        return tuple(self.values())[position]


def records(result: Result) -> list[Record]:
    """The rows of an answer."""
    return [Record(zip(result.columns, row, strict=True)) for row in result.rows]


class _Request:
    __slots__ = ("answer", "back_s", "cancelled", "fate", "finished", "given_up", "run", "settled", "sql")

    def __init__(self, sql: str, run: Callable[["Session"], Any], answer: SimFuture) -> None:
        self.sql = sql
        self.run = run
        self.answer = answer
        self.settled: SimFuture | None = None
        """Once it was given up: done when the server has noticed."""
        self.fate = Fate.DONE
        self.back_s = 0.0
        self.cancelled = False
        self.given_up = False
        self.finished = False


class Session:
    """The server's end of a connection: one request after another."""

    def __init__(self, database: Database, connection: "SimConnection") -> None:
        self.database = database
        self.connection = connection
        self.transaction: Transaction | None = None
        self._queue: deque[_Request] = deque()
        self.coming = 0
        """Requests on their way here."""
        self._blocked = False
        self._left = False
        self._dead = False
        database.on_crash[self.die] = None

    def arrive(self, request: _Request) -> None:
        self.coming -= 1
        if self._dead:
            self.connection.settle(request)
            return
        wait_s = self.connection.wire.arrival_s()
        if wait_s > 0:
            self.coming += 1
            self.database.host.call_later(wait_s, self.arrive, request)
            return
        self._queue.append(request)
        if not self._blocked:
            self._work()

    def cancel(self, request: _Request) -> None:
        """A cancel request: it ends a statement that waits here, and does nothing to one that is not here
        yet.
        """
        if request in self._queue:
            request.cancelled = True
            self._unblocked()

    def leave(self) -> None:
        """The client is gone. What it has sent is still carried out, its open transaction is not."""
        self._left = True
        if not self._blocked:
            self._work()

    def die(self) -> None:
        """The server crashed."""
        self._dead = True
        self.database.on_crash.pop(self.die, None)
        for request in self._queue:
            self.connection.settle(request)
        self._queue.clear()
        self.transaction = None
        self.connection.server_died()

    def _unblocked(self) -> None:
        if self._blocked and not self._dead:
            self._blocked = False
            self._work()

    def _work(self) -> None:
        while self._queue:
            request = self._queue[0]
            try:
                if request.cancelled:
                    self._fail()
                    outcome: Any = asyncpg.QueryCanceledError("canceling statement due to user request")
                elif request.fate is Fate.REFUSED:
                    self._fail()
                    outcome = asyncpg.DiskFullError("could not extend file: No space left on device")
                else:
                    outcome = request.run(self)
                    self.connection.wire.carried_out(
                        self.connection, request.sql, request.fate, request.given_up
                    )
            except Blocked as blocked:
                self._blocked = True
                blocked.by.waiting.append(self._unblocked)
                return
            except asyncpg.PostgresError as error:
                outcome = error
            self._queue.popleft()
            self.connection.answered(request, outcome)
        if self._left and not self.coming:
            self._roll_back()
            self.database.on_crash.pop(self.die, None)

    def _fail(self) -> None:
        if self.transaction is not None:
            self.transaction.failed = True

    def _roll_back(self) -> None:
        if self.transaction is not None:
            self.database.rollback(self.transaction)
            self.transaction = None


class SimConnection:
    """The client's end."""

    def __init__(
        self, database: Database, wire: Wire, host: Host, purpose: str, command_timeout_s: float | None
    ) -> None:
        self.wire = wire
        self.host = host
        self.purpose = purpose
        self._database = database
        self._loop = host.loop
        self._command_timeout_s = command_timeout_s
        self._session = Session(database, self)
        self._closed = False
        self._asking: _Request | None = None
        self._unsettled: _Request | None = None
        host.on_crash.append(self._session.leave)

    # ---- asking

    async def ask(self, sql: str, run: Callable[[Session], Any], timeout_s: float | None = None) -> Any:
        """One request and its answer. `sql` is what it is known by to the faults."""
        if not self.host.alive:
            raise HostGone
        if self._closed:
            raise asyncpg.InterfaceError("connection is closed")
        if self._asking is not None:
            raise asyncpg.InterfaceError("cannot perform operation: another operation is in progress")
        timeout_s = self._command_timeout_s if timeout_s is None else timeout_s
        request = _Request(sql, run, self._loop.create_future())
        self._asking = request
        timer = None
        if timeout_s is not None:
            timer = self._loop.call_later(timeout_s, self._time_out, request, context=self.host.context)
        try:
            if self._unsettled is not None:
                assert self._unsettled.settled is not None
                await asyncio.wait([self._unsettled.settled, request.answer], return_when="FIRST_COMPLETED")
                self._unsettled = None
            if not request.answer.done():
                self._send(request)
            return await request.answer
        except (asyncio.CancelledError, TimeoutError):
            self._give_up(request)
            raise
        finally:
            self._asking = None
            if timer is not None:
                timer.cancel()

    def _send(self, request: _Request) -> None:
        trip = self.wire.trip(self, request.sql)
        request.fate, request.back_s = trip.fate, trip.back_s
        if trip.fate is Fate.LOST:
            self._database.host.call_later(trip.there_s, self._break, request)
        else:
            self._session.coming += 1
            self._database.host.call_later(trip.there_s, self._session.arrive, request)

    def _time_out(self, request: _Request) -> None:
        if not request.answer.done():
            _fail(request.answer, TimeoutError())

    def _give_up(self, request: _Request) -> None:
        request.given_up = True
        if not request.finished and not self._closed and self.host.alive:
            self._unsettled = request
            request.settled = self._loop.create_future()
            trip = self.wire.trip(self, "CANCEL")
            self._database.host.call_later(trip.there_s, self._session.cancel, request)

    def answered(self, request: _Request, outcome: Any) -> None:
        """The server is done with it: the answer goes on its way."""
        request.finished = True
        if request.fate is Fate.ANSWER_LOST:
            self._database.host.call_later(request.back_s, self._break, request)
        else:
            self._database.host.call_later(request.back_s, self._deliver, request, outcome)

    def _deliver(self, request: _Request, outcome: Any) -> None:
        self.settle(request)
        if not request.answer.done():
            if isinstance(outcome, Exception):
                _fail(request.answer, outcome)
            else:
                request.answer.set_result(outcome)

    def settle(self, request: _Request) -> None:
        if request.settled is not None and not request.settled.done():
            request.settled.set_result(None)

    def _break(self, request: _Request | None) -> None:
        """The connection is torn: whoever waits is told, and nothing works on it any more."""
        if request is not None:
            self.settle(request)
        self._shut()
        self._session.leave()
        waiting = self._asking
        if waiting is not None and not waiting.answer.done():
            _fail(waiting.answer, self.wire.broken())

    def server_died(self) -> None:
        """The server is gone; the client will find out."""
        if not self._closed:
            self._database.host.call_later(0.001, self._break, self._unsettled)

    def _shut(self) -> None:
        self._closed = True

    # ---- asyncpg's interface

    async def fetch(self, sql: str, *arguments: Any, timeout: float | None = None) -> list[Record]:
        return records(await self._run(sql, arguments, timeout))

    async def fetchrow(self, sql: str, *arguments: Any, timeout: float | None = None) -> Record | None:
        found = records(await self._run(sql, arguments, timeout))
        return found[0] if found else None

    async def fetchval(self, sql: str, *arguments: Any, timeout: float | None = None) -> Any:
        rows = (await self._run(sql, arguments, timeout)).rows
        return rows[0][0] if rows else None

    async def execute(self, sql: str, *arguments: Any, timeout: float | None = None) -> str:
        return (await self._run(sql, arguments, timeout)).status

    async def executemany(
        self, sql: str, arguments: Iterable[Sequence[Any]], *, timeout: float | None = None
    ) -> None:
        wanted = [plain(one) for one in arguments]

        def work(session: Session) -> None:
            _in_transaction(session, lambda transaction: session.database.run_many(sql, wanted, transaction))

        await self.ask(sql, work, timeout)

    async def copy_records_to_table(
        self,
        table: str,
        *,
        columns: Sequence[str],
        records: Iterable[Sequence[Any]],
        timeout: float | None = None,
    ) -> str:
        places = ", ".join(f"${number}" for number, _ in enumerate(columns, 1))
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"
        rows = [plain(record) for record in records]
        await self.executemany(sql, rows, timeout=timeout)
        return f"COPY {len(rows)}"

    async def prepare(self, sql: str, *, timeout: float | None = None) -> "SimPrepared":
        await self.ask(f"PREPARE {sql}", lambda session: None, timeout)
        return SimPrepared(self, sql)

    async def _run(self, sql: str, arguments: Sequence[Any], timeout_s: float | None) -> Result:
        given = plain(arguments)

        def work(session: Session) -> Result:
            return _in_transaction(session, lambda transaction: session.database.run(sql, given, transaction))

        result: Result = await self.ask(sql, work, timeout_s)
        return result

    def transaction(self, *, isolation: str | None = None, readonly: bool = False) -> "SimTransaction":
        return SimTransaction(
            self, repeatable=isolation in {"repeatable_read", "serializable"}, readonly=readonly
        )

    async def set_type_codec(self, *names: Any, **options: Any) -> None:
        pass

    def is_closed(self) -> bool:
        return self._closed

    def is_in_transaction(self) -> bool:
        return self._session.transaction is not None

    @property
    def is_dirty(self) -> bool:
        """Whether something is under way or left over that the next user must not find."""
        return self._unsettled is not None or self._session.transaction is not None

    async def close(self, *, timeout: float | None = None) -> None:
        if not self.host.alive:
            raise HostGone
        if not self._closed:
            await self.ask("CLOSE", lambda session: None, timeout)
            self.terminate()

    def terminate(self) -> None:
        if not self._closed and self.host.alive:
            self._shut()
            self._database.host.call_later(0.0005, self._session.leave)


class SimTransaction:
    """BEGIN, and COMMIT or ROLLBACK."""

    def __init__(self, connection: SimConnection, *, repeatable: bool, readonly: bool) -> None:
        self._connection = connection
        self._repeatable = repeatable
        self._readonly = readonly

    async def start(self) -> None:
        def begin(session: Session) -> None:
            assert session.transaction is None, "no transactions within transactions"
            session.transaction = session.database.begin(repeatable=self._repeatable, readonly=self._readonly)

        await self._connection.ask("BEGIN", begin)

    async def commit(self) -> None:
        def commit(session: Session) -> None:
            transaction, session.transaction = session.transaction, None
            assert transaction is not None
            session.database.commit(transaction)

        await self._connection.ask("COMMIT", commit)

    async def rollback(self) -> None:
        def roll_back(session: Session) -> None:
            transaction, session.transaction = session.transaction, None
            if transaction is not None:
                session.database.rollback(transaction)

        await self._connection.ask("ROLLBACK", roll_back)

    async def __aenter__(self) -> "SimTransaction":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.commit()
        else:
            await self.rollback()


class SimPrepared:
    """A prepared statement."""

    def __init__(self, connection: SimConnection, sql: str) -> None:
        self._connection = connection
        self._sql = sql
        self._status = ""

    async def fetch(self, *arguments: Any, timeout: float | None = None) -> list[Record]:
        result = await self._connection._run(self._sql, arguments, timeout)
        self._status = result.status
        return records(result)

    def get_statusmsg(self) -> str:
        return self._status


def _fail(answer: SimFuture, error: Exception) -> None:
    """Tells whoever waits; it is in order that nobody does any more."""
    answer.set_exception(error)
    answer.exception()


def _in_transaction(session: Session, work: Callable[[Transaction], Any]) -> Any:
    """In the session's transaction, or in one of its own that is committed at once."""
    if session.transaction is not None:
        return work(session.transaction)
    transaction = session.database.begin()
    try:
        outcome = work(transaction)
    except BaseException:
        session.database.rollback(transaction)
        raise
    session.database.commit(transaction)
    return outcome


def plain(arguments: Iterable[Any]) -> tuple[Any, ...]:
    """Parameters as the driver sends them: enumerations as their text, sequences as lists."""
    return tuple(_plain(value) for value in arguments)


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in {int, str, bytes, bool, type(None)}:
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


class SimPool:
    """A pool of connections of one host."""

    def __init__(
        self,
        connect: Callable[[], Any],
        host: Host,
        max_size: int = 8,
        acquire_timeout_s: float | None = None,
    ) -> None:
        self._connect = connect
        self._host = host
        self._max_size = max_size
        self._free: list[SimConnection] = []
        self._used: dict[SimConnection, None] = {}
        self._opening = 0
        self._waiting: deque[SimFuture] = deque()
        self._closing = False

    def acquire(self, *, timeout: float | None = None) -> "_Acquire":
        return _Acquire(self, timeout)

    async def take(self, timeout_s: float | None) -> SimConnection:
        if timeout_s is None:
            return await self._take()
        async with asyncio.timeout(timeout_s):
            return await self._take()

    async def _take(self) -> SimConnection:
        while True:
            if not self._host.alive:
                raise HostGone
            if self._closing:
                raise asyncpg.InterfaceError("pool is closing")
            while self._free:
                connection = self._free.pop()
                if not connection.is_closed():
                    self._used[connection] = None
                    return connection
            if len(self._used) + self._opening < self._max_size:
                self._opening += 1
                try:
                    connection = await self._connect()
                finally:
                    self._opening -= 1
                    self._wake()
                self._used[connection] = None
                return connection
            waiter = self._host.loop.create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)

    async def release(self, connection: SimConnection) -> None:
        if not self._host.alive:
            return
        if connection.is_dirty and not connection.is_closed():
            await asyncio.shield(self._host.spawn(self._reset(connection)))
        self._used.pop(connection, None)
        if not connection.is_closed():
            self._free.append(connection)
        self._wake()

    async def _reset(self, connection: SimConnection) -> None:
        try:
            async with asyncio.timeout(RESET_TIMEOUT_S):
                await connection.transaction().rollback()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break

    async def fetch(self, sql: str, *arguments: Any, timeout: float | None = None) -> list[Record]:
        async with self.acquire() as connection:
            return await connection.fetch(sql, *arguments, timeout=timeout)

    async def fetchrow(self, sql: str, *arguments: Any, timeout: float | None = None) -> Record | None:
        async with self.acquire() as connection:
            return await connection.fetchrow(sql, *arguments, timeout=timeout)

    async def fetchval(self, sql: str, *arguments: Any, timeout: float | None = None) -> Any:
        async with self.acquire() as connection:
            return await connection.fetchval(sql, *arguments, timeout=timeout)

    async def execute(self, sql: str, *arguments: Any, timeout: float | None = None) -> str:
        async with self.acquire() as connection:
            return await connection.execute(sql, *arguments, timeout=timeout)

    async def close(self) -> None:
        self.terminate()

    def terminate(self) -> None:
        self._closing = True
        for connection in (*self._free, *self._used):
            connection.terminate()
        self._free.clear()


class _Acquire:
    """Both ways to acquire: `await pool.acquire()` and `async with pool.acquire()`."""

    def __init__(self, pool: SimPool, timeout_s: float | None) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._connection: SimConnection | None = None

    def __await__(self) -> Generator[Any, None, SimConnection]:
        return self._pool.take(self._timeout_s).__await__()

    async def __aenter__(self) -> SimConnection:
        self._connection = await self._pool.take(self._timeout_s)
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._connection is not None
        await self._pool.release(self._connection)
