"""Kills a running exchange with SIGKILL, over and over, and proves that it kept every promise.

Each cycle puts real clients to work on `exchange serve` over a real Postgres, kills the engine, the whole of
Postgres, or both at a random moment, starts again what is dead, and compares every acknowledged order, cancel
and fill with the journal, the API and the read tables. Orders whose answer was lost are sent again and must
not become a second order. Per asset nothing may be made or destroyed.

    python -m scripts.crash [--cycles N] [--seed N] [--keep]

The last line is `crash: cycles=... acked=... lost=0 duplicated=0 restart_p99_s=...`. `acked` counts
acknowledged orders and cancels; a restart lasts from the start of the first dead process (Postgres with its
crash recovery, where it was killed) until the API is ready. Anything that must not be ends with a non-zero
exit and is told with the seed of its cycle: `--cycles 1` with that seed draws the same plan again.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import SystemRandom

import aiohttp
import asyncpg
from scripts.crash.compare import wrong
from scripts.crash.drill import Drill, Figures
from scripts.crash.processes import NotLinux, adopt_orphans, command_line, descendants, is_running, kill
from scripts.crash.public_api import ApiFailed
from scripts.crash.venue import Venue, VenueFailed

from exchange.chain.errors import ChainError
from exchange.logs import configure_logging
from exchange.stores.errors import StoreError

MAX_SEED = 2**31
INTERRUPTED = 130
CANCEL_AGAIN_S = 2.0
FAILURES = (
    VenueFailed,
    ApiFailed,
    ChainError,
    StoreError,
    aiohttp.ClientError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
)
"""What ends the drill early, without being a bug of the drill. A timeout is an OSError."""


def say(text: str) -> None:
    """One line of the transcript."""
    print(text, flush=True)


def complain(text: str) -> None:
    """One line beside the transcript."""
    print(f"crash: {text}", file=sys.stderr, flush=True)


async def drill(folder: Path, cycles: int, seed: int, *, unsafe: bool) -> Figures:
    """All cycles, in one folder. `unsafe` makes the database lose what it acknowledged, to test the drill."""
    venue = Venue(folder)
    leaving = _cancelled_by_signals()
    crash = Drill(venue, seed)
    try:
        await venue.start()
        await crash.prepare()
        if unsafe:
            await venue.promise_too_much()
        for number in range(cycles):
            failures: BaseExceptionGroup[Exception] | None = None
            try:
                say(await crash.cycle(number))
            except* FAILURES as group:
                failures = group
            if failures is not None:
                crash.figures.add([wrong(f"cycle {number + 1} could not be ended")])
                error = _first(failures)
                say(f"cycle {number + 1:>3}  seed={seed + number}  FAILED")
                say(f"    {type(error).__name__}: {error}\n{venue.unexpected_end()}")
                break
        else:
            say(await crash.finish())
    finally:
        leaving.set()
        await venue.stop()
    return crash.figures


def _cancelled_by_signals() -> asyncio.Event:
    """Has this task cancelled by SIGINT and SIGTERM: again and again until it says that it is leaving.

    One cancellation can get lost: a clean-up that fails takes its place, and the failure may be one that is
    waited out, as those of a venue that is not ready yet are.
    """
    task = asyncio.current_task()
    assert task is not None
    loop, leaving = asyncio.get_running_loop(), asyncio.Event()

    def interrupt() -> None:
        if not leaving.is_set():
            task.cancel()
            loop.call_later(CANCEL_AGAIN_S, interrupt)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    return leaving


def main() -> int:
    """Runs the drill in a temporary folder and cleans up behind it."""
    options = _options()
    seed: int = SystemRandom().randrange(MAX_SEED) if options.seed is None else options.seed
    configure_logging(log_format="text", level="warning")
    folder = Path(tempfile.mkdtemp(prefix="exchange-crash-"))
    say(f"crash: {options.cycles} cycles, SEED={seed}")
    started_s = time.monotonic()
    is_over = False
    try:
        adopt_orphans()
        figures = asyncio.run(drill(folder, options.cycles, seed, unsafe=options.unsafe))
        is_over = figures.good
    except (NotLinux, *FAILURES) as error:
        complain(f"FAILED: {error or repr(error)}")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        complain("interrupted")
        is_over = True
        return INTERRUPTED
    finally:
        _leave_nothing()
        if options.keep or not is_over:
            complain(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    say(
        f"{time.monotonic() - started_s:.0f} s in all; without its database the engine ended within"
        f" {figures.slowest_end_s:.2f} s"
    )
    if not figures.good:
        complain(f"FAILED: SEED={seed}")
    say(figures.last_line())
    return 0 if figures.good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.crash",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cycles", type=int, default=20, help="how often to kill (20)")
    parser.add_argument("--seed", type=int, help="seed of the first cycle; the next has the next number")
    parser.add_argument("--keep", action="store_true", help="keep the folder, also when all is well")
    parser.add_argument("--unsafe", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cycles < 1:
        parser.error("--cycles must be at least 1")
    return options


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _leave_nothing() -> None:
    """Ends whatever still descends from this process; there should be nothing."""
    left = [pid for pid in descendants(os.getpid()) if is_running(pid)]
    for pid in left:
        complain(f"had to end {command_line(pid)}")
    kill(left)


if __name__ == "__main__":
    sys.exit(main())
