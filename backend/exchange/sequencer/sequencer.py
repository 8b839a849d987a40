"""The single writer: stamp, apply, commit, release.

Commands wait in a bounded inbox. The one task of `run` takes all that has gathered, applies it in order to
the state it owns, commits commands and events as one journal row, and only then advances the committed view
and answers. Whatever arrives while a commit is under way is the next batch.

Any failure to commit ends the engine: what was applied but not committed exists nowhere but in this process,
so the process must go, and recovery from the journal finds the truth. Its callers are told that the outcome
of their command is unknown.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from exchange.core.apply import RULES_VERSION, apply
from exchange.core.commands import Command
from exchange.core.events import Event
from exchange.core.state import State
from exchange.journal.log import JournalLog
from exchange.journal.rows import encode_payload
from exchange.sequencer.clock import Clock
from exchange.sequencer.committed import CommittedView

logger = structlog.get_logger(__name__)

IDLE_CHECK_S = 1.0
MAX_BATCH_EVENTS = 10_000
"""A batch ends after the command that reaches this: it bounds the pause of the loop and the row's size."""


class Overloaded(Exception):
    """The inbox is full; the command was not taken in."""

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"inbox full, try again in {retry_after_s} s")


class EngineStopped(Exception):
    """The engine ended before it could answer: whether the command was committed is unknown."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command, committed. A refusal is one `Rejected` event."""

    seq: int
    time_ns: int
    events: tuple[Event, ...]


Submit = Callable[[Command], Awaitable[Outcome]]


class Sequencer:
    """Owns the state. Exactly one `run` task; any number of callers of `submit` in the same loop."""

    def __init__(
        self,
        state: State,
        committed: CommittedView,
        log: JournalLog,
        clock: Clock,
        *,
        on_commit: Callable[[int], None],
        inbox_capacity: int = 20_000,
        max_batch: int = 500,
    ) -> None:
        assert state.seq == committed.seq == log.head.seq
        self._state = state
        self._log = log
        self._clock = clock
        self._on_commit = on_commit
        self._capacity = inbox_capacity
        self._max_batch = max_batch
        self._inbox: deque[tuple[Command, asyncio.Future[Outcome]]] = deque()
        self._arrived = asyncio.Event()
        self._stopped = False
        self.committed = committed

    @property
    def running(self) -> bool:
        return not self._stopped

    async def submit(self, command: Command) -> Outcome:
        """Hands in a command and waits for its committed outcome.

        Raises Overloaded when it was not taken in, EngineStopped when its outcome is unknown.
        """
        if self._stopped:
            raise EngineStopped
        if len(self._inbox) >= self._capacity:
            raise Overloaded(retry_after_s=1)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._inbox.append((command, future))
        self._arrived.set()
        return await future

    async def run(self) -> None:
        """Processes commands until cancelled. Raises what ended the engine."""
        batch: list[tuple[Command, asyncio.Future[Outcome]]] = []
        try:
            while True:
                if not self._inbox:
                    await self._wait()
                    continue
                batch.clear()
                await self._process(batch)
        finally:
            self._stopped = True
            for _, future in (*batch, *self._inbox):
                if not future.done():
                    future.set_exception(EngineStopped())
                    future.exception()  # a caller may have gone; that is no error of ours
            self._inbox.clear()

    async def _wait(self) -> None:
        self._arrived.clear()
        try:
            async with asyncio.timeout(IDLE_CHECK_S):
                await self._arrived.wait()
        except TimeoutError:
            # In quiet times too, a step of the clock and a newer engine are noticed while they are fresh.
            self._clock.now_ns()
            await self._log.check()

    async def _process(self, batch: list[tuple[Command, asyncio.Future[Outcome]]]) -> None:
        """Fills `batch` from the inbox, applies and commits it, and releases its outcomes."""
        time_ns = self._clock.now_ns()
        seq_first = self._state.seq + 1
        commands: list[Command] = []
        events: list[list[Event]] = []
        work = 0
        while self._inbox and len(batch) < self._max_batch and work < MAX_BATCH_EVENTS:
            batch.append(self._inbox.popleft())
            commands.append(batch[-1][0])
            events.append(apply(self._state, self._state.seq + 1, time_ns, commands[-1]))
            work += len(events[-1])
        seq_last = self._state.seq
        append = asyncio.ensure_future(
            self._log.append(
                seq_last, time_ns, RULES_VERSION, encode_payload(commands), encode_payload(events)
            )
        )
        cancelled = await _settled(append)
        self._release(batch, seq_first, time_ns, events)
        if cancelled:
            raise asyncio.CancelledError

    def _release(
        self,
        batch: list[tuple[Command, asyncio.Future[Outcome]]],
        seq_first: int,
        time_ns: int,
        events: list[list[Event]],
    ) -> None:
        self.committed.advance(seq_first + len(batch) - 1, time_ns, events)
        for index, (_, future) in enumerate(batch):
            if not future.done():
                future.set_result(Outcome(seq_first + index, time_ns, tuple(events[index])))
        self._on_commit(self.committed.seq)


async def _settled(append: "asyncio.Future[None]") -> bool:
    """Waits for the commit to the end, however often we are cancelled meanwhile; whether we were.

    Raises what the commit raises.
    """
    cancelled = False
    while not append.done():
        try:
            await asyncio.shield(append)
        except asyncio.CancelledError:
            cancelled = True
    append.result()
    return cancelled
