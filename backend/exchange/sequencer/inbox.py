"""What waits for the single writer: groups of commands, bounded in commands, first come, first served.

Beyond its capacity the inbox keeps room for what frees resources or comes from the chain or the operator:
when placements are refused, cancels still pass. A group has that room only when all its commands have.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from exchange.core.commands import (
    CancelAll,
    CancelAllAfter,
    CancelOrder,
    Command,
    CreditDeposit,
    ListAsset,
    OpenMarket,
    RefundWithdrawal,
    RevokeAgent,
    SetAccountLimits,
    SetAccountState,
    SetFees,
    SetFeeTier,
    SetMarketState,
    SetPriceBands,
    SetRateClass,
    SetRules,
    SettleWithdrawal,
    SetWithdrawalTerms,
    Tick,
    UseNonce,
)
from exchange.core.events import Event

RESERVED_PERCENT = 25
"""Of the capacity, on top of it."""

MAX_RETRY_AFTER_S = 30

HAVE_RESERVED_ROOM: frozenset[type[Command]] = frozenset(
    {
        CancelOrder,
        CancelAll,
        CancelAllAfter,
        Tick,
        CreditDeposit,
        SettleWithdrawal,
        RefundWithdrawal,
        ListAsset,
        OpenMarket,
        SetMarketState,
        SetFees,
        SetFeeTier,
        SetPriceBands,
        SetAccountLimits,
        SetAccountState,
        SetWithdrawalTerms,
        SetRules,
        SetRateClass,
        RevokeAgent,
    }
)


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a command, committed. A refusal is one `Rejected` event."""

    seq: int
    time_ns: int
    events: tuple[Event, ...]


class Group(msgspec.Struct, gc=False, eq=False):
    """Commands that no other caller's come between, and who waits for their outcomes.

    With a `nonce` it is one signed request: the commands are done only if the nonce is taken.
    """

    commands: tuple[Command, ...]
    encoded: list[bytes]
    """Each command as the journal keeps it."""
    future: asyncio.Future[list[Outcome]]
    nonce: UseNonce | None = None
    encoded_nonce: bytes = b""
    outcomes: list[Outcome] = []
    """Of those commands that have been applied, in their order; nobody's until they are committed. When the
    nonce was refused, its own for each of them.
    """

    @property
    def size(self) -> int:
        """In commands."""
        return len(self.commands) + (self.nonce is not None)


class Inbox:
    """A bounded queue of groups, between the callers and the engine's task in one loop."""

    def __init__(self, capacity: int) -> None:
        assert capacity > 0
        self._capacity = capacity
        self._with_reserve = capacity + capacity * RESERVED_PERCENT // 100
        self._groups: deque[Group] = deque()
        self._arrived = asyncio.Event()
        self.commands = 0
        """How many wait."""

    def __bool__(self) -> bool:
        return bool(self._groups)

    def has_room(self, commands: Sequence[Command], nonce: UseNonce | None = None) -> bool:
        """Whether these may come in now, all of them."""
        after = self.commands + len(commands) + (nonce is not None)
        if after <= self._capacity:
            return True
        return after <= self._with_reserve and all(
            type(command) in HAVE_RESERVED_ROOM for command in commands
        )

    def put(self, group: Group) -> None:
        """Takes in a group for which there is room."""
        self.commands += group.size
        assert self.commands <= self._with_reserve
        self._groups.append(group)
        self._arrived.set()

    def take(self) -> Group:
        """The group that has waited longest."""
        group = self._groups.popleft()
        self.commands -= group.size
        return group

    async def wait(self, timeout_s: float) -> bool:
        """Waits until something is there; False when that takes longer than `timeout_s`."""
        self._arrived.clear()
        try:
            async with asyncio.timeout(timeout_s):
                while not self._groups:
                    await self._arrived.wait()
        except TimeoutError:
            return False
        return True


class Pace:
    """How fast commands get done, for telling callers when to try again. `now_s` is any steady clock."""

    _NEWEST = 0.2
    """Weight of the newest batch in the mean."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._began_s: float | None = None
        self._per_s = 0.0

    def begin(self) -> None:
        """A batch is begun."""
        self._began_s = self._now_s()

    def done(self, commands: int) -> None:
        """The batch is committed and released."""
        assert self._began_s is not None
        seconds = self._now_s() - self._began_s
        self._began_s = None
        if seconds > 0:
            newest = commands / seconds
            self._per_s += (newest - self._per_s) * (self._NEWEST if self._per_s else 1.0)

    def retry_after_s(self, backlog: int) -> int:
        """Whole seconds until so many commands are done, at the recent rate: 1 to `MAX_RETRY_AFTER_S`.

        A batch that has been under way for long (the database is slow) is expected to take as long again.
        """
        seconds = backlog / self._per_s if self._per_s else 0.0
        if self._began_s is not None:
            seconds = max(seconds, self._now_s() - self._began_s)
        return max(1, min(MAX_RETRY_AFTER_S, math.ceil(seconds)))
