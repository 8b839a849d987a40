"""What waits for a slow reader stays within its bound, and tells what it left out."""

import asyncio

import pytest

from exchange_sdk.inbox import MOST_NOTICES, Inbox, InboxEnded
from exchange_sdk.notices import Gap, Live, Notice, Stale


async def read(inbox: Inbox[int]) -> list[int | Notice]:
    """All that waits."""
    inbox.close()
    found: list[int | Notice] = []
    while True:
        try:
            found.append(await inbox.get())
        except InboxEnded:
            return found


def live(seq: int = 1) -> Live:
    return Live(seq=seq, resumed=True, stale_ms=1)


def stale(since_ms: int = 1) -> Stale:
    return Stale(since_ms=since_ms, reason="")


async def test_items_come_out_in_their_order():
    inbox: Inbox[int] = Inbox(3)
    for item in (1, 2, 3):
        inbox.put(item)
    assert await read(inbox) == [1, 2, 3]


async def test_beyond_the_bound_the_oldest_are_left_out_and_a_gap_says_how_many():
    inbox: Inbox[int] = Inbox(3)
    for item in range(10):
        inbox.put(item)
    found = await read(inbox)
    assert found == [Gap(missed=7, reason="the reader was too slow"), 7, 8, 9]


async def test_of_states_only_the_newest_of_each_key_waits():
    inbox: Inbox[int] = Inbox(3, key=lambda item: item % 2)
    for item in range(10):
        inbox.put(item)
    assert inbox.waiting == 2
    assert await read(inbox) == [8, 9]


async def test_a_state_that_changed_again_comes_after_the_notice_before_it():
    inbox: Inbox[int] = Inbox(3, key=lambda item: None)
    inbox.put(1)
    inbox.note(stale())
    inbox.note(live())
    inbox.put(2)
    assert await read(inbox) == [stale(), live(), 2]


async def test_what_must_not_be_left_out_may_exceed_the_bound_and_then_it_is_full():
    inbox: Inbox[int] = Inbox(3)
    inbox.take_all([1, 2, 3, 4, 5])
    assert inbox.is_full
    assert await read(inbox) == [1, 2, 3, 4, 5]


async def test_notices_that_nobody_read_do_not_pile_up():
    inbox: Inbox[int] = Inbox(3)
    inbox.put(1)
    for since_ms in range(1_000):
        inbox.note(stale(since_ms))
        inbox.note(Gap(missed=1, reason="away"))
        inbox.note(live(since_ms))
    assert await read(inbox) == [1, stale(0), Gap(missed=1_000, reason="away"), live(999)]


async def test_the_first_of_two_interruptions_says_since_when_it_was_stale():
    inbox: Inbox[int] = Inbox(3)
    inbox.note(stale(10))
    inbox.note(live())
    inbox.note(stale(20))
    assert await read(inbox) == [stale(10)]


async def test_to_who_has_heard_of_the_first_interruption_the_second_is_none_of_its_own():
    inbox: Inbox[int] = Inbox(3)
    inbox.note(stale(10))
    assert await inbox.get() == stale(10)
    inbox.note(live(1))
    inbox.note(stale(20))
    inbox.note(live(2))
    assert await read(inbox) == [live(2)]


async def test_a_gap_whose_size_is_unknown_makes_the_sum_unknown():
    inbox: Inbox[int] = Inbox(3)
    inbox.note(Gap(missed=None, reason="away"))
    inbox.note(Gap(missed=2, reason="slow"))
    assert await read(inbox) == [Gap(missed=None, reason="slow")]


async def test_notices_do_not_count_as_waiting_items():
    inbox: Inbox[int] = Inbox(1)
    inbox.note(stale())
    assert not inbox.is_full
    inbox.put(1)
    assert inbox.is_full
    assert await inbox.get() == stale()
    assert inbox.is_full
    assert await inbox.get() == 1
    assert not inbox.is_full


async def test_a_reader_waits_for_what_comes_and_hears_of_the_end():
    inbox: Inbox[int] = Inbox(3)
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put(7)
    assert await reading == 7
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.close()
    with pytest.raises(InboxEnded):
        await reading


async def test_after_an_error_what_waits_is_read_first_and_nothing_more_is_taken():
    inbox: Inbox[int] = Inbox(3)
    inbox.put(1)
    inbox.close(RuntimeError("refused"))
    inbox.put(2)
    inbox.take_all([3])
    inbox.note(stale())
    assert await inbox.get() == 1
    for _ in range(2):
        with pytest.raises(RuntimeError, match="refused"):
            await inbox.get()


async def test_there_is_room_again_once_half_of_it_was_read():
    inbox: Inbox[int] = Inbox(4)
    inbox.take_all([1, 2, 3, 4])
    waiting = asyncio.create_task(inbox.room())
    await inbox.get()
    await asyncio.sleep(0)
    assert not waiting.done()
    await inbox.get()
    await waiting


async def test_interruptions_between_states_that_nobody_reads_do_not_pile_up_either():
    inbox: Inbox[int] = Inbox(1, key=lambda item: None)
    for number in range(10_000):
        inbox.note(stale(number))
        inbox.note(live(number))
        inbox.put(number)
    found = await read(inbox)
    assert len(found) <= MOST_NOTICES + 1
    assert found[-3:] == [stale(9_999), live(9_999), 9_999]


async def test_of_gaps_the_sum_is_kept_however_many_other_notices_come():
    inbox: Inbox[int] = Inbox(2, key=lambda item: None)
    for number in range(1_000):
        inbox.note(stale(number))
        inbox.note(Gap(missed=1, reason="away"))
        inbox.note(live(number))
        inbox.put(number)
    found = await read(inbox)
    assert len(found) <= MOST_NOTICES + 1
    assert sum(notice.missed or 0 for notice in found if isinstance(notice, Gap)) == 1_000
