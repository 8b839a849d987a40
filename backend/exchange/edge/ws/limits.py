"""What one connection may do, and how that is counted."""

import time
from collections.abc import Callable

MAX_REQUEST_BYTES = 4 * 1024
"""A longer message is refused, but the connection is kept."""
MAX_MESSAGE_BYTES = 16 * 1024
"""A longer one, inflated or put together from frames, closes the connection (1009). An unfinished one may
wait here for ever."""
REQUESTS_AT_ONCE = 100
REQUESTS_PER_S = 50
MAX_REFUSED = 200
"""Refusals for being too fast, within REFUSED_WINDOW_S, that close the connection (4002)."""
REFUSED_WINDOW_S = 10
MAX_SUBSCRIPTIONS = 200
MAX_WAITING_MESSAGES = 1_000
"""Private messages of one channel that may wait for their reader."""

HEARTBEAT_S = 5.0
PING_S = 15.0
PONG_S = 30.0

_SECOND_NS = 10**9


class Allowance:
    """How many frames a connection may send: a bucket of tokens, and how often it was found empty."""

    __slots__ = ("_clock_ns", "_full_at_ns", "_refused", "_window_ends_ns")

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._full_at_ns = 0
        self._refused = 0
        self._window_ends_ns = 0

    def take(self) -> bool:
        """Takes a token; False when there is none, which is counted."""
        now_ns = self._clock_ns()
        full_at_ns = max(now_ns, self._full_at_ns) + _SECOND_NS // REQUESTS_PER_S
        if full_at_ns - now_ns <= REQUESTS_AT_ONCE * _SECOND_NS // REQUESTS_PER_S:
            self._full_at_ns = full_at_ns
            return True
        if now_ns >= self._window_ends_ns:
            self._window_ends_ns = now_ns + REFUSED_WINDOW_S * _SECOND_NS
            self._refused = 0
        self._refused += 1
        return False

    @property
    def is_flooded(self) -> bool:
        """Whether so much was refused that the connection is to be closed."""
        return self._refused >= MAX_REFUSED
