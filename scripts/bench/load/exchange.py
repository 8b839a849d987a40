"""The exchange under load, in a process of its own: `exchange.main.serve` itself, as an operator starts it.

As for the streams' benchmark (`scripts.bench.feeds.exchange`) only the chain is missing, and accounts are
made by commands in the journal: here with sub-accounts, agents' keys, and a book that is full when it starts.
Words:

    start  everything; where it listens
"""

import asyncio
import logging
import sys
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec
import structlog
import uvloop
from nacl.bindings import crypto_sign_seed_keypair
from scripts.bench.children import obey
from scripts.bench.contenders import (
    RICH_BASE_ATOMS,
    RICH_QUOTE_ATOMS,
    opened_accounts,
    opening_commands,
)
from scripts.bench.engine import REQUEST_LIFE_NS, Engine, fill_book, running_engine
from scripts.bench.feeds.commit_times import CommitTimes
from scripts.bench.feeds.exchange import note_commits, serve_settings
from scripts.bench.load.traders import Loaded, Trader
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exchange.core.commands import ApproveAgent, Command, SetRateClass, TransferFunds
from exchange.core.words import AgentScope, RateClass
from exchange.edge.identity import authenticate_trader
from exchange.edge.rest import order_entry
from exchange.edge.server import listen
from exchange.gateway.sessions import Sessions
from exchange.main import Started, serve
from exchange.stores.postgres import open_pool

KEY_LIFE_NS = 24 * 3600 * 10**9
DEADLINE_S = 3_000


class Settings(msgspec.Struct):
    """Where it keeps what, and what there is when it starts. `loaded`: where that is written down."""

    database_url: str
    folder: str
    loaded: str
    commit_times: str
    traders: int
    sub_accounts: int
    open_orders: int
    seed: int


class Serving(msgspec.Struct):
    """Where it listens, and what requests to it are signed for."""

    port: int
    metrics_url: str
    genesis_id: str
    host: str
    seq: int
    """Of the last command before anybody came."""


async def open_accounts(engine: Engine, settings: Settings) -> list[list[int]]:
    """Lists the market and makes rich owners; ids of the accounts of each, by sub-account."""
    outcomes = await engine.submit_all(opening_commands(settings.traders))
    mains = opened_accounts(outcome.events for outcome in outcomes)
    expires_ns = time.time_ns() + REQUEST_LIFE_NS
    transfers: list[Command] = [
        TransferFunds(
            account_id,
            number,
            asset_id,
            rich_atoms // settings.sub_accounts,
            f"t-{asset_id}-{number}",
            expires_ns,
        )
        for account_id in mains
        for number in range(1, settings.sub_accounts)
        for asset_id, rich_atoms in ((1, RICH_BASE_ATOMS), (2, RICH_QUOTE_ATOMS))
    ]
    await engine.submit_all(transfers)
    view = engine.committed
    return [[account for _, account in view.sub_accounts(view.owner(main))] for main in mains]


async def approve_agents(
    engine: Engine, accounts: list[list[int]], settings: Settings, loaded: Loaded
) -> None:
    """A key for each owner, who is a market maker; what the owner would have signed, the gateway checks."""
    now_ns = time.time_ns()
    commands: list[Command] = []
    for number, (own, trader) in enumerate(zip(accounts, loaded.traders, strict=True)):
        seed = sha256(b"%d %d" % (settings.seed, number)).digest()
        public, _ = crypto_sign_seed_keypair(seed)
        trader.seed, trader.key = seed.hex(), f"0x{public.hex()}"
        owner = engine.committed.owner(own[0])
        commands += [
            ApproveAgent(
                owner,
                trader.key,
                "load",
                (AgentScope.READ, AgentScope.TRADE),
                (),
                (),
                now_ns + KEY_LIFE_NS,
                (),
                1,
                now_ns // 10**9 + DEADLINE_S,
                "",
            ),
            SetRateClass(owner, RateClass.MARKET_MAKER),
        ]
    await engine.submit_all(commands)


async def open_sessions(url: str, engine: Engine, accounts: list[list[int]], loaded: Loaded) -> None:
    """A session for each owner."""
    pool = await open_pool(url)
    try:
        sessions = Sessions(pool, clock_ns=time.time_ns)
        for own, trader in zip(accounts, loaded.traders, strict=True):
            trader.token, _ = await sessions.open(engine.committed.owner(own[0]), own[0])
    finally:
        await pool.close()


async def prepare(settings: Settings) -> tuple[int, str]:
    """Everything that is in the journal before anybody comes; the last seq and the genesis id."""
    async with running_engine(settings.database_url) as engine:
        accounts = await open_accounts(engine, settings)
        far, near_lots = await fill_book(engine, accounts, settings.open_orders, settings.seed)
        loaded = Loaded([Trader("", "", "", of_trader) for of_trader in far], near_lots)
        await approve_agents(engine, accounts, settings, loaded)
        await open_sessions(settings.database_url, engine, accounts, loaded)
        await asyncio.to_thread(Path(settings.loaded).write_bytes, msgspec.json.encode(loaded))
        return engine.state.seq, engine.committed.genesis_id


def add_empty_routes() -> None:
    """Two that do nothing, on the stack that orders come through: what that takes is nobody's order's."""
    answer = b'{"order":{"order_id":"1","filled":"0"},"padding":"%b"}' % (b"." * 350)

    def nothing() -> Response:
        return Response(answer, status_code=201, media_type="application/json")

    async def empty(_: Request) -> Response:
        return nothing()

    async def signed(request: Request) -> Response:
        await authenticate_trader(request)
        return nothing()

    for path, route in (("empty", empty), ("signed", signed)):
        order_entry.ROUTES.append(Route(f"/v1/bench/{path}", route, methods=["POST"]))


class Exchange:
    """The running exchange, as its parent plays on it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._group: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Serving:
        """Comes up. Raises what keeps it from that."""
        settings = self._settings
        seq, genesis_id = await prepare(settings)
        add_empty_routes()
        note_commits(CommitTimes(Path(settings.commit_times)))
        sockets = listen("127.0.0.1", 0)
        port: int = sockets[0].getsockname()[1]
        told: asyncio.Future[Started] = asyncio.get_running_loop().create_future()

        async def announce(started: Started) -> None:
            told.set_result(started)

        serving = replace(
            serve_settings(settings.database_url, Path(settings.folder), port),
            metrics=("127.0.0.1", 0),
        )
        assert self._group is not None
        self._task = self._group.create_task(serve(serving, sockets=sockets, on_started=announce))
        started = await told
        assert started.metrics_url is not None
        return Serving(port, started.metrics_url, genesis_id, serving.domain, seq)

    async def obey(self) -> None:
        """Does what it is told. Raises what ended the exchange before."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await obey({"start": self.start})
            if self._task is not None:
                self._task.cancel()


def main() -> None:
    """In the loop that the exchange runs in."""
    # Only the missing chain would be told about, over and over.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Exchange(settings).obey())


if __name__ == "__main__":
    main()
