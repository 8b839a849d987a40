"""A journal with snapshots in memory, as the database would give it, so that thousands can be damaged.

The connection is a fake at the seam: it knows the statements of recovery and verification, and nothing else.
"""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from tests.core.random_commands import RandomCommands

from exchange.core.apply import apply
from exchange.core.commands import Command
from exchange.core.events import Event
from exchange.core.state import State
from exchange.journal.chain import Chain
from exchange.journal.log import Head
from exchange.journal.recovery import READ_GENESIS, READ_STRAY, READ_WRITER
from exchange.journal.rows import READ_ROWS, encode_payload, row_hash
from exchange.journal.snapshot_rows import (
    LIST_SNAPSHOTS,
    READ_IMAGE,
    READ_ROW_AT,
    pack_snapshot,
)

Row = dict[str, Any]


@dataclass
class RecordedJournal:
    """The tables of a journal. `connection` reads them."""

    genesis_id: bytes
    rows: list[Row] = field(default_factory=list)
    snapshots: list[Row] = field(default_factory=list)
    writer: Row = field(default_factory=dict)

    @property
    def head(self) -> Head:
        return Head(self.writer["head_seq"], self.writer["head_hash"])

    @property
    def connection(self) -> Any:
        return _Connection(self)

    async def store(self, pool: asyncpg.Pool) -> None:
        """Writes the tables of a database like this. Raises asyncpg's errors for what no table can hold."""
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("TRUNCATE genesis, writer, journal, snapshots")
            await connection.execute("INSERT INTO genesis (genesis_id) VALUES ($1)", self.genesis_id)
            for table, rows in (
                ("writer", [self.writer]),
                ("journal", self.rows),
                ("snapshots", self.snapshots),
            ):
                for row in rows:
                    columns, values = ", ".join(row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
                    await connection.execute(
                        f"INSERT INTO {table} ({columns}) VALUES ({values})", *row.values()
                    )

    def copy(self) -> "RecordedJournal":
        return deepcopy(self)


def record(
    genesis_id: bytes,
    log: list[tuple[int, Command, list[Event]]],
    *,
    rows_of: int = 5,
    snapshots_after: tuple[int, ...] = (),
) -> RecordedJournal:
    """A journal of these commands in rows of up to `rows_of`; snapshots after the rows of these numbers."""
    journal = RecordedJournal(genesis_id)
    state, hash_prev, start = State(), genesis_id, 0
    while start < len(log):
        time_ns = log[start][0]
        end = start + 1
        while end < min(start + rows_of, len(log)) and log[end][0] == time_ns:
            end += 1
        for offset, (_, command, events) in enumerate(log[start:end]):
            assert apply(state, start + 1 + offset, time_ns, command) == events
        content: Row = {
            "seq_first": start + 1,
            "seq_last": end,
            "epoch": 1 + start // 100,
            "time_ns": time_ns,
            "rules_version": state.rules_version,
            "commands": encode_payload([command for _, command, _ in log[start:end]]),
            "events": encode_payload([events for _, _, events in log[start:end]]),
        }
        digest = row_hash(hash_prev, **content)
        journal.rows.append({**content, "hash_prev": hash_prev, "hash": digest})
        hash_prev, start = digest, end
        if len(journal.rows) in snapshots_after:
            journal.snapshots.insert(0, snapshot(state, digest))
    epoch = journal.rows[-1]["epoch"]
    journal.writer = {"epoch": epoch, "head_seq": len(log), "head_hash": hash_prev}
    return journal


def snapshot(state: State, journal_hash: bytes) -> Row:
    """The row of a snapshot."""
    entry, packed = pack_snapshot(Chain(state, Head(state.seq, journal_hash), epoch=1, time_ns=state.time_ns))
    return {
        "seq": entry.seq,
        "journal_hash": journal_hash,
        "state_hash": entry.state_hash,
        "rules_version": entry.rules_version,
        "image": packed,
        "hash": entry.hash,
    }


def random_day(seed: int, steps: int) -> list[tuple[int, Command, list[Event]]]:
    """The commands of a random day and their events."""
    commands = RandomCommands(seed)
    commands.open()
    commands.steps(steps)
    return commands.log


class _Connection:
    """Answers the statements that recovery and verification make."""

    def __init__(self, journal: RecordedJournal) -> None:
        self._journal = journal

    async def fetch(self, query: str, *arguments: Any) -> list[Row]:
        journal = self._journal
        if query == READ_ROWS:
            after_seq, limit = arguments
            rows = sorted(journal.rows, key=lambda row: row["seq_last"])
            return [row for row in rows if row["seq_last"] > after_seq][:limit]
        if query == READ_ROW_AT:
            return [row for row in journal.rows if row["seq_last"] == arguments[0]]
        if query == LIST_SNAPSHOTS:
            return sorted(journal.snapshots, key=lambda row: -row["seq"])
        if query == READ_IMAGE:
            return [row for row in journal.snapshots if row["seq"] == arguments[0]]
        if query == READ_GENESIS:
            return [{"genesis_id": journal.genesis_id}]
        if query == READ_WRITER:
            return [journal.writer]
        if query == READ_STRAY:
            return [row for row in journal.rows if row["seq_last"] > journal.writer["head_seq"]][:1]
        raise AssertionError(f"an unknown statement: {query}")

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        assert query == READ_IMAGE
        rows = await self.fetch(query, *arguments)
        return rows[0]["image"] if rows else None
