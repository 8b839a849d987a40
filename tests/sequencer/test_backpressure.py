"""A full inbox refuses at once, with a hint when to come back, and keeps room for what frees resources."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.core.venue import SECOND, Venue, address
from tests.sequencer.engine import GatedLog, HandClock, Running, account_of, running

from exchange.core import commands as c
from exchange.core.events import OrderEnded
from exchange.core.words import OrderType, Side, TimeInForce
from exchange.sequencer.inbox import HAVE_RESERVED_ROOM, MAX_RETRY_AFTER_S, Pace
from exchange.sequencer.sequencer import Outcome, Overloaded

TAKE_WHEN_THERE_IS_ROOM = {
    c.PlaceOrder,
    c.AmendOrder,
    c.OpenAccount,
    c.TransferFunds,
    c.RequestWithdrawal,
    c.ApproveAgent,
    c.UseNonce,
}


class Stage:
    """An engine whose first commit hangs, with a client who has an order open."""

    def __init__(self, venue: Venue, engine: Running, log: GatedLog) -> None:
        self.venue = venue
        self.engine = engine
        self.log = log
        self.account_id = venue.account_id("alice")

    def place(self, at: int = 90) -> c.PlaceOrder:
        expires_ns = self.venue.time_ns + 30 * SECOND
        limit, gtc = OrderType.LIMIT, TimeInForce.GTC
        return c.PlaceOrder(self.account_id, 1, Side.BUY, limit, gtc, at, 1, None, expires_ns)

    async def fill(self, *commands: c.Command) -> list[asyncio.Task[Outcome]]:
        callers = self.engine.hand_in(*commands)
        await asyncio.sleep(0)
        return callers

    async def refuses(self, *commands: c.Command) -> Overloaded:
        with pytest.raises(Overloaded) as caught:
            async with asyncio.timeout(5):
                await self.engine.sequencer.submit_batch(commands)
        return caught.value


@pytest.fixture(name="stage")
async def hanging_stage() -> AsyncIterator[Stage]:
    venue = Venue()
    venue.open_market()
    venue.give("alice", coin=1_000_000)
    log = GatedLog(head_seq=venue.state.seq)
    clock = HandClock(last_ns=venue.time_ns, wall_ns=venue.time_ns)
    async with running(log, clock=clock, state=venue.state, inbox_capacity=20) as engine:
        stage = Stage(venue, engine, log)
        await stage.fill(account_of("first"))
        await log.until_asked()
        yield stage


def test_every_command_is_either_reserved_room_or_not() -> None:
    """Whoever adds a command has to decide."""
    every = set(c.Command.__args__)
    assert every == HAVE_RESERVED_ROOM | TAKE_WHEN_THERE_IS_ROOM
    assert not HAVE_RESERVED_ROOM & TAKE_WHEN_THERE_IS_ROOM


async def test_when_placements_are_refused_cancels_still_pass(stage: Stage) -> None:
    placed = await stage.fill(*(stage.place() for _ in range(20)))
    first_id = stage.engine.sequencer.committed.seq + 2
    for refused in (stage.place(), c.AmendOrder(stage.account_id, 1, 1, 1, 1), account_of("new")):
        await stage.refuses(refused)
    cancels = [
        *(c.CancelOrder(stage.account_id, first_id + number) for number in range(3)),
        c.CancelAllAfter(stage.account_id, 0),
        c.CancelAll(stage.account_id, None),
    ]
    passed = await stage.fill(*cancels)
    stage.log.let_through.set()
    outcomes = await asyncio.gather(*placed, *passed)
    assert [len(outcome.events) for outcome in outcomes[20:23]] == [1, 1, 1]
    assert sum(isinstance(event, OrderEnded) for outcome in outcomes for event in outcome.events) == 20


async def test_the_reserved_room_is_bounded_too(stage: Stage) -> None:
    await stage.fill(*(stage.place() for _ in range(20)))
    await stage.fill(*(c.CancelAll(stage.account_id, None) for _ in range(5)))
    await stage.refuses(c.CancelAll(stage.account_id, None))
    await stage.refuses(c.Tick())


async def test_cancels_may_take_all_the_room_there_is_but_placements_only_theirs(stage: Stage) -> None:
    await stage.fill(*(c.CancelAll(stage.account_id, None) for _ in range(22)))
    await stage.refuses(stage.place())
    await stage.fill(*(c.CancelAll(stage.account_id, None) for _ in range(3)))
    await stage.refuses(c.CancelAll(stage.account_id, None))


async def test_a_batch_is_taken_whole_or_not_at_all(stage: Stage) -> None:
    await stage.fill(*(stage.place() for _ in range(18)))
    await stage.refuses(stage.place(), stage.place(), stage.place())
    caller = stage.engine.hand_in_batch(stage.place(), stage.place())
    await asyncio.sleep(0)
    await stage.refuses(stage.place())
    stage.log.let_through.set()
    assert len(await caller) == 2


async def test_a_batch_has_reserved_room_only_if_all_of_it_has(stage: Stage) -> None:
    await stage.fill(*(stage.place() for _ in range(19)))
    cancel = c.CancelAll(stage.account_id, None)
    await stage.refuses(cancel, cancel, stage.place())
    caller = stage.engine.hand_in_batch(cancel, cancel, cancel)
    await asyncio.sleep(0)
    stage.log.let_through.set()
    assert len(await caller) == 3


async def test_nothing_that_was_refused_is_applied(stage: Stage) -> None:
    taken = await stage.fill(*(stage.place() for _ in range(20)))
    for number in range(30):
        await stage.refuses(account_of(f"refused{number}"))
    taken += await stage.fill(*(c.CancelOrder(stage.account_id, 1) for _ in range(5)))
    for _ in range(30):
        await stage.refuses(c.CancelAll(stage.account_id, None))
    stage.log.let_through.set()
    await asyncio.gather(*taken)
    journaled = [command for row in stage.log.rows for command in row.commands]
    assert len(journaled) == 1 + 20 + 5
    assert not any(isinstance(command, c.CancelAll) for command in journaled)
    view = stage.engine.sequencer.committed
    assert all(view.account_id(address(f"refused{number}")) is None for number in range(30))


async def test_what_was_done_makes_room_again(stage: Stage) -> None:
    taken = await stage.fill(*(stage.place() for _ in range(20)))
    await stage.refuses(stage.place())
    stage.log.let_through.set()
    await asyncio.gather(*taken)
    assert len(await stage.engine.sequencer.submit_batch([stage.place()] * 20)) == 20


async def test_a_refusal_says_when_to_try_again(stage: Stage) -> None:
    await stage.fill(*(stage.place() for _ in range(20)))
    error = await stage.refuses(stage.place())
    assert isinstance(error.retry_after_s, int)
    assert 1 <= error.retry_after_s <= MAX_RETRY_AFTER_S


def paced(*batches: tuple[int, float]) -> Pace:
    """After batches of so many commands that took so long."""
    now_s = [0.0]
    pace = Pace(lambda: now_s[0])
    for commands, seconds in batches:
        pace.begin()
        now_s[0] += seconds
        pace.done(commands)
    return pace


def test_before_anything_is_known_a_second_will_do() -> None:
    assert paced().retry_after_s(20_000) == 1


@pytest.mark.parametrize(
    ("backlog", "hint_s"), [(1, 1), (500, 1), (1_001, 2), (5_000, 5), (10**6, MAX_RETRY_AFTER_S)]
)
def test_the_hint_is_the_backlog_at_the_recent_rate(backlog: int, hint_s: int) -> None:
    assert paced((500, 0.5), (500, 0.5)).retry_after_s(backlog) == hint_s


def test_the_rate_follows_what_happens_lately() -> None:
    slower = paced((500, 0.5), *[(500, 5.0)] * 50)
    assert slower.retry_after_s(1_000) in (10, 11)


def test_a_commit_that_hangs_counts_as_it_grows() -> None:
    now_s = [0.0]
    pace = Pace(lambda: now_s[0])
    pace.begin()
    now_s[0] += 0.01
    pace.done(500)
    pace.begin()
    now_s[0] += 7.2
    assert pace.retry_after_s(500) == 8


def test_a_quiet_time_after_a_commit_does_not_count() -> None:
    now_s = [0.0]
    pace = Pace(lambda: now_s[0])
    pace.begin()
    now_s[0] += 0.01
    pace.done(500)
    now_s[0] += 3_600
    assert pace.retry_after_s(500) == 1


def test_batches_that_take_no_time_at_all_say_nothing() -> None:
    """A simulated clock may stand still through a commit."""
    assert paced((500, 0.0)).retry_after_s(10_000) == 1


def test_a_batch_that_had_nothing_to_commit_says_nothing_of_the_pace_nor_is_it_under_way_for_ever() -> None:
    now_s = [0.0]
    pace = Pace(lambda: now_s[0])
    pace.begin()
    now_s[0] = 1.0
    pace.done(100)
    pace.begin()
    now_s[0] = 2.0
    pace.done(0)
    now_s[0] = 30.0
    assert pace.retry_after_s(400) == 4
