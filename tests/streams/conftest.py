"""An exchange with its streams on a real port, for every test that asks for one."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
import uvloop

pytest.register_assert_rewrite("tests.streams.client", "tests.streams.folds", "tests.streams.spec")

from tests.edge.harness import Exchange, running_exchange  # noqa: E402 - rewritten first
from tests.streams.serving import Streams, streaming  # noqa: E402 - rewritten first

from exchange.stores.clickhouse import ClickHouse  # noqa: E402 - rewritten first


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
