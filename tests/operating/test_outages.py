"""The database dies at every moment of an operator's command: what is unknown is not said to have failed."""

import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from tests.fixtures.door import door

from exchange import operating
from exchange.chain.halts import HaltKind, Halts
from exchange.cli import EXPECTED_ERRORS
from exchange.core.words import AccountState
from exchange.examine import run_audit, run_replay
from exchange.operating import (
    CannotOperate,
    OutcomeUnknown,
    lift_halt,
    list_accounts,
    list_halts,
    list_reviews,
    raise_halt,
    set_account_state,
)
from exchange.stores.errors import DatabaseUnreachable

Work = Callable[[str], Awaitable[None]]
Prepare = Callable[[], Awaitable[object]]
Count = Callable[[], Awaitable[int]]

pytestmark = pytest.mark.timeout(300)


async def ends(url: str, prepare: Prepare, work: Work, done: Count) -> list[type[Exception] | None]:
    """How the work ends when the database dies before each of its pieces; None: it was done in time.

    `done` counts what the work has changed; what has changed must never have been called unreachable.
    """
    found: list[type[Exception] | None] = []
    for pieces in itertools.count(1):
        await prepare()
        before = await done()
        ended: Exception | None = None
        async with door(url, pieces) as shut:
            try:
                await work(shut.url)
            except EXPECTED_ERRORS as error:
                ended = error
            was_shut = shut.is_shut
        changed = await done() - before
        if isinstance(ended, DatabaseUnreachable):
            assert changed == 0, f"it was done, and said to have failed at piece {pieces}: {ended}"
        if ended is None:
            assert changed == 1
        found.append(None if ended is None else type(ended))
        if not was_shut:
            return found
    raise AssertionError("unreachable")


async def test_a_halt_that_may_have_been_made_is_not_said_to_have_failed(database_url, pool, capsys):
    async def none() -> None:
        await pool.execute("DELETE FROM halts")

    async def halts() -> int:
        return int(await pool.fetchval("SELECT count(*) FROM halts"))

    async def halt(url: str) -> None:
        await raise_halt(url, None, "alice", "a drill")

    found = await ends(database_url, none, halt, halts)
    assert set(found[:-1]) == {DatabaseUnreachable, OutcomeUnknown}
    assert found[0] is DatabaseUnreachable
    assert found[-1] is None


async def test_nor_is_the_end_of_a_halt(database_url, pool, capsys):
    async def lifted() -> int:
        return int(await pool.fetchval("SELECT count(*) FROM halts WHERE lifted_by IS NOT NULL"))

    async def one() -> None:
        await Halts(pool).raise_(HaltKind.OPERATOR, "again", 31337, "0x" + "fa" * 20)

    async def lift(url: str) -> None:
        newest = int(await pool.fetchval("SELECT max(id) FROM halts"))
        await lift_halt(url, None, newest, "alice", "made good")

    found = await ends(database_url, one, lift, lifted)
    assert set(found[:-1]) == {DatabaseUnreachable, OutcomeUnknown}


async def test_nor_is_a_change_of_an_account(database_url, pool, monkeypatch):
    monkeypatch.setattr(operating, "ANSWER_WAIT_S", 0.3)  # there is no exchange that takes it up

    async def requests() -> int:
        return int(await pool.fetchval("SELECT count(*) FROM operator_requests"))

    async def nothing() -> None:
        pass

    async def freeze(url: str) -> None:
        await set_account_state(url, None, 7, AccountState.FROZEN, "alice", "a drill")

    found = await ends(database_url, nothing, freeze, requests)
    assert set(found[:-1]) == {DatabaseUnreachable, OutcomeUnknown}
    assert found[-1] is CannotOperate


@pytest.mark.parametrize(
    "work",
    [
        lambda url: list_halts(url, None),
        lambda url: list_accounts(url, None),
        lambda url: list_reviews(url, None),
        lambda url: run_replay(url, None, verifying=True),
        lambda url: run_audit(url, None),
    ],
)
async def test_what_only_reads_ends_with_one_line_whenever_the_database_dies(database_url, pool, work):
    for pieces in range(1, 60, 4):
        async with door(database_url, pieces) as shut:
            with suppress(*EXPECTED_ERRORS):
                await work(shut.url)
