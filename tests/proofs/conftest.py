"""An exchange with funds, and the reader's tool as a reader runs it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.chain.conftest import FaultyRpc
from tests.proofs.venue import Venue

from exchange.chain.deployment import Deployment
from exchange.chain.devchain import Anvil


@pytest.fixture
async def faulty_rpc(anvil: Anvil) -> AsyncIterator[FaultyRpc]:
    async with FaultyRpc(anvil.url) as client:
        yield client


@pytest.fixture
async def venue(faulty_rpc: FaultyRpc, pool: asyncpg.Pool, deployment: Deployment) -> Venue:
    """Funded; its read tables are up to date and the newest finalized block has all deposits."""
    opened = await Venue.open(faulty_rpc, pool, deployment)
    await opened.fund()
    return opened
