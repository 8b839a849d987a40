"""How often one client may ask: a token bucket for each address, of bounded memory.

A bucket of `burst` tokens that fills by `per_s` a second is kept as one number, the time at which it would
be full again: a request moves that time on, and is refused where it would be further off than the whole
bucket takes to fill. Source: ATM Forum's generic cell rate algorithm.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable

MAX_CLIENTS = 10_000
_SECOND_NS = 10**9


class TokenBuckets:
    """A bucket for each key; the least recently used one is forgotten beyond `max_clients`."""

    def __init__(
        self, *, burst: int, per_s: int, clock_ns: Callable[[], int], max_clients: int = MAX_CLIENTS
    ) -> None:
        """`clock_ns` must never go back: a monotonic clock."""
        assert burst > 0
        assert per_s > 0
        assert max_clients > 0
        self._token_ns = _SECOND_NS // per_s
        self._bucket_ns = burst * self._token_ns
        self._clock_ns = clock_ns
        self._max_clients = max_clients
        self._full_at_ns: OrderedDict[str, int] = OrderedDict()

    def take(self, key: str) -> int:
        """Takes a token: 0; or, when there is none, takes nothing: whole seconds until there is one."""
        now_ns = self._clock_ns()
        full_at_ns = max(now_ns, self._full_at_ns.get(key, 0)) + self._token_ns
        excess_ns = full_at_ns - now_ns - self._bucket_ns
        if excess_ns > 0:
            self._full_at_ns.move_to_end(key)
            return -(-excess_ns // _SECOND_NS)
        self._full_at_ns[key] = full_at_ns
        self._full_at_ns.move_to_end(key)
        if len(self._full_at_ns) > self._max_clients:
            self._full_at_ns.popitem(last=False)
        return 0


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
