"""One client of the streams: its requests in order, who it speaks for, what it is subscribed to.

Theory of operation. Requests are served one after the other, because what one does (say who is there)
decides what the next may. Most are served as they arrive. One that has to wait for something (a look at a
session, at ClickHouse) is served by a task, and while there is one, what arrives queues behind it; so each
reply comes in its turn, and a subscription's first messages directly follow its own. An operation that may
overlap with others, as an order may, can take a place in this queue and be answered when its turn comes.

The connection never keeps data for a slow reader. While it can not be written to, its requests wait, for
what they ask for may be long, and its subscriptions fall behind, each at the seq that it has; when it can,
the hub gives them what they have missed (`hub`, `fan_out`).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager

from exchange.edge.dependencies import Edge
from exchange.edge.errors import problem_of, unavailable
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.rest.markets import market_of
from exchange.edge.ws import limits, messages
from exchange.edge.ws.close_codes import CloseCode
from exchange.edge.ws.fan_out import Missed, Subscription
from exchange.edge.ws.frames import Frames, ping_frame
from exchange.edge.ws.hub import Hub
from exchange.edge.ws.principal import Principal, identify
from exchange.edge.ws.requests import (
    Authenticate,
    Ping,
    Request,
    RequestRefused,
    Subject,
    Subscribe,
    Unsubscribe,
    parse_request,
)
from exchange.edge.ws.upgrade import Upgrade
from exchange.feeds.errors import FeedUnavailable
from exchange.feeds.keys import TopicKey
from exchange.gateway.accounts import own_account_id
from exchange.gateway.rate_limit import TokenBuckets
from exchange.gateway.refusals import GatewayCode

MAX_QUEUED = limits.REQUESTS_AT_ONCE
"""Requests that may wait behind one that is under way; with more nothing is read from the client."""


class Connection:
    """Made when the upgrade is answered. `write` and `close` are the transport's and the protocol's."""

    __slots__ = (
        "_allowance",
        "_auth_buckets",
        "_client",
        "_close",
        "_edge",
        "_heartbeat_due_s",
        "_hub",
        "_is_open",
        "_is_serving",
        "_ping_due_s",
        "_pinged_s",
        "_queue",
        "_read_or_not",
        "_subscriptions",
        "_takes_deflated",
        "_unsent_bytes",
        "_unsent_then",
        "_upgrade",
        "_write",
        "behind",
        "principal",
        "writable",
    )

    def __init__(
        self,
        *,
        hub: Hub,
        edge: Edge,
        auth_buckets: TokenBuckets,
        client: str,
        upgrade: Upgrade,
        takes_deflated: bool,
        write: Callable[[bytes], None],
        close: Callable[[CloseCode], None],
        read_or_not: Callable[[], None],
        unsent_bytes: Callable[[], int],
    ) -> None:
        """`read_or_not` is to be called whenever `is_backed_up` may have changed.

        `unsent_bytes`: of what was written, what is still here.
        """
        self._hub = hub
        self._edge = edge
        self._auth_buckets = auth_buckets
        self._client = client
        self._upgrade = upgrade
        self._takes_deflated = takes_deflated
        self._write = write
        self._close = close
        self._read_or_not = read_or_not
        self._unsent_bytes = unsent_bytes
        self._unsent_then = 0
        self._allowance = limits.Allowance()
        self._queue: deque[Request | Frames] = deque()
        """What is to be served, or to be said, when its turn comes."""
        self._is_serving = False
        self._is_open = True
        self._subscriptions: dict[Subject, Subscription] = {}
        self.principal: Principal | None = None
        self.writable = True
        self.behind: dict[Subscription, None] = {}
        """Subscriptions that have something to make up for, longest first."""
        now_s = asyncio.get_running_loop().time()
        self._heartbeat_due_s = now_s + limits.HEARTBEAT_S
        self._ping_due_s = now_s + limits.PING_S
        self._pinged_s: float | None = None
        """When the oldest ping was sent that is not answered."""

    # ---- what the protocol calls

    def open(self) -> None:
        """The upgrade is answered: says welcome."""
        self._hub.add(self)
        self._say(messages.welcome(self._edge.view, self._edge.clock_ns()))

    def on_closing(self) -> None:
        """Either side closes it: nothing more is to be sent."""
        self._is_open = self.writable = False

    def on_lost(self) -> None:
        """The transport is gone, however it went."""
        self.on_closing()
        self._queue.clear()
        try:
            for subject in list(self._subscriptions):
                self._end(subject)
        finally:
            self._hub.remove(self)

    def on_text(self, raw: bytes) -> None:
        """A whole message."""
        request: Request | None = None
        try:
            request = parse_request(raw)
        except RequestRefused as refused:
            problem, identifier = refused.problem, refused.id
        if not self._allowance.take():
            problem, identifier = _too_fast(), request.id if request is not None else identifier
            request = None
        self._in_turn(request or Frames([messages.error(problem, identifier)]))
        self._check_flood()

    def on_binary(self) -> None:
        """A whole message that is not text."""
        problem = Problem(EdgeCode.BINARY_NOT_SUPPORTED) if self._allowance.take() else _too_fast()
        self._in_turn(Frames([messages.error(problem, None)]))
        self._check_flood()

    def on_part(self) -> None:
        """A frame that is not the end of a message; too many are as bad as too many messages."""
        self._allowance.take()
        self._check_flood()

    def on_pong(self) -> None:
        """It is alive: also when this answers an older ping, or none."""
        self._pinged_s = None

    def on_writable(self) -> None:
        """It can be written to again."""
        with self.containing():
            if self.behind:
                self._hub.serve_soon(self)
            if not self._is_serving:
                self._serve_queue()

    def containing(self) -> AbstractContextManager[None]:
        """For what is done for this connection: an error of ours in there closes it with 1011."""
        return self._hub.containing(self)

    @property
    def is_backed_up(self) -> bool:
        """Whether so many requests wait that no more are to be read."""
        return len(self._queue) >= MAX_QUEUED

    # ---- what the hub and the subscriptions call

    def send(self, frames: Frames) -> None:
        """Writes, whoever reads or not: ask `writable` first for what can be had later."""
        self._write(frames.deflated if self._takes_deflated else frames.plain)

    def cut(self, code: CloseCode) -> None:
        """Closes the connection."""
        if self._is_open:
            self._hub.count_cut(code.reason)
            self._close(code)

    def fall_behind(self, subscription: Subscription) -> None:
        self.behind[subscription] = None
        if self.writable:
            self._hub.serve_soon(self)

    def catch_up(self, missed: Missed) -> None:
        """Gives the subscription that fell behind first of what it has missed, if that can be written."""
        if self.behind and self.writable:
            subscription = next(iter(self.behind))
            subscription.fan_out.catch_up(subscription, missed)
        if self.behind and self.writable:
            self._hub.serve_soon(self)

    def tick(self, now_s: float, now_ns: int, heartbeat: Frames) -> None:
        """What is due by the clock; about twice a second."""
        if not self._is_open:
            return
        self._sign_out_when_over(now_ns)
        if now_s >= self._heartbeat_due_s and self.writable and not self.behind:  # else it would not be true
            self._heartbeat_due_s = now_s + limits.HEARTBEAT_S
            self.send(heartbeat)
        if self._pinged_s is not None:
            self._look_whether_it_reads(now_s)
        if self._pinged_s is not None and now_s - self._pinged_s >= limits.PONG_S:
            self.cut(CloseCode.PING_TIMEOUT)
        elif now_s >= self._ping_due_s:
            self._ping_due_s = now_s + limits.PING_S
            self._pinged_s = self._pinged_s or now_s
            self._write(ping_frame(b""))

    def _look_whether_it_reads(self, now_s: float) -> None:
        """Our ping may wait behind what it reads, and its pongs not be read now: that it reads is as good."""
        unsent_bytes = self._unsent_bytes()
        if unsent_bytes < self._unsent_then:
            self._pinged_s = now_s
        self._unsent_then = unsent_bytes

    def _sign_out_when_over(self, now_ns: int) -> None:
        if self.principal is not None and self.principal.expires_ns <= now_ns:
            self.sign_out(Problem(GatewayCode.SESSION_EXPIRED, "this session is over; sign in again"))

    def sign_out(self, problem: Problem) -> None:
        """The connection speaks for nobody any more: its private streams end."""
        self._hub.forget_principal(self)
        self.principal = None
        for subject in [subject for subject in self._subscriptions if subject.is_private]:
            self._end(subject)
            self._hub.count_cut(problem.code.value)
            self._say(messages.ended(subject, problem))

    # ---- requests, in turn

    def _check_flood(self) -> None:
        if self._allowance.is_flooded:
            self.cut(CloseCode.FLOOD)

    def _in_turn(self, item: Request | Frames) -> None:
        """Serves or says it now, or after what is under way."""
        if not self._is_open:
            return
        self._queue.append(item)
        if not self._is_serving:
            self._serve_queue()
        elif self.is_backed_up:
            self._read_or_not()

    def _serve_queue(self) -> None:
        """As far as nothing has to be waited for, and the replies can be written."""
        was_backed_up = self.is_backed_up
        self._serve_what_can_be()
        if was_backed_up != self.is_backed_up:
            self._read_or_not()

    def _serve_what_can_be(self) -> None:
        while self._queue and self.writable:
            match self._queue.popleft():
                case Frames() as frames:
                    self.send(frames)
                case Ping(identifier):
                    view = self._edge.view
                    self._say(messages.pong(identifier, view.seq, self._edge.clock_ns()))
                case Unsubscribe() as request:
                    self._unsubscribe(request)
                case (Subscribe() | Authenticate()) as request:
                    self._is_serving = True
                    self._hub.start(self, self._serve(request))
                    return

    async def _serve(self, request: Subscribe | Authenticate) -> None:
        """Serves one request that may have to wait, then what came behind it."""
        try:
            if isinstance(request, Subscribe):
                await self._subscribe(request)
            else:
                await self._authenticate(request)
        except Exception as error:
            problem = _problem_of(error)
            if problem is None:
                raise
            self._say(messages.error(problem, request.id))
        finally:
            self._is_serving = False
        self._serve_queue()

    # ---- requests

    async def _authenticate(self, request: Authenticate) -> None:
        token = request.token or self._cookie()
        wait_s = self._auth_buckets.take(self._client)
        if wait_s:
            raise Problem(GatewayCode.RATE_LIMITED, f"too many attempts from here; wait {wait_s} s")
        principal = await identify(self._edge.sessions, token)
        if not self._is_open:
            return  # nobody would forget it again
        if self.principal is not None and self.principal.credential != principal.credential:
            self.sign_out(
                Problem(GatewayCode.UNAUTHENTICATED, "another session speaks on this connection now")
            )
        self.principal = principal
        self._hub.remember_principal(self)
        self._say(messages.authenticated(request.id, principal))

    def _cookie(self) -> str:
        if self._upgrade.cookie is None:
            raise Problem(GatewayCode.UNAUTHENTICATED, "send the token of a session", field="token")
        if not self._upgrade.has_origin:
            raise Problem(
                GatewayCode.ORIGIN_REQUIRED,
                "a cookie counts only from our own pages, which state their Origin; programs send a token",
            )
        return self._upgrade.cookie

    async def _subscribe(self, request: Subscribe) -> None:
        subject = request.subject
        self._sign_out_when_over(self._edge.clock_ns())
        known = self._subscriptions.get(subject)
        if known is None and len(self._subscriptions) >= limits.MAX_SUBSCRIPTIONS:
            raise Problem(EdgeCode.TOO_MANY_SUBSCRIPTIONS, f"at most {limits.MAX_SUBSCRIPTIONS}")
        principal, key = self.principal, self._key(subject)
        fan_out = await self._hub.open(key, subject)
        self._sign_out_when_over(self._edge.clock_ns())
        if not self._is_open or (subject.is_private and self.principal is not principal):
            self._hub.close(fan_out)  # while we waited
            raise Problem(GatewayCode.UNAUTHENTICATED, "the session has ended")
        if known is not None:
            self._end(subject)
        subscription = Subscription(self, fan_out)
        try:
            resumed, seq, first = fan_out.begin(subscription, request.resume_seq)
        except BaseException:
            self._hub.close(fan_out)
            raise
        self._subscriptions[subject] = subscription
        self._say(messages.subscribed(request.id, subject, resumed=resumed, seq=seq))
        for frames in first:
            self.send(frames)

    def _unsubscribe(self, request: Unsubscribe) -> None:
        if request.subject not in self._subscriptions:
            self._say(messages.error(Problem(EdgeCode.NOT_SUBSCRIBED), request.id))
            return
        self._end(request.subject)
        self._say(messages.unsubscribed(request.id, request.subject))

    def _key(self, subject: Subject) -> TopicKey:
        """Raises FieldRefused (unknown_market, unknown_account), Problem (unauthenticated)."""
        if subject.market is not None:
            market_id = market_of(self._edge, subject.market).market_id
            return TopicKey(subject.channel, market_id=market_id, interval=subject.interval or "")
        if self.principal is None:
            raise Problem(GatewayCode.UNAUTHENTICATED, "say who you are first, with auth")
        account_id = own_account_id(self._edge.view, self.principal.session, subject.sub_account)
        return TopicKey(subject.channel, account_id=account_id)

    def _end(self, subject: Subject) -> None:
        subscription = self._subscriptions.pop(subject)
        subscription.fan_out.end(subscription)
        self._hub.close(subscription.fan_out)

    def _say(self, payload: bytes) -> None:
        if self._is_open:
            self.send(Frames([payload]))


def _too_fast() -> Problem:
    return Problem(
        GatewayCode.RATE_LIMITED,
        f"at most {limits.REQUESTS_AT_ONCE} requests at once and {limits.REQUESTS_PER_S} a second",
    )


def _problem_of(error: Exception) -> Problem | None:
    if isinstance(error, FeedUnavailable):
        return unavailable(detail="this stream can not begin now; try again")
    return problem_of(error)
