"""What operators ask for is done by the engine, once, in order: a real engine and a real database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
from tests.sequencer.engine import Running, running

from exchange.core.commands import Command, OpenAccount, SetAccountState, SetRateClass
from exchange.core.words import AccountState, RateClass
from exchange.journal.log import JournalLog
from exchange.operator.inbox import OperatorInbox
from exchange.operator.requests import EXPIRED, INTERRUPTED, MAX_AGE_S, Answer, OperatorRequests
from exchange.sequencer.sequencer import EngineStopped, Outcome, Overloaded

ALICE = "0x" + "01" * 20


@dataclass
class Desk:
    """An engine with Alice's account, and the requests of its operators."""

    engine: Running
    pool: asyncpg.Pool
    requests: OperatorRequests
    account_id: int

    def inbox(self) -> OperatorInbox:
        """A new one, as after a restart."""
        return OperatorInbox(self.pool, self.engine.sequencer.submit, poll_s=0.01)

    async def ask(self, state: AccountState, account_id: int | None = None) -> int:
        return await self.requests.add(account_id or self.account_id, state, "operator", "a test")

    @property
    def state(self) -> AccountState:
        return self.engine.sequencer.committed.account_state(self.account_id)


@pytest.fixture
async def desk(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Desk]:
    async with await JournalLog.claim(database_url) as log, running(log) as engine:
        outcome = await engine.sequencer.submit(OpenAccount(ALICE))
        yield Desk(engine, pool, OperatorRequests(pool), outcome.events[0].account_id)


async def test_a_request_is_journaled_and_answered_with_its_seq(desk: Desk) -> None:
    request_id = await desk.ask(AccountState.FROZEN)
    assert await desk.requests.answer(request_id) is None
    assert await desk.inbox().take_up() == 1
    assert desk.state is AccountState.FROZEN
    answer = await desk.requests.answer(request_id)
    assert answer == Answer(desk.engine.sequencer.committed.seq, None)


async def test_requests_are_done_in_the_order_in_which_they_were_made(desk: Desk) -> None:
    for state in (AccountState.FROZEN, AccountState.ACTIVE, AccountState.CANCEL_ONLY):
        await desk.ask(state)
    assert await desk.inbox().take_up() == 3
    assert desk.state is AccountState.CANCEL_ONLY
    assert await desk.inbox().take_up() == 0


async def test_a_rate_class_is_asked_for_in_the_same_line(desk: Desk) -> None:
    first = await desk.ask(AccountState.FROZEN)
    second = await desk.requests.add_rate_class(ALICE, RateClass.MARKET_MAKER, "operator", "a test")
    third = await desk.requests.add_rate_class("0xnobody", RateClass.MARKET_MAKER, "operator", "a test")
    seq = desk.engine.sequencer.committed.seq
    assert await desk.inbox().take_up() == 3
    assert await desk.requests.answer(first) == Answer(seq + 1, None)
    assert await desk.requests.answer(second) == Answer(seq + 2, None)
    assert await desk.requests.answer(third) == Answer(seq + 3, "unknown_account")
    assert desk.engine.sequencer.committed.rate_class(ALICE) is RateClass.MARKET_MAKER
    assert desk.state is AccountState.FROZEN


async def test_a_rate_class_that_was_under_way_when_the_process_ended_is_not_set_again(desk: Desk) -> None:
    async def die(_command: Command) -> Outcome:
        raise EngineStopped

    request_id = await desk.requests.add_rate_class(ALICE, RateClass.MARKET_MAKER, "operator", "a test")
    with pytest.raises(EngineStopped):
        await OperatorInbox(desk.pool, die).take_up()
    await desk.engine.sequencer.submit(SetRateClass(ALICE, RateClass.STANDARD))
    assert await desk.inbox().take_up() == 0
    assert await desk.requests.answer(request_id) == Answer(None, INTERRUPTED)
    assert desk.engine.sequencer.committed.rate_class(ALICE) is RateClass.STANDARD


async def test_a_request_is_about_one_thing(desk: Desk) -> None:
    """The table refuses what no request of the code can be."""
    wrong = [
        ("set_account_state", 1_000, "frozen", ALICE, None),
        ("set_account_state", None, "frozen", None, None),
        ("set_rate_class", None, None, ALICE, None),
        ("set_rate_class", None, None, None, "standard"),
        ("set_rate_class", 1_000, None, ALICE, "standard"),
        ("set_rate_class", None, None, ALICE, "huge"),
        ("set_fees", None, None, ALICE, "standard"),
    ]
    for content in wrong:
        with pytest.raises(asyncpg.CheckViolationError):
            await desk.pool.execute(
                "INSERT INTO operator_requests"
                " (action, account_id, state, owner, rate_class, requested_by, note, requested_ms)"
                " VALUES ($1, $2, $3, $4, $5, 'operator', 'a test', 1)",
                *content,
            )


async def test_a_refusal_is_the_answer(desk: Desk) -> None:
    request_id = await desk.ask(AccountState.FROZEN, account_id=999)
    await desk.inbox().take_up()
    answer = await desk.requests.answer(request_id)
    assert answer is not None
    assert (answer.seq, answer.refusal) == (desk.engine.sequencer.committed.seq, "unknown_account")


async def test_what_the_engine_does_not_take_in_is_refused(desk: Desk) -> None:
    async def full(command: Command) -> Outcome:
        raise Overloaded(1)

    request_id = await desk.ask(AccountState.FROZEN)
    await OperatorInbox(desk.pool, full).take_up()
    answer = await desk.requests.answer(request_id)
    assert answer is not None
    assert answer.seq is None
    assert answer.refusal is not None
    assert desk.state is AccountState.ACTIVE


@pytest.mark.parametrize("it_took_effect", [False, True])
async def test_a_request_that_was_under_way_when_the_process_ended_is_not_done_again(
    desk: Desk, it_took_effect: bool
) -> None:
    async def die(command: Command) -> Outcome:
        if it_took_effect:
            await desk.engine.sequencer.submit(command)
        raise EngineStopped

    request_id = await desk.ask(AccountState.FROZEN)
    with pytest.raises(EngineStopped):
        await OperatorInbox(desk.pool, die).take_up()
    await desk.engine.sequencer.submit(SetAccountState(desk.account_id, AccountState.CANCEL_ONLY))
    next_id = await desk.ask(AccountState.ACTIVE, account_id=999)
    assert await desk.inbox().take_up() == 1
    assert await desk.requests.answer(request_id) == Answer(None, INTERRUPTED)
    assert desk.state is AccountState.CANCEL_ONLY
    assert await desk.requests.answer(next_id) is not None


async def made_earlier(desk: Desk, request_id: int, seconds: float) -> None:
    await desk.pool.execute(
        "UPDATE operator_requests SET requested_ms = requested_ms - $2 WHERE id = $1",
        request_id,
        int(1_000 * seconds),
    )


async def test_a_request_that_waited_for_more_than_a_minute_is_not_done_any_more(desk: Desk) -> None:
    """Something else may have been decided since: a freeze that followed on it would be undone."""
    old = await desk.ask(AccountState.ACTIVE)
    await made_earlier(desk, old, MAX_AGE_S + 1)
    new = await desk.ask(AccountState.CANCEL_ONLY)
    await made_earlier(desk, new, MAX_AGE_S - 30)
    await desk.engine.sequencer.submit(SetAccountState(desk.account_id, AccountState.FROZEN))
    seq = desk.engine.sequencer.committed.seq
    assert await desk.inbox().take_up() == 1
    assert await desk.requests.answer(old) == Answer(None, EXPIRED)
    assert await desk.requests.answer(new) == Answer(seq + 1, None)
    assert desk.state is AccountState.CANCEL_ONLY


async def test_a_request_that_expires_while_those_before_it_are_done_is_not_done(desk: Desk) -> None:
    first, second = await desk.ask(AccountState.FROZEN), await desk.ask(AccountState.ACTIVE)

    async def slowly(command: Command) -> Outcome:
        await made_earlier(desk, second, MAX_AGE_S + 1)
        return await desk.engine.sequencer.submit(command)

    inbox = OperatorInbox(desk.pool, slowly)
    assert await inbox.take_up() == 1
    assert desk.state is AccountState.FROZEN
    assert await desk.requests.answer(second) is None
    assert await inbox.take_up() == 0
    assert await desk.requests.answer(second) == Answer(None, EXPIRED)
    assert await desk.requests.answer(first) is not None


async def test_an_outage_of_the_database_is_waited_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.operator.inbox.OUTAGE_PAUSE_S", 0.01)
    await desk.pool.execute("ALTER TABLE operator_requests RENAME TO elsewhere")
    working = asyncio.create_task(desk.inbox().run())
    await asyncio.sleep(0.05)
    await desk.pool.execute("ALTER TABLE elsewhere RENAME TO operator_requests")
    request_id = await desk.ask(AccountState.FROZEN)
    async with asyncio.timeout(10):
        while await desk.requests.answer(request_id) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert desk.state is AccountState.FROZEN
    working.cancel()


@pytest.mark.parametrize(("by", "note"), [("", "why"), ("operator", "")])
async def test_a_request_says_who_and_why(desk: Desk, by: str, note: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await desk.requests.add(desk.account_id, AccountState.FROZEN, by, note)
