"""What the callers notice of a snapshot: acknowledgements while one is made, beside those while none is.

The snapshot is made by its own process, as in production; here the engine is loaded at 1,000 commands/s in
windows that take turns: with a snapshot under way, and without. The two share this machine's cores, disk and
Postgres, but the engine's loop does nothing for it but spawn that process.
"""

import asyncio
import time

import msgspec
from scripts.bench.engine import Engine, Feed, paced
from scripts.bench.measure import Latencies

from exchange.journal.snapshots import SnapshotPolicy, Snapshotter

PACE_PER_S = 1_000
WINDOW_S = 2
TICK_S = 0.001


class Report(msgspec.Struct):
    """Acknowledgements, and the longest time that the loop was not free, in both kinds of windows."""

    without: Latencies
    during: Latencies
    loop_ms: float
    loop_during_ms: float
    snapshots: int


class LoopWatch:
    """Asks for the loop's attention every millisecond; the longest time it took to get it."""

    def __init__(self) -> None:
        self.longest_ms = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(TICK_S)
            self.longest_ms = max(self.longest_ms, (time.perf_counter() - asked - TICK_S) * 1e3)


async def measure(engine: Engine, feed: Feed, url: str, windows: int) -> Report:
    """Runs so many windows of each kind, after one to warm up."""
    snapshotter = Snapshotter(url, lambda: engine.committed.seq, SnapshotPolicy())
    taken_s: dict[bool, list[float]] = {False: [], True: []}
    loop_ms: dict[bool, float] = {False: 0.0, True: 0.0}
    made = 0
    await paced(engine, feed, WINDOW_S * PACE_PER_S, PACE_PER_S)
    for number in range(2 * windows):
        with_snapshot = number % 2 == 1
        watch = LoopWatch()
        watching = asyncio.create_task(watch.run())
        snapshot = asyncio.create_task(snapshotter.make()) if with_snapshot else None
        taken_s[with_snapshot] += await paced(engine, feed, WINDOW_S * PACE_PER_S, PACE_PER_S)
        watching.cancel()
        loop_ms[with_snapshot] = max(loop_ms[with_snapshot], watch.longest_ms)
        if snapshot is not None:
            await snapshot
            made += 1
    return Report(
        without=Latencies.of(sorted(taken_s[False])),
        during=Latencies.of(sorted(taken_s[True])),
        loop_ms=loop_ms[False],
        loop_during_ms=loop_ms[True],
        snapshots=made,
    )


def lines(report: Report) -> list[str]:
    """The report for people."""
    return [
        f"acknowledgements at {PACE_PER_S:,} commands/s",
        f"  without a snapshot    {report.without}; loop at most {report.loop_ms:.1f} ms",
        f"  while one is made     {report.during}; loop at most {report.loop_during_ms:.1f} ms",
    ]
