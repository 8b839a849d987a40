"""A running engine for the benchmarks: the real sequencer on a real journal, and two ways to load it.

`burst` has many callers, each sending its next command when the last is answered: the most that gets through.
`paced` sends on a fixed schedule from a thread of its own, and counts the time from when a command was due to
its acknowledgement: a stalled engine is not spared by callers that wait for it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from scripts.bench.contenders import CommandWriter
from scripts.bench.workload import Operation, Workload

from exchange.core.commands import Command
from exchange.core.events import Rejected
from exchange.core.state import State
from exchange.journal.log import JournalLog, ensure_genesis
from exchange.journal.recovery import recover
from exchange.sequencer import garbage
from exchange.sequencer.clock import Clock
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Outcome, Sequencer
from exchange.stores.postgres import open_connection

MAX_GATHERED = 5_000
"""Commands that are handed in at once when nobody measures: less than the inbox takes."""


class RefusedCommand(Exception):
    """The engine refused a command of the workload: the figures would mean nothing."""


class Engine:
    """A running sequencer."""

    def __init__(self, sequencer: Sequencer, state: State) -> None:
        self._sequencer = sequencer
        self.state = state

    @property
    def committed(self) -> CommittedView:
        return self._sequencer.committed

    async def submit(self, command: Command) -> Outcome:
        """Hands in one command and waits until it is durable. Raises RefusedCommand."""
        outcome = await self._sequencer.submit(command)
        if isinstance(outcome.events[0], Rejected):
            raise RefusedCommand(f"{command} was refused: {outcome.events[0].reason}")
        return outcome

    async def submit_batch(self, commands: Sequence[Command]) -> list[Outcome]:
        """Hands in some commands as one group and waits until they are durable."""
        return await self._sequencer.submit_batch(commands)

    async def submit_all(self, commands: list[Command]) -> list[Outcome]:
        """Hands in any number of commands, in their order."""
        outcomes: list[Outcome] = []
        for start in range(0, len(commands), MAX_GATHERED):
            outcomes += await asyncio.gather(*map(self.submit, commands[start : start + MAX_GATHERED]))
        return outcomes


class Feed:
    """The commands of a workload that an engine is fed with, in order; orders live `life_ns` as requests."""

    def __init__(self, workload: Workload, writer: CommandWriter) -> None:
        self.workload = workload
        self._writer = writer

    def commands(self, operations: list[Operation]) -> list[Command]:
        """The next operations of the workload, to be sent while the requests live."""
        return self._writer.commands(operations, time.time_ns())

    def mixed(self, count: int) -> list[Command]:
        """The next commands of the mixed load."""
        return self.commands(self.workload.mixed(count))


@asynccontextmanager
async def running_engine(url: str) -> AsyncIterator[Engine]:
    """An engine recovered from the journal at `url`, wired as in the exchange."""
    garbage.take_over()
    async with await JournalLog.claim(url) as log:
        connection = await open_connection(url)
        try:
            genesis_id = await ensure_genesis(connection)
            state = (await recover(connection, genesis_id, log.head)).state
        finally:
            await connection.close()
        view = CommittedView.from_state(f"0x{genesis_id.hex()}", state)
        garbage.freeze_loaded()
        sequencer = Sequencer(
            state,
            view,
            log,
            Clock(state.time_ns),
            on_commit=lambda _: None,
            on_idle=garbage.IdleCollector().when_idle,
        )
        task = asyncio.create_task(sequencer.run())
        try:
            yield Engine(sequencer, state)
        finally:
            task.cancel()
            await asyncio.wait([task])


async def burst(engine: Engine, callers: int, commands: list[Command]) -> float:
    """Durable commands per second with this many callers at once."""
    waiting: Iterator[Command] = iter(commands)

    async def caller() -> None:
        for command in waiting:
            await engine.submit(command)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return len(commands) / (time.perf_counter() - started)


async def paced(engine: Engine, commands: list[Command], per_s: int) -> list[float]:
    """Ascending seconds from when each command was due to its acknowledgement."""
    loop = asyncio.get_running_loop()
    taken_s: list[float] = []
    tasks: set[asyncio.Task[None]] = set()
    failures: list[BaseException] = []

    async def send(command: Command, due: float) -> None:
        await engine.submit(command)
        taken_s.append(time.perf_counter() - due)

    def ended(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            failures.append(error)

    def arrive(command: Command, due: float) -> None:
        task = loop.create_task(send(command, due))
        tasks.add(task)
        task.add_done_callback(ended)

    def pace() -> None:
        started = time.perf_counter()
        for index, command in enumerate(commands):
            due = started + index / per_s
            while (early := due - time.perf_counter()) > 0:
                time.sleep(early)
            loop.call_soon_threadsafe(arrive, command, due)

    await asyncio.to_thread(pace)
    while tasks:
        await asyncio.wait(tasks)
    if failures:
        raise failures[0]
    return sorted(taken_s)
