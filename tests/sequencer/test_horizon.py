"""What the engine promises of the times of batches to come: candles are closed by it."""

import asyncio

from tests.sequencer.engine import GatedLog, HandClock, account_of, running

from exchange.core.events import AccountOpened
from exchange.sequencer.clock import MAX_STEP_NS
from exchange.sequencer.row import Committed

SECOND_NS = 10**9


async def test_an_idle_engine_promises_the_present() -> None:
    clock = HandClock()
    async with running(GatedLog(), clock=clock) as engine:
        assert engine.sequencer.horizon_ns() == clock.wall_ns
        clock.pass_time(5)
        assert engine.sequencer.horizon_ns() == clock.wall_ns


async def test_while_a_batch_is_being_committed_the_promise_is_its_time() -> None:
    clock, log = HandClock(), GatedLog()
    async with running(log, clock=clock) as engine:
        stamped_ns = clock.wall_ns
        [caller] = engine.hand_in(account_of("a"))
        await log.until_asked()
        clock.pass_time(SECOND_NS)
        assert engine.sequencer.horizon_ns() == stamped_ns
        log.let_through.set()
        assert (await caller).time_ns == stamped_ns
        assert engine.sequencer.horizon_ns() == clock.wall_ns


async def test_a_promise_binds_the_next_batch_even_when_the_clock_is_set_back() -> None:
    clock, log = HandClock(), GatedLog()
    log.let_through.set()
    async with running(log, clock=clock) as engine:
        promised_ns = engine.sequencer.horizon_ns()
        clock.wall_ns -= MAX_STEP_NS // 2
        [caller] = engine.hand_in(account_of("a"))
        assert (await caller).time_ns == promised_ns


async def test_when_the_clock_has_stepped_too_far_the_promise_is_what_was_committed() -> None:
    clock, log = HandClock(), GatedLog()
    log.let_through.set()
    async with running(log, clock=clock) as engine:
        [caller] = engine.hand_in(account_of("a"))
        outcome = await caller
        clock.wall_ns += MAX_STEP_NS + 1
        assert engine.sequencer.horizon_ns() == outcome.time_ns


async def test_a_listener_gets_whole_batches_once_the_view_has_them() -> None:
    log, batches = GatedLog(), []

    def take(batch: Committed) -> None:
        assert engine.sequencer.committed.seq == batch.seq_last
        batches.append(batch)

    async with running(log, on_commit=take) as engine:
        callers = engine.hand_in(account_of("a"))
        await log.until_asked()
        callers += engine.hand_in(account_of("b"), account_of("c"))
        await asyncio.sleep(0)
        assert batches == []
        log.let_through.set()
        await asyncio.gather(*callers)
    assert [(batch.seq_first, batch.seq_last) for batch in batches] == [(1, 1), (2, 3)]
    for batch in batches:
        assert [type(event) for events in batch.events for event in events] == [AccountOpened] * len(
            batch.events
        )
        assert batch.seq_last - batch.seq_first + 1 == len(batch.events)
