"""A journal that was edited is refused, with an error that says where."""

import asyncpg
import pytest
from tests.core.venue import START_NS
from tests.journal.scribe import Scribe, recover, write_a_day

from exchange.core.terms import RULES_VERSION
from exchange.journal.chain import Chain
from exchange.journal.errors import HeadLost, JournalCorrupt, JournalError
from exchange.journal.rows import row_hash


@pytest.fixture
async def day(scribe: Scribe) -> Scribe:
    """Rows with seq 1, 2..3, 4..5, 6..7, 8..9, 10..11."""
    await write_a_day(scribe)
    return scribe


async def corrupt_at(url: str) -> JournalCorrupt:
    with pytest.raises(JournalCorrupt) as caught:
        await recover(url)
    return caught.value


EDITS = {
    "commands": "UPDATE journal SET commands = set_byte(commands, length(commands) - 4, 57)",
    "commands to nothing": "UPDATE journal SET commands = ''",
    "events": "UPDATE journal SET events = set_byte(events, length(events) - 4, 57)",
    "events that lack a comma": "UPDATE journal SET events = substring(events FROM 2)",
    "time": "UPDATE journal SET time_ns = time_ns + 1",
    "time before 1970": "UPDATE journal SET time_ns = -1",
    "epoch": "UPDATE journal SET epoch = epoch + 1",
    "negative epoch": "UPDATE journal SET epoch = -1",
    "rules version": "UPDATE journal SET rules_version = rules_version + 1",
    "negative rules version": "UPDATE journal SET rules_version = -1",
    "hash": "UPDATE journal SET hash = sha256(hash)",
    "hash of the row before": "UPDATE journal SET hash_prev = sha256(hash_prev)",
    "last seq": "UPDATE journal SET seq_last = 1000",
}  # fmt: skip


@pytest.mark.parametrize("seq_first", [2, 6, 10])
@pytest.mark.parametrize("column", EDITS)
async def test_an_edited_row_is_found(
    day: Scribe, database_url: str, pool: asyncpg.Pool, column: str, seq_first: int
) -> None:
    assert await pool.execute(f"{EDITS[column]} WHERE seq_first = $1", seq_first) == "UPDATE 1"
    assert (await corrupt_at(database_url)).seq == seq_first


@pytest.mark.parametrize("seq_first", [1, 2, 8])
async def test_a_deleted_row_is_found(
    day: Scribe, database_url: str, pool: asyncpg.Pool, seq_first: int
) -> None:
    await pool.execute("DELETE FROM journal WHERE seq_first = $1", seq_first)
    found = await corrupt_at(database_url)
    assert found.seq == seq_first
    assert "missing" in found.what


@pytest.mark.parametrize(("from_seq", "ends_at"), [(10, 9), (6, 5), (1, 0)])
async def test_deleted_last_rows_are_found_by_the_writers_head(
    day: Scribe, database_url: str, pool: asyncpg.Pool, from_seq: int, ends_at: int
) -> None:
    await pool.execute("DELETE FROM journal WHERE seq_first >= $1", from_seq)
    with pytest.raises(HeadLost) as caught:
        await recover(database_url)
    assert (caught.value.seq, caught.value.head_seq) == (11, ends_at)


async def test_two_rows_that_changed_places_are_found(
    day: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    for seq_first, seq_last, was in ((102, 103, 2), (104, 105, 4)):
        await pool.execute(
            "UPDATE journal SET seq_first = $1, seq_last = $2 WHERE seq_first = $3", seq_first, seq_last, was
        )
    await pool.execute("UPDATE journal SET seq_first = 4, seq_last = 5 WHERE seq_first = 102")
    await pool.execute("UPDATE journal SET seq_first = 2, seq_last = 3 WHERE seq_first = 104")
    assert (await corrupt_at(database_url)).seq == 2


async def test_contents_that_changed_places_are_found(
    day: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    await pool.execute(
        "UPDATE journal a SET commands = b.commands, events = b.events FROM journal b"
        " WHERE (a.seq_first, b.seq_first) IN ((4, 6), (6, 4))"
    )
    assert (await corrupt_at(database_url)).seq == 4


async def insert(pool: asyncpg.Pool, row: tuple[object, ...]) -> None:
    await pool.execute("INSERT INTO journal VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", *row)


async def test_a_foreign_row_at_the_end_is_found(day: Scribe, database_url: str, pool: asyncpg.Pool) -> None:
    await insert(pool, (12, 12, 1, START_NS, 1, b"[]", b"[]", bytes(32), bytes(32)))
    assert (await corrupt_at(database_url)).seq == 12


async def test_a_well_chained_foreign_row_at_the_end_is_found(
    day: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    head = day.log.head.hash
    content = (
        12,
        12,
        1,
        START_NS + 9,
        1,
        b'[["CancelOrder",1,1]]',
        b'[[["Rejected","unknown_account"]]]',
    )
    digest = row_hash(head, *content)
    await insert(pool, (*content, head, digest))
    assert "elsewhere" in (await corrupt_at(database_url)).what


async def test_a_foreign_row_inside_another_rows_span_is_found(
    day: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    await insert(pool, (3, 1_003, 1, START_NS, 1, b"[]", b"[]", bytes(32), bytes(32)))
    await corrupt_at(database_url)


@pytest.mark.parametrize("rows_per_read", [1, 2, 6])
async def test_a_foreign_row_inside_a_span_is_found_also_where_one_read_ends(
    day: Scribe, database_url: str, pool: asyncpg.Pool, rows_per_read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.journal.recovery.ROWS_PER_READ", rows_per_read)
    for seq_first, seq_last in ((3, 1_003), (11, 1_011)):
        await insert(pool, (seq_first, seq_last, 1, START_NS, 1, b"[]", b"[]", bytes(32), bytes(32)))
        await corrupt_at(database_url)
        await pool.execute("DELETE FROM journal WHERE seq_first = $1", seq_first)


async def test_another_deployments_journal_is_not_ours(
    day: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    await pool.execute("UPDATE genesis SET genesis_id = sha256(genesis_id)")
    assert (await corrupt_at(database_url)).seq == 1


async def test_a_lost_writer_row_is_found(day: Scribe, database_url: str, pool: asyncpg.Pool) -> None:
    await pool.execute("DELETE FROM writer")
    assert (await corrupt_at(database_url)).seq == 11


async def test_a_writers_head_with_another_hash_is_found(
    day: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    await pool.execute("UPDATE writer SET head_hash = sha256(head_hash)")
    assert (await corrupt_at(database_url)).seq == 11


async def rewrite_last(pool: asyncpg.Pool, **changed: object) -> None:
    """Forges the last row as somebody would who knows the hashing and can write every table."""
    record = await pool.fetchrow("SELECT * FROM journal ORDER BY seq_first DESC LIMIT 1")
    row = {**dict(record), **changed}
    content = [
        row[name]
        for name in ("seq_first", "seq_last", "epoch", "time_ns", "rules_version", "commands", "events")
    ]
    digest = row_hash(row["hash_prev"], *content)
    await pool.execute(
        "UPDATE journal SET epoch = $2, time_ns = $3, rules_version = $4, commands = $5, events = $6,"
        " hash = $7 WHERE seq_first = $1",
        row["seq_first"], *content[2:], digest,
    )  # fmt: skip
    await pool.execute("UPDATE writer SET head_hash = $1", digest)


FORGERIES: dict[str, tuple[str, dict[str, object]]] = {
    "events that its commands do not give": (
        "gives other events", {"events": b'[[["AccountKnown",1]],[["AccountKnown",1]]]'},
    ),
    "too few events": ("wrong number", {"events": b"[[]]"}),
    "too many commands": (
        "wrong number", {"commands": b'[["OpenAccount","a"],["OpenAccount","b"],["OpenAccount","c"]]'},
    ),
    "no JSON": ("does not decode", {"commands": b"\x00\x01"}),
    "an unknown command": ("does not decode", {"commands": b'[["Mint",1],["Mint",1]]'}),
    "no UTF-8": ("does not decode", {"commands": b'[["OpenAccount","\xff"],["OpenAccount","a"]]'}),
    "a step back in time": ("time lies before", {"time_ns": START_NS - 1}),
    "an epoch before the row before it": ("epoch lies before", {"epoch": 0}),
    "an epoch that the writer never had": ("never was a writer's", {"epoch": 77}),
    "rules that nobody knows": ("unknown rules version", {"rules_version": RULES_VERSION + 1}),
    "other rules than its commands have switched on": ("it names rules version 2", {"rules_version": 2}),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_and_rehashed_row_is_refused_for(
    day: Scribe, database_url: str, pool: asyncpg.Pool, forgery: str
) -> None:
    what, changes = FORGERIES[forgery]
    await rewrite_last(pool, **changes)
    found = await corrupt_at(database_url)
    assert found.seq in (10, 11)
    assert what in found.what


async def test_a_command_that_the_state_can_not_execute_is_a_corrupt_row_and_no_crash(
    day: Scribe, pool: asyncpg.Pool
) -> None:
    """What only a snapshot of another state could bring about: a sound row after the wrong state."""
    rows = await pool.fetch("SELECT * FROM journal ORDER BY seq_first")
    chain = Chain.from_genesis(rows[0]["hash_prev"])
    chain.take(rows[0])
    del chain.state.accounts[1]
    with pytest.raises(JournalCorrupt, match="can not be executed: KeyError") as caught:
        chain.take(rows[1])
    assert caught.value.seq == 3


async def test_a_sound_journal_is_not_refused(day: Scribe, database_url: str, pool: asyncpg.Pool) -> None:
    await rewrite_last(pool)
    state, _ = await recover(database_url)
    assert state.seq == 11


async def test_a_payload_that_replays_the_same_but_is_written_otherwise_is_still_chained(
    day: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    await pool.execute("UPDATE journal SET commands = commands || ' '::bytea WHERE seq_first = 4")
    assert (await corrupt_at(database_url)).seq == 4


async def test_nothing_is_told_of_a_row_before_it_is_verified(
    day: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    from exchange.journal.log import JournalLog
    from exchange.journal.recovery import replay

    await pool.execute("UPDATE journal SET time_ns = time_ns + 1 WHERE seq_first = 6")
    told: list[int] = []
    log = await JournalLog.claim(database_url)
    async with pool.acquire() as connection:
        genesis_id = await connection.fetchval("SELECT genesis_id FROM genesis")
        with pytest.raises(JournalError):
            await replay(connection, genesis_id, log.head, lambda row: told.append(row.seq_last))
    await log.close()
    assert told == [1, 3, 5]
