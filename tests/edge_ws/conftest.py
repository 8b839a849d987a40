"""A whole exchange with its streams on a real port, for every test that asks for one."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
import uvloop
from tests.edge.harness import Exchange, running_exchange, served
from tests.edge_ws.speaking import Streams

from exchange.edge.app import create_app


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that `exchange serve` runs on: its transports are not asyncio's."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def exchange(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Exchange]:
    async with running_exchange(database_url, pool) as running:
        yield running


@pytest.fixture
async def streams(exchange: Exchange) -> AsyncIterator[Streams]:
    async with served(create_app(exchange.edge, exchange.hub)) as url:
        yield Streams(exchange, url)
