"""Restart: how long until the engine stands where the journal ends, and how fast it replays; then snapshots.

The journal is written first, through the real `JournalLog` in rows of 500 commands: accounts, 100,000 open
orders, a snapshot, then 100,000 commands of the mixed load as the tail. Recovery then runs in processes of
its own, each from its start with all the exchange's imports: once as the exchange does before it serves, by
snapshot and tail, and once from the journal's first row. At last an engine goes on from there, for what
`snapshot` measures.

    python -m scripts.bench.restart [--orders N] [--tail N] [--json]
"""

import argparse
import asyncio
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from scripts.bench import snapshot
from scripts.bench.contenders import (
    START_NS,
    CommandWriter,
    decode_commands,
    depth,
    opened_accounts,
    opening_commands,
)
from scripts.bench.engine import Feed, running_engine
from scripts.bench.server import temporary_postgres
from scripts.bench.workload import Operation, Workload

from exchange.core.apply import apply
from exchange.core.commands import Command
from exchange.core.state import State
from exchange.journal.log import JournalLog, ensure_genesis
from exchange.journal.recovery import recover, replay
from exchange.journal.rows import encode_payload
from exchange.journal.snapshot_process import make_snapshot
from exchange.sequencer import garbage
from exchange.sequencer.committed import CommittedView
from exchange.stores.postgres import open_connection

ROOT = Path(__file__).parents[2]
ACCOUNTS = 1_000
ROW_COMMANDS = 500
SLICE = 10_000
RECOVERY_TIMEOUT_S = 300


class Recovered(msgspec.Struct):
    """What a recovering process reports; seconds, `ready_s` from its start; `own`: of its own time."""

    seq: int
    open_orders: int
    bids: dict[int, int]
    asks: dict[int, int]
    executed: int
    imports_s: float
    recovery_s: float
    recovery_own_s: float
    ready_s: float
    ready_own_s: float


class Report(msgspec.Struct):
    """What `main` prints."""

    orders: int
    tail: int
    commands: int
    imports_s: float
    recovery_s: float
    ready_s: float
    ready_own_s: float
    replay_s: float
    replay_own_s: float
    snapshots: snapshot.Report


class Writer:
    """An engine without callers: applies commands and journals them in rows."""

    def __init__(self, log: JournalLog) -> None:
        self._log = log
        self.state = State()

    async def write(self, time_ns: int, commands: list[Command]) -> list[int]:
        """Journals the commands; ids of the accounts they opened."""
        state, opened = self.state, list[int]()
        for start in range(0, len(commands), ROW_COMMANDS):
            row = commands[start : start + ROW_COMMANDS]
            events = [apply(state, state.seq + 1, time_ns, command) for command in row]
            opened += opened_accounts(events)
            await self._log.append(
                state.seq, time_ns, state.rules_version, encode_payload(row), encode_payload(events)
            )
        return opened

    async def write_operations(self, commands: CommandWriter, operations: list[Operation]) -> None:
        """Journals the operations as commands."""
        for start in range(0, len(operations), SLICE):
            for time_ns, payload in commands.batches(operations[start : start + SLICE]):
                await self.write(time_ns, decode_commands(payload))


async def fill(url: str, orders: int, tail: int, seed: int) -> Workload:
    """Writes the journal, with a snapshot before the tail; gives what was written."""
    workload = Workload(seed, ACCOUNTS)
    async with await JournalLog.claim(url) as log:
        writer = Writer(log)
        account_ids = await writer.write(START_NS, opening_commands(ACCOUNTS))
        commands = CommandWriter(writer.state.seq + 1, account_ids)
        await writer.write_operations(commands, workload.load(orders))
        connection = await open_connection(url)
        try:
            await make_snapshot(connection, kept=1)
        finally:
            await connection.close()
        await writer.write_operations(commands, workload.mixed(tail))
    return workload


async def recovered(url: str, started_at: float, *, from_genesis: bool) -> Recovered:
    """What `exchange serve` does before it serves, as far as the engine goes."""
    garbage.take_over()
    began = time.perf_counter()
    imports_s, imports_own_s = time.time() - started_at, time.process_time()
    async with await JournalLog.claim(url) as log:
        connection = await open_connection(url)
        try:
            genesis_id = await ensure_genesis(connection)
            if from_genesis:
                state, snapshot_seq = await replay(connection, genesis_id, log.head), 0
            else:
                found = await recover(connection, genesis_id, log.head)
                state, snapshot_seq = found.state, found.snapshot_seq
        finally:
            await connection.close()
        CommittedView.from_state(f"0x{genesis_id.hex()}", state)
        garbage.freeze_loaded()
        recovery_s, ready_s = time.perf_counter() - began, time.time() - started_at
        ready_own_s = time.process_time()
    bids, asks = depth(state)
    return Recovered(
        seq=state.seq,
        open_orders=len(state.orders),
        bids=bids,
        asks=asks,
        executed=state.seq - snapshot_seq,
        imports_s=imports_s,
        recovery_s=recovery_s,
        recovery_own_s=ready_own_s - imports_own_s,
        ready_s=ready_s,
        ready_own_s=ready_own_s,
    )


async def _recover_apart(url: str, workload: Workload, *arguments: str) -> Recovered:
    """Recovers in a process of its own and checks what it has."""
    command = [sys.executable, "-m", "scripts.bench.restart", "--recover", url, *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, "--started-at", repr(time.time())],
        stdout=subprocess.PIPE,
        check=True,
        timeout=RECOVERY_TIMEOUT_S,
        cwd=ROOT,
        env=environment,  # an exchange that starts again finds its modules translated
    )
    found = msgspec.json.decode(done.stdout, type=Recovered)
    assert (found.bids, found.asks) == workload.depth(), "recovery gave another book"
    assert found.open_orders == workload.open_orders
    return found


async def measure(orders: int, tail: int, seed: int, windows: int) -> Report:
    """Fills a journal, recovers from it in other processes, and goes on with an engine."""
    async with temporary_postgres() as url:
        workload = await fill(url, orders, tail, seed)
        await _recover_apart(url, workload)  # not counted: translates what has changed
        quick = await _recover_apart(url, workload)
        assert quick.executed == tail, "the snapshot before the tail was not used"
        slow = await _recover_apart(url, workload, "--from-genesis")
        async with running_engine(url) as engine:
            snapshots = await snapshot.measure(engine, Feed(engine.state, seed), url, windows)
    return Report(
        orders=orders,
        tail=tail,
        commands=slow.executed,
        imports_s=quick.imports_s,
        recovery_s=quick.recovery_s,
        ready_s=quick.ready_s,
        ready_own_s=quick.ready_own_s,
        replay_s=slow.recovery_s,
        replay_own_s=slow.recovery_own_s,
        snapshots=snapshots,
    )


def lines(report: Report) -> list[str]:
    """The report for people."""
    return [
        f"restart with {report.orders:,} open orders and {report.tail:,} commands of tail",
        (
            f"  from process start    {report.ready_s:.2f} s: imports {report.imports_s:.2f} s, "
            f"snapshot and tail {report.recovery_s:.2f} s ({report.ready_own_s:.2f} s of its own time)"
        ),
        (
            f"  replay                {report.commands / report.replay_s:,.0f} commands/s, every event "
            f"compared; all {report.commands:,} from the first row {report.replay_s:.2f} s "
            f"({report.replay_own_s:.2f} s of its own time)"
        ),
        *snapshot.lines(report.snapshots),
    ]


def main() -> None:
    """Measures and prints, as text or as one JSON object."""
    parser = argparse.ArgumentParser(description="restart time and replay rate")
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--tail", type=int, default=100_000)
    parser.add_argument("--windows", type=int, default=2, help="with and without a snapshot, 2 s each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--recover", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--from-genesis", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--started-at", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.recover:
        importlib.import_module("exchange.cli")  # what a start of the exchange imports
        found = asyncio.run(recovered(options.recover, options.started_at, from_genesis=options.from_genesis))
        sys.stdout.buffer.write(msgspec.json.encode(found))
        return
    report = asyncio.run(measure(options.orders, options.tail, options.seed, options.windows))
    if options.json:
        sys.stdout.buffer.write(msgspec.json.encode(report))
    else:
        print("\n".join(lines(report)))


if __name__ == "__main__":
    main()
