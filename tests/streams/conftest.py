"""An exchange with its streams on a real port, for every test that asks for one."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

pytest.register_assert_rewrite("tests.streams.client", "tests.streams.folds", "tests.streams.spec")

from tests.edge.harness import Exchange, running_exchange  # noqa: E402 - rewritten first
from tests.streams.serving import Streams, streaming  # noqa: E402 - rewritten first

from exchange.stores.clickhouse import ClickHouse  # noqa: E402 - rewritten first


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
