"""The engine does what is due: before commands, between them, and on its own when it is quiet."""

import time
from contextlib import AbstractAsyncContextManager

import pytest
from tests.core.venue import SECOND, Venue
from tests.sequencer.engine import GatedLog, HandClock, Running, account_of, running

from exchange.core import commands as c
from exchange.core.events import (
    CancelAllAfterFired,
    OrderAccepted,
    OrderEnded,
    OrderTriggered,
    Rejected,
    Trade,
)
from exchange.core.rejects import RejectReason
from exchange.core.words import OrderType, Side, TimeInForce
from exchange.sequencer.clock import Clock
from exchange.sequencer.sequencer import EngineStopped


@pytest.fixture(name="venue")
def opened_venue() -> Venue:
    venue = Venue()
    venue.open_market()
    for name in ("alice", "bob", "carol", "dave"):
        venue.give(name, apple=10_000, coin=10_000_000)
    venue.trade_at(100)
    return venue


def engine_on(
    venue: Venue, clock: Clock | None = None
) -> tuple[GatedLog, HandClock, AbstractAsyncContextManager[Running]]:
    """An engine that goes on where the venue stands, on a log that lets everything through."""
    log = GatedLog(head_seq=venue.state.seq)
    log.let_through.set()
    hand = HandClock(last_ns=venue.time_ns, wall_ns=venue.time_ns)
    return log, hand, running(log, clock=clock or hand, state=venue.state)


def order(venue: Venue, name: str, side: Side, size: int, at: int, passed_s: int = 0) -> c.PlaceOrder:
    expires_ns = venue.time_ns + (passed_s + 30) * SECOND
    account_id, tif = venue.account_id(name), TimeInForce.GTC
    return c.PlaceOrder(account_id, 1, side, OrderType.LIMIT, tif, at, size, None, expires_ns)


def kinds(log: GatedLog) -> list[list[type[c.Command]]]:
    return [[type(command) for command in row.commands] for row in log.rows]


async def test_quiet_time_passes_by_journaled_ticks(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.sequencer.sequencer.IDLE_CHECK_S", 0.01)
    venue.buy("alice", 5, at=99, till_ns=venue.time_ns + 5 * SECOND)
    order_id, seq = venue.last_order_id, venue.state.seq
    log, clock, engine_of = engine_on(venue)
    async with engine_of as engine:
        view = engine.sequencer.committed
        assert not await view.reached(seq + 1, 0.05), "nothing is due yet"
        clock.pass_time(5 * SECOND)
        assert await view.reached(seq + 1, 10)
        assert view.open_order(order_id) is None
        assert engine.commits == [seq + 1]
    assert kinds(log) == [[c.Tick]]
    assert log.rows[0].time_ns == venue.time_ns + 5 * SECOND


async def test_a_quiet_engine_wakes_when_work_comes_due(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.sequencer.sequencer.IDLE_CHECK_S", 3_600.0)
    venue.time_ns = time.time_ns()
    venue.cancel_all_after("alice", 0.05)
    seq = venue.state.seq
    _, _, engine_of = engine_on(venue, clock=Clock(venue.time_ns))
    async with engine_of as engine:
        assert await engine.sequencer.committed.reached(seq + 1, 10)
        assert engine.sequencer.committed.cancel_all_ns(venue.account_id("alice")) == 0


async def test_work_that_was_due_before_the_engine_started_is_done_at_once(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.sequencer.sequencer.IDLE_CHECK_S", 3_600.0)
    venue.buy("alice", 5, at=99, till_ns=venue.time_ns + 5 * SECOND)
    venue.time_ns += 60 * SECOND
    _, _, engine_of = engine_on(venue)
    async with engine_of as engine:
        assert await engine.sequencer.committed.reached(venue.state.seq + 1, 10)


async def test_due_work_goes_before_the_first_command_of_a_row(venue: Venue) -> None:
    venue.sell("alice", 5, at=101, till_ns=venue.time_ns + 5 * SECOND)
    seq = venue.state.seq
    log, clock, engine_of = engine_on(venue)
    clock.pass_time(5 * SECOND)
    async with engine_of as engine:
        outcome = await engine.sequencer.submit(order(venue, "bob", Side.BUY, 5, 101, passed_s=5))
        assert outcome.seq == seq + 2
        assert not any(isinstance(event, Trade) for event in outcome.events), "what has expired never trades"
        assert isinstance(outcome.events[0], OrderAccepted)
        assert engine.sequencer.committed.seq == seq + 2
    assert kinds(log) == [[c.Tick, c.PlaceOrder]]


async def test_a_met_trigger_fires_before_the_next_callers_command(venue: Venue) -> None:
    venue.buy("alice", 5, at=110, stop=105)
    waiting = venue.last_order_id
    venue.sell("carol", 1, at=105)
    log, _, engine_of = engine_on(venue)
    async with engine_of as engine:
        first, second = engine.hand_in(
            order(venue, "bob", Side.BUY, 1, 105), order(venue, "dave", Side.SELL, 5, 108)
        )
        assert (await second).seq == (await first).seq + 2
        traded = [event for event in (await second).events if isinstance(event, Trade)]
        assert [(trade.maker_order_id, trade.price_ticks) for trade in traded] == [(waiting, 110)]
    assert kinds(log) == [[c.PlaceOrder, c.Tick, c.PlaceOrder]]
    assert isinstance(log.rows[0].events[1][0], OrderTriggered)


async def test_work_that_the_last_command_makes_due_is_done_without_waiting_for_another(venue: Venue) -> None:
    venue.buy("alice", 5, at=110, stop=105)
    venue.sell("carol", 1, at=105)
    seq = venue.state.seq
    _, _, engine_of = engine_on(venue)
    async with engine_of as engine:
        await engine.sequencer.submit(order(venue, "bob", Side.BUY, 1, 105))
        assert await engine.sequencer.committed.reached(seq + 2, 10)
        assert engine.sequencer.committed.depth(1, 10) == ([(110, 5)], [])


async def test_inside_a_batch_a_met_trigger_fires_before_the_next_command(venue: Venue) -> None:
    venue.buy("alice", 5, at=110, stop=105)
    venue.sell("carol", 1, at=105)
    seq = venue.state.seq
    log, _, engine_of = engine_on(venue)
    async with engine_of as engine:
        outcomes = await engine.sequencer.submit_batch(
            [order(venue, "bob", Side.BUY, 1, 105), order(venue, "bob", Side.SELL, 5, 108)]
        )
        assert [outcome.seq for outcome in outcomes] == [seq + 1, seq + 3]
        assert all(isinstance(outcome.events[0], OrderAccepted) for outcome in outcomes)
    assert kinds(log) == [[c.PlaceOrder, c.Tick, c.PlaceOrder]]


async def test_a_row_takes_no_more_due_work_than_its_bound_and_the_next_goes_on_with_it(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.sequencer.row.MAX_BATCH_EVENTS", 5)
    names = ("alice", "bob", "carol", "dave")
    for name in names:
        venue.buy(name, 1, at=50)
        venue.cancel_all_after(name, 5)
    log, clock, engine_of = engine_on(venue)
    clock.pass_time(5 * SECOND)
    async with engine_of as engine:
        await engine.sequencer.submit(account_of("erin"))
    assert kinds(log) == [[c.Tick, c.Tick], [c.Tick, c.Tick], [c.OpenAccount]]
    fired = [event for row in log.rows for each in row.events for event in each]
    assert sum(isinstance(event, CancelAllAfterFired) for event in fired) == len(names)
    assert sum(isinstance(event, OrderEnded) for event in fired) == len(names)


async def test_a_batch_is_never_divided_however_much_work_it_sets_free(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound the rest of the batch is refused where it would trade; what cancels still does."""
    monkeypatch.setattr("exchange.sequencer.row.MAX_BATCH_EVENTS", 4)
    venue.buy("dave", 1, at=60)
    cancelled_id = venue.last_order_id
    for _ in range(5):
        venue.buy("alice", 5, at=104, stop=105)
    venue.sell("carol", 1, at=105)
    log, _, engine_of = engine_on(venue)
    async with engine_of as engine:
        outcomes = await engine.sequencer.submit_batch(
            [
                order(venue, "bob", Side.BUY, 1, 105),
                order(venue, "dave", Side.BUY, 1, 90),
                c.CancelOrder(venue.account_id("dave"), cancelled_id),
            ]
        )
        after = await engine.sequencer.submit(order(venue, "dave", Side.BUY, 1, 90))
    assert kinds(log)[0] == [c.PlaceOrder, c.Tick, c.Tick, c.PlaceOrder, c.CancelOrder]
    assert kinds(log)[1:] == [[c.Tick, c.Tick], [c.Tick, c.PlaceOrder]]
    placed, refused, cancelled = outcomes
    assert isinstance(placed.events[0], OrderAccepted)
    assert refused.events == (Rejected(RejectReason.WORK_QUEUED),)
    assert isinstance(cancelled.events[0], OrderEnded)
    assert isinstance(after.events[0], OrderAccepted)


async def test_a_row_names_the_rules_in_force_after_it() -> None:
    log = GatedLog()
    log.let_through.set()
    async with running(log) as engine:
        for command in (account_of("alice"), c.SetRules(2), account_of("bob")):
            await engine.sequencer.submit(command)
    assert [row.rules_version for row in log.rows] == [1, 2, 2]


async def test_a_tick_that_finds_nothing_to_do_ends_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would journal Ticks for ever."""
    monkeypatch.setattr("exchange.sequencer.row.work_is_due", lambda state, time_ns: True)
    log = GatedLog()
    log.let_through.set()
    async with running(log) as engine:
        caller = engine.hand_in(account_of("alice"))[0]
        assert isinstance(await engine.stopped(), AssertionError)
        with pytest.raises(EngineStopped):
            await caller
    assert log.appended == []
