"""A whole exchange behind its HTTP edge, for every test that asks for one."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.edge.harness import Exchange, running_exchange


@pytest.fixture
async def exchange(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Exchange]:
    async with running_exchange(database_url, pool) as running:
        yield running
