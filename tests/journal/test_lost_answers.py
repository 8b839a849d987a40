"""When the database does not answer, the outcome is unknown, and only recovery tells it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from tests.core.venue import START_NS
from tests.journal.scribe import LIST_APPLE, Scribe, open_account, recover

from exchange.core.state import State
from exchange.journal.errors import AppendUnknown, Fenced
from exchange.journal.log import JournalLog
from exchange.journal.recovery import replay
from exchange.journal.rows import encode_payload


async def process_id(log: JournalLog) -> int:
    pid: int = await log._connection.fetchval("SELECT pg_backend_pid()")
    return pid


@asynccontextmanager
async def locked_writer(pool: asyncpg.Pool) -> AsyncIterator[None]:
    """Holds the writer row's lock, so that an append stands still in the middle."""
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("SELECT epoch FROM writer FOR UPDATE")
        yield


async def waiting_for_a_lock(pool: asyncpg.Pool, pid: int) -> None:
    async with asyncio.timeout(10):
        event = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = $1"
        while await pool.fetchval(event, pid) != "Lock":  # noqa: ASYNC110 - the condition is the server's
            await asyncio.sleep(0.005)


async def test_a_backend_killed_in_the_middle_of_an_append_leaves_nothing(
    scribe: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    await scribe.write(LIST_APPLE)
    pid = await process_id(scribe.log)
    async with locked_writer(pool):
        append = asyncio.create_task(scribe.write(open_account("alice")))
        await waiting_for_a_lock(pool, pid)
        await pool.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(AppendUnknown) as caught:
            await append
    assert (caught.value.seq_first, caught.value.seq_last) == (2, 2)
    state, rows = await recover(database_url)
    assert (state.seq, len(rows)) == (1, 1)


async def test_a_backend_killed_between_appends_is_unknown_and_recovery_finds_the_earlier_ones(
    scribe: Scribe, database_url: str, pool: asyncpg.Pool
) -> None:
    await scribe.write(LIST_APPLE)
    await pool.execute("SELECT pg_terminate_backend($1)", await process_id(scribe.log))
    with pytest.raises(AppendUnknown):
        await scribe.write(open_account("alice"))
    assert (await recover(database_url))[0].seq == 1


async def test_an_append_that_takes_too_long_is_unknown_and_recovery_decides_it_for_good(
    database_url: str, pool: asyncpg.Pool
) -> None:
    """The server may still finish what nobody waits for; once another writer has claimed, it can not."""
    scribe = Scribe(await JournalLog.claim(database_url), State())
    scribe.log._timeout_s = 0.3  # only now: a busy machine may need longer to connect
    async with locked_writer(pool):
        with pytest.raises(AppendUnknown):
            await scribe.write(LIST_APPLE)
        scribe.log._connection.terminate()
    found = (await recover(database_url))[0].seq
    assert found in (0, 1)
    async with asyncio.timeout(10):
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while await pool.fetchval(waiting):  # noqa: ASYNC110 - the condition is the server's
            await asyncio.sleep(0.005)
    assert (await recover(database_url))[0].seq == found


async def test_a_server_that_hung_up_between_appends_is_always_an_unknown_outcome(
    database_url: str, pool: asyncpg.Pool
) -> None:
    """Whatever the driver makes of it: the connection is found dead at different points of an append."""
    for turns in range(12):
        log = await JournalLog.claim(database_url)
        scribe = Scribe(log, (await recover_state(database_url, log)))
        await scribe.write(open_account(f"p{turns}"))
        await pool.execute("SELECT pg_terminate_backend($1)", await process_id(log))
        for _ in range(turns):
            await asyncio.sleep(0)
        with pytest.raises(AppendUnknown):
            await scribe.write(open_account(f"q{turns}"))
        log._connection.terminate()
    assert len((await recover(database_url))[0].account_by_owner) == 12


async def recover_state(url: str, log: JournalLog) -> State:
    connection = await asyncpg.connect(url)
    try:
        return await replay(connection, await connection.fetchval("SELECT genesis_id FROM genesis"), log.head)
    finally:
        await connection.close()


async def test_an_append_that_was_committed_though_its_answer_was_lost_is_found_by_recovery(
    scribe: Scribe, database_url: str
) -> None:
    """The commit happens, the answer does not arrive: unknown to the writer, true in the journal."""
    await scribe.write(LIST_APPLE)
    append = scribe.log._append
    assert append is not None

    class AnswerLost:
        async def fetch(self, *arguments: object) -> None:
            await append.fetch(*arguments)
            raise ConnectionResetError

    scribe.log._append = AnswerLost()  # type: ignore[assignment]
    with pytest.raises(AppendUnknown):
        await scribe.write(open_account("alice"))
    assert scribe.log.head.seq == 1, "the writer does not pretend to know"
    state, rows = await recover(database_url)
    assert (state.seq, len(rows)) == (2, 2)


async def test_trying_again_after_an_unknown_outcome_is_never_applied_twice(
    scribe: Scribe, database_url: str
) -> None:
    await scribe.write(LIST_APPLE)
    before = scribe.log.head
    await scribe.write(open_account("alice"))
    commands, events = scribe.rows[-1]
    scribe.log.head = before  # as it stands when the answer was lost
    with pytest.raises(Fenced):
        await scribe.log.append(
            2, START_NS, scribe.state.rules_version, encode_payload(list(commands)), encode_payload(events)
        )
    assert (await recover(database_url))[0].seq == 2
