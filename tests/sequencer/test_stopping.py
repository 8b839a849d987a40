"""Whatever ends the engine, nobody is left waiting, and nobody is told what is not known."""

import asyncio

import asyncpg
import pytest
from tests.core.venue import address
from tests.journal.scribe import recover
from tests.sequencer.engine import GatedLog, HandClock, Running, account_of, running

from exchange.journal.errors import AppendUnknown, Fenced
from exchange.journal.log import JournalLog
from exchange.sequencer.clock import ClockStepped
from exchange.sequencer.row import Committed
from exchange.sequencer.sequencer import EngineStopped


async def all_told_that_it_stopped(engine: Running, callers: list[asyncio.Task[object]]) -> None:
    async with asyncio.timeout(10):
        results = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(result) for result in results] == [EngineStopped] * len(callers)
    assert not engine.sequencer.running
    with pytest.raises(EngineStopped):
        await engine.sequencer.submit(account_of("later"))


@pytest.mark.parametrize("failure", [AppendUnknown(1, 1), Fenced(1, 1), RuntimeError("a bug")])
async def test_a_failed_append_ends_the_engine_and_tells_everybody(failure: Exception) -> None:
    log = GatedLog()
    log.failure = failure
    async with running(log) as engine:
        in_the_batch = engine.hand_in(account_of("a"), account_of("b"))
        await log.until_asked()
        in_the_inbox = engine.hand_in(account_of("c"))
        await asyncio.sleep(0)
        log.let_through.set()
        assert await engine.stopped() is failure
        await all_told_that_it_stopped(engine, [*in_the_batch, *in_the_inbox])
        assert engine.sequencer.committed.seq == 0, "nothing uncommitted is ever seen"
        assert engine.commits == []


async def test_a_real_fence_ends_the_engine(database_url: str) -> None:
    log = await JournalLog.claim(database_url)
    async with running(log) as engine:
        await engine.sequencer.submit(account_of("a"))
        newer = await JournalLog.claim(database_url)
        callers = engine.hand_in(account_of("b"))
        assert isinstance(await engine.stopped(), Fenced)
        await all_told_that_it_stopped(engine, [*callers])
    assert newer.head.seq == 1
    await newer.close()
    await log.close()


async def test_a_lost_connection_ends_the_engine(database_url: str, pool: asyncpg.Pool) -> None:
    log = await JournalLog.claim(database_url)
    async with running(log) as engine:
        await engine.sequencer.submit(account_of("a"))
        pid = await log._connection.fetchval("SELECT pg_backend_pid()")
        await pool.execute("SELECT pg_terminate_backend($1)", pid)
        callers = engine.hand_in(account_of("b"), account_of("c"))
        assert isinstance(await engine.stopped(), AppendUnknown)
        await all_told_that_it_stopped(engine, [*callers])
    state, _ = await recover(database_url)
    assert (address("a"), 0) in state.account_by_owner


@pytest.mark.parametrize("step_ns", [1_000_000_001, -1_000_000_001])
async def test_a_step_of_the_clock_ends_the_engine_before_anything_is_stamped(step_ns: int) -> None:
    clock, log = HandClock(), GatedLog()
    log.let_through.set()
    async with running(log, clock=clock) as engine:
        await engine.sequencer.submit(account_of("a"))
        clock.wall_ns += step_ns
        callers = engine.hand_in(account_of("b"))
        assert isinstance(await engine.stopped(), ClockStepped)
        await all_told_that_it_stopped(engine, [*callers])
    assert log.appended == [1]


async def test_a_step_of_the_clock_is_noticed_in_quiet_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.sequencer.sequencer.IDLE_CHECK_S", 0.01)
    clock = HandClock()
    async with running(GatedLog(), clock=clock) as engine:
        clock.wall_ns += 2_000_000_000
        assert isinstance(await engine.stopped(), ClockStepped)


async def test_cancelling_the_engine_in_a_commit_waits_for_it_and_releases_it(database_url: str) -> None:
    async with await JournalLog.claim(database_url) as real:
        log = GatedLog(real)
        async with running(log) as engine:
            in_the_batch = engine.hand_in(account_of("a"), account_of("b"))
            await log.until_asked()
            in_the_inbox = engine.hand_in(account_of("c"))
            await asyncio.sleep(0)
            engine.task.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
            assert not engine.task.done(), "the commit is under way"
            log.let_through.set()
            assert isinstance(await engine.stopped(), asyncio.CancelledError)
            assert [(await caller).seq for caller in in_the_batch] == [1, 2]
            assert engine.sequencer.committed.seq == 2
            assert engine.commits == [2]
            await all_told_that_it_stopped(engine, [*in_the_inbox])
    assert (await recover(database_url))[0].seq == 2


async def test_cancelling_in_a_commit_that_then_fails_says_so() -> None:
    log = GatedLog()
    log.failure = AppendUnknown(1, 1)
    async with running(log) as engine:
        callers = engine.hand_in(account_of("a"))
        await log.until_asked()
        engine.task.cancel()
        await asyncio.sleep(0)
        log.let_through.set()
        assert isinstance(await engine.stopped(), AppendUnknown)
        await all_told_that_it_stopped(engine, [*callers])


async def test_cancelling_twice_in_a_commit_does_not_tear_the_commit(database_url: str) -> None:
    async with await JournalLog.claim(database_url) as real:
        log = GatedLog(real)
        async with running(log) as engine:
            callers = engine.hand_in(account_of("a"))
            await log.until_asked()
            for _ in range(2):
                engine.task.cancel()
                for _ in range(5):
                    await asyncio.sleep(0)
            assert not engine.task.done(), "an impatient operator presses Ctrl-C again"
            log.let_through.set()
            await engine.stopped()
            assert (await callers[0]).seq == 1


async def test_cancelling_an_idle_engine_ends_it_and_tells_those_who_wait() -> None:
    async with running(GatedLog()) as engine:
        await asyncio.sleep(0)
        callers = engine.hand_in(account_of("a"))
        engine.task.cancel()
        await all_told_that_it_stopped(engine, [*callers])


async def test_a_listener_that_fails_ends_the_engine_but_the_callers_have_their_answer() -> None:
    log = GatedLog()
    log.let_through.set()

    def broken(batch: Committed) -> None:
        raise RuntimeError(batch.seq_last)

    async with running(log, on_commit=broken) as engine:
        callers = engine.hand_in(account_of("a"))
        assert isinstance(await engine.stopped(), RuntimeError)
        assert (await callers[0]).seq == 1


async def test_an_engine_starts_only_where_its_journal_and_view_stand() -> None:
    from exchange.core.state import State
    from exchange.sequencer.committed import CommittedView
    from exchange.sequencer.sequencer import Sequencer

    with pytest.raises(AssertionError):
        Sequencer(
            State(seq=1), CommittedView("0x"), GatedLog(), HandClock(), on_commit=print  # type: ignore[arg-type]
        )  # fmt: skip


async def test_an_engine_that_was_replaced_ends_without_being_asked_anything(database_url: str) -> None:
    """A replaced process must not go on showing its old view: it notices within a second or so of quiet."""
    async with await JournalLog.claim(database_url) as log, running(log) as engine:
        newer = await JournalLog.claim(database_url)
        try:
            assert isinstance(await engine.stopped(), Fenced)
        finally:
            await newer.close()


async def test_a_batch_ends_when_it_has_done_much_work(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.sequencer.row.MAX_BATCH_EVENTS", 3)
    log = GatedLog()
    log.let_through.set()
    async with running(log) as engine:
        callers = engine.hand_in(*(account_of(f"{number}") for number in range(10)))
        outcomes = await asyncio.gather(*callers)
    assert [outcome.seq for outcome in outcomes] == list(range(1, 11))
    assert log.appended == [3, 6, 9, 10]
