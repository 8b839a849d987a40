"""An exchange with funds, and the reader's tool as a reader runs it."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from tests.chain.conftest import FaultyRpc
from tests.edge.harness import served
from tests.proofs.publishing import Clock, Publish
from tests.proofs.reader import Shown
from tests.proofs.venue import Venue

from exchange.chain.deployment import Deployment
from exchange.chain.dev_keys import PUBLISHER_KEY
from exchange.chain.devchain import Anvil
from exchange.chain.finality import Finality
from exchange.edge.app import create_app
from exchange.proofs.build import BuildAnswer, BuildRequest, build_proof
from exchange.proofs.publisher import ProofPolicy, ProofPublisher, RootContract


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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def alerts() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def publish(venue, database_url, anvil, clock, alerts) -> Publish:
    """Makes a new publisher on the same tables, as a restart does."""

    def make(
        *,
        key: int = PUBLISHER_KEY,
        has_contract: bool = True,
        policy: ProofPolicy | None = None,
        **changes: Any,
    ) -> ProofPublisher:
        contract = RootContract(venue.deployment.balance_roots, venue.outbox(key)) if has_contract else None
        arguments = {
            "comparison": lambda: venue.reconciler.finalized,
            "agrees": lambda: venue.reconciler.agrees,
            "policy": policy or ProofPolicy(finality=Finality(1)),
            "alert": lambda kind, detail: alerts.append((kind, detail)),
            "now_s": clock,
        } | changes
        source = venue.source(database_url, anvil.url)
        return ProofPublisher(venue.rpc, venue.pool, source, contract, **arguments)

    return make


class HereBuilt(ProofPublisher):
    """Builds here: to those who read a proof it is the same who built it, and a process takes a second."""

    async def _build(self, request: BuildRequest) -> BuildAnswer:
        return await build_proof(self._pool, self._rpc, request)


@pytest.fixture
async def shown(venue, database_url, anvil) -> AsyncIterator[Shown]:
    """The second user's, who has ETH and USDC: a deposit is younger than the block, and one pays a fee."""
    await venue.wallet(1).deposit_native(11)
    await venue.credit()
    await venue.project()
    await venue.reconciler.poll()
    publisher = HereBuilt(
        venue.rpc,
        venue.pool,
        venue.source(database_url, anvil.url),
        RootContract(venue.deployment.balance_roots, venue.outbox()),
        comparison=lambda: venue.reconciler.finalized,
        agrees=lambda: True,
        policy=ProofPolicy(finality=Finality(1)),
    )
    await publisher.poll()
    await publisher.poll()
    token = await venue.token(1)
    async with served(create_app(venue.edge())) as api, httpx.AsyncClient(base_url=api) as client:
        response = await client.get("/v1/proof/balance", headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 200, response.text
        yield Shown(venue, response.json(), api, token, anvil.url)
