"""The parts of a run, each with the processes that it needs; what they find goes into the results."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
from scripts.bench.children import Child
from scripts.bench.feeds import subscribers
from scripts.bench.feeds.commit_times import CommitTimes
from scripts.bench.feeds.faults import book_faults, faults_of
from scripts.bench.load import baseline, clients, direct, exchange
from scripts.bench.load.clients import Figures, Identity, Run, Totals, Way
from scripts.bench.load.journal_check import compare_with_journal
from scripts.bench.load.profiling import Profile
from scripts.bench.load.results import WAYS, Checked, Measured, Results, Streams, Sustained
from scripts.bench.load.traders import Loaded
from scripts.bench.load.watching import Look, Watch
from scripts.bench.load.wires import MARKET, Deployment
from scripts.bench.server import another_database, postmaster
from scripts.bench.usage import Moment, child_of

from exchange.stores.postgres import migrate, open_connection

TRADERS, SUB_ACCOUNTS = 64, 8
BATCH = 50
CONNECTIONS: dict[Way, int] = {"http_single": 64, "http_batch": 16, "ws": 16, "empty": 64, "empty_signed": 64}
WINDOW: dict[Way, int] = {"ws": 64}
"""Requests under way on each connection, where that is more than one."""
PACED_WINDOW: dict[Way, int] = {"ws": 1_000}
BASELINE_CONNECTIONS = 16
BOOK_READERS, FILL_READERS = 5, 5
TABLES_PROCESS = "exchange.projections.tables_process"
SPARE_SEQS = 3_000_000
MOST_PER_S = 100_000
"""More than there will be: what the file of commit times has room for."""
WARM_UP_S = 1.0
NEARLY = 200
"""Commands by which a projection may be behind and counts as up to date: under way, in a word."""
CATCH_UP_TIMEOUT_S = 600.0
LOOK_EVERY_S = 1.0
ANSWER_S = 120.0
MAX_DRIFT = 0.2
"""Of the number of open orders, which the load is to leave where it was."""
LOOK_AGAIN_S = 0.05
CHECK_AGAIN = 20


@dataclass(frozen=True, slots=True)
class Options:
    """How long and how much."""

    seconds: float
    open_orders: int
    per_s: int
    sustained_s: float
    sustained_per_s: int
    seed: int
    output: Path
    profile: bool


class Load:
    """A running server with clients: measures one way of talking to it after the other."""

    def __init__(
        self, options: Options, sender: Child, port: int, deployment: Deployment, pids: dict[str, int]
    ) -> None:
        self._options = options
        self._clients = sender
        self._port = port
        self._deployment = deployment
        self._pids = pids | {"clients": sender.pid}
        self.watch: Watch | None = None

    async def run(
        self,
        way: Way,
        identity: Identity,
        *,
        seconds: float,
        per_s: int = 0,
        connections: int | None = None,
        profile: Path | None = None,
    ) -> Measured:
        """At saturation, or at a pace."""
        window = (PACED_WINDOW if per_s else WINDOW).get(way, 1)
        run = Run(
            port=self._port,
            way=way,
            identity=identity,
            deployment=self._deployment,
            connections=connections or CONNECTIONS[way],
            window=window,
            batch=BATCH,
            seconds=seconds,
            warm_up_s=min(WARM_UP_S, seconds / 2),
            per_s=per_s,
            series=seconds >= CHECK_AGAIN,
        )
        moment = Moment.now(self._pids)
        asked = asyncio.create_task(self._clients.ask("run", Figures, run, timeout_s=seconds + ANSWER_S))
        profiled = None
        if profile is not None:
            await asyncio.sleep(run.warm_up_s)
            profiled = await Profile.start(self._pids["exchange"], seconds, profile)
        figures = await asked
        shares = moment.until(Moment.now(self._pids))
        measured = Measured.of(figures, shares, await self.watch.look() if self.watch is not None else None)
        if profiled is not None:
            measured.costs = await profiled.costs()
        if self.watch is not None:
            measured.caught_up_s = await self.watch.caught_up(NEARLY, CATCH_UP_TIMEOUT_S)
        return measured

    async def tell(self) -> Totals:
        """What every request was answered, which is then in files."""
        return await self._clients.ask("tell", Totals)


@asynccontextmanager
async def temporary_folder() -> AsyncIterator[Path]:
    """A folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="exchange-bench-load-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


async def measure_exchange(options: Options, url: str, results: Results) -> None:
    """The real exchange, everything on, and what came of it in its journal and books."""
    async with AsyncExitStack() as stack:
        folder = await stack.enter_async_context(temporary_folder())
        commands = (6 * options.seconds + 60) * MOST_PER_S + options.sustained_s * options.sustained_per_s * 3
        CommitTimes.create(folder / "commits", SPARE_SEQS + int(commands))
        settings = exchange.Settings(
            database_url=url,
            folder=str(folder),
            loaded=str(folder / "loaded"),
            commit_times=str(folder / "commits"),
            traders=TRADERS,
            sub_accounts=SUB_ACCOUNTS,
            open_orders=options.open_orders,
            seed=options.seed,
        )
        server = await _child(stack, "load.exchange", settings)
        serving = await server.ask("start", exchange.Serving)
        sender = await _child(
            stack, "load.clients", clients.Settings(loaded=settings.loaded, seed=options.seed)
        )
        readers = await _readers(stack, serving, folder)
        tables = await _tables_process(server.pid)
        pids = {
            "exchange": server.pid,
            "read tables": tables,
            "Postgres": await postmaster(url),
            "subscribers": readers.pid,
        }
        load = Load(options, sender, serving.port, Deployment(serving.genesis_id, serving.host), pids)
        load.watch = watch = Watch([server.pid, tables], serving.metrics_url)
        print(
            f"  exchange started; {options.open_orders:,} orders are in the read tables after "
            f"{await watch.caught_up(NEARLY, CATCH_UP_TIMEOUT_S):.1f} s more",
            flush=True,
        )
        await readers.ask("begin", type(None))
        await _ways(options, load, results)
        if options.sustained_s:
            results.sustained = await _sustain(options, load, watch)
            _print("for long, WebSocket", results.sustained.measured)
        await readers.ask("end", type(None))
        seen = await readers.ask("finish", subscribers.Figures)
        results.streams = _streams(seen)
        results.faults += [*faults_of(seen), *book_faults(serving.port, MARKET, seen)]
        results.checked = await _check(options, url, folder, await load.tell(), watch)
        print(
            f"  compared with the journal and all books in {results.checked.commands:,} commands", flush=True
        )


async def _tables_process(exchange_pid: int) -> int:
    """The id of the process of the read tables, which the exchange starts some time after it listens.

    Raises TimeoutError.
    """
    async with asyncio.timeout(ANSWER_S):
        while True:
            with suppress(LookupError):
                return child_of(exchange_pid, TABLES_PROCESS)
            await asyncio.sleep(LOOK_AGAIN_S)


async def measure_baseline(options: Options, url: str, results: Results) -> None:
    """One SQL transaction for each order."""
    async with AsyncExitStack() as stack:
        folder = await stack.enter_async_context(temporary_folder())
        database = await another_database(url, "baseline")
        settings = baseline.Settings(
            database_url=database,
            loaded=str(folder / "loaded"),
            traders=TRADERS,
            sub_accounts=SUB_ACCOUNTS,
            open_orders=options.open_orders,
            seed=options.seed,
        )
        server = await _child(stack, "load.baseline", settings)
        port = await server.ask("start", int)
        sender = await _child(
            stack, "load.clients", clients.Settings(loaded=settings.loaded, seed=options.seed)
        )
        pids = {"baseline": server.pid, "Postgres": await postmaster(url)}
        load = Load(options, sender, port, Deployment("", f"127.0.0.1:{port}"), pids)
        results.baseline = await load.run(
            "http_single", "token", seconds=options.seconds, connections=BASELINE_CONNECTIONS
        )
        _print("baseline, one by one", results.baseline)
        pace = min(options.per_s, int(results.baseline.figures.per_s) // 2)
        results.baseline_paced = await load.run(
            "http_single", "token", seconds=options.seconds, per_s=max(1, pace)
        )
        _print(f"baseline, {pace:,}/s", results.baseline_paced)
        totals = await load.tell()
        results.faults += await server.ask("check", list[str], totals)


async def measure_engine(options: Options, url: str, results: Results) -> None:
    """Sequencer and journal without HTTP."""
    async with AsyncExitStack() as stack:
        database = await another_database(url, "engine")
        await migrate(database)
        settings = direct.Settings(
            database_url=database,
            open_orders=options.open_orders,
            seed=options.seed,
        )
        child = await _child(stack, "load.direct", settings)
        await child.ask("start", type(None))
        wanted = direct.Run(
            callers=[500, 1_000, 2_000],
            commands=max(1_000, int(options.seconds * 4_000)),
            per_s=options.per_s,
            paced_s=options.seconds,
        )
        results.engine = await child.ask("run", direct.Figures, wanted)
        print(
            f"  {'engine without HTTP':<28}{results.engine.per_s:>9,.0f}/s   {results.engine.acks}",
            flush=True,
        )


# ---- parts of it


async def _child(stack: AsyncExitStack, name: str, settings: msgspec.Struct) -> Child:
    child = await Child.start(name, settings)
    stack.push_async_callback(child.stop)
    return child


async def _readers(stack: AsyncExitStack, serving: exchange.Serving, folder: Path) -> Child:
    """Some that read the book, and some traders that read their fills."""
    loaded = msgspec.json.decode(await asyncio.to_thread((folder / "loaded").read_bytes), type=Loaded)
    settings = subscribers.Settings(
        port=serving.port,
        market=MARKET,
        books=BOOK_READERS,
        checked=1,
        tokens=[trader.token for trader in loaded.traders[:FILL_READERS]],
        deflate=False,
        commit_times=str(folder / "commits"),
        tape=None,
    )
    readers = await _child(stack, "feeds.subscribers", settings)
    await readers.ask("connect", type(None))
    return readers


async def _ways(options: Options, load: Load, results: Results) -> None:
    ways: tuple[Way, ...] = ("http_single", "http_batch", "ws")
    for way in ways:
        profile = options.output / f"profile-{way}.txt" if options.profile else None
        results.saturated[way] = await load.run(way, "key", seconds=options.seconds, profile=profile)
        _print(WAYS[way], results.saturated[way])
    for way in ways:
        results.paced[way] = await load.run(way, "key", seconds=options.seconds, per_s=options.per_s)
        _print(f"{WAYS[way]}, {options.per_s:,}/s", results.paced[way])
    empty: tuple[tuple[Way, Identity], ...] = (("empty", "nobody"), ("empty_signed", "key"))
    for way, identity in empty:
        results.empty[way] = await load.run(way, identity, seconds=max(1.0, options.seconds / 3))
        _print(way.replace("_", " route, "), results.empty[way])


async def _sustain(options: Options, load: Load, watch: Watch) -> Sustained:
    looks: list[Look]
    async with watch.looking(LOOK_EVERY_S) as looks:
        measured = await load.run("ws", "key", seconds=options.sustained_s, per_s=options.sustained_per_s)
    return Sustained(options.sustained_per_s, measured, looks)


def _streams(seen: subscribers.Figures) -> Streams:
    assert seen.newest is not None, "no update came within the measured time"
    return Streams(
        BOOK_READERS + FILL_READERS,
        seen.messages,
        seen.gaps,
        seen.later_snapshots,
        seen.newest.p50_ms,
        seen.newest.p99_ms,
    )


async def _check(options: Options, url: str, folder: Path, totals: Totals, watch: Watch) -> Checked:
    await watch.caught_up(0, CATCH_UP_TIMEOUT_S)
    found = await compare_with_journal(url, folder, totals)
    connection = await open_connection(url)
    try:
        commands = await connection.fetchval("SELECT max(seq_last) FROM journal")
        left = await connection.fetchval("SELECT count(*) FROM orders WHERE status = 'open'")
    finally:
        await connection.close()
    faults = found.faults
    if abs(left - options.open_orders) > MAX_DRIFT * options.open_orders:
        faults = [*faults, f"{left:,} orders are open, and {options.open_orders:,} should be"]
    return Checked(totals.placed, totals.cancelled, totals.refused, commands, left, faults)


def _print(name: str, measured: Measured) -> None:
    figures, latencies = measured.figures, measured.figures.latencies_ms
    refused = "".join(f", {count:,} {code}" for code, count in figures.refusals.items())
    percentiles = ", ".join(f"{each} {latencies[each]:.2f}" for each in ("p50", "p99", "p99.9"))
    print(f"  {name:<28}{figures.per_s:>9,.0f}/s   {percentiles} ms{refused}")
    shares = ", ".join(f"{each} {share:.0%}" for each, share in measured.of_a_core.items())
    behind = ", ".join(f"{each} {lag:.2f} s" for each, lag in measured.behind_s.items())
    print(
        f"    {shares}, everybody else {measured.others:.0%}" + (f"; behind: {behind}" if behind else ""),
        flush=True,
    )


def started_at() -> str:
    """The time, as it stands in a report."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
