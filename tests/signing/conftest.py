"""A whole exchange on a real port, whose clock stands still, and the TypeScript programs of this folder."""

import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import pytest
from tests.edge.agents import Bot, Key, approved
from tests.edge.harness import Exchange, Trader, running_exchange, served

from exchange.edge.app import create_app

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
NOW_NS = 1_763_841_600 * 10**9


@dataclass(frozen=True, slots=True)
class Live:
    """The exchange, and one of its owners."""

    exchange: Exchange
    trader: Trader
    http: httpx.AsyncClient

    @property
    def url(self) -> str:
        return str(self.http.base_url)

    async def bot(self, key: Key, **signed: object) -> Bot:
        """A key of the owner's, approved for everything but for what is `signed` otherwise."""
        return await approved(self.trader, key, **signed)

    def open_orders(self, sub_account: int = 0) -> list[int]:
        """The ids of the owner's open orders, as committed."""
        account_id = self.exchange.view.account_id(self.trader.owner, sub_account)
        return [] if account_id is None else [o.order_id for o in self.exchange.view.open_orders(account_id)]


async def _live(exchange: Exchange) -> AsyncIterator[Live]:
    trader = await exchange.trader(USDC=10**12)
    async with (
        served(create_app(exchange.edge, exchange.hub)) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as http,
    ):
        yield Live(exchange, trader, http)


@pytest.fixture
async def live(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Live]:
    """Its clock stands still, so that every edge of a time can be met exactly."""
    async with running_exchange(database_url, pool, wall_ns=lambda: NOW_NS) as exchange:
        async for one in _live(exchange):
            yield one


@pytest.fixture
async def live_now(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Live]:
    """By the clock that everybody has."""
    async with running_exchange(database_url, pool) as exchange:
        async for one in _live(exchange):
            yield one


@pytest.fixture(scope="session")
def programs(worker_id: str) -> Path:
    """The TypeScript programs of this folder, compiled where they find their packages."""
    folder = ROOT / "build" / "signing" / worker_id
    compiler = ROOT / "node_modules" / ".bin" / "tsc"
    command = (compiler, "-p", HERE / "tsconfig.json", "--outDir", folder)
    answer = subprocess.run(command, capture_output=True, text=True, timeout=100)  # noqa: PLW1510
    assert answer.returncode == 0, answer.stdout
    return folder
