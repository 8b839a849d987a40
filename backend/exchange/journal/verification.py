"""`exchange replay`: the journal executed again, beside whoever writes it, and compared with all it claims.

`verify` trusts nothing but the genesis id: every row and event from the first on, and at every snapshot that
there is, its bytes and its state hash. `rehearse` goes the way of a restart, from the newest snapshot on.
Both only read.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncpg

from exchange.core.image import state_hash
from exchange.journal.chain import Chain, Record
from exchange.journal.errors import (
    HeadLost,
    JournalCorrupt,
    JournalError,
    SnapshotDamaged,
    SnapshotDiffers,
)
from exchange.journal.log import Head
from exchange.journal.recovery import go_on, read_genesis_and_head, reading, restore
from exchange.journal.rows import JournalRow
from exchange.journal.snapshot_rows import LIST_SNAPSHOTS, READ_IMAGE, SnapshotEntry, unpack_image

OnProgress = Callable[[int, int], None]
"""Told the seq reached and the seq of the head."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was executed, and how. `problems` are those of snapshots: the journal itself does without them."""

    commands: int
    rows: int
    snapshots: int
    seconds: float
    state_hash: bytes
    problems: tuple[JournalError, ...] = ()

    @property
    def commands_per_s(self) -> int:
        return round(self.commands / self.seconds) if self.seconds else 0


async def rehearse(connection: asyncpg.Connection, on_progress: OnProgress) -> Replayed:
    """Goes the way of a restart. Raises what a restart would raise."""
    started_at = time.monotonic()
    genesis_id, head = await read_genesis_and_head(connection)
    chain = await restore(connection, genesis_id, head, may_grow=True)
    first_seq, rows = chain.head.seq, 0

    def on_row(row: JournalRow) -> None:
        nonlocal rows
        rows += 1
        on_progress(row.seq_last, head.seq)

    await go_on(connection, chain, head, on_row, may_grow=True)
    return Replayed(
        commands=chain.head.seq - first_seq,
        rows=rows,
        snapshots=int(first_seq > 0),
        seconds=time.monotonic() - started_at,
        state_hash=state_hash(chain.state),
    )


async def verify(connection: asyncpg.Connection, on_progress: OnProgress) -> Replayed:
    """Executes everything and compares everything.

    Raises JournalCorrupt for the first row that does not verify, HeadLost when rows are missing at the end;
    what is wrong with snapshots is gathered in `problems`.
    """
    started_at = time.monotonic()
    with reading("the snapshots"):
        records = await connection.fetch(LIST_SNAPSHOTS)  # before the head, so that none is ahead of it
    genesis_id, head = await read_genesis_and_head(connection)
    entries, problems = _entries(records, head)
    chain = Chain.from_genesis(genesis_id)
    rows = 0

    def on_row(row: JournalRow) -> None:
        nonlocal rows
        rows += 1
        entry = entries.get(row.seq_last)
        if entry is not None:
            compared.add(entry.seq)
            found = _difference(entry, chain)
            if found is not None:
                problems.append(found)
        on_progress(row.seq_last, head.seq)

    compared: set[int] = set()
    await go_on(connection, chain, head, on_row, may_grow=True)
    for entry in entries.values():
        if entry.seq not in compared:
            problems.append(JournalCorrupt(entry.seq, "a snapshot was taken here, but no row ends here"))
        damage = await _damage(connection, entry)
        if damage is not None:
            problems.append(damage)
    return Replayed(
        commands=chain.head.seq,
        rows=rows,
        snapshots=len(entries),
        seconds=time.monotonic() - started_at,
        state_hash=state_hash(chain.state),
        problems=tuple(problems),
    )


def _entries(records: Sequence[Record], head: Head) -> tuple[dict[int, SnapshotEntry], list[JournalError]]:
    """The snapshots by seq, and those whose columns do not belong together. Raises HeadLost."""
    entries: dict[int, SnapshotEntry] = {}
    problems: list[JournalError] = []
    for record in records:
        try:
            entry = SnapshotEntry.from_record(record)
        except SnapshotDamaged as error:
            problems.append(error)
            continue
        if entry.seq > head.seq:
            raise HeadLost("a snapshot", entry.seq, head.seq)
        entries[entry.seq] = entry
    return entries, problems


def _difference(entry: SnapshotEntry, chain: Chain) -> JournalError | None:
    """What a snapshot says otherwise than the chain that has got to it."""
    if entry.journal_hash != chain.head.hash:
        return JournalCorrupt(entry.seq, "a snapshot was taken of another row: it belongs to another journal")
    expected = state_hash(chain.state)
    if entry.state_hash != expected:
        return SnapshotDiffers(entry.seq, entry.state_hash, expected)
    return None


async def _damage(connection: asyncpg.Connection, entry: SnapshotEntry) -> SnapshotDamaged | None:
    """What is wrong with the bytes of a snapshot; nothing when it has been forgotten meanwhile."""
    try:
        with reading(f"the snapshot at seq {entry.seq}"):
            packed: bytes | None = await connection.fetchval(READ_IMAGE, entry.seq)
        if packed is not None:
            unpack_image(entry, packed)
    except SnapshotDamaged as error:
        return error
    return None
