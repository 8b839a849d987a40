"""Command line of the simulator: `python -m tests.sim --seeds 1..200 --commands 300`."""

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.sim.faults import EVERY
from tests.sim.run import Report, run

CRASHES = ("crash", "crash_at_start", "machine_crash", "database_crash")


def seeds_of(text: str) -> range:
    """`7`, or `1..200` with both ends."""
    first, _, last = text.partition("..")
    return range(int(first), int(last or first) + 1)


def main() -> int:
    """Runs the seeds. 0 when every promise was kept in all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=seeds_of, default=range(1, 201), help="one, or first..last")
    parser.add_argument("--commands", type=int, default=300, help="per seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes beside each other")
    parser.add_argument("--show", action="store_true", help="print everything that happens")
    parser.add_argument("--each", action="store_true", help="a line for each seed")
    parser.add_argument("--need-all-faults", action="store_true", help="fail when a fault has not fired")
    options = parser.parse_args()

    began_s = time.monotonic()
    totals: Counter[str] = Counter()
    fired: Counter[str] = Counter()
    for report in reports(options):
        if options.each:
            say(
                f"seed={report.seed} steps={report.steps} commands={report.journaled}"
                f" virtual_s={report.virtual_s:.0f} processes={report.processes}"
            )
        if report.failure:
            print_failure(report)
            return 1
        fired += report.fired
        totals += Counter(
            seeds=1,
            commands=report.journaled,
            answers=report.acknowledged,
            processes=report.processes,
            steps=report.steps,
            virtual_s=round(report.virtual_s),
        )
        if len(options.seeds) == 1:
            say(f"trace {report.trace_hash}")
    took_s = time.monotonic() - began_s
    say(f"{took_s:.1f} s, {totals['seeds'] / took_s:.2f} seeds/s, {counts(totals)}")
    missing = [name for name in EVERY if not fired[name]]
    if missing:
        say(f"faults that have not fired: {', '.join(missing)}")
        if options.need_all_faults:
            return 1
    crashes = sum(fired[name] for name in CRASHES)
    say(
        f"seeds={totals['seeds']} commands={totals['commands']} crashes={crashes}"
        f" faults={{{counts(fired)}}} lost=0 doubled=0"
    )
    return 0


def reports(options: argparse.Namespace) -> Iterator[Report]:
    """The reports in the order of the seeds; a seed's run is the same in whichever process it happens."""
    if options.show or options.jobs == 1 or len(options.seeds) == 1:
        show = say if options.show else None
        yield from (run(seed, options.commands, show=show) for seed in options.seeds)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=spawn) as pool:
        try:
            yield from pool.map(partial(run, commands=options.commands), options.seeds)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def counts(counter: Counter[str]) -> str:
    return " ".join(f"{name}={count}" for name, count in sorted(counter.items()))


def say(text: str) -> None:
    print(f"sim: {text}", flush=True)  # noqa: T201 - a command line


def print_failure(report: Report) -> None:
    """What broke, and how to see it again."""
    sys.stderr.write(
        f"{report.failure}\n"
        f"sim: FAILED seed={report.seed} commands={report.commands} trace={report.trace_hash}\n"
        f"sim: reproduce with: make sim SEED={report.seed} COMMANDS={report.commands}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
