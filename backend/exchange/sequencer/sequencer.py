"""The single writer: stamp, apply, commit, release.

Commands wait in a bounded inbox. The one task of `run` takes all that has gathered, applies it in order to
the state it owns, commits commands and events as one journal row, and only then advances the committed view
and answers. Whatever arrives while a commit is under way is the next batch. Work that comes due by itself
(expiries, dead man's switches, triggers) is done by Ticks that the engine puts before commands, and in quiet
times journals on their own.

Any failure to commit ends the engine: what was applied but not committed exists nowhere but in this process,
so the process must go, and recovery from the journal finds the truth. Its callers are told that the outcome
of their command is unknown.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from exchange.core.commands import Command, UseNonce
from exchange.core.state import State
from exchange.journal.log import JournalLog
from exchange.journal.rows import encode_command, encode_payload, join_commands
from exchange.sequencer.clock import Clock, ClockStepped
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.inbox import Group, Inbox, Outcome, Pace, Tell
from exchange.sequencer.row import Committed, Row

__all__ = [
    "MAX_GROUP",
    "CommandNotEncodable",
    "EngineStopped",
    "HandIn",
    "Outcome",
    "Overloaded",
    "Sequencer",
    "SequencerError",
    "Submit",
    "SubmitBatch",
    "SubmitSigned",
    "SubmitSignedBatch",
    "Tell",
]

IDLE_CHECK_S = 1.0
MIN_WAIT_S = 0.001
"""Work is due by the wall clock and waited for by the loop's: a shorter wait may wake up too early."""

MAX_GROUP = 100
"""Commands in one batch of a caller."""


class SequencerError(Exception):
    """Root of what `submit` may raise."""


class Overloaded(SequencerError):
    """The inbox is full; nothing was taken in."""

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"inbox full, try again in {retry_after_s} s")


class CommandNotEncodable(SequencerError):
    """The journal can not keep the command (a lone surrogate, an endless number); nothing was taken in."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the command can not be journaled: {reason}")


class EngineStopped(SequencerError):
    """The engine ended before it could answer: whether the command was committed is unknown."""


Submit = Callable[[Command], Awaitable[Outcome]]
SubmitBatch = Callable[[Sequence[Command]], Awaitable[list[Outcome]]]


class SubmitSigned(Protocol):
    """`Sequencer.submit`, for whoever takes signed requests."""

    def __call__(self, command: Command, nonce: UseNonce | None = None) -> Awaitable[Outcome]: ...


class SubmitSignedBatch(Protocol):
    """`Sequencer.submit_batch`, for whoever takes signed requests."""

    def __call__(
        self, commands: Sequence[Command], nonce: UseNonce | None = None
    ) -> Awaitable[list[Outcome]]: ...


class HandIn(Protocol):
    """`Sequencer.hand_in`, for whoever signs no request, but may have shown a key."""

    def __call__(self, commands: Sequence[Command], tell: Tell, *, agent: str | None = None) -> None: ...


class Sequencer:
    """Owns the state. Exactly one `run` task; any number of callers of `submit` in the same loop.

    `on_commit` is told of each batch, right after the committed view has it. `on_idle` is called whenever
    nothing waits, with the seconds since something did.
    """

    def __init__(
        self,
        state: State,
        committed: CommittedView,
        log: JournalLog,
        clock: Clock,
        *,
        on_commit: Callable[[Committed], None],
        on_idle: Callable[[float], None] | None = None,
        inbox_capacity: int = 20_000,
        max_batch: int = 500,
    ) -> None:
        assert state.seq == committed.seq == log.head.seq
        self._state = state
        self._log = log
        self._clock = clock
        self._on_commit = on_commit
        self._on_idle = on_idle
        self._max_batch = max_batch
        self._inbox = Inbox(inbox_capacity)
        self._loop = asyncio.get_running_loop()
        self._now_s = self._loop.time
        self._pace = Pace(self._now_s)
        self._busy_s = self._now_s()
        self._stopped = False
        self._stamped_ns: int | None = None
        self.committed = committed

    @property
    def running(self) -> bool:
        return not self._stopped

    @property
    def waiting(self) -> int:
        """Commands in the inbox."""
        return self._inbox.commands

    def horizon_ns(self) -> int:
        """Nothing that is not in the committed view yet will ever be committed with an earlier time."""
        if self._stamped_ns is not None:
            return self._stamped_ns
        try:
            return self._clock.now_ns()
        except ClockStepped:
            return self.committed.time_ns

    async def submit(self, command: Command, nonce: UseNonce | None = None) -> Outcome:
        """Hands in a command and waits for its committed outcome.

        With a `nonce` it is a request signed by an agent's key: the nonce is used right before the command,
        in the same row. When it is refused nothing else is done, and the outcome is that of the nonce.

        Raises Overloaded or CommandNotEncodable when it was not taken in, EngineStopped when its outcome is
        unknown.
        """
        return (await self.submit_batch((command,), nonce))[0]

    async def submit_batch(self, commands: Sequence[Command], nonce: UseNonce | None = None) -> list[Outcome]:
        """Hands in 1 to `MAX_GROUP` commands; an outcome for each. All are in one row of the journal.

        No other caller's command comes between them. Their seqs are consecutive, but for the Ticks that the
        engine puts between them when one of them meets a trigger. One `nonce` is for all of them; when it is
        refused, its outcome is each one's. Raises as `submit` does, for all alike.
        """
        future: asyncio.Future[list[Outcome]] = self._loop.create_future()
        self.hand_in(commands, partial(_resolve, future), nonce=nonce)
        return await future

    def hand_in(
        self,
        commands: Sequence[Command],
        tell: Tell,
        *,
        nonce: UseNonce | None = None,
        agent: str | None = None,
    ) -> None:
        """As `submit_batch`, for who has many on their way at a time: when it returns, all are in the inbox,
        and `tell` will be called.

        `agent` is a committed key on whose behalf they are, without a nonce: if it is revoked or over when
        their turn comes, nothing of them is done or journaled, and each is answered so.

        Raises at once what `submit_batch` does; then `tell` is not called.
        """
        assert 0 < len(commands) <= MAX_GROUP
        assert agent is None or self.committed.agent(agent) is not None
        if self._stopped:
            raise EngineStopped
        if not self._inbox.has_room(commands, nonce):
            raise Overloaded(self._pace.retry_after_s(self._inbox.commands))
        try:  # before anything is applied, because what is applied must be committed
            encoded = [encode_command(command) for command in commands]
            encoded_nonce = b"" if nonce is None else encode_command(nonce)
        except (ValueError, TypeError) as error:
            raise CommandNotEncodable(str(error)) from error
        self._inbox.put(Group(tuple(commands), encoded, tell, nonce, encoded_nonce, agent))

    async def run(self) -> None:
        """Processes commands until cancelled. Raises what ended the engine."""
        groups: list[Group] = []
        try:
            while True:
                due_in_s = 0.0 if self._inbox else self._work_due_in_s()
                if due_in_s > 0:
                    await self._wait(due_in_s)
                    continue
                self._stamped_ns = self._clock.now_ns()
                row = Row(self._state, self._stamped_ns)
                groups = row.groups
                await self._process(row)
        finally:
            self._stopped = True
            while self._inbox:
                groups.append(self._inbox.take())
            for group in groups:
                group.tell(None)

    def _work_due_in_s(self) -> float:
        return (self._state.work_due_ns - self._clock.now_ns()) / 1e9

    async def _wait(self, due_in_s: float) -> None:
        """Waits for something to do; looks around when that takes long."""
        if self._on_idle is not None:
            self._on_idle(self._now_s() - self._busy_s)
        timeout_s = min(max(due_in_s, MIN_WAIT_S), IDLE_CHECK_S)
        if not await self._inbox.wait(timeout_s) and timeout_s == IDLE_CHECK_S:
            # In quiet times too, a step of the clock and a newer engine are noticed while they are fresh.
            self._clock.now_ns()
            await self._log.check()

    async def _process(self, row: Row) -> None:
        """Fills the row from the inbox, commits it, and releases its outcomes."""
        self._pace.begin()
        row.fill(self._inbox, self._max_batch)
        if not row.encoded:  # nothing but groups whose agents may not act any more
            self._answer(row)
            self._stamped_ns = None
            return
        append = asyncio.ensure_future(
            self._log.append(
                self._state.seq,
                row.time_ns,
                self._state.rules_version,
                join_commands(row.encoded),
                encode_payload(row.events),
            )
        )
        cancelled = await _settled(append)
        self._release(row)
        self._stamped_ns = None
        if cancelled:
            raise asyncio.CancelledError

    def _release(self, row: Row) -> None:
        seq_last = self._state.seq
        self.committed.advance(seq_last, row.time_ns, row.events)
        self._answer(row)
        self._on_commit(Committed(seq_last - len(row.events) + 1, seq_last, row.time_ns, row.events))

    def _answer(self, row: Row) -> None:
        for group in row.groups:
            group.tell(group.outcomes)
        row.groups.clear()
        self._pace.done(len(row.encoded))
        self._busy_s = self._now_s()


def _resolve(future: "asyncio.Future[list[Outcome]]", outcomes: list[Outcome] | None) -> None:
    """For a caller that waits, unless it has gone."""
    if future.done():
        return
    if outcomes is None:
        future.set_exception(EngineStopped())
        future.exception()  # it may go before it looks; that is no error of ours
    else:
        future.set_result(outcomes)


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
