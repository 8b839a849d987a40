"""Many deposits at once: in groups, in order, exactly once, whatever the engine says."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.chain.conftest import Exchange

from exchange.chain.crediting import GROUPS_AT_ONCE, Crediting
from exchange.chain.deposit_rows import DepositRows, Rolled
from exchange.chain.dev_keys import DEV_CHAIN_ID, dev_address
from exchange.chain.errors import ChainMoved, CreditRefused
from exchange.chain.rpc import Header
from exchange.chain.vault import Deposit, deposit_hash_origin, next_deposit_hash
from exchange.core.commands import Command, CreditDeposit, ListAsset, OpenAccount
from exchange.core.markets import NATIVE_TOKEN
from exchange.sequencer.sequencer import MAX_GROUP, EngineStopped, Outcome, Overloaded

VAULT = "0x" + "fa" * 20
OWNER = dev_address(0)


@pytest.fixture
async def ledger() -> Exchange:
    """An exchange that knows the coin and one account."""
    exchange = Exchange()
    await exchange.submit(ListAsset("ETH", 18, DEV_CHAIN_ID, VAULT, NATIVE_TOKEN))
    await exchange.submit(OpenAccount(OWNER))
    return exchange


class Engine:
    """The exchange's door, which may be narrow, or shut at some moment."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.groups: list[int] = []
        self.room = MAX_GROUP
        self.dies_at_group: int | None = None

    async def submit_batch(self, commands: Sequence[Command]) -> list[Outcome]:
        if len(commands) > self.room:
            raise Overloaded(1)
        self.groups.append(len(commands))
        number, dies_at = len(self.groups), self.dies_at_group
        if dies_at is not None and number > dies_at:
            raise EngineStopped
        outcomes = await self.exchange.submit_batch(commands)
        if number == dies_at:
            raise EngineStopped  # what was handed in is committed, and nobody is told
        return outcomes


async def stored(pool: Any, count: int) -> DepositRows:
    """The rows of so many deposits of 1 atom, two in a block."""
    rows = DepositRows(pool, DEV_CHAIN_ID, VAULT)
    last = Rolled(0, deposit_hash_origin(DEV_CHAIN_ID, VAULT))
    deposits: list[Deposit] = []
    for number in range(1, count + 1):
        last = Rolled(number, next_deposit_hash(last.deposit_hash, number, OWNER, NATIVE_TOKEN, 1))
        block = 1 + number // 2
        deposits.append(
            Deposit(
                number, OWNER, NATIVE_TOKEN, 1, OWNER, last.deposit_hash, f"0x{number:064x}", 0, block,
                f"0x{block:064x}",
            )
        )  # fmt: skip
    await rows.append([Header(1 + count // 2, "0x" + "11" * 32, "0x" + "22" * 32, 0, 0)], deposits, [])
    return rows


def crediting(rows: DepositRows, engine: Engine) -> Crediting:
    """A new one, as after a restart."""
    return Crediting(rows, engine.submit_batch, engine.exchange.committed, DEV_CHAIN_ID, VAULT)


def numbers(exchange: Exchange) -> list[int]:
    return [command.number for command in exchange.submitted(CreditDeposit)]


async def test_a_long_list_is_credited_in_order_and_in_full_groups(pool, ledger):
    count = GROUPS_AT_ONCE * MAX_GROUP + MAX_GROUP + 7
    rows, engine = await stored(pool, count), Engine(ledger)
    await crediting(rows, engine).up_to(count)
    assert numbers(ledger) == list(range(1, count + 1))
    assert ledger.available_atoms(OWNER, "ETH") == count
    assert engine.groups == [MAX_GROUP] * (count // MAX_GROUP) + [7]


async def test_no_more_than_what_is_confirmed_is_credited(pool, ledger):
    rows, engine = await stored(pool, 30), Engine(ledger)
    await crediting(rows, engine).up_to(12)
    assert numbers(ledger) == list(range(1, 13))
    await crediting(rows, engine).up_to(30)
    assert numbers(ledger) == list(range(1, 31))


@pytest.mark.parametrize("room", [1, 3, MAX_GROUP - 1])
async def test_an_engine_with_little_room_is_given_smaller_groups(pool, ledger, room):
    rows, engine = await stored(pool, 250), Engine(ledger)
    engine.room = room
    await crediting(rows, engine).up_to(250)
    assert numbers(ledger) == list(range(1, 251))
    assert max(engine.groups) <= room


async def test_an_engine_without_any_room_is_asked_again_later(pool, ledger):
    rows, engine = await stored(pool, 250), Engine(ledger)
    engine.room = 0
    work = crediting(rows, engine)
    with pytest.raises(Overloaded):
        await work.up_to(250)
    assert numbers(ledger) == []
    engine.room = MAX_GROUP
    await work.up_to(250)
    assert numbers(ledger) == list(range(1, 251))
    assert max(engine.groups) > 1


@pytest.mark.parametrize("group", [1, 2, 3])
async def test_after_an_unknown_outcome_the_ledger_says_where_to_go_on(pool, ledger, group):
    rows, engine = await stored(pool, 250), Engine(ledger)
    engine.dies_at_group = group
    with pytest.raises(EngineStopped):
        await crediting(rows, engine).up_to(250)
    engine.dies_at_group = None
    await crediting(rows, engine).up_to(250)
    assert ledger.available_atoms(OWNER, "ETH") == 250
    assert numbers(ledger) == list(range(1, 251))


async def test_two_that_credit_the_same_at_once_credit_it_once(pool, ledger):
    rows, engine = await stored(pool, 250), Engine(ledger)
    await asyncio.gather(crediting(rows, engine).up_to(250), crediting(rows, engine).up_to(250))
    assert ledger.available_atoms(OWNER, "ETH") == 250


async def test_a_row_that_is_missing_ends_it_before_anything_after_is_credited(pool, ledger):
    rows, engine = await stored(pool, 250), Engine(ledger)
    await pool.execute("DELETE FROM vault_deposits WHERE number = 1")
    with pytest.raises(ChainMoved):
        await crediting(rows, engine).up_to(250)
    assert numbers(ledger) == []


async def test_a_refusal_names_the_deposit(pool, ledger):
    rows, engine = await stored(pool, 250), Engine(ledger)
    await pool.execute("UPDATE vault_deposits SET amount_atoms = 0 WHERE number = 120")
    with pytest.raises(CreditRefused) as refused:
        await crediting(rows, engine).up_to(250)
    assert refused.value.number == 120
    assert ledger.available_atoms(OWNER, "ETH") == 119
