"""2,000 damaged journals: the damage is found, or got over with the very same state; it is never believed.

What a start does not look at (rows before the snapshot it uses) must not change what it finds, and must be
found by the full verification.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import asyncpg
import pytest
import structlog
from tests.journal.recorded import RecordedJournal, Row, random_day, record

from exchange.core.image import state_hash
from exchange.journal.errors import JournalError
from exchange.journal.recovery import recover
from exchange.journal.verification import verify

CASES = 2_000
GROUPS = 20


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Any:
    with structlog.testing.capture_logs():
        yield


def make(seed: int, genesis: int) -> RecordedJournal:
    return record(bytes([genesis]) * 32, random_day(seed, 60), rows_of=4, snapshots_after=(8, 16, 20))


JOURNALS = [make(seed, seed) for seed in range(1, 5)]
HASHES = [state_hash(asyncio.run(recover(j.connection, j.genesis_id, j.head)).state) for j in JOURNALS]


# ---- the ways


def changed(value: Any, random: Random) -> Any:
    """Another value of the same type: bytes with a flipped bit, cut off or grown; a number beside it."""
    if isinstance(value, int):
        return value + random.choice([-1, 1, -value - 1, 2**40, random.randrange(1, 100)])
    match random.randrange(6):
        case 0:
            return value[: random.randrange(len(value))]
        case 1:
            return value + bytes([random.randrange(256)])
        case 2:
            return b""
        case 3:
            return bytes(len(value))
        case _:
            flipped = bytearray(value)
            flipped[random.randrange(len(value))] ^= 1 << random.randrange(8)
            return bytes(flipped)


def damage_a_cell(rows: list[Row], random: Random) -> None:
    row = random.choice(rows)
    name = random.choice(list(row))
    row[name] = changed(row[name], random)


def flip_in_a_row(journal: RecordedJournal, random: Random) -> None:
    damage_a_cell(journal.rows, random)


def flip_in_the_tail(journal: RecordedJournal, random: Random) -> None:
    damage_a_cell(journal.rows[19:], random)


def flip_in_a_snapshot(journal: RecordedJournal, random: Random) -> None:
    damage_a_cell(journal.snapshots, random)


def flip_in_every_snapshot(journal: RecordedJournal, random: Random) -> None:
    for snapshot in journal.snapshots:
        damage_a_cell([snapshot], random)


def flip_in_the_writer(journal: RecordedJournal, random: Random) -> None:
    name = random.choice(["head_seq", "head_hash"])
    journal.writer[name] = changed(journal.writer[name], random)


def delete_rows(journal: RecordedJournal, random: Random) -> None:
    start = random.randrange(len(journal.rows))
    del journal.rows[start : start + random.randrange(1, 5)]


def cut_off_the_end(journal: RecordedJournal, random: Random) -> None:
    del journal.rows[random.randrange(len(journal.rows)) :]


def cut_off_the_end_and_the_writer_agrees(journal: RecordedJournal, random: Random) -> None:
    """A failover to a replica that lagged: only the snapshot remembers."""
    del journal.rows[random.randrange(1, 20) :]
    last = journal.rows[-1]
    journal.writer |= {"head_seq": last["seq_last"], "head_hash": last["hash"]}


def swap_rows(journal: RecordedJournal, random: Random) -> None:
    """Contents, hashes or everything but the place change hands."""
    one, two = random.sample(journal.rows, 2)
    names = random.choice([["commands", "events"], ["events"], ["hash"], ["time_ns"], list(one)[2:]])
    if all(one[name] == two[name] for name in names):
        one["events"] = changed(one["events"], random)
    for name in names:
        one[name], two[name] = two[name], one[name]


def duplicate_a_row(journal: RecordedJournal, random: Random) -> None:
    """The database's keys forbid it in place; so at another place, its seq numbers moved along or not."""
    row = dict(random.choice(journal.rows))
    by = random.choice([1, journal.writer["head_seq"], 1_000])
    row["seq_last"] += by
    if random.random() < 0.5:
        row["seq_first"] += by
    journal.rows.append(row)


def delete_snapshots(journal: RecordedJournal, random: Random) -> None:
    for _ in range(random.randrange(1, len(journal.snapshots) + 1)):
        del journal.snapshots[random.randrange(len(journal.snapshots))]


def swap_snapshots(journal: RecordedJournal, random: Random) -> None:
    one, two = random.sample(journal.snapshots, 2)
    for name in random.choice([["image"], ["image", "state_hash"], ["journal_hash"], list(one)[1:]]):
        one[name], two[name] = two[name], one[name]


def duplicate_a_snapshot(journal: RecordedJournal, random: Random) -> None:
    copy = dict(random.choice(journal.snapshots))
    copy["seq"] = random.choice([row["seq_last"] for row in journal.rows] + [10**6])
    if copy["seq"] not in {snapshot["seq"] for snapshot in journal.snapshots}:
        journal.snapshots.append(copy)
    else:
        journal.snapshots[0]["hash"] = changed(journal.snapshots[0]["hash"], random)


def other_journal(journal: RecordedJournal, random: Random) -> RecordedJournal:
    return random.choice([other for other in JOURNALS if other.genesis_id != journal.genesis_id]).copy()


def rows_of_another_journal(journal: RecordedJournal, random: Random) -> None:
    other = other_journal(journal, random)
    start = random.randrange(len(journal.rows))
    count = random.choice([1, 3, 1_000])
    journal.rows[start : start + count] = other.rows[start : start + count]


def a_snapshot_of_another_journal(journal: RecordedJournal, random: Random) -> None:
    other = other_journal(journal, random)
    mine, theirs = random.choice(journal.snapshots), random.choice(other.snapshots)
    match random.randrange(4):
        case 0:
            journal.snapshots[journal.snapshots.index(mine)] = theirs
        case 1:
            mine |= {"image": theirs["image"], "state_hash": theirs["state_hash"]}
        case 2:
            mine |= {name: theirs[name] for name in theirs if name != "seq"}
        case _:
            mine["image"] = theirs["image"]


def another_genesis(journal: RecordedJournal, random: Random) -> None:
    """Without snapshots the chain begins elsewhere; with them only the full verification goes that far."""
    journal.genesis_id = changed(journal.genesis_id, random)
    if random.random() < 0.5:
        journal.snapshots.clear()


Damage = Callable[[RecordedJournal, Random], None]
WAYS: list[Damage] = [
    flip_in_a_row,
    flip_in_the_tail,
    flip_in_a_snapshot,
    flip_in_every_snapshot,
    flip_in_the_writer,
    delete_rows,
    cut_off_the_end,
    cut_off_the_end_and_the_writer_agrees,
    swap_rows,
    duplicate_a_row,
    delete_snapshots,
    swap_snapshots,
    duplicate_a_snapshot,
    rows_of_another_journal,
    a_snapshot_of_another_journal,
    another_genesis,
]


# ---- the cases


async def start(journal: RecordedJournal, connection: Any = None) -> bytes | None:
    """The state hash with which an engine would start, None when it would refuse to."""
    connection = connection or journal.connection
    try:
        return state_hash((await recover(connection, journal.genesis_id, journal.head)).state)
    except JournalError:
        return None


async def passes_verification(journal: RecordedJournal, connection: Any = None) -> bool:
    try:
        replayed = await verify(connection or journal.connection, lambda seq, head_seq: None)
    except JournalError:
        return False
    return not replayed.problems


@pytest.mark.parametrize("group", range(GROUPS))
async def test_damage_is_found_or_got_over_and_never_believed(group: int) -> None:
    outcomes: Counter[tuple[str, str]] = Counter()
    for case in range(group * CASES // GROUPS, (group + 1) * CASES // GROUPS):
        random = Random(case)
        way = WAYS[case % len(WAYS)]
        number = random.randrange(len(JOURNALS))
        journal = JOURNALS[number].copy()
        way(journal, random)
        about = f"case {case}, {way.__name__}"
        found = await start(journal)
        assert found in (None, HASHES[number]), f"{about}: started with another state"
        if way is not delete_snapshots:
            assert not await passes_verification(journal), f"{about}: not found by the verification"
        outcomes[way.__name__, "refused" if found is None else "got over"] += 1
    assert outcomes["delete_snapshots", "refused"] == 0
    assert outcomes["flip_in_the_tail", "got over"] == 0
    for way in (flip_in_the_writer, cut_off_the_end, cut_off_the_end_and_the_writer_agrees):
        assert outcomes[way.__name__, "got over"] == 0


IN_POSTGRES = 64


@pytest.mark.parametrize("group", range(2))
async def test_damage_in_a_real_database_is_found_or_got_over_and_never_believed(
    group: int, pool: asyncpg.Pool
) -> None:
    outcomes: Counter[str] = Counter()
    for case in range(group * IN_POSTGRES // 2, (group + 1) * IN_POSTGRES // 2):
        random = Random(f"postgres {case}")
        way = WAYS[case % len(WAYS)]
        number = random.randrange(len(JOURNALS))
        journal = JOURNALS[number].copy()
        way(journal, random)
        try:
            await journal.store(pool)
        except (asyncpg.PostgresError, asyncpg.DataError):
            outcomes["can not even be stored"] += 1
            continue
        async with pool.acquire() as connection:
            found = await start(journal, connection)
            assert found in (None, HASHES[number]), f"case {case}, {way.__name__}: started with another state"
            if way is not delete_snapshots:
                assert not await passes_verification(journal, connection), f"case {case}, {way.__name__}"
        outcomes["refused" if found is None else "got over"] += 1
    assert min(outcomes["refused"], outcomes["got over"]) > 3


async def test_a_sound_journal_in_a_real_database_starts_and_passes(pool: asyncpg.Pool) -> None:
    await JOURNALS[0].store(pool)
    async with pool.acquire() as connection:
        assert await start(JOURNALS[0], connection) == HASHES[0]
        assert await passes_verification(JOURNALS[0], connection)


async def test_the_journals_themselves_are_sound() -> None:
    for journal, expected in zip(JOURNALS, HASHES, strict=True):
        assert await start(journal) == expected
        assert await passes_verification(journal)
        assert len(journal.snapshots) == 3
        journal.snapshots.clear()
        assert await start(journal.copy()) == expected
