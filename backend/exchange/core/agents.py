"""Agents: keys that act for an owner, and the nonces that each of them has used.

A nonce is the time at which a request was signed, in microseconds since the epoch. A key remembers the
`MAX_NONCES` highest that it used, and refuses what is lower than all of them, used or not: so no nonce is
ever taken twice, and nothing grows with the number of requests. It also refuses what is more than
`NONCE_WINDOW_US` off the present time: a slip of a clock can not use up the future.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final, final

from exchange.core.commands import ApproveAgent
from exchange.core.rejects import RejectReason
from exchange.core.words import AgentScope

MAX_NONCES: Final = 128
"""How many a key remembers: as many requests may overtake one that was signed before them."""
NONCE_WINDOW_US: Final = 60_000_000

MAX_LIVE_AGENTS: Final = 50
"""Of one owner, neither revoked nor expired."""
MAX_AGENTS: Final = 1_000
"""Of one owner, ever: keys are remembered for ever."""
MAX_AGENT_LIFE_NS: Final = 366 * 24 * 3600 * 1_000_000_000
MAX_NAME_CHARS: Final = 64
MAX_IP_RANGES: Final = 16
MAX_IP_RANGE_CHARS: Final = 43
"""Of the longest there are: eight groups of an IPv6 address, and the length of the prefix."""
MAX_APPROVAL_NONCE: Final = 2**63 - 1


@final
@dataclass(slots=True, eq=False)
class Agent:
    """A key that an owner has approved, whatever has become of it since."""

    key: str
    owner: str
    name: str
    scopes: tuple[AgentScope, ...]
    market_ids: tuple[int, ...]
    """Empty: every market."""
    sub_accounts: tuple[int, ...]
    """Empty: all of the owner's."""
    expires_ns: int
    ip_ranges: tuple[str, ...]
    nonce: int
    """Of the approval."""
    approved_ns: int
    revoked_ns: int = 0
    """0: it was not."""
    nonces: list[int] = field(default_factory=list)
    """The highest that were used, ascending; nothing once it is revoked."""

    def is_live(self, now_ns: int) -> bool:
        """Whether it may still act."""
        return self.revoked_ns == 0 and now_ns < self.expires_ns

    def is_of(self, approval: ApproveAgent) -> bool:
        """Whether this is what it was approved with; when and how the owner signed it does not matter."""
        return (
            approval.owner == self.owner
            and approval.name == self.name
            and approval.scopes == self.scopes
            and approval.market_ids == self.market_ids
            and approval.sub_accounts == self.sub_accounts
            and approval.expires_ns == self.expires_ns
            and approval.ip_ranges == self.ip_ranges
            and approval.nonce == self.nonce
        )

    def refuse_nonce(self, nonce: int, now_ns: int) -> RejectReason | None:
        """Why a request with this nonce may not be taken now."""
        if not lowest_nonce(now_ns) <= nonce <= highest_nonce(now_ns):
            return RejectReason.NONCE_OFF_TIME
        nonces = self.nonces
        if not nonces or nonce > nonces[-1]:
            return None
        index = bisect_left(nonces, nonce)
        if nonces[index] == nonce:
            return RejectReason.NONCE_USED
        if index == 0 and len(nonces) == MAX_NONCES:
            return RejectReason.NONCE_TOO_OLD
        return None

    def use_nonce(self, nonce: int) -> None:
        """Remembers one that was not refused, and forgets the lowest of too many."""
        nonces = self.nonces
        nonces.insert(bisect_left(nonces, nonce), nonce)
        if len(nonces) > MAX_NONCES:
            del nonces[0]


def lowest_nonce(now_ns: int) -> int:
    """What no request that is taken now, or later, may be below."""
    return now_ns // 1_000 - NONCE_WINDOW_US


def highest_nonce(now_ns: int) -> int:
    """What no request that is taken now may be above."""
    return now_ns // 1_000 + NONCE_WINDOW_US
