"""An exchange with its streams on a real port, for every test that asks for one."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
import uvloop
from tests.edge.harness import Exchange, running_exchange
from tests.streams.serving import Streams, streaming

from exchange.stores.clickhouse import ClickHouse


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that `exchange serve` runs on: its transports are not asyncio's."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def exchange(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Exchange]:
    async with running_exchange(database_url, pool) as running:
        yield running


@pytest.fixture
async def streams(exchange: Exchange) -> AsyncIterator[Streams]:
    async with streaming(exchange, seed=1) as serving:
        yield serving


@pytest.fixture
async def streams_with_clickhouse(
    database_url: str, pool: asyncpg.Pool, clickhouse: ClickHouse
) -> AsyncIterator[Streams]:
    async with (
        running_exchange(database_url, pool, clickhouse) as exchange,
        streaming(exchange, seed=1) as serving,
    ):
        yield serving
