"""Who may ask for how much, at three levels: a client address, a session or agent key, an owner's account.

    ip       requests, cancels      before any credential is looked at
    key      requests, cancels      of a session or agent key that was found to be good
    account  orders, cancels        of an owner, all sub-accounts together, by the owner's class

A request takes from one budget of each level. A cancellation (of one order or all, or the dead man's switch)
takes from `cancels` and never from another, so that whoever has used up everything else can still get out. A
batch takes from `requests`, and where that is used up from `cancels`; then only its cancellations are done.

In memory, for this process alone, gone with it. Only an address that asks, a key that is good and an owner
have buckets, so what strangers say takes up no room beyond that of their addresses; of each kind as many as
`MAX_KEYS` are kept, the least recently used one is forgotten, and starts anew with all it may have.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from exchange.core.words import RateClass
from exchange.gateway.open_connections import OpenConnections
from exchange.gateway.rate_limit import TokenBuckets
from exchange.gateway.rate_policy import Rate, RateLimitPolicy
from exchange.gateway.refusals import GatewayCode, GatewayRefusal

MAX_KEYS = 20_000
RATE_LIMIT_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy")
"""What every answer to a request that costs something says, see `Charge.headers`."""
_LIMIT, _REMAINING, _RESET, _POLICY = (name.lower().encode() for name in RATE_LIMIT_HEADERS)
_MS_NS = 10**6
_SECOND_NS = 10**9

Key = str | bytes


class RequestKind(Enum):
    """Which budgets a request takes from."""

    ANY = auto()
    CANCEL = auto()
    BATCH = auto()


class RateLimited(GatewayRefusal):
    """A budget is used up. `retry_after_s` is at least 1; `retry_at_ms` is exact, by the wall clock."""

    def __init__(self, budget: "Budget", wait_ns: int, now_ns: int) -> None:
        self.retry_after_s = max(1, -(-wait_ns // _SECOND_NS))
        self.retry_at_ms = -(-(now_ns + wait_ns) // _MS_NS)
        buckets = budget.buckets
        super().__init__(
            GatewayCode.RATE_LIMITED,
            f"{budget.name} are used up: {buckets.burst} at once, then {buckets.per_s} a second; "
            f"try again in {self.retry_after_s} s",
        )


class LimitLeft(NamedTuple):
    """One budget of a caller as it is now."""

    name: str
    scope: str
    burst: int
    per_s: int
    remaining: int
    full_in_ms: int


@dataclass(frozen=True, slots=True)
class Budget:
    """The buckets of one level for one purpose. `bit` is its own among all of them."""

    scope: str
    purpose: str
    buckets: TokenBuckets
    bit: int

    @property
    def name(self) -> str:
        return f"{self.scope}-{self.purpose}"

    @property
    def policy(self) -> str:
        """As `RateLimit-Policy` has it: so much in a window of so many seconds, so much at once."""
        return f'{self.buckets.per_s};w=1;burst={self.buckets.burst};name="{self.name}"'

    def left(self, key: Key) -> LimitLeft:
        """What a key has; nothing is taken."""
        left, buckets = self.buckets.left(key), self.buckets
        return LimitLeft(
            self.purpose,
            self.scope,
            buckets.burst,
            buckets.per_s,
            remaining=left.tokens,
            full_in_ms=-(-left.full_in_ns // _MS_NS),
        )


class Level(NamedTuple):
    """The two budgets of a level."""

    ordinary: Budget
    cancels: Budget


class RateLimits:
    """All budgets of this process. `rate_class` is asked each time, so that a change counts at once."""

    def __init__(
        self,
        policy: RateLimitPolicy,
        rate_class: Callable[[str], RateClass],
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`clock_ns` must never go back; `wall_ns` only says when to come again."""
        self.clock_ns = clock_ns
        self._wall_ns = wall_ns
        self._rate_class = rate_class
        self._budgets = 0
        self.ip = self._level("ip", "requests", policy.ip.requests, policy.ip.of_cancels)
        self.key = self._level("key", "requests", policy.key.requests, policy.key.of_cancels)
        self._accounts = {
            name: self._level("account", "orders", rates.orders, rates.of_cancels)
            for name, rates in (
                (RateClass.STANDARD, policy.account.standard),
                (RateClass.MARKET_MAKER, policy.account.market_maker),
            )
        }
        self.policies: dict[int, bytes] = {}
        """What `RateLimit-Policy` says, by the bits of the budgets taken from."""
        self.refused: Counter[str] = Counter()
        """Requests, operations and connections refused, by the name of the budget or bound."""
        self.connections = OpenConnections(policy.ip.connections, self.refused)

    def _level(self, scope: str, purpose: str, ordinary: Rate, cancels: Rate) -> Level:
        budgets = []
        for name, rate in ((purpose, ordinary), ("cancels", cancels)):
            buckets = TokenBuckets(
                burst=rate.burst, per_s=rate.per_s, clock_ns=self.clock_ns, max_clients=MAX_KEYS
            )
            budgets.append(Budget(scope, name, buckets, 1 << self._budgets))
            self._budgets += 1
        return Level(*budgets)

    # ---- by address

    def take_address(self, client: str) -> None:
        """One request of an address (`client_key`). Raises RateLimited."""
        wait_ns = self.ip.ordinary.buckets.take_all(client, 1)
        if wait_ns:
            raise self.refusal(self.ip.ordinary, wait_ns)

    def charge(self, client: str, kind: RequestKind, weight: int = 1) -> "Charge":
        """For one HTTP request, of which nothing is taken yet; `weight` is what it costs of `requests`."""
        return Charge(self, client, kind, weight)

    # ---- by account

    def account(self, owner: str) -> Level:
        """The budgets of an owner of this class."""
        return self._accounts[self._rate_class(owner)]

    def take_orders(self, owner: str, wanted: int = 1) -> int:
        """Takes for so many placements and amendments of an owner; for how many there was enough."""
        return self.take_some(self.account(owner).ordinary, owner, wanted)

    def take_cancels(self, owner: str, wanted: int = 1) -> int:
        """Takes for so many cancellations, from their own budget; for how many there was enough."""
        return self.take_some(self.account(owner).cancels, owner, wanted)

    def orders_refused(self, owner: str) -> RateLimited:
        """What those get for whom `take_orders` had not enough. Made to be raised, or told."""
        budget = self.account(owner).ordinary
        return RateLimited(budget, budget.buckets.wait_ns(owner), self._wall_ns())

    def cancels_refused(self, owner: str) -> RateLimited:
        """The same of `take_cancels`."""
        budget = self.account(owner).cancels
        return RateLimited(budget, budget.buckets.wait_ns(owner), self._wall_ns())

    def take_some(self, budget: Budget, key: Key, wanted: int) -> int:
        """As many of `wanted` as there are; those beyond are counted as refused."""
        taken = budget.buckets.take_some(key, wanted)
        if taken < wanted:
            self.refused[budget.name] += wanted - taken
        return taken

    # ---- for everybody

    def left(self, client: str, credential: Key, owner: str) -> list[LimitLeft]:
        """All budgets of a caller as they are now; nothing is taken."""
        levels = ((self.ip, client), (self.key, credential), (self.account(owner), owner))
        return [budget.left(key) for level, key in levels for budget in level]

    def refusal(self, budget: Budget, wait_ns: int) -> RateLimited:
        """Counts a request that was refused; what it gets."""
        self.refused[budget.name] += 1
        return RateLimited(budget, wait_ns, self._wall_ns())


class Charge:
    """What one HTTP request takes, level by level, and what its answer says of that."""

    __slots__ = ("_client", "_kind", "_limits", "_taken_from", "_weight", "only_cancels")

    def __init__(self, limits: RateLimits, client: str, kind: RequestKind, weight: int) -> None:
        self._limits = limits
        self._client = client
        self._kind = kind
        self._weight = weight
        self._taken_from: list[tuple[Budget, int]] = []
        """Each with when it will be full again."""
        self.only_cancels: RateLimited | None = None
        """Set where a batch came in from the budget for cancellations: why it may do nothing else."""

    def take_address(self) -> None:
        """Of the address, before anything is read or checked. Raises RateLimited."""
        self._take(self._limits.ip, self._client)

    def take_credential(self, credential: Key) -> None:
        """Of a session or agent key that is good. Raises RateLimited."""
        self._take(self._limits.key, credential)

    def take_orders(self, owner: str, wanted: int = 1) -> int:
        """As `RateLimits.take_orders`."""
        if self.only_cancels is not None:
            return 0
        return self._take_some(self._limits.account(owner).ordinary, owner, wanted)

    def take_cancels(self, owner: str, wanted: int = 1) -> int:
        """As `RateLimits.take_cancels`."""
        return self._take_some(self._limits.account(owner).cancels, owner, wanted)

    def orders_refused(self, owner: str) -> RateLimited:
        """As `RateLimits.orders_refused`."""
        return self.only_cancels or self._limits.orders_refused(owner)

    def cancels_refused(self, owner: str) -> RateLimited:
        """As `RateLimits.cancels_refused`."""
        return self._limits.cancels_refused(owner)

    def left(self, credential: Key, owner: str) -> list[LimitLeft]:
        """All budgets of who sends this, as they are now."""
        return self._limits.left(self._client, credential, owner)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the answer says: of the budget that is nearest to empty, and which ones were taken from.

        As it was when they were taken from; what others have taken since is not known.
        """
        if not self._taken_from:
            return []
        limits = self._limits
        now_ns = limits.clock_ns()
        tightest, full_in_ns, bits = self._taken_from[0][0].buckets, -1, 0
        for budget, full_at_ns in self._taken_from:
            bits |= budget.bit
            buckets = budget.buckets
            this_ns = max(0, full_at_ns - now_ns)
            if this_ns * tightest.bucket_ns > full_in_ns * buckets.bucket_ns:
                tightest, full_in_ns = buckets, this_ns
        policy = limits.policies.get(bits)
        if policy is None:
            names = {budget.bit: budget.policy for budget, _ in self._taken_from}
            policy = limits.policies[bits] = ", ".join(names.values()).encode()
        return [
            (_LIMIT, b"%d" % tightest.burst),
            (_REMAINING, b"%d" % tightest.tokens(full_in_ns)),
            (_RESET, b"%d" % -(-full_in_ns // _SECOND_NS)),
            (_POLICY, policy),
        ]

    def _take(self, level: Level, key: Key) -> None:
        kind, limits = self._kind, self._limits
        if kind is not RequestKind.CANCEL and self.only_cancels is None:
            budget = level.ordinary
            buckets = budget.buckets
            wait_ns = buckets.take_all(key, self._weight)
            self._taken_from.append((budget, buckets.full_at_ns(key)))
            if not wait_ns:
                return
            refusal = limits.refusal(budget, wait_ns)
            if kind is not RequestKind.BATCH:
                raise refusal
            self.only_cancels = refusal
        budget = level.cancels
        buckets = budget.buckets
        wait_ns = buckets.take_all(key, 1)
        self._taken_from.append((budget, buckets.full_at_ns(key)))
        if wait_ns:
            raise limits.refusal(budget, wait_ns)

    def _take_some(self, budget: Budget, key: Key, wanted: int) -> int:
        taken = self._limits.take_some(budget, key, wanted)
        self._taken_from.append((budget, budget.buckets.full_at_ns(key)))
        return taken
