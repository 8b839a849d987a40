"""A whole exchange on a real port, and clients of the SDK that talk to it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.edge.harness import Exchange as Running
from tests.edge.harness import running_exchange, served
from tests.sdk.market import Market

from exchange.edge.app import create_app
from exchange.stores.clickhouse import ClickHouse


@pytest.fixture
async def exchange(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Running]:
    async with running_exchange(database_url, pool) as running:
        yield running


@pytest.fixture
async def market(exchange: Running) -> AsyncIterator[Market]:
    async with served(create_app(exchange.edge, exchange.hub)) as url:
        yield Market(exchange, url)


@pytest.fixture
async def market_with_history(
    database_url: str, pool: asyncpg.Pool, clickhouse: ClickHouse
) -> AsyncIterator[Market]:
    """With the trades and candles that ClickHouse keeps."""
    async with (
        running_exchange(database_url, pool, clickhouse) as running,
        served(create_app(running.edge, running.hub)) as url,
    ):
        yield Market(running, url)
