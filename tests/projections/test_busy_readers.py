"""The projection into ClickHouse while more ask for market data than are answered."""

import asyncio

import asyncpg
from structlog.testing import capture_logs
from tests.projections.conftest import JournaledExchange
from tests.projections.following import check, follower, running

from exchange.stores.clickhouse import ClickHouse
from exchange.stores.errors import ClickHouseBusy

READERS = 300


async def test_a_crowd_that_reads_does_not_hold_the_projection_up(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    refused, crowded = 0, asyncio.Event()

    async def read() -> None:
        nonlocal refused
        while True:
            try:
                await clickhouse.query("SELECT sum(number) FROM numbers(1000)")
            except ClickHouseBusy:
                refused += 1
                crowded.set()
                await asyncio.sleep(0.01)

    readers = [asyncio.create_task(read()) for _ in range(READERS)]
    async with asyncio.timeout(10):
        await crowded.wait()
    with capture_logs() as logs:
        async with running(follower(pool, journaled, clickhouse)) as projection:
            for seed in range(3):
                await journaled.random_batches(seed, batches=5)
                assert await projection.reached(journaled.state.seq, 20)
    assert refused > 0
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert [entry["event"] for entry in logs if entry["event"] == "clickhouse_stalled"] == []
    await check(journaled, clickhouse)
