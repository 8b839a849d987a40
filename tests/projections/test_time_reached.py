"""How far in time ClickHouse is: what candles that are closed for good go by."""

import asyncio
from contextlib import suppress

from exchange.projections.clickhouse import ClickHouseProjection


async def test_the_time_reached_is_that_of_the_last_batch_and_is_forgotten_with_the_data(
    pool, journaled, clickhouse
):
    projection = ClickHouseProjection(pool, journaled.tail, clickhouse, insert_interval_s=0.0)
    assert projection.time_ns == 0
    running = asyncio.create_task(projection.run())
    for seed in (1, 2):
        await journaled.random_batches(seed, batches=5)
        assert await projection.reached(journaled.state.seq, 20)
        assert projection.time_ns == journaled.time_ns
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await projection.reset()
    assert (projection.seq, projection.time_ns) == (0, 0)
