"""The deposit watcher through reorganizations of a real chain."""

import asyncio

import pytest
from tests.chain.conftest import CONFIRMATIONS, reorganize

from exchange.chain.deposits import pending_deposits
from exchange.chain.dev_keys import dev_address
from exchange.chain.errors import ReorgedAfterCredit
from exchange.core.commands import CreditDeposit


@pytest.mark.parametrize("depth", [1, 2, CONFIRMATIONS, CONFIRMATIONS + 5, 40])
async def test_a_deposit_reorganized_away_before_credit_is_dropped(
    watch, wallet, exchange, mine, rpc, pool, depth
):
    await mine(depth)
    watcher = watch(confirmations=depth + 1)
    await wallet(0).deposit_native(1)
    await mine(depth - 1)
    await watcher.poll()
    assert len(await pending_deposits(pool, dev_address(0))) == 1
    await reorganize(rpc, depth)
    await watcher.poll()
    assert await pending_deposits(pool, dev_address(0)) == []
    await mine(depth + 2)
    await watcher.poll()
    assert exchange.submitted(CreditDeposit) == []


async def test_a_deposit_moved_to_a_later_block_waits_for_its_confirmations_there(
    watch, wallet, exchange, mine, rpc, pool
):
    snapshot = await rpc.call("evm_snapshot")
    alice = wallet(0)
    await alice.deposit_native(8)
    await mine(1)
    watcher = watch()
    await watcher.poll()
    [first_place] = await pending_deposits(pool, alice.address)
    await rpc.call("evm_revert", snapshot)
    await mine(2)
    await alice.deposit_native(8)
    await watcher.poll()
    [second_place] = await pending_deposits(pool, alice.address)
    assert second_place.block_number == first_place.block_number + 2
    assert exchange.available_atoms(alice.address, "ETH") == 0
    await mine(2)
    await watcher.poll()
    assert exchange.available_atoms(alice.address, "ETH") == 8
    assert len(exchange.submitted(CreditDeposit)) == 1


async def test_a_number_taken_over_by_another_deposit_credits_only_the_one_that_stayed(
    watch, wallet, exchange, mine, rpc
):
    snapshot = await rpc.call("evm_snapshot")
    await wallet(0).deposit_native(8)
    watcher = watch()
    await watcher.poll()
    await rpc.call("evm_revert", snapshot)
    await wallet(1).deposit_native(2)
    await mine(CONFIRMATIONS)
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 0
    assert exchange.available_atoms(dev_address(1), "ETH") == 2


async def test_a_deposit_duplicated_by_a_reorganization_is_credited_as_often_as_the_vault_counts_it(
    watch, wallet, exchange, mine, rpc
):
    snapshot = await rpc.call("evm_snapshot")
    alice = wallet(0)
    await alice.deposit_native(8)
    watcher = watch()
    await watcher.poll()
    await rpc.call("evm_revert", snapshot)
    await alice.deposit_native(8)
    await alice.deposit_native(8)
    await mine(CONFIRMATIONS)
    await watcher.poll()
    assert exchange.available_atoms(alice.address, "ETH") == 16
    assert [command.number for command in exchange.submitted(CreditDeposit)] == [1, 2]


async def test_a_shorter_branch_is_followed_too(watch, wallet, exchange, mine, rpc, pool):
    watcher = watch()
    await watcher.poll()
    snapshot = await rpc.call("evm_snapshot")
    await wallet(0).deposit_native(8)
    await mine(1)
    await watcher.poll()
    await rpc.call("evm_revert", snapshot)
    await watcher.poll()  # the node is behind on the same branch: it may only lag
    assert len(await pending_deposits(pool, dev_address(0))) == 1
    await mine(1)
    await watcher.poll()
    assert await pending_deposits(pool, dev_address(0)) == []


async def test_a_reorganization_deeper_than_a_credit_stops_crediting_and_says_so(
    watch, wallet, exchange, mine, rpc, eventually
):
    alice, bob = wallet(0), wallet(1)
    snapshot = await rpc.call("evm_snapshot")
    await alice.deposit_native(8)
    await mine(CONFIRMATIONS)
    watcher = watch()
    await watcher.poll()
    assert exchange.available_atoms(alice.address, "ETH") == 8
    await rpc.call("evm_revert", snapshot)
    await mine(10)
    with pytest.raises(ReorgedAfterCredit):
        await watcher.poll()
    await bob.deposit_native(5)  # takes number 1 on the new branch
    await mine(10)
    restarted = watch()
    task = asyncio.create_task(restarted.run())
    await eventually(lambda: isinstance(restarted.status().condition, ReorgedAfterCredit))
    task.cancel()
    assert exchange.available_atoms(bob.address, "ETH") == 0
    assert len(exchange.submitted(CreditDeposit)) == 1


async def test_crediting_goes_on_when_the_chain_holds_the_credited_deposit_again(
    watch, wallet, exchange, mine, rpc
):
    alice = wallet(0)
    snapshot = await rpc.call("evm_snapshot")
    await alice.deposit_native(8)
    await mine(CONFIRMATIONS)
    watcher = watch()
    await watcher.poll()
    await rpc.call("evm_revert", snapshot)
    await mine(6)
    with pytest.raises(ReorgedAfterCredit):
        await watcher.poll()
    await alice.deposit_native(8)
    await wallet(1).deposit_native(5)
    await mine(CONFIRMATIONS)
    await watcher.poll()
    assert exchange.available_atoms(alice.address, "ETH") == 8
    assert exchange.available_atoms(dev_address(1), "ETH") == 5
    assert watcher.status().condition is None


async def test_a_replaced_chain_without_the_credited_deposits_is_noticed_even_with_empty_tables(
    watch, wallet, exchange, mine, rpc, pool
):
    snapshot = await rpc.call("evm_snapshot")
    await wallet(0).deposit_native(8)
    await mine(CONFIRMATIONS)
    await watch().poll()
    await rpc.call("evm_revert", snapshot)
    await mine(10)
    await pool.execute("TRUNCATE chain_blocks, vault_deposits")
    with pytest.raises(ReorgedAfterCredit):
        await watch().poll()
