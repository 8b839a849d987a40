"""What one connection may do, and how that is counted."""

import time
from collections.abc import Callable
from dataclasses import dataclass

MAX_REQUEST_BYTES = 4 * 1024
"""A longer message is refused, but the connection is kept. A batch of who may trade may be longer."""
MAX_BATCH_BYTES = 64 * 1024
REQUESTS_AT_ONCE = 100
REQUESTS_PER_S = 50
"""Requests that trade are counted otherwise (`gateway.rate_limits`), where they come from who may trade."""
COMMANDS_IN_FLIGHT = 1_000
"""Of who may trade: an order, an amendment or a cancellation is one command."""
MAX_REFUSED = 200
"""Refusals for being too fast, within REFUSED_WINDOW_S, that close the connection (4002)."""
MAX_REFUSED_TRADING = 2_000
"""The same of requests that trade: whoever is a little too fast with them is not to lose a connection."""
REFUSED_WINDOW_S = 10
MAX_SUBSCRIPTIONS = 200
MAX_WAITING_MESSAGES = 1_000
"""Private messages of one channel that may wait for their reader."""
MAX_RESULT_BYTES = 4 * 1024 * 1024
"""Results of what was traded that may wait for their reader."""

HEARTBEAT_S = 5.0
PING_S = 15.0
PONG_S = 30.0

_SECOND_NS = 10**9


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of what a client sends is taken in."""

    request_bytes: int
    """Of the longest request that is looked at."""
    message_bytes: int
    """A longer message, inflated or put together from frames, closes the connection (1009). An unfinished one
    may wait here for ever.
    """
    piece_bytes: int
    """So much is taken apart in one turn of the loop, then what it said is looked at: floods are seen early.
    """
    weight: int
    """Requests that may wait, each counted by its `weight`; with more nothing is read from the client."""


STRANGERS = Bounds(MAX_REQUEST_BYTES, 16 * 1024, 1024, REQUESTS_AT_ONCE)
TRADERS = Bounds(MAX_BATCH_BYTES, 80 * 1024, 4 * 1024, COMMANDS_IN_FLIGHT)
"""Of connections that have authenticated to trade."""


class Refusals:
    """Counts refusals in a window of time; `most` are too many."""

    __slots__ = ("_clock_ns", "_most", "_refused", "_window_ends_ns")

    def __init__(self, most: int, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._most = most
        self._clock_ns = clock_ns
        self._refused = 0
        self._window_ends_ns = 0

    def add(self) -> None:
        now_ns = self._clock_ns()
        if now_ns >= self._window_ends_ns:
            self._window_ends_ns = now_ns + REFUSED_WINDOW_S * _SECOND_NS
            self._refused = 0
        self._refused += 1

    @property
    def are_too_many(self) -> bool:
        """Whether so much was refused that the connection is to be closed."""
        return self._refused >= self._most


class Allowance:
    """How many frames a connection may send: a bucket of tokens. Those that found it empty are counted."""

    __slots__ = ("_clock_ns", "_full_at_ns", "refusals")

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._full_at_ns = 0
        self.refusals = Refusals(MAX_REFUSED, clock_ns)

    def take(self) -> bool:
        """Takes a token; False when there is none, which is counted."""
        now_ns = self._clock_ns()
        full_at_ns = max(now_ns, self._full_at_ns) + _SECOND_NS // REQUESTS_PER_S
        if full_at_ns - now_ns <= REQUESTS_AT_ONCE * _SECOND_NS // REQUESTS_PER_S:
            self._full_at_ns = full_at_ns
            return True
        self.refusals.add()
        return False
