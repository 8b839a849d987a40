"""The middle of the streams: who is connected, what is followed, and when it is sent.

    something was committed   private updates go out at once; public ones when the last flush of them is
                              FLUSH_S ago, and REST_FACTOR times as long as that one took: so they never
                              take more than about a fifth of the loop, however much there is to tell
    a slow reader reads       it gets what it has missed with the next flushes, as one that resumes does
    twice a second            a flush in any case (candles end by the clock), heartbeats, pings, sessions
                              that have expired
    once a second             what the chain says of deposits and withdrawals, where somebody asks for it
    a session was ended       its private streams end in the same moment, and it trades no more (`Sessions`);
    or a key revoked          for a key that is when its revocation is committed (`CommittedView`)

An error of ours is a bug. Where it concerns one connection, that is closed with 1011 (`containing`); where
it may concern all, all are, and the feeds begin anew. Either is logged; the engine and the rest of the edge
go on.
"""

import asyncio
import time
import traceback
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import structlog

from exchange.core.rejects import RejectReason
from exchange.edge.dependencies import Edge
from exchange.edge.problems import RETRY_AFTER_S, EdgeCode, Problem
from exchange.edge.ws import messages
from exchange.edge.ws.chain_steps import DepositsFanOut, StepsFanOut, WithdrawalsFanOut, with_steps
from exchange.edge.ws.close_codes import CloseCode
from exchange.edge.ws.fan_out import FanOut, Missed, Reader
from exchange.edge.ws.frames import Frames
from exchange.edge.ws.requests import Subject
from exchange.feeds.feeds import Feeds, Handed
from exchange.feeds.keys import Channel, TopicKey
from exchange.gateway.callers import Caller
from exchange.gateway.refusals import GatewayCode
from exchange.metrics import StreamCounters
from exchange.stores.errors import OUTAGES

FLUSH_S = 0.01
REST_FACTOR = 4
SERVE_S = 0.02
"""How long readers that were behind are served in one flush, at most; the others wait for the next."""
TICK_S = 0.5
POLL_CHAIN_S = 1.0
MAX_CONNECTIONS = 4_000

logger = structlog.get_logger(__name__)


class Client(Reader, Protocol):
    """A connection, as the hub sees it."""

    caller: Caller | None

    def catch_up(self, missed: Missed) -> None: ...
    def tick(self, now_s: float, now_ns: int, heartbeat: Frames) -> None: ...
    def sign_out(self, problem: Problem) -> None: ...


class Hub:
    """All streams of one edge. One `run` task; everything else is called in the same loop."""

    def __init__(
        self,
        edge: Edge,
        feeds: Feeds,
        counters: StreamCounters,
        *,
        max_connections: int = MAX_CONNECTIONS,
        tick_s: float = TICK_S,
        poll_chain_s: float = POLL_CHAIN_S,
    ) -> None:
        self._edge = edge
        self._feeds = feeds
        self._counters = counters
        self._max_connections = max_connections
        self._tick_s = tick_s
        self._poll_chain_s = poll_chain_s
        self._clients: dict[Client, None] = {}
        self._by_credential: dict[bytes | str, dict[Client, None]] = {}
        self._fan_outs: dict[TopicKey, FanOut] = {}
        self._to_serve: dict[Client, None] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._flush_timer: asyncio.TimerHandle | None = None
        self._is_flushing = False
        self._flush_from_s = 0.0
        """Before then no flush begins."""
        edge.sessions.watch(self._session_ended, self._sessions_in_use)
        edge.view.watch_revoked(self._agent_revoked)

    async def run(self) -> None:
        """Serves until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._keep_ticking())
                self._tasks.create_task(self._keep_polling_chain())
                while True:
                    await self._feeds.woken.wait()
                    self._feeds.woken.clear()
                    self._drain()
        finally:
            self._tasks = None
            if self._flush_timer is not None:
                self._flush_timer.cancel()

    def start(self, client: Client, work: Coroutine[Any, Any, None]) -> None:
        """Runs a request of the client that has to wait for something."""
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(self._work_for(client, work))

    async def _work_for(self, client: Client, work: Coroutine[Any, Any, None]) -> None:
        with self.containing(client):
            await work

    @contextmanager
    def containing(self, client: Client) -> Iterator[None]:
        """For what is done for one client: an error of ours in there closes its connection, and no other."""
        try:
            yield
        except Exception:
            self.contain(client)

    def contain(self, client: Client) -> None:
        """The same, of the error that is being handled."""
        logger.error("websocket_failed", traceback=traceback.format_exc())
        self._cut(client)

    def _cut(self, client: Client) -> None:
        try:
            client.cut(CloseCode.INTERNAL_ERROR)
        except Exception:  # it is left to its own end
            logger.error("websocket_not_closed", traceback=traceback.format_exc())  # noqa: TRY400

    # ---- connections

    def require_room(self) -> None:
        """For one connection more. Raises Problem (overloaded), also before and after `run`."""
        if len(self._clients) >= self._max_connections or self._tasks is None:
            raise Problem(
                EdgeCode.OVERLOADED,
                "too many streams at this moment",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )

    def add(self, client: Client) -> None:
        self._clients[client] = None
        self._counters.connections += 1
        self._counters.connections_opened += 1

    def remove(self, client: Client) -> None:
        """The connection is lost, and has ended its subscriptions."""
        self._to_serve.pop(client, None)
        self.forget_caller(client)
        if client in self._clients:
            del self._clients[client]
            self._counters.connections -= 1

    def remember_caller(self, client: Client) -> None:
        """The client has one now: it is told when what that came in by is ended."""
        assert client.caller is not None
        self._by_credential.setdefault(client.caller.credential, {})[client] = None

    def forget_caller(self, client: Client) -> None:
        if client.caller is None:
            return
        credential = client.caller.credential
        of_it = self._by_credential.get(credential, {})
        of_it.pop(client, None)
        if not of_it:
            self._by_credential.pop(credential, None)

    def count_cut(self, reason: str) -> None:
        """A connection or a stream was ended by us; `reason` is a stable code."""
        self._counters.cuts[reason] += 1

    def _sessions_in_use(self) -> list[bytes]:
        return [credential for credential in self._by_credential if isinstance(credential, bytes)]

    def _session_ended(self, token_hash: bytes) -> None:
        self._sign_out(
            token_hash, Problem(GatewayCode.SESSION_INVALID, "this session was ended; sign in again")
        )

    def _agent_revoked(self, key: str) -> None:
        self._sign_out(key, Problem(RejectReason.AGENT_REVOKED, "the owner has revoked this key"))

    def _sign_out(self, credential: bytes | str, problem: Problem) -> None:
        for client in list(self._by_credential.get(credential, ())):
            with self.containing(client):  # it must not keep the credential from being ended
                client.sign_out(problem)

    # ---- what is followed

    async def open(self, key: TopicKey, subject: Subject) -> FanOut:
        """The fan-out of a topic, for one subscription more, with the chain's steps looked up.

        Raises FeedUnavailable, and what the database raises.
        """
        topic = await self._feeds.open(key)
        fan_out = self._fan_outs.get(key)
        if fan_out is None or fan_out.topic is not topic:
            kind = _KINDS.get(key.channel, FanOut)
            fan_out = self._fan_outs[key] = kind(self._edge, topic, subject, self._counters)
        if isinstance(fan_out, StepsFanOut):
            try:
                await fan_out.look_up()
            except BaseException:
                self.close(fan_out)
                raise
        return fan_out

    def close(self, fan_out: FanOut) -> None:
        """One subscription less."""
        topic = fan_out.topic
        if self._fan_outs.get(topic.key) is not fan_out:
            return  # from before a reset
        self._feeds.close(topic)
        if not topic.subscribers:
            del self._fan_outs[topic.key]

    # ---- sending

    def serve_soon(self, client: Client) -> None:
        """A reader that has something to make up for can be written to."""
        self._to_serve[client] = None
        self._schedule_flush()

    def _drain(self) -> None:
        """Sends what is private; schedules the rest."""
        try:
            self._publish(self._feeds.drain())
        except Exception:
            self._begin_anew()
        self._schedule_flush()

    def _schedule_flush(self) -> None:
        if self._flush_timer is None and not self._is_flushing:
            loop = asyncio.get_running_loop()
            self._flush_timer = loop.call_at(max(self._flush_from_s, loop.time()), self._flush)

    def _flush(self) -> None:
        """Sends everything there is, and serves the readers that were behind."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        began_s = time.perf_counter()
        self._is_flushing = True
        try:
            self._publish(self._feeds.advance())
            self._serve_behind()
        except Exception:
            self._begin_anew()
        finally:
            self._is_flushing = False
        took_s = time.perf_counter() - began_s
        self._flush_from_s = asyncio.get_running_loop().time() + max(FLUSH_S, REST_FACTOR * took_s)
        if self._to_serve:
            self._schedule_flush()

    def _serve_behind(self) -> None:
        """Readers that are behind and can be written to, one after the other, while there is time."""
        until_s = time.perf_counter() + SERVE_S
        missed: Missed = {}
        while self._to_serve and time.perf_counter() < until_s:
            client = next(iter(self._to_serve))
            del self._to_serve[client]
            client.catch_up(missed)

    def _publish(self, handed: Handed) -> None:
        for topic, updates in handed:
            fan_out = self._fan_outs.get(topic.key)
            if fan_out is not None and fan_out.topic is topic:
                fan_out.publish(updates)

    def _begin_anew(self) -> None:
        """After an error of ours: nobody can be told what they have missed, so all have to come again."""
        logger.error("streams_failed", traceback=traceback.format_exc())
        self._fan_outs.clear()
        self._to_serve.clear()
        try:
            self._feeds.reset()
        except Exception:  # it is tried again by the next who meets what is wrong
            logger.error("feeds_not_reset", traceback=traceback.format_exc())  # noqa: TRY400
        for client in list(self._clients):
            self._cut(client)

    # ---- by the clock

    async def _keep_ticking(self) -> None:
        while True:
            await asyncio.sleep(self._tick_s)
            self._tick()

    def _tick(self) -> None:
        now_s, now_ns = asyncio.get_running_loop().time(), self._edge.clock_ns()
        self._flush()  # also so that a heartbeat can say how far everything is
        heartbeat = Frames([messages.heartbeat(self._edge.view.seq, now_ns)])
        try:
            for client in list(self._clients):
                client.tick(now_s, now_ns, heartbeat)
            self._feeds.expire(now_s)
        except Exception:
            self._begin_anew()

    async def _keep_polling_chain(self) -> None:
        while True:
            await asyncio.sleep(self._poll_chain_s)
            try:
                for fan_out in await with_steps(self._edge, list(self._fan_outs.values())):
                    await fan_out.look_up()
            except OUTAGES as error:
                logger.warning("chain_steps_not_read", error=repr(error))
            except Exception:
                self._begin_anew()


_KINDS: dict[Channel, type[FanOut]] = {
    Channel.DEPOSITS: DepositsFanOut,
    Channel.WITHDRAWALS: WithdrawalsFanOut,
}
