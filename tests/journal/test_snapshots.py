"""Snapshots in a real database: made by a process of their own, used by a start, passed over when damaged."""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from structlog.testing import LogCapture
from tests.core.random_commands import RandomCommands
from tests.journal.recorded import random_day, record

from exchange.core.image import encode_state, state_hash
from exchange.journal.chain import Chain
from exchange.journal.errors import HeadLost, JournalCorrupt, JournalUnreadable
from exchange.journal.log import Head, JournalLog
from exchange.journal.recovery import recover, replay, restore
from exchange.journal.rows import encode_payload
from exchange.journal.snapshot_process import NothingNew, SnapshotMade, make_snapshot
from exchange.journal.snapshot_rows import SnapshotEntry, pack_image, unpack_image
from exchange.journal.snapshots import SnapshotFailed, SnapshotPolicy, Snapshotter
from exchange.sequencer.committed import CommittedView

ROOT = Path(__file__).parents[2]
GENESIS = bytes([7]) * 32
DAY = random_day(seed=21, steps=150)
JOURNAL = record(GENESIS, DAY, rows_of=4, snapshots_after=(10, 20, 30))
STATE = asyncio.run(replay(JOURNAL.connection, GENESIS, JOURNAL.head))
SEQS = [snapshot["seq"] for snapshot in JOURNAL.snapshots]
"""The newest first."""


@pytest.fixture
def warnings() -> Iterator[LogCapture]:
    """What is logged."""
    capture = LogCapture()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(processors=before)


@pytest.fixture
async def stored(pool: asyncpg.Pool) -> asyncpg.Pool:
    """A database with `JOURNAL`, its snapshots at `SEQS`."""
    await JOURNAL.store(pool)
    return pool


async def start_seq(pool: asyncpg.Pool) -> int:
    """The seq of the snapshot that a start begins with, having checked that it ends in the right state."""
    async with pool.acquire() as connection:
        found = await recover(connection, GENESIS, JOURNAL.head)
    assert encode_state(found.state) == encode_state(STATE)
    return found.snapshot_seq


async def seqs(pool: asyncpg.Pool) -> list[int]:
    return [row["seq"] for row in await pool.fetch("SELECT seq FROM snapshots ORDER BY seq DESC")]


# ---- starting from them


async def test_a_start_begins_with_the_newest_snapshot(stored: asyncpg.Pool) -> None:
    assert await start_seq(stored) == SEQS[0]


async def test_a_start_without_snapshots_begins_with_the_first_row(stored: asyncpg.Pool) -> None:
    await stored.execute("DELETE FROM snapshots")
    assert await start_seq(stored) == 0


async def test_a_start_from_a_snapshot_does_not_read_the_rows_before_it(stored: asyncpg.Pool) -> None:
    await stored.execute("DELETE FROM journal WHERE seq_last < $1", SEQS[0])
    assert await start_seq(stored) == SEQS[0]


async def test_a_snapshot_at_the_head_leaves_nothing_to_execute(stored: asyncpg.Pool) -> None:
    async with stored.acquire() as connection:
        await make_snapshot(connection, kept=3)
    assert await start_seq(stored) == JOURNAL.head.seq


async def test_the_view_of_a_start_is_the_fold_of_all_events(stored: asyncpg.Pool) -> None:
    folded = CommittedView("0x" + GENESIS.hex())
    for row in JOURNAL.rows:
        events = [events for _, _, events in DAY[row["seq_first"] - 1 : row["seq_last"]]]
        folded.advance(row["seq_last"], row["time_ns"], events)
    async with stored.acquire() as connection:
        state = (await recover(connection, GENESIS, JOURNAL.head)).state
    view = CommittedView.from_state("0x" + GENESIS.hex(), state)
    assert (view.seq, view.time_ns, view.markets, view.assets) == (
        folded.seq, folded.time_ns, folded.markets, folded.assets,
    )  # fmt: skip
    for account_id in range(1_000, state.next_account_id):
        assert view.open_orders(account_id) == folded.open_orders(account_id)
        for asset_id in state.assets:
            assert view.balance(account_id, asset_id) == folded.balance(account_id, asset_id)
    for market_id in state.markets:
        assert view.depth(market_id, 1_000) == folded.depth(market_id, 1_000)


DAMAGE = {
    "a bit of its image": "image = set_byte(image, 40, get_byte(image, 40) # 1)",
    "a bit at the end of its image": (
        "image = set_byte(image, length(image) - 1, get_byte(image, length(image) - 1) # 1)"
    ),
    "an image that is cut off": "image = substring(image FOR length(image) - 1)",
    "an image with something after its end": "image = image || '\\x00'::bytea",
    "an image that is none": "image = '\\x00'::bytea",
    "the image of another snapshot": "image = (SELECT image FROM snapshots ORDER BY seq LIMIT 1)",
    "another snapshot's image and state hash": (
        "(image, state_hash) = (SELECT image, state_hash FROM snapshots ORDER BY seq LIMIT 1)"
    ),
    "its state hash": "state_hash = sha256(state_hash)",
    "its journal hash": "journal_hash = sha256(journal_hash)",
    "its rules": "rules_version = rules_version + 1",
    "its hash": "hash = sha256(hash)",
    "its seq": "seq = seq + 1",
    "its seq, now ahead of the journal": "seq = seq + 100000",
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_an_older_snapshot_is_used_for_one_that_is_damaged_in(
    stored: asyncpg.Pool, warnings: LogCapture, damage: str
) -> None:
    await stored.execute(f"UPDATE snapshots SET {DAMAGE[damage]} WHERE seq = $1", SEQS[0])
    assert await start_seq(stored) == SEQS[1]
    (warning,) = warnings.entries
    assert (warning["event"], warning["log_level"]) == ("snapshot_damaged", "warning")
    assert warning["seq"] >= SEQS[0]


async def test_the_journal_itself_is_used_when_every_snapshot_is_damaged(
    stored: asyncpg.Pool, warnings: LogCapture
) -> None:
    await stored.execute("UPDATE snapshots SET image = substring(image FROM 2)")
    assert await start_seq(stored) == 0
    assert [warning["seq"] for warning in warnings.entries] == SEQS


async def test_a_snapshot_that_the_database_can_not_read_is_passed_over(warnings: LogCapture) -> None:
    journal = JOURNAL.copy()
    connection = journal.connection
    fetch = connection.fetch

    async def fetch_or_fail(query: str, *arguments: Any) -> list[Any]:
        if "image FROM snapshots" in query and arguments == (SEQS[0],):
            raise asyncpg.DataCorruptedError("missing chunk number 0 for toast value 1")
        return await fetch(query, *arguments)  # type: ignore[no-any-return]

    connection.fetch = fetch_or_fail
    found = await recover(connection, GENESIS, journal.head)
    assert found.snapshot_seq == SEQS[1]
    assert len(warnings.entries) == 1


async def test_a_snapshot_in_a_format_of_the_future_is_passed_over(
    warnings: LogCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = JOURNAL.copy()
    with monkeypatch.context() as future:
        future.setattr("exchange.core.image.IMAGE_TAG", b"exchange state 9\n")
        journal.snapshots[0] = record(GENESIS, DAY, rows_of=4, snapshots_after=(30,)).snapshots[0]
    assert (await recover(journal.connection, GENESIS, journal.head)).snapshot_seq == SEQS[1]
    assert "does not begin with" in warnings.entries[0]["problem"]


@pytest.mark.parametrize("named_too", [False, True])
@pytest.mark.parametrize(
    ("name", "change"), [("seq", 1), ("time_ns", -1), ("time_ns", 1), ("rules_version", -1)]
)
async def test_the_image_of_another_moment_is_passed_over_though_all_its_hashes_fit(
    warnings: LogCapture, name: str, change: int, named_too: bool
) -> None:
    journal = JOURNAL.copy()
    row = journal.snapshots[0]
    state = unpack_image(SnapshotEntry.from_record(row), row["image"])
    setattr(state, name, getattr(state, name) + change)
    hashed, packed = pack_image(state)
    rules_version = state.rules_version if named_too else row["rules_version"]
    entry = SnapshotEntry(row["seq"], row["journal_hash"], hashed, rules_version)
    row |= {"image": packed, "state_hash": hashed, "rules_version": rules_version, "hash": entry.hash}
    assert (await recover(journal.connection, GENESIS, journal.head)).snapshot_seq == SEQS[1]
    assert len(warnings.entries) == 1


async def test_a_sound_snapshot_ahead_of_the_journal_means_that_rows_are_lost(stored: asyncpg.Pool) -> None:
    cut = JOURNAL.rows[24]
    await stored.execute("DELETE FROM journal WHERE seq_first > $1", cut["seq_last"])
    await stored.execute("UPDATE writer SET head_seq = $1, head_hash = $2", cut["seq_last"], cut["hash"])
    async with stored.acquire() as connection:
        with pytest.raises(HeadLost) as caught:
            await recover(connection, GENESIS, Head(cut["seq_last"], cut["hash"]))
    assert (caught.value.who, caught.value.seq, caught.value.head_seq) == (
        "a snapshot", SEQS[0], cut["seq_last"],
    )  # fmt: skip


async def test_a_sound_snapshot_of_another_journal_is_refused(stored: asyncpg.Pool) -> None:
    other = record(bytes([8]) * 32, DAY, rows_of=4, snapshots_after=(30,)).snapshots[0]
    await stored.execute(
        "UPDATE snapshots SET image = $2, state_hash = $3, journal_hash = $4, hash = $5 WHERE seq = $1",
        other["seq"], other["image"], other["state_hash"], other["journal_hash"], other["hash"],
    )  # fmt: skip
    async with stored.acquire() as connection:
        with pytest.raises(JournalCorrupt, match="another journal"):
            await recover(connection, GENESIS, JOURNAL.head)


async def test_a_snapshot_between_two_rows_is_refused(stored: asyncpg.Pool) -> None:
    await stored.execute("DELETE FROM journal WHERE seq_last = $1", SEQS[0])
    async with stored.acquire() as connection:
        with pytest.raises(JournalCorrupt, match="no row ends here"):
            await recover(connection, GENESIS, JOURNAL.head)


@pytest.mark.parametrize("column", ["commands", "events", "hash_prev", "hash"])
async def test_the_row_that_a_snapshot_stands_on_is_verified_too(stored: asyncpg.Pool, column: str) -> None:
    await stored.execute(f"UPDATE journal SET {column} = sha256({column}) WHERE seq_last = $1", SEQS[0])
    async with stored.acquire() as connection:
        with pytest.raises(JournalCorrupt) as caught:
            await recover(connection, GENESIS, JOURNAL.head)
    assert caught.value.seq <= SEQS[0]


async def test_rows_after_the_snapshot_are_compared_event_by_event(stored: asyncpg.Pool) -> None:
    """A snapshot that passes every check but is not the state of its row does not survive the next rows."""
    async with stored.acquire() as connection:
        chain = await restore(connection, GENESIS, JOURNAL.head)
        chain.state.next_trade_id += 1
        chain.state.next_account_id += 1
        record_after = next(row for row in JOURNAL.rows if row["seq_first"] == SEQS[0] + 1)
        following = JOURNAL.rows[JOURNAL.rows.index(record_after) :]
        with pytest.raises(JournalCorrupt, match="gives other events"):
            list(map(chain.take, following))


async def test_a_database_that_does_not_answer_is_a_clear_error(stored: asyncpg.Pool) -> None:
    async with stored.acquire() as connection:
        await connection.execute("DROP TABLE snapshots")
        with pytest.raises(JournalUnreadable, match="the snapshots can not be read"):
            await recover(connection, GENESIS, JOURNAL.head)


async def test_a_read_that_takes_too_long_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        async def fetch(self, query: str, *arguments: Any) -> list[Any]:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr("exchange.journal.recovery.READ_TIMEOUT_S", 0.01)
    with pytest.raises(JournalUnreadable, match="TimeoutError"):
        await recover(Silent(), GENESIS, Head(0, GENESIS))  # type: ignore[arg-type]


# ---- making them


async def make(pool: asyncpg.Pool, kept: int = 3) -> SnapshotMade | NothingNew:
    async with pool.acquire() as connection:
        return await make_snapshot(connection, kept)


async def test_a_snapshot_is_made_from_the_one_before_and_the_rows_since(stored: asyncpg.Pool) -> None:
    await stored.execute("DELETE FROM journal WHERE seq_last < $1", SEQS[0])
    made = await make(stored)
    assert isinstance(made, SnapshotMade)
    assert (made.seq, made.commands) == (JOURNAL.head.seq, JOURNAL.head.seq - SEQS[0])
    assert made.state_hash == state_hash(STATE).hex()
    assert await start_seq(stored) == made.seq


async def test_the_first_snapshot_is_made_from_the_first_row(stored: asyncpg.Pool) -> None:
    await stored.execute("DELETE FROM snapshots")
    made = await make(stored)
    assert isinstance(made, SnapshotMade)
    assert made.commands == made.seq == JOURNAL.head.seq


async def test_only_the_newest_are_kept(stored: asyncpg.Pool) -> None:
    await make(stored, kept=2)
    assert await seqs(stored) == [JOURNAL.head.seq, SEQS[0]]
    assert await make(stored, kept=1) == NothingNew(JOURNAL.head.seq)


async def test_a_damaged_snapshot_at_the_head_is_made_again(
    stored: asyncpg.Pool, warnings: LogCapture
) -> None:
    await make(stored)
    await stored.execute(
        "UPDATE snapshots SET image = substring(image FROM 2) WHERE seq = $1", JOURNAL.head.seq
    )
    made = await make(stored)
    assert isinstance(made, SnapshotMade)
    assert made.commands == JOURNAL.head.seq - SEQS[0]
    warnings.entries.clear()
    assert await start_seq(stored) == JOURNAL.head.seq
    assert warnings.entries == []


async def test_no_snapshot_is_made_of_an_empty_journal(pool: asyncpg.Pool, database_url: str) -> None:
    async with await JournalLog.claim(database_url):
        assert await make(pool) == NothingNew(0)
    assert await seqs(pool) == []


async def test_no_snapshot_is_made_of_a_journal_that_does_not_verify(stored: asyncpg.Pool) -> None:
    last = JOURNAL.rows[-1]
    await stored.execute("UPDATE journal SET time_ns = time_ns + 1 WHERE seq_last = $1", last["seq_last"])
    with pytest.raises(JournalCorrupt):
        await make(stored)
    assert await seqs(stored) == SEQS


async def test_no_snapshot_is_written_when_its_row_is_gone_by_then(
    stored: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows vanish while the snapshot is made: a failover to a replica that lagged."""
    from exchange.journal import snapshot_process
    from exchange.journal.recovery import go_on

    async def go_on_then_lose(
        connection: asyncpg.Connection, chain: Chain, head: Head, **options: Any
    ) -> None:
        await go_on(connection, chain, head, **options)
        await stored.execute("DELETE FROM journal WHERE seq_last = $1", head.seq)

    monkeypatch.setattr(snapshot_process, "go_on", go_on_then_lose)
    with pytest.raises(JournalCorrupt, match="gone"):
        await make(stored)
    assert await seqs(stored) == SEQS


async def test_a_snapshot_is_made_beside_a_writer_that_goes_on(database_url: str, pool: asyncpg.Pool) -> None:
    commands = RandomCommands(3)
    commands.open()
    async with await JournalLog.claim(database_url) as log:
        written = 0

        async def write_what_is_new() -> None:
            nonlocal written
            for time_ns, command, events in commands.log[written:]:
                await log.append(
                    log.head.seq + 1, time_ns, commands.state.rules_version,
                    encode_payload([command]), encode_payload([events]),
                )  # fmt: skip
            written = len(commands.log)

        await write_what_is_new()
        making = asyncio.create_task(make(pool))
        while not making.done():
            commands.steps(3)
            await write_what_is_new()
            await asyncio.sleep(0)
        made = await making
        assert isinstance(made, SnapshotMade)
        async with pool.acquire() as connection:
            genesis_id = await connection.fetchval("SELECT genesis_id FROM genesis")
            found = await recover(connection, genesis_id, log.head)
        assert found.snapshot_seq == made.seq
        assert state_hash(found.state) == state_hash(commands.state)


# ---- the process


def snapshotter(url: str, seq: int = 10**6, **options: Any) -> Snapshotter:
    return Snapshotter(url, lambda: seq, SnapshotPolicy(), **options)


async def test_the_process_makes_a_snapshot(stored: asyncpg.Pool, database_url: str) -> None:
    made = await snapshotter(database_url).make()
    assert isinstance(made, SnapshotMade)
    assert await seqs(stored) == [JOURNAL.head.seq, *SEQS[:2]]
    assert await start_seq(stored) == JOURNAL.head.seq
    assert await snapshotter(database_url).make() == NothingNew(JOURNAL.head.seq)


async def test_the_process_says_in_one_line_why_it_made_none(stored: asyncpg.Pool, database_url: str) -> None:
    await stored.execute("UPDATE journal SET time_ns = 0 WHERE seq_last = $1", JOURNAL.head.seq)
    with pytest.raises(SnapshotFailed, match=r"journal corrupt at seq \d+: hash does not match its content$"):
        await snapshotter(database_url).make()
    with pytest.raises(SnapshotFailed, match="the database can not be read"):
        await snapshotter("postgresql://nobody@localhost:1/none").make()


async def test_the_process_has_low_priority_and_ends_with_its_parent(
    stored: asyncpg.Pool, database_url: str
) -> None:
    """It waits for a lock that the test holds; when stdin closes it is gone all the same."""
    async with stored.acquire() as holder, holder.transaction():
        await holder.execute("LOCK TABLE snapshots IN ACCESS EXCLUSIVE MODE")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "exchange.journal.snapshot_process",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(b'{"database_url":"%s","kept":3}\n' % database_url.encode())
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'exchange snapshot'"
        async with asyncio.timeout(30):
            while not await stored.fetchval(f"{waiting} AND wait_event_type = 'Lock'"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            own, its = os.getpriority(os.PRIO_PROCESS, 0), os.getpriority(os.PRIO_PROCESS, process.pid)
            assert its == min(own + 10, 19)
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


async def test_no_more_than_half_of_the_time_is_spent_on_snapshots() -> None:
    hand = Hand()
    hand.seq += 1_000
    hand.takes_s = 20.0
    await hand.snapshotter.try_once()
    hand.seq += 1_000
    hand.now_s += 19.9
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
