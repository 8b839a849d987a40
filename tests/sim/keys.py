"""Agents' keys, each held by two clients that sign with it on their own and know nothing of each other."""

from collections import deque
from collections.abc import Sequence
from random import Random

from exchange.core.commands import ApproveAgent, Command, UseNonce
from exchange.core.events import Rejected
from exchange.core.rejects import RejectReason
from exchange.core.words import AgentScope
from exchange.sequencer.sequencer import Outcome

SECOND = 1_000_000_000
COARSE_US = 20_000
"""Now and then a nonce is a time so coarse that both clients may take the same one."""

Signed = tuple[Sequence[Command], UseNonce]

OF_THE_KEY = {RejectReason.AGENT_UNKNOWN, RejectReason.AGENT_REVOKED, RejectReason.AGENT_EXPIRED}
OF_THE_NONCE = {RejectReason.NONCE_USED, RejectReason.NONCE_TOO_OLD, RejectReason.NONCE_OFF_TIME}


class SharedKey:
    """One owner's key, and the next one when it is revoked or has expired."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.sent: deque[Signed] = deque(maxlen=40)
        """The newest requests of both clients: what a thief of them could send again."""
        self._number = 0
        self._approval: ApproveAgent | None = None

    @property
    def key(self) -> str:
        return f"0x{self.owner[2:]}{self._number:024x}"

    def approval(self, random: Random, now_ns: int) -> ApproveAgent:
        """Always the same one for a key."""
        if self._approval is None:
            self._approval = ApproveAgent(
                owner=self.owner,
                key=self.key,
                name="bot",
                scopes=random.choice(((AgentScope.TRADE,), tuple(AgentScope))),
                market_ids=random.choice(((), (1,))),
                sub_accounts=random.choice(((), (0, 1, 2))),
                expires_ns=now_ns + random.choice((5, 60, 2_000_000)) * SECOND,
                ip_ranges=(),
                nonce=self._number,
                deadline_s=now_ns // SECOND + 600,
                signature="0x",
            )
        return self._approval

    def renew(self) -> None:
        """Its holders go over to another key."""
        self._number += 1
        self._approval = None

    def sign(self, random: Random, now_ns: int, commands: Sequence[Command]) -> UseNonce:
        """The nonce of a request."""
        now_us = now_ns // 1_000
        chance = random.random()
        if chance < 0.3:
            now_us -= now_us % COARSE_US
        elif chance < 0.33:
            now_us += random.choice((-70_000_000, -40_000_000, 40_000_000, 70_000_000))
        nonce = UseNonce(self.key, now_us)
        self.sent.append((commands, nonce))
        return nonce


def refused_for(outcome: Outcome) -> RejectReason | None:
    """Why the signature of a request was refused, if it was: the request did nothing then."""
    first = outcome.events[0]
    if isinstance(first, Rejected) and first.reason in OF_THE_KEY | OF_THE_NONCE:
        return first.reason
    return None
