"""Halts of withdrawals on a real database."""

import asyncio
from typing import Any

import asyncpg
import pytest

from exchange.chain.errors import HaltNotOpen
from exchange.chain.halts import HaltKind, Halts

VAULT = "0x" + "fa" * 20
OTHER_VAULT = "0x" + "fb" * 20


class Alarm:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def __call__(self, kind: str, detail: str) -> None:
        self.told.append((kind, detail))


async def test_before_the_table_was_read_everything_is_halted(pool):
    halts = Halts(pool)
    assert halts.halted
    assert halts.problem == "withdrawals halted: the table of halts was not read"
    await halts.refresh()
    assert not halts.halted
    assert halts.problem is None


async def test_a_raised_halt_holds_at_once_and_after_a_restart_until_it_is_lifted(pool):
    halts = Halts(pool)
    await halts.refresh()
    await halts.raise_(HaltKind.REORGED_AFTER_CREDIT, "deposit 7 is gone", 31337, VAULT)
    assert halts.halted
    restarted = Halts(pool)
    await restarted.refresh()
    assert restarted.halted
    assert restarted.problem == "withdrawals halted: reorged_after_credit"
    [halt] = await restarted.open()
    assert (halt.kind, halt.chain_id, halt.vault) == (HaltKind.REORGED_AFTER_CREDIT, 31337, VAULT)
    assert halt.detail == "deposit 7 is gone"

    lifted = await halts.lift(halt.id, "alice", "the deposits were made again")
    assert (lifted.lifted_by, lifted.note) == ("alice", "the deposits were made again")
    for each in (halts, restarted):
        await each.refresh()
        assert not each.halted
    assert await pool.fetchval("SELECT count(*) FROM halts WHERE lifted_ms IS NOT NULL") == 1


async def test_raising_again_makes_no_second_halt_until_the_first_is_lifted(pool):
    halts = Halts(pool)
    for _ in range(3):
        await halts.raise_(HaltKind.BOOKS_DIFFER, "by 1 atom", 31337, VAULT)
    [first] = await halts.open()
    await halts.lift(first.id, "alice", "found")
    await halts.raise_(HaltKind.BOOKS_DIFFER, "by 2 atoms", 31337, VAULT)
    [second] = await halts.open()
    assert (second.id, second.detail) == (first.id + 1, "by 2 atoms")


async def test_halts_of_other_kinds_and_vaults_stand_beside_each_other(pool):
    halts = Halts(pool)
    await halts.raise_(HaltKind.BOOKS_DIFFER, "here", 31337, VAULT)
    await halts.raise_(HaltKind.BOOKS_DIFFER, "there", 31337, OTHER_VAULT)
    await halts.raise_(HaltKind.OPERATOR, "asked for", 31337, VAULT)
    first, *others = await halts.open()
    assert len(others) == 2
    await halts.lift(first.id, "alice", "found")
    await halts.refresh()
    assert halts.halted
    assert halts.problem == "withdrawals halted: books_differ, operator"


async def test_two_processes_that_raise_the_same_at_once_make_one_halt(pool):
    several = [Halts(pool) for _ in range(5)]
    await asyncio.gather(*(each.raise_(HaltKind.BOOKS_DIFFER, "so", 31337, VAULT) for each in several))
    assert len(await several[0].open()) == 1


async def test_only_an_open_halt_can_be_lifted(pool):
    halts = Halts(pool)
    with pytest.raises(HaltNotOpen):
        await halts.lift(1, "alice", "why not")
    await halts.raise_(HaltKind.OPERATOR, "", 31337, VAULT)
    [halt] = await halts.open()
    await halts.lift(halt.id, "alice", "enough")
    with pytest.raises(HaltNotOpen):
        await halts.lift(halt.id, "bob", "me too")


async def test_a_halt_that_could_not_be_stored_halts_all_the_same(pool):
    halts = Halts(pool)
    await halts.refresh()
    with pytest.raises(asyncpg.CheckViolationError):
        await halts.raise_(HaltKind.OPERATOR, "", 31337, "no address")
    await halts.refresh()
    assert halts.halted
    assert halts.problem == "withdrawals halted: operator"


class Unread:
    """The real pool; readings of the table can be made to fail."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def fetch(self, *arguments: Any, **more: Any) -> Any:
        if self.fails:
            raise OSError("the connection broke")
        return await self._pool.fetch(*arguments, **more)


async def test_a_halt_that_was_stored_and_could_not_be_read_at_first_ends_when_it_is_lifted(pool):
    breaking = Unread(pool)
    halts = Halts(breaking)
    await halts.refresh()
    breaking.fails = True
    with pytest.raises(OSError, match="broke"):
        await halts.raise_(HaltKind.BOOKS_DIFFER, "by 1 atom", 31337, VAULT)
    assert halts.halted
    assert halts.problem == "withdrawals halted: books_differ"
    breaking.fails = False
    await halts.refresh()
    assert halts.halted
    [halt] = await halts.open()
    await halts.lift(halt.id, "alice", "found")
    await halts.refresh()
    assert not halts.halted
    assert halts.problem is None


async def test_a_stored_halt_that_somebody_lifts_before_it_was_read_is_over(pool):
    breaking = Unread(pool)
    halts = Halts(breaking)
    await halts.refresh()
    breaking.fails = True
    with pytest.raises(OSError, match="broke"):
        await halts.raise_(HaltKind.BOOKS_DIFFER, "by 1 atom", 31337, VAULT)
    [halt] = await Halts(pool).open()
    await Halts(pool).lift(halt.id, "alice", "found")
    assert halts.halted
    breaking.fails = False
    await halts.refresh()
    assert not halts.halted


async def test_when_the_table_can_not_be_read_any_more_everything_is_halted(pool, eventually):
    halts = Halts(pool, poll_s=0.01, max_age_s=0.2)
    task = asyncio.create_task(halts.run())
    await eventually(lambda: not halts.halted)
    await pool.execute("ALTER TABLE halts RENAME TO elsewhere")
    await eventually(lambda: halts.halted)
    await pool.execute("ALTER TABLE elsewhere RENAME TO halts")
    await eventually(lambda: not halts.halted)
    task.cancel()


async def test_a_halt_raised_by_another_process_is_noticed(pool, eventually):
    halts = Halts(pool, poll_s=0.01)
    task = asyncio.create_task(halts.run())
    await eventually(lambda: not halts.halted)
    await Halts(pool).raise_(HaltKind.OPERATOR, "stop", 31337, VAULT)
    await eventually(lambda: halts.halted)
    task.cancel()


async def test_each_process_alerts_once_about_each_halt(pool):
    alarm = Alarm()
    halts = Halts(pool, alarm)
    await halts.raise_(HaltKind.OPERATOR, "stop", 31337, VAULT)
    await halts.raise_(HaltKind.OPERATOR, "stop", 31337, VAULT)
    await halts.refresh()
    assert alarm.told == [("withdrawals_halted", f"halt 1, operator, chain 31337, vault {VAULT}: stop")]
    after_a_restart = Alarm()
    await Halts(pool, after_a_restart).refresh()
    assert after_a_restart.told == alarm.told
