import asyncio

import asyncpg
import pytest
from tests.core.venue import START_NS
from tests.journal.scribe import LIST_APPLE, Scribe, deposit, open_account, recover, write_a_day

from exchange.core.image import encode_state
from exchange.core.units import MAX_ATOMS
from exchange.journal.log import JournalLog, ensure_genesis
from exchange.journal.rows import decode_row, encode_payload, row_hash


async def test_a_new_journal_has_a_random_genesis_and_ends_at_zero(database_url: str) -> None:
    async with await JournalLog.claim(database_url) as log:
        assert (log.head.seq, log.epoch, len(log.head.hash)) == (0, 1, 32)
        assert log.head.hash != bytes(32)
    state, rows = await recover(database_url)
    assert (state.seq, rows) == (0, [])


async def test_the_genesis_is_drawn_once_also_by_processes_that_start_together(database_url: str) -> None:
    connections = [await asyncpg.connect(database_url) for _ in range(4)]
    drawn = await asyncio.gather(*(ensure_genesis(connection) for connection in connections))
    assert len(set(drawn)) == 1
    assert await ensure_genesis(connections[0]) == drawn[0]
    for connection in connections:
        await connection.close()


async def test_what_was_appended_is_replayed_row_by_row(scribe: Scribe, database_url: str) -> None:
    await write_a_day(scribe)
    state, rows = await recover(database_url)
    assert encode_state(state) == encode_state(scribe.state)
    assert [(tuple(row.commands), row.events) for row in rows] == scribe.rows
    assert [(row.seq_first, row.seq_last) for row in rows] == [
        (1, 1),
        (2, 3),
        (4, 5),
        (6, 7),
        (8, 9),
        (10, 11),
    ]
    assert rows[0].hash_prev == await genesis(database_url)
    assert [row.hash_prev for row in rows[1:]] == [row.hash for row in rows[:-1]]
    assert [row.time_ns for row in rows] == [START_NS + number for number in range(6)]


async def genesis(url: str) -> bytes:
    connection = await asyncpg.connect(url)
    try:
        stored: bytes = await connection.fetchval("SELECT genesis_id FROM genesis")
        return stored
    finally:
        await connection.close()


async def test_the_head_is_that_of_the_last_row(scribe: Scribe, database_url: str) -> None:
    await write_a_day(scribe)
    _, rows = await recover(database_url)
    assert (scribe.log.head.seq, scribe.log.head.hash) == (rows[-1].seq_last, rows[-1].hash)


async def test_amounts_of_128_bits_survive_the_journal(scribe: Scribe, database_url: str) -> None:
    await scribe.write(LIST_APPLE, deposit("alice", 1, MAX_ATOMS))
    state, rows = await recover(database_url)
    assert rows[0].commands[1] == deposit("alice", 1, MAX_ATOMS)
    assert state.accounts[1_000].balances[1].available_atoms == MAX_ATOMS


async def test_refusals_are_in_the_journal_too(scribe: Scribe, database_url: str) -> None:
    await scribe.write(deposit("alice", 9, 1))
    state, rows = await recover(database_url)
    assert state.seq == 1
    assert encode_payload(rows[0].events) == b'[[["Rejected","deposit_out_of_order"]]]'


async def test_a_journal_longer_than_one_read_is_replayed_whole(
    scribe: Scribe, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_a_day(scribe, rows=9)
    for rows_per_read in (1, 2, 3, 4, 9, 10):
        monkeypatch.setattr("exchange.journal.recovery.ROWS_PER_READ", rows_per_read)
        state, rows = await recover(database_url)
        assert (state.seq, len(rows)) == (17, 9)


async def test_a_second_writer_continues_where_the_first_ended(database_url: str) -> None:
    first = await Scribe.start(database_url)
    await first.write(LIST_APPLE)
    await first.log.close()
    second = Scribe(await JournalLog.claim(database_url), first.state)
    assert second.log.epoch == first.log.epoch + 1
    await second.write(open_account("alice"))
    await second.log.close()
    _, rows = await recover(database_url)
    assert [row.epoch for row in rows] == [first.log.epoch, second.log.epoch]


async def test_a_large_batch_is_one_row(scribe: Scribe, database_url: str) -> None:
    await scribe.write(*(open_account(f"p{number}") for number in range(5_000)))
    state, rows = await recover(database_url)
    assert (len(rows), state.seq, len(state.account_by_owner)) == (1, 5_000, 5_000)


async def test_a_row_is_decoded_from_any_record(scribe: Scribe, pool: asyncpg.Pool) -> None:
    await scribe.write(LIST_APPLE)
    record = await pool.fetchrow("SELECT * FROM journal")
    assert decode_row(record).commands == [LIST_APPLE]


@pytest.mark.parametrize("place", range(8))
def test_every_column_enters_the_hash(place: int) -> None:
    row: list[object] = [bytes(32), 1, 1, 1, 1, 1, b"[]", b"[]"]
    original = row_hash(*row)  # type: ignore[arg-type]
    row[place] = row[place] + (b"x" if isinstance(row[place], bytes) else 1)  # type: ignore[operator]
    assert row_hash(*row) != original  # type: ignore[arg-type]


def test_bytes_can_not_move_between_commands_and_events_unnoticed() -> None:
    assert row_hash(bytes(32), 1, 1, 1, 1, 1, b"ab", b"c") != row_hash(bytes(32), 1, 1, 1, 1, 1, b"a", b"bc")
