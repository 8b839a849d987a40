"""Recovery: the state of the exchange again, from the newest snapshot that verifies and the rows after it.

A snapshot saves the time of executing what came before it; it is never trusted further than its hash and its
row reach. A damaged one is reported and passed over, for the next older one, and at last for the journal's
first row. But a sound snapshot that the journal knows nothing of is a sign that the journal has lost rows or
is another deployment's: then recovery refuses, as it does for any row that does not verify.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg
import structlog

from exchange.core.state import State
from exchange.journal.chain import Chain, Record
from exchange.journal.errors import (
    Fenced,
    HeadLost,
    JournalCorrupt,
    JournalUnreadable,
    SnapshotDamaged,
)
from exchange.journal.log import Head
from exchange.journal.rows import READ_ROWS, JournalRow
from exchange.journal.snapshot_rows import (
    LIST_SNAPSHOTS,
    READ_IMAGE,
    READ_ROW_AT,
    SnapshotEntry,
    open_snapshot,
)
from exchange.stores.errors import OUTAGES

ROWS_PER_READ = 64
READ_TIMEOUT_S = 60.0

READ_GENESIS = "SELECT genesis_id FROM genesis"
READ_WRITER = "SELECT epoch, head_seq, head_hash FROM writer"
READ_STRAY = "SELECT j.seq_first FROM writer w JOIN journal j ON j.seq_last > w.head_seq LIMIT 1"
"""A row that no writer has written: in one statement, so that it holds beside a running engine too."""

logger = structlog.get_logger(__name__)

OnRow = Callable[[JournalRow], None]


@dataclass(frozen=True, slots=True)
class Recovered:
    """The state at the journal's head, and the seq of the snapshot that it began with, 0 for none."""

    state: State
    snapshot_seq: int


async def recover(connection: asyncpg.Connection, genesis_id: bytes, head: Head) -> Recovered:
    """The state at `head`, by the shortest way.

    Raises as `replay` does, and HeadLost or JournalCorrupt when a snapshot does not belong to this journal.
    """
    chain = await restore(connection, genesis_id, head)
    snapshot_seq = chain.head.seq
    await go_on(connection, chain, head)
    return Recovered(chain.state, snapshot_seq)


async def replay(
    connection: asyncpg.Connection, genesis_id: bytes, head: Head, on_row: OnRow | None = None
) -> State:
    """Executes the journal from its first row up to `head` and returns the state.

    `on_row` is told each row after it has been verified. Raises JournalCorrupt for a row that does not
    verify, HeadLost when the journal ends before `head`, Fenced when a newer engine has written meanwhile,
    JournalUnreadable when the database does not answer.
    """
    chain = Chain.from_genesis(genesis_id)
    await go_on(connection, chain, head, on_row)
    return chain.state


async def read_genesis_and_head(connection: asyncpg.Connection) -> tuple[bytes, Head]:
    """The genesis id, and where the journal ends at this moment. Raises JournalUnreadable."""
    with reading("the journal's head"):
        genesis = await _fetch(connection, READ_GENESIS)
        writers = await _fetch(connection, READ_WRITER)
    if not genesis or not writers:
        raise JournalUnreadable("the journal's head", "no exchange has ever started on this database")
    return genesis[0]["genesis_id"], Head(writers[0]["head_seq"], writers[0]["head_hash"])


async def restore(
    connection: asyncpg.Connection, genesis_id: bytes, head: Head, *, may_grow: bool = False
) -> Chain:
    """The chain at the newest snapshot that verifies, or before the first row.

    Raises HeadLost for a sound snapshot of a seq that the journal does not reach, JournalCorrupt for one that
    was taken of another row than the journal has there. With `may_grow` those behind `head` are left out;
    otherwise they are the work of a newer engine, and Fenced.
    """
    with reading("the snapshots"):
        records = await _fetch(connection, LIST_SNAPSHOTS)
    for record in records:
        try:
            entry = SnapshotEntry.from_record(record)
            if entry.seq > head.seq:
                await _check_reached(connection, entry, head, may_grow=may_grow)
                continue
            return await open_entry(connection, entry)
        except SnapshotDamaged as error:
            logger.warning("snapshot_damaged", seq=error.seq, problem=error.problem, instead="an older one")
    return Chain.from_genesis(genesis_id)


async def _check_reached(
    connection: asyncpg.Connection, entry: SnapshotEntry, head: Head, *, may_grow: bool
) -> None:
    """For a snapshot behind `head`: the journal must have got there meanwhile."""
    with reading("the journal's writer"):
        writers = await _fetch(connection, READ_WRITER)
    if not writers or writers[0]["head_seq"] < entry.seq:
        raise HeadLost("a snapshot", entry.seq, head.seq)
    if not may_grow:
        raise Fenced(writers[0]["epoch"] - 1, head.seq + 1)


async def open_entry(connection: asyncpg.Connection, entry: SnapshotEntry) -> Chain:
    """The chain at a snapshot. Raises SnapshotDamaged, JournalCorrupt."""
    with reading(f"the snapshot at seq {entry.seq}"):
        rows = await _fetch(connection, READ_ROW_AT, entry.seq)
        try:
            images = await _fetch(connection, READ_IMAGE, entry.seq)
        except (asyncpg.DataCorruptedError, asyncpg.InternalServerError) as error:
            raise SnapshotDamaged(entry.seq, str(error)) from error
    if not images:
        raise SnapshotDamaged(entry.seq, "it is gone")
    return open_snapshot(entry, images[0]["image"], rows[0] if rows else None)


async def go_on(
    connection: asyncpg.Connection,
    chain: Chain,
    head: Head,
    on_row: OnRow | None = None,
    *,
    may_grow: bool = False,
) -> None:
    """Executes the rows after the chain's up to `head`.

    With `may_grow` the journal may go on behind `head`, as it does beside a running engine; otherwise that is
    an error, Fenced or JournalCorrupt.
    """
    while not may_grow or chain.head.seq < head.seq:
        with reading(f"the journal after seq {chain.head.seq}"):
            records = await _fetch(connection, READ_ROWS, chain.head.seq, ROWS_PER_READ)
        for record in records:
            if may_grow and chain.head.seq >= head.seq:
                break
            row = chain.take(record)
            if on_row is not None:
                on_row(row)
        if len(records) < ROWS_PER_READ:
            break
    await _check_end(connection, chain, head, may_grow=may_grow)


async def _check_end(connection: asyncpg.Connection, chain: Chain, head: Head, *, may_grow: bool) -> None:
    with reading("the journal's writer"):
        strays = await _fetch(connection, READ_STRAY) if may_grow else []
        writers = await _fetch(connection, READ_WRITER)
    if strays:
        raise JournalCorrupt(strays[0]["seq_first"], "a row stands behind the writer's head")
    if not writers:
        raise JournalCorrupt(chain.head.seq, "the writer's row is missing")
    writer = writers[0]
    if chain.epoch > writer["epoch"]:
        raise JournalCorrupt(chain.head.seq, f"epoch {chain.epoch} never was a writer's")
    if chain.head == head:
        return
    if chain.head.seq < head.seq:
        raise HeadLost("the writer", head.seq, chain.head.seq)
    if not may_grow and Head(writer["head_seq"], writer["head_hash"]) != head:
        raise Fenced(chain.epoch - 1, head.seq + 1)
    raise JournalCorrupt(chain.head.seq, "it ends elsewhere than the writer's head says")


async def _fetch(connection: asyncpg.Connection, query: str, *arguments: object) -> Sequence[Record]:
    async with asyncio.timeout(READ_TIMEOUT_S):
        records: Sequence[Record] = await connection.fetch(query, *arguments)
        return records


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Makes one error of whatever goes wrong with the database in the body: JournalUnreadable."""
    try:
        yield
    except OUTAGES as error:
        raise JournalUnreadable(what, str(error) or type(error).__name__) from error
