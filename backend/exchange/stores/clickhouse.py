"""ClickHouse: the embedded engine (chDB) or a server, behind the same client.

The client is blocking, and chDB allows one process per folder, so calls run on a few threads, each call with
a timeout: what changes something on one of them, one after the other, and queries on others, so that nobody
who reads waits for a block to be inserted, and no crowd that reads keeps a block from being inserted. An
inserted block that got no answer may or may not be there: repeat it unchanged under the same token and the
server keeps one.

It connects when it is first asked for something, and tries again with every call until it can. While a thread
gets no answers one call at a time finds out whether it does again, and all others on it fail at once.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

from clickhouse_connect.driver.exceptions import OperationalError

from exchange.stores.clickhouse_lane import FAILURES, Lane
from exchange.stores.clickhouse_schema import MIGRATIONS, Layout
from exchange.stores.errors import ClickHouseBusy, ClickHouseError, ClickHouseTimeout, LayoutDiffers

DATABASE = "exchange"
DEFAULT_TIMEOUT_S = 10.0
SCHEMA_TIMEOUT_S = 60.0
OPEN_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 10.0
PING_TIMEOUT_S = 1.5
READERS = 2
"""Threads that queries run on."""
MAX_WAITING = 128
"""Calls that may wait for one thread, the one that runs included."""

# A materialized view's target drops a repeated block too, not only the table that was inserted into.
_INSERT_SETTINGS = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # While catching up, one block may be of many days and so of many partitions.
    "max_partitions_per_insert_block": 0,
}

# Of a shard's servers the first that lives is written to and read from, so that what was written is read.
# An insert is acknowledged when the shard has it, and a market is asked for at its shard alone.
_CLUSTER_SETTINGS = {
    "load_balancing": "in_order",
    "distributed_foreground_insert": 1,
    "optimize_skip_unused_shards": 1,
}

Result = TypeVar("Result")
Row = tuple[Any, ...]


class ClickHouse:
    """One database of one engine: chDB on the folder `path`, or the server at `url`. End it with `close`."""

    def __init__(
        self,
        *,
        path: Path | None = None,
        url: str | None = None,
        database: str = DATABASE,
        cluster: str | None = None,
    ) -> None:
        assert (path is None) != (url is None), "a folder or a URL"
        assert path is None or cluster is None, "chDB is no cluster"
        self._layout = Layout(database, cluster)
        self._settings = _CLUSTER_SETTINGS if cluster is not None else {}
        self._writer = Lane(path, url, self._layout)
        self._readers = [Lane(path, url, self._layout) for _ in range(READERS)]
        self.path = path
        self.database = database
        self.fault: ClickHouseError | None = None
        """Why it does not answer, by the last call that ended on any thread; None again when it does."""

    @classmethod
    def at(cls, where: str, cluster: str | None = None) -> Self:
        """The server whose http(s) address this is, or else chDB on the folder of this name.

        An address may end with /database. With `cluster` the server is one of those that it knows by this
        name. Raises ClusterNameInvalid.
        """
        if not is_server(where):
            return cls(path=Path(where))
        parts = urlsplit(where)
        url = urlunsplit(parts._replace(path=""))
        return cls(url=url, database=parts.path.strip("/") or DATABASE, cluster=cluster)

    @classmethod
    async def open(
        cls, *, path: Path | None = None, url: str | None = None, database: str = DATABASE
    ) -> Self:
        """One that is connected to, and has the database. Raises ClickHouseError, ClickHouseTimeout."""
        opened = cls(path=path, url=url, database=database)
        try:
            await opened.connect()
        except BaseException:
            for lane in opened._lanes:
                lane.executor.shutdown(wait=False)
            raise
        return opened

    async def connect(self) -> None:
        """Connects now instead of with the first call. Raises ClickHouseError, ClickHouseTimeout."""
        await self._call("open", self._writer, OPEN_TIMEOUT_S, lambda _: None)

    async def ping(self) -> None:
        """Asks for a sign of life, unless others are being served. Raises ClickHouseError."""
        if not any(lane.waiting for lane in self._lanes):
            await self.query("SELECT 1", timeout_s=PING_TIMEOUT_S)
        elif self.fault is not None:
            raise self.fault

    async def query(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        for_writer: bool = False,
    ) -> list[Row]:
        """Rows of a SELECT; values only as `{name:Type}` parameters.

        `for_writer`: who also writes asks on the thread for that, where nobody else is waited for.
        """
        settings = {**self._settings, "max_execution_time": timeout_s}
        return await self._call(
            "a query",
            self._writer if for_writer else min(self._readers, key=Lane.reluctance),
            timeout_s,
            lambda client: client.query(sql, parameters=parameters, settings=settings).result_rows,
        )

    async def command(self, sql: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """A statement without a result."""
        await self._call("a command", self._writer, timeout_s, lambda client: client.command(sql))

    async def insert(
        self,
        table: str,
        names: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        token: str,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """Inserts the rows as one block, once per token."""
        columns = list(zip(*rows, strict=True))
        await self.insert_columns(table, names, columns, token=token, timeout_s=timeout_s)

    async def insert_columns(
        self,
        table: str,
        names: Sequence[str],
        columns: Sequence[Sequence[object]],
        *,
        token: str,
        types: Sequence[str] | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """Inserts rows, given by their columns, as one block, once per token.

        The columns' types are asked for with every block, unless they are given.
        """
        settings = {**self._settings, **_INSERT_SETTINGS, "insert_deduplication_token": token}
        await self._call(
            "an insert",
            self._writer,
            timeout_s,
            lambda client: client.insert(
                table,
                columns,
                column_names=list(names),
                column_type_names=None if types is None else list(types),
                column_oriented=True,
                settings=settings,
            ),
        )

    async def truncate(self, table: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Empties a table, on every server that has a part of it."""
        await self.command(self._layout.truncate(table), timeout_s=timeout_s)

    async def migrate(self, folder: Path = MIGRATIONS) -> None:
        """Applies the folder's `*.sql` that were not yet applied, by name, and records each.

        A file may stop halfway when it is interrupted, so its statements are written to be repeatable. Raises
        LayoutDiffers, ClickHouseError.
        """
        await self._require_layout()
        await self.command(self._layout.create_migrations(), timeout_s=SCHEMA_TIMEOUT_S)
        if self._layout.cluster is not None:  # what was applied through another server is known to all
            await self.command("SYSTEM SYNC REPLICA migrations", timeout_s=SCHEMA_TIMEOUT_S)
        applied = {row[0] for row in await self.query("SELECT name FROM migrations", for_writer=True)}
        for name, statements in self._layout.migrations(folder):
            if name in applied:
                continue
            for statement in statements:
                await self.command(statement, timeout_s=SCHEMA_TIMEOUT_S)
            await self.insert("migrations", ["name", "applied_s"], [(name, int(time.time()))], token=name)

    async def _require_layout(self) -> None:
        """Refuses the tables of one server for a cluster's, and the other way round."""
        found = await self.query(
            "SELECT engine FROM system.tables WHERE database = {database:String} AND name = 'migrations'",
            {"database": self._layout.database},
            for_writer=True,
        )
        for (engine,) in found:
            if engine.startswith("Replicated") != (self._layout.cluster is not None):
                raise LayoutDiffers(self._layout.database, self._layout.cluster, engine)

    async def close(self) -> None:
        """Ends the engine, or the connections; what is not answered is left behind."""
        closing = []
        for lane in self._lanes:
            closing.append(asyncio.wrap_future(lane.executor.submit(lane.close)))
            lane.executor.shutdown(wait=False)
        with suppress(TimeoutError, *FAILURES):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.gather(*closing)

    @property
    def _lanes(self) -> list[Lane]:
        return [self._writer, *self._readers]

    async def _call(self, what: str, lane: Lane, timeout_s: float, call: Callable[[Any], Result]) -> Result:
        if lane.waiting >= MAX_WAITING or (lane.waiting and lane.fault is not None):
            raise ClickHouseBusy(lane.waiting)
        lane.waiting += 1
        running = lane.executor.submit(lane.run, call, timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                result = await asyncio.wrap_future(running)
        except TimeoutError as error:
            if running.cancelled():  # it was never begun: that says nothing of the server
                raise ClickHouseBusy(lane.waiting) from error
            lane.fault = self.fault = ClickHouseTimeout(what, timeout_s)
            raise self.fault from error
        except FAILURES as error:
            failure = ClickHouseError(f"{what} failed: {error}")
            if not lane.is_connected or isinstance(error, OperationalError):
                lane.fault = self.fault = failure
            raise failure from error
        finally:
            lane.waiting -= 1
        lane.fault = self.fault = None
        return result


def is_server(where: str) -> bool:
    """Whether this is the address of a server, and not a folder."""
    return where.startswith(("http://", "https://"))
