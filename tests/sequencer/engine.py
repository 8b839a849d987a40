"""A running sequencer for tests, and logs that stand still or fail at the append seam."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import msgspec
from tests.core.venue import address

from exchange.core.commands import Command, OpenAccount
from exchange.core.events import Event
from exchange.core.state import State
from exchange.journal.log import Head, JournalLog
from exchange.sequencer.clock import Clock
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.row import Committed
from exchange.sequencer.sequencer import Outcome, Sequencer


def account_of(name: str) -> OpenAccount:
    return OpenAccount(address(name))


_COMMANDS = msgspec.json.Decoder(list[Command])
_EVENTS = msgspec.json.Decoder(list[list[Event]])


@dataclass(frozen=True)
class AppendedRow:
    """What a row of the journal would hold, decoded again."""

    time_ns: int
    rules_version: int
    commands: list[Command]
    events: list[list[Event]]


class GatedLog:
    """Passes appends on to a real log (or to nowhere) one by one, each when it is let through."""

    def __init__(self, log: JournalLog | None = None, *, head_seq: int = 0) -> None:
        self._log = log
        self.head = log.head if log is not None else Head(head_seq, bytes(32))
        self.asked = asyncio.Event()
        self.let_through = asyncio.Event()
        self.appended: list[int] = []
        self.rows: list[AppendedRow] = []
        self.failure: Exception | None = None

    async def append(
        self, seq_last: int, time_ns: int, rules_version: int, commands: bytes, events: bytes
    ) -> None:
        self.asked.set()
        await self.let_through.wait()
        if self.failure is not None:
            raise self.failure
        if self._log is not None:
            await self._log.append(seq_last, time_ns, rules_version, commands, events)
        self.appended.append(seq_last)
        self.rows.append(
            AppendedRow(time_ns, rules_version, _COMMANDS.decode(commands), _EVENTS.decode(events))
        )

    async def check(self) -> None:
        if self._log is not None:
            await self._log.check()

    async def until_asked(self) -> None:
        async with asyncio.timeout(10):
            await self.asked.wait()
        self.asked.clear()


class HandClock(Clock):
    """A clock whose two sources are set by hand."""

    def __init__(self, last_ns: int = 0, wall_ns: int = 1_700_000_000_000_000_000) -> None:
        self.wall_ns = wall_ns
        self.steady_ns = 0
        super().__init__(last_ns, lambda: self.wall_ns, lambda: self.steady_ns)

    def pass_time(self, ns: int) -> None:
        self.wall_ns += ns
        self.steady_ns += ns


class Running:
    """A sequencer, its `run` task and what it told of its commits."""

    def __init__(self, sequencer: Sequencer, commits: list[int]) -> None:
        self.sequencer = sequencer
        self.commits = commits
        self.task = asyncio.create_task(sequencer.run())

    def hand_in(self, *commands: Command) -> list[asyncio.Task[Outcome]]:
        """Starts one caller per command, in this order."""
        return [asyncio.create_task(self.sequencer.submit(command)) for command in commands]

    def hand_in_batch(self, *commands: Command) -> asyncio.Task[list[Outcome]]:
        """Starts one caller for all of them."""
        return asyncio.create_task(self.sequencer.submit_batch(commands))

    def hand_in_for(self, agent: str | None, *commands: Command) -> "asyncio.Future[list[Outcome] | None]":
        """Hands them in at once, for a key that has shown itself."""
        told: asyncio.Future[list[Outcome] | None] = asyncio.get_running_loop().create_future()
        self.sequencer.hand_in(commands, told.set_result, agent=agent)
        return told

    async def stopped(self) -> BaseException | None:
        """What ended the engine."""
        async with asyncio.timeout(10):
            await asyncio.wait([self.task])
        return self.task.exception() if not self.task.cancelled() else asyncio.CancelledError()


@asynccontextmanager
async def running(
    log: GatedLog | JournalLog,
    *,
    clock: Clock | None = None,
    on_commit: Callable[[Committed], None] | None = None,
    on_idle: Callable[[float], None] | None = None,
    state: State | None = None,
    **options: int,
) -> AsyncIterator[Running]:
    """An engine on a new journal, or one that goes on from a state (all of it committed)."""
    commits: list[int] = []
    state = State() if state is None else state
    sequencer = Sequencer(
        state,
        CommittedView.from_state("0x" + "00" * 32, state),
        log,  # type: ignore[arg-type]
        clock or Clock(0),
        on_commit=on_commit or (lambda batch: commits.append(batch.seq_last)),
        on_idle=on_idle,
        **options,
    )
    engine = Running(sequencer, commits)
    try:
        yield engine
    finally:
        engine.task.cancel()
        if isinstance(log, GatedLog):
            log.let_through.set()
        with suppress(asyncio.CancelledError, Exception):
            await engine.task
