"""`make bench-core`: how fast the engine's core is, what it needs, and how soon it is back.

Each part runs in a process of its own, one after the other, and can be run alone:

  rounds    the book with balances, the whole `apply` and pyorderbook under the same mixed load
  million   10^6 open orders: memory, growth of the cost, each command's time, the collector's pauses
  restart   restart time, replay rate, and what a snapshot costs those who trade meanwhile

    python -m scripts.bench.core [--full] [--seed N]

The short run is for every push; `--full` takes longer rounds for figures to keep. Docs: docs/benchmarks.md.
"""

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

import msgspec
from scripts.bench import million, restart, rounds

ROOT = Path(__file__).parents[2]
PART_TIMEOUT_S = 900

ReportType = TypeVar("ReportType")

QUICK = {
    "rounds": ["--rounds", "5", "--chunk", "20000"],
    "million": ["--rounds", "3", "--chunk", "20000"],
    "restart": ["--windows", "2"],
}
FULL = {
    "rounds": ["--rounds", "15", "--chunk", "50000"],
    "million": ["--rounds", "9", "--chunk", "50000"],
    "restart": ["--windows", "5"],
}


def run_part(name: str, arguments: list[str], report: type[ReportType]) -> ReportType:
    """Runs a part in a fresh process. Raises CalledProcessError, msgspec.DecodeError."""
    done = subprocess.run(
        [sys.executable, "-m", f"scripts.bench.{name}", "--json", *arguments],
        stdout=subprocess.PIPE,
        check=True,
        timeout=PART_TIMEOUT_S,
        cwd=ROOT,
    )
    return msgspec.json.decode(done.stdout, type=report)


def main() -> None:
    """Prints the figures, the summary last."""
    parser = argparse.ArgumentParser(description="speed, memory and restart of the core")
    parser.add_argument("--full", action="store_true", help="longer rounds")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    arguments = FULL if options.full else QUICK
    seed = ["--seed", str(options.seed)]
    print(
        f"bench-core: Python {platform.python_version()}, {os.cpu_count()} cores, seed {options.seed}, "
        f"{'full' if options.full else 'quick'}"
    )

    speed = run_part("rounds", [*arguments["rounds"], *seed], rounds.Report)
    print(*rounds.lines(speed), sep="\n", flush=True)
    size = run_part("million", [*arguments["million"], *seed], million.Report)
    print(*million.lines(size), sep="\n", flush=True)
    back = run_part("restart", [*arguments["restart"], *seed], restart.Report)
    print(*restart.lines(back), sep="\n", flush=True)

    ratio = speed.book.middle / speed.peer.middle
    print(
        f"bench-core: book={speed.book.middle:.0f} apply={speed.apply.middle:.0f}"
        f" peer={speed.peer.middle:.0f} ratio={ratio:.1f}"
    )


if __name__ == "__main__":
    main()
