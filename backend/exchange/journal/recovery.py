"""Recovery: the state of the exchange again, by executing the journal from its first row.

Every row is checked before it is believed: sequence without gaps, hash chained to the row before, events
equal byte for byte to what these rules produce from its commands. A journal that fails any of it is
refused, never repaired.
"""

from collections.abc import Callable

import asyncpg
import msgspec

from exchange.core.apply import RULES_VERSION, apply
from exchange.core.events import Event
from exchange.core.state import State
from exchange.journal.errors import HeadLost, JournalCorrupt
from exchange.journal.log import Head
from exchange.journal.rows import ROW_COLUMNS, JournalRow, decode_row, encode_payload, row_hash

ROWS_PER_READ = 256

_READ = f"SELECT {ROW_COLUMNS} FROM journal WHERE seq_first > $1 ORDER BY seq_first LIMIT $2"  # noqa: S608


async def replay(
    connection: asyncpg.Connection,
    genesis_id: bytes,
    head: Head,
    on_row: Callable[[JournalRow], None] | None = None,
) -> State:
    """Executes the journal up to `head` and returns the state.

    `on_row` is told each row after it has been verified. Raises JournalCorrupt for a row that does not
    verify, HeadLost when the journal ends before `head`.
    """
    state = State()
    end = Head(0, genesis_id)
    while True:
        records = await connection.fetch(_READ, end.seq, ROWS_PER_READ)
        for record in records:
            row = _verified(record, end)
            _execute(state, row, record["events"])
            end = Head(row.seq_last, row.hash)
            if on_row is not None:
                on_row(row)
        if len(records) < ROWS_PER_READ:
            break
    if end.seq < head.seq:
        raise HeadLost("the writer", head.seq, end.seq)
    if end != head:
        raise JournalCorrupt(end.seq, "it ends elsewhere than the writer's head says")
    return state


def _verified(record: asyncpg.Record, end: Head) -> JournalRow:
    seq = end.seq + 1
    if record["seq_first"] != seq:
        raise JournalCorrupt(seq, f"row missing, found seq {record['seq_first']}")
    if record["hash_prev"] != end.hash:
        raise JournalCorrupt(seq, "not chained to the row before")
    digest = row_hash(
        end.hash,
        record["seq_first"],
        record["seq_last"],
        record["epoch"],
        record["time_ns"],
        record["rules_version"],
        record["commands"],
        record["events"],
    )
    if digest != record["hash"]:
        raise JournalCorrupt(seq, "hash does not match its content")
    if record["rules_version"] != RULES_VERSION:
        raise JournalCorrupt(seq, f"unknown rules version {record['rules_version']}")
    try:
        row = decode_row(record)
    except msgspec.DecodeError as error:
        raise JournalCorrupt(seq, f"payload does not decode: {error}") from error
    count = row.seq_last - row.seq_first + 1
    if len(row.commands) != count or len(row.events) != count:
        raise JournalCorrupt(seq, "wrong number of commands or events")
    return row


def _execute(state: State, row: JournalRow, recorded_events: bytes) -> None:
    events: list[list[Event]] = [
        apply(state, row.seq_first + index, row.time_ns, command)
        for index, command in enumerate(row.commands)
    ]
    if encode_payload(events) != recorded_events:
        raise JournalCorrupt(row.seq_first, "replaying its commands gives other events")
