from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import asyncpg
import pytest
from tests.fixtures.policy_signer import TOKEN, PolicySigners, PolicySignerServer
from tests.policy_signer.ledger import USDC, VAULT, Ledger, running_ledger

from exchange.chain.dev_keys import DEV_CHAIN_ID
from exchange.core.markets import NATIVE_TOKEN
from exchange.policy_signer.limits import TokenLimits

LIMITS = {
    NATIVE_TOKEN: TokenLimits(max_payment_atoms=2_000, max_in_window_atoms=5_000, window_s=86_400),
    USDC: TokenLimits(max_payment_atoms=2_000, max_in_window_atoms=2_000, window_s=86_400),
}

Ask = Callable[..., Awaitable[tuple[int, dict[str, Any]]]]


@pytest.fixture
async def ledger(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Ledger]:
    async with running_ledger(database_url, pool) as started:
        yield started


@pytest.fixture
async def signer(ledger: Ledger, policy_signer: PolicySigners) -> PolicySignerServer:
    """A policy signer of the ledger's deployment, with `LIMITS`."""
    return await policy_signer(ledger.database_url, DEV_CHAIN_ID, VAULT, LIMITS)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture
def ask(signer: PolicySignerServer, http: aiohttp.ClientSession) -> Ask:
    """Posts a body: JSON of what it is given, or raw bytes. Status and answer."""

    async def post(body: Any, *, token: str | None = TOKEN, **headers: str) -> tuple[int, dict[str, Any]]:
        more = {"Authorization": f"Bearer {token}"} if token is not None else {}
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        if isinstance(body, bytes):
            more["Content-Type"] = "application/json"
        async with http.post(f"{signer.url}/v1/payments/sign", headers=more | headers, **content) as answer:
            return answer.status, await answer.json()

    return post
