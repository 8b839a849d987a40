"""One run from beginning to end: traders trade, things break, then all is quiet and everything must agree."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import asyncpg
from tests.sim.clients import Client, Operator, owner_of
from tests.sim.disk import MIN_ROWS, Damage, damage_newest_snapshot
from tests.sim.exchange_process import ExchangeProcess
from tests.sim.faults import DISK
from tests.sim.final import check_everything
from tests.sim.keys import SharedKey
from tests.sim.oracle import Wrong, require
from tests.sim.standby import Standby, make_snapshots
from tests.sim.wire import APPEND_TIMEOUT_S
from tests.sim.world import World

from exchange.chain.errors import CursorAheadOfJournal, RpcError, SenderTaken
from exchange.journal.errors import AppendUnknown, Fenced, HeadLost, JournalCorrupt, JournalUnreadable
from exchange.sequencer.clock import ClockStepped
from exchange.sequencer.sequencer import EngineStopped

CLIENTS = 6
KEYS = 3
"""Each is shared by two of them."""
BLOCK_S = 1.5
LOOK_S = 0.1
NOTICE_S = 15.0
"""Within which an engine notices that another has taken over, a slow database included."""
SOON_NS = 60_000_000_000
PATIENCE_S = 1_200.0
"""How long everything may take to settle when nothing goes wrong any more."""

EXPECTED_ENDS = (
    Fenced, AppendUnknown, ClockStepped, EngineStopped, OSError, TimeoutError, asyncpg.PostgresError,
    asyncpg.InterfaceError, asyncpg.InternalClientError, RpcError, JournalUnreadable, SenderTaken,
)  # fmt: skip
"""What may end a process when something outside it went wrong. Anything else is a bug."""

DETECTED = (JournalCorrupt, HeadLost, CursorAheadOfJournal)


class Scenario:
    """Runs one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.started = 0
        self.first_steps = 0
        self._disturbed = 0
        self._held = False
        """Nobody starts a process: a damaged disk is being looked at."""
        self._background: list[asyncio.Task[Any]] = []
        self._standby = Standby(world)
        world.on_end = self._process_ended

    async def run(self) -> None:
        """Raises what went wrong."""
        world = self.world
        main = asyncio.ensure_future(self._story())
        failed = asyncio.ensure_future(world.failed.wait())
        await asyncio.wait([main, failed], return_when=asyncio.FIRST_COMPLETED)
        if world.failure is not None:
            raise world.failure
        main.result()

    async def _story(self) -> None:
        world = self.world
        for _ in range(3):
            world.chain.mine()
        world.faults.start()
        self._keep(self._keep_running())
        self._keep(self._keep_mining())
        self._standby.start()
        if world.random.random() < 0.8:
            self._keep(make_snapshots(world, world.random.choice((5.0, 12.0, 40.0))))
        self._start_trouble()
        share = -(-world.commands // CLIENTS)
        keys = [SharedKey(owner_of(number)) for number in range(KEYS)]
        clients = [Client(world, number, keys[number % KEYS]) for number in range(CLIENTS)]
        operator = asyncio.ensure_future(Operator(world, CLIENTS, None).operate(clients))
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.trade(share))
        operator.cancel()
        world.faults.stop()
        await asyncio.sleep(2 * APPEND_TIMEOUT_S)  # a fault may still be under way
        await self._settle()
        while not await self._stop():
            await self._settle()
        await check_everything(world, self._standby.state)
        for task in self._background:
            task.cancel()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs it to the end of the world; its failure is the world's."""
        task = asyncio.ensure_future(work)
        self._background.append(task)
        task.add_done_callback(lambda task: None if task.cancelled() else self._note_failure(task))

    def _note_failure(self, task: "asyncio.Task[Any]") -> None:
        error = task.exception()
        if error is not None:
            self.world.fail(error)

    # ---- processes

    async def _keep_running(self) -> None:
        world, random = self.world, self.world.random
        while True:
            if not world.living and not self._held:
                await asyncio.sleep(random.uniform(0.02, 1.5))
                if not world.living and not self._held:
                    self._start_process()
            await asyncio.sleep(LOOK_S)
            self._check_replaced()

    def _check_replaced(self) -> None:
        """An engine that was replaced may not go on showing what it knew then: it has to notice by itself."""
        newest = max((process.epoch for process in self.world.processes), default=0)
        for process in self.world.serving:
            if process.epoch == newest or process.host.frozen:
                process.replaced_s = 0.0
            process.replaced_s += LOOK_S
            require(process.replaced_s < NOTICE_S, "an engine that was replaced notices", process.number)

    def _start_process(self, *, untroubled: bool = False) -> ExchangeProcess:
        world = self.world
        self.started += 1
        process = ExchangeProcess(world, self.started)
        if not untroubled:
            if world.faults.happens("crash_at_start", 0.1):
                process.host.crash_at_step = world.random.randint(1, 400)
            elif world.faults.happens("crash", 0.3):
                process.host.crash_at_step = int(world.random.expovariate(1 / 4000)) + 1
        if self.started == 1 and world.crash_at_step is not None:
            process.host.crash_at_step = world.crash_at_step
        world.processes.append(process)
        world.trace.note("start", process.number)
        process.start()
        return process

    def _process_ended(self, process: ExchangeProcess) -> None:
        """Only for a reason that there was."""
        world = self.world
        world.processes.remove(process)
        if process.number == 1:
            self.first_steps = process.host.steps
        if process.errors is None:
            world.faults.note(
                "crash" if process.has_served else "crash_at_start", process.number, process.host.steps
            )
            world.loop.call_soon(process.host.bury, context=world.loop.world.context)
            return
        world.trace.note("ended", process.number, *sorted({type(error).__name__ for error in process.errors}))
        for error in process.errors:
            if isinstance(error, Wrong) or (not isinstance(error, EXPECTED_ENDS) and not self._held):
                world.fail(error)
            if isinstance(error, Fenced | SenderTaken):
                world.faults.note("two_engines", process.number)
            if isinstance(error, ClockStepped):
                if not process.host.clock_was_set:
                    world.fail(
                        Wrong(f"engine {process.number} says that its clock was set, and it was not: {error}")
                    )
                world.faults.note("clock_step", process.number, process.host.wall_offset_ns)

    # ---- trouble

    def _start_trouble(self) -> None:
        self._every("freeze", 25, self._freeze)
        self._every("two_engines", 30, self._second_engine)
        self._every("graceful_stop", 40, self._graceful_stop)
        self._every("clock_step", 60, self._set_clock)
        self._every("database_stall", 40, self._stall)
        self._every("database_crash", 50, self._crash_database)
        self._every("machine_crash", 60, self._crash_machine)
        self._every("projection_stall", 20, self._stall_projection)
        self._every("standby_crash", 20, self._crash_standby)
        self._every("clickhouse_lost", 30, self._crash_clickhouse)

    def _every(self, name: str, mean_s: float, trouble: Callable[[], Awaitable[None]]) -> None:
        async def come() -> None:
            while self.world.faults.wanted(name):
                await asyncio.sleep(self.world.faults.wait_s(name, mean_s))
                if self.world.faults.active and not self._held:
                    await trouble()

        self._keep(come())

    async def _freeze(self) -> None:
        random = self.world.random
        for process in self.world.serving:
            if not process.host.frozen:
                process.host.freeze(random.choice((0.05, 1.0, 8.0, 15.0)))
                self.world.faults.note("freeze", process.number)

    async def _second_engine(self) -> None:
        """A second engine is started beside one that lives, or seems dead and wakes up later."""
        random = self.world.random
        for process in self.world.living:
            if not process.host.frozen and random.random() < 0.6:
                process.host.freeze(random.uniform(0.01, 20.0))
        if len(self.world.living) < 4:
            self._start_process()
        await asyncio.sleep(0)

    async def _graceful_stop(self) -> None:
        for process in self.world.serving[:1]:
            self.world.faults.note("graceful_stop", process.number)
            process.stop()

    async def _set_clock(self) -> None:
        world, random = self.world, self.world.random
        serving = [process for process in world.serving if not process.host.frozen]
        if not serving:
            return
        process = random.choice(serving)
        step_s = random.choice((-3_600.0, -30.0, -1.2, 1.2, 30.0, 3_600.0))
        process.host.wall_offset_ns += round(step_s * 1e9)
        process.host.clock_was_set = True
        world.trace.note("clock", process.number, step_s)
        stamped_before = world.oracle.seq
        for _ in range(60):
            if process.over.is_set() or process.host.frozen:
                return
            await asyncio.sleep(1.0)
        raise Wrong(f"engine {process.number} goes on after its clock was set (at {stamped_before})")

    async def _stall(self) -> None:
        for_s = self.world.random.choice((0.5, 3.0, 12.0, 40.0))
        self.world.faults.note("database_stall", for_s)
        self.world.wire.stall(for_s)
        await asyncio.sleep(for_s)

    async def _stall_projection(self) -> None:
        for_s = self.world.random.choice((3.0, 10.0, 45.0))
        self.world.faults.note("projection_stall", for_s)
        self.world.wire.stall_projection(for_s)
        await asyncio.sleep(for_s)

    async def _crash_database(self) -> None:
        world = self.world
        world.faults.note("database_crash")
        world.database.crash()
        await asyncio.sleep(world.random.uniform(0.05, 6.0))
        world.database.restart()

    async def _crash_standby(self) -> None:
        self.world.faults.note("standby_crash", self._standby.state.seq)
        self._standby.host.crash()
        self._standby.host.bury()
        self._standby = Standby(self.world)
        self._standby.start()

    async def _crash_clickhouse(self) -> None:
        """It is embedded: it dies with its process."""
        for process in list(self.world.living):
            process.host.crash()
        lost = self.world.clickhouse.crash()
        if lost:
            self.world.faults.note("clickhouse_lost", lost)

    async def _crash_machine(self) -> None:
        """Power is lost: exchange and database stop at once. Now and then the disk has lied, too."""
        world = self.world
        for process in list(world.living):
            process.host.crash()
        world.database.crash()
        world.faults.note("machine_crash")
        if world.faults.happens("snapshot_damaged", 0.3) and damage_newest_snapshot(
            world.database, world.random
        ):
            world.faults.note("snapshot_damaged")
        lies = [kind for kind in DISK if world.faults.happens(kind, 0.35)]
        if lies:
            await self._lying_disk(world.random.choice(lies))
        await asyncio.sleep(world.random.uniform(0.05, 3.0))
        world.database.restart()

    async def _lying_disk(self, kind: str) -> None:
        """Damages the journal: a process that is started now must refuse. Then the backup is restored."""
        world = self.world
        if len(world.database.tables["journal"].rows) <= MIN_ROWS:
            return
        damage = Damage(world.database, world.random)
        if not damage.do(kind):
            return
        self._held = world.damaged = True
        world.faults.stop()
        self._standby.host.freeze(10_000.0)
        world.database.restart()
        seq = world.oracle.seq
        detected: list[BaseException] = []
        for _ in range(20):  # the database may still be slow from before
            process = self._start_process(untroubled=True)
            async with asyncio.timeout(PATIENCE_S):
                while not process.serving and not process.over.is_set():
                    await asyncio.sleep(0.1)
            require(not process.has_served, f"nobody serves a journal with a {kind}", process.errors)
            detected = [error for error in process.errors or () if isinstance(error, DETECTED)]
            if detected:
                break
        require(world.oracle.seq == seq, f"nobody writes to a journal with a {kind}")
        require(bool(detected), f"a {kind} is detected", process.errors)
        world.faults.note(kind, detected[0])
        damage.undo()
        world.database.crash()
        self._standby.host.thaw()
        world.faults.start()
        self._held = world.damaged = False

    # ---- the chain

    async def _keep_mining(self) -> None:
        world = self.world
        while True:
            await asyncio.sleep(world.random.expovariate(1 / BLOCK_S))
            block = world.chain.mine(everything=not world.faults.active)
            world.trace.note("block", block.number, block.hash[:10])
            if world.faults.happens("reorg", 0.1):
                await asyncio.sleep(world.random.random() * BLOCK_S)
                self._reorganize()

    def _reorganize(self) -> None:
        world = self.world
        fallen = world.chain.reorganize(world.random.choice((1, 2, 3, 3)))
        world.faults.note("reorg")
        if fallen:
            world.faults.note("reorg_of_deposit", len(fallen))

    # ---- the end

    async def _settle(self) -> None:
        """Waits until one exchange serves, and everything that follows has caught up."""
        world = self.world
        for process in world.living:
            process.host.crash_at_step = None
        self.waits_for = ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self._unsettled():
                    await asyncio.sleep(0.5)
        except TimeoutError:
            raise Wrong(
                f"everything settles when nothing goes wrong any more: waiting for {self.waits_for}"
            ) from None

    def _unsettled(self) -> bool:
        world = self.world
        oracle, chain = world.oracle, world.chain
        self.waits_for = ""
        if len(world.living) != 1 or len(world.serving) != 1:
            self.waits_for = f"one exchange, there are {[process.number for process in world.living]}"
        elif any(process.is_busy for process in world.living):
            self.waits_for = "requests under way"
        elif chain.waiting or len(oracle.deposits) != chain.head.state.deposits:
            self.waits_for = f"deposits: {len(oracle.deposits)} of {chain.head.state.deposits}"
        elif open_ones := [label for label, state in oracle.withdrawals.items() if state == "requested"]:
            self.waits_for = f"withdrawals {open_ones}"
        elif self._standby.state.seq != oracle.seq:
            self.waits_for = f"the standby, at {self._standby.state.seq} of {oracle.seq}"
        else:
            [process] = world.serving
            assert process.projection is not None
            assert process.trades is not None
            assert process.state is not None
            if process.state.work_due_ns < world.loop.now_ns() + SOON_NS:
                self.waits_for = "orders that expire and switches that fire"
            elif process.projection.seq != oracle.seq:
                self.waits_for = f"the read tables, at {process.projection.seq} of {oracle.seq}"
            elif process.trades.seq != oracle.seq:
                self.waits_for = f"the trades, at {process.trades.seq} of {oracle.seq}"
        return bool(self.waits_for)

    async def _stop(self) -> bool:
        """Stops the last exchange; False when it did something more meanwhile that others have to follow."""
        world = self.world
        seq = world.oracle.seq
        self._held = True
        [process] = world.living
        assert process.state is not None
        assert process.sequencer is not None
        state, view = process.state, process.sequencer.committed
        process.stop()
        await process.over.wait()
        errors = process.errors or []
        if errors and all(isinstance(error, AppendUnknown) for error in errors) and self._disturbed < 2:
            self._disturbed += 1  # by what a frozen process found when it woke up
            self._held = False
            return False
        require(process.errors == [], "an orderly stop is orderly", process.errors)
        world.oracle.check_state(state, "the last engine's state", thoroughly=True)
        world.oracle.check_view(view, state)
        self._held = world.oracle.seq == seq
        return self._held
