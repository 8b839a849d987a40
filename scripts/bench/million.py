"""Our engine with up to 10^6 open orders: memory, cost per command as the book grows, each command's time.

Memory is the growth of the process's resident set while the largest book is loaded through `apply`, divided
by its orders; every order has a client order id. The same mixed load then runs on books of all sizes, in
rounds that take turns. The collector is set as the engine sets it, and watched.
The longest pause is that of one command, collections included; on the wall clock it has in it what other
processes took of the machine meanwhile.

    python -m scripts.bench.million [--orders N] [--rounds N] [--chunk N] [--plain] [--json]
"""

import argparse
import json
import sys
from array import array
from statistics import median

import msgspec
from scripts.bench.contenders import Venue
from scripts.bench.measure import CollectorWatch, percentile, resident_bytes
from scripts.bench.workload import Workload

from exchange.sequencer import garbage

SIZES = (1_000, 10_000, 100_000, 1_000_000)
SLICE = 10_000
ACCOUNTS = 1_000
ORDERS_PER_ACCOUNT = 500
"""On average, in the larger books: an account may have 1,000 open orders at most."""


class Report(msgspec.Struct):
    """What `main` prints; times in microseconds."""

    orders: int
    accounts: int
    bytes_per_order: float
    us_per_command: dict[int, float]
    growth: float
    p50_us: float
    p99_us: float
    longest_us: float
    longest_own_us: float
    timed_commands: int
    collections: int
    longest_collection_us: float


class Stage:
    """One venue with its workload."""

    def __init__(self, orders: int, seed: int, *, client_order_ids: bool) -> None:
        self.orders = orders
        self.accounts = max(ACCOUNTS, orders // ORDERS_PER_ACCOUNT)
        self.workload = Workload(seed, self.accounts)
        self.collector = CollectorWatch()
        self.venue = Venue(self.accounts, client_order_ids=client_order_ids)

    def load(self) -> float:
        """Fills the book; bytes of memory per order that it took."""
        operations = self.workload.load(self.orders)
        before_bytes = resident_bytes()
        for start in range(0, self.orders, SLICE):
            self.venue.run_apply(self.venue.writer.batches(operations[start : start + SLICE]))
        return (resident_bytes() - before_bytes) / self.orders

    def round(self, chunk: int) -> float:
        """Microseconds per command of the next `chunk` commands."""
        batches = self.venue.writer.batches(self.workload.mixed(chunk))
        return self.venue.run_apply(batches) / chunk * 1e6

    def each_ns(self, chunk: int) -> "tuple[array[int], array[int]]":
        """Nanoseconds of each of the next commands, on the wall clock and of the thread's own time."""
        batches = self.venue.writer.batches(self.workload.mixed(chunk))
        garbage.freeze_loaded()  # the workload's own objects would else be the collector's work, and ours
        with self.collector:
            return self.venue.time_each(batches)


def measure(orders: int, rounds: int, chunk: int, seed: int, *, client_order_ids: bool = True) -> Report:
    """Loads books of every size up to `orders` and runs them in turns."""
    garbage.take_over()
    largest = Stage(orders, seed, client_order_ids=client_order_ids)
    bytes_per_order = largest.load()
    stages = [Stage(size, seed, client_order_ids=client_order_ids) for size in SIZES if size < orders]
    for stage in stages:
        stage.load()
    stages.append(largest)
    garbage.freeze_loaded()
    taken_us: dict[int, list[float]] = {stage.orders: [] for stage in stages}
    for number in range(rounds + 1):
        for stage in stages:
            cost_us = stage.round(chunk)
            if number:  # the first round warms up
                taken_us[stage.orders].append(cost_us)
    each_wall_ns, each_own_ns = array("q"), array("q")
    for _ in range(rounds):
        wall_ns, own_ns = largest.each_ns(chunk)
        each_wall_ns += wall_ns
        each_own_ns += own_ns
    for stage in stages:
        assert stage.venue.depth() == stage.workload.depth(), "the engine's book is not the workload's"
    wall_us = sorted(each / 1e3 for each in each_wall_ns)
    middles = {size: median(costs) for size, costs in taken_us.items()}
    return Report(
        orders=orders,
        accounts=largest.accounts,
        bytes_per_order=bytes_per_order,
        us_per_command=middles,
        growth=middles[orders] / middles[min(middles)],
        p50_us=percentile(wall_us, 0.5),
        p99_us=percentile(wall_us, 0.99),
        longest_us=wall_us[-1],
        longest_own_us=max(each_own_ns) / 1e3,
        timed_commands=len(wall_us),
        collections=largest.collector.runs,
        longest_collection_us=largest.collector.longest_ns / 1e3,
    )


def lines(report: Report) -> list[str]:
    """The report for people."""
    costs = "   ".join(f"{size:,}: {cost:.2f}" for size, cost in report.us_per_command.items())
    return [
        f"at {report.orders:,} open orders of {report.accounts:,} accounts",
        f"  memory                {report.bytes_per_order:,.0f} bytes per open order (resident set)",
        f"  microseconds a command, by open orders   {costs}",
        f"  growth of that cost   {report.growth:.2f} times",
        (
            f"  one command           p50 {report.p50_us:.1f} us   p99 {report.p99_us:.1f} us   "
            f"of {report.timed_commands:,}"
        ),
        (
            f"  longest pause         {report.longest_us / 1e3:.2f} ms on the wall clock, "
            f"{report.longest_own_us / 1e3:.2f} ms of the engine's own time"
        ),
        (
            f"  garbage collector     {report.collections} runs, longest pause "
            f"{report.longest_collection_us / 1e3:.2f} ms"
        ),
    ]


def main() -> None:
    """Measures and prints, as text or as one JSON object."""
    parser = argparse.ArgumentParser(description="the engine with up to a million open orders")
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chunk", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="orders without client order ids")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = measure(
        options.orders, options.rounds, options.chunk, options.seed, client_order_ids=not options.plain
    )
    if options.json:
        json.dump(msgspec.to_builtins(report, str_keys=True), sys.stdout)
    else:
        print("\n".join(lines(report)))


if __name__ == "__main__":
    main()
