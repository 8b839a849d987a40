"""Snapshots, seen from the engine's process: when to have one made, and what to think of a failure.

The work is done by `snapshot_process`, spawned each time; here is only the waiting. Nothing that goes wrong
with it touches the engine: without a new snapshot a restart takes longer, that is all. So a failure is logged
and shown as the condition of the part, and tried again later.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog

from exchange.journal.child import ChildFailed, ask
from exchange.journal.errors import JournalError
from exchange.journal.snapshot_process import NothingNew, SnapshotAnswer, SnapshotMade, SnapshotRequest

PROCESS = (sys.executable, "-m", "exchange.journal.snapshot_process")
PROCESS_TIMEOUT_S = 3_600.0
CHECK_S = 1.0
FIRST_RETRY_S = 30.0
LAST_RETRY_S = 1_800.0
RESTS = 3
"""Times as long as the last one took, in which none is made: most of that is the state as a whole."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SnapshotPolicy:
    """When a snapshot is made, and how many are kept.

    After so many commands, or after so long if there were any at all; but never more than a quarter of the
    time is spent on making them.
    """

    every_commands: int = 100_000
    every_s: float = 600.0
    kept: int = 3


class SnapshotFailed(JournalError):
    """The process that was to make a snapshot has ended without one."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"no snapshot was made: {problem}")


class Snapshotter:
    """Has snapshots made as the journal grows. `seq` tells how far the journal is committed."""

    def __init__(
        self,
        database_url: str,
        seq: Callable[[], int],
        policy: SnapshotPolicy,
        *,
        last_seq: int = 0,
        process: tuple[str, ...] = PROCESS,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request = msgspec.json.encode(SnapshotRequest(database_url, policy.kept)) + b"\n"
        self._seq = seq
        self._policy = policy
        self._process = process
        self._clock_s = clock_s
        self._last_at_s = clock_s()
        self._not_before_s = clock_s()
        self._retry_s = FIRST_RETRY_S
        self.last_seq = last_seq
        """Where the newest snapshot stands; 0 before the first."""
        self.fault: SnapshotFailed | None = None
        """Why the last try failed; None when it did not."""

    async def run(self) -> None:
        """Has snapshots made until cancelled, through every failure."""
        while True:
            if self.is_due():
                await self.try_once()
            await asyncio.sleep(CHECK_S)

    def is_due(self) -> bool:
        """Whether it is time for another snapshot."""
        new_commands = self._seq() - self.last_seq
        now_s = self._clock_s()
        if new_commands == 0 or now_s < self._not_before_s:
            return False
        return new_commands >= self._policy.every_commands or now_s - self._last_at_s >= self._policy.every_s

    async def try_once(self) -> None:
        """Has one made, and notes what came of it."""
        started_at_s = self._clock_s()
        try:
            answer = await self.make()
        except SnapshotFailed as error:
            self.fault = error
            self._not_before_s = self._clock_s() + self._retry_s
            logger.warning("snapshot_failed", problem=error.problem, retry_s=self._retry_s)
            self._retry_s = min(2 * self._retry_s, LAST_RETRY_S)
            return
        self.fault = None
        self._retry_s = FIRST_RETRY_S
        self.last_seq = max(self.last_seq, answer.seq)
        self._last_at_s = self._clock_s()
        self._not_before_s = self._last_at_s + RESTS * (self._last_at_s - started_at_s)
        if isinstance(answer, SnapshotMade):
            logger.info(
                "snapshot_made",
                seq=answer.seq,
                commands=answer.commands,
                stored_bytes=answer.stored_bytes,
                seconds=round(answer.seconds, 3),
            )

    async def make(self) -> SnapshotMade | NothingNew:
        """Spawns the process and waits for its answer; ends it when cancelled. Raises SnapshotFailed."""
        try:
            answered = await ask(self._process, self._request, PROCESS_TIMEOUT_S)
        except ChildFailed as error:
            raise SnapshotFailed(error.problem) from error
        try:
            made: SnapshotMade | NothingNew = msgspec.json.decode(answered.answer, type=SnapshotAnswer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SnapshotFailed(f"its process gave no answer: {error}") from error
        if answered.said:
            logger.warning("snapshot_process_warns", said=answered.said)
        return made
