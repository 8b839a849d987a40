"""A signed request: its nonce right before its commands, in one row, and nothing else if it is refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace
from tests.core.venue import SECOND, Venue, address, approval, key_of
from tests.journal.scribe import recover
from tests.sequencer.engine import GatedLog, HandClock, Running, account_of, running

from exchange.core.commands import CancelAll, CancelOrder, PlaceOrder, RevokeAgent, Tick, UseNonce
from exchange.core.events import AllCancelled, NonceUsed, OrderAccepted, Rejected
from exchange.core.rejects import RejectReason
from exchange.core.words import OrderType, Side, TimeInForce
from exchange.journal.log import JournalLog
from exchange.sequencer.sequencer import CommandNotEncodable, Outcome, Overloaded


class Stage:
    """Alice has an agent, Bob a stop at 105. Commits pass at once unless held up; a row is full at 4."""

    def __init__(self, venue: Venue, engine: Running, log: GatedLog, clock: HandClock) -> None:
        self.venue = venue
        self.engine = engine
        self.log = log
        self.clock = clock
        self.account_id = venue.account_id("alice")

    def nonce(self, ahead_us: int = 0) -> UseNonce:
        return UseNonce(key_of("bot"), self.clock.wall_ns // 1_000 + ahead_us)

    def place(self, side: Side = Side.BUY, at: int = 90) -> PlaceOrder:
        limit, gtc = OrderType.LIMIT, TimeInForce.GTC
        expires_ns = self.clock.wall_ns + 30 * SECOND
        return PlaceOrder(self.account_id, 1, side, limit, gtc, at, 1, None, expires_ns)

    async def hold_up(self) -> asyncio.Task[Outcome]:
        """A commit hangs from here on."""
        self.log.let_through.clear()
        self.log.asked.clear()
        (first,) = self.engine.hand_in(account_of("first"))
        await self.log.until_asked()
        return first


@pytest.fixture(name="stage")
async def stage_with_an_agent() -> AsyncIterator[Stage]:
    venue = Venue()
    venue.open_market()
    for name in ("alice", "bob"):
        venue.give(name, coin=1_000_000, apple=1_000)
    venue.trade_at(100)
    venue.buy("bob", 1, at=120, stop=105)
    venue.approve("alice", "bot")
    log = GatedLog(head_seq=venue.state.seq)
    log.let_through.set()
    clock = HandClock(last_ns=venue.time_ns, wall_ns=venue.time_ns)
    async with running(log, clock=clock, state=venue.state, inbox_capacity=20, max_batch=4) as engine:
        yield Stage(venue, engine, log, clock)


async def test_the_nonce_is_journaled_right_before_the_command(stage: Stage) -> None:
    nonce, place = stage.nonce(), stage.place()
    before = stage.engine.sequencer.committed.seq
    outcome = await stage.engine.sequencer.submit(place, nonce=nonce)
    (row,) = stage.log.rows
    assert row.commands == [nonce, place]
    assert row.events[0] == [NonceUsed(nonce.key, nonce.nonce)]
    assert outcome.seq == before + 2
    assert isinstance(outcome.events[0], OrderAccepted)
    assert outcome.events[0].order_id == outcome.seq


async def test_a_batch_has_one_nonce_and_an_outcome_for_each_command(stage: Stage) -> None:
    nonce, commands = stage.nonce(), [stage.place(), stage.place(), CancelOrder(1, 1)]
    before = stage.engine.sequencer.committed.seq
    outcomes = await stage.engine.sequencer.submit_batch(commands, nonce=nonce)
    assert stage.log.rows[0].commands == [nonce, *commands]
    assert [outcome.seq for outcome in outcomes] == [before + 2, before + 3, before + 4]


async def test_when_the_nonce_is_refused_nothing_else_is_done_and_each_outcome_is_the_nonces(
    stage: Stage,
) -> None:
    sequencer = stage.engine.sequencer
    nonce, commands = stage.nonce(), [stage.place(), stage.place(), CancelAll(stage.account_id, None)]
    taken = await sequencer.submit_batch(commands, nonce=nonce)
    again = await sequencer.submit_batch(commands, nonce=nonce)
    alone = await sequencer.submit(stage.place(), nonce=nonce)
    seq = taken[-1].seq
    assert again == [Outcome(seq + 1, taken[0].time_ns, (Rejected(RejectReason.NONCE_USED),))] * 3
    assert alone == Outcome(seq + 2, taken[0].time_ns, (Rejected(RejectReason.NONCE_USED),))
    assert [row.commands for row in stage.log.rows[1:]] == [[nonce], [nonce]]
    assert sequencer.committed.seq == seq + 2


async def test_of_two_callers_with_one_nonce_the_first_is_served(stage: Stage) -> None:
    first = await stage.hold_up()
    callers = [
        asyncio.create_task(stage.engine.sequencer.submit(stage.place(at=at), nonce=stage.nonce()))
        for at in (90, 91)
    ]
    await asyncio.sleep(0)
    stage.log.let_through.set()
    served, refused = await asyncio.gather(*callers)
    await first
    assert isinstance(served.events[0], OrderAccepted)
    assert refused.events == (Rejected(RejectReason.NONCE_USED),)
    assert len(stage.venue.state.orders) == 2, "with the stop"


async def test_a_request_of_a_key_that_was_revoked_before_it_in_the_row_is_refused(stage: Stage) -> None:
    first = await stage.hold_up()
    sequencer = stage.engine.sequencer
    revoked: list[str] = []
    sequencer.committed.watch_revoked(revoked.append)
    (revoke,) = stage.engine.hand_in(RevokeAgent(address("alice"), key_of("bot")))
    order = asyncio.create_task(sequencer.submit(stage.place(), nonce=stage.nonce()))
    await asyncio.sleep(0)
    assert revoked == [], "not before it is committed"
    stage.log.let_through.set()
    assert (await order).events == (Rejected(RejectReason.AGENT_REVOKED),)
    assert revoked == [key_of("bot")]
    await asyncio.gather(first, revoke)


async def test_a_request_that_was_not_taken_in_has_not_used_its_nonce(stage: Stage) -> None:
    first = await stage.hold_up()
    sequencer = stage.engine.sequencer
    waiting = stage.engine.hand_in(*(account_of(f"p{number}") for number in range(19)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await sequencer.submit(stage.place(), nonce=stage.nonce())
    cancel = CancelAll(stage.account_id, None)
    cancelling = asyncio.create_task(sequencer.submit(cancel, nonce=stage.nonce(ahead_us=1)))
    await asyncio.sleep(0)
    assert sequencer.waiting == 21, "a nonce takes room, and that of cancels is reserved"
    stage.log.let_through.set()
    await asyncio.gather(first, *waiting)
    assert isinstance((await cancelling).events[-1], AllCancelled)
    outcome = await sequencer.submit(stage.place(), nonce=stage.nonce())
    assert isinstance(outcome.events[0], OrderAccepted)


async def test_what_can_not_be_journaled_has_not_used_its_nonce(stage: Stage) -> None:
    sequencer, seq = stage.engine.sequencer, stage.engine.sequencer.committed.seq
    for command, nonce in (
        (CancelOrder(1, 10**5_000), stage.nonce()),
        (stage.place(), UseNonce("0x\ud800", 1)),
        (stage.place(), UseNonce("0x", 10**5_000)),
    ):
        with pytest.raises(CommandNotEncodable):
            await sequencer.submit(command, nonce=nonce)
    outcome = await sequencer.submit(stage.place(), nonce=stage.nonce())
    assert outcome.seq == seq + 2


async def test_ticks_come_between_commands_but_not_between_the_nonce_and_the_first(stage: Stage) -> None:
    venue, nonce = stage.venue, stage.nonce()
    sell = stage.place(Side.SELL, at=105)
    buy = replace(stage.place(Side.BUY, at=105), account_id=venue.account_id("bob"))
    cancel = CancelAll(stage.account_id, None)
    outcomes = await stage.engine.sequencer.submit_batch([sell, buy, cancel], nonce=nonce)
    assert stage.log.rows[-1].commands == [nonce, sell, buy, Tick(), cancel]
    seq = outcomes[0].seq
    assert [outcome.seq for outcome in outcomes] == [seq, seq + 1, seq + 3]


async def test_work_that_is_due_goes_before_the_nonce(stage: Stage) -> None:
    gtt, soon_ns = TimeInForce.GTT, stage.clock.wall_ns + SECOND
    await stage.engine.sequencer.submit(replace(stage.place(), time_in_force=gtt, good_till_ns=soon_ns))
    first = await stage.hold_up()
    stage.clock.pass_time(2 * SECOND)
    nonce, place = stage.nonce(), stage.place()
    order = asyncio.create_task(stage.engine.sequencer.submit(place, nonce=nonce))
    await asyncio.sleep(0)
    stage.log.let_through.set()
    await asyncio.gather(first, order)
    assert stage.log.rows[-1].commands == [Tick(), nonce, place]


async def test_a_nonce_counts_as_a_command_of_its_row(stage: Stage) -> None:
    first = await stage.hold_up()
    groups = [
        asyncio.create_task(
            stage.engine.sequencer.submit_batch([stage.place()] * 2, nonce=stage.nonce(ahead_us=number))
        )
        for number in range(4)
    ]
    await asyncio.sleep(0)
    assert stage.engine.sequencer.waiting == 12
    stage.log.let_through.set()
    await asyncio.gather(first, *groups)
    assert [len(row.commands) for row in stage.log.rows] == [1, 6, 6], "a row is full at 4, groups are whole"


async def test_a_nonce_stays_used_over_a_restart(database_url: str) -> None:
    async with await JournalLog.claim(database_url) as log, running(log) as engine:
        sequencer = engine.sequencer
        await sequencer.submit(account_of("alice"))
        time_ns = (await sequencer.submit(account_of("bob"))).time_ns
        await sequencer.submit(approval("alice", "bot", time_ns + 86_400 * SECOND))
        used = UseNonce(key_of("bot"), time_ns // 1_000)
        taken = await sequencer.submit(CancelAll(1_000, None), nonce=used)
        assert taken.events == (AllCancelled(1_000, None, 0),)
    state, rows = await recover(database_url)
    assert rows[-1].commands == [used, CancelAll(1_000, None)]
    async with await JournalLog.claim(database_url) as log, running(log, state=state) as engine:
        sequencer = engine.sequencer
        again = await sequencer.submit(CancelAll(1_000, None), nonce=used)
        assert again.events == (Rejected(RejectReason.NONCE_USED),)
        other = await sequencer.submit(CancelAll(1_000, None), nonce=UseNonce(used.key, used.nonce + 1))
        assert other.events == taken.events


async def test_nothing_of_a_shown_key_is_done_behind_its_revocation_however_it_got_there(
    stage: Stage,
) -> None:
    first = await stage.hold_up()
    key = key_of("bot")
    before = stage.engine.hand_in_for(key, stage.place())
    (revoke,) = stage.engine.hand_in(RevokeAgent(address("alice"), key))
    await asyncio.sleep(0)
    batch = stage.engine.hand_in_for(key, stage.place(), stage.place())
    own = stage.engine.hand_in_for(None, stage.place())
    stage.log.let_through.set()
    await asyncio.gather(first, revoke, own)
    assert isinstance((await before or ())[0].events[0], OrderAccepted)
    revoked = (await revoke).seq
    refused = Outcome(revoked, stage.clock.wall_ns, (Rejected(RejectReason.AGENT_REVOKED),))
    assert await batch == [refused, refused]
    assert (await own or ())[0].seq == revoked + 1
    assert sum(len(row.commands) for row in stage.log.rows) == 4


async def test_what_only_keys_that_are_over_ask_for_makes_no_row(stage: Stage) -> None:
    sequencer, key = stage.engine.sequencer, key_of("bot")
    stage.clock.pass_time(stage.venue.state.agents[key].expires_ns - stage.clock.wall_ns)
    seq = sequencer.committed.seq
    (outcome,) = await stage.engine.hand_in_for(key, stage.place()) or ()
    assert outcome == Outcome(seq, stage.clock.wall_ns, (Rejected(RejectReason.AGENT_EXPIRED),))
    assert stage.log.rows == []
    assert sequencer.horizon_ns() == stage.clock.wall_ns
    assert (await sequencer.submit(account_of("next"))).seq == seq + 1
