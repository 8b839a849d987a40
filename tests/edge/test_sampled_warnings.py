"""What anybody can cause by the thousand does not fill the log."""

import asyncio

import asyncpg
from structlog.testing import capture_logs
from tests.edge.harness import problem, running_exchange

from exchange.edge.sampled_warnings import INTERVAL_NS, SampledWarnings


def test_one_of_each_kind_a_second_is_written_with_how_many_were_not() -> None:
    now_ns = 5
    warnings = SampledWarnings(lambda: now_ns)
    with capture_logs() as logs:
        for _ in range(100):
            warnings.warn("not_served", "unavailable", error="first")
        warnings.warn("not_served", "overloaded")
        now_ns += INTERVAL_NS - 1
        warnings.warn("not_served", "unavailable")
        now_ns += 1
        warnings.warn("not_served", "unavailable", error="second")
        now_ns += INTERVAL_NS
        warnings.warn("not_served", "unavailable", error="third")
    assert [(entry["code"], entry["left_out"], entry.get("error")) for entry in logs] == [
        ("unavailable", 0, "first"),
        ("overloaded", 0, None),
        ("unavailable", 100, "second"),
        ("unavailable", 0, "third"),
    ]


async def test_a_crowd_that_is_not_served_is_not_logged_one_by_one(
    database_url: str, pool: asyncpg.Pool
) -> None:
    async with running_exchange(database_url, pool) as exchange:
        with capture_logs() as logs:
            answers = await asyncio.gather(*(exchange.client.get("/v1/tickers") for _ in range(200)))
    for answer in answers:
        problem(answer, 503, "unavailable")
    written = [entry for entry in logs if entry["event"] == "request_not_served"]
    assert 1 <= len(written) < len(answers) // 2
