"""A caller's batch: one entry, one row, one outcome each, and nobody else's command between."""

import asyncio

import pytest
from tests.core.venue import address
from tests.journal.scribe import recover
from tests.sequencer.engine import GatedLog, account_of, running

from exchange.core import apply
from exchange.core.commands import CancelOrder
from exchange.core.events import AccountKnown, AccountOpened, Rejected
from exchange.core.rejects import RejectReason
from exchange.journal.errors import AppendUnknown
from exchange.journal.log import JournalLog
from exchange.sequencer.sequencer import MAX_GROUP, EngineStopped


async def test_a_batch_has_an_outcome_for_each_command_in_order(database_url: str) -> None:
    async with await JournalLog.claim(database_url) as log, running(log) as engine:
        outcomes = await engine.sequencer.submit_batch(
            [account_of("alice"), CancelOrder(7, 7), account_of("alice"), account_of("bob")]
        )
        assert engine.sequencer.committed.seq == 4
    assert [outcome.seq for outcome in outcomes] == [1, 2, 3, 4]
    opened, refused, known, second = (outcome.events[0] for outcome in outcomes)
    assert isinstance(opened, AccountOpened)
    assert refused == Rejected(RejectReason.UNKNOWN_ACCOUNT)
    assert known == AccountKnown(opened.account_id)
    assert isinstance(second, AccountOpened)
    _, rows = await recover(database_url)
    assert [(row.seq_first, row.seq_last) for row in rows] == [(1, 4)]


async def test_no_other_callers_command_comes_between() -> None:
    log = GatedLog()
    async with running(log) as engine:
        first = engine.hand_in(account_of("first"))
        await log.until_asked()
        singles, batches = [], []
        for number in range(6):
            singles += engine.hand_in(account_of(f"single{number}"))
            batches.append(engine.hand_in_batch(*(account_of(f"b{number}{n}") for n in range(3))))
        await asyncio.sleep(0)
        log.let_through.set()
        await asyncio.gather(*first)
        seqs_of_singles = [(await caller).seq for caller in singles]
        seqs_of_batches = [[outcome.seq for outcome in await caller] for caller in batches]
    assert seqs_of_singles == [2, 6, 10, 14, 18, 22], "first come, first served"
    assert seqs_of_batches == [[seq + 1, seq + 2, seq + 3] for seq in seqs_of_singles]
    assert log.appended == [1, 25]


async def test_a_batch_is_in_one_row_even_when_the_row_is_full(database_url: str) -> None:
    """The row's bounds are looked at between the entries of the inbox, never inside one."""
    async with await JournalLog.claim(database_url) as log, running(log, max_batch=7) as engine:
        groups = [
            engine.hand_in_batch(*(account_of(f"{group}-{number}") for number in range(5)))
            for group in range(4)
        ]
        outcomes = await asyncio.gather(*groups)
    _, rows = await recover(database_url)
    assert [(row.seq_first, row.seq_last) for row in rows] == [(1, 10), (11, 20)]
    for each in outcomes:
        assert len({outcome.time_ns for outcome in each}) == 1


async def test_a_batch_ends_a_row_only_after_its_last_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.sequencer.row.MAX_BATCH_EVENTS", 3)
    log = GatedLog()
    log.let_through.set()
    async with running(log) as engine:
        callers = [engine.hand_in_batch(*(account_of(f"{group}{n}") for n in range(5))) for group in range(2)]
        await asyncio.gather(*callers)
    assert log.appended == [5, 10]


async def test_a_batch_may_have_as_many_commands_as_allowed_and_no_more() -> None:
    log = GatedLog()
    log.let_through.set()
    async with running(log) as engine:
        outcomes = await engine.sequencer.submit_batch([account_of(f"p{n}") for n in range(MAX_GROUP)])
        assert len(outcomes) == MAX_GROUP == 100
        for commands in ([], [account_of(f"q{n}") for n in range(MAX_GROUP + 1)]):
            with pytest.raises(AssertionError):
                await engine.sequencer.submit_batch(commands)
    assert log.appended == [MAX_GROUP]


async def test_a_caller_that_changes_its_list_afterwards_changes_nothing() -> None:
    log = GatedLog()
    async with running(log) as engine:
        first = engine.hand_in(account_of("first"))
        await log.until_asked()
        commands = [account_of("alice"), account_of("bob")]
        caller = asyncio.create_task(engine.sequencer.submit_batch(commands))
        await asyncio.sleep(0)
        commands.clear()
        log.let_through.set()
        assert len(await caller) == 2
        await asyncio.gather(*first)
    assert log.rows[1].commands == [account_of("alice"), account_of("bob")]


async def test_a_caller_that_goes_away_cancels_no_part_of_its_batch(database_url: str) -> None:
    async with await JournalLog.claim(database_url) as real:
        log = GatedLog(real)
        async with running(log) as engine:
            waiting = engine.hand_in_batch(account_of("alice"), account_of("bob"))
            await log.until_asked()
            queued = engine.hand_in_batch(account_of("carol"), account_of("dave"))
            await asyncio.sleep(0)
            waiting.cancel()
            queued.cancel()
            await asyncio.sleep(0)
            log.let_through.set()
            assert (await engine.sequencer.submit(account_of("after"))).seq == 5
            assert waiting.cancelled()
            assert queued.cancelled()
    state, _ = await recover(database_url)
    assert {address(name) for name in ("alice", "bob", "carol", "dave", "after")} == {
        owner for owner, _ in state.account_by_owner
    }


async def test_when_the_engine_ends_the_whole_batch_is_unknown() -> None:
    log = GatedLog()
    log.failure = AppendUnknown(1, 2)
    async with running(log) as engine:
        committing = engine.hand_in_batch(account_of("alice"), account_of("bob"))
        await log.until_asked()
        waiting = engine.hand_in_batch(account_of("carol"), account_of("dave"))
        await asyncio.sleep(0)
        log.let_through.set()
        assert await engine.stopped() is log.failure
        for caller in (committing, waiting):
            with pytest.raises(EngineStopped):
                await caller
        with pytest.raises(EngineStopped):
            await engine.sequencer.submit_batch([account_of("later")])
        assert engine.sequencer.committed.seq == 0


async def test_a_bug_in_the_middle_of_a_batch_tells_its_caller_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was applied of it is committed nowhere: the process ends, and its caller is not left waiting."""

    def broken(state: object, command: object) -> None:
        raise AssertionError("a broken invariant")

    monkeypatch.setitem(apply._HANDLERS, CancelOrder, broken)
    log = GatedLog()
    log.let_through.set()
    async with running(log) as engine:
        caller = engine.hand_in_batch(account_of("alice"), CancelOrder(1_000, 1), account_of("bob"))
        assert isinstance(await engine.stopped(), AssertionError)
        with pytest.raises(EngineStopped):
            await caller
    assert log.appended == []
