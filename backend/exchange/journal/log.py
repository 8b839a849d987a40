"""Appending to the journal: one row per batch, fenced by epoch, chained by hash.

The `writer` row holds the epoch of the engine that may append and the head of the chain. Claiming it raises
the epoch; an append updates it only where epoch and head are still its own, in the same statement that
inserts the batch. So an engine that was replaced can never append, whatever it believes.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import asyncpg

from exchange.journal.errors import AppendUnknown, Fenced
from exchange.journal.rows import row_hash
from exchange.stores.errors import OUTAGES

_APPEND = """
WITH fence AS (
    UPDATE writer SET head_seq = $2, head_hash = $9
    WHERE epoch = $3 AND head_seq = $1 - 1 AND head_hash = $8
    RETURNING epoch
)
INSERT INTO journal (seq_first, seq_last, epoch, time_ns, rules_version, commands, events, hash_prev, hash)
SELECT $1, $2, fence.epoch, $4, $5, $6, $7, $8, $9 FROM fence
"""

_CLAIM = "UPDATE writer SET epoch = epoch + 1 RETURNING epoch, head_seq, head_hash"

Connect = Callable[..., Awaitable[asyncpg.Connection]]
"""How a connection is opened: called with the URL and `timeout` in seconds."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the journal ends. `hash` is the genesis id before the first row."""

    seq: int
    hash: bytes


async def ensure_genesis(connection: asyncpg.Connection) -> bytes:
    """The deployment's genesis id, 32 random bytes drawn once, when the database is new."""
    async with connection.transaction():
        genesis_id = secrets.token_bytes(32)
        await connection.execute(
            "INSERT INTO genesis (genesis_id) VALUES ($1) ON CONFLICT DO NOTHING", genesis_id
        )
        stored: bytes = await connection.fetchval("SELECT genesis_id FROM genesis")
        await connection.execute(
            "INSERT INTO writer (epoch, head_seq, head_hash) VALUES (0, 0, $1) ON CONFLICT DO NOTHING", stored
        )
    return stored


class JournalLog:
    """The writing end. Owns one connection; used by one task."""

    def __init__(self, connection: asyncpg.Connection, epoch: int, head: Head, *, timeout_s: float) -> None:
        self._connection = connection
        self._append: asyncpg.prepared_stmt.PreparedStatement | None = None
        self._timeout_s = timeout_s
        self.epoch = epoch
        self.head = head

    @classmethod
    async def claim(cls, url: str, *, timeout_s: float = 10.0, connect: Connect = asyncpg.connect) -> Self:
        """Takes the journal over: from now on every earlier writer is fenced off.

        Raises OSError, TimeoutError or asyncpg.PostgresError when the database does not do it; whether the
        earlier writers are fenced is then unknown.
        """
        connection = await connect(url, timeout=timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                await ensure_genesis(connection)
                record = await connection.fetchrow(_CLAIM)
        except BaseException:
            connection.terminate()
            raise
        assert record is not None
        head = Head(record["head_seq"], record["head_hash"])
        return cls(connection, record["epoch"], head, timeout_s=timeout_s)

    async def append(
        self, seq_last: int, time_ns: int, rules_version: int, commands: bytes, events: bytes
    ) -> None:
        """Commits one batch, durable on return.

        Raises Fenced when a newer writer has taken over, AppendUnknown when the outcome can not be known;
        either way nothing may be appended here again.
        """
        seq_first, hash_prev = self.head.seq + 1, self.head.hash
        digest = row_hash(
            hash_prev, seq_first, seq_last, self.epoch, time_ns, rules_version, commands, events
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._append is None:
                    self._append = await self._connection.prepare(_APPEND)
                await self._append.fetch(
                    seq_first,
                    seq_last,
                    self.epoch,
                    time_ns,
                    rules_version,
                    commands,
                    events,
                    hash_prev,
                    digest,
                )
        except OUTAGES as error:
            raise AppendUnknown(seq_first, seq_last) from error
        if self._append.get_statusmsg() != "INSERT 0 1":
            raise Fenced(self.epoch, seq_first)
        self.head = Head(seq_last, digest)

    async def check(self) -> None:
        """Raises Fenced when a newer writer has taken over, AppendUnknown when the database is gone."""
        try:
            async with asyncio.timeout(self._timeout_s):
                epoch = await self._connection.fetchval("SELECT epoch FROM writer")
        except OUTAGES as error:
            raise AppendUnknown(self.head.seq + 1, self.head.seq + 1) from error
        if epoch != self.epoch:
            raise Fenced(self.epoch, self.head.seq + 1)

    async def close(self) -> None:
        await self._connection.close(timeout=self._timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.terminate() if error is not None else await self.close()
