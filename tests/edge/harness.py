"""A whole exchange behind its HTTP edge, in process: real Postgres, journal, sequencer and projection."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import uvicorn
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from fastapi import FastAPI

from exchange.chain.allow_list import AllowList
from exchange.chain.forwarders import Forwarders
from exchange.chain.gas_price import GasPrice
from exchange.chain.risk import AssetLimits, RiskPolicy
from exchange.core.commands import Command, CreditDeposit, ListAsset, OpenMarket, SetRules, UseNonce
from exchange.core.state import State
from exchange.edge.app import create_app
from exchange.edge.dependencies import DepositAddressing, Edge, EdgeConfig, MarketData
from exchange.edge.http_protocol import BoundedProtocol
from exchange.edge.rest.health import engine_part, lag_part, postgres_part
from exchange.edge.ws.hub import Hub
from exchange.edge.ws.protocol import WebSocketProtocol
from exchange.feeds.feeds import Feeds
from exchange.feeds.history import ClickHouseHistory
from exchange.gateway.rate_limits import RateLimits
from exchange.gateway.rate_policy import Rate, RateLimitPolicy, uniform_policy
from exchange.gateway.sessions import Sessions
from exchange.gateway.siwe import Login
from exchange.gateway.typed_data import TypedDataDomain, WithdrawalAddressMessage, WithdrawalMessage
from exchange.journal.log import JournalLog
from exchange.journal.recovery import read_genesis_and_head, replay
from exchange.journal.tail import Tail
from exchange.metrics import StreamCounters
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.postgres import PostgresProjection
from exchange.sequencer.clock import Clock
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.row import Committed
from exchange.sequencer.sequencer import Outcome, Sequencer, Tell
from exchange.stores.clickhouse import ClickHouse

ORIGIN = "http://localhost:8000"
HOST = "localhost:8000"
CHAIN_ID = 31337
VAULT = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
ETH = "0x" + "00" * 20
USDC = "0x" + "0c" * 20
WBTC = "0x" + "0b" * 20
RISK_POLICY = RiskPolicy({"WBTC": AssetLimits(review_above_atoms=10**8)})
REGISTRY = "0x" + "de" * 20
FORWARDERS = Forwarders.load(
    Path(__file__).parents[2] / "build" / "contracts", registry=REGISTRY, vault=VAULT
)
MINIMA = {ETH: 10**16, USDC: 10**6}
DEPOSIT_ADDRESSING = DepositAddressing(FORWARDERS, lambda: MINIMA, lambda: True)
ROOMY = uniform_policy(Rate(burst=200_000, per_s=100_000))
"""Rates that no test comes near to that is about something else."""
SWAGGER_UI = Path(__file__).parents[2] / "node_modules" / "swagger-ui-dist"
PATIENCE_S = 20.0
"""How long a read waits for the read tables: longer than any machine makes them late."""

LISTING: list[Command] = [
    SetRules(2),
    ListAsset("ETH", 18, CHAIN_ID, VAULT, ETH),
    ListAsset("USDC", 6, CHAIN_ID, VAULT, USDC),
    ListAsset("WBTC", 8, CHAIN_ID, VAULT, WBTC),
    OpenMarket("ETH-USDC", "ETH", "USDC", 1, 2, 10**14, 0, 10),
    OpenMarket("WBTC-USDC", "WBTC", "USDC", 1, 0, 10**2, 0, 10),
]


@dataclass(slots=True)
class Faults:
    """Switches at the I/O seams."""

    refuse: Exception | None = None
    clock_ahead_ns: int = 0
    chain_head: int = 0
    gas_price: GasPrice | None = None
    withdrawals_halted: bool = False


@dataclass(slots=True)
class Exchange:
    """The running parts, and short ways to play on them."""

    edge: Edge
    sequencer: Sequencer
    projection: PostgresProjection
    client: httpx.AsyncClient
    faults: Faults
    feeds: Feeds
    hub: Hub
    streams: StreamCounters
    deposits: int = 0

    @property
    def view(self) -> CommittedView:
        return self.sequencer.committed

    @property
    def domain(self) -> TypedDataDomain:
        return TypedDataDomain(self.view.genesis_id, CHAIN_ID, VAULT)

    async def deposit(self, owner: str, token: str, amount_atoms: int) -> None:
        self.deposits += 1
        number = self.deposits
        outcome = await self.sequencer.submit(
            CreditDeposit(
                CHAIN_ID, VAULT, number, owner, token, amount_atoms, f"0x{number:064x}", 0, 100 + number
            )
        )
        assert type(outcome.events[0]).__name__ in {"AccountOpened", "DepositCredited"}

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits, from commit to commit, until something is true of the committed view."""
        async with asyncio.timeout(20):
            while not holds():
                await self.view.reached(self.view.seq + 1, 20)

    async def trader(self, **deposits_atoms: int) -> "Trader":
        """A new wallet, signed in, with these deposits credited."""
        key = Account.create()
        for symbol, atoms in deposits_atoms.items():
            await self.deposit(key.address.lower(), self.view.asset_by_symbol[symbol].token, atoms)
        nonce = (await self.client.post("/v1/auth/nonce", json={"address": key.address})).json()
        login = await self.client.post(
            "/v1/auth/login",
            json={
                "message": nonce["message"],
                "signature": personal_sign(key, nonce["message"]),
                "pre_login_token": nonce["pre_login_token"],
            },
        )
        assert login.status_code == 200, login.text
        self.client.cookies.clear()
        answer = login.json()
        return Trader(self, key, answer["token"], int(answer["account_id"]))


@dataclass(slots=True)
class Trader:
    """One wallet with its session."""

    exchange: Exchange
    key: LocalAccount
    token: str
    account_id: int

    @property
    def owner(self) -> str:
        return self.key.address.lower()

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return await self.exchange.client.request(method, path, headers=headers, **options)

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.request("GET", path, params=params)

    async def order(self, **changes: Any) -> httpx.Response:
        """An order to buy 1 ETH at 3000, with changes; a change to ... leaves the field out."""
        body = {"market": "ETH-USDC", "side": "buy", "type": "limit", "time_in_force": "gtc"}
        body |= {"price": "3000", "size": "1"} | changes
        body = {name: value for name, value in body.items() if value is not ...}
        return await self.request("POST", "/v1/orders", json=body)

    async def balances(self) -> dict[str, tuple[str, str]]:
        items = (await self.get("/v1/balances")).json()["items"]
        return {item["asset"]: (item["available"], item["held"]) for item in items}

    def withdrawal(self, *, key: LocalAccount | None = None, **changes: Any) -> dict[str, Any]:
        """The body of a withdrawal of 2.5 USDC, signed; changes apply after signing."""
        deadline_s = int(time.time()) + 3600
        nonce = changes.pop("signed_nonce", 1)
        destination = changes.pop("signed_destination", self.key.address)
        message = WithdrawalMessage(
            self.owner,
            0,
            USDC,
            2_500_000,
            0,
            destination.lower(),
            nonce,
            changes.get("signed_deadline_s", deadline_s),
        )
        signature = (key or self.key).unsafe_sign_hash(self.exchange.domain.digest(message)).signature
        body = {
            "asset": "USDC",
            "amount": "2.5",
            "max_fee": "0",
            "destination": destination,
            "nonce": str(nonce),
            "deadline_s": message.deadline_s,
            "signature": "0x" + signature.hex(),
        }
        changes.pop("signed_deadline_s", None)
        return body | changes

    def withdrawal_address(
        self, address: str, nonce: int = 1, *, key: LocalAccount | None = None, **changes: Any
    ) -> dict[str, Any]:
        """The body that adds a withdrawal address, signed; changes apply after signing."""
        deadline_s = changes.pop("signed_deadline_s", int(time.time()) + 600)
        message = WithdrawalAddressMessage(self.owner, address.lower(), nonce, deadline_s)
        digest = self.exchange.domain.address_digest(message)
        signature = "0x" + (key or self.key).unsafe_sign_hash(digest).signature.hex()
        body = {"address": address, "label": "cold wallet", "nonce": str(nonce), "deadline_s": deadline_s}
        return body | {"signature": signature} | changes


@contextmanager
def impatient(exchange: Exchange) -> Iterator[None]:
    """Reads hardly wait for data that is not there yet, until the end of this."""
    config = exchange.edge.config
    # The configuration is frozen for all who serve; only a test turns it under a running exchange.
    object.__setattr__(config, "read_wait_s", 0.05)
    try:
        yield
    finally:
        object.__setattr__(config, "read_wait_s", PATIENCE_S)


@asynccontextmanager
async def read_tables_standing_still(exchange: Exchange) -> AsyncIterator[None]:
    """The read tables can be read, but not written, until the end of this; nobody waits long for them."""
    async with exchange.edge.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE projection_cursors IN EXCLUSIVE MODE")
        with impatient(exchange):
            yield


def personal_sign(key: LocalAccount, message: str) -> str:
    return "0x" + key.sign_message(encode_defunct(text=message)).signature.hex()


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem of a response, which must have this status and code and the full form."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    content: dict[str, Any] = response.json()
    assert (response.status_code, content["code"]) == (status, code), response.text
    assert content["status"] == status
    assert content["type"] == f"urn:exchange:problem:{code}"
    assert content["title"]
    assert content["detail"]
    assert content["request_id"] == response.headers["x-request-id"]
    return content


@asynccontextmanager
async def running_exchange(
    database_url: str,
    pool: asyncpg.Pool,
    clickhouse: ClickHouse | None = None,
    *,
    address_delay_s: int = 0,
    deposit_addressing: DepositAddressing | None = DEPOSIT_ADDRESSING,
    wall_ns: Callable[[], int] | None = None,
    max_streams: int = 2_000,
    tick_s: float = 0.05,
    rate_policy: RateLimitPolicy = ROOMY,
    rate_clock_ns: Callable[[], int] = time.monotonic_ns,
) -> AsyncIterator[Exchange]:
    """Engine, journal, projections, streams and app on a migrated database, going on with its journal.

    `wall_ns` is a clock of the test's own for all of it. `tick_s`: how often the streams look at the clock,
    and at the chain. `rate_clock_ns` is what the rates of `rate_policy` go by.
    """
    log = await JournalLog.claim(database_url)
    tail = Tail(pool)
    state, view = await _recovered(pool, log)
    clock = Clock(state.time_ns) if wall_ns is None else Clock(state.time_ns, wall_ns, wall_ns)
    streams = StreamCounters()

    def on_commit(batch: Committed) -> None:
        feeds.committed(batch)
        tail.notify()

    sequencer = Sequencer(state, view, log, clock, on_commit=on_commit)
    projection = PostgresProjection(pool, tail)
    market_data = None
    if clickhouse is not None:
        market_data = MarketData(
            clickhouse, ClickHouseProjection(pool, tail, clickhouse, insert_interval_s=0.05)
        )
    history = None
    if market_data is not None:
        history = ClickHouseHistory(market_data.clickhouse, market_data.projection)
    feeds = Feeds(view, history, sequencer.horizon_ns)
    faults = Faults()

    def clock_ns() -> int:
        return (wall_ns or time.time_ns)() + faults.clock_ahead_ns

    async def submit(command: Command, nonce: UseNonce | None = None) -> Outcome:
        if faults.refuse is not None:
            raise faults.refuse
        return await sequencer.submit(command, nonce)

    async def submit_batch(commands: Sequence[Command], nonce: UseNonce | None = None) -> list[Outcome]:
        if faults.refuse is not None:
            raise faults.refuse
        return await sequencer.submit_batch(commands, nonce)

    def hand_in(commands: Sequence[Command], tell: Tell, *, agent: str | None = None) -> None:
        if faults.refuse is not None:
            raise faults.refuse
        sequencer.hand_in(commands, tell, agent=agent)

    edge = Edge(
        config=EdgeConfig(
            chain_id=CHAIN_ID,
            vault=VAULT,
            confirmations=3,
            allowed_origins=frozenset({ORIGIN}),
            host=HOST,
            swagger_ui=SWAGGER_UI,
            read_wait_s=PATIENCE_S,
            auth_burst=1_000,
            health_kept_s=0.0,
        ),
        submit=submit,
        submit_batch=submit_batch,
        hand_in=hand_in,
        view=view,
        projection=projection,
        pool=pool,
        market_data=market_data,
        login=Login(pool, domain="localhost:8000", uri=ORIGIN, chain_id=CHAIN_ID, clock_ns=clock_ns),
        sessions=Sessions(pool, clock_ns=clock_ns, lifetime_s=3600),
        rate_limits=RateLimits(rate_policy, view.rate_class, clock_ns=rate_clock_ns),
        clock_ns=clock_ns,
        horizon_ns=sequencer.horizon_ns,
        chain_head=lambda: faults.chain_head,
        allow_list=AllowList(pool, address_delay_s),
        risk_policy=RISK_POLICY,
        gas_price=lambda: faults.gas_price,
        withdrawals_halted=lambda: faults.withdrawals_halted,
        deposit_addressing=deposit_addressing,
        health_parts=(
            engine_part(lambda: sequencer.running),
            postgres_part(pool),
            lag_part("projections", lambda: view.seq, lambda: projection.seq, max_lag=5_000, required=True),
        ),
    )
    hub = Hub(edge, feeds, streams, max_connections=max_streams, tick_s=tick_s, poll_chain_s=tick_s)
    tasks = [
        asyncio.create_task(sequencer.run()),
        asyncio.create_task(projection.run()),
        asyncio.create_task(hub.run()),
    ]
    if market_data is not None:
        tasks.append(asyncio.create_task(market_data.projection.run()))
    transport = httpx.ASGITransport(create_app(edge, hub))
    try:
        for command in () if state.market_by_symbol else LISTING:
            outcome = await sequencer.submit(command)
            assert type(outcome.events[0]).__name__ != "Rejected", outcome
        async with httpx.AsyncClient(transport=transport, base_url="https://localhost:8000") as client:
            yield Exchange(edge, sequencer, projection, client, faults, feeds, hub, streams)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await log.close()


async def _recovered(pool: asyncpg.Pool, log: JournalLog) -> tuple[State, CommittedView]:
    """What the journal says has happened."""
    async with pool.acquire() as connection:
        genesis_id, head = await read_genesis_and_head(connection)
        state = await replay(connection, genesis_id, head)
    assert state.seq == log.head.seq
    return state, CommittedView.from_state("0x" + genesis_id.hex(), state)


class PromptServer(uvicorn.Server):
    """Ends when it is told to and its connections have ended, not at the next tenth of a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told = asyncio.Event()

    async def main_loop(self) -> None:
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self.told.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As the original's, which also waits a tenth of a second for each of its steps."""
        for server in self.servers:
            server.close()
        for listening in sockets or ():
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.002)
        for server in self.servers:
            await server.wait_closed()

    def tell(self) -> None:
        """Has it end."""
        self.should_exit = True
        self.told.set()


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The app on a real server on a free port; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            app,
            log_level="warning",
            server_header=False,
            lifespan="off",
            http=BoundedProtocol,
            ws=WebSocketProtocol if getattr(app.state, "hub", None) else "none",
            proxy_headers=False,
        )
        server = PromptServer(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            async with httpx.AsyncClient(base_url=url, timeout=10) as client:
                assert (await client.get("/v1/health/live")).status_code == 200
            yield url
        finally:
            server.tell()
            await asyncio.wait_for(task, 10)
