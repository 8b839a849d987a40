"""One random day in a journal of some forty rows with three snapshots, and what a start must make of it."""

import asyncio

import asyncpg
from tests.journal.recorded import random_day, record

from exchange.core.image import encode_state
from exchange.journal.recovery import recover, replay

GENESIS = bytes([7]) * 32
DAY = random_day(seed=21, steps=150)
JOURNAL = record(GENESIS, DAY, rows_of=4, snapshots_after=(10, 20, 30))
STATE = asyncio.run(replay(JOURNAL.connection, GENESIS, JOURNAL.head))
SEQS = [snapshot["seq"] for snapshot in JOURNAL.snapshots]
"""The newest first."""


async def start_seq(pool: asyncpg.Pool) -> int:
    """The seq of the snapshot that a start begins with, having checked that it ends in the right state."""
    async with pool.acquire() as connection:
        found = await recover(connection, GENESIS, JOURNAL.head)
    assert encode_state(found.state) == encode_state(STATE)
    return found.snapshot_seq


async def seqs(pool: asyncpg.Pool) -> list[int]:
    return [row["seq"] for row in await pool.fetch("SELECT seq FROM snapshots ORDER BY seq DESC")]
