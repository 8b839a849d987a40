"""From one topic to all who are subscribed to it.

Theory of operation. An update is turned into bytes once. A subscription is a cursor, the seq that its
reader has; when that is where the update begins, the bytes are written, and that is all there is to do for
it. Nothing is kept for one that can not be written to: it falls behind, and gets what leads from its own
seq to the present, once it can be written to and its turn comes (`catch_up`), made once for all that have the
same seq. Of what is private, MESSAGES_AT_ONCE are given in one turn; so is it with one that resumes.

    it is too far behind for that, public      a snapshot
    it is too far behind for that, private     cut off: nothing private is ever left out
    more than MAX_WAITING_MESSAGES wait, private   cut off, while it can still resume
"""

import time
from collections.abc import Sequence
from typing import Protocol

from exchange.edge.dependencies import Edge
from exchange.edge.ws.close_codes import CloseCode
from exchange.edge.ws.frames import Frames
from exchange.edge.ws.items import data_json
from exchange.edge.ws.limits import MAX_WAITING_MESSAGES
from exchange.edge.ws.messages import data_message
from exchange.edge.ws.requests import Subject
from exchange.feeds.topic import Topic
from exchange.feeds.updates import Update
from exchange.metrics import StreamCounters

MESSAGES_AT_ONCE = 50
"""So many private messages are made for one subscription in one turn."""
SNAPSHOT_KEPT_S = 1.0
"""For so long a snapshot is given to all who want one, with the updates since: whole books are long."""


class Reader(Protocol):
    """What a subscription writes to."""

    writable: bool
    behind: dict["Subscription", None]

    def fall_behind(self, subscription: "Subscription") -> None:
        """There is something to be made up for, as soon as it can be written to and its turn comes."""

    def send(self, frames: Frames) -> None:
        """Writes them."""

    def cut(self, code: CloseCode) -> None:
        """Closes the connection."""


class Subscription:
    """One reader's place in one topic."""

    __slots__ = ("fan_out", "reader", "seq", "waiting")

    def __init__(self, reader: Reader, fan_out: "FanOut") -> None:
        self.reader = reader
        self.fan_out = fan_out
        self.seq = 0
        self.waiting = 0
        """Updates that it has not been given yet."""


Piece = tuple[list[Frames], int]
"""What a subscription is given in one turn, and the seq that it has then."""
Missed = dict[tuple["FanOut", int], Piece | None]
"""What leads on from a seq; for one turn of the loop, in which nothing is committed."""


class FanOut:
    """One topic and its subscriptions, which are all to the same `subject`."""

    def __init__(self, edge: Edge, topic: Topic, subject: Subject, counters: StreamCounters) -> None:
        self.topic = topic
        self.subject = subject
        self._edge = edge
        self._counters = counters
        self._channel = subject.channel.value
        self._subscriptions: dict[Subscription, None] = {}
        self._snapshot: tuple[int, Frames] | None = None
        self._snapshot_rewritten = 0
        """`Topic.rewritten` when it was made."""
        self._snapshot_until_s = 0.0

    def __bool__(self) -> bool:
        return bool(self._subscriptions)

    # ---- subscriptions

    def begin(self, subscription: Subscription, resume_seq: int | None) -> tuple[bool, int, list[Frames]]:
        """Begins a subscription, or begins it anew.

        Whether it goes on from `resume_seq`, the seq that what comes next builds on, and the first messages.
        """
        missed = None if resume_seq is None else self.topic.since(resume_seq)
        if missed is not None and resume_seq is not None:
            resumed, seq = True, resume_seq
            first, has_seq = self._piece(missed)
        else:
            resumed = False
            seq, first = self._whole()
            has_seq = self.topic.seq
        if subscription not in self._subscriptions:
            self._subscriptions[subscription] = None
            self._counters.subscriptions[self._channel] += 1
        self._is_at(subscription, has_seq)
        self._count(first, 1)
        return resumed, seq, first

    def end(self, subscription: Subscription) -> None:
        """Nothing more is sent to it."""
        del self._subscriptions[subscription]
        subscription.reader.behind.pop(subscription, None)
        self._counters.subscriptions[self._channel] -= 1

    # ---- updates

    def publish(self, updates: Sequence[Update]) -> None:
        """Gives new updates, which follow each other, to all that can take them."""
        if not self._subscriptions:
            return
        first_seq, last_seq = updates[0].prev_seq, updates[-1].seq
        frames = self._frames(updates)
        missed: Missed = {}
        served = 0
        for subscription in self._subscriptions:
            reader = subscription.reader
            if not reader.writable:
                self._fall_behind(subscription, len(updates))
            elif reader.behind and subscription in reader.behind:
                pass  # its turn will come
            elif subscription.seq == first_seq:
                reader.send(frames)
                subscription.seq = last_seq
                served += 1
            elif subscription.seq <= last_seq:
                self.catch_up(subscription, missed)
        self._count([frames], served)

    def catch_up(self, subscription: Subscription, missed: Missed) -> None:
        """Gives it of what it has missed, which is kept in `missed` for others at the same seq."""
        place = (self, subscription.seq)
        if place not in missed:
            missed[place] = self._missed(subscription.seq)
        found = missed[place]
        if found is None:
            subscription.reader.cut(CloseCode.SLOW_READER)
            return
        first, has_seq = found
        for frames in first:
            subscription.reader.send(frames)
        self._count(first, 1)
        if not self.topic.key.is_private:
            self._counters.conflated[self._channel] += subscription.waiting
        self._is_at(subscription, has_seq)

    def _missed(self, seq: int) -> Piece | None:
        """What leads on from a seq; None when nothing does."""
        updates = self.topic.since(seq)
        if updates is not None:
            return self._piece(updates)
        return None if self.topic.key.is_private else (self._whole()[1], self.topic.seq)

    def _piece(self, updates: Sequence[Update]) -> Piece:
        """As much as is given in one turn of updates up to the present."""
        some = updates[:MESSAGES_AT_ONCE] if self.topic.key.is_private else updates
        has_seq = self.topic.seq if len(some) == len(updates) else some[-1].seq
        return [self._frames(some)] if some else [], has_seq

    def _fall_behind(self, subscription: Subscription, updates: int) -> None:
        subscription.reader.fall_behind(subscription)
        subscription.waiting += updates
        if self.topic.key.is_private and subscription.waiting > MAX_WAITING_MESSAGES:
            subscription.reader.cut(CloseCode.SLOW_READER)

    def _is_at(self, subscription: Subscription, seq: int) -> None:
        subscription.seq = seq
        subscription.waiting = 0
        if seq < self.topic.seq:
            subscription.reader.fall_behind(subscription)
        else:
            subscription.reader.behind.pop(subscription, None)

    # ---- bytes

    def _whole(self) -> tuple[int, list[Frames]]:
        """A snapshot, the updates since if it is not quite new, and the snapshot's seq."""
        rewritten, now_s = self.topic.rewritten, time.monotonic()
        is_good = rewritten == self._snapshot_rewritten and now_s < self._snapshot_until_s
        if self._snapshot is not None and is_good:
            seq, frames = self._snapshot
            updates = self.topic.since(seq)
            if updates is not None:
                return seq, [frames, self._frames(updates)] if updates else [frames]
        snapshot = self.topic.snapshot()
        frames = Frames([self._message(snapshot)])
        self._snapshot = (snapshot.seq, frames)
        self._snapshot_rewritten = rewritten
        self._snapshot_until_s = time.monotonic() + SNAPSHOT_KEPT_S
        return snapshot.seq, [frames]

    def _frames(self, updates: Sequence[Update]) -> Frames:
        return Frames([self._message(update) for update in updates])

    def _message(self, update: Update) -> bytes:
        data = data_json(self._edge, update)
        return data_message(self.subject, update.prev_seq, update.seq, update.time_ns, data)

    def _count(self, sent: Sequence[Frames], readers: int) -> None:
        for frames in sent:
            self._counters.messages_sent[self._channel] += readers * frames.messages
            self._counters.bytes_sent += readers * frames.payload_bytes
