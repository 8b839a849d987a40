"""One row of the journal: a batch of commands with their events, chained to the row before by hash.

Payloads are JSON arrays (msgspec), because its msgpack refuses integers of more than 64 bits. The hash
covers the payload bytes as stored, so that reading never depends on re-encoding.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from exchange.core.commands import Command
from exchange.core.events import Event

_ENCODER = msgspec.json.Encoder()
_COMMANDS = msgspec.json.Decoder(list[Command])
_EVENTS = msgspec.json.Decoder(list[list[Event]])
_HEADER = struct.Struct(">QQQQIQQ")


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A committed batch. `events[i]` are those of the command `seq_first + i`."""

    seq_first: int
    seq_last: int
    epoch: int
    time_ns: int
    rules_version: int
    commands: list[Command]
    events: list[list[Event]]
    hash_prev: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """A committed batch for those who only look for a few of its events: these, still encoded."""

    seq_first: int
    seq_last: int
    time_ns: int
    events: bytes


def encode_payload(payload: Sequence[Command] | Sequence[Sequence[Event]]) -> bytes:
    """Bytes of a row's commands or events."""
    return _ENCODER.encode(payload)


encode_command: Callable[[Command], bytes] = _ENCODER.encode
"""One command's part of a row's payload.

Raises ValueError for what JSON in UTF-8 has no way to say: a lone surrogate, a number without end.
"""


def join_commands(encoded: Iterable[bytes]) -> bytes:
    """The payload of commands that were encoded one by one: what `encode_payload` gives for them."""
    return b"[" + b",".join(encoded) + b"]"


def row_hash(
    hash_prev: bytes,
    seq_first: int,
    seq_last: int,
    epoch: int,
    time_ns: int,
    rules_version: int,
    commands: bytes,
    events: bytes,
) -> bytes:
    """SHA-256 over the previous hash, every column and both payloads, each length-prefixed."""
    digest = hashlib.sha256(hash_prev)
    digest.update(
        _HEADER.pack(seq_first, seq_last, epoch, time_ns, rules_version, len(commands), len(events))
    )
    digest.update(commands)
    digest.update(events)
    return digest.digest()


def decode_row(record: Any) -> JournalRow:
    """A JournalRow from a database record. Bytes that are no payload raise
    msgspec.DecodeError, or UnicodeDecodeError when they are no text.
    """
    try:
        commands, events = _COMMANDS.decode(record["commands"]), _EVENTS.decode(record["events"])
    except RecursionError as error:
        raise msgspec.DecodeError("nested too deeply") from error
    return JournalRow(
        seq_first=record["seq_first"],
        seq_last=record["seq_last"],
        epoch=record["epoch"],
        time_ns=record["time_ns"],
        rules_version=record["rules_version"],
        commands=commands,
        events=events,
        hash_prev=record["hash_prev"],
        hash=record["hash"],
    )


READ_ROWS = """
SELECT seq_first, seq_last, epoch, time_ns, rules_version, commands, events, hash_prev, hash
FROM journal WHERE seq_last > $1 ORDER BY seq_last LIMIT $2
"""
"""The rows after a seq, in order. By `seq_last`, so that a row that overlaps another can not hide."""

READ_EVENTS = """
SELECT seq_first, seq_last, time_ns, events FROM journal WHERE seq_last > $1 ORDER BY seq_last LIMIT $2
"""
"""The same rows without what they were made of."""
