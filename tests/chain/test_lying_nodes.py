"""The deposit watcher and nodes that lie about logs and blocks: nothing is credited that is not so."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.chain.conftest import CONFIRMATIONS

from exchange.chain.dev_keys import DEV_CHAIN_ID, dev_address
from exchange.chain.errors import (
    ChainMoved,
    DepositGap,
    DepositHashMismatch,
    DepositsDisagree,
    LogInvalid,
    LogNotAsked,
)
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


def replacing(number: int, /, **changes: Any) -> Callable[[str, tuple[Any, ...], Any], Any]:
    """Alters the header of one block, when it is asked for by its number."""

    def lie(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] == hex(number):
            return answer | changes
        return answer

    return lie


@pytest.mark.parametrize(
    "changes", [{"parentHash": "0x" + "77" * 32}, {"hash": "0x" + "77" * 32}, {"number": "0x7"}]
)
async def test_a_header_that_does_not_link_to_its_neighbours_ends_the_pass(
    watch, wallet, exchange, mine, rpc, faulty_rpc, pool, changes
):
    await wallet(0).deposit_native(1)
    await mine(CONFIRMATIONS)
    faulty_rpc.after = replacing((await rpc.head()).number - 1, **changes)
    watcher = watch()
    with pytest.raises(ChainMoved):
        await watcher.poll()
    assert await pool.fetchval("SELECT count(*) FROM vault_deposits") == 0
    faulty_rpc.heal()
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"address": "0x" + "77" * 20},
        {"topics": ["0x" + "77" * 32]},
        {"topics": []},
        {"blockNumber": "0xffffff"},
        {"blockNumber": "0x0"},
    ],
    ids=["another contract", "another event", "no event", "a block to come", "a block before"],
)
async def test_a_log_that_was_not_asked_for_is_not_stored(
    watch, wallet, exchange, mine, faulty_rpc, pool, change
):
    await wallet(0).deposit_native(1)
    await mine(CONFIRMATIONS)

    def lie(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        return [entry | change for entry in answer] if method == "eth_getLogs" else answer

    faulty_rpc.after = lie
    watcher = watch()
    with pytest.raises(LogNotAsked):
        await watcher.poll()
    assert await pool.fetchval("SELECT count(*) FROM vault_deposits") == 0
    faulty_rpc.heal()
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 1


async def test_a_log_that_can_not_be_decoded_stops_crediting(watch, wallet, exchange, mine, faulty_rpc):
    await wallet(0).deposit_native(1)
    await mine(CONFIRMATIONS)

    def lie(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        return [entry | {"data": "0x00"} for entry in answer] if method == "eth_getLogs" else answer

    faulty_rpc.after = lie
    with pytest.raises(LogInvalid):
        await watch().poll()
    assert exchange.submitted(CreditDeposit) == []


async def test_a_deposit_said_to_be_in_an_earlier_block_is_not_credited_before_its_time(
    watch, wallet, exchange, mine, rpc, faulty_rpc
):
    watcher = watch()
    await watcher.poll()
    await mine(CONFIRMATIONS + 1)  # blocks of the range that is asked for next
    await wallet(0).deposit_native(1)
    head = await rpc.head()
    earlier = await rpc.header(head.number - CONFIRMATIONS)

    def lie(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_getLogs":
            place = {"blockNumber": hex(earlier.number), "blockHash": earlier.hash}
            return [entry | place for entry in answer]
        return answer

    faulty_rpc.after = lie
    with pytest.raises(DepositsDisagree):
        await watcher.poll()
    assert exchange.submitted(CreditDeposit) == []
    faulty_rpc.heal()
    await mine(CONFIRMATIONS - 1)
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 1


async def test_a_log_that_is_repeated_in_an_answer_is_credited_once(
    watch, wallet, exchange, mine, faulty_rpc
):
    for amount in (1, 2, 4):
        await wallet(0).deposit_native(amount)
    await mine(CONFIRMATIONS)
    faulty_rpc.after = lambda method, params, answer: 3 * answer if method == "eth_getLogs" else answer
    await watch().poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 7
    assert [command.number for command in exchange.submitted(CreditDeposit)] == [1, 2, 3]


async def test_a_log_left_out_of_a_long_history_is_found_missing_at_its_end(
    watch, wallet, exchange, mine, faulty_rpc
):
    for amount in (1, 2):
        await wallet(0).deposit_native(amount)
        await mine(200)
    faulty_rpc.after = hiding(2)
    watcher = watch()
    with pytest.raises(DepositsDisagree):
        await watcher.poll()
    assert exchange.submitted(CreditDeposit) == []
    faulty_rpc.heal()
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 3
