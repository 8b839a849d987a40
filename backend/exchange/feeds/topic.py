"""A stream that can be followed: its state, and the updates that it remembers."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from exchange.feeds.keys import TopicKey
from exchange.feeds.updates import Data, Update
from exchange.sequencer.committed import CommittedView


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Updates that have been made and not yet been handed out, by topic, each topic's in their order."""

    _updates: dict["Topic", list[Update]] = field(default_factory=dict)

    def add(self, topic: "Topic", update: Update) -> None:
        updates = self._updates.get(topic)
        if updates is None:
            self._updates[topic] = [update]
        else:
            updates.append(update)

    def take(self) -> list[tuple["Topic", list[Update]]]:
        """All there are; nobody will get them again."""
        taken = list(self._updates.items())
        self._updates.clear()
        return taken

    def discard(self, topic: "Topic") -> None:
        self._updates.pop(topic, None)


class Topic(ABC):
    """One stream. A subscriber of it is a cursor: the `seq` up to which it has everything.

    Each update's `prev_seq` is the `seq` of the one before, or, for the first, that of the snapshots until
    then. `snapshot` and `since` first take in all that is committed; what they find new becomes an update
    like any other, so that whoever has an older cursor gets it too.

    `settle` takes in all that is committed, down to this topic; the topic publishes what changed.
    """

    def __init__(
        self, key: TopicKey, view: CommittedView, outgoing: Outgoing, settle: Callable[[], None]
    ) -> None:
        self.key = key
        self.seq = view.seq
        """Of its newest update; of its beginning when there is none."""
        self.subscribers = 0
        self.rewritten = 0
        """How often a snapshot of one and the same seq has got more in it."""
        self._view = view
        self._outgoing = outgoing
        self._settle = settle

    def snapshot(self) -> Update:
        """The whole state, as of `self.seq` after the call."""
        self._settle()
        return self._snapshot()

    def since(self, seq: int) -> list[Update] | None:
        """What takes a cursor from `seq` to `self.seq`, as it is after the call; the cursor is there then.

        Empty when there is nothing. None when it is not known any more, or `seq` was never reached: only a
        snapshot helps.
        """
        self._settle()
        return None if seq > self._view.seq else self._since(seq)

    @abstractmethod
    def _snapshot(self) -> Update: ...

    @abstractmethod
    def _since(self, seq: int) -> list[Update] | None:
        """For a `seq` that has been reached."""

    def _publish(self, seq: int, time_ns: int, data: Data) -> Update:
        update = Update(self.key, seq, self.seq, time_ns, data)
        self.seq = seq
        self._outgoing.add(self, update)
        return update
