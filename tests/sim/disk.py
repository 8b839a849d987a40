"""A disk that lied: rows that were acknowledged as durable and are gone, torn or damaged after a crash.

Nothing can save what is lost then. What is asked of the product is to notice and not to start.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from tests.sim.database import Database
from tests.sim.expressions import Row
from tests.sim.tables import Key, Table

MIN_ROWS = 3
"""A shorter journal is not worth damaging."""


class Damage:
    """What was done to the journal, and how to undo it as a restored backup would."""

    def __init__(self, database: Database, random: Random) -> None:
        self._journal = database.tables["journal"]
        self._writer = database.tables["writer"]
        self._cursors = database.tables["projection_cursors"]
        snapshots = database.tables["snapshots"]
        self._snapshot_seq = max(
            (row[snapshots.positions["seq"]] for row in snapshots.rows.values()), default=0
        )
        self._random = random
        self._kinds: dict[str, Callable[[], bool]] = {
            "lost_last_row": self._lose_last_rows,
            "damaged_row": self._damage_row,
            "torn_row": self._tear_row,
            "lost_head": self._lose_head,
            "lost_rows_and_head": self._lose_rows_and_head,
        }
        self._rows = dict(self._journal.rows)
        self._head = self._field(self._writer, "head_seq"), self._field(self._writer, "head_hash")

    def do(self, kind: str) -> bool:
        """Does it; False when there is nothing to damage in this way."""
        return self._kinds[kind]()

    def undo(self) -> None:
        """The journal as it was. The epoch stays: somebody has claimed it since."""
        for key in list(self._journal.rows):
            self._journal.put(key, None)
        for key, row in self._rows.items():
            self._journal.put(key, row)
        self._set_head(*self._head)

    # ---- kinds

    def _lose_last_rows(self) -> bool:
        for key in list(self._rows)[-self._random.randint(1, 2) :]:
            self._journal.put(key, None)
        return True

    def _damage_row(self) -> bool:
        # What came before the newest snapshot is not read at a start; `exchange replay --verify` reads it.
        seq_last = self._journal.positions["seq_last"]
        key = self._random.choice(
            [key for key, row in self._rows.items() if row[seq_last] >= self._snapshot_seq]
        )
        name = self._random.choice(self._journal.names)
        if name in self._journal.key_columns:
            name = "time_ns"
        value = self._rows[key][self._journal.positions[name]]
        self._replace(self._journal, key, name, damaged(value, self._random))
        return True

    def _tear_row(self) -> bool:
        key = list(self._rows)[-1]
        name = self._random.choice(("commands", "events"))
        whole = self._rows[key][self._journal.positions[name]]
        kept = self._random.randrange(len(whole))
        filler = b"\0" * (len(whole) - kept) if self._random.random() < 0.5 else b""
        self._replace(self._journal, key, name, whole[:kept] + filler)
        return True

    def _lose_head(self) -> bool:
        """The row is there, but the writer's page is an older one."""
        self._set_head(*self._end_of(list(self._rows)[-2]))
        return True

    def _lose_rows_and_head(self) -> bool:
        """All of the journal is older, as after the wrong backup; only a follower's cursor knows better."""
        keys = list(self._rows)
        seq, digest = self._end_of(keys[-2])
        if max(row[self._cursors.positions["seq"]] for row in self._cursors.rows.values()) <= seq:
            return False
        self._journal.put(keys[-1], None)
        self._set_head(seq, digest)
        return True

    # ---- rows

    def _end_of(self, key: Key) -> tuple[int, bytes]:
        row, positions = self._rows[key], self._journal.positions
        return row[positions["seq_last"]], row[positions["hash"]]

    def _set_head(self, seq: int, digest: bytes) -> None:
        [key] = self._writer.rows
        self._replace(self._writer, key, "head_seq", seq)
        self._replace(self._writer, key, "head_hash", digest)

    def _field(self, table: Table, name: str) -> Any:
        [row] = table.rows.values()
        return row[table.positions[name]]

    def _replace(self, table: Table, key: Key, name: str, value: Any) -> None:
        row = list(table.rows[key])
        row[table.positions[name]] = value
        changed: Row = tuple(row)
        table.put(key, changed)


def damaged(value: Any, random: Random) -> Any:
    """The value with one bit or one unit of it wrong."""
    if isinstance(value, bytes):
        position = random.randrange(len(value))
        return value[:position] + bytes([value[position] ^ 1 << random.randrange(8)]) + value[position + 1 :]
    return value + random.choice((-1, 1))


def damage_newest_snapshot(database: Database, random: Random) -> bool:
    """Damages something in it for good: a start must pass it over. False when there is no snapshot."""
    table = database.tables["snapshots"]
    if not table.rows:
        return False
    key = max(table.rows)
    name = random.choice(("image", "image", "journal_hash", "state_hash", "rules_version", "hash"))
    row = list(table.rows[key])
    row[table.positions[name]] = damaged(row[table.positions[name]], random)
    table.put(key, tuple(row))
    return True
