import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.journal.scribe import LIST_APPLE, Scribe, open_account, write_a_day

from exchange.journal.log import JournalLog
from exchange.journal.rows import JournalRow
from exchange.journal.tail import Tail

LONG_S = 3_600.0
"""A poll that never comes within a test: what arrives was notified."""


async def taken(rows: AsyncIterator[list[JournalRow]], up_to_seq: int) -> list[int]:
    """seq_last of each row until `up_to_seq`."""
    seen: list[int] = []
    async with asyncio.timeout(10):
        async for batch in rows:
            assert batch, "never an empty list"
            seen += [row.seq_last for row in batch]
            if seen[-1] >= up_to_seq:
                return seen
    raise AssertionError("a follower never ends")


async def test_reading_gives_the_next_rows_in_order_and_nothing_at_the_end(
    scribe: Scribe, pool: asyncpg.Pool
) -> None:
    tail = Tail(pool)
    assert await tail.read(0) == []
    await write_a_day(scribe)
    assert [row.seq_last for row in await tail.read(0)] == [1, 3, 5, 7, 9, 11]
    assert [row.seq_last for row in await tail.read(0, max_rows=2)] == [1, 3]
    assert [row.seq_last for row in await tail.read(7)] == [9, 11]
    assert await tail.read(11) == []
    assert await tail.read(10**12) == []


async def test_a_journal_is_overtaken_once_a_later_engine_has_written(
    scribe: Scribe, pool: asyncpg.Pool, database_url: str
) -> None:
    tail, epoch = Tail(pool), scribe.log.epoch
    await write_a_day(scribe)
    seq = scribe.state.seq
    assert not await tail.is_overtaken(0, epoch)  # by its own rows it is not
    async with await JournalLog.claim(database_url) as log:
        assert not await tail.is_overtaken(seq, epoch)
        newer = Scribe(log, scribe.state)
        await newer.write(open_account("newcomer"), time_ns=scribe.state.time_ns)
        assert await tail.is_overtaken(seq, epoch)
        assert not await tail.is_overtaken(newer.state.seq, log.epoch)


async def test_a_cursor_inside_a_row_gets_the_whole_row(scribe: Scribe, pool: asyncpg.Pool) -> None:
    await write_a_day(scribe)
    row = (await Tail(pool).read(2))[0]
    assert (row.seq_first, row.seq_last, len(row.events)) == (2, 3, 2)


async def test_a_follower_starts_with_what_is_there(scribe: Scribe, pool: asyncpg.Pool) -> None:
    await write_a_day(scribe)
    assert await taken(Tail(pool).follow(0, max_rows=2), 11) == [1, 3, 5, 7, 9, 11]
    assert await taken(Tail(pool).follow(5), 11) == [7, 9, 11]


async def test_a_waiting_follower_is_woken_by_a_notification(scribe: Scribe, pool: asyncpg.Pool) -> None:
    tail = Tail(pool, poll_s=LONG_S)
    follower = asyncio.create_task(taken(tail.follow(0), 3))
    for number in range(3):
        await scribe.write(open_account(f"p{number}"))
        tail.notify()
    assert await follower == [1, 2, 3]


async def test_no_notification_is_missed_between_a_read_and_the_wait(
    scribe: Scribe, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is committed and notified just after the follower has read nothing."""
    tail = Tail(pool, poll_s=LONG_S)
    read = tail.read

    async def read_then_commit(after_seq: int, max_rows: int = 64) -> list[JournalRow]:
        rows = await read(after_seq, max_rows)
        if not rows and scribe.state.seq < 5:
            await scribe.write(open_account(f"p{scribe.state.seq}"))
            tail.notify()
        return rows

    monkeypatch.setattr(tail, "read", read_then_commit)
    assert await taken(tail.follow(0), 5) == [1, 2, 3, 4, 5]


async def test_polling_finds_rows_that_nobody_notified(scribe: Scribe, pool: asyncpg.Pool) -> None:
    tail = Tail(pool, poll_s=0.01)
    follower = asyncio.create_task(taken(tail.follow(0), 1))
    await scribe.write(LIST_APPLE)
    assert await follower == [1]


async def test_followers_are_independent_of_each_other(scribe: Scribe, pool: asyncpg.Pool) -> None:
    tail = Tail(pool, poll_s=LONG_S)
    followers = [asyncio.create_task(taken(tail.follow(start), 6)) for start in (0, 3, 0)]
    for number in range(6):
        await scribe.write(open_account(f"p{number}"))
        tail.notify()
    assert await asyncio.gather(*followers) == [[1, 2, 3, 4, 5, 6], [4, 5, 6], [1, 2, 3, 4, 5, 6]]


async def test_a_follower_that_is_told_too_early_does_not_spin(scribe: Scribe, pool: asyncpg.Pool) -> None:
    """A reader that lags (a replica, say) waits for its next poll instead of asking without pause."""
    tail = Tail(pool, poll_s=LONG_S)
    reads = 0
    read = tail.read
    asked = asyncio.Event()

    async def counting(after_seq: int, max_rows: int = 64) -> list[JournalRow]:
        nonlocal reads
        reads += 1
        if reads >= 20:
            asked.set()
        return await read(after_seq, max_rows)

    tail.read = counting  # type: ignore[method-assign]
    tail.notify()
    follower = asyncio.create_task(taken(tail.follow(0), 1))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asked.wait(), 0.5)
    follower.cancel()
