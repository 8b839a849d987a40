"""The policy signer as a process: state, journal, policy, server. Nothing here decides anything.

It shares nothing with the exchange but a token and the right to read the journal, and belongs on a machine of
its own.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import asyncpg
import structlog
import uvicorn
from starlette.applications import Starlette

from exchange.chain.backoff import repeat
from exchange.chain.signer import LocalSigner
from exchange.policy_signer.app import create_app
from exchange.policy_signer.journal_watch import JournalWatch
from exchange.policy_signer.policy import Policy
from exchange.policy_signer.refusals import CannotListen
from exchange.policy_signer.settings import PolicySettings
from exchange.policy_signer.signed_payments import SignedPayments
from exchange.policy_signer.state_file import StateFile
from exchange.stores.postgres import open_pool, reaching_the_database

POLL_S = 1.0
MAX_CONNECTIONS = 64
SHUTDOWN_S = 5
POOL_CLOSE_S = 5.0

log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """uvicorn for one app, without its signal handlers: the process has its own."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",  # it bounds the head of a request
                limit_concurrency=MAX_CONNECTIONS,
                proxy_headers=False,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_S,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield

    async def run_until_cancelled(self, listening: socket.socket) -> None:
        """Serves; on cancellation lets requests under way finish, within a bound."""
        serving = asyncio.ensure_future(self.serve([listening]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self.should_exit = True
            await serving
            raise


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens already. Raises CannotListen."""
    # The protocol has to be named: without it asyncio leaves Nagle's algorithm on, 40 ms an answer.
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
        opened.listen(MAX_CONNECTIONS)
    except OSError as error:
        opened.close()
        raise CannotListen(host, port, error.strerror or str(error)) from error
    return opened


async def run_policy_signer(
    settings: PolicySettings,
    *,
    listening: socket.socket | None = None,
    now_s: Callable[[], float] = time.time,
    on_started: Callable[[str], Awaitable[None]] | None = None,
) -> None:
    """Runs until cancelled; tells `on_started` the signer's address.

    Raises PolicySignerError, DevKeyRefused, DatabaseUnreachable when it can not start.
    """
    async with contextlib.AsyncExitStack() as stack:
        listening = listening or listen(settings.host, settings.port)
        stack.callback(listening.close)
        identity = settings.identity
        signer = LocalSigner(settings.key, identity.chain_id, identity.vault)
        state = StateFile.open(settings.state_file, identity)
        stack.callback(state.close)
        with reaching_the_database():
            pool = await open_pool(settings.database_url, max_size=4)
        stack.push_async_callback(_close, pool)
        journal = JournalWatch(pool, state, identity)
        policy = Policy(identity, signer, settings.limits, journal, SignedPayments(state), now_s)
        server = _Server(create_app(policy, journal, settings.token))
        async with asyncio.TaskGroup() as group:
            follower = repeat(
                "policy_journal",
                journal.catch_up,
                lambda: asyncio.sleep(POLL_S),
                first_fault_pause_s=POLL_S,
            )
            group.create_task(follower)
            log.info("policy_signer_started", signer=signer.address, journal_seq=journal.place[0])
            if on_started is not None:
                await on_started(signer.address)
            await server.run_until_cancelled(listening)


async def _close(pool: asyncpg.Pool) -> None:
    try:
        async with asyncio.timeout(POOL_CLOSE_S):
            await pool.close()
    except TimeoutError:
        pool.terminate()
