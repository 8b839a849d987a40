"""`make bench-feeds`: how old a change of the book is when subscribers have read it, while orders come in.

The exchange runs as its operator starts it, on an embedded Postgres, in a process of its own; orders come
over HTTP from a second one; the subscribers are a third. For each number of subscribers the same load runs
with plain frames and with compressed ones, and then a bare loop sends to as many readers what one of them
received. An update is as old as the newest command in it, and, the worst, as the oldest.

    python -m scripts.bench.feeds [--subscribers N,N] [--orders-per-s N] [--seconds S] [--profile]

A line `feeds: ...` for each number of subscribers comes last. The exit code tells of a gap, a book that was
rebuilt wrongly, or a reader that was left behind.
"""

import argparse
import asyncio
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.bench.children import Child
from scripts.bench.feeds import bare, exchange, subscribers, traders
from scripts.bench.feeds.commit_times import CommitTimes
from scripts.bench.feeds.faults import book_faults, faults_of
from scripts.bench.server import postmaster, temporary_postgres
from scripts.bench.usage import Moment, Shares, resident_mib

MARKET = "ETH-USDC"
TRADERS = 40
OPEN_EACH = 100
FILL_READERS = 5
CHECKED_SHARE = 0.02
"""Of the subscribers: these rebuild the book from every message."""
WARM_UP_S = 1.0
SPARE_SEQS = 2_000_000


@dataclass(frozen=True, slots=True)
class Round:
    """What one number of subscribers came to, one way of sending."""

    seen: subscribers.Figures
    shares: Shares
    load: traders.Figures | None
    faults: tuple[str, ...]

    @property
    def messages_per_s(self) -> float:
        return self.seen.messages / self.shares.seconds


class Run:
    """One run: the exchange, its traders, and rounds of subscribers."""

    def __init__(
        self, options: argparse.Namespace, folder: Path, engine: Child, load: Child, postgres_pid: int
    ) -> None:
        self._options = options
        self._folder = folder
        self._engine = engine
        self._load = load
        self._postgres_pid = postgres_pid
        self.serving = exchange.Serving(0, [])
        self.faults: list[str] = []

    async def without_subscribers(self) -> None:
        """What the load takes when nobody listens."""
        before = resident_mib(self._engine.pid)
        await self._load.ask("begin", type(None))
        await asyncio.sleep(WARM_UP_S)
        await self._load.ask("begin", type(None))
        moment = Moment.now(self._pids())
        await asyncio.sleep(self._options.seconds)
        shares = moment.until(Moment.now(self._pids()))
        figures = await self._load.ask("end", traders.Figures)
        await self._load.ask("pause", type(None))
        print("  nobody listens")
        self._print_load(figures)
        self._print_usage(shares, before)

    async def subscribed(self, count: int, *, deflate: bool) -> Round:
        """One round, and what it left in the tape."""
        settings = subscribers.Settings(
            port=self.serving.port,
            market=MARKET,
            books=count,
            checked=max(1, round(count * CHECKED_SHARE)),
            tokens=self.serving.tokens[:FILL_READERS],
            deflate=deflate,
            commit_times=str(self._folder / "commits"),
            tape=None if deflate else str(self._folder / "tape"),
        )
        before = resident_mib(self._engine.pid)
        readers = await Child.start("feeds.subscribers", settings)
        try:
            await self._load.ask("begin", type(None))
            await readers.ask("connect", type(None))
            await asyncio.sleep(WARM_UP_S)
            profiled = self._options.profile and not deflate
            if profiled:
                await self._engine.ask("profile", type(None))
            await self._load.ask("begin", type(None))
            await readers.ask("begin", type(None))
            pids = self._pids() | {"subscribers": readers.pid}
            moment = Moment.now(pids)
            await asyncio.sleep(self._options.seconds)
            shares = moment.until(Moment.now(pids))
            await readers.ask("end", type(None))
            load = await self._load.ask("end", traders.Figures)
            if profiled:
                print("\n".join(await self._engine.ask("profiled", list[str])))
            await self._load.ask("pause", type(None))
            seen = await readers.ask("finish", subscribers.Figures)
            faults = (*faults_of(seen), *book_faults(self.serving.port, MARKET, seen))
        finally:
            await readers.stop()
        print(f"  {count:,} subscribers, {'compressed' if deflate else 'plain'}")
        result = Round(seen, shares, load, faults)
        _print_seen(result, count)
        self._print_load(load)
        self._print_usage(shares, before)
        for fault in faults:
            print(f"    WRONG: {fault}")
        return result

    async def baseline(self, count: int, played: Round) -> None:
        """The tape of the last round, sent by a bare loop."""
        commits = self._folder / "bare"
        CommitTimes.create(commits, played.seen.highest_seq + 2)
        tape = str(self._folder / "tape")
        server = await Child.start("feeds.bare", bare.Settings(tape=tape, commit_times=str(commits)))
        try:
            settings = subscribers.Settings(
                port=await server.ask("listen", int),
                market=MARKET,
                books=count,
                checked=0,
                tokens=[],
                deflate=False,
                commit_times=str(commits),
                tape=None,
            )
            readers = await Child.start("feeds.subscribers", settings)
            try:
                await readers.ask("connect", type(None))
                await readers.ask("begin", type(None))
                pids = {"bare loop": server.pid, "subscribers": readers.pid}
                moment = Moment.now(pids)
                await server.ask("play", type(None))
                shares = moment.until(Moment.now(pids))
                seen = await readers.ask("finish", subscribers.Figures)
            finally:
                await readers.stop()
        finally:
            await server.stop()
        print(f"  {count:,} readers of a bare loop that sends the same frames")
        _print_seen(Round(seen, shares, None, ()), count)
        print(f"    processors          {shares}", flush=True)

    # ---- parts

    def _pids(self) -> dict[str, int]:
        return {"exchange": self._engine.pid, "Postgres": self._postgres_pid, "traders": self._load.pid}

    def _print_load(self, load: traders.Figures) -> None:
        refused = ", ".join(f"{count:,} {code}" for code, count in load.codes.items()) or "none"
        print(
            f"    orders and cancels  {load.done / load.seconds:,.0f}/s answered, "
            f"{load.trades / load.seconds:,.0f} trades/s; refused: {refused}"
        )
        print(f"    acknowledged after  {load.acks}")

    def _print_usage(self, shares: Shares, before_mib: float) -> None:
        print(f"    processors          {shares}")
        print(
            f"    memory              exchange {before_mib:,.0f} MiB before, "
            f"{resident_mib(self._engine.pid):,.0f} after",
            flush=True,
        )


def _print_seen(result: Round, count: int) -> None:
    seen, seconds = result.seen, result.shares.seconds
    print(
        f"    sent                {result.messages_per_s:,.0f} messages/s, "
        f"{seen.received_bytes / seconds / 2**20:,.2f} MiB/s; "
        f"{seen.frames / seconds:,.1f} updates/s of a subscriber of {count:,}"
    )
    print(f"    newest command      {seen.newest}")
    print(f"    oldest command      {seen.oldest}")
    if seen.fills is not None:
        print(f"    fills, privately    {seen.fills} ({seen.fill_messages:,} messages)")
    print(
        f"    gaps                {seen.gaps}; {seen.later_snapshots} snapshots instead of updates; "
        f"{seen.checked_messages:,} checksums compared, {len(seen.wrong_books)} wrong"
    )


@asynccontextmanager
async def running(options: argparse.Namespace) -> AsyncIterator[Run]:
    """The exchange with a book built, and the traders that wait to go on."""
    folder = Path(tempfile.mkdtemp(prefix="exchange-bench-feeds-"))
    rounds = 1 + 2 * len(options.subscribers)
    commands = rounds * int(options.seconds + 60) * options.orders_per_s
    try:
        CommitTimes.create(folder / "commits", SPARE_SEQS + commands)
        async with temporary_postgres() as url:
            settings = exchange.Settings(url, str(folder), str(folder / "commits"), TRADERS)
            engine = await Child.start("feeds.exchange", settings)
            try:
                serving = await engine.ask("start", exchange.Serving)
                load = await Child.start(
                    "feeds.traders",
                    traders.Settings(
                        port=serving.port,
                        market=MARKET,
                        tokens=serving.tokens,
                        per_s=options.orders_per_s,
                        batch=options.batch,
                        open_each=OPEN_EACH,
                        seed=options.seed,
                    ),
                )
                try:
                    run = Run(options, folder, engine, load, await postmaster(url))
                    run.serving = serving
                    print(
                        f"  {await load.ask('open', int):,} orders are open, of {TRADERS} traders", flush=True
                    )
                    yield run
                finally:
                    await load.stop()
            finally:
                await engine.stop()
    finally:
        shutil.rmtree(folder)


async def measure(options: argparse.Namespace) -> tuple[list[str], bool]:
    """Runs and prints everything; the last lines, and whether all was right."""
    lines: list[str] = []
    faults: list[str] = []
    async with running(options) as run:
        await run.without_subscribers()
        for count in options.subscribers:
            plain = await run.subscribed(count, deflate=False)
            compressed = await run.subscribed(count, deflate=True)
            await run.baseline(count, plain)
            faults += [*plain.faults, *compressed.faults]
            newest = plain.seen.newest
            assert newest is not None, "no update came within the measured time"
            lines.append(
                f"feeds: subscribers={count} msgs_per_s={plain.messages_per_s:.0f} p50_ms={newest.p50_ms:.1f}"
                f" p99_ms={newest.p99_ms:.1f} gaps={plain.seen.gaps + compressed.seen.gaps}"
            )
    return lines, not faults


def main() -> None:
    """Prints the figures, a summary of each number of subscribers last."""
    parser = argparse.ArgumentParser(description="how old updates of the book are when they have been read")
    parser.add_argument("--subscribers", type=_numbers, default=[100, 1_000], metavar="N,N")
    parser.add_argument("--orders-per-s", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--batch", type=int, default=50, help="orders and cancels in one request")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", action="store_true", help="show where the exchange spends its time")
    options = parser.parse_args()
    print(
        f"bench-feeds: Python {platform.python_version()}, {os.cpu_count()} cores, {options.orders_per_s:,} "
        f"orders/s over HTTP in batches of {options.batch}, {options.seconds:g} s each",
        flush=True,
    )
    lines, right = asyncio.run(measure(options))
    print("\n".join(lines))
    if not right:
        print("feeds: something was WRONG, see above", file=sys.stderr)
        raise SystemExit(1)


def _numbers(text: str) -> list[int]:
    return sorted(int(part) for part in text.split(","))


if __name__ == "__main__":
    main()
