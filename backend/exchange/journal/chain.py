"""The chain of rows: what is asked of a row before it is believed, and the state that the rows amount to.

Every row is checked as the one that follows on the row before: sequence without gaps, hash chained, time and
epoch never going back, rules that are known, and events equal to what these rules produce from its commands.
Events are compared as objects, not as bytes: their fields are append-only, and older rows have fewer of them.
A row that fails any of it is refused, never repaired.
"""

import struct
from typing import Any, Protocol, Self

import msgspec

from exchange.core.apply import apply
from exchange.core.state import State
from exchange.core.terms import RULES_VERSION
from exchange.journal.errors import JournalCorrupt
from exchange.journal.log import Head
from exchange.journal.rows import JournalRow, decode_row, row_hash


class Record(Protocol):
    """A row as the database gives it: columns by name."""

    def __getitem__(self, column: str, /) -> Any: ...


class Chain:
    """A state, and the verified row that it stands after. Of no more use once `take` has raised."""

    __slots__ = ("epoch", "head", "state", "time_ns")

    def __init__(self, state: State, head: Head, *, epoch: int, time_ns: int) -> None:
        self.state = state
        self.head = head
        self.epoch = epoch
        self.time_ns = time_ns

    @classmethod
    def from_genesis(cls, genesis_id: bytes) -> Self:
        """Before the first row."""
        return cls(State(), Head(0, genesis_id), epoch=0, time_ns=0)

    @classmethod
    def from_row(cls, state: State, row: JournalRow) -> Self:
        """After a row that has been verified, the state being what all rows up to it amount to."""
        return cls(state, Head(row.seq_last, row.hash), epoch=row.epoch, time_ns=row.time_ns)

    def take(self, record: Record) -> JournalRow:
        """Verifies the next row and executes it. Raises JournalCorrupt."""
        seq = self.head.seq + 1
        if record["seq_first"] != seq:
            raise JournalCorrupt(seq, f"row missing, found seq {record['seq_first']}")
        if record["hash_prev"] != self.head.hash:
            raise JournalCorrupt(seq, "not chained to the row before")
        row = verified_row(record)
        if row.time_ns < self.time_ns:
            raise JournalCorrupt(seq, "its time lies before the row before")
        if row.epoch < self.epoch:
            raise JournalCorrupt(seq, "its epoch lies before the row before")
        _execute(self.state, row)
        self.head = Head(row.seq_last, row.hash)
        self.epoch = row.epoch
        self.time_ns = row.time_ns
        return row


def verified_row(record: Record) -> JournalRow:
    """The row, sound by itself: its hash is that of its content, and it decodes. Raises JournalCorrupt."""
    seq = record["seq_first"]
    if _digest(record) != record["hash"]:
        raise JournalCorrupt(seq, "hash does not match its content")
    if record["rules_version"] > RULES_VERSION:
        raise JournalCorrupt(seq, f"unknown rules version {record['rules_version']}, this is a newer journal")
    try:
        row = decode_row(record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalCorrupt(seq, f"payload does not decode: {error}") from error
    count = row.seq_last - row.seq_first + 1
    if len(row.commands) != count or len(row.events) != count:
        raise JournalCorrupt(seq, "wrong number of commands or events")
    return row


def _digest(record: Record) -> bytes | None:
    """The hash that the record's content gives, None for numbers that no writer could have written."""
    try:
        return row_hash(
            record["hash_prev"],
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


def _execute(state: State, row: JournalRow) -> None:
    seq, time_ns = row.seq_first, row.time_ns
    for command, recorded in zip(row.commands, row.events, strict=True):
        try:
            events = apply(state, seq, time_ns, command)
        except (AssertionError, KeyError) as error:
            # The engine that wrote it did not fail on it: rows are written after their commands are applied.
            raise JournalCorrupt(seq, f"its command can not be executed: {error!r}") from error
        if events != recorded:
            raise JournalCorrupt(seq, "executing its command gives other events")
        seq += 1
    if state.rules_version != row.rules_version:
        raise JournalCorrupt(
            row.seq_first, f"it names rules version {row.rules_version}, its commands {state.rules_version}"
        )
