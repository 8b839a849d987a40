"""The followers' positions in the journal, moved in the transaction that writes what was read."""

import asyncpg

from exchange.journal.errors import HeadLost
from exchange.projections.errors import CursorMissing, CursorMoved
from exchange.stores.postgres import Connection

POSTGRES = "postgres"
CLICKHOUSE = "clickhouse"


async def read_cursors(connection: Connection | asyncpg.Pool) -> dict[str, int]:
    """Every follower's seq by name. None may be ahead of the journal's head: that means rows were lost."""
    rows = await connection.fetch("SELECT name, seq FROM projection_cursors ORDER BY name")
    return {row["name"]: row["seq"] for row in rows}


async def check_cursors(connection: Connection | asyncpg.Pool, head_seq: int) -> None:
    """Compares the followers with the journal's head before anything is served.

    Raises HeadLost when one of them knows of a later command: then the journal has lost its last rows.
    """
    for name, seq in (await read_cursors(connection)).items():
        if seq > head_seq:
            raise HeadLost(f"the follower {name}", seq, head_seq)


async def read_cursor(connection: Connection | asyncpg.Pool, name: str) -> int:
    """One follower's seq. Raises CursorMissing."""
    seq: int | None = await connection.fetchval("SELECT seq FROM projection_cursors WHERE name = $1", name)
    if seq is None:
        raise CursorMissing(name)
    return seq


async def move_cursor(connection: Connection, name: str, expected: int, seq: int) -> None:
    """Moves the cursor and locks it until the transaction ends. Raises CursorMoved."""
    status = await connection.execute(
        "UPDATE projection_cursors SET seq = $3 WHERE name = $1 AND seq = $2", name, expected, seq
    )
    if status != "UPDATE 1":
        raise CursorMoved(name, expected)
