"""How much of ClickHouse one client may have: a few reads at a time."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest
from tests.edge.harness import Exchange, problem, running_exchange

from exchange.edge.market_reads import MAX_READS_PER_CLIENT
from exchange.stores.clickhouse import ClickHouse

MARKET = "/v1/markets/ETH-USDC"


@pytest.fixture
async def exchange(database_url: str, pool: asyncpg.Pool, clickhouse: ClickHouse) -> AsyncIterator[Exchange]:
    async with running_exchange(database_url, pool, clickhouse) as running:
        assert running.edge.market_data is not None
        assert await running.edge.market_data.projection.reached(running.view.seq, 20)
        yield running


@asynccontextmanager
async def nothing_read(clickhouse: ClickHouse) -> AsyncIterator[None]:
    """Whoever reads waits until the end of this."""
    let_go = threading.Event()
    busy = [
        asyncio.create_task(clickhouse._call("a long query", lane, 60, lambda _: let_go.wait(60)))
        for lane in clickhouse._readers
    ]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        let_go.set()
        await asyncio.gather(*busy)


def from_address(exchange: Exchange, address: str) -> httpx.AsyncClient:
    transport = exchange.client._transport
    assert isinstance(transport, httpx.ASGITransport)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(transport.app, client=(address, 1)), base_url="https://localhost:8000"
    )


async def begun(reads: list[asyncio.Task[httpx.Response]]) -> None:
    for _ in range(100):
        await asyncio.sleep(0)
    assert all(not read.done() for read in reads)


async def test_a_client_may_have_a_few_reads_at_a_time_and_another_is_not_refused_for_it(
    exchange: Exchange, clickhouse: ClickHouse
) -> None:
    async with (
        from_address(exchange, "2001:db8::1") as client,
        from_address(exchange, "2001:db8:0:1::1") as other,
    ):
        async with nothing_read(clickhouse):
            reads = [
                asyncio.create_task(client.get(f"{MARKET}/trades?limit={limit + 1}"))
                for limit in range(MAX_READS_PER_CLIENT)
            ]
            await begun(reads)
            for path in (f"{MARKET}/candles", f"{MARKET}/trades", f"{MARKET}/ticker", "/v1/tickers"):
                refused = await client.get(path)
                problem(refused, 429, "rate_limited")
                assert refused.headers["retry-after"] == "1"
                assert refused.headers["access-control-allow-origin"] == "*"
            bars = await client.get("/v1/udf/history?symbol=ETH-USDC&resolution=1&countback=1&to=1")
            assert (bars.status_code, bars.json()["code"]) == (429, "rate_limited")
            assert (await client.get(f"{MARKET}/book")).status_code == 200, "is not of ClickHouse"
            assert (await client.get("/v1/udf/config")).status_code == 200
            theirs = [asyncio.create_task(other.get(f"{MARKET}/candles"))]
            await begun(theirs)
        assert [(await read).status_code for read in reads + theirs] == [200] * (MAX_READS_PER_CLIENT + 1)
        assert (await client.get(f"{MARKET}/candles")).status_code == 200


async def test_a_read_that_was_given_up_or_failed_makes_room_again(
    exchange: Exchange, clickhouse: ClickHouse
) -> None:
    async with nothing_read(clickhouse):
        reads = [
            asyncio.create_task(exchange.client.get(f"{MARKET}/trades?limit={limit + 1}"))
            for limit in range(MAX_READS_PER_CLIENT)
        ]
        await begun(reads)
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
    for _ in range(MAX_READS_PER_CLIENT + 1):
        problem(await exchange.client.get(f"{MARKET}/trades?limit=0"), 422, "field_invalid")
        problem(await exchange.client.get("/v1/markets/DOGE-USDC/trades"), 404, "unknown_market")
    assert (await exchange.client.get(f"{MARKET}/trades")).status_code == 200
