import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg
import pytest
from tests.journal.scribe import LIST_APPLE, Scribe, open_account, recover

from exchange.core.state import State
from exchange.journal import recovery
from exchange.journal.errors import Fenced
from exchange.journal.log import Head, JournalLog
from exchange.journal.recovery import replay
from exchange.journal.snapshot_process import make_snapshot


async def row_count(pool: asyncpg.Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM journal")
    return count


async def test_an_older_writer_appends_nothing_once_a_newer_one_has_claimed(
    scribe: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    await scribe.write(LIST_APPLE)
    newer = await JournalLog.claim(database_url)
    with pytest.raises(Fenced) as caught:
        await scribe.write(open_account("alice"))
    assert (caught.value.epoch, caught.value.seq_first) == (1, 2)
    assert await row_count(pool) == 1
    assert newer.head == scribe.log.head
    await newer.close()


async def test_an_older_writer_stays_fenced_whatever_it_tries(
    scribe: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    newer = Scribe(await JournalLog.claim(database_url), scribe.state)
    await newer.write(LIST_APPLE)
    older = scribe.log
    for head in (older.head, newer.log.head, Head(0, newer.log.head.hash)):
        older.head = head
        with pytest.raises(Fenced):
            await older.append(head.seq + 1, 1, 1, b"[]", b"[]")
    assert await row_count(pool) == 1
    await newer.write(open_account("alice"))
    await newer.log.close()
    assert (await recover(database_url))[0].seq == 2


@pytest.mark.parametrize("wrong", ["seq", "hash"])
async def test_a_writer_that_lost_its_place_appends_nothing(
    scribe: Scribe, pool: asyncpg.Pool, wrong: str
) -> None:
    await scribe.write(LIST_APPLE)
    head = scribe.log.head
    scribe.log.head = Head(head.seq + 1, head.hash) if wrong == "seq" else Head(head.seq, bytes(32))
    with pytest.raises(Fenced):
        await scribe.log.append(scribe.log.head.seq + 1, 1, 1, b"[]", b"[]")
    assert await row_count(pool) == 1


async def test_a_claim_waits_for_an_append_under_way_and_sees_it(scribe: Scribe, database_url: str) -> None:
    """The claim can not slip between an append's check and its commit."""
    holder = await asyncpg.connect(database_url)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute(
        "UPDATE writer SET head_seq = 0"
    )  # the row lock of an append that is not committed yet
    claim = asyncio.create_task(JournalLog.claim(database_url))
    await blocked_on_a_lock(scribe, database_url)
    assert not claim.done()
    await transaction.rollback()
    newer = await claim
    assert newer.epoch == 2
    await newer.close()
    await holder.close()


async def test_an_append_that_waited_for_a_claim_is_fenced(
    scribe: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    holder = await asyncpg.connect(database_url)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("UPDATE writer SET epoch = epoch + 1")
    append = asyncio.create_task(scribe.write(LIST_APPLE))
    await blocked_on_a_lock(scribe, database_url)
    await transaction.commit()
    with pytest.raises(Fenced):
        await append
    assert await row_count(pool) == 0
    await holder.close()


async def blocked_on_a_lock(scribe: Scribe, database_url: str) -> None:
    """Waits until some statement of this database waits for a lock."""
    observer = await asyncpg.connect(database_url)
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10):
        while not await observer.fetchval(waiting):  # noqa: ASYNC110 - the condition is the server's
            await asyncio.sleep(0.005)
    await observer.close()


async def test_of_many_claims_and_appends_at_once_the_chain_stays_whole(database_url: str) -> None:
    """Writers take the journal from each other; every append either counts or is fenced."""
    appended: list[int] = []

    async def writer(number: int) -> None:
        for _ in range(4):
            async with await JournalLog.claim(database_url) as log:
                scribe = Scribe(log, await read_up_to(database_url))
                try:
                    for turn in range(3):
                        await scribe.write(open_account(f"w{number}-{turn}"))
                        appended.append(scribe.state.seq)
                except Fenced:
                    continue

    await asyncio.gather(*(writer(number) for number in range(4)))
    state, rows = await recover(database_url)
    assert sorted(appended) == [row.seq_last for row in rows] == list(range(1, state.seq + 1))
    assert [row.epoch for row in rows] == sorted(row.epoch for row in rows)


async def read_up_to(url: str) -> State:
    """The state as of one moment, whoever writes meanwhile."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            genesis_id = await connection.fetchval("SELECT genesis_id FROM genesis")
            head = await connection.fetchrow("SELECT head_seq, head_hash FROM writer")
            return await replay(connection, genesis_id, Head(head["head_seq"], head["head_hash"]))
    finally:
        await connection.close()


async def test_a_writer_that_is_overtaken_while_it_replays_is_fenced_and_cries_no_corruption(
    scribe: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    """Two engines start at once: the first reads rows that the second has appended after its own claim."""
    await scribe.write(LIST_APPLE)
    overtaken = await JournalLog.claim(database_url)
    newest = Scribe(await JournalLog.claim(database_url), scribe.state)
    await newest.write(open_account("alice"))
    async with pool.acquire() as connection:
        genesis_id = await connection.fetchval("SELECT genesis_id FROM genesis")
        with pytest.raises(Fenced):
            await replay(connection, genesis_id, overtaken.head)
    await overtaken.close()
    await newest.log.close()


async def test_a_writer_that_is_overtaken_by_a_snapshot_too_is_fenced_and_cries_no_loss(
    scribe: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    await scribe.write(LIST_APPLE)
    overtaken = await JournalLog.claim(database_url)
    newest = Scribe(await JournalLog.claim(database_url), scribe.state)
    await newest.write(open_account("alice"))
    async with pool.acquire() as connection:
        await make_snapshot(connection, kept=1)
        genesis_id = await connection.fetchval("SELECT genesis_id FROM genesis")
        with pytest.raises(Fenced):
            await recovery.recover(connection, genesis_id, overtaken.head)
        chain = await recovery.restore(connection, genesis_id, overtaken.head, may_grow=True)
        assert chain.head.seq == 0, "beside a running engine it is only too new"
    await overtaken.close()
    await newest.log.close()


# ---- two processes

ROOT = Path(__file__).parents[2]


async def engine(url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.journal.engine_process", url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


async def acknowledged(process: asyncio.subprocess.Process, count: int) -> list[int]:
    assert process.stdout is not None
    return [int(await process.stdout.readline()) for _ in range(count)]


async def test_of_two_engines_on_one_journal_the_older_ends_with_a_clear_message_and_loses_nothing(
    database_url: str, pool: asyncpg.Pool
) -> None:
    async with asyncio.timeout(100):
        older = await engine(database_url)
        promised = await acknowledged(older, 20)
        newer = await engine(database_url)
        later = await acknowledged(newer, 20)
        output, errors = await older.communicate()
        promised += [int(line) for line in output.split()]
        assert older.returncode == 1
        message = errors.decode().strip()
        assert message.startswith("error: a newer engine writes this journal: epoch 1 may not append seq ")
        assert len(message.splitlines()) == 1
        later += await acknowledged(newer, 20)
        newer.send_signal(signal.SIGTERM)
        output, errors = await newer.communicate()
        later += [int(line) for line in output.split()]
        assert (newer.returncode, errors) == (0, b"")
    assert promised == list(range(1, promised[-1] + 1))
    rows = await pool.fetch("SELECT epoch, seq_first, seq_last FROM journal ORDER BY seq_first")
    assert [row["epoch"] for row in rows] == sorted(row["epoch"] for row in rows)
    of_older = {
        seq for row in rows if row["epoch"] == 1 for seq in range(row["seq_first"], row["seq_last"] + 1)
    }
    assert of_older >= set(promised), "what was acknowledged is in the journal"
    assert min(later) > max(of_older), "and nothing of the older comes after its fence"
    assert (await recover(database_url))[0].seq >= later[-1]
