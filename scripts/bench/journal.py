"""`make bench-journal`: durable commands through sequencer and journal, in process, without HTTP.

On an embedded Postgres with the devnet's durable settings, with 100,000 orders open, three things in turn:

  burst   500, 1,000 and 2,000 callers, each sending its next command when the last is answered
  paced   1,000 commands/s on a fixed schedule: how long a command waits for its acknowledgement
  raw     one row a commit straight to the same server through asyncpg, one after the other, as large as the
          mean row of the paced run (and, above the summary, of the burst): what this disk gives to anybody

    python -m scripts.bench.journal [--full] [--orders N] [--seed N]
"""

import argparse
import asyncio
import os
import platform
import time
from dataclasses import dataclass

import asyncpg
from scripts.bench.contenders import opened_accounts, opening_commands
from scripts.bench.engine import Engine, Feed, burst, fill_book, paced, running_engine
from scripts.bench.measure import CollectorWatch, Latencies
from scripts.bench.server import temporary_postgres

from exchange.core.invariants import audit
from exchange.sequencer import garbage
from exchange.stores.postgres import open_connection

ACCOUNTS = 1_000
CALLERS = (500, 1_000, 2_000)
PACE_PER_S = 1_000
RAW_S = 2.0


@dataclass(frozen=True, slots=True)
class Rows:
    """The mean row of the journal between two moments."""

    commands: float
    payload_bytes: int

    def __str__(self) -> str:
        return f"{self.commands:,.1f} commands, {self.payload_bytes:,} bytes"


async def load(engine: Engine, orders: int, seed: int) -> Feed:
    """Opens accounts and lets so many orders rest."""
    outcomes = await engine.submit_all(opening_commands(ACCOUNTS))
    account_ids = opened_accounts(outcome.events for outcome in outcomes)
    await fill_book(engine, [[account_id] for account_id in account_ids], orders, seed)
    garbage.freeze_loaded()
    return Feed(engine.state, seed)


async def raw_commits(url: str, payload_bytes: int, seconds: float) -> float:
    """One-row commits per second of one connection, each of so many bytes."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS raw_commits"
            " (number BIGINT PRIMARY KEY, payload BYTEA STORAGE EXTERNAL NOT NULL)"
        )
        await connection.execute("TRUNCATE raw_commits")
        insert = await connection.prepare("INSERT INTO raw_commits (number, payload) VALUES ($1, $2)")
        payload, number, started = os.urandom(payload_bytes), 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            number += 1
            await insert.fetch(number, payload, timeout=10)
        return number / elapsed
    finally:
        await connection.close(timeout=10)


async def mean_row(url: str, after_seq: int) -> Rows:
    """Of the rows after a seq."""
    connection = await open_connection(url)
    try:
        record = await connection.fetchrow(
            "SELECT count(*) AS rows, sum(seq_last - seq_first + 1) AS commands,"
            " sum(octet_length(commands) + octet_length(events)) AS payload_bytes"
            " FROM journal WHERE seq_first > $1",
            after_seq,
        )
    finally:
        await connection.close()
    assert record is not None
    return Rows(record["commands"] / record["rows"], record["payload_bytes"] // record["rows"])


async def measure(url: str, options: argparse.Namespace) -> str:
    """Runs everything and prints it; gives the last line."""
    async with running_engine(url) as engine:
        feed = await load(engine, options.orders, options.seed)
        await burst(engine, 1_000, feed, options.commands // 4)  # warms up
        before_seq = engine.state.seq
        rates: list[float] = []
        for callers in CALLERS:
            rates.append(await burst(engine, callers, feed, options.commands))
            print(f"  burst, {callers:>5,} callers  {rates[-1]:>9,.0f} durable commands/s", flush=True)
        large = await mean_row(url, before_seq)
        print(f"    mean row            {large}", flush=True)
        before_seq = engine.state.seq
        with CollectorWatch() as collector:
            acks = Latencies.of(await paced(engine, feed, options.paced_s * PACE_PER_S, PACE_PER_S))
        audit(engine.state)
    small = await mean_row(url, before_seq)
    raw = await raw_commits(url, small.payload_bytes, RAW_S)
    raw_large = await raw_commits(url, large.payload_bytes, RAW_S)
    print(f"  paced, {PACE_PER_S:,}/s        {acks}")
    print(f"    mean row            {small}")
    print(f"    garbage collector   {collector}")
    print(f"  raw commits           {raw:>9,.0f} /s of {small.payload_bytes:,} bytes")
    print(f"                        {raw_large:>9,.0f} /s of {large.payload_bytes:,} bytes")
    return (
        f"bench-journal: durable={max(rates):.0f} ack_p50_ms={acks.p50_ms:.2f} ack_p99_ms={acks.p99_ms:.2f}"
        f" raw_commits={raw:.0f}"
    )


async def run(options: argparse.Namespace) -> str:
    """On a server of its own."""
    async with temporary_postgres() as url:
        return await measure(url, options)


def main() -> None:
    """Prints the figures, the summary last."""
    parser = argparse.ArgumentParser(
        description="durable commands per second, and how soon they are acknowledged"
    )
    parser.add_argument("--full", action="store_true", help="longer runs")
    parser.add_argument("--orders", type=int, default=100_000, help="open orders")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.commands = 200_000 if options.full else 40_000
    options.paced_s = 40 if options.full else 10
    print(
        f"bench-journal: Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{options.orders:,} open orders, {ACCOUNTS:,} accounts",
        flush=True,
    )
    print(asyncio.run(run(options)))


if __name__ == "__main__":
    main()
