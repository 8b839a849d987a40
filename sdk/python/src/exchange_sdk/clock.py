"""The exchange's time, as told by it, and nonces made of it.

The local clock may be wrong and may jump. So its offset is measured, from the quickest of a few answers,
and from then on only the monotonic clock counts.
"""

import threading
import time
from collections.abc import Callable

_TAKEN_AHEAD_US = 60_000_000
"""How far a nonce may be ahead of the exchange's time."""


class ExchangeClock:
    """What time it is at the exchange. Until it was asked: the local clock."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._origin_ns = wall_ns() - monotonic_ns()
        self._local_origin_ns = self._origin_ns
        self.set_at_ns: int | None = None

    def now_ns(self) -> int:
        """Nanoseconds since 1970 at the exchange."""
        return self._origin_ns + self._monotonic_ns()

    def now_ms(self) -> int:
        """Milliseconds since 1970 at the exchange."""
        return self.now_ns() // 1_000_000

    def now_s(self) -> int:
        """Seconds since 1970 at the exchange."""
        return self.now_ns() // 1_000_000_000

    @property
    def offset_ms(self) -> int:
        """How far the exchange's clock is ahead of what the local one said at the start."""
        return (self._origin_ns - self._local_origin_ns) // 1_000_000

    def monotonic_ns(self) -> int:
        """Of measurements: never jumps."""
        return self._monotonic_ns()

    def learn(self, server_ms: int, asked_ns: int, answered_ns: int) -> None:
        """Takes over the exchange's time: read half way between two readings of `monotonic_ns`.

        The answer's milliseconds are cut off, so half of one is added.
        """
        self._origin_ns = server_ms * 1_000_000 + 500_000 - (asked_ns + answered_ns) // 2
        self.set_at_ns = answered_ns

    def forget(self) -> None:
        """Has it asked again before the next signature."""
        self.set_at_ns = None


class Nonces:
    """Strictly increasing microseconds since 1970, whoever asks: tasks, threads, several clients."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self, now_ns: int) -> int:
        """The exchange's present microsecond, or the one after the last nonce.

        Nonces that are more than a minute ahead came of a clock that was wrong, and were refused: they do not
        count.
        """
        now_us = now_ns // 1_000
        with self._lock:
            if self._last > now_us + _TAKEN_AHEAD_US:
                self._last = now_us
            self._last = max(self._last + 1, now_us)
            return self._last
