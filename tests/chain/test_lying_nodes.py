"""The deposit watcher and nodes that fail, lag and lie: a credit may come late, but never wrong."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.chain.conftest import CONFIRMATIONS

from exchange.chain.dev_keys import DEV_CHAIN_ID, dev_address
from exchange.chain.errors import (
    DepositGap,
    DepositHashMismatch,
    DepositsDisagree,
    RpcUnavailable,
    WrongChain,
)
from exchange.chain.vault import DEPOSITED
from exchange.core.commands import CreditDeposit

# ------------------------------------------------------------------------------- lying nodes


def hiding(number: int) -> Callable[[str, tuple[Any, ...], Any], Any]:
    """Leaves out the log of one deposit."""

    def lie(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_getLogs":
            return [entry for entry in answer if int(entry["topics"][1], 16) != number]
        return answer

    return lie


async def test_a_deposit_left_out_in_the_middle_is_caught_by_the_numbers(
    watch, wallet, exchange, mine, faulty_rpc
):
    for amount in (1, 2, 3):
        await wallet(0).deposit_native(amount)
    await mine(CONFIRMATIONS)
    faulty_rpc.after = hiding(2)
    watcher = watch()
    with pytest.raises(DepositGap):
        await watcher.poll()
    assert exchange.submitted(CreditDeposit) == []
    faulty_rpc.heal()
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 6


async def test_a_deposit_left_out_once_is_asked_for_again_when_the_next_one_shows_the_gap(
    watch, wallet, exchange, mine, faulty_rpc
):
    """Its block counts as scanned, and no block with it is confirmed: only the gap tells."""
    watcher = watch()
    await wallet(0).deposit_native(1)
    await mine(CONFIRMATIONS)
    await watcher.poll()
    faulty_rpc.after = hiding(2)
    await wallet(0).deposit_native(2)
    await watcher.poll()
    faulty_rpc.heal()
    await wallet(0).deposit_native(4)
    with pytest.raises(DepositGap):
        await watcher.poll()
    await mine(CONFIRMATIONS)
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 7


async def test_a_deposit_left_out_at_the_end_is_caught_by_the_vaults_own_count(
    watch, wallet, exchange, mine, faulty_rpc
):
    for amount in (1, 2):
        await wallet(0).deposit_native(amount)
    await mine(CONFIRMATIONS)
    faulty_rpc.after = hiding(2)
    watcher = watch()
    with pytest.raises(DepositsDisagree):
        await watcher.poll()
    assert exchange.submitted(CreditDeposit) == []
    faulty_rpc.heal()
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 3


async def test_an_altered_amount_is_caught_by_the_rolling_hash(watch, wallet, exchange, mine, faulty_rpc):
    await wallet(0).deposit_native(1)
    await mine(CONFIRMATIONS)

    def lie(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_getLogs":
            return [
                entry | {"data": "0x" + (10**18).to_bytes(32).hex() + entry["data"][66:]} for entry in answer
            ]
        return answer

    faulty_rpc.after = lie
    with pytest.raises(DepositHashMismatch):
        await watch().poll()
    assert exchange.submitted(CreditDeposit) == []


async def test_a_consistent_invention_is_caught_by_the_vaults_own_hash(
    watch, wallet, exchange, mine, faulty_rpc, deployment
):
    from exchange.chain.vault import deposit_hash_origin, next_deposit_hash

    await wallet(0).deposit_native(1)
    await mine(CONFIRMATIONS)
    origin = deposit_hash_origin(DEV_CHAIN_ID, deployment.vault)
    forged = next_deposit_hash(origin, 1, dev_address(0), "0x" + "00" * 20, 10**18)

    def lie(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_getLogs":
            return [
                entry | {"data": "0x" + (10**18).to_bytes(32).hex() + entry["data"][66:130] + forged.hex()}
                for entry in answer
            ]
        return answer

    faulty_rpc.after = lie
    with pytest.raises(DepositsDisagree):
        await watch().poll()
    assert exchange.submitted(CreditDeposit) == []
    faulty_rpc.heal()
    await watch().poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 1


async def test_a_log_of_another_branch_is_not_stored(watch, wallet, pool, faulty_rpc):
    await wallet(0).deposit_native(1)

    def lie(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_getLogs":
            return [entry | {"blockHash": "0x" + "77" * 32} for entry in answer]
        return answer

    faulty_rpc.after = lie
    watcher = watch()
    with pytest.raises(Exception, match="changed at block"):
        await watcher.poll()
    assert await pool.fetchval("SELECT count(*) FROM vault_deposits") == 0


# ------------------------------------------------------------------------------- faults of the node


async def test_faults_of_the_node_delay_but_do_not_change_the_result(
    watch, wallet, exchange, mine, faulty_rpc, eventually
):
    count = 0

    def sometimes(method: str, params: tuple[Any, ...]) -> None:
        nonlocal count
        count += 1
        if count % 6 == 0:
            raise RpcUnavailable(method, "test")

    watcher = watch()
    await watcher.poll()
    faulty_rpc.before = sometimes
    task = asyncio.create_task(watcher.run())
    for _ in range(5):
        await wallet(0).deposit_native(1)
        await mine(1)
    await mine(CONFIRMATIONS)
    await eventually(lambda: exchange.available_atoms(dev_address(0), "ETH") == 5)
    task.cancel()
    assert [command.number for command in exchange.submitted(CreditDeposit)] == [1, 2, 3, 4, 5]


async def test_a_node_that_refuses_large_ranges_is_asked_for_smaller_ones(
    watch, wallet, exchange, mine, faulty_rpc, eventually
):
    from exchange.chain.errors import RpcError

    await wallet(0).deposit_native(1)
    await mine(400)

    def refuse(method: str, params: tuple[Any, ...]) -> None:
        if method == "eth_getLogs" and int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) > 100:
            raise RpcError(method, -32005, "query returned more than 10000 results")

    faulty_rpc.before = refuse
    task = asyncio.create_task(watch().run())
    await eventually(lambda: exchange.available_atoms(dev_address(0), "ETH") == 1)
    task.cancel()


async def test_a_node_of_another_chain_is_refused(watch):
    with pytest.raises(WrongChain):
        await watch(chain_id=1).poll()


async def test_logs_of_others_with_the_same_topic_are_not_asked_for(watch, faulty_rpc, deployment):
    asked: list[Any] = []
    faulty_rpc.before = lambda method, params: asked.append((method, params))
    await watch().poll()
    queries = [params[0] for method, params in asked if method == "eth_getLogs"]
    assert all(query["address"] == deployment.vault and query["topics"] == [DEPOSITED] for query in queries)
    assert queries


async def test_a_deposit_of_an_unlisted_token_goes_to_suspense_and_does_not_stop_the_others(
    watch, wallet, exchange, mine, rpc, deployment
):
    from tests.fixtures.anvil import ARTIFACTS

    from exchange.chain.deployment import _Batch, _bytecode
    from exchange.chain.dev_keys import DEPLOYER_KEY
    from exchange.core.accounts import SUSPENSE_ACCOUNT

    deployer = dev_address(DEPLOYER_KEY)
    batch = _Batch(deployer, await rpc.transaction_count(deployer))
    unlisted = batch.create("unlisted", _bytecode(ARTIFACTS, "TestWBTC"), [], [])
    batch.call("mint", unlisted, "mint(address,uint256)", ["address", "uint256"], [dev_address(0), 50])
    await batch.send(rpc)
    alice = wallet(0)
    alice.tokens["OTHER"] = unlisted
    await alice.approve("OTHER")
    await alice.deposit_token("OTHER", 50)
    await alice.deposit_native(2)
    await mine(CONFIRMATIONS)
    await watch().poll()
    assert exchange.available_atoms(alice.address, "ETH") == 2
    [asset] = [asset for asset in exchange.committed.assets.values() if asset.token == unlisted]
    assert exchange.committed.balance(SUSPENSE_ACCOUNT, asset.asset_id).available_atoms == 50
