"""One client of the streams: its requests in order, who it speaks for, what it is subscribed to.

Theory of operation. Requests are served one after the other, because what one does (say who is there)
decides what the next may. Most are served as they arrive. One that has to wait for something (a look at a
session, at ClickHouse) is served by a task, and while there is one, what arrives queues behind it; so each
reply comes in its turn, and a subscription's first messages directly follow its own. What trades overlaps: it
goes to the engine as it arrives, and is answered when its turn comes (`turns`, `trading`).

The connection never keeps data for a slow reader. While it can not be written to, its requests wait, for
what they ask for may be long, and its subscriptions fall behind, each at the seq that it has; when it can,
the hub gives them what they have missed (`hub`, `fan_out`). Only what the engine did with its orders is kept
for it, up to a bound.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

from exchange.core.rejects import RejectReason
from exchange.core.words import AgentScope
from exchange.edge.dependencies import Edge
from exchange.edge.errors import problem_of, unavailable
from exchange.edge.problems import RETRY_AFTER_S, EdgeCode, Problem
from exchange.edge.rest.markets import market_of
from exchange.edge.ws import limits, messages
from exchange.edge.ws.authentication import Authentication
from exchange.edge.ws.close_codes import CloseCode
from exchange.edge.ws.fan_out import Missed, Subscription
from exchange.edge.ws.frames import Frames, ping_frame
from exchange.edge.ws.hub import Hub
from exchange.edge.ws.requests import (
    Authenticate,
    AuthenticateByKey,
    Ping,
    RequestRefused,
    StreamRequest,
    Subject,
    Subscribe,
    TradeRequest,
    Unsubscribe,
    parse_request,
)
from exchange.edge.ws.trading import Trading
from exchange.edge.ws.turns import Pending, Turns
from exchange.edge.ws.upgrade import Upgrade
from exchange.feeds.errors import FeedUnavailable
from exchange.feeds.keys import Channel, TopicKey
from exchange.gateway.accounts import own_account_id
from exchange.gateway.callers import Caller
from exchange.gateway.rate_limit import TokenBuckets, client_key
from exchange.gateway.refusals import GatewayCode

RESULTS_BYTES = 60 * 1024
"""So many bytes of results are written at once, about what the system takes of them; then it is seen whether
the client can take more.
"""
_Waiting = Subscribe | Authenticate | AuthenticateByKey
"""What is served by a task, while all behind it waits."""


class Connection:
    """Made when the upgrade is answered. `write` and `close` are the transport's and the protocol's."""

    __slots__ = (
        "_allowance",
        "_authentication",
        "_close",
        "_done",
        "_edge",
        "_heartbeat_due_s",
        "_hub",
        "_is_open",
        "_ping_due_s",
        "_pinged_s",
        "_read_or_not",
        "_signed_out",
        "_subscriptions",
        "_takes_deflated",
        "_trading",
        "_trading_refusals",
        "_turns",
        "_unread_bytes",
        "_unsent_bytes",
        "_unsent_then",
        "_write",
        "behind",
        "bounds",
        "caller",
        "writable",
    )

    def __init__(
        self,
        *,
        hub: Hub,
        edge: Edge,
        auth_buckets: TokenBuckets,
        address: str | None,
        upgrade: Upgrade,
        takes_deflated: bool,
        write: Callable[[bytes], None],
        close: Callable[[CloseCode], None],
        read_or_not: Callable[[], None],
        unsent_bytes: Callable[[], int],
    ) -> None:
        """`read_or_not` is to be called whenever `is_backed_up` may have changed.

        `address` is the client's, as the transport knows it. `unsent_bytes`: of what was written, what is
        still here.
        """
        self._hub = hub
        self._edge = edge
        self._authentication = Authentication(edge, auth_buckets, upgrade, address)
        self._takes_deflated = takes_deflated
        self._write = write
        self._close = close
        self._read_or_not = read_or_not
        self._unsent_bytes = unsent_bytes
        self._unsent_then = 0
        self._allowance = limits.Allowance()
        self._trading = Trading(edge, client_key(address))
        self._trading_refusals = limits.Refusals(limits.MAX_REFUSED_TRADING)
        self._turns: Turns[StreamRequest | Frames] = Turns(_has_to_wait)
        self._done: list[Pending] = []
        """What the engine is done with, until the loop turns."""
        self._unread_bytes = 0
        """Of results that came while the client did not read."""
        self._is_open = True
        self._subscriptions: dict[Subject, Subscription] = {}
        self.caller: Caller | None = None
        self._signed_out = Problem(GatewayCode.UNAUTHENTICATED, "say who you are first, with auth")
        """Why there is no caller."""
        self.bounds = limits.STRANGERS
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
        challenge = self._authentication.challenge
        self._say(messages.welcome(self._edge.view, challenge, self._edge.clock_ns()))

    def on_closing(self) -> None:
        """Either side closes it: nothing more is to be sent."""
        self._is_open = self.writable = False

    def on_server_stop(self) -> None:
        """It will be lost because the server goes, not the client: no order is cancelled for that."""
        self._trading.cancels_when_lost = False

    def on_lost(self) -> None:
        """The transport is gone, however it went."""
        self.on_closing()
        in_flight = self._turns.clear()
        try:
            for subject in list(self._subscriptions):
                self._end(subject)
        finally:
            self._hub.remove(self)
            if self._trading.cancels_when_lost:
                self._hub.start(self, self._trading.cancel_placed(in_flight))

    def on_text(self, raw: bytes) -> None:
        """A whole message."""
        try:
            request = parse_request(raw, self.bounds.request_bytes)
        except RequestRefused as refused:
            problem = refused.problem if self._allowance.take() else _too_fast()
            self._in_turn(Frames([messages.error(problem, refused.id)]))
            self._check_flood()
            return
        if self.bounds is limits.TRADERS and isinstance(request, TradeRequest):
            self._in_turn(request, request.weight)  # what it may cost is known to `trading`
        elif self._allowance.take():
            self._in_turn(request)
        else:
            self._in_turn(Frames([messages.error(_too_fast(), request.id)]))
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
        """It can be written to again: it has read."""
        with self.containing():
            if self._pinged_s is not None:
                self._pinged_s = asyncio.get_running_loop().time()
            self._unread_bytes = 0
            if self.behind:
                self._hub.serve_soon(self)
            self._serve()

    def containing(self) -> AbstractContextManager[None]:
        """For what is done for this connection: an error of ours in there closes it with 1011."""
        return self._hub.containing(self)

    @property
    def is_backed_up(self) -> bool:
        """Whether so many requests wait that no more are to be read."""
        return self._turns.weight >= self.bounds.weight

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
        """Our ping may wait behind what it reads, and its pongs not be read now: that it reads is as good.

        When it has read all, `on_writable` says so.
        """
        unsent_bytes = self._unsent_bytes()
        if unsent_bytes < self._unsent_then:
            self._pinged_s = now_s
        self._unsent_then = unsent_bytes

    def _sign_out_when_over(self, now_ns: int) -> None:
        caller = self.caller
        if caller is None or caller.expires_ns > now_ns:
            return
        if caller.agent is None:
            self.sign_out(Problem(GatewayCode.SESSION_EXPIRED, "this session is over; sign in again"))
        else:
            self.sign_out(Problem(RejectReason.AGENT_EXPIRED, "what the owner allowed this key is over"))

    def sign_out(self, problem: Problem) -> None:
        """The connection speaks for nobody any more: its private streams end, and it trades no more."""
        self._hub.forget_caller(self)
        self.caller = None
        self._signed_out = problem
        self.bounds = limits.STRANGERS
        for subject in [subject for subject in self._subscriptions if subject.is_private]:
            self._end(subject)
            self._hub.count_cut(problem.code.value)
            self._say(messages.ended(subject, problem))

    # ---- requests, in turn

    def _check_flood(self) -> None:
        if self._allowance.refusals.are_too_many or self._trading_refusals.are_too_many:
            self.cut(CloseCode.FLOOD)

    def _in_turn(self, item: StreamRequest | TradeRequest | Frames, weight: int = 1) -> None:
        """Serves or says it now, or after what is under way."""
        if not self._is_open:
            return
        if self._turns.add(item, weight, self._hand_in):
            self._serve_what_can_be()
        if self.is_backed_up:
            self._read_or_not()

    def _hand_in(self, request: TradeRequest) -> Pending | Frames:
        """Gives the engine what trades, when nothing before it has to be waited for."""
        self._sign_out_when_over(self._edge.clock_ns())
        if self.caller is None:
            return Frames([messages.error(self._signed_out, request.id)])
        try:
            return self._trading.hand_in(self.caller, request, self._on_done)
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            if problem.code is GatewayCode.RATE_LIMITED:
                self._trading_refusals.add()
            return Frames([messages.error(problem, request.id)])

    def _on_done(self, pending: Pending) -> None:
        """The engine is done with something, and at work: it is looked at when the loop turns."""
        if not self._done:
            asyncio.get_running_loop().call_soon(self._take_done)
        self._done.append(pending)

    def _take_done(self) -> None:
        """All that the engine has done in one batch is answered, and sent together."""
        done, self._done = self._done, []
        for pending in done:
            self._take_outcome(pending)
        if self.writable:
            with self.containing():
                self._serve()

    def _take_outcome(self, pending: Pending) -> None:
        try:
            self._trading.take(pending)
            if not self._is_open:
                return
            pending.said = self._trading.result(pending)
        except Exception:
            self._hub.contain(self)
            return
        if not self.writable:
            self._unread_bytes += len(pending.said)
            if self._unread_bytes > limits.MAX_RESULT_BYTES:
                self.cut(CloseCode.SLOW_READER)

    def _serve(self) -> None:
        """As far as nothing has to be waited for, and the replies can be written."""
        was_backed_up = self.is_backed_up
        self._serve_what_can_be()
        if was_backed_up != self.is_backed_up:
            self._read_or_not()

    def _serve_what_can_be(self) -> None:
        turns = self._turns
        while self.writable and (item := turns.next()) is not None:
            match item:
                case Pending():
                    self._send_results_from(item)
                case Frames():
                    self.send(item)
                case Ping(identifier):
                    view = self._edge.view
                    self._say(messages.pong(identifier, view.seq, self._edge.clock_ns()))
                case Unsubscribe():
                    self._unsubscribe(item)
                case Subscribe() | Authenticate() | AuthenticateByKey():
                    self._hub.start(self, self._serve_waiting(item))

    def _send_results_from(self, pending: Pending) -> None:
        """That one's, and those of all that follow and are done, in few writes."""
        results: list[bytes] = []
        size_bytes = 0
        next_pending: Pending | None = pending
        while next_pending is not None:
            assert next_pending.said is not None
            results.append(next_pending.said)
            size_bytes += len(next_pending.said)
            next_pending = self._turns.next_pending() if size_bytes < RESULTS_BYTES else None
        self._write(Frames(results).plain)  # to deflate one takes longer than to trade

    async def _serve_waiting(self, request: _Waiting) -> None:
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
        self._turns.go_on(self._hand_in)
        self._serve()

    # ---- requests

    async def _authenticate(self, request: Authenticate | AuthenticateByKey) -> None:
        if isinstance(request, Authenticate):
            caller = await self._authentication.by_session(request)
        else:
            caller = self._authentication.by_key(request)
        if not self._is_open:
            return  # nobody would forget it again
        if self.caller is not None and self.caller.credential != caller.credential:
            self.sign_out(
                Problem(GatewayCode.UNAUTHENTICATED, "another session or key speaks on this connection now")
            )
        self.caller = caller
        self._hub.remember_caller(self)
        self.bounds = limits.TRADERS if AgentScope.TRADE in caller.scopes else limits.STRANGERS
        self._say(messages.authenticated(request.id, caller))

    async def _subscribe(self, request: Subscribe) -> None:
        subject = request.subject
        self._sign_out_when_over(self._edge.clock_ns())
        known = self._subscriptions.get(subject)
        if known is None and len(self._subscriptions) >= limits.MAX_SUBSCRIPTIONS:
            raise Problem(EdgeCode.TOO_MANY_SUBSCRIPTIONS, f"at most {limits.MAX_SUBSCRIPTIONS}")
        caller, key = self.caller, self._key(subject)
        fan_out = await self._hub.open(key, subject)
        self._sign_out_when_over(self._edge.clock_ns())
        if not self._is_open or (subject.is_private and self.caller is not caller):
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
        """Raises FieldRefused (unknown_market, unknown_account), Problem (unauthenticated), AgentRefused."""
        if subject.market is not None:
            market_id = market_of(self._edge, subject.market).market_id
            return TopicKey(subject.channel, market_id=market_id, interval=subject.interval or "")
        caller = self.caller
        if caller is None:
            raise Problem(GatewayCode.UNAUTHENTICATED, "say who you are first, with auth")
        caller.require_scope(AgentScope.READ)
        if subject.channel is Channel.WITHDRAWALS:  # from whichever account; deposits are the main one's
            caller.require_every_sub_account()
        account_id = own_account_id(self._edge.view, caller, subject.sub_account)
        return TopicKey(subject.channel, account_id=account_id)

    def _end(self, subject: Subject) -> None:
        subscription = self._subscriptions.pop(subject)
        subscription.fan_out.end(subscription)
        self._hub.close(subscription.fan_out)

    def _say(self, payload: bytes) -> None:
        if self._is_open:
            self.send(Frames([payload]))


def _has_to_wait(item: StreamRequest | Frames) -> bool:
    return isinstance(item, _Waiting)


def _too_fast() -> Problem:
    return Problem(
        GatewayCode.RATE_LIMITED,
        f"at most {limits.REQUESTS_AT_ONCE} requests at once and {limits.REQUESTS_PER_S} a second",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def _problem_of(error: Exception) -> Problem | None:
    if isinstance(error, FeedUnavailable):
        return unavailable(detail="this stream can not begin now; try again")
    return problem_of(error)
