"""The figures as Prometheus reads them: over a real connection, with Prometheus' own parser."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import asyncpg
import httpx
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from tests.projections.conftest import START_NS, JournaledExchange, journaled

from exchange.edge.server import Server, listen
from exchange.metrics import CommitCounters, Metrics, Sources, StreamCounters

__all__ = ["journaled"]  # a fixture

LONG_AGO_S = 7.5


@dataclass
class Figures:
    """What the sources say, as a test sets it."""

    head_seq: int = 0
    seqs: dict[str, int] = field(default_factory=lambda: {"read_tables": 0, "clickhouse": 0})
    times_ns: dict[int, int] = field(default_factory=dict)
    failure: Exception | None = None
    up: bool = True
    halted: bool = False
    waiting: int = 0
    commits: CommitCounters = field(default_factory=lambda: CommitCounters(0))
    streams: StreamCounters = field(default_factory=StreamCounters)
    rate_limited: dict[str, int] = field(default_factory=dict)

    async def time_after(self, seq: int) -> int | None:
        if self.failure is not None:
            raise self.failure
        return self.times_ns.get(seq)

    async def parts_ready(self) -> dict[str, bool]:
        return {"engine": True, "sender gas": False}

    def metrics(self) -> Metrics:
        return Metrics(
            Sources(
                head_seq=lambda: self.head_seq,
                followers={name: lambda name=name: self.seqs[name] for name in self.seqs},  # type: ignore[misc]
                time_after=self.time_after,
                engine_up=lambda: self.up,
                inbox_commands=lambda: self.waiting,
                withdrawals_halted=lambda: self.halted,
                parts_ready=self.parts_ready,
                clickhouse_up=lambda: False,
                commits=self.commits,
                streams=self.streams,
                rate_limited=self.rate_limited,
                clock_ns=lambda: START_NS,
            )
        )


@contextlib.asynccontextmanager
async def listening(metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    """The figures on a listener of their own, as the exchange has them."""
    sockets = listen("127.0.0.1", 0)
    task = asyncio.create_task(Server(metrics).run_until_cancelled(sockets))
    port = sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            yield client
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        sockets[0].close()


Scraped = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(client: httpx.AsyncClient) -> Scraped:
    """Every sample by name and labels."""
    answer = await client.get("/metrics")
    assert answer.status_code == httpx.codes.OK
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def projection(name: str) -> tuple[tuple[str, str], ...]:
    return (("projection", name),)


async def test_what_an_exchange_does_is_scraped_with_its_units() -> None:
    figures = Figures(head_seq=120, up=True, halted=True, waiting=17)
    for seq in (1, 2, 12, 120):
        figures.commits.take(seq)
    figures.seqs = {"read_tables": 120, "clickhouse": 100}
    figures.times_ns = {100: START_NS - round(LONG_AGO_S * 1e9)}
    async with listening(figures.metrics()) as client:
        samples = await scrape(client)
    for name, value in (
        ("exchange_engine_up", 1),
        ("exchange_journal_head_seq", 120),
        ("exchange_inbox_commands", 17),
        ("exchange_withdrawals_halted", 1),
        ("exchange_commands_committed_total", 120),
        ("exchange_commit_batch_commands_count", 4),
        ("exchange_commit_batch_commands_sum", 120),
        ("exchange_clickhouse_up", 0),
        ("exchange_ws_connections", 0),
    ):
        assert samples[name, ()] == value, name
    assert samples["exchange_commit_batch_commands_bucket", (("le", "1.0"),)] == 2
    assert samples["exchange_commit_batch_commands_bucket", (("le", "10.0"),)] == 3
    assert samples["exchange_commit_batch_commands_bucket", (("le", "100.0"),)] == 3
    assert samples["exchange_commit_batch_commands_bucket", (("le", "+Inf"),)] == 4
    for name, seq, lag, lag_s in (("read_tables", 120, 0, 0), ("clickhouse", 100, 20, LONG_AGO_S)):
        assert samples["exchange_projection_seq", projection(name)] == seq
        assert samples["exchange_projection_lag_commands", projection(name)] == lag
        assert samples["exchange_projection_lag_seconds", projection(name)] == lag_s
    assert samples["exchange_part_ready", (("part", "engine"),)] == 1
    assert samples["exchange_part_ready", (("part", "sender gas"),)] == 0
    assert samples["process_resident_memory_bytes", ()] > 10_000_000
    assert samples["process_open_fds", ()] > 3


async def test_streams_are_counted_by_channel_and_reason() -> None:
    figures = Figures()
    streams = figures.streams
    streams.connections, streams.connections_opened, streams.bytes_sent = 3, 5, 1_234
    streams.subscriptions["book"] += 3
    streams.messages_sent["book"] += 70
    streams.messages_sent["orders"] += 2
    streams.conflated["book"] += 9
    streams.cuts["slow_reader"] += 1
    async with listening(figures.metrics()) as client:
        samples = await scrape(client)
    assert samples["exchange_ws_connections", ()] == 3
    assert samples["exchange_ws_connections_opened_total", ()] == 5
    assert samples["exchange_ws_sent_bytes_total", ()] == 1_234
    assert samples["exchange_ws_subscriptions", (("channel", "book"),)] == 3
    assert samples["exchange_ws_messages_sent_total", (("channel", "book"),)] == 70
    assert samples["exchange_ws_messages_sent_total", (("channel", "orders"),)] == 2
    assert samples["exchange_ws_conflated_total", (("channel", "book"),)] == 9
    assert samples["exchange_ws_cuts_total", (("reason", "slow_reader"),)] == 1


async def test_what_is_refused_for_being_too_much_is_counted_by_budget() -> None:
    figures = Figures(rate_limited={"ip-requests": 7, "account-orders": 2})
    async with listening(figures.metrics()) as client:
        samples = await scrape(client)
    assert samples["exchange_rate_limited_total", (("budget", "ip-requests"),)] == 7
    assert samples["exchange_rate_limited_total", (("budget", "account-orders"),)] == 2


async def test_the_lag_in_seconds_is_that_of_the_first_command_that_is_missing(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    seq = journaled.state.seq
    journaled.time_ns += 60 * 10**9
    await journaled.random_batches(1, batches=3)
    assert await journaled.tail.time_after(seq) == journaled.events[seq][0]
    assert await journaled.tail.time_after(seq + 1) >= journaled.events[seq + 1][0]
    assert await journaled.tail.time_after(journaled.state.seq) is None


@pytest.mark.parametrize(
    "failure",
    [
        OSError("gone"),
        asyncpg.InterfaceError("closed"),
        asyncpg.InternalClientError("another operation is in progress"),
        TimeoutError(),
    ],
)
async def test_a_lag_that_can_not_be_looked_up_is_left_out_and_all_else_is_shown(failure: Exception) -> None:
    figures = Figures(head_seq=9, failure=failure)
    async with listening(figures.metrics()) as client:
        samples = await scrape(client)
    assert samples["exchange_projection_lag_commands", projection("clickhouse")] == 9
    assert ("exchange_projection_lag_seconds", projection("clickhouse")) not in samples


async def test_two_exchanges_in_one_process_do_not_share_figures() -> None:
    async with (
        listening(Figures(head_seq=1).metrics()) as first,
        listening(Figures(head_seq=2).metrics()) as second,
    ):
        for client, head_seq in ((first, 1), (second, 2)):
            assert (await scrape(client))["exchange_journal_head_seq", ()] == head_seq


async def test_a_scraper_that_asks_for_openmetrics_gets_it() -> None:
    figures = Figures()
    figures.commits.take(3)
    async with listening(figures.metrics()) as client:
        answer = await client.get(
            "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        )
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        names = {family.name for family in openmetrics.text_string_to_metric_families(answer.text)}
    assert {"exchange_commands_committed", "exchange_commit_batch_commands"} <= names


async def test_nothing_but_the_figures_is_there_and_nothing_can_be_changed() -> None:
    async with listening(Figures().metrics()) as client:
        for path in ("/", "/v1/markets", "/metrics/", "/metrics%00"):
            assert (await client.get(path)).status_code == httpx.codes.NOT_FOUND, path
        for method in ("POST", "PUT", "DELETE"):
            refused = await client.request(method, "/metrics", content=b"x")
            assert refused.status_code == httpx.codes.METHOD_NOT_ALLOWED
            assert refused.headers["allow"] == "GET, HEAD"
        head = await client.head("/metrics")
        assert (head.status_code, head.content) == (httpx.codes.OK, b"")
        assert int(head.headers["content-length"]) > 1_000
