"""The simulated Postgres server: transactions with row locks over tables in memory, and what survives a
crash.

Statements run at once and whole; what takes time is the way to the server and back (see
`tests.sim.connection`). A statement that needs a row which another transaction has changed waits for its end
and then runs again on what is there, as READ COMMITTED does. A commit is durable at once, unless the
transaction asked not to wait for the disk: then it is flushed a little later, with everything before it, and
a crash of the server before that takes it back.

The schema is the product's own: the migrations are run at the start.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any

import asyncpg
from tests.sim.expressions import Row
from tests.sim.loop import Host, SimLoop
from tests.sim.statements import Result, Statement, planned
from tests.sim.syntax import AlterTable, CreateTable, DropTable, parsed, split
from tests.sim.tables import Key, Table

from exchange.stores.migration_script import upgrade_script
from exchange.stores.postgres import MIGRATIONS

FLUSH_S = (0.05, 0.6)
"""A transaction that did not wait for the disk is on it this much later."""


class Blocked(Exception):
    """Another transaction has changed the row and is not at its end."""

    def __init__(self, by: "Transaction") -> None:
        self.by = by
        super().__init__()


class Transaction:
    """One transaction, explicit or of a single statement."""

    def __init__(self, *, repeatable: bool = False, readonly: bool = False) -> None:
        self.writes: dict[Table, dict[Key, Row | None]] = {}
        self.repeatable = repeatable
        self.readonly = readonly
        self.snapshot: dict[Table, dict[Key, Row]] | None = None
        self.synchronous = True
        self.failed = False
        self.ended = False
        self.waiting: list[Callable[[], None]] = []
        """Told when this transaction has ended."""


class Database:
    """The server. `up` is False between a crash and its recovery."""

    def __init__(self, loop: SimLoop, random: Random) -> None:
        self.host = Host(loop, "postgres")
        self._loop = loop
        self._random = random
        self.up = True
        self.tables: dict[str, Table] = {}
        self._statements: dict[str, Statement] = {}
        self._locks: dict[tuple[Table, Key], Transaction] = {}
        self._open: dict[Transaction, None] = {}
        self._unflushed: list[list[tuple[Table, Key, Row | None]]] = []
        """For each commit that is not on the disk, what to put back if it never gets there."""
        self.on_crash: dict[Callable[[], None], None] = {}
        self.last_status = ""
        """Of the statement carried out last."""
        for sql in schema():
            tree = parsed(sql)
            if isinstance(tree, CreateTable):
                self.tables[tree.name] = Table(tree)
            elif isinstance(tree, AlterTable):
                self.tables[tree.name].alter(tree)
            elif isinstance(tree, DropTable):
                del self.tables[tree.name]
            else:
                self.run_alone(sql, ())

    # ---- statements

    def _planned(self, sql: str) -> Statement:
        statement = self._statements.get(sql)
        if statement is None:
            statement = self._statements[sql] = planned(sql, self.tables)
        return statement

    def run(self, sql: str, parameters: Sequence[Any], transaction: Transaction) -> Result:
        """One statement in a transaction. Raises Blocked, or what Postgres would; then nothing is changed."""
        assert not transaction.ended
        if transaction.failed:
            raise asyncpg.InFailedSQLTransactionError("current transaction is aborted")
        if transaction.repeatable and transaction.snapshot is None:
            transaction.snapshot = {table: dict(table.rows) for table in self.tables.values()}
        execution = _Execution(self, transaction)
        try:
            result = self._planned(sql)(execution, parameters)
            execution.keep()
        except asyncpg.PostgresError:
            transaction.failed = True
            raise
        self.last_status = result.status
        return result

    def run_many(self, sql: str, parameters: Iterable[Sequence[Any]], transaction: Transaction) -> None:
        """The statement once for each, all or none of them. Raises as `run`."""
        before = {table: dict(writes) for table, writes in transaction.writes.items()}
        try:
            for one in parameters:
                self.run(sql, one, transaction)
        except Blocked:
            for table, writes in transaction.writes.items():
                for key in writes.keys() - before.get(table, {}).keys():
                    del self._locks[table, key]
            transaction.writes = before
            raise

    def run_alone(self, sql: str, parameters: Sequence[Any]) -> Result:
        """One statement in a transaction of its own, committed."""
        transaction = self.begin()
        try:
            result = self.run(sql, parameters, transaction)
        except BaseException:
            self.rollback(transaction)
            raise
        self.commit(transaction)
        return result

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._loop.now_ns() / 1e9, UTC)

    # ---- transactions

    def begin(self, *, repeatable: bool = False, readonly: bool = False) -> Transaction:
        transaction = Transaction(repeatable=repeatable, readonly=readonly)
        self._open[transaction] = None
        return transaction

    def commit(self, transaction: Transaction) -> bool:
        """Makes it visible, and durable if it waits for the disk. False: it had failed and is rolled back."""
        if transaction.failed or transaction.ended:
            self.rollback(transaction)
            return False
        if transaction.writes:
            before = [
                (table, key, table.put(key, row))
                for table, writes in transaction.writes.items()
                for key, row in writes.items()
            ]
            self._unflushed.append(before)
            if transaction.synchronous:
                self._unflushed.clear()
            else:
                self.host.call_later(self._random.uniform(*FLUSH_S), self._flush, len(self._unflushed))
        self._end(transaction)
        return True

    def rollback(self, transaction: Transaction) -> None:
        self._end(transaction)

    def _end(self, transaction: Transaction) -> None:
        if transaction.ended:
            return
        transaction.ended = True
        del self._open[transaction]
        for table, writes in transaction.writes.items():
            for key in writes:
                del self._locks[table, key]
        for told in transaction.waiting:
            told()

    def _flush(self, count: int) -> None:
        del self._unflushed[:count]  # some may be younger than was asked for: more may always be flushed

    def lock(self, table: Table, key: Key, transaction: Transaction) -> None:
        owner = self._locks.setdefault((table, key), transaction)
        if owner is not transaction:
            raise Blocked(owner)

    # ---- crash

    def crash(self) -> None:
        """Power off: every connection breaks and what was not on the disk never happened."""
        self.up = False
        for commit in reversed(self._unflushed):
            for table, key, before in reversed(commit):
                table.put(key, before)
        self._unflushed.clear()
        for transaction in list(self._open):
            transaction.waiting.clear()
            self._end(transaction)
        for told in list(self.on_crash):
            told()

    def restart(self) -> None:
        self.up = True


class _Execution:
    """What one statement sees and does. Its changes are kept when it has run through."""

    def __init__(self, database: Database, transaction: Transaction) -> None:
        self._database = database
        self._transaction = transaction
        self._changes: dict[Table, dict[Key, Row | None]] = {}
        self._synchronous = transaction.synchronous
        self.parts: dict[str, list[Row]] = {}

    def now(self) -> datetime:
        return self._database.now()

    def set_local(self, name: str, value: str) -> None:
        assert name == "synchronous_commit"
        self._synchronous = value not in {"off", "local"}

    def _committed(self, table: Table) -> dict[Key, Row]:
        snapshot = self._transaction.snapshot
        return table.rows if snapshot is None else snapshot[table]

    def rows(self, table: Table) -> Iterable[Row]:
        committed, own = self._committed(table), self._transaction.writes.get(table)
        if not own:
            return committed.values()
        return [row for row in (committed | own).values() if row is not None]

    def newest_first(self, table: Table) -> Iterable[Row] | None:
        if self._transaction.writes.get(table):
            return None
        return reversed(self._committed(table).values())

    def get(self, table: Table, key: Key) -> Row | None:
        own = self._transaction.writes.get(table)
        if own is not None and key in own:
            return own[key]
        return self._committed(table).get(key)

    def write(self, table: Table, key: Key, row: Row | None) -> None:
        if self._transaction.readonly:
            raise asyncpg.ReadOnlySQLTransactionError("cannot execute in a read-only transaction")
        if row is not None:
            table.check(self, row)
        self._changes.setdefault(table, {})[key] = row

    def insert(self, table: Table, row: Row, *, or_ignore: bool) -> bool:
        key = table.key_of(row)
        self._database_check_lock(table, key)
        changes = self._changes.get(table, {})
        if self.get(table, key) is not None or changes.get(key) is not None or self._taken(table, key, row):
            if or_ignore:
                return False
            raise asyncpg.UniqueViolationError(f"duplicate key in {table.name}: {key}")
        self.write(table, key, row)
        return True

    def _database_check_lock(self, table: Table, key: Key) -> None:
        owner = self._database._locks.get((table, key))
        if owner is not None and owner is not self._transaction:
            raise Blocked(owner)

    def _taken(self, table: Table, key: Key, row: Row) -> bool:
        """Whether another row has the same value where values are unique."""
        for positions, index in zip(table.uniques, table.unique_keys, strict=True):
            value = tuple(row[position] for position in positions)
            if None in value:
                continue
            if index.get(value, key) != key:
                return True
            for mine in (self._transaction.writes.get(table, {}), self._changes.get(table, {})):
                for other_key, other in mine.items():
                    if other is not None and other_key != key and tuple(other[p] for p in positions) == value:
                        return True
        return False

    def keep(self) -> None:
        """Locks all changed rows and keeps the changes, all or none. Raises Blocked."""
        for table, changes in self._changes.items():
            for key in changes:
                self._database_check_lock(table, key)
        for table, changes in self._changes.items():
            kept = self._transaction.writes.setdefault(table, {})
            for key, row in changes.items():
                self._database.lock(table, key, self._transaction)
                kept[key] = row
        self._transaction.synchronous = self._synchronous


@cache
def schema() -> list[str]:
    """The statements of the product's migrations that mean something to a new database."""
    return [sql for sql in split(upgrade_script(MIGRATIONS, None)) if not _MOVES_DATA.search(sql)]


_MOVES_DATA = re.compile(r"alembic_version|^\s*(--[^\n]*\s*)*INSERT\b.*\bSELECT\b", re.DOTALL | re.IGNORECASE)
"""The migrations' own book-keeping, and what fills new tables from old ones."""
