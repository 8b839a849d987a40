"""The mixed load on the book with balances, on the whole `apply` and on the peer, in rounds that take turns.

All three follow the same stream of operations, each round the next chunk of it, and at the end must hold the
same book. The figure of a contender is the median over its rounds, of the thread's own time. Other work on
the machine still makes rounds slower (caches, clock rate), never faster, so the highest is printed too.

    python -m scripts.bench.rounds [--orders N] [--rounds N] [--chunk N] [--json]
"""

import argparse
import json
import sys

import msgspec
from scripts.bench.contenders import Venue
from scripts.bench.measure import CpuShare, Rate
from scripts.bench.peer import Peer
from scripts.bench.workload import Workload

from exchange import compiled
from exchange.sequencer import garbage

ACCOUNTS = 1_000
WARM_UP_ROUNDS = 2


class Report(msgspec.Struct):
    """What `main` prints; rates per second."""

    orders: int
    accounts: int
    rounds: int
    chunk: int
    fills_per_operation: float
    book: Rate
    apply: Rate
    peer: Rate
    peer_made_beforehand: Rate
    peer_name: str
    cpu_share: str
    core: str


def measure(orders: int, rounds: int, chunk: int, seed: int) -> Report:
    """Loads the three books and lets them take turns."""
    garbage.take_over()
    workload, peer = Workload(seed, ACCOUNTS), Peer()
    book, whole = Venue(ACCOUNTS), Venue(ACCOUNTS)
    load = workload.load(orders)
    book.run_book(load)
    whole.run_apply(whole.writer.batches(load))
    peer.run(load, 0)
    garbage.freeze_loaded()
    seconds: dict[str, list[float]] = {name: [] for name in ("book", "apply", "peer", "made")}
    trades_before = 0
    share = CpuShare()
    for number in range(WARM_UP_ROUNDS + 2 * rounds):
        if number == WARM_UP_ROUNDS:
            seconds = {name: [] for name in seconds}
            trades_before = whole.trades
        first_index, operations = workload.drawn, workload.mixed(chunk)
        batches = whole.writer.batches(operations)
        seconds["book"].append(book.run_book(operations))
        seconds["apply"].append(whole.run_apply(batches))
        if number % 2:
            seconds["made"].append(peer.run_made_beforehand(operations, first_index))
        else:
            seconds["peer"].append(peer.run(operations, first_index))
    for contender in (book, whole, peer):
        assert contender.depth() == workload.depth(), "a contender holds another book than the workload"
    assert book.trades == whole.trades
    return Report(
        orders=orders,
        accounts=ACCOUNTS,
        rounds=rounds,
        chunk=chunk,
        fills_per_operation=(whole.trades - trades_before) / (2 * rounds * chunk),
        book=Rate.of(chunk, seconds["book"]),
        apply=Rate.of(chunk, seconds["apply"]),
        peer=Rate.of(chunk, seconds["peer"]),
        peer_made_beforehand=Rate.of(chunk, seconds["made"]),
        peer_name=Peer.name,
        cpu_share=str(share),
        core="compiled" if compiled.is_in_use() else "interpreted",
    )


def lines(report: Report) -> list[str]:
    """The report for people."""
    return [
        (
            f"mixed load at {report.orders:,} open orders of {report.accounts:,} accounts on 200 levels, "
            f"{report.fills_per_operation:.2f} fills an operation, core {report.core}"
        ),
        f"  book with balances    {report.book}",
        f"  whole apply           {report.apply}",
        f"  {report.peer_name:<21} {report.peer}",
        f"    orders made before  {report.peer_made_beforehand}",
        f"  median (lowest .. highest) of rounds of {report.chunk:,}; this process had {report.cpu_share}",
    ]


def main() -> None:
    """Measures and prints, as text or as one JSON object."""
    parser = argparse.ArgumentParser(description="book, apply and peer under the same mixed load")
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--chunk", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = measure(options.orders, options.rounds, options.chunk, options.seed)
    if options.json:
        json.dump(msgspec.to_builtins(report), sys.stdout)
    else:
        print("\n".join(lines(report)))


if __name__ == "__main__":
    main()
