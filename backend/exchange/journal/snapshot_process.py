"""The process that makes a snapshot: the newest one before it, and the committed rows since, executed again.

A process of its own, so that the engine neither waits nor forks: it reads the journal like any follower, at
low priority, and every row and event that it executes is verified once more on the way. One request as a line
of JSON on stdin, one answer as a line of JSON on stdout. It ends when its parent does: then stdin is closed.

    python -m exchange.journal.snapshot_process
"""

import asyncio
import gc
import sys
import time
import zlib
from typing import Literal

import asyncpg
import msgspec
import structlog

from exchange.core.image import encode_state
from exchange.core.state import State
from exchange.journal.child import end_with_parent, lower_priority
from exchange.journal.errors import JournalError
from exchange.journal.recovery import go_on, read_genesis_and_head, reading, restore
from exchange.journal.snapshot_rows import pack_snapshot, store_snapshot, unpack_image

NICENESS = 10
CONNECT_TIMEOUT_S = 10.0
STATEMENT_TIMEOUT_S = 120.0


class SnapshotRequest(msgspec.Struct):
    """What the engine asks for."""

    database_url: str
    kept: int


class SnapshotMade(msgspec.Struct, tag="made"):
    """A snapshot that is in the table now. `commands` were executed to get there."""

    seq: int
    state_hash: str
    commands: int
    stored_bytes: int
    seconds: float


class NothingNew(msgspec.Struct, tag="nothing_new"):
    """The journal ends where the newest snapshot stands."""

    seq: int


SnapshotAnswer = SnapshotMade | NothingNew


async def make_snapshot(connection: asyncpg.Connection, kept: int) -> SnapshotAnswer:
    """Makes a snapshot at the head of the journal, beside whoever is writing it.

    Raises a JournalError when the journal does not verify or can not be read; then nothing is written.
    """
    started_at = time.monotonic()
    genesis_id, head = await read_genesis_and_head(connection)
    chain = await restore(connection, genesis_id, head, may_grow=True)
    before = chain.head.seq
    await go_on(connection, chain, head, may_grow=True)
    if chain.head.seq == before:
        return NothingNew(before)
    entry, packed = pack_snapshot(chain)
    let_go(chain.state)
    del chain  # what is written is proven to come back, without two states at a time in memory
    assert encode_state(unpack_image(entry, packed)) == zlib.decompress(packed)
    with reading("the table of snapshots"):
        await store_snapshot(connection, entry, packed, kept)
    return SnapshotMade(
        seq=entry.seq,
        state_hash=entry.state_hash.hex(),
        commands=entry.seq - before,
        stored_bytes=len(packed),
        seconds=time.monotonic() - started_at,
    )


def let_go(state: State) -> None:
    """Unties the orders from their queues and accounts, so that nothing is left of a state that is dropped.

    They hold each other, and no garbage collection frees them: there is none here, and one would not see the
    orders of the compiled core. The state is good for nothing afterwards.
    """
    for order in state.orders.values():
        order.level = order.ahead = order.behind = None
    for account in state.accounts.values():
        account.orders.clear()
        account.client_orders.clear()


async def _answer(request: SnapshotRequest) -> SnapshotAnswer:
    with reading("the database"):
        connection = await asyncpg.connect(
            request.database_url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S,
            server_settings={"application_name": "exchange snapshot"},
        )
    try:
        return await make_snapshot(connection, request.kept)
    finally:
        connection.terminate()


def main() -> Literal[0, 1]:
    """Answers one request. The exit code is 0, or 1 with a line on stderr that says what is wrong."""
    lower_priority(NICENESS)
    gc.disable()  # what is made here is kept to the end, and the end is near
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=SnapshotRequest)
    end_with_parent()
    try:
        answer = asyncio.run(_answer(request))
    except JournalError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
