"""How often somebody may do something: a token bucket for each who does, of bounded memory.

A bucket of `burst` tokens that fills by `per_s` a second is kept as one number, the time at which it would
be full again: a request moves that time on, and is refused where it would be further off than the whole
bucket takes to fill. Source: ATM Forum's generic cell rate algorithm.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

MAX_CLIENTS = 10_000
_SECOND_NS = 10**9
_ADDRESSES_REMEMBERED = 8_192


class Left(NamedTuple):
    """What a bucket has: whole tokens, and how long until it is full again."""

    tokens: int
    full_in_ns: int


class TokenBuckets:
    """A bucket for each key; the least recently used one is forgotten beyond `max_clients`."""

    __slots__ = ("_clock_ns", "_full_at_ns", "_max_clients", "_token_ns", "bucket_ns", "burst", "per_s")

    def __init__(
        self, *, burst: int, per_s: int, clock_ns: Callable[[], int], max_clients: int = MAX_CLIENTS
    ) -> None:
        """`clock_ns` must never go back: a monotonic clock. `per_s` is at most 10^9."""
        assert burst > 0
        assert 0 < per_s <= _SECOND_NS
        assert max_clients > 0
        self.burst = burst
        self.per_s = per_s
        self._token_ns = _SECOND_NS // per_s
        self.bucket_ns = burst * self._token_ns
        """How long an empty bucket takes to fill."""
        self._clock_ns = clock_ns
        self._max_clients = max_clients
        self._full_at_ns: OrderedDict[str | bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at_ns)

    def take(self, key: str | bytes) -> int:
        """Takes a token: 0; or, when there is none, takes nothing: whole seconds until there is one."""
        return -(-self.take_all(key, 1) // _SECOND_NS)

    def take_all(self, key: str | bytes, tokens: int) -> int:
        """Takes so many: 0; or, when there are not so many, none: nanoseconds until there are.

        No more than a full bucket is ever taken, so that what costs more is possible now and then.
        """
        now_ns = self._clock_ns()
        was_full_at_ns = self._full_at_ns.get(key, 0)
        full_at_ns = max(was_full_at_ns, now_ns) + tokens * self._token_ns
        excess_ns = full_at_ns - now_ns - self.bucket_ns
        if excess_ns > 0:
            if tokens > self.burst:
                return self.take_all(key, self.burst)
            self._full_at_ns.move_to_end(key)
            return excess_ns
        self._keep(key, full_at_ns)
        return 0

    def take_some(self, key: str | bytes, wanted: int) -> int:
        """Takes as many of `wanted` as there are; how many."""
        now_ns = self._clock_ns()
        was_full_at_ns = max(self._full_at_ns.get(key, 0), now_ns)
        tokens = min((now_ns + self.bucket_ns - was_full_at_ns) // self._token_ns, wanted)
        if tokens:
            self._keep(key, was_full_at_ns + tokens * self._token_ns)
        return tokens

    def left(self, key: str | bytes) -> Left:
        """What there is, without taking any."""
        full_in_ns = max(0, self._full_at_ns.get(key, 0) - self._clock_ns())
        return Left(self.tokens(full_in_ns), full_in_ns)

    def full_at_ns(self, key: str | bytes) -> int:
        """When the bucket is full again, by the clock; in the past when it is."""
        return self._full_at_ns.get(key, 0)

    def tokens(self, full_in_ns: int) -> int:
        """How many there are in a bucket that is full in this time."""
        return (self.bucket_ns - full_in_ns) // self._token_ns

    def wait_ns(self, key: str | bytes) -> int:
        """How long until there is a token; 0 when there is one."""
        full_in_ns = self._full_at_ns.get(key, 0) - self._clock_ns()
        return max(0, full_in_ns + self._token_ns - self.bucket_ns)

    def _keep(self, key: str | bytes, full_at_ns: int) -> None:
        self._full_at_ns[key] = full_at_ns
        self._full_at_ns.move_to_end(key)
        if len(self._full_at_ns) > self._max_clients:
            self._full_at_ns.popitem(last=False)


@lru_cache(_ADDRESSES_REMEMBERED)
def client_key(host: str | None) -> str:
    """Whom an address of a connection stands for: an IPv4 address for itself, an IPv6 address for its /64.

    The /64 is what one household or machine is given; by single addresses it would have 2^64 buckets.
    """
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return "unknown"  # a local socket has no address
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address), 64), strict=False))
    return str(address)
