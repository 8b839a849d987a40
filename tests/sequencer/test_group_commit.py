import asyncio

import asyncpg
import pytest
from tests.core.venue import address
from tests.journal.scribe import recover
from tests.sequencer.engine import GatedLog, HandClock, account_of, running

from exchange.core.commands import CancelOrder
from exchange.core.events import AccountOpened, Rejected
from exchange.core.rejects import RejectReason
from exchange.journal.log import JournalLog
from exchange.sequencer.sequencer import Overloaded


async def turns(count: int = 5) -> None:
    """Lets every ready task run a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_many_callers_at_once_become_few_rows(database_url: str, pool: asyncpg.Pool) -> None:
    async with await JournalLog.claim(database_url) as log, running(log, max_batch=500) as engine:
        outcomes = await asyncio.gather(*engine.hand_in(*(account_of(f"p{n}") for n in range(1_200))))
    assert [outcome.seq for outcome in outcomes] == list(range(1, 1_201))
    rows = await pool.fetch("SELECT seq_first, seq_last FROM journal ORDER BY seq_first")
    assert len(rows) == 3
    assert max(row["seq_last"] - row["seq_first"] for row in rows) == 499
    assert engine.commits == [row["seq_last"] for row in rows]


async def test_what_arrives_during_a_commit_is_the_next_batch() -> None:
    log = GatedLog()
    async with running(log) as engine:
        first = engine.hand_in(account_of("a"))
        await log.until_asked()
        rest = engine.hand_in(*(account_of(f"p{n}") for n in range(10)))
        await turns()
        log.let_through.set()
        await asyncio.gather(*first, *rest)
    assert log.appended == [1, 11]


async def test_nothing_is_released_before_the_commit(database_url: str) -> None:
    async with await JournalLog.claim(database_url) as real:
        log = GatedLog(real)
        async with running(log) as engine:
            view = engine.sequencer.committed
            callers = engine.hand_in(account_of("alice"), account_of("bob"), account_of("carol"))
            waiting = asyncio.create_task(view.reached(1, 10))
            await log.until_asked()
            await turns(20)
            assert (view.seq, view.time_ns, engine.commits) == (0, 0, [])
            assert view.account_id(address("alice")) is None
            assert not any(caller.done() for caller in (*callers, waiting))
            log.let_through.set()
            outcomes = await asyncio.gather(*callers)
            assert view.seq == 3
            assert view.account_id(address("alice")) == 1_000
            assert await waiting
            assert engine.commits == [3]
    assert [outcome.seq for outcome in outcomes] == [1, 2, 3]
    assert len({outcome.time_ns for outcome in outcomes}) == 1, "one time per batch"


async def test_outcomes_are_those_of_each_command_and_released_in_order() -> None:
    log = GatedLog()
    log.let_through.set()
    order: list[int] = []
    async with running(log) as engine:
        callers = engine.hand_in(*(account_of(f"p{n}") for n in range(50)))
        for caller in callers:
            caller.add_done_callback(lambda done: order.append(done.result().seq))
        outcomes = await asyncio.gather(*callers)
        await turns()
    assert order == list(range(1, 51))
    for number, outcome in enumerate(outcomes):
        (opened,) = outcome.events
        assert isinstance(opened, AccountOpened)
        assert (opened.owner, opened.account_id) == (address(f"p{number}"), 1_000 + number)


async def test_the_view_stands_at_least_at_an_outcomes_seq_when_its_caller_goes_on() -> None:
    log = GatedLog()
    log.let_through.set()
    async with running(log) as engine:
        for number in range(5):
            outcome = await engine.sequencer.submit(account_of(f"p{number}"))
            assert engine.sequencer.committed.seq >= outcome.seq


async def test_a_refusal_is_sequenced_journaled_and_answered_like_the_rest(database_url: str) -> None:
    async with await JournalLog.claim(database_url) as log, running(log) as engine:
        outcome = await engine.sequencer.submit(CancelOrder(1_000, 1))
    assert outcome.events == (Rejected(RejectReason.UNKNOWN_ACCOUNT),)
    state, rows = await recover(database_url)
    assert state.seq == outcome.seq == 1
    assert rows[0].events == [list(outcome.events)]
    assert rows[0].time_ns == outcome.time_ns


async def test_a_full_inbox_refuses_at_once_and_takes_nothing_in() -> None:
    log = GatedLog()
    async with running(log, inbox_capacity=3) as engine:
        first = engine.hand_in(account_of("first"))
        await log.until_asked()
        waiting = engine.hand_in(*(account_of(f"p{n}") for n in range(3)))
        await turns()
        with pytest.raises(Overloaded) as caught:
            await engine.sequencer.submit(account_of("one too many"))
        assert caught.value.retry_after_s >= 1
        log.let_through.set()
        await asyncio.gather(*first, *waiting)
        assert (await engine.sequencer.submit(account_of("later"))).seq == 5


async def test_a_caller_that_goes_away_cancels_neither_its_command_nor_the_commit(database_url: str) -> None:
    async with await JournalLog.claim(database_url) as real:
        log = GatedLog(real)
        async with running(log) as engine:
            impatient, patient = engine.hand_in(account_of("impatient"), account_of("patient"))
            await log.until_asked()
            impatient.cancel()
            late = engine.hand_in(account_of("late"))[0]
            await turns()
            late.cancel()
            await turns()
            assert impatient.cancelled()
            log.let_through.set()
            assert (await patient).seq == 2
            assert (await engine.sequencer.submit(account_of("after"))).seq == 4
    state, _ = await recover(database_url)
    assert {(address(name), 0) for name in ("impatient", "patient", "late", "after")} == set(
        state.account_by_owner
    )


async def test_all_callers_may_go_away() -> None:
    log = GatedLog()
    async with running(log) as engine:
        callers = engine.hand_in(*(account_of(f"p{n}") for n in range(5)))
        await log.until_asked()
        for caller in callers:
            caller.cancel()
        await turns()
        log.let_through.set()
        assert (await engine.sequencer.submit(account_of("after"))).seq == 6


async def test_the_times_of_batches_never_go_back() -> None:
    clock = HandClock()
    log = GatedLog()
    log.let_through.set()
    times = []
    async with running(log, clock=clock) as engine:
        for step_ns in (5, -3, 0, -900_000_000, 1):
            clock.wall_ns += step_ns
            times.append((await engine.sequencer.submit(account_of(f"p{len(times)}"))).time_ns)
    assert times == sorted(times)


@pytest.mark.parametrize("max_batch", [1, 7])
async def test_a_batch_has_at_most_its_maximum(max_batch: int) -> None:
    log = GatedLog()
    async with running(log, max_batch=max_batch) as engine:
        first = engine.hand_in(account_of("first"))
        await log.until_asked()
        rest = engine.hand_in(*(account_of(f"p{n}") for n in range(20)))
        await turns()
        log.let_through.set()
        await asyncio.gather(*first, *rest)
    sizes = [last - before for before, last in zip([0, *log.appended], log.appended, strict=False)]
    assert max(sizes) <= max_batch
    assert sum(sizes) == 21
