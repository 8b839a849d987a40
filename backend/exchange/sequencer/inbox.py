"""What waits for the single writer: groups of commands, bounded in commands.

Beyond its capacity the inbox keeps room for what frees resources or comes from the chain or the operator:
when placements are refused, cancels still pass. A group has that room only when all its commands have.

Of what waits, groups of nothing but cancels go first, for who is late to cancel pays for it. Nobody's own
order of things is changed by that: a group that names an account, or a key, of which something waits in the
line of the others stands in that line too. Both lines are first come, first served, and the line of the
others never stands still: its first has its turn after every `MAX_OVERTAKING` commands that came later.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, get_args

import msgspec

from exchange.core.commands import (
    CancelAll,
    CancelAllAfter,
    CancelClientOrder,
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

MAX_OVERTAKING: Final = 100

MAX_RETRY_AFTER_S = 30

GO_FIRST: frozenset[type[Command]] = frozenset({CancelOrder, CancelClientOrder, CancelAll, CancelAllAfter})

HAVE_RESERVED_ROOM: frozenset[type[Command]] = frozenset(
    {
        *GO_FIRST,
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


_NAMES: Final = {
    kind: next((name for name in ("account_id", "key") if name in kind.__struct_fields__), None)
    for kind in get_args(Command)
}
"""Where a command names the account or the key whose order of things is kept."""

Name = int | str


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a command, committed. A refusal is one `Rejected` event."""

    seq: int
    time_ns: int
    events: tuple[Event, ...]


Tell = Callable[[list[Outcome] | None], None]
"""Takes the outcomes of a group's commands, once; None when they are unknown, because the engine stopped.

It is called by the engine's task between two batches: it must be quick, and must not raise.
"""


class Group(msgspec.Struct, gc=False, eq=False):
    """Commands that no other caller's come between, and who is told of their outcomes.

    With a `nonce` it is one signed request: the commands are done only if the nonce is taken. With an `agent`
    it is of a key that has shown itself before: they are done only if that may still act.
    """

    commands: tuple[Command, ...]
    encoded: list[bytes]
    """Each command as the journal keeps it."""
    tell: Tell
    nonce: UseNonce | None = None
    encoded_nonce: bytes = b""
    agent: str | None = None
    outcomes: list[Outcome] = []
    """Of those commands that have been applied, in their order; nobody's until they are committed. When the
    nonce or the agent was refused, why that was, for each of them.
    """

    # The inbox's own:
    number: int = 0
    """The groups are numbered as they come in."""
    size: int = 0
    """In commands, the nonce being one."""
    names: tuple[Name, ...] = ()
    """The accounts and keys it names."""


class Inbox:
    """Two lines of groups with one bound, between the callers and the engine's task in one loop."""

    def __init__(self, capacity: int) -> None:
        assert capacity > 0
        self._capacity = capacity
        self._with_reserve = capacity + capacity * RESERVED_PERCENT // 100
        self._cancels: deque[Group] = deque()
        self._others: deque[Group] = deque()
        self._named: dict[Name, int] = {}
        """How many of the others name an account or a key."""
        self._overtaking = 0
        """Commands taken from the line of the cancels since one of the others had its turn."""
        self._numbered = 0
        self._arrived = asyncio.Event()
        self.commands = 0
        """How many wait."""

    def __bool__(self) -> bool:
        return bool(self._others or self._cancels)

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
        group.size = size = len(group.commands) + (group.nonce is not None)
        self.commands += size
        assert self.commands <= self._with_reserve
        self._numbered = group.number = self._numbered + 1
        group.names = names = _names(group)
        named = self._named
        if _goes_first(group.commands) and named.keys().isdisjoint(names):
            self._cancels.append(group)
        else:
            self._others.append(group)
            for name in names:
                named[name] = named.get(name, 0) + 1
        self._arrived.set()

    def take(self) -> Group:
        """The group whose turn it is."""
        if self._cancels and not self._is_turn_of_others():
            group = self._cancels.popleft()
            self._overtaking += group.size
        else:
            group = self._others.popleft()
            self._overtaking = 0
            named = self._named
            for name in group.names:
                left = named[name] - 1
                if left:
                    named[name] = left
                else:
                    del named[name]
        self.commands -= group.size
        return group

    def _is_turn_of_others(self) -> bool:
        """Whether the first of them was overtaken by enough. What came before it is never overtaken by it."""
        if not self._others or self._overtaking < MAX_OVERTAKING:
            return False
        return self._others[0].number < self._cancels[0].number

    async def wait(self, timeout_s: float) -> bool:
        """Waits until something is there; False when that takes longer than `timeout_s`."""
        self._arrived.clear()
        try:
            async with asyncio.timeout(timeout_s):
                while not self:
                    await self._arrived.wait()
        except TimeoutError:
            return False
        return True


def _goes_first(commands: tuple[Command, ...]) -> bool:
    if type(commands[0]) not in GO_FIRST:
        return False
    return len(commands) == 1 or all(type(command) in GO_FIRST for command in commands)


def _names(group: Group) -> tuple[Name, ...]:
    """Without a loop for the one command that most groups are."""
    nonce, commands = group.nonce, group.commands
    first = commands[0]
    field = _NAMES[type(first)]
    names: tuple[Name, ...] = () if field is None else (getattr(first, field),)
    if len(commands) > 1:
        names = tuple(
            {getattr(each, field): None for each in commands if (field := _NAMES[type(each)]) is not None}
        )
    return names if nonce is None else (*names, nonce.key)


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
        """The batch is over; one that had nothing to commit says nothing of the pace."""
        assert self._began_s is not None
        seconds = self._now_s() - self._began_s
        self._began_s = None
        if commands and seconds > 0:
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
