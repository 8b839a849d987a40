"""Wiring: one exchange process, from settings to a served API. Nothing here decides anything.

Starting:  migrate -> claim the journal -> recover -> engine -> listing -> followers -> API.
Stopping, by cancellation or because a part failed, undoes it in the opposite order, so that the API is gone
before the engine is and everything answered is followed up.
"""

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from exchange import compiled
from exchange.chain.allow_list import AllowList
from exchange.chain.errors import RpcError, RpcUnavailable
from exchange.chain.faucet import Faucet
from exchange.chain.rpc import Rpc
from exchange.config import SWAGGER_ASSETS, Settings
from exchange.core.commands import ListAsset, OpenMarket, SetRules
from exchange.core.events import Rejected
from exchange.core.markets import Asset, Market
from exchange.core.rejects import RejectReason
from exchange.core.terms import RULES_VERSION
from exchange.custody import Custody, make_custody
from exchange.edge.app import create_app
from exchange.edge.dependencies import Edge, EdgeConfig, MarketData
from exchange.edge.readiness import HealthPart
from exchange.edge.rest.health import (
    clickhouse_part,
    engine_part,
    lag_part,
    login_part,
    postgres_part,
)
from exchange.edge.server import Server, listen
from exchange.edge.ws.hub import Hub
from exchange.feeds.feeds import Feeds
from exchange.feeds.history import ClickHouseHistory
from exchange.gateway.rate_limits import RateLimits
from exchange.gateway.session_endings import SessionEndings
from exchange.gateway.sessions import Sessions
from exchange.gateway.siwe import Login
from exchange.gateway.siwe_package import LoginUnavailable
from exchange.journal.log import JournalLog, ensure_genesis
from exchange.journal.recovery import recover
from exchange.journal.snapshots import Snapshotter
from exchange.journal.tail import Tail
from exchange.metrics import CommitCounters, Metrics, Sources, StreamCounters
from exchange.operator.fee_tiers import FeeTierWorker
from exchange.operator.inbox import OperatorInbox
from exchange.operator.network_fees import NetworkFeeWorker
from exchange.parts import CannotRun, running
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.cursor import check_cursors
from exchange.projections.postgres import ReadTables
from exchange.projections.rebuild import RebuildWatch
from exchange.projections.tables_apart import ReadTablesApart
from exchange.sequencer import garbage
from exchange.sequencer.clock import Clock
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.row import Committed
from exchange.sequencer.sequencer import Sequencer
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.postgres import (
    check_durability,
    migrate,
    open_connection,
    open_pool,
    reaching_the_database,
)

logger = structlog.get_logger(__name__)

SHUTDOWN_S = 5
WANTED_FILES = 4_192
METRICS_OPTION = "EXCHANGE_METRICS or --metrics-port"
"""What chooses the port of the figures, in the two commands that run an exchange."""
_SET_BY_OPERATORS = {
    "maker_fee_bps",
    "taker_fee_bps",
    "state",
    "price_band_bps",
    "market_band_bps",
    "withdrawal_fee_atoms",
    "min_withdrawal_atoms",
}
"""What the settings say of an asset or a market when it is listed; commands may have changed it since."""
MAX_LAG = 5_000
"""Commands by which a projection may be behind and still count as ready."""


class ListingDiffers(CannotRun):
    """The settings list an asset or a market otherwise than the journal does."""

    def __init__(self, symbol: str, field: str, ours: object, journaled: object) -> None:
        self.symbol = symbol
        self.field = field
        super().__init__(
            f"{symbol}: {field} is {ours} in the settings but {journaled} in the journal; put the settings "
            "right, or start with another database"
        )


class ListingRefused(CannotRun):
    """The engine refused to list an asset or open a market of the settings."""

    def __init__(self, what: str, reason: RejectReason) -> None:
        self.what = what
        self.reason = reason
        super().__init__(f"{what} can not be listed: {reason}")


@dataclass(frozen=True, slots=True)
class Started:
    """What there is to tell when everything runs."""

    seq: int
    epoch: int
    markets: list[Market]
    metrics_url: str | None
    """Where the figures are; None: nowhere."""


async def serve(
    settings: Settings,
    *,
    sockets: list[socket.socket] | None = None,
    on_started: Callable[[Started], Awaitable[None]] | None = None,
) -> None:
    """Runs an exchange until cancelled. Raises the typed error of whatever can not start or has ended."""
    _raise_file_limit(settings.max_streams)
    garbage.take_over()
    sockets = sockets or listen(settings.host, settings.port)
    async with contextlib.AsyncExitStack() as stack:
        with reaching_the_database():
            await migrate(settings.database_url)
            pool = await _open_pool(settings.database_url, stack)
            # Of its own, so that a flood of requests never keeps the followers waiting for a connection.
            edge_pool = await _open_pool(settings.database_url, stack)
            log = await stack.enter_async_context(await JournalLog.claim(settings.database_url))
            tail = Tail(pool)
            followers: list[Callable[[Committed], None]] = []
            sequencer, commits, snapshot_seq = await _recover(settings.database_url, log, tail, followers)
        committed = sequencer.committed
        rpc = await stack.enter_async_context(Rpc(settings.rpc_url))
        clickhouse = ClickHouse.at(settings.clickhouse, settings.clickhouse_cluster)  # connects by itself
        stack.push_async_callback(clickhouse.close)

        snapshots = Snapshotter(
            settings.database_url, lambda: committed.seq, settings.snapshots, last_seq=snapshot_seq
        )
        streams = StreamCounters()
        read_tables = ReadTablesApart(pool, settings.database_url)
        trades = ClickHouseProjection(pool, tail, clickhouse)
        feeds = Feeds(committed, ClickHouseHistory(clickhouse, trades), sequencer.horizon_ns)
        followers.append(feeds.committed)
        followers.append(lambda _: read_tables.notify())
        custody = make_custody(settings, stack, rpc, pool, sequencer, tail, log.epoch)
        login = Login(
            edge_pool,
            domain=settings.domain,
            uri=settings.origin,
            chain_id=settings.chain_id,
            clock_ns=time.time_ns,
        )
        sessions = Sessions(edge_pool, clock_ns=time.time_ns)
        rate_limits = RateLimits(settings.rate_limits, committed.rate_class)
        edge = Edge(
            config=EdgeConfig(
                chain_id=settings.chain_id,
                vault=settings.vault,
                confirmations=settings.finality.confirmations,
                allowed_origins=frozenset({settings.origin}),
                host=settings.domain.lower(),
                swagger_ui=SWAGGER_ASSETS,
                web_app=settings.web_app,
                wallet_rpc_url=settings.wallet_rpc_url,
                auth_burst=settings.rate_limits.ip.sign_ins.burst,
                auth_per_s=settings.rate_limits.ip.sign_ins.per_s,
                network_fee_max_atoms=settings.network_fee_max_atoms,
            ),
            submit=sequencer.submit,
            submit_batch=sequencer.submit_batch,
            hand_in=sequencer.hand_in,
            view=committed,
            projection=read_tables,
            pool=edge_pool,
            market_data=MarketData(clickhouse, trades),
            login=login,
            sessions=sessions,
            rate_limits=rate_limits,
            clock_ns=time.time_ns,
            horizon_ns=sequencer.horizon_ns,
            chain_head=lambda: custody.deposits.head_number,
            allow_list=AllowList(edge_pool, settings.address_delay_s),
            risk_policy=settings.risk,
            gas_price=lambda: custody.gas_prices.latest,
            withdrawals_halted=custody.withdrawals_halted,
            deposit_addressing=custody.deposit_addressing,
            solvency=lambda: custody.reconciler.finalized,
            faucet=Faucet(rpc, settings.chain_id) if settings.has_faucet else None,
            health_parts=(
                *_health_parts(edge_pool, sequencer, read_tables, trades, snapshots),
                clickhouse_part(clickhouse),
                login_part(lambda: login.package.fault),
                *custody.health_parts(),
            ),
        )
        hub = Hub(edge, feeds, streams, max_connections=settings.max_streams)
        await stack.enter_async_context(running("streams", hub.run()))
        await stack.enter_async_context(running("engine", sequencer.run()))
        await _switch_on_rules(sequencer)
        await _list(sequencer, settings.listing)
        await _prepare(custody)
        for name, work in (
            ("read tables", read_tables.run()),
            ("trades", trades.run()),
            (
                "ended sessions",
                SessionEndings(sessions, lambda: open_connection(settings.database_url)).run(),
            ),
            ("rebuilds", RebuildWatch(pool, clickhouse).run()),
            *custody.works(),
            ("operator requests", OperatorInbox(pool, sequencer.submit).run()),
            ("snapshots", snapshots.run()),
            *_fee_works(settings, pool, sequencer, read_tables, clickhouse, trades, custody),
        ):
            await stack.enter_async_context(running(name, work))
        metrics_url = None
        if settings.metrics is not None:
            metrics = Metrics(
                Sources(
                    head_seq=lambda: committed.seq,
                    followers={"read_tables": lambda: read_tables.seq, "clickhouse": lambda: trades.seq},
                    time_after=tail.time_after,
                    engine_up=lambda: sequencer.running,
                    inbox_commands=lambda: sequencer.waiting,
                    withdrawals_halted=custody.withdrawals_halted,
                    parts_ready=lambda: _parts_ready(edge),
                    clickhouse_up=lambda: clickhouse.fault is None,
                    commits=commits,
                    streams=streams,
                    rate_limited=rate_limits.refused,
                    clock_ns=time.time_ns,
                )
            )
            metrics_url = await _serve_metrics(metrics, settings.metrics, stack)
        server = Server(
            create_app(edge, hub), max_streams=settings.max_streams, connections=rate_limits.connections
        )
        await stack.enter_async_context(running("API", server.run_until_cancelled(sockets)))
        if on_started is not None:
            await on_started(Started(committed.seq, log.epoch, list(committed.markets.values()), metrics_url))
        core = "compiled" if compiled.is_in_use() else "interpreted"
        logger.info("started", seq=committed.seq, epoch=log.epoch, origin=settings.origin, core=core)
        with contextlib.suppress(LoginUnavailable):  # then `login` is not healthy, and trading goes on
            await login.package.get()  # last of all: only logins wait for it
        await asyncio.Event().wait()


def _fee_works(
    settings: Settings,
    pool: asyncpg.Pool,
    sequencer: Sequencer,
    read_tables: ReadTables,
    clickhouse: ClickHouse,
    trades: ClickHouseProjection,
    custody: Custody,
) -> list[tuple[str, Coroutine[Any, Any, None]]]:
    """What keeps fees right by itself, as far as the settings want it."""
    works: list[tuple[str, Coroutine[Any, Any, None]]] = []
    if settings.fee_tiers is not None:
        fee_tiers = FeeTierWorker(
            pool, read_tables, clickhouse, trades, sequencer.committed, sequencer.submit, settings.fee_tiers
        )
        works.append(("fee tiers", fee_tiers.run()))
    if settings.network_fee_max_atoms:
        network_fees = NetworkFeeWorker(
            sequencer.committed,
            sequencer.submit,
            lambda: custody.gas_prices.payment_wei,
            settings.network_fee_max_atoms,
        )
        works.append(("network fees", network_fees.run()))
    return works


async def _serve_metrics(metrics: Metrics, address: tuple[str, int], stack: contextlib.AsyncExitStack) -> str:
    """Starts their listener; where it is. Raises CannotListen, PortTaken."""
    sockets = listen(*address, METRICS_OPTION)
    stack.callback(sockets[0].close)
    await stack.enter_async_context(running("metrics", Server(metrics).run_until_cancelled(sockets)))
    host, port = sockets[0].getsockname()
    return f"http://{host}:{port}/metrics"


def _raise_file_limit(streams: int) -> None:
    """As many open files as the system lets us have: each connection is one, and so is each stream."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES + streams
    wanted = min(hard, wanted) if hard != resource.RLIM_INFINITY else wanted
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _recover(
    database_url: str, log: JournalLog, tail: Tail, followers: Sequence[Callable[[Committed], None]]
) -> tuple[Sequencer, CommitCounters, int]:
    """An engine that continues the journal, what it counts, and the seq of the snapshot it began with.

    `followers` are told of each batch that is committed. They may be added before the engine runs.
    """
    started_at = time.monotonic()
    connection = await open_connection(database_url)
    try:
        await check_durability(connection)
        genesis_id = await ensure_genesis(connection)
        recovered = await recover(connection, genesis_id, log.head)
        await check_cursors(connection, log.head.seq)
    finally:
        await connection.close()
    state = recovered.state
    committed = CommittedView.from_state(f"0x{genesis_id.hex()}", state)
    logger.info(
        "recovered",
        seq=state.seq,
        snapshot_seq=recovered.snapshot_seq,
        seconds=round(time.monotonic() - started_at, 3),
    )
    garbage.freeze_loaded()
    commits = CommitCounters(state.seq)

    def on_commit(batch: Committed) -> None:
        commits.take(batch.seq_last)
        tail.notify()
        for follower in followers:
            follower(batch)

    sequencer = Sequencer(
        state,
        committed,
        log,
        Clock(state.time_ns),
        on_commit=on_commit,
        on_idle=garbage.IdleCollector().when_idle,
    )
    return sequencer, commits, recovered.snapshot_seq


async def _prepare(custody: Custody) -> None:
    """Refuses a start against a wrong chain, lost rows or another registry of deposit addresses.

    A node that does not answer is waited for later.
    """
    try:
        with reaching_the_database():
            await custody.withdrawals.prepare()
        if custody.arrivals is not None:
            await custody.arrivals.check()
    except (RpcUnavailable, RpcError) as error:
        logger.warning("chain_unavailable", error=str(error))


async def _switch_on_rules(sequencer: Sequencer) -> None:
    """Brings the journal to the newest rules that this code knows; one version at a time, each journaled."""
    while sequencer.committed.rules_version < RULES_VERSION:
        await sequencer.submit(SetRules(sequencer.committed.rules_version + 1))


async def _list(sequencer: Sequencer, listing: tuple[ListAsset | OpenMarket, ...]) -> None:
    """Submits the operator's listing as far as it is new. Raises ListingDiffers, ListingRefused."""
    committed = sequencer.committed
    for command in listing:
        known: Asset | Market | None
        if isinstance(command, ListAsset):
            known = committed.asset_by_symbol.get(command.symbol)
        else:
            known = committed.market_by_symbol.get(command.symbol)
        if known is not None:
            _compare_listing(command, known)
            continue
        outcome = await sequencer.submit(command)
        first = outcome.events[0]
        if isinstance(first, Rejected):
            raise ListingRefused(command.symbol, first.reason)


def _compare_listing(command: ListAsset | OpenMarket, known: Asset | Market) -> None:
    """What is in the journal stays: another vault, token or tick in the settings is a mistake."""
    for name in command.__struct_fields__:
        if name in _SET_BY_OPERATORS or not hasattr(known, name):
            continue  # base and quote of a market have other names there: they are part of its symbol
        ours, journaled = getattr(command, name), getattr(known, name)
        if ours != journaled:
            raise ListingDiffers(command.symbol, name, ours, journaled)


def _health_parts(
    pool: asyncpg.Pool,
    sequencer: Sequencer,
    read_tables: ReadTables,
    trades: ClickHouseProjection,
    snapshots: Snapshotter,
) -> tuple[HealthPart, ...]:
    def head_seq() -> int:
        return sequencer.committed.seq

    async def snapshotting() -> Exception | None:
        return snapshots.fault

    return (
        engine_part(lambda: sequencer.running),
        postgres_part(pool),
        lag_part("read tables", head_seq, lambda: read_tables.seq, MAX_LAG, required=True),
        lag_part("trades", head_seq, lambda: trades.seq, MAX_LAG, required=False),
        HealthPart("snapshots", required=False, check=snapshotting),
    )


async def _open_pool(database_url: str, stack: contextlib.AsyncExitStack) -> asyncpg.Pool:
    pool = await open_pool(database_url)
    stack.push_async_callback(_close_pool, pool)
    return pool


async def _parts_ready(edge: Edge) -> dict[str, bool]:
    return {part.name: part.ready for part in await edge.readiness.parts()}


async def _close_pool(pool: asyncpg.Pool) -> None:
    try:
        async with asyncio.timeout(SHUTDOWN_S):
            await pool.close()
    except TimeoutError:
        pool.terminate()
