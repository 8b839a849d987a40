"""Private streams of which nothing is ever left out: each message stands for itself and is remembered."""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable

from exchange.feeds.keys import TopicKey
from exchange.feeds.topic import Outgoing, Topic
from exchange.feeds.updates import Data, Update
from exchange.sequencer.committed import CommittedView

KEPT_MESSAGES = 2_000
"""Of one topic: who is cut off when it has missed half of that has the time to come back."""
KEPT_IN_ALL = 200_000
"""Of all topics; when they have more, those with the longest memory lose of it."""


class Memory:
    """How much all the message logs together remember."""

    def __init__(self, capacity: int = KEPT_IN_ALL) -> None:
        self.messages = 0
        self._capacity = capacity
        self._logs: dict[MessageLog, None] = {}

    def join(self, log: "MessageLog") -> None:
        self._logs[log] = None

    def leave(self, log: "MessageLog") -> None:
        """The log ends; all it has is forgotten."""
        del self._logs[log]
        self.messages -= log.forget(0)

    def count(self, messages: int) -> None:
        """So many more are remembered. When these are too many, half of the capacity is shared out evenly."""
        self.messages += messages
        if self.messages > self._capacity:
            fair = self._capacity // (2 * len(self._logs))
            self.messages -= sum(log.forget(fair) for log in self._logs)


class MessageLog(Topic):
    """A topic that publishes one update for each command that concerns it."""

    def __init__(
        self,
        key: TopicKey,
        view: CommittedView,
        outgoing: Outgoing,
        settle: Callable[[], None],
        memory: Memory,
    ) -> None:
        super().__init__(key, view, outgoing, settle)
        self._floor_seq = self.seq
        self._messages: deque[Update] = deque()
        self._memory = memory
        memory.join(self)

    def flush(self, seq: int, time_ns: int) -> None:
        """Publishes what the command `seq` has changed; it must have changed something."""
        self._messages.append(self._publish(seq, time_ns, self._take(time_ns)))
        self._memory.count(1 - self.forget(KEPT_MESSAGES))

    def forget(self, kept: int) -> int:
        """Forgets the oldest messages but for `kept`; how many these were."""
        lost = max(0, len(self._messages) - kept)
        for _ in range(lost):
            self._floor_seq = self._messages.popleft().seq
        return lost

    @abstractmethod
    def _take(self, time_ns: int) -> Data:
        """What has changed since the last call, by a command of this time."""

    @abstractmethod
    def _state(self) -> Data:
        """All there is now."""

    def _snapshot(self) -> Update:
        return Update(self.key, self.seq, None, self._view.time_ns, self._state())

    def _since(self, seq: int) -> list[Update] | None:
        if seq < self._floor_seq:
            return None
        found = []
        for update in reversed(self._messages):
            if update.seq <= seq:
                break
            found.append(update)
        found.reverse()
        return found
