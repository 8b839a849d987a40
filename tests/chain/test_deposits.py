"""The deposit watcher against a real chain and a real database."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from exchange.chain.deposits import MAX_CONFIRMATIONS, DepositWatcher, pending_deposits
from exchange.chain.dev_keys import DEV_CHAIN_ID, dev_address
from exchange.chain.errors import (
    ChainMoved,
    ConfirmationsOutOfRange,
    DepositGap,
    DepositHashMismatch,
    DepositsDisagree,
    ReorgedAfterCredit,
    RpcUnavailable,
    WrongChain,
)
from exchange.chain.vault import DEPOSITED
from exchange.core.commands import CreditDeposit

CONFIRMATIONS = 3
ETHER = 10**18


@pytest.fixture
def watch(faulty_rpc, pool, exchange, deployment) -> Callable[..., DepositWatcher]:
    """Makes a new watcher on the same tables, as a restart does."""

    def make(**changes: Any) -> DepositWatcher:
        arguments = {
            "chain_id": DEV_CHAIN_ID,
            "vault": deployment.vault,
            "deploy_block": deployment.deploy_block,
            "confirmations": CONFIRMATIONS,
            "poll_s": 0.01,
        } | changes
        return DepositWatcher(faulty_rpc, pool, exchange.submit, exchange.committed, **arguments)

    return make


async def reorganize(rpc, depth: int, transactions: list[tuple[dict[str, str], int]] | None = None) -> None:
    """Replaces the last `depth` blocks; the given transactions go into the new block at their index."""
    await rpc.call("anvil_reorg", depth, transactions or [])


def test_more_confirmations_than_block_hashes_are_kept_for_are_refused(watch):
    watch(confirmations=MAX_CONFIRMATIONS)
    for confirmations in (0, MAX_CONFIRMATIONS + 1):
        with pytest.raises(ConfirmationsOutOfRange):
            watch(confirmations=confirmations)


# ------------------------------------------------------------------------------- crediting


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
    monkeypatch.setattr("exchange.chain.deposits.MAX_RANGE_BLOCKS", 50)
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


# ---------------------------------------------------------------------------- reorganizations


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

    async def submit_and_crash(command):
        await exchange.submit(command)
        raise Crash

    watcher = watch()
    watcher._submit = submit_and_crash
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
        exchange.submit,
        exchange.committed,
        chain_id=DEV_CHAIN_ID,
        vault=deployment.vault,
        deploy_block=deployment.deploy_block,
        confirmations=1,
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
