"""Breaks a real chain under a real exchange in every way it knows, and proves that no money is made or lost.

Part 1 reorganizes: deposits are kept, moved, dropped and sent twice, on branches less deep and deeper than
what counts as final, while the node hides, forges, lags and dies. Part 2 kills: a worker that pays
withdrawals dies by SIGKILL before, amid and after each of its steps, while transactions are dropped, stuck,
replaced, reorganized and outbid. What the chain's logs say is compared with the journal, word by word.

    python -m scripts.chain_drill [--reorgs N] [--kills N] [--seed N] [--keep]

`--reorgs`: cases of part 1; `--kills`: kills at each point of part 2. Every kind of fault must have happened,
or the drill has failed; but for part 1 with fewer than 20 cases. The last line is
`chain: reorgs=... double_credits=0 missed_credits=0 kills=... double_payments=0 lost_payments=0`; anything
else than zeros ends with a non-zero exit. Part 1 is drawn from the seed alone and can be played again; part 2
depends on when things happen, too.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from random import SystemRandom

import structlog
from scripts.chain_drill.compare import Verdict
from scripts.chain_drill.databases import fastest_folder, open_databases
from scripts.chain_drill.faults import OF_DEPOSITS, OF_PAYMENTS, Fault, Injected
from scripts.chain_drill.kills import KillsDrill
from scripts.chain_drill.points import Step, after, before, during
from scripts.chain_drill.reorgs import ReorgsDrill
from scripts.crash.processes import NotLinux, adopt_orphans, command_line, descendants, kill

MAX_SEED = 2**31
INTERRUPTED = 130
DEMANDING_REORGS = 20
"""With fewer cases some faults may not come up; fewer are for playing a failure again."""


def say(text: str) -> None:
    """One line of the transcript."""
    print(text, flush=True)


class Drill:
    """Both parts, and what is told of them."""

    def __init__(self, reorgs: int, kills: int, seed: int) -> None:
        self._reorgs_wanted = reorgs
        self._kills_wanted = kills
        self._seed = seed
        self._reorgs: ReorgsDrill | None = None
        self._kills: KillsDrill | None = None
        self.verdict = Verdict()

    async def run(self, folder: Path) -> None:
        """Plays in one folder, with one Postgres. `verdict` has what is wrong; raises what breaks a part."""
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with open_databases(folder) as databases:
            if self._reorgs_wanted:
                self._reorgs = ReorgsDrill(folder, databases, self._seed, self._reorgs_wanted, say)
                await self._reorgs.run()
                demanded = OF_DEPOSITS if self._reorgs_wanted >= DEMANDING_REORGS else ()
                self._take(self._reorgs.verdict, self._reorgs.injected, demanded)
            if self._kills_wanted and self.verdict.is_good:
                self._kills = KillsDrill(folder, databases, self._seed, self._kills_wanted, say)
                await self._kills.run()
                self._take(self._kills.verdict, self._kills.injected, OF_PAYMENTS)

    def _take(self, verdict: Verdict, injected: Injected, wanted: tuple[Fault, ...]) -> None:
        self.verdict.add(verdict)
        if verdict.is_good:
            self.verdict.wrong += [f"never happened: {fault}" for fault in injected.never(wanted)]

    def tell(self) -> None:
        """What was done, in figures."""
        if self._reorgs is not None:
            depths = ", ".join(f"{n} of {depth}" for depth, n in sorted(self._reorgs.depths.items()))
            say(f"\ndeposits: {self._reorgs.deposits} credited; reorganizations by depth: {depths}")
            _say_lines(self._reorgs.injected.lines(OF_DEPOSITS))
        if self._kills is not None:
            counts = self._kills.kills.counts
            say(
                f"\nwithdrawals: {self._kills.withdrawals} in {self._kills.rounds} rounds; halted"
                f" {self._kills.halted_by_replaced} times by a process that had been replaced"
            )
            _say_lines(self._kills.injected.lines(OF_PAYMENTS))
            say("\nkills before, amid and after a step")
            for step in Step:
                told = "".join(f"{counts.get(point(step), '-'):>5}" for point in (before, during, after))
                say(f"{told}  {step}")

    def last_line(self) -> str:
        reorgs = 0 if self._reorgs is None else self._reorgs.cases
        kills = 0 if self._kills is None else self._kills.kills.total
        found = self.verdict
        return (
            f"chain: reorgs={reorgs} double_credits={found.double_credits}"
            f" missed_credits={found.missed_credits} kills={kills}"
            f" double_payments={found.double_payments} lost_payments={found.lost_payments}"
        )


def main() -> int:
    """Runs the drill in a temporary folder and cleans up behind it."""
    options = _options()
    seed: int = SystemRandom().randrange(MAX_SEED) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="chain-drill-", dir=fastest_folder()))
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.PrintLoggerFactory((folder / "drill.log").open("w", encoding="utf-8")),
    )
    say(f"chain: {options.reorgs} reorganizations, {options.kills} kills at each point, SEED={seed}")
    started_s = time.monotonic()
    drill = Drill(options.reorgs, options.kills, seed)
    is_over = False
    try:
        adopt_orphans()
        asyncio.run(drill.run(folder))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("chain: interrupted", file=sys.stderr)
        is_over = True
        return INTERRUPTED
    except (Exception, NotLinux):
        traceback.print_exc()
        drill.verdict.wrong.append("the drill could not be ended")
    finally:
        _leave_nothing()
        if drill.verdict.is_good or is_over:
            is_over = not options.keep
        if is_over:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"chain: kept {folder}", file=sys.stderr)
    drill.tell()
    say(f"\n{time.monotonic() - started_s:.0f} s in all")
    if not drill.verdict.is_good:
        say(f"FAILED: SEED={seed}\n{drill.verdict.words()}")
    say(drill.last_line())
    return 0 if drill.verdict.is_good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.chain_drill",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--reorgs", type=int, default=200, help="how often to reorganize (200)")
    parser.add_argument("--kills", type=int, default=20, help="how often to kill at each point (20)")
    parser.add_argument("--seed", type=int, help="seed of the first world; the next has the next number")
    parser.add_argument("--keep", action="store_true", help="keep the folder, also when all is well")
    options = parser.parse_args()
    if min(options.reorgs, options.kills) < 0:
        parser.error("--reorgs and --kills must not be negative")
    return options


def _say_lines(lines: list[str]) -> None:
    for line in lines:
        say(line)


def _leave_nothing() -> None:
    """Ends whatever still descends from this process; there should be nothing."""
    left = descendants(os.getpid())
    for pid in left:
        print(f"chain: had to end {command_line(pid)}", file=sys.stderr)
    kill(left)


if __name__ == "__main__":
    sys.exit(main())
