"""Table `snapshots`: images of the state at some rows, so that a start need not begin at the first row.

A snapshot belongs to one row of the journal: it names the row's hash, and its own hash covers everything but
the image, whose state hash it names. So damage anywhere in it is found, and so is an image that stands where
another belongs. It can be left out or thrown away at any time: the journal makes it again.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import Self

import asyncpg

from exchange.core.image import ImageInvalid, decode_state, encode_state, image_hash
from exchange.core.state import State
from exchange.journal.chain import Chain, Record, verified_row
from exchange.journal.errors import JournalCorrupt, SnapshotDamaged

MAX_IMAGE_BYTES = 2**32
COMPRESSION = 1
"""zlib's fastest: an image shrinks to a sixth all the same."""

_HEADER = struct.Struct(">QI32s32s")

LIST_SNAPSHOTS = """
SELECT seq, journal_hash, state_hash, rules_version, hash FROM snapshots ORDER BY seq DESC
"""
READ_IMAGE = "SELECT image FROM snapshots WHERE seq = $1"
READ_ROW_AT = """
SELECT seq_first, seq_last, epoch, time_ns, rules_version, commands, events, hash_prev, hash
FROM journal WHERE seq_last = $1
"""
_STORE = """
INSERT INTO snapshots (seq, journal_hash, state_hash, rules_version, image, hash)
SELECT $1, $2, $3, $4, $5, $6 FROM journal WHERE seq_last = $1 AND hash = $2
ON CONFLICT (seq) DO UPDATE SET
    journal_hash = EXCLUDED.journal_hash,
    state_hash = EXCLUDED.state_hash,
    rules_version = EXCLUDED.rules_version,
    image = EXCLUDED.image,
    hash = EXCLUDED.hash,
    created_at = now()
"""
_FORGET = "DELETE FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT $1)"


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """A snapshot without its image: the state after the row that ends with `seq`."""

    seq: int
    journal_hash: bytes
    state_hash: bytes
    rules_version: int

    @classmethod
    def from_record(cls, record: Record) -> Self:
        """Raises SnapshotDamaged when the columns do not belong together."""
        entry = cls(record["seq"], record["journal_hash"], record["state_hash"], record["rules_version"])
        try:
            expected = entry.hash
        except struct.error:
            raise SnapshotDamaged(entry.seq, "its numbers are out of range") from None
        if record["hash"] != expected:
            raise SnapshotDamaged(entry.seq, "its hash does not match its columns")
        return entry

    @property
    def hash(self) -> bytes:
        """What binds the columns to each other."""
        header = _HEADER.pack(self.seq, self.rules_version, self.journal_hash, self.state_hash)
        return hashlib.sha256(b"exchange snapshot" + header).digest()


def pack_snapshot(chain: Chain) -> tuple[SnapshotEntry, bytes]:
    """A snapshot of the chain's state, and its compressed image."""
    image = encode_state(chain.state)
    entry = SnapshotEntry(chain.head.seq, chain.head.hash, image_hash(image), chain.state.rules_version)
    return entry, zlib.compress(image, COMPRESSION)


def open_snapshot(entry: SnapshotEntry, packed: bytes, record: Record | None) -> Chain:
    """The state of a snapshot and the row it belongs to, `record`, for the tail to go on from.

    Raises SnapshotDamaged when the image is not the one that was written, JournalCorrupt when the snapshot is
    sound but the journal has another row, or none, where it was taken.
    """
    if record is None:
        raise JournalCorrupt(entry.seq, "a snapshot was taken here, but no row ends here")
    row = verified_row(record)
    if row.hash != entry.journal_hash:
        raise JournalCorrupt(entry.seq, "a snapshot was taken of another row: it belongs to another journal")
    state = unpack_image(entry, packed)
    if (row.time_ns, row.rules_version) != (state.time_ns, state.rules_version):
        raise SnapshotDamaged(entry.seq, "its image is not that of its row")
    return Chain.from_row(state, row)


def unpack_image(entry: SnapshotEntry, packed: bytes) -> State:
    """The state of a snapshot. Raises SnapshotDamaged."""
    unpacking = zlib.decompressobj()
    try:
        image = unpacking.decompress(packed, MAX_IMAGE_BYTES)
    except zlib.error as error:
        raise SnapshotDamaged(entry.seq, str(error)) from error
    if not unpacking.eof or unpacking.unused_data:
        raise SnapshotDamaged(entry.seq, "its image is cut off or has something after its end")
    if image_hash(image) != entry.state_hash:
        raise SnapshotDamaged(entry.seq, "its image does not match its state hash")
    try:
        state = decode_state(image)
    except ImageInvalid as error:
        raise SnapshotDamaged(entry.seq, str(error)) from error
    if (state.seq, state.rules_version) != (entry.seq, entry.rules_version):
        raise SnapshotDamaged(entry.seq, f"its image is that of seq {state.seq}")
    return state


async def store_snapshot(
    connection: asyncpg.Connection, entry: SnapshotEntry, packed: bytes, kept: int
) -> None:
    """Writes a snapshot and forgets all but the newest `kept`, in one transaction.

    Raises JournalCorrupt when the journal has no such row.
    """
    assert kept >= 1
    async with connection.transaction():
        status = await connection.execute(
            _STORE, entry.seq, entry.journal_hash, entry.state_hash, entry.rules_version, packed, entry.hash
        )
        if status != "INSERT 0 1":
            raise JournalCorrupt(entry.seq, "the row of a new snapshot is gone")
        await connection.execute(_FORGET, kept)
