"""A served exchange, and short ways to come to it as somebody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
from tests.edge.harness import Exchange as Running

from exchange_sdk import AgentKey, Exchange, Wallet
from exchange_sdk.signing import KeyKind

ETH = 10**18
USDC = 10**6


@dataclass(slots=True)
class Market:
    """The running parts, and where they are served."""

    running: Running
    url: str

    async def wallet(self, **deposits: int | str) -> Wallet:
        """A new wallet with these deposits, in whole units, credited."""
        wallet = Wallet.generate()
        view = self.running.view
        for symbol, amount in deposits.items():
            asset = view.asset_by_symbol[symbol]
            atoms = int(Decimal(amount) * 10**asset.decimals)
            await self.running.deposit(wallet.address.lower(), asset.token, atoms)
        return wallet

    @asynccontextmanager
    async def owner(self, wallet: Wallet | None = None, **options: Any) -> AsyncIterator[Exchange]:
        """A client with a wallet of 10 ETH and 100,000 USDC, or with this one."""
        wallet = wallet or await self.wallet(ETH=10, USDC=100_000)
        async with Exchange(self.url, wallet=wallet, **options) as exchange:
            yield exchange

    @asynccontextmanager
    async def agent(
        self, kind: KeyKind = "ed25519", *, http: httpx.AsyncBaseTransport | None = None, **approval: Any
    ) -> AsyncIterator[Exchange]:
        """A client with an approved key only, of an owner with 10 ETH and 100,000 USDC."""
        key = AgentKey.generate(kind)
        async with self.owner() as owner:
            await owner.approve(key, "test", **approval)
        async with Exchange(self.url, key=key, http=http) as exchange:
            yield exchange

    async def quote(self) -> None:
        """Somebody has 5 ETH for sale at 3000 and at 3010, and bids for 5 at 2990."""
        async with self.owner(await self.wallet(ETH=20, USDC=50_000)) as maker:
            await maker.place("ETH-USDC", "sell", size=5, price=3000)
            await maker.place("ETH-USDC", "sell", size=5, price=3010)
            await maker.place("ETH-USDC", "buy", size=5, price=2990)

    async def projected(self) -> None:
        """Waits until what is read from has everything that was committed."""
        market_data, seq = self.running.edge.market_data, self.running.view.seq
        assert await self.running.projection.reached(seq, 20)
        assert market_data is None or await market_data.projection.reached(seq, 20)
