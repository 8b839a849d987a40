"""A small exchange with a real core, chain and database, and read tables that stand still unless told."""

import time
from typing import Any

import asyncpg
from tests.chain.conftest import Exchange, Wallet, nothing_displaced
from tests.edge.harness import ORIGIN, SWAGGER_UI

from exchange.chain.allow_list import AllowList
from exchange.chain.deployment import Deployment
from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import (
    DEV_CHAIN_ID,
    PUBLISHER_KEY,
    SENDER_KEY,
    SIGNER_KEY,
    dev_address,
    dev_key,
)
from exchange.chain.finality import Finality
from exchange.chain.outbox import Outbox, SendPolicy
from exchange.chain.reconcile import Reconciler
from exchange.chain.risk import RiskPolicy, RiskStep
from exchange.chain.rpc import Header, Rpc
from exchange.chain.signer import LocalSender, LocalSigner
from exchange.chain.withdrawals import WithdrawalPolicy, WithdrawalWorker
from exchange.core.commands import ListAsset, OpenMarket, PlaceOrder, RequestWithdrawal, SetRules
from exchange.core.markets import NATIVE_TOKEN
from exchange.core.words import OrderType, Side, TimeInForce
from exchange.edge.dependencies import Edge, EdgeConfig
from exchange.gateway.rate_limits import RateLimits
from exchange.gateway.rate_policy import RateLimitPolicy
from exchange.gateway.sessions import Sessions
from exchange.gateway.siwe import Login
from exchange.projections.postgres import PostgresProjection
from exchange.proofs.build import BuildAnswer, BuildRequest, build_proof
from exchange.proofs.publisher import ProofSource

DESTINATION = "0x" + "d0" * 20
ETHER = 10**18
WITHDRAWAL_FEE = 7


def no_stream(*_: object, **__: object) -> Any:
    raise AssertionError("nobody trades over a WebSocket here")


class Venue:
    """Three users, ETH and USDC, one market; deposits and payments count in the newest block."""

    def __init__(self, rpc: Rpc, pool: asyncpg.Pool, deployment: Deployment, exchange: Exchange) -> None:
        self.rpc = rpc
        self.pool = pool
        self.deployment = deployment
        self.exchange = exchange
        self.place = {"chain_id": DEV_CHAIN_ID, "vault": deployment.vault}
        self.projection = PostgresProjection(pool, exchange)
        self.watcher = DepositWatcher(
            rpc,
            pool,
            exchange.submit_batch,
            exchange.committed,
            **self.place,
            deploy_block=deployment.deploy_block,
            finality=Finality(1),
            on_displaced=nothing_displaced,
        )
        self.reconciler = Reconciler(
            rpc, pool, exchange.committed, self.watcher, **self.place, deploy_block=deployment.deploy_block
        )
        self.worker = WithdrawalWorker(
            rpc,
            pool,
            exchange.submit,
            exchange.committed,
            exchange,
            LocalSigner(dev_key(SIGNER_KEY), DEV_CHAIN_ID, deployment.vault),
            LocalSender(dev_key(SENDER_KEY), DEV_CHAIN_ID),
            RiskStep(
                pool,
                RiskPolicy(),
                AllowList(pool, 0),
                lambda asset_id: exchange.committed.assets[asset_id].symbol,
                **self.place,
            ),
            **self.place,
            deploy_block=deployment.deploy_block,
            policy=WithdrawalPolicy(finality=Finality(1)),
            may_sign=lambda: True,
        )

    @classmethod
    async def open(cls, rpc: Rpc, pool: asyncpg.Pool, deployment: Deployment) -> "Venue":
        exchange = Exchange()
        usdc = next(token for token in deployment.tokens if token.symbol == "USDC")
        for command in (
            SetRules(2),
            ListAsset("ETH", 18, DEV_CHAIN_ID, deployment.vault, NATIVE_TOKEN, WITHDRAWAL_FEE),
            ListAsset("USDC", 6, DEV_CHAIN_ID, deployment.vault, usdc.address),
            OpenMarket("ETH-USDC", "ETH", "USDC", 1, 2, 10**14, 0, 10),
        ):
            await exchange.submit(command)
        venue = cls(rpc, pool, deployment, exchange)
        await venue.projection.load()
        return venue

    async def project(self) -> int:
        """Brings the read tables up to date; answers with their seq."""
        rows = await self.exchange.read(self.projection.seq, 10**6)
        if rows:
            await self.projection.apply(rows)
        return self.projection.seq

    async def mine(self, count: int = 1) -> None:
        await self.rpc.call("anvil_mine", hex(count))

    def wallet(self, index: int) -> Wallet:
        return Wallet(self.rpc, self.deployment, index)

    def account_id(self, index: int) -> int:
        account_id = self.exchange.committed.account_id(dev_address(index))
        assert account_id is not None
        return account_id

    async def credit(self) -> None:
        await self.watcher.poll()

    async def settle(self) -> None:
        for _ in range(4):
            await self.worker.poll()

    async def fund(self) -> None:
        """Deposits of three users, an order that holds funds, a trade with a fee; all in a final block."""
        alice, bob, carol = (self.wallet(index) for index in range(3))
        await alice.deposit_native(2 * ETHER)
        await bob.deposit_native(ETHER)
        await bob.approve("USDC")
        await bob.deposit_token("USDC", 9_000_000_000)
        await carol.deposit_native(5)
        await self.credit()
        await self.order(0, Side.SELL, lots=5_000)
        await self.order(1, Side.BUY, lots=2_000)
        await self.mine(2)
        await self.credit()
        await self.project()

    async def order(self, index: int, side: Side, lots: int) -> None:
        outcome = await self.exchange.submit(
            PlaceOrder(
                account_id=self.account_id(index),
                market_id=1,
                side=side,
                order_type=OrderType.LIMIT,
                time_in_force=TimeInForce.GTC,
                price_ticks=300_000,
                size_lots=lots,
                client_order_id=None,
                expires_ns=time.time_ns() + 20 * 10**9,
            )
        )
        assert type(outcome.events[0]).__name__ == "OrderAccepted", outcome

    async def withdraw(self, index: int, atoms: int, nonce: int = 1, destination: str = DESTINATION) -> str:
        withdrawal_id = "0x" + nonce.to_bytes(32).hex()
        outcome = await self.exchange.submit(
            RequestWithdrawal(
                withdrawal_id=withdrawal_id,
                account_id=self.account_id(index),
                asset_id=self.exchange.committed.asset_by_symbol["ETH"].asset_id,
                amount_atoms=atoms,
                max_fee_atoms=WITHDRAWAL_FEE,
                destination=destination,
                nonce=nonce,
                deadline_s=int(time.time()) + 3_600,
                signature="0x",
            )
        )
        assert type(outcome.events[0]).__name__ == "WithdrawalRequested", outcome
        return withdrawal_id

    async def finalized(self) -> Header:
        header = await self.rpc.finalized()
        assert header is not None
        return header

    async def request(self, **changes: Any) -> BuildRequest:
        """For a proof at the newest finalized block."""
        header = await self.finalized()
        wanted = {
            "genesis_id": self.exchange.committed.genesis_id,
            **self.place,
            "block_number": header.number,
            "block_hash": header.hash,
            "block_time_s": header.time_s,
            "kept": 3,
        }
        return BuildRequest(**wanted | changes)

    async def build(self, **changes: Any) -> BuildAnswer:
        return await build_proof(self.pool, self.rpc, await self.request(**changes))

    def outbox(self, key: int = PUBLISHER_KEY, **policy: Any) -> Outbox:
        sender = LocalSender(dev_key(key), DEV_CHAIN_ID)
        policy = {"confirmations": 1, "rebroadcast_s": 0.0} | policy
        return Outbox(self.rpc, self.pool, sender, chain_id=DEV_CHAIN_ID, policy=SendPolicy(**policy))

    def edge(self) -> Edge:
        """The API over this exchange."""
        committed = self.exchange.committed
        return Edge(
            config=EdgeConfig(
                **self.place,
                confirmations=1,
                allowed_origins=frozenset({ORIGIN}),
                host="localhost:8000",
                swagger_ui=SWAGGER_UI,
                read_wait_s=0.2,
            ),
            submit=self.exchange.submit,
            submit_batch=self.exchange.submit_batch,
            hand_in=no_stream,
            view=committed,
            projection=self.projection,
            pool=self.pool,
            market_data=None,
            login=Login(
                self.pool, domain="localhost:8000", uri=ORIGIN, chain_id=DEV_CHAIN_ID, clock_ns=time.time_ns
            ),
            sessions=Sessions(self.pool, clock_ns=time.time_ns),
            rate_limits=RateLimits(RateLimitPolicy(), committed.rate_class),
            clock_ns=time.time_ns,
            horizon_ns=time.time_ns,
            chain_head=lambda: self.watcher.head_number,
            allow_list=AllowList(self.pool, 0),
            risk_policy=RiskPolicy(),
            gas_price=lambda: None,
            withdrawals_halted=lambda: not self.reconciler.agrees,
            solvency=lambda: self.reconciler.finalized,
        )

    async def token(self, index: int) -> str:
        """A session of a user's."""
        sessions = Sessions(self.pool, clock_ns=time.time_ns)
        token, _ = await sessions.open(dev_address(index), self.account_id(index))
        return token

    def source(self, database_url: str, rpc_url: str) -> ProofSource:
        return ProofSource(database_url, rpc_url, self.exchange.committed.genesis_id, **self.place)
