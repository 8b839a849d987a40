"""Wiring: one exchange process, from settings to a served API. Nothing here decides anything.

Starting:  migrate -> claim the journal -> replay -> engine -> listing -> followers -> API.
Stopping, by cancellation or because a part failed, undoes it in the opposite order, so that the API is gone
before the engine is and everything answered is followed up.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import structlog
import uvicorn

from exchange.chain.deposits import DepositWatcher
from exchange.chain.errors import RpcUnavailable
from exchange.chain.rpc import Rpc
from exchange.chain.signer import LocalSender, LocalSigner
from exchange.chain.withdrawals import WithdrawalPolicy, WithdrawalWorker
from exchange.config import SWAGGER_ASSETS, Settings
from exchange.core.commands import ListAsset, OpenMarket
from exchange.core.events import Rejected
from exchange.core.markets import Market
from exchange.core.rejects import RejectReason
from exchange.edge.app import create_app
from exchange.edge.dependencies import Edge, EdgeConfig, HealthPart, MarketData
from exchange.edge.rest.health import engine_part, lag_part, postgres_part
from exchange.gateway.sessions import Sessions
from exchange.gateway.siwe import Login
from exchange.journal.log import JournalLog, ensure_genesis
from exchange.journal.recovery import replay
from exchange.journal.tail import Tail
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.postgres import PostgresProjection
from exchange.sequencer.clock import Clock
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Sequencer
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.postgres import check_durability, migrate, open_connection, open_pool

logger = structlog.get_logger(__name__)

SHUTDOWN_S = 5
MAX_LAG = 5_000
"""Commands by which a projection may be behind and still count as ready."""


class CannotRun(Exception):
    """This process can not start, or can not go on; the message says why and what to do."""


class PortTaken(CannotRun):
    """Somebody listens there already."""

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(
            f"port {port} is taken, perhaps by an exchange that is already running; "
            "stop it, or choose another with --port"
        )


class EndedEarly(CannotRun):
    """A part that runs for ever has ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} ended by itself")


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


def configure_logging(*, log_format: str, level: str) -> None:
    """Logs to stderr, as text or as JSON lines; libraries only warn."""
    # Plain tracebacks on purpose: local variables in a log would show tokens and keys.
    renderers: list[structlog.types.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen already, before anything else is started. Raises PortTaken."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(port) from error
        raise CannotRun(f"can not listen on {host}:{port}: {error.strerror}") from error
    opened.set_inheritable(False)
    return [opened]


async def serve(
    settings: Settings,
    *,
    sockets: list[socket.socket] | None = None,
    on_started: Callable[[Started], Awaitable[None]] | None = None,
) -> None:
    """Runs an exchange until cancelled. Raises the typed error of whatever can not start or has ended."""
    sockets = sockets or listen(settings.host, settings.port)
    await migrate(settings.database_url)
    async with contextlib.AsyncExitStack() as stack:
        pool = await open_pool(settings.database_url)
        stack.push_async_callback(_close_pool, pool)
        log = await stack.enter_async_context(await JournalLog.claim(settings.database_url))
        tail = Tail(pool)
        sequencer = await _recover(settings.database_url, log, tail)
        committed = sequencer.committed
        rpc = await stack.enter_async_context(Rpc(settings.rpc_url))
        clickhouse = await _open_clickhouse(settings.clickhouse)
        stack.push_async_callback(clickhouse.close)

        read_tables = PostgresProjection(pool, tail)
        trades = ClickHouseProjection(pool, tail, clickhouse)
        deposits = DepositWatcher(
            rpc,
            pool,
            sequencer.submit,
            committed,
            chain_id=settings.chain_id,
            vault=settings.vault,
            deploy_block=settings.vault_block,
            confirmations=settings.confirmations,
        )
        withdrawals = WithdrawalWorker(
            rpc,
            pool,
            sequencer.submit,
            committed,
            tail,
            LocalSigner(settings.signer_key, settings.chain_id, settings.vault),
            LocalSender(settings.sender_key, settings.chain_id),
            chain_id=settings.chain_id,
            vault=settings.vault,
            deploy_block=settings.vault_block,
            policy=WithdrawalPolicy(confirmations=settings.confirmations),
        )
        app = create_app(
            Edge(
                config=EdgeConfig(
                    chain_id=settings.chain_id,
                    vault=settings.vault,
                    confirmations=settings.confirmations,
                    allowed_origins=frozenset({settings.origin}),
                    swagger_ui=SWAGGER_ASSETS,
                ),
                submit=sequencer.submit,
                view=committed,
                projection=read_tables,
                pool=pool,
                market_data=MarketData(clickhouse, trades),
                login=Login(
                    pool,
                    domain=settings.domain,
                    uri=settings.origin,
                    chain_id=settings.chain_id,
                    clock_ns=time.time_ns,
                ),
                sessions=Sessions(pool, clock_ns=time.time_ns),
                clock_ns=time.time_ns,
                chain_head=lambda: deposits.head_number,
                health_parts=_health_parts(pool, sequencer, read_tables, trades, deposits, withdrawals),
            )
        )
        await stack.enter_async_context(_running("engine", sequencer.run()))
        await _list(sequencer, settings.listing)
        await _prepare(withdrawals)
        for name, work in (
            ("read tables", read_tables.run()),
            ("trades", trades.run()),
            ("deposit watcher", deposits.run()),
            ("withdrawal worker", withdrawals.run()),
        ):
            await stack.enter_async_context(_running(name, work))
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                http="httptools",
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_S,
            )
        )
        await stack.enter_async_context(_running("API", server.run_until_cancelled(sockets)))
        if on_started is not None:
            await on_started(Started(committed.seq, log.epoch, list(committed.markets.values())))
        logger.info("started", seq=committed.seq, epoch=log.epoch, origin=settings.origin)
        await asyncio.Event().wait()


async def _recover(database_url: str, log: JournalLog, tail: Tail) -> Sequencer:
    """Replays the journal into an engine that continues it."""
    started_at = time.monotonic()
    connection = await open_connection(database_url)
    try:
        await check_durability(connection)
        genesis_id = await ensure_genesis(connection)
        committed = CommittedView(f"0x{genesis_id.hex()}")
        state = await replay(
            connection,
            genesis_id,
            log.head,
            lambda row: committed.advance(row.seq_last, row.time_ns, row.events),
        )
    finally:
        await connection.close()
    logger.info("recovered", seq=state.seq, seconds=round(time.monotonic() - started_at, 3))
    return Sequencer(state, committed, log, Clock(state.time_ns), on_commit=tail.notify)


async def _prepare(withdrawals: WithdrawalWorker) -> None:
    """Refuses a start against a wrong chain or lost rows; a node that does not answer is waited for later."""
    try:
        await withdrawals.prepare()
    except RpcUnavailable as error:
        logger.warning("chain_unavailable", error=str(error))


async def _open_clickhouse(where: str) -> ClickHouse:
    if where.startswith(("http://", "https://")):
        return await ClickHouse.open(url=where)
    return await ClickHouse.open(path=Path(where))


async def _list(sequencer: Sequencer, listing: tuple[ListAsset | OpenMarket, ...]) -> None:
    """Submits the operator's listing as far as it is new. Raises ListingRefused."""
    committed = sequencer.committed
    for command in listing:
        known = committed.asset_by_symbol if isinstance(command, ListAsset) else committed.market_by_symbol
        if command.symbol in known:
            continue
        outcome = await sequencer.submit(command)
        first = outcome.events[0]
        if isinstance(first, Rejected):
            raise ListingRefused(command.symbol, first.reason)


def _health_parts(
    pool: asyncpg.Pool,
    sequencer: Sequencer,
    read_tables: PostgresProjection,
    trades: ClickHouseProjection,
    deposits: DepositWatcher,
    withdrawals: WithdrawalWorker,
) -> tuple[HealthPart, ...]:
    def head_seq() -> int:
        return sequencer.committed.seq

    async def crediting() -> str | None:
        status = deposits.status()
        problem = status.condition or status.fault
        return None if problem is None else str(problem)

    async def paying() -> str | None:
        status = withdrawals.status()
        if status.fault is not None:
            return str(status.fault)
        return f"{len(status.conditions)} payments are stopped" if status.conditions else None

    return (
        engine_part(lambda: sequencer.running),
        postgres_part(pool),
        lag_part("read tables", head_seq, lambda: read_tables.seq, MAX_LAG, required=True),
        lag_part("trades", head_seq, lambda: trades.seq, MAX_LAG, required=False),
        HealthPart("deposits", required=False, check=crediting),
        HealthPart("withdrawals", required=False, check=paying),
    )


@contextlib.asynccontextmanager
async def _running(name: str, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs a part beside the body, and cancels it when the body ends; if the part ends, so does the body."""

    async def for_ever() -> None:
        await work
        raise EndedEarly(name)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(for_ever(), name=name)
        yield
        task.cancel()


async def _close_pool(pool: asyncpg.Pool) -> None:
    try:
        async with asyncio.timeout(SHUTDOWN_S):
            await pool.close()
    except TimeoutError:
        pool.terminate()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: this process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def run_until_cancelled(self, sockets: list[socket.socket]) -> None:
        """Serves; on cancellation lets requests under way finish, within a bound."""
        serving = asyncio.ensure_future(self.serve(sockets))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self.should_exit = True
            await serving
            raise
