"""Recovery: the state of the exchange again, by executing the journal from its first row.

Every row is checked before it is believed: sequence without gaps, hash chained to the row before, events
equal byte for byte to what these rules produce from its commands. A journal that fails any of it is
refused, never repaired.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg
import msgspec

from exchange.core.apply import RULES_VERSION, apply
from exchange.core.events import Event
from exchange.core.state import State
from exchange.journal.errors import Fenced, HeadLost, JournalCorrupt
from exchange.journal.log import Head
from exchange.journal.rows import READ_ROWS, JournalRow, decode_row, encode_payload, row_hash

ROWS_PER_READ = 64

_WRITER = "SELECT epoch, head_seq, head_hash FROM writer"


@dataclass(frozen=True, slots=True)
class _End:
    """The last row verified so far; what the next one must continue."""

    head: Head
    epoch: int
    time_ns: int


async def replay(
    connection: asyncpg.Connection,
    genesis_id: bytes,
    head: Head,
    on_row: Callable[[JournalRow], None] | None = None,
) -> State:
    """Executes the journal up to `head` and returns the state.

    `on_row` is told each row after it has been verified. Raises JournalCorrupt for a row that does not
    verify, HeadLost when the journal ends before `head`, Fenced when a newer engine has written meanwhile.
    """
    state = State()
    end = _End(Head(0, genesis_id), epoch=0, time_ns=0)
    while True:
        records = await connection.fetch(READ_ROWS, end.head.seq, ROWS_PER_READ)
        for record in records:
            row = _verified(record, end)
            _execute(state, row, record["events"])
            end = _End(Head(row.seq_last, row.hash), row.epoch, row.time_ns)
            if on_row is not None:
                on_row(row)
        if len(records) < ROWS_PER_READ:
            break
    await _check_end(connection, end, head)
    return state


async def _check_end(connection: asyncpg.Connection, end: _End, head: Head) -> None:
    writer = await connection.fetchrow(_WRITER)
    assert writer is not None
    if end.epoch > writer["epoch"]:
        raise JournalCorrupt(end.head.seq, f"epoch {end.epoch} never was a writer's")
    if end.head == head:
        return
    if end.head.seq < head.seq:
        raise HeadLost("the writer", head.seq, end.head.seq)
    if Head(writer["head_seq"], writer["head_hash"]) != head:
        raise Fenced(end.epoch - 1, head.seq + 1)
    raise JournalCorrupt(end.head.seq, "it ends elsewhere than the writer's head says")


def _verified(record: asyncpg.Record, end: _End) -> JournalRow:
    """The row, as the one that follows on `end`. Raises JournalCorrupt."""
    seq = end.head.seq + 1
    if record["seq_first"] != seq:
        raise JournalCorrupt(seq, f"row missing, found seq {record['seq_first']}")
    if record["hash_prev"] != end.head.hash:
        raise JournalCorrupt(seq, "not chained to the row before")
    if _digest(record, end) != record["hash"]:
        raise JournalCorrupt(seq, "hash does not match its content")
    if record["rules_version"] != RULES_VERSION:
        raise JournalCorrupt(seq, f"unknown rules version {record['rules_version']}")
    if record["time_ns"] < end.time_ns:
        raise JournalCorrupt(seq, "its time lies before the row before")
    if record["epoch"] < end.epoch:
        raise JournalCorrupt(seq, "its epoch lies before the row before")
    try:
        row = decode_row(record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalCorrupt(seq, f"payload does not decode: {error}") from error
    count = row.seq_last - row.seq_first + 1
    if len(row.commands) != count or len(row.events) != count:
        raise JournalCorrupt(seq, "wrong number of commands or events")
    return row


def _digest(record: asyncpg.Record, end: _End) -> bytes | None:
    """The hash that the record's content gives, None for numbers that no writer could have written."""
    try:
        return row_hash(
            end.head.hash,
            record["seq_first"],
            record["seq_last"],
            record["epoch"],
            record["time_ns"],
            record["rules_version"],
            record["commands"],
            record["events"],
        )
    except struct.error:
        return None


def _execute(state: State, row: JournalRow, recorded_events: bytes) -> None:
    events: list[list[Event]] = [
        apply(state, row.seq_first + index, row.time_ns, command)
        for index, command in enumerate(row.commands)
    ]
    if encode_payload(events) != recorded_events:
        raise JournalCorrupt(row.seq_first, "replaying its commands gives other events")
