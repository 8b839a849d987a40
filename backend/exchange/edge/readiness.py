"""Whether each part of the process is ready, looked at once for all who ask within a short while.

Anybody may ask, and for nothing, and a part may have to ask the database: so the parts are looked at by one
check at a time, and what it has found is told for `kept_s` to everybody.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from exchange.edge.shared_answers import SharedAnswers

CHECK_TIMEOUT_S = 2.0
KEPT_S = 0.5

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HealthPart:
    """One part of readiness. `check` answers None when all is well, else what is wrong.

    A text is shown to everybody as it is, so it holds nothing but words of ours. Of an exception, whose text
    may carry an address or a key, only the type's name is shown, be it answered or raised.
    A part that is not `required` is reported, but trading goes on without it.
    """

    name: str
    required: bool
    check: Callable[[], Awaitable[str | Exception | None]]


class PartState(NamedTuple):
    """What a part has said; `detail` is None when it is ready."""

    name: str
    required: bool
    detail: str | None

    @property
    def ready(self) -> bool:
        return self.detail is None


class Readiness:
    """The parts of one process."""

    def __init__(self, parts: Sequence[HealthPart], kept_s: float = KEPT_S) -> None:
        self._parts = parts
        self._kept_s = kept_s
        self._answers: SharedAnswers[list[PartState]] = SharedAnswers()
        self._number = 0
        self._old_at_s = 0.0
        """When the next who asks has the parts looked at again; never, while they are being looked at."""

    async def parts(self) -> list[PartState]:
        """What each has said within the last `kept_s`; none takes longer than CHECK_TIMEOUT_S to say it."""
        if time.monotonic() >= self._old_at_s:
            self._old_at_s = math.inf
            self._number += 1
        return await self._answers.answer(self._number, self._look)

    async def _look(self) -> list[PartState]:
        found = await asyncio.gather(*(_state(part) for part in self._parts))
        self._old_at_s = time.monotonic() + self._kept_s
        return list(found)


async def _state(part: HealthPart) -> PartState:
    wrong: str | Exception | None
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            wrong = await part.check()
    except TimeoutError:
        wrong = f"no answer within {CHECK_TIMEOUT_S:g} s"
    except Exception as error:  # a task root of sorts: whatever a part raises, it is not ready
        logger.warning("health_check_failed", part=part.name, error=repr(error))
        wrong = error
    return PartState(
        part.name, part.required, type(wrong).__name__ if isinstance(wrong, Exception) else wrong
    )
