"""`make bench-candles`: how fast ClickHouse is filled from the journal, and how fast it gives candles.

A journal of made trades (`made_trades`) is written to an embedded Postgres in parts; the clock runs while the
real projection, alone, follows each part through the real tail into chDB: reading, decoding, blocks recorded
and marked in Postgres, trades and all their views. Then `candles`, as the API calls it, is asked for 1,000
candles of each interval, newest and of random times, first with nothing else going on and then while a last
part of the journal is followed as fast as it goes. Beside it, in the same run:

  raw    the same rows through clickhouse-connect, made beforehand, into a table of the same columns without
         views: what an insert costs anybody
  group  the same candles by GROUP BY over the trades: what they cost without views

    python -m scripts.bench.candles [--trades N]
"""

import argparse
import asyncio
import contextlib
import logging
import os
import platform
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import structlog
from scripts.bench.made_trades import MARKETS, MadeJournal
from scripts.bench.measure import Latencies, percentile, resident_bytes
from scripts.bench.server import temporary_postgres

from exchange.journal.tail import Tail
from exchange.projections.candles import INTERVALS_S, candles
from exchange.projections.clickhouse import MAX_TRADES_PER_BLOCK, ClickHouseProjection
from exchange.projections.trades import TradeTotals, trade_totals
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.postgres import open_connection, open_pool

PART = 500_000
"""Trades that are written to the journal at once."""
RAW_TRADES = 500_000
RAW_BLOCK = MAX_TRADES_PER_BLOCK
BUSY_SHARE = 10
"""One in so many trades is followed while candles are asked for."""
QUERIES = 40
"""Of each interval; half of them the newest, half of a random time."""
CANDLES = 1_000
GROUP_QUERIES = 3


class WrongTotals(Exception):
    """ClickHouse does not have what the journal has: the figures would mean nothing."""


@dataclass
class Asked:
    """Seconds that queries took, by interval."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in INTERVALS_S})
    cpu_s: float = 0.0
    """Seconds of CPU that this process used for all of them, and for whatever else it did meanwhile."""
    fewest: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INTERVALS_S, CANDLES))
    """Candles in the shortest answer to a question for the newest."""

    def all(self) -> list[float]:
        return sorted(each for of_interval in self.seconds.values() for each in of_interval)


class Bench:
    """The journal, the projection and ClickHouse of one run."""

    def __init__(self, journal: MadeJournal, connection: asyncpg.Connection, pool: asyncpg.Pool) -> None:
        self.journal = journal
        self.connection = connection
        self.tail = Tail(pool)
        self.pool = pool

    async def write(self, trades: int) -> None:
        """A part of the journal in the place of what is followed already: the disk is not for all of it."""
        await self.connection.execute("TRUNCATE journal")
        await self.journal.write(self.connection, trades)

    async def follow(self, projection: ClickHouseProjection, trades: int) -> tuple[float, float]:
        """Seconds until so many more trades are in ClickHouse, and seconds of CPU that this process used."""
        seconds, cpu_s = 0.0, 0.0
        until = self.journal.trades + trades
        while self.journal.trades < until:
            await self.write(min(PART, until - self.journal.trades))
            cpu_started, started = time.process_time(), time.perf_counter()
            self.tail.notify()
            assert await projection.reached(self.journal.seq, 3_600)
            seconds += time.perf_counter() - started
            cpu_s += time.process_time() - cpu_started
            print(
                f"    {self.journal.trades:>12,} trades, {self.journal.trades / seconds:>9,.0f} /s",
                flush=True,
            )
        return seconds, cpu_s


@contextlib.asynccontextmanager
async def temporary_clickhouse() -> AsyncIterator[ClickHouse]:
    """chDB on a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="exchange-bench-chdb-"))
    try:
        clickhouse = await ClickHouse.open(path=folder)
        try:
            await clickhouse.migrate()
            yield clickhouse
        finally:
            await clickhouse.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def raw_inserts(clickhouse: ClickHouse, trades: int) -> float:
    """Trades a second of inserts alone: newest rows of the table, made into lists before the clock starts."""
    columns = [row[0] for row in await clickhouse.query("DESCRIBE TABLE trades")]
    rows = await clickhouse.query(
        f"SELECT {', '.join(columns)} FROM trades LIMIT {{limit:UInt64}}",
        {"limit": trades},
        timeout_s=120,
    )
    await clickhouse.command("CREATE TABLE raw_trades AS trades")
    blocks = [rows[start : start + RAW_BLOCK] for start in range(0, len(rows), RAW_BLOCK)]
    started = time.perf_counter()
    for number, block in enumerate(blocks):
        await clickhouse.insert("raw_trades", columns, block, token=f"raw-{number}", timeout_s=60)
    seconds = time.perf_counter() - started
    await clickhouse.command("DROP TABLE raw_trades SYNC", timeout_s=60)
    return len(rows) / seconds


async def ask(clickhouse: ClickHouse, end_ms: int, count: int) -> Asked:
    """Asks for candles, one question after the other, as the API does; the last trade was at `end_ms`."""
    chance = random.Random(2)
    asked, cpu_started = Asked(), time.process_time()
    for number in range(count):
        for interval, interval_s in INTERVALS_S.items():
            market_id = chance.choice(MARKETS)
            is_newest = number % 2 == 0
            span_ms = CANDLES * interval_s * 1_000
            to_ms = None if is_newest else end_ms - chance.randint(0, span_ms)
            started = time.perf_counter()
            read = await candles(
                clickhouse, 0, market_id, interval, to_ms=to_ms, limit=CANDLES, now_ms=end_ms
            )
            asked.seconds[interval].append(time.perf_counter() - started)
            if is_newest:
                asked.fewest[interval] = min(asked.fewest[interval], len(read.items))
    asked.cpu_s = time.process_time() - cpu_started
    return asked


async def group(clickhouse: ClickHouse, interval_s: int) -> float:
    """Seconds that the newest candles of an interval take out of the trades."""
    offset_s = 259_200 if interval_s == INTERVALS_S["1w"] else 0
    taken = []
    for market_id in MARKETS[:GROUP_QUERIES]:
        started = time.perf_counter()
        await clickhouse.query(
            "SELECT intDiv(intDiv(time_ns, 1000000000) + {offset:UInt32}, {interval:UInt32}) AS open,"
            " argMin(price_ticks, trade_id), max(price_ticks), min(price_ticks),"
            " argMax(price_ticks, trade_id), sum(size_lots), sum(base_atoms), sum(quote_atoms), count()"
            " FROM trades WHERE market_id = {market:UInt32} GROUP BY open ORDER BY open DESC"
            " LIMIT {limit:UInt32}",
            {"offset": offset_s, "interval": interval_s, "market": market_id, "limit": CANDLES},
            timeout_s=120,
        )
        taken.append(time.perf_counter() - started)
    return percentile(sorted(taken), 0.5)


async def check(clickhouse: ClickHouse, journal: MadeJournal) -> None:
    """Everything that was journaled is there, once, in trades and in candles."""
    found = await trade_totals(clickhouse)
    expected = TradeTotals.whole(journal.trades, journal.trades * (journal.trades + 1) // 2)
    if found != expected:
        raise WrongTotals(f"{found}, not {expected}")


def show(asked: Asked, groups: dict[str, float]) -> None:
    """A line for each interval."""
    for interval, seconds in asked.seconds.items():
        beside = f", by GROUP BY {groups[interval] * 1e3:>8.1f} ms" if interval in groups else ""
        print(
            f"    {interval:>3}  {Latencies.of(sorted(seconds))}, {asked.fewest[interval]:,} candles{beside}"
        )


async def run(options: argparse.Namespace) -> str:
    """On servers of its own."""
    async with temporary_postgres() as url, temporary_clickhouse() as clickhouse:
        return await measure(url, clickhouse, options.trades)


async def measure(url: str, clickhouse: ClickHouse, trades: int) -> str:
    """Runs everything and prints it; gives the last line. Both databases are empty before."""
    busy_trades = max(trades // BUSY_SHARE, 1)
    pool = await open_pool(url)
    connection = await open_connection(url, command_timeout_s=600)
    bench = Bench(MadeJournal(trades, time.time_ns()), connection, pool)
    projection = ClickHouseProjection(pool, bench.tail, clickhouse, insert_interval_s=0.0)
    task = asyncio.create_task(projection.run())
    try:
        ingest_per_s = await fill(bench, projection, clickhouse, trades - busy_trades)
        raw_per_s = await raw_inserts(clickhouse, min(RAW_TRADES, bench.journal.trades))
        print(f"  raw inserts        {raw_per_s:>9,.0f} trades/s, into a table without views", flush=True)
        quiet = await ask(clickhouse, bench.journal.end_ns // 1_000_000, QUERIES)
        groups = {name: await group(clickhouse, INTERVALS_S[name]) for name in INTERVALS_S}
        print(f"  {CANDLES:,} candles of {bench.journal.trades:,} trades, nothing else going on")
        show(quiet, groups)
        busy = await ask_while_filling(bench, projection, clickhouse, busy_trades)
        await check(clickhouse, bench.journal)
    finally:
        task.cancel()
        await asyncio.wait([task])
        connection.terminate()
        await pool.close()
    print(f"  this process uses   {resident_bytes() / 2**20:,.0f} MiB")
    latencies = Latencies.of(quiet.all())
    print(f"  all intervals, quiet {latencies}, {quiet.cpu_s / len(quiet.all()) * 1e3:.1f} ms of CPU each")
    print(f"  all intervals, busy  {Latencies.of(busy.all())}")
    return (
        f"candles: trades={bench.journal.trades} ingest_per_s={ingest_per_s:.0f} raw_per_s={raw_per_s:.0f}"
        f" query_p50_ms={latencies.p50_ms:.2f} query_p99_ms={latencies.p99_ms:.2f}"
    )


async def fill(bench: Bench, projection: ClickHouseProjection, clickhouse: ClickHouse, trades: int) -> float:
    """Trades a second through the projection."""
    print("  filled from the journal", flush=True)
    seconds, cpu_s = await bench.follow(projection, trades)
    per_s = bench.journal.trades / seconds
    print(
        f"    in all           {per_s:>9,.0f} trades/s ({seconds:.2f} s, in which this process used"
        f" {cpu_s:.2f} s of CPU)",
        flush=True,
    )
    await check(clickhouse, bench.journal)
    return per_s


async def ask_while_filling(
    bench: Bench, projection: ClickHouseProjection, clickhouse: ClickHouse, trades: int
) -> Asked:
    """Asks again and again while the rest of the journal is followed as fast as it goes."""
    await bench.write(trades)
    end_ms = bench.journal.end_ns // 1_000_000
    busy = Asked()
    started = time.perf_counter()
    bench.tail.notify()
    while projection.seq < bench.journal.seq:
        once = await ask(clickhouse, end_ms, 1)
        for interval, seconds in once.seconds.items():
            busy.seconds[interval] += seconds
            busy.fewest[interval] = min(busy.fewest[interval], once.fewest[interval])
    seconds_taken = time.perf_counter() - started
    print(f"  the same while {trades:,} more are filled in, {trades / seconds_taken:,.0f} /s")
    show(busy, {})
    return busy


def main() -> None:
    """Prints the figures, the summary last."""
    parser = argparse.ArgumentParser(description="trades into ClickHouse, and candles out of it")
    parser.add_argument("--trades", type=int, default=10_000_000)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(
        f"bench-candles: Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{options.trades:,} trades in {len(MARKETS)} markets",
        flush=True,
    )
    print(asyncio.run(run(options)))


if __name__ == "__main__":
    main()
