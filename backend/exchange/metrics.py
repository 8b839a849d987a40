"""What a running exchange counts about itself, for Prometheus.

Whoever counts adds to plain integers; they are read, and everything else is worked out, when somebody asks.
There is no global registry: an exchange makes its own counters and hands them to those who fill them.
"""

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.types import Receive, Scope, Send

from exchange.stores.errors import OUTAGES

PATH = "/metrics"
PLAIN_TEXT = "text/plain; charset=utf-8"
LOOK_UP_TIMEOUT_S = 2.0


@dataclass(slots=True)
class StreamCounters:
    """What the WebSocket streams do. The sockets and feeds add to it in the loop's thread, nobody else.

    Channels by their public name without a market (`book`, `trades`, `orders`), reasons by their stable code:
    few different ones, never anything that a client has sent.
    """

    connections: int = 0
    """Open now."""
    connections_opened: int = 0
    subscriptions: Counter[str] = field(default_factory=Counter)
    """Live now, by channel."""
    messages_sent: Counter[str] = field(default_factory=Counter)
    """Handed to connections, by channel: one for each that receives it."""
    bytes_sent: int = 0
    """Of their payloads, before any compression."""
    conflated: Counter[str] = field(default_factory=Counter)
    """Updates that a slow reader was given as part of a later one, by channel."""
    cuts: Counter[str] = field(default_factory=Counter)
    """Connections and streams that were ended by the server, by reason."""


BATCH_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
"""Upper bounds, inclusive, of the buckets that batches are counted in, in commands."""


class CommitCounters:
    """What the engine has committed since this process began."""

    __slots__ = ("batches", "commands", "seq")

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.commands = 0
        self.batches = [0] * (len(BATCH_BOUNDS) + 1)
        """By size: each counts batches above the bound before it, the last those above all bounds."""

    def take(self, seq: int) -> None:
        """A batch that ends with `seq` was committed."""
        commands = seq - self.seq
        self.seq = seq
        self.commands += commands
        self.batches[bisect_left(BATCH_BOUNDS, commands)] += 1


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures of one exchange are read, at the moment that somebody asks for them."""

    head_seq: Callable[[], int]
    """The last command committed."""
    followers: Mapping[str, Callable[[], int]]
    """The seq of each projection, by name."""
    time_after: Callable[[int], Awaitable[int | None]]
    """When (`time_ns`) the first command after a seq was committed; None when there is none.

    May raise what the database raises, which it is only asked for while a projection is behind.
    """
    engine_up: Callable[[], bool]
    inbox_commands: Callable[[], int]
    parts_ready: Callable[[], Awaitable[Mapping[str, bool]]]
    """Whether each part of the process is, as its health says; within a few seconds."""
    clickhouse_up: Callable[[], bool]
    """Whether its last call was answered."""
    withdrawals_halted: Callable[[], bool]
    commits: CommitCounters
    streams: StreamCounters
    rate_limited: Mapping[str, int]
    """Requests, operations and connections refused so far, by the name of the budget that was used up."""
    clock_ns: Callable[[], int]


class Metrics(Collector):
    """Everything about one exchange as Prometheus wants it, and an ASGI app that serves it at `/metrics`.

    The app belongs on a listener of its own: what it shows is not for the public.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._lag_s: dict[str, float] = {}
        self._ready: Mapping[str, bool] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    async def page(self, accept: str = "") -> tuple[str, bytes]:
        """Content type and text of the figures as they are now, in a form that `accept` allows."""
        self._ready, _ = await asyncio.gather(self._sources.parts_ready(), self._look_up_lags())
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI app."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        headers = dict(scope["headers"])
        if scope["path"] != PATH:
            status, content_type, body = 404, PLAIN_TEXT, b"the figures are at /metrics\n"
        elif scope["method"] not in {"GET", "HEAD"}:
            status, content_type, body = 405, PLAIN_TEXT, b"only GET\n"
        else:
            status = 200
            content_type, body = await self.page(headers.get(b"accept", b"").decode("latin-1"))
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", content_type.encode()),
                    (b"content-length", str(len(body)).encode()),
                    (b"cache-control", b"no-store"),
                    *([(b"allow", b"GET, HEAD")] if status == 405 else []),
                ],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _look_up_lags(self) -> None:
        """Of projections that are up to date it is known; the others' next command is looked up."""
        lag_s: dict[str, float] = {}
        head_seq = self._sources.head_seq()
        for name, read in self._sources.followers.items():
            seq = read()
            if seq >= head_seq:
                lag_s[name] = 0.0
                continue
            try:
                async with asyncio.timeout(LOOK_UP_TIMEOUT_S):
                    time_ns = await self._sources.time_after(seq)
            except OUTAGES:
                continue  # not known: better no figure than a wrong one
            lag_s[name] = 0.0 if time_ns is None else max(0.0, (self._sources.clock_ns() - time_ns) / 1e9)
        self._lag_s = lag_s

    def collect(self) -> Iterator[Metric]:
        """The families of figures; called by the registry."""
        yield from self._engine()
        yield from self._projections()
        yield from self._streams()
        yield _counter(
            "exchange_rate_limited",
            "Requests, operations, connections refused for being too many, by the budget that was used up.",
            "budget",
            self._sources.rate_limited,
        )

    def _engine(self) -> Iterator[Metric]:
        sources = self._sources
        commits = sources.commits
        yield _gauge("exchange_engine_up", "1 while the engine takes commands.", sources.engine_up())
        yield _gauge("exchange_journal_head_seq", "Number of the last committed command.", sources.head_seq())
        yield _gauge(
            "exchange_inbox_commands", "Commands that wait for the engine.", sources.inbox_commands()
        )
        yield _gauge(
            "exchange_withdrawals_halted", "1 while no withdrawal is signed.", sources.withdrawals_halted()
        )
        ready = _by("exchange_part_ready", "1 while a part of the process is, as health shows it.", "part")
        for part, is_ready in self._ready.items():
            ready.add_metric([part], is_ready)
        yield ready
        yield CounterMetricFamily(
            "exchange_commands_committed",
            "Commands that this process has committed, its own ticks included.",
            value=commits.commands,
        )
        buckets: list[tuple[str, float]] = []
        batches = 0
        for bound, count in zip((*BATCH_BOUNDS, None), commits.batches, strict=True):
            batches += count
            buckets.append(("+Inf" if bound is None else f"{bound}.0", batches))
        yield HistogramMetricFamily(
            "exchange_commit_batch_commands",
            "Commands in one commit of the journal.",
            buckets=buckets,
            sum_value=commits.commands,
        )

    def _projections(self) -> Iterator[Metric]:
        seqs = _by("exchange_projection_seq", "Up to where a projection has the journal.", "projection")
        commands = _by(
            "exchange_projection_lag_commands", "Committed commands that it does not have yet.", "projection"
        )
        seconds = _by(
            "exchange_projection_lag_seconds",
            "How long ago the first command that it does not have yet was committed; 0 when there is none.",
            "projection",
        )
        yield _gauge(
            "exchange_clickhouse_up",
            "0 when its last call got no answer.",
            self._sources.clickhouse_up(),
        )
        head_seq = self._sources.head_seq()
        for name, read in self._sources.followers.items():
            seq = read()
            seqs.add_metric([name], seq)
            commands.add_metric([name], max(0, head_seq - seq))
            if name in self._lag_s:
                seconds.add_metric([name], self._lag_s[name])
        yield from (seqs, commands, seconds)

    def _streams(self) -> Iterator[Metric]:
        streams = self._sources.streams
        yield _gauge("exchange_ws_connections", "Open WebSocket connections.", streams.connections)
        yield CounterMetricFamily(
            "exchange_ws_connections_opened",
            "WebSocket connections that were ever opened.",
            value=streams.connections_opened,
        )
        subscriptions = _by("exchange_ws_subscriptions", "Live subscriptions.", "channel")
        for channel, count in streams.subscriptions.items():
            subscriptions.add_metric([channel], count)
        yield subscriptions
        yield CounterMetricFamily(
            "exchange_ws_sent_bytes", "Payload handed to connections.", value=streams.bytes_sent
        )
        for name, text, label, counts in (
            ("messages_sent", "Messages handed to connections.", "channel", streams.messages_sent),
            ("conflated", "Updates that became part of a later one.", "channel", streams.conflated),
            ("cuts", "Connections and streams that the server has ended.", "reason", streams.cuts),
        ):
            yield _counter(f"exchange_ws_{name}", text, label, counts)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    counter = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        counter.add_metric([value], count)
    return counter


def _by(name: str, text: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=[label])
