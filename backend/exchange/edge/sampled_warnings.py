"""Warnings that anybody may cause by the thousand: of each kind one a second, with the number left out."""

import time
from collections.abc import Callable

import structlog

INTERVAL_NS = 10**9

logger = structlog.get_logger(__name__)


class SampledWarnings:
    """Of few kinds: of each something is kept for ever."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._next_ns: dict[str, int] = {}
        self._left_out: dict[str, int] = {}

    def warn(self, event: str, code: str, **more: object) -> None:
        """Writes it, or counts it: `left_out` of the next one is how many were counted."""
        now_ns = self._clock_ns()
        if now_ns < self._next_ns.get(code, now_ns):
            self._left_out[code] = self._left_out.get(code, 0) + 1
            return
        self._next_ns[code] = now_ns + INTERVAL_NS
        logger.warning(event, code=code, left_out=self._left_out.pop(code, 0), **more)
