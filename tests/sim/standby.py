"""A standby: starts from the newest snapshot, follows the committed journal, and dies now and then.

It applies every command to a state of its own, which must be the engine's at every seq.
"""

import asyncio
from typing import TYPE_CHECKING

import asyncpg
from tests.sim.loop import Host
from tests.sim.oracle import require

from exchange.core.apply import apply
from exchange.core.state import State
from exchange.journal.errors import JournalError, JournalUnreadable
from exchange.journal.recovery import go_on, read_genesis_and_head, restore
from exchange.journal.snapshot_process import SnapshotMade, make_snapshot
from exchange.journal.tail import Tail

if TYPE_CHECKING:
    from tests.sim.world import World

RETRY_S = 0.5
POLL_S = 1.5
KEPT_SNAPSHOTS = 3

TROUBLE = (
    OSError, TimeoutError, JournalUnreadable, asyncpg.PostgresError, asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)  # fmt: skip
"""What the database may do to anybody."""


class Standby:
    """One life of a standby."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.host = Host(world.loop, "standby")
        self.state = State()
        self._pool = world.wire.pool(self.host, "standby")
        self._tail = Tail(self._pool, poll_s=POLL_S)  # type: ignore[arg-type]

    def start(self) -> None:
        self.host.spawn(self._live())

    async def _live(self) -> None:
        while not await self._load():
            await asyncio.sleep(RETRY_S)
        while True:
            try:
                async for rows in self._tail.follow(self.state.seq):
                    for row in rows:
                        self._world.promised(lambda: self._apply(row))  # noqa: B023 - it runs at once
            except TROUBLE:
                await asyncio.sleep(RETRY_S)

    async def _load(self) -> bool:
        """From the newest snapshot to the present end of the journal; False when the database fails."""
        try:
            connection = await self._world.wire.connect(self.host, "standby", command_timeout=30.0)
            genesis_id, head = await read_genesis_and_head(connection)  # type: ignore[arg-type]
            chain = await restore(connection, genesis_id, head, may_grow=True)  # type: ignore[arg-type]
            await go_on(connection, chain, head, may_grow=True)  # type: ignore[arg-type]
            connection.terminate()
        except TROUBLE:
            return False
        self.state = chain.state
        self._world.standby_applied(self.state)
        return True

    def _apply(self, row) -> None:  # type: ignore[no-untyped-def]
        for offset, (command, recorded) in enumerate(zip(row.commands, row.events, strict=True)):
            events = tuple(apply(self.state, row.seq_first + offset, row.time_ns, command))
            require(events == tuple(recorded), "a standby makes the engine's events", row.seq_first + offset)
        self._world.standby_applied(self.state)


async def make_snapshots(world: "World", mean_s: float) -> None:
    """Has snapshots made for ever, by a process of its own each time, that may be killed at its work."""
    while True:
        await asyncio.sleep(world.random.expovariate(1 / mean_s))
        host = Host(world.loop, "snapshot process")
        if world.faults.happens("snapshot_crash", 0.2):
            host.crash_at_step = world.random.randint(1, 30)
            host.on_crash.append(lambda: world.faults.note("snapshot_crash"))
        task = host.spawn(_make_snapshot(world, host))
        while not task.done() and host.alive:
            await asyncio.sleep(0.05)
        if host.alive:
            task.result()
        else:
            host.bury()


async def _make_snapshot(world: "World", host: Host) -> None:
    try:
        connection = await world.wire.connect(host, "snapshots", command_timeout=120.0)
        made = await make_snapshot(connection, KEPT_SNAPSHOTS)  # type: ignore[arg-type]
        connection.terminate()
    except TROUBLE:
        return
    except JournalError:
        if not world.damaged:
            raise
        return
    if isinstance(made, SnapshotMade):
        world.trace.note("snapshot", made.seq, made.state_hash)
        world.promised(
            lambda: world.oracle.check_hash(made.seq, bytes.fromhex(made.state_hash), "a snapshot")
        )
