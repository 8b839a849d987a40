"""`verify` and `rehearse`: a journal executed again from outside, beside whoever writes it."""

import asyncpg
import pytest
from tests.journal.recorded import RecordedJournal, random_day, record, snapshot

from exchange.core.image import state_hash
from exchange.core.state import State
from exchange.journal.errors import (
    HeadLost,
    JournalCorrupt,
    JournalUnreadable,
    SnapshotDamaged,
    SnapshotDiffers,
)
from exchange.journal.recovery import recover
from exchange.journal.snapshot_rows import SnapshotEntry, unpack_image
from exchange.journal.verification import Replayed, rehearse, verify

DAY = random_day(seed=9, steps=120)
JOURNAL = record(bytes([9]) * 32, DAY, rows_of=4, snapshots_after=(10, 20, 30))
NEWEST = JOURNAL.snapshots[0]["seq"]


@pytest.fixture
def journal() -> RecordedJournal:
    return JOURNAL.copy()


async def verified(journal: RecordedJournal) -> Replayed:
    return await verify(journal.connection, lambda seq, head_seq: None)


def newest_state(journal: RecordedJournal) -> State:
    row = journal.snapshots[0]
    return unpack_image(SnapshotEntry.from_record(row), row["image"])


async def test_a_sound_journal_is_executed_whole_and_has_no_problems(journal: RecordedJournal) -> None:
    told: list[tuple[int, int]] = []
    replayed = await verify(journal.connection, lambda seq, head_seq: told.append((seq, head_seq)))
    assert (replayed.commands, replayed.rows, replayed.snapshots) == (len(DAY), len(journal.rows), 3)
    assert replayed.problems == ()
    recovered = await recover(journal.connection, journal.genesis_id, journal.head)
    assert replayed.state_hash == state_hash(recovered.state)
    assert told == [(row["seq_last"], len(DAY)) for row in journal.rows]


async def test_a_rehearsal_goes_the_way_of_a_restart(journal: RecordedJournal) -> None:
    replayed = await rehearse(journal.connection, lambda seq, head_seq: None)
    assert (replayed.commands, replayed.snapshots) == (len(DAY) - NEWEST, 1)
    assert replayed.rows == sum(row["seq_first"] > NEWEST for row in journal.rows)
    assert replayed.state_hash == (await verified(journal)).state_hash
    journal.snapshots.clear()
    replayed = await rehearse(journal.connection, lambda seq, head_seq: None)
    assert (replayed.commands, replayed.snapshots) == (len(DAY), 0)


async def test_a_row_that_was_changed_with_all_hashes_after_it_made_anew_is_found(
    journal: RecordedJournal,
) -> None:
    """Forged by somebody who can write every table: why an order ended, which its commands do not give."""
    from exchange.journal.rows import row_hash

    target = next(row for row in journal.rows if b'"cancelled"' in row["events"])
    target["events"] = target["events"].replace(b'"cancelled"', b'"expired"')
    hash_prev = target["hash_prev"]
    for row in journal.rows[journal.rows.index(target) :]:
        row["hash_prev"] = hash_prev
        content = {name: value for name, value in row.items() if not name.startswith("hash")}
        hash_prev = row["hash"] = row_hash(hash_prev, **content)
    journal.writer["head_hash"] = hash_prev
    with pytest.raises(JournalCorrupt, match="executing its command gives other events") as caught:
        await verified(journal)
    assert target["seq_first"] <= caught.value.seq <= target["seq_last"]


async def test_a_forged_snapshot_whose_hashes_all_fit_is_found_by_its_state_hash(
    journal: RecordedJournal,
) -> None:
    """The one forgery that a restart believes: it takes an execution from the first row to see through it."""
    forged = newest_state(journal)
    forged.accounts[1_000].balances[3].available_atoms += 1
    forged.accounts[1_001].balances[3].available_atoms -= 1
    journal.snapshots[0] = snapshot(forged, journal.snapshots[0]["journal_hash"])
    (problem,) = (await verified(journal)).problems
    assert isinstance(problem, SnapshotDiffers)
    assert problem.seq == NEWEST


async def test_all_problems_of_snapshots_are_gathered(journal: RecordedJournal) -> None:
    journal.snapshots[0]["image"] = journal.snapshots[0]["image"][:-1]
    journal.snapshots[1]["hash"] = bytes(32)
    other = record(bytes([1]) * 32, DAY, rows_of=4, snapshots_after=(10,)).snapshots[0]
    journal.snapshots[2] = other
    replayed = await verified(journal)
    found = {(type(problem), problem.seq) for problem in replayed.problems}  # type: ignore[attr-defined]
    assert found == {
        (SnapshotDamaged, NEWEST),
        (SnapshotDamaged, JOURNAL.snapshots[1]["seq"]),
        (JournalCorrupt, JOURNAL.snapshots[2]["seq"]),
    }
    assert len(replayed.problems) == 3


async def test_a_snapshot_where_no_row_ends_is_a_problem(journal: RecordedJournal) -> None:
    row = next(row for row in journal.rows if row["seq_last"] > row["seq_first"])
    state = State(seq=row["seq_first"])
    journal.snapshots.append(snapshot(state, row["hash"]))
    (problem,) = (await verified(journal)).problems
    assert "no row ends here" in str(problem)


async def test_a_snapshot_that_is_forgotten_meanwhile_is_no_problem(journal: RecordedJournal) -> None:
    connection = journal.connection
    replayed = await verify(connection, lambda seq, head_seq: journal.snapshots.clear())
    assert (replayed.problems, replayed.snapshots) == ((), 3)


async def test_a_snapshot_ahead_of_the_journal_means_that_rows_are_lost(journal: RecordedJournal) -> None:
    last = journal.rows[15]
    del journal.rows[16:]
    journal.writer |= {"head_seq": last["seq_last"], "head_hash": last["hash"]}
    with pytest.raises(HeadLost, match="a snapshot stands at"):
        await verified(journal)


async def test_rows_that_are_committed_meanwhile_are_left_for_the_next_time(journal: RecordedJournal) -> None:
    cut = journal.rows[-1]["seq_first"] - 1
    withheld = journal.rows.pop()
    final = dict(journal.writer)
    journal.writer |= {"head_seq": cut, "head_hash": withheld["hash_prev"]}

    def commit_another(seq: int, head_seq: int) -> None:
        if withheld not in journal.rows:
            journal.rows.append(withheld)
            journal.writer |= final

    replayed = await verify(journal.connection, commit_another)
    assert replayed.commands == cut
    assert (await verified(journal)).commands == final["head_seq"]


async def test_a_database_without_an_exchange_is_a_clear_error(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(JournalUnreadable, match="no exchange has ever started"):
            await verify(connection, lambda seq, head_seq: None)


async def test_a_real_journal_is_verified(pool: asyncpg.Pool) -> None:
    await JOURNAL.store(pool)
    async with pool.acquire() as connection:
        replayed = await verify(connection, lambda seq, head_seq: None)
    assert (replayed.commands, replayed.snapshots, replayed.problems) == (len(DAY), 3, ())
