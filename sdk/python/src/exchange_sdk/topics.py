"""One subscription at the exchange, and all who follow it here.

Theory of operation. A topic knows what it wants (is anybody following? must it begin again?) and where it
stands on the present connection; `sync` takes the next step from here to there, and is called whenever
either changes.

    OFF            nothing is asked for; also whenever the connection is lost
    ASKED          `subscribe` was sent
    BEGUN          it stands, and its snapshot comes next
    LIVE           snapshot or resumed: messages are taken
    ENDING         `unsubscribe` was sent; what still comes is passed over

Beginning again is ending and asking: from the newest seq that everybody has, if that is known, else with a
snapshot. Two things make it begin again: a message that does not fit (which the exchange never sends on one
connection) or a checksum that differs, and a follower that had to leave messages out and is ready for them
now.

Messages are handed to each follower with the seq that it has, for followers need not be equally far: what
one gets again another has had.
"""

from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Protocol

import msgspec

from exchange_sdk.book import ChecksumMismatch
from exchange_sdk.channels import CHANNELS, Message, State, Subject
from exchange_sdk.connection import Connection, Frame, Reply
from exchange_sdk.errors import (
    ExchangeError,
    NotAuthenticated,
    RateLimited,
    ServerError,
    Unavailable,
    UnexpectedAnswer,
)

RETRIED = (RateLimited, Unavailable, ServerError)
"""Refusals of a subscription that may be over soon."""


class Phase(Enum):
    """Where a topic stands on the present connection."""

    OFF = auto()
    ASKED = auto()
    BEGUN = auto()
    LIVE = auto()
    ENDING = auto()


class Follower(Protocol):
    """A subscription, as its topic sees it."""

    @property
    def resume_seq(self) -> int | None:
        """The seq that it has, if the topic must go on from there for it; None: it goes along with the
        topic."""

    def on_joined(self) -> None: ...
    def on_snapshot(self, message: Message) -> None: ...
    def on_resumed(self, seq: int) -> None: ...
    def on_update(self, message: Message) -> None: ...
    def on_caught_up(self, seq: int) -> None: ...
    def on_stale(self, reason: str) -> None: ...
    def fail(self, error: ExchangeError | None) -> None: ...


class TopicHost(Protocol):
    """The stream, as its topics see it."""

    @property
    def connection(self) -> Connection | None:
        """The present one."""

    def connection_for(self, topic: "Topic") -> Connection | None:
        """Where the topic can be asked for now."""

    def call_later(self, attempt: int, asked_s: float | None, callback: Callable[[], None]) -> None:
        """After a while that grows with the attempts."""

    def signed_out(self, connection: Connection) -> None:
        """The connection speaks for nobody any more."""

    def forget(self, topic: "Topic") -> None:
        """Nobody follows it any more, and it has ended."""


class Topic:
    """See above."""

    def __init__(self, subject: Subject, host: TopicHost) -> None:
        self.subject = subject
        self.channel = CHANNELS[subject.channel]
        self.state: State = self.channel.new_state()
        self.seq: int | None = None
        """As of when the state is true; None before the first snapshot."""
        self.time_ms = 0
        self.is_made_up = False
        """On this connection it has everything that was missed before it."""
        self.snapshots = 0
        self.resumed = 0
        self._host = host
        self._followers: dict[Follower, None] = {}
        self._phase = Phase.OFF
        self._must_begin_again = False
        self._has_begun = False
        self._attempts = 0
        """What went wrong since the last heartbeat that found it live."""
        self._waits = False

    @property
    def is_live(self) -> bool:
        return self._phase is Phase.LIVE

    # ---- who follows

    def add(self, follower: Follower) -> None:
        self._followers[follower] = None
        if self._phase is Phase.LIVE:
            follower.on_joined()
        self.sync()

    def remove(self, follower: Follower) -> None:
        self._followers.pop(follower, None)
        self.sync()

    def begin_again(self) -> None:
        """Asks once more, from what the followers have."""
        self._must_begin_again = True
        self.sync()

    def fail(self, error: ExchangeError | None) -> None:
        """It is over for all who follow."""
        for follower in list(self._followers):
            follower.fail(error)

    # ---- the steps

    def sync(self) -> None:
        """Takes the next step, if there is one to take now."""
        connection = self._host.connection_for(self)
        if self._phase is Phase.OFF and not self._followers:
            self._host.forget(self)
        elif connection is None or self._waits:
            return
        elif self._phase is Phase.OFF:
            self._ask(connection)
        elif self._phase is Phase.LIVE and (self._must_begin_again or not self._followers):
            self._phase = Phase.ENDING
            body = {"op": "unsubscribe"} | self.subject.parameters()
            connection.post(body, partial(self._on_ended, connection))

    def on_lost(self, reason: str) -> None:
        """The connection is gone."""
        self._stop(reason)

    def _stop(self, reason: str) -> None:
        was_live = self._phase in {Phase.LIVE, Phase.ENDING}
        self._phase = Phase.OFF
        self.is_made_up = False
        if was_live:
            for follower in list(self._followers):
                follower.on_stale(reason)

    def _ask(self, connection: Connection) -> None:
        self._must_begin_again = False
        self._phase = Phase.ASKED
        body = {"op": "subscribe"} | self.subject.parameters()
        resume_seq = self._resume_seq()
        if resume_seq is not None:
            body["resume_seq"] = resume_seq
        connection.post(body, partial(self._on_asked, connection))

    def _resume_seq(self) -> int | None:
        if self.seq is None:
            return None
        wanted = [follower.resume_seq for follower in self._followers if follower.resume_seq is not None]
        return min([self.seq, *wanted])

    def _on_asked(self, connection: Connection, reply: Reply | None) -> None:
        if reply is None or connection is not self._host.connection:
            return
        error = reply.error
        if error is not None:
            self._phase = Phase.OFF
            self._refused(error, connection)
            return
        self.is_made_up = False
        if reply.frame.resumed:
            self._phase = Phase.LIVE
            self.resumed += 1
            for follower in list(self._followers):
                follower.on_resumed(reply.frame.seq)
        else:
            self._phase = Phase.BEGUN
        self.sync()

    def _on_ended(self, connection: Connection, reply: Reply | None) -> None:
        if reply is None or connection is not self._host.connection:
            return
        self._phase = Phase.OFF  # `not_subscribed` is as good
        self.sync()

    def _refused(self, error: ExchangeError, connection: Connection) -> None:
        if isinstance(error, NotAuthenticated) and self.channel.is_private:
            self._host.signed_out(connection)
            return
        if isinstance(error, RETRIED) and (self._has_begun or isinstance(error, RateLimited)):
            self._wait(error.retry_after_s)
        else:
            self.fail(error)

    def _wait(self, asked_s: float | None = None) -> None:
        """Nothing is asked for a while."""
        self._attempts += 1
        self._waits = True
        self._host.call_later(self._attempts, asked_s, self._go_on)

    def _go_on(self) -> None:
        self._waits = False
        self.sync()

    # ---- messages

    def on_ended(self, frame: Frame) -> None:
        """The exchange has ended it, because whom it was for is not there any more."""
        self._stop(f"{frame.code}: the exchange ended it")

    def on_data(self, frame: Frame) -> None:
        """A snapshot or an update."""
        is_snapshot = frame.type == "snapshot"
        if self._phase is not Phase.LIVE and not (is_snapshot and self._phase is Phase.BEGUN):
            return
        try:
            data = self.channel.read(frame.data)
        except msgspec.MsgspecError as error:
            self.fail(UnexpectedAnswer(f"a message of {self.subject} can not be read: {error}"))
            return
        message = Message(frame.seq, None if is_snapshot else frame.prev_seq, frame.time_ms, data)
        try:
            self._take(message)
        except ChecksumMismatch as mismatch:
            self.seq = None  # what it has is wrong: nothing can build on it
            self._is_wrong(str(mismatch))
        except ArithmeticError as error:
            self.fail(UnexpectedAnswer(f"a message of {self.subject} has what is no number: {error!r}"))

    def _take(self, message: Message) -> None:
        if message.prev_seq is None:
            self.state.replace(message.data)
            self.seq, self.time_ms = message.seq, message.time_ms
            self.snapshots += 1
            self.is_made_up = True
            self._phase = Phase.LIVE
            self._has_begun = True
            for follower in list(self._followers):
                follower.on_snapshot(message)
            self.sync()
            return
        assert self.seq is not None
        if message.prev_seq > self.seq:
            self._is_wrong(f"messages from {self.seq} to {message.prev_seq} are missing")
            return
        if message.seq > self.seq or message.is_step or not self.channel.is_private:
            self.state.apply(message.data)
            self.seq = max(self.seq, message.seq)
            if not message.is_step:  # their time is the wall's, not the engine's
                self.time_ms = message.time_ms
        connection = self._host.connection
        if connection is not None and message.seq >= connection.welcome.seq:
            self.is_made_up = True
        for follower in list(self._followers):
            follower.on_update(message)

    def _is_wrong(self, reason: str) -> None:
        """What it has is not what the exchange has: it begins again; if that does not help, not so soon."""
        self._phase = Phase.LIVE
        self._must_begin_again = True
        for follower in list(self._followers):
            follower.on_stale(reason)
        self.sync()
        self._attempts += 1
        if self._attempts > 1:
            self._attempts -= 1
            self._wait()

    def on_heartbeat(self, seq: int) -> None:
        """Everything up to this seq was sent."""
        if self._phase is Phase.LIVE and self.seq is not None:
            self.seq = max(self.seq, seq)
            self.is_made_up = True
            self._attempts = 0
            for follower in list(self._followers):
                follower.on_caught_up(self.seq)
