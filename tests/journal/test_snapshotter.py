"""The process that makes a snapshot, and the engine's task that has one made when it is time."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from structlog.testing import LogCapture
from tests.journal.stored_day import JOURNAL, SEQS, seqs, start_seq

from exchange.journal.snapshot_process import NothingNew, SnapshotMade
from exchange.journal.snapshots import SnapshotFailed, SnapshotPolicy, Snapshotter

# ---- the process


def snapshotter(url: str, seq: int = 10**6, **options: Any) -> Snapshotter:
    return Snapshotter(url, lambda: seq, SnapshotPolicy(), **options)


async def test_the_process_makes_a_snapshot(stored: asyncpg.Pool, database_url: str) -> None:
    made = await snapshotter(database_url).make()
    assert isinstance(made, SnapshotMade)
    assert await seqs(stored) == [JOURNAL.head.seq, *SEQS[:2]]
    assert await start_seq(stored) == JOURNAL.head.seq
    assert await snapshotter(database_url).make() == NothingNew(JOURNAL.head.seq)


async def test_what_the_process_warns_of_is_logged_and_no_part_of_its_answer(
    stored: asyncpg.Pool, database_url: str, warnings: LogCapture
) -> None:
    await stored.execute("UPDATE snapshots SET image = substring(image FROM 2) WHERE seq = $1", SEQS[0])
    made = await snapshotter(database_url).make()
    assert isinstance(made, SnapshotMade)
    assert made.commands == JOURNAL.head.seq - SEQS[1]
    (warning,) = warnings.entries
    assert warning["event"] == "snapshot_process_warns"
    assert "snapshot_damaged" in warning["said"]


async def test_the_process_says_in_one_line_why_it_made_none(stored: asyncpg.Pool, database_url: str) -> None:
    await stored.execute("UPDATE journal SET time_ns = 0 WHERE seq_last = $1", JOURNAL.head.seq)
    with pytest.raises(SnapshotFailed, match=r"journal corrupt at seq \d+: hash does not match its content$"):
        await snapshotter(database_url).make()
    with pytest.raises(SnapshotFailed, match="the database can not be read"):
        await snapshotter("postgresql://nobody@localhost:1/none").make()


def niceness_of_session(pid: int) -> int | None:
    """None where the kernel does not share the processors out by sessions."""
    try:
        return int(Path(f"/proc/{pid}/autogroup").read_text(encoding="ascii").split()[-1])
    except FileNotFoundError:
        return None


async def test_the_process_has_low_priority_and_ends_with_its_parent(
    stored: asyncpg.Pool, database_url: str
) -> None:
    """It waits for a lock that the test holds; when stdin closes it is gone all the same."""
    async with stored.acquire() as holder, holder.transaction():
        await holder.execute("LOCK TABLE snapshots IN ACCESS EXCLUSIVE MODE")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "exchange.journal.snapshot_process",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(b'{"database_url":"%s","kept":3}\n' % database_url.encode())
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'exchange snapshot'"
        async with asyncio.timeout(30):
            while not await stored.fetchval(f"{waiting} AND wait_event_type = 'Lock'"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            own, its = os.getpriority(os.PRIO_PROCESS, 0), os.getpriority(os.PRIO_PROCESS, process.pid)
            assert its == min(own + 10, 19)
            assert niceness_of_session(process.pid) in {10, None}
            process.stdin.close()
            assert await process.wait() == 3
    assert await seqs(stored) == SEQS


async def test_a_cancelled_engine_ends_the_process(stored: asyncpg.Pool, database_url: str) -> None:
    async with stored.acquire() as holder, holder.transaction():
        await holder.execute("LOCK TABLE snapshots IN ACCESS EXCLUSIVE MODE")
        making = asyncio.create_task(snapshotter(database_url).make())
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'exchange snapshot'"
        async with asyncio.timeout(30):
            while not await stored.fetchval(f"{waiting} AND wait_event_type = 'Lock'"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            making.cancel()
            with pytest.raises(asyncio.CancelledError):
                await making
    assert await seqs(stored) == SEQS


async def test_a_process_that_can_not_be_started_or_gives_no_answer_is_a_failure() -> None:
    for process, message in (
        (("/nowhere/at/all",), "can not be started"),
        ((sys.executable, "-c", "print('hello')"), "no answer"),
        ((sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"), "code -9"),
        ((sys.executable, "-c", "raise SystemExit('out of luck')"), "out of luck"),
    ):
        with pytest.raises(SnapshotFailed, match=message):
            await snapshotter("", process=process).make()


async def test_a_process_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.journal.snapshots.PROCESS_TIMEOUT_S", 0.2)
    sleeping = (sys.executable, "-c", "import time; time.sleep(600)")
    with pytest.raises(SnapshotFailed, match=r"more than 0\.2 s"):
        await snapshotter("", process=sleeping).make()


# ---- when


class Hand:
    """A snapshotter whose clock, journal and process are moved by hand."""

    def __init__(self, last_seq: int = 1_000) -> None:
        self.now_s = 0.0
        self.seq = last_seq
        self.takes_s = 0.0
        self.fails = False
        self.snapshotter = Snapshotter(
            "", lambda: self.seq, SnapshotPolicy(every_commands=100, every_s=60.0),
            last_seq=last_seq, clock_s=lambda: self.now_s,
        )  # fmt: skip
        self.snapshotter.make = self.make  # type: ignore[method-assign]

    async def make(self) -> SnapshotMade | NothingNew:
        self.now_s += self.takes_s
        if self.fails:
            raise SnapshotFailed("no luck")
        return SnapshotMade(self.seq, "", 1, 1, self.takes_s)

    @property
    def is_due(self) -> bool:
        return self.snapshotter.is_due()


def test_a_snapshot_is_due_after_so_many_commands() -> None:
    hand = Hand()
    hand.seq += 99
    assert not hand.is_due
    hand.seq += 1
    assert hand.is_due


def test_a_snapshot_is_due_after_so_long_if_there_is_anything_new() -> None:
    hand = Hand()
    hand.now_s = 1_000.0
    assert not hand.is_due
    hand.seq += 1
    assert hand.is_due
    hand.now_s = 59.9
    assert not hand.is_due


async def test_counting_begins_anew_with_each_snapshot() -> None:
    hand = Hand()
    hand.seq += 150
    await hand.snapshotter.try_once()
    assert (hand.snapshotter.last_seq, hand.is_due) == (1_150, False)
    hand.seq += 100
    assert hand.is_due


async def test_no_more_than_a_quarter_of_the_time_is_spent_on_snapshots() -> None:
    hand = Hand()
    hand.seq += 1_000
    hand.takes_s = 20.0
    await hand.snapshotter.try_once()
    hand.seq += 1_000
    hand.now_s += 59.9
    assert not hand.is_due
    hand.now_s += 0.1
    assert hand.is_due


async def test_a_failure_is_shown_and_tried_again_later_and_later() -> None:
    hand = Hand()
    hand.seq += 1_000
    hand.fails = True
    pauses_s = []
    for _ in range(9):
        await hand.snapshotter.try_once()
        assert "no luck" in str(hand.snapshotter.fault)
        failed_s = hand.now_s
        while not hand.is_due:
            hand.now_s += 1
        pauses_s.append(hand.now_s - failed_s)
    assert pauses_s[:4] == [30, 60, 120, 240]
    assert pauses_s[-2:] == [1_800, 1_800]
    hand.fails = False
    await hand.snapshotter.try_once()
    assert hand.snapshotter.fault is None
    hand.fails = True
    hand.seq += 1_000
    await hand.snapshotter.try_once()
    failed_s = hand.now_s
    while not hand.is_due:
        hand.now_s += 1
    assert hand.now_s - failed_s == 30


async def test_the_task_makes_a_snapshot_when_one_is_due(
    stored: asyncpg.Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.journal.snapshots.CHECK_S", 0.01)
    running = snapshotter(database_url, seq=JOURNAL.head.seq, last_seq=0)
    running._policy = SnapshotPolicy(every_commands=1)
    task = asyncio.create_task(running.run())
    async with asyncio.timeout(30):
        while running.last_seq != JOURNAL.head.seq:  # noqa: ASYNC110 - the condition is another process's
            await asyncio.sleep(0.01)
    task.cancel()
    assert await seqs(stored) == [JOURNAL.head.seq, *SEQS[:2]]
