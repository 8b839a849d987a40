"""The batch under way: commands applied to the state, on their way into one row of the journal."""

from collections.abc import Sequence
from typing import NamedTuple

from exchange.core.apply import apply
from exchange.core.commands import Command, Tick
from exchange.core.events import Event, Rejected
from exchange.core.rejects import RejectReason
from exchange.core.schedule import work_is_due
from exchange.core.state import State
from exchange.journal.rows import encode_command
from exchange.sequencer.inbox import Group, Inbox, Outcome

MAX_BATCH_EVENTS = 10_000
"""A row takes in nothing more once it has so many: it bounds the pause of the loop and the row's size."""

_TICK = Tick()
_ENCODED_TICK = encode_command(_TICK)


class Committed(NamedTuple):
    """What a batch of commands did, once it is durable.

    `events[i]` are those of the command `seq_first + i`.
    """

    seq_first: int
    seq_last: int
    time_ns: int
    events: Sequence[Sequence[Event]]


class Row:
    """One time, and everything that is done at it. Owned by the engine's task.

    Ticks go before commands wherever work is due, also inside a group. A group is never divided: once the
    Ticks inside it have made `MAX_BATCH_EVENTS` events they stop, and the rest of the group is answered
    `work_queued` where it would trade. Of a group whose nonce is refused nothing else is done, and nothing at
    all of one whose agent may not act any more.
    """

    __slots__ = ("_state", "_work", "encoded", "events", "groups", "time_ns")

    def __init__(self, state: State, time_ns: int) -> None:
        self._state = state
        self._work = 0
        self.time_ns = time_ns
        self.groups: list[Group] = []
        self.encoded: list[bytes] = []
        """The commands, as the journal keeps them."""
        self.events: list[tuple[Event, ...]] = []
        """Those of each command."""

    def fill(self, inbox: Inbox, max_commands: int) -> None:
        """Does what is due and takes what waits, until there is nothing or the row is full.

        `max_commands` is how many of the inbox make it full; Ticks are not counted.
        """
        state, time_ns, taken = self._state, self.time_ns, 0
        while self._work < MAX_BATCH_EVENTS:
            if work_is_due(state, time_ns):
                self._tick()
            elif inbox.commands and taken < max_commands:
                group = inbox.take()
                taken += group.size
                self._take(group)
            else:
                break

    def _take(self, group: Group) -> None:
        self.groups.append(group)  # before anything can fail: its caller will be told
        if group.nonce is not None:
            used = self._do(group.nonce, group.encoded_nonce)
            if isinstance(used.events[0], Rejected):
                group.outcomes.extend([used] * len(group.commands))
                return
        elif group.agent is not None:
            refused = self._refused(group.agent)
            if refused is not None:
                group.outcomes.extend([refused] * len(group.commands))
                return
        state, time_ns, ticked = self._state, self.time_ns, 0
        all_encoded, all_events, outcomes = self.encoded, self.events, group.outcomes
        for command, encoded in zip(group.commands, group.encoded, strict=True):
            while work_is_due(state, time_ns) and ticked < MAX_BATCH_EVENTS:
                ticked += self._tick()
            seq = state.seq + 1  # as in `_do`, without the call
            events = tuple(apply(state, seq, time_ns, command))
            all_encoded.append(encoded)
            all_events.append(events)
            self._work += len(events)
            outcomes.append(Outcome(seq, time_ns, events))

    def _refused(self, key: str) -> Outcome | None:
        """Why a key may not act after all that came before, in this row too; None if it may."""
        agent = self._state.agents[key]  # keys are remembered for ever
        if agent.is_live(self.time_ns):
            return None
        reason = RejectReason.AGENT_REVOKED if agent.revoked_ns else RejectReason.AGENT_EXPIRED
        return Outcome(self._state.seq, self.time_ns, (Rejected(reason),))

    def _tick(self) -> int:
        """Does a part of what is due; how many events that made."""
        events = self._do(_TICK, _ENCODED_TICK).events
        assert len(events) > 1, "a Tick that finds nothing to do would be followed by another for ever"
        return len(events)

    def _do(self, command: Command, encoded: bytes) -> Outcome:
        seq = self._state.seq + 1
        events = tuple(apply(self._state, seq, self.time_ns, command))
        self.encoded.append(encoded)
        self.events.append(events)
        self._work += len(events)
        return Outcome(seq, self.time_ns, events)
