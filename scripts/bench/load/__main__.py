"""`make bench`: durable orders a second and how soon they are acknowledged, beside what else there is.

One run, one report: `build/bench/load.md`, `load.json`, `load.png`. The exchange is the real one, with all
projections and feeds on and some subscribers that read, on an embedded Postgres; its clients sign with the
keys of agents. Beside it, in the same run: one SQL transaction for each order, the engine without HTTP, an
empty route of the same stack. Then every answer is compared with the journal, and all books with each other.

    python -m scripts.bench.load [--seconds S] [--orders N] [--sustained S] [--profile]

A line `bench: ...` comes last. The exit code tells of anything that does not agree.
"""

import argparse
import asyncio
import os
import platform
import sys
from pathlib import Path

from scripts.bench.load.plot import plot
from scripts.bench.load.report import write_report
from scripts.bench.load.results import Machine, Results
from scripts.bench.load.stages import (
    BATCH,
    CONNECTIONS,
    WINDOW,
    Options,
    measure_baseline,
    measure_engine,
    measure_exchange,
    started_at,
)
from scripts.bench.server import temporary_postgres

from exchange import compiled


def machine() -> Machine:
    """What it runs on, and how busy that is already."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return Machine(
        started_at(),
        model,
        os.cpu_count() or 0,
        platform.python_version(),
        "compiled" if compiled.is_in_use() else "interpreted",
        os.getloadavg()[0],
    )


async def measure(options: Options) -> Results:
    """Everything, one after the other."""
    connections = {
        way: f"{count} connections, {WINDOW.get(way, 1)} requests under way on each"
        + (f", {BATCH} orders in a request" if way == "http_batch" else "")
        for way, count in CONNECTIONS.items()
    }
    results = Results(machine(), options.seconds, options.open_orders, options.per_s, connections)
    async with temporary_postgres() as url:
        await measure_exchange(options, url, results)
        await measure_baseline(options, url, results)
        await measure_engine(options, url, results)
    return results


def main() -> None:
    """Prints the figures as they come, the summary last."""
    parser = argparse.ArgumentParser(
        description="durable orders per second, and how soon they are acknowledged"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--orders", type=int, default=100_000, help="that are open")
    parser.add_argument("--per-s", type=int, default=1_000, help="orders that are due, where it is a pace")
    parser.add_argument("--sustained", type=float, default=0.0, metavar="SECONDS", help="at a high pace")
    parser.add_argument("--sustained-per-s", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("build/bench"), metavar="FOLDER")
    parser.add_argument("--profile", action="store_true", help="where the exchange spends its time (py-spy)")
    given = parser.parse_args()
    options = Options(
        given.seconds,
        given.orders,
        given.per_s,
        given.sustained,
        given.sustained_per_s,
        given.seed,
        given.output,
        given.profile,
    )
    options.output.mkdir(parents=True, exist_ok=True)
    print(
        f"bench: Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{options.open_orders:,} open orders, {options.seconds:g} s each",
        flush=True,
    )
    results = asyncio.run(measure(options))
    write_report(results, options.output)
    plot(results, options.output / "load.png")
    print(f"  report in {options.output / 'load.md'}")
    print(results.line())
    faults = results.all_faults()
    for fault in faults[:20]:
        print(f"bench: WRONG: {fault}", file=sys.stderr)
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
