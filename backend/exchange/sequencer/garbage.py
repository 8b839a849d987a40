"""When the engine's process collects garbage: never everything at once while somebody waits.

A full collection looks at every container there is, and everybody waits for it. So what was loaded is frozen,
out of the collector's sight; nothing but young collections starts by itself; and a full one is made only when
nothing has been asked for a while, or, on a day without rest, every ten minutes at a moment when nothing is
waiting. The young are collected as ever: requests, tasks and answers die young.

These settings belong to the process, so they are made in its wiring, once.
"""

import gc
import time
from collections.abc import Callable

YOUNG = 10_000
"""New containers that start a young collection: some milliseconds at most. What survives it is not looked at
again before a full collection: a middle one, of ten times as much, stops everything for 50 ms and more under
load, and finds what would be gone by itself.
"""
NEVER = 2**31 - 1

QUIET_S = 0.5
MIN_INTERVAL_S = 10.0
OVERDUE_S = 600.0


def take_over() -> None:
    """Before anything is loaded: no full collection starts by itself from here on."""
    gc.set_threshold(YOUNG, NEVER, NEVER)


def freeze_loaded() -> None:
    """After everything is loaded: collects once and for all, and keeps what is left out of collections."""
    gc.collect()
    gc.freeze()


class IdleCollector:
    """Full collections in quiet moments. `now_s` is a steady clock."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._last_s = now_s()

    def when_idle(self, idle_s: float) -> None:
        """Nothing waits, since `idle_s` seconds: collects if it is time and there may be something."""
        since_s = self._now_s() - self._last_s
        is_time = since_s >= MIN_INTERVAL_S and idle_s >= QUIET_S
        if (is_time or since_s >= OVERDUE_S) and any(gc.get_count()[1:]):
            gc.collect()
            self._last_s = self._now_s()
