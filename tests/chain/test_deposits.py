"""The deposit watcher against a real chain and a real database: crediting, and coming back after a crash."""

import asyncio
import itertools
from typing import Any

import pytest
from tests.chain.conftest import CONFIRMATIONS, ETHER, nothing_displaced

from exchange.chain.deposits import DepositWatcher, pending_deposits
from exchange.chain.dev_keys import DEV_CHAIN_ID, dev_address
from exchange.chain.errors import ChainMoved, DepositsDisagree
from exchange.chain.finality import Finality
from exchange.core.commands import CreditDeposit


async def test_a_native_deposit_is_credited_exactly_once_after_its_confirmations(
    watch, wallet, exchange, mine
):
    alice = wallet(0)
    await alice.deposit_native(3 * ETHER)
    watcher = watch()
    await watcher.poll()
    assert exchange.available_atoms(alice.address, "ETH") == 0
    await mine(1)
    await watcher.poll()
    assert exchange.available_atoms(alice.address, "ETH") == 0
    await mine(1)
    await watcher.poll()
    assert exchange.available_atoms(alice.address, "ETH") == 3 * ETHER
    await mine(5)
    await watcher.poll()
    assert exchange.available_atoms(alice.address, "ETH") == 3 * ETHER
    assert len(exchange.submitted(CreditDeposit)) == 1


async def test_token_deposits_are_credited_in_the_vaults_order_to_the_named_account(
    watch, wallet, exchange, mine
):
    alice, bob = wallet(0), wallet(1)
    await alice.approve("USDC")
    await alice.approve("WBTC")
    await alice.deposit_token("USDC", 5_000_000)
    await alice.deposit_token("WBTC", 7, owner=bob.address)
    await bob.deposit_native(1)
    await mine(CONFIRMATIONS)
    await watch().poll()
    assert [command.number for command in exchange.submitted(CreditDeposit)] == [1, 2, 3]
    assert exchange.available_atoms(alice.address, "USDC") == 5_000_000
    assert exchange.available_atoms(bob.address, "WBTC") == 7
    assert exchange.available_atoms(bob.address, "ETH") == 1


async def test_with_one_confirmation_a_deposit_is_credited_in_its_own_block(watch, wallet, exchange):
    await wallet(0).deposit_native(5)
    await watch(confirmations=1).poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 5


async def test_a_pending_deposit_is_listed_with_its_confirmations_until_it_is_credited(
    watch, wallet, pool, mine
):
    alice = wallet(0)
    tx_hash = await alice.deposit_native(9)
    watcher = watch()
    await watcher.poll()
    [pending] = await pending_deposits(pool, alice.address)
    assert (pending.number, pending.amount_atoms, pending.tx_hash) == (1, 9, tx_hash)
    assert pending.confirmations(watcher.head_number) == 1
    await mine(1)
    await watcher.poll()
    assert pending.confirmations(watcher.head_number) == 2
    assert await pending_deposits(pool, dev_address(1)) == []
    await mine(1)
    await watcher.poll()
    assert await pending_deposits(pool, alice.address) == []


async def test_the_running_watcher_credits_without_being_told(watch, wallet, exchange, mine, eventually):
    watcher = watch()
    task = asyncio.create_task(watcher.run())
    await wallet(0).deposit_native(4)
    await mine(CONFIRMATIONS)
    await eventually(lambda: exchange.available_atoms(dev_address(0), "ETH") == 4)
    assert watcher.status().condition is None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_long_history_is_scanned_in_ranges(
    watch, wallet, exchange, mine, pool, faulty_rpc, monkeypatch
):
    monkeypatch.setattr("exchange.chain.deposit_logs.MAX_RANGE_BLOCKS", 50)
    for amount in (1, 2, 3):
        await wallet(0).deposit_native(amount)
        await mine(150)
    ranges: list[tuple[int, int]] = []

    def note(method: str, params: tuple[Any, ...]) -> None:
        if method == "eth_getLogs":
            ranges.append((int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)))

    faulty_rpc.before = note
    await watch().poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 6
    assert max(last - first + 1 for first, last in ranges) == 50
    assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(ranges))
    assert await pool.fetchval("SELECT count(*) FROM chain_blocks") < 140


# ------------------------------------------------------------------------------------ restarts


async def test_a_watcher_restarted_for_every_poll_credits_the_same(watch, wallet, exchange, mine, pool):
    await wallet(0).approve("USDC")
    for amount in (5, 6, 7):
        await wallet(0).deposit_token("USDC", amount)
        await watch().poll()
        await mine(1)
        await watch().poll()
    await mine(CONFIRMATIONS)
    await watch().poll()
    assert exchange.available_atoms(dev_address(0), "USDC") == 18
    assert [command.number for command in exchange.submitted(CreditDeposit)] == [1, 2, 3]
    assert await pending_deposits(pool, dev_address(0)) == []


class Crash(BaseException):
    """The process ends here."""


async def test_a_watcher_killed_at_any_request_to_the_node_credits_exactly_once_after_its_restart(
    watch, wallet, exchange, mine, rpc, faulty_rpc, pool
):
    credited = 0
    for step in range(60):
        await wallet(0).deposit_native(1)
        credited += 1
        await mine(CONFIRMATIONS)
        countdown = step

        def crash(method: str, params: tuple[Any, ...], answer: Any) -> Any:
            nonlocal countdown
            countdown -= 1
            if countdown < 0:
                raise Crash
            return answer

        faulty_rpc.after = crash
        finished = False
        try:
            await watch().poll()
            finished = True
        except Crash:
            pass
        faulty_rpc.heal()
        await watch().poll()
        assert exchange.available_atoms(dev_address(0), "ETH") == credited
        if finished:
            break
    else:
        pytest.fail("the watcher never got through")
    assert len(exchange.submitted(CreditDeposit)) == credited


async def test_a_crash_between_the_credit_and_its_note_is_harmless(watch, wallet, exchange, mine, pool):
    await wallet(0).deposit_native(3)
    await mine(CONFIRMATIONS)

    async def submit_and_crash(commands):
        await exchange.submit_batch(commands)
        raise Crash

    watcher = watch()
    watcher._crediting._submit_batch = submit_and_crash
    with pytest.raises(Crash):
        await watcher.poll()
    assert len(await pending_deposits(pool, dev_address(0))) == 1
    await watch().poll()
    assert await pending_deposits(pool, dev_address(0)) == []
    assert exchange.available_atoms(dev_address(0), "ETH") == 3


async def test_rows_that_vanish_while_they_are_credited_end_the_pass_and_are_read_again(
    rpc, pool, exchange, deployment, wallet
):
    class Emptied:
        """The real pool; somebody empties the table before the first batch of credits is read."""

        lost = False

        def __getattr__(self, name: str) -> Any:
            return getattr(pool, name)

        async def fetch(self, statement: str, *values: Any) -> Any:
            if "ORDER BY number LIMIT" in statement and not self.lost:
                self.lost = True
                await pool.execute("DELETE FROM vault_deposits")
            return await pool.fetch(statement, *values)

    watcher = DepositWatcher(
        rpc,
        Emptied(),
        exchange.submit_batch,
        exchange.committed,
        chain_id=DEV_CHAIN_ID,
        vault=deployment.vault,
        deploy_block=deployment.deploy_block,
        finality=Finality(1),
        on_displaced=nothing_displaced,
    )
    await wallet(0).deposit_native(3)
    with pytest.raises(ChainMoved):
        await asyncio.wait_for(watcher.poll(), 5)
    with pytest.raises(DepositsDisagree):
        await watcher.poll()
    await watcher.poll()
    assert exchange.available_atoms(wallet(0).address, "ETH") == 3


async def test_lost_tables_are_rebuilt_from_the_chain_without_crediting_again(
    watch, wallet, exchange, mine, pool
):
    await wallet(0).deposit_native(3)
    await mine(CONFIRMATIONS)
    await watch().poll()
    await pool.execute("TRUNCATE chain_blocks, vault_deposits")
    await wallet(0).deposit_native(4)
    await mine(CONFIRMATIONS)
    await watch().poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 7
    assert [command.number for command in exchange.submitted(CreditDeposit)] == [1, 2]
    assert await pending_deposits(pool, dev_address(0)) == []
