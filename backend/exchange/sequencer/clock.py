"""The engine's clock: one time per batch, in nanoseconds UTC, never going back.

Wall time is compared with a steady clock. When the two part by more than a second, somebody has set the
clock, and the engine stops rather than stamp a time that expiries and candles can not rely on.
"""

import time
from collections.abc import Callable

MAX_STEP_NS = 1_000_000_000


class ClockStepped(Exception):
    """The wall clock jumped against the steady clock, or stands before the journal's last batch."""

    def __init__(self, step_ns: int) -> None:
        self.step_ns = step_ns
        super().__init__(f"the wall clock moved by {step_ns / 1e9:+.3f} s; set it right and start again")


def steady_ns() -> int:
    """A steady clock that, where the system has one, also counts the time spent suspended."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if boot_time is None else time.clock_gettime_ns(boot_time)


class Clock:
    """Stamps batches. `last_ns` is the time of the journal's last batch, 0 for a new journal."""

    def __init__(
        self,
        last_ns: int,
        wall_ns: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = steady_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._steady_ns = steady
        self._last_ns = last_ns
        self._seen_wall_ns = wall_ns()
        self._seen_steady_ns = steady()
        if last_ns - self._seen_wall_ns > MAX_STEP_NS:
            raise ClockStepped(self._seen_wall_ns - last_ns)

    def now_ns(self) -> int:
        """Time for the next batch. Raises ClockStepped."""
        wall_ns, steady = self._wall_ns(), self._steady_ns()
        step_ns = (wall_ns - self._seen_wall_ns) - (steady - self._seen_steady_ns)
        if abs(step_ns) > MAX_STEP_NS:
            raise ClockStepped(step_ns)
        self._seen_wall_ns, self._seen_steady_ns = wall_ns, steady
        self._last_ns = max(self._last_ns, wall_ns)
        return self._last_ns
