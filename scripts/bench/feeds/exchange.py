"""The exchange of a run, in a process of its own: `exchange.main.serve` itself, as an operator starts it.

Engine, journal, read tables, ClickHouse, feeds, HTTP and WebSocket are wired there and nowhere else. Only its
accounts are made here, by commands in the journal before it starts, because a benchmark of streams needs no
chain: the node's address is one where nobody answers, which stops deposits and withdrawals and nothing else.
Each command's commit is written to a file, for the readers. Words:

    start    everything; the port and a session for each account
    profile  samples from here on where the process spends its time
    profiled what was found

    python -m scripts.bench.feeds.exchange SETTINGS
"""

import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog
import uvloop
from scripts.bench.children import obey
from scripts.bench.contenders import CHAIN_ID, VAULT, opened_accounts, opening_commands
from scripts.bench.engine import running_engine
from scripts.bench.feeds.commit_times import CommitTimes
from scripts.bench.feeds.sampling import Sampler

from exchange.chain import dev_keys
from exchange.chain.finality import Finality
from exchange.config import LocalKey
from exchange.config import Settings as ServeSettings
from exchange.core.events import Event
from exchange.edge.server import listen
from exchange.gateway.rate_policy import MOST_TOKENS, Rate, uniform_policy
from exchange.gateway.sessions import Sessions
from exchange.main import Started, serve
from exchange.sequencer.committed import CommittedView
from exchange.stores.postgres import open_pool

NOBODY = "http://127.0.0.1:1"


class Settings(msgspec.Struct):
    """Where it keeps what, and for how many traders."""

    database_url: str
    folder: str
    commit_times: str
    traders: int


class Serving(msgspec.Struct):
    """Where it listens, and the token of each trader."""

    port: int
    tokens: list[str]


def note_commits(times: CommitTimes) -> None:
    """From here on the time of each commit is kept: as soon as it is durable, before anybody is told."""
    advance = CommittedView.advance

    def advance_noted(
        view: CommittedView, seq_last: int, time_ns: int, batch: Sequence[Sequence[Event]]
    ) -> None:
        times.set(seq_last - len(batch) + 1, seq_last, time.monotonic_ns())
        advance(view, seq_last, time_ns, batch)

    CommittedView.advance = advance_noted  # type: ignore[method-assign]


async def open_accounts(url: str, traders: int) -> list[str]:
    """Lists the market and makes rich accounts, in the journal; a session's token for each."""
    async with running_engine(url) as engine:
        outcomes = await engine.submit_all(opening_commands(traders))
        account_ids = opened_accounts(outcome.events for outcome in outcomes)
        owners = [engine.committed.owner(account_id) for account_id in account_ids]
    pool = await open_pool(url)
    try:
        sessions = Sessions(pool, clock_ns=time.time_ns)
        return [
            (await sessions.open(owner, account_id))[0]
            for owner, account_id in zip(owners, account_ids, strict=True)
        ]
    finally:
        await pool.close()


def serve_settings(database_url: str, folder: Path, port: int) -> ServeSettings:
    """Those of the devnet, without a chain."""
    return ServeSettings(
        database_url=database_url,
        clickhouse=str(folder / "clickhouse"),
        rpc_url=NOBODY,
        chain_id=CHAIN_ID,
        vault=VAULT,
        vault_block=1,
        finality=Finality(3),
        signer=LocalKey(dev_keys.dev_key(dev_keys.SIGNER_KEY)),
        sender_key=dev_keys.dev_key(dev_keys.SENDER_KEY),
        origin=f"http://localhost:{port}",
        host="127.0.0.1",
        port=port,
        listing=(),
        rate_limits=uniform_policy(Rate(MOST_TOKENS, MOST_TOKENS)),  # all clients have one address
    )


class Exchange:
    """The running exchange, as its parent plays on it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sampler = Sampler()
        self._group: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Serving:
        """Comes up. Raises what keeps it from that."""
        settings = self._settings
        tokens = await open_accounts(settings.database_url, settings.traders)
        note_commits(CommitTimes(Path(settings.commit_times)))
        sockets = listen("127.0.0.1", 0)
        port: int = sockets[0].getsockname()[1]
        started = asyncio.Event()

        async def announce(_: Started) -> None:
            started.set()

        serving = serve(
            serve_settings(settings.database_url, Path(settings.folder), port),
            sockets=sockets,
            on_started=announce,
        )
        assert self._group is not None
        self._task = self._group.create_task(serving)
        await started.wait()
        return Serving(port, tokens)

    async def profile(self) -> None:
        self._sampler.start()

    async def profiled(self) -> list[str]:
        return self._sampler.stop()

    async def obey(self) -> None:
        """Does what it is told. Raises what ended the exchange before."""
        words = {"start": self.start, "profile": self.profile, "profiled": self.profiled}
        async with asyncio.TaskGroup() as group:
            self._group = group
            await obey(words)
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
