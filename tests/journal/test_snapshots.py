"""Snapshots in a real database: made from the one before, used by a start, passed over when damaged."""

import asyncio
from typing import Any

import asyncpg
import pytest
from structlog.testing import LogCapture
from tests.core.random_commands import RandomCommands
from tests.journal.recorded import record, snapshot
from tests.journal.stored_day import DAY, GENESIS, JOURNAL, SEQS, STATE, seqs, start_seq

from exchange.core.image import IMAGE_TAG, encode_state, state_hash
from exchange.core.state import State
from exchange.journal.chain import Chain
from exchange.journal.errors import HeadLost, JournalCorrupt, JournalUnreadable
from exchange.journal.log import Head, JournalLog
from exchange.journal.recovery import recover, restore
from exchange.journal.rows import encode_payload
from exchange.journal.snapshot_process import NothingNew, SnapshotMade, make_snapshot
from exchange.journal.snapshot_rows import SnapshotEntry, unpack_image
from exchange.sequencer.committed import CommittedView

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
        future.setattr(
            "exchange.journal.snapshot_rows.encode_state",
            lambda state: encode_state(state).replace(IMAGE_TAG, b"exchange state 9\n", 1),
        )
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
    remade = snapshot(state, row["journal_hash"])
    rules_version = state.rules_version if named_too else row["rules_version"]
    entry = SnapshotEntry(row["seq"], row["journal_hash"], remade["state_hash"], rules_version)
    row |= {**remade, "seq": row["seq"], "rules_version": rules_version, "hash": entry.hash}
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


async def test_a_snapshot_that_would_not_come_back_is_not_written(
    stored: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.journal.snapshot_process.unpack_image", lambda entry, packed: State())
    with pytest.raises(AssertionError):
        await make(stored)
    assert await seqs(stored) == SEQS
