"""A second node beside the first: one that forges everything alike gets neither a credit nor a payment."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.chain.conftest import ETHER, Exchange, FaultyRpc, Wallet
from tests.chain.test_failing_nodes import ForkedAnvil, behind
from tests.chain.test_reconcile import DESTINATION, Venue, one_atom_more
from tests.fixtures.anvil import free_port

from exchange.chain.deployment import Deployment
from exchange.chain.dev_keys import DEV_CHAIN_ID, dev_address
from exchange.chain.errors import RpcUnavailable, WitnessDisagrees, WitnessSilent
from exchange.chain.rpc import Rpc
from exchange.chain.vault import (
    ACCOUNTED,
    DEPOSIT_COUNT_CALL,
    DEPOSIT_HASH_CALL,
    DEPOSITED,
    deposit_hash_origin,
    next_deposit_hash,
)
from exchange.chain.witness import Witness
from exchange.core.commands import CreditDeposit
from exchange.core.markets import NATIVE_TOKEN

MALLORY = dev_address(2)
INVENTED = 40 * ETHER


class Forger:
    """A node with the true blocks that invents a second deposit in the newest one, and all that fits to it:
    the log, the vault's count and hash of deposits, and what it holds."""

    def __init__(self, vault: str, true_deposit_atoms: int) -> None:
        self._vault = vault
        first = next_deposit_hash(
            deposit_hash_origin(DEV_CHAIN_ID, vault), 1, dev_address(0), NATIVE_TOKEN, true_deposit_atoms
        )
        self._hash = next_deposit_hash(first, 2, MALLORY, NATIVE_TOKEN, INVENTED)
        self._number = 0
        self._block_hash = ""
        self._hashes: set[str] = set()

    async def begin(self, rpc: Rpc) -> None:
        head = await rpc.head()
        self._number, self._block_hash = head.number, head.hash

    def __call__(self, method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_getBlockByNumber" and answer and int(answer["number"], 16) >= self._number:
            self._hashes.add(answer["hash"])
        if method == "eth_getLogs" and params[0]["topics"] == [DEPOSITED]:
            asked = range(int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16) + 1)
            return [*answer, self._log()] if self._number in asked else answer
        if method != "eth_call" or params[1] == "latest" or params[1]["blockHash"] not in self._hashes:
            return answer
        data = params[0]["data"]
        if data == "0x" + DEPOSIT_COUNT_CALL.hex():
            return _word(int(answer, 16) + 1)
        if data == "0x" + DEPOSIT_HASH_CALL.hex():
            return "0x" + self._hash.hex()
        if data == "0x" + ACCOUNTED.hex() + bytes(32).hex():
            return _word(int(answer, 16) + INVENTED)
        return answer

    def _log(self) -> dict[str, Any]:
        mallory = bytes(12).hex() + MALLORY[2:]
        return {
            "address": self._vault,
            "topics": [DEPOSITED, _word(2), "0x" + mallory, _word(0)],
            "data": _word(INVENTED) + mallory + self._hash.hex(),
            "blockNumber": hex(self._number),
            "blockHash": self._block_hash,
            "transactionHash": "0x" + "77" * 32,
            "logIndex": "0x63",
        }


def _word(number: int) -> str:
    return "0x" + number.to_bytes(32).hex()


@pytest.fixture
async def second_rpc(anvil) -> Any:
    """The client of the second node, which is an honest one unless the test makes it otherwise."""
    async with FaultyRpc(anvil.url) as client:
        yield client


@pytest.fixture
def second(second_rpc, deployment) -> Witness:
    return Witness(second_rpc, chain_id=DEV_CHAIN_ID, vault=deployment.vault, patience_s=0.0)


@pytest.fixture
def venue(faulty_rpc, pool, deployment, exchange, second) -> Callable[..., Venue]:
    def make(witness: Witness | None = second) -> Venue:
        return Venue(faulty_rpc, pool, deployment, exchange, 1, witness)

    return make


@pytest.fixture
async def forged(rpc: Rpc, deployment: Deployment, wallet: Any, faulty_rpc: FaultyRpc) -> None:
    """The first node forges from now on; there is a true deposit too."""
    forger = Forger(deployment.vault, 50 * ETHER)
    await wallet(0).deposit_native(50 * ETHER)
    await forger.begin(rpc)
    faulty_rpc.after = forger


# ------------------------------------------------------------------------------------------ deposits


async def test_a_node_that_forges_logs_and_the_vaults_answers_alike_gets_no_credit(
    venue, forged, exchange, faulty_rpc
):
    running = venue()
    for _ in range(3):
        with pytest.raises(WitnessDisagrees, match="about the number of deposits"):
            await running.watcher.poll()
    assert exchange.submitted(CreditDeposit) == []
    faulty_rpc.heal()
    with pytest.raises(Exception, match="the vault counts 1 deposits"):
        await running.watcher.poll()
    await running.watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 50 * ETHER
    assert exchange.available_atoms(MALLORY, "ETH") == 0


async def test_without_a_second_node_one_that_forges_everything_alike_is_believed(
    venue, forged, exchange, rpc, mine
):
    """What docs/security.md says that it can do: this is the loss that a second node prevents."""
    running = venue(None)
    await running.watcher.poll()
    assert exchange.available_atoms(MALLORY, "ETH") == INVENTED
    await running.withdraw(MALLORY, INVENTED)
    for _ in range(4):
        await running.poll()
    assert await rpc.balance(DESTINATION) == INVENTED


async def test_a_deposit_that_both_nodes_have_is_credited(venue, wallet, exchange):
    await wallet(0).deposit_native(7)
    running = venue()
    await running.watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 7
    assert (running.watcher.status().condition, running.watcher.status().fault) == (None, None)


async def test_another_amount_under_the_same_number_is_noticed_too(venue, wallet, exchange, second_rpc):
    await wallet(0).deposit_native(7)
    second_rpc.after = answering(DEPOSIT_HASH_CALL, lambda answer: "0x" + "77" * 32)
    with pytest.raises(WitnessDisagrees, match="about the hash of deposits"):
        await venue().watcher.poll()
    assert exchange.submitted(CreditDeposit) == []


def answering(call: bytes, change: Callable[[str], str]) -> Callable[[str, tuple[Any, ...], Any], Any]:
    """Another answer to the calls of a view."""

    def lie(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        is_asked = method == "eth_call" and params[0]["data"].startswith("0x" + call.hex())
        return change(answer) if is_asked else answer

    return lie


async def test_nodes_on_different_branches_cause_no_credit(
    pool, exchange: Exchange, anvil, anvil_binary: Path, faulty_rpc, deployment, mine
):
    """Each has its own block of that number, and in it a deposit of its own."""
    async with ForkedAnvil(anvil_binary, free_port(), anvil.url) as other_node, Rpc(other_node.url) as other:
        await Wallet(faulty_rpc, deployment, 0).deposit_native(7)
        await Wallet(other, deployment, 0).deposit_native(8)
        witness = Witness(other, chain_id=DEV_CHAIN_ID, vault=deployment.vault)
        running = Venue(faulty_rpc, pool, deployment, exchange, 1, witness)
        with pytest.raises(WitnessDisagrees, match="about the block itself"):
            await running.watcher.poll()
    assert exchange.submitted(CreditDeposit) == []


async def test_a_second_node_of_another_chain_confirms_nothing(venue, wallet, exchange, second_rpc):
    await wallet(0).deposit_native(7)
    second_rpc.after = lambda method, params, answer: "0x1" if method == "eth_chainId" else answer
    with pytest.raises(WitnessDisagrees, match="about the chain's id"):
        await venue().watcher.poll()
    assert exchange.submitted(CreditDeposit) == []


def down(method: str, params: tuple[Any, ...]) -> None:
    raise RpcUnavailable(method, "test")


async def test_while_the_second_node_does_not_answer_nothing_is_credited(
    venue, wallet, exchange, second_rpc, eventually
):
    await wallet(0).deposit_native(7)
    second_rpc.before = down
    running = venue()
    watching = asyncio.create_task(running.watcher.run())
    await eventually(lambda: isinstance(running.watcher.status().fault, WitnessSilent))
    assert exchange.submitted(CreditDeposit) == []
    second_rpc.heal()
    await eventually(lambda: exchange.available_atoms(dev_address(0), "ETH") == 7)
    await eventually(lambda: running.watcher.status().fault is None)
    watching.cancel()


async def test_while_the_second_node_is_behind_nothing_is_credited(venue, rpc, wallet, exchange, second_rpc):
    old_head = await rpc.call("eth_getBlockByNumber", "latest", False)
    await wallet(0).deposit_native(7)
    second_rpc.after = behind(old_head)
    running = venue()
    with pytest.raises(WitnessSilent, match="it has no block"):
        await running.watcher.poll()
    assert exchange.submitted(CreditDeposit) == []
    second_rpc.heal()
    await running.watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 7


async def test_a_second_node_that_is_a_moment_behind_is_waited_for(
    rpc, pool, deployment, wallet, exchange, faulty_rpc, second_rpc
):
    old_head = await rpc.call("eth_getBlockByNumber", "latest", False)
    await wallet(0).deposit_native(7)
    lag, asked = behind(old_head), 0

    def lag_at_first(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        nonlocal asked
        asked += method == "eth_getBlockByNumber"
        return lag(method, params, answer) if asked < 3 else answer

    second_rpc.after = lag_at_first
    witness = Witness(second_rpc, chain_id=DEV_CHAIN_ID, vault=deployment.vault, patience_s=10.0)
    await Venue(faulty_rpc, pool, deployment, exchange, 1, witness).watcher.poll()
    assert asked == 3
    assert exchange.available_atoms(dev_address(0), "ETH") == 7


# --------------------------------------------------------------------------------------------- books


@pytest.mark.parametrize("at", ["newest", "finalized"])
async def test_books_that_agree_by_the_first_node_alone_open_nothing(
    venue, wallet, rpc, mine, second_rpc, at
):
    await wallet(0).deposit_native(50)
    await mine(3)
    block = await (rpc.head() if at == "newest" else rpc.finalized())
    running = venue()
    second_rpc.after = one_atom_more(lambda: block.hash)
    await running.watcher.poll()
    for _ in range(2):
        with pytest.raises(WitnessDisagrees, match=f"at block {block.number} .* what is accounted of"):
            await running.reconciler.poll()
        assert not running.reconciler.agrees
    assert (running.reconciler.finalized is None) == (at == "finalized"), "only what both say is published"
    second_rpc.heal()
    await running.reconciler.poll()
    assert running.reconciler.agrees
    assert running.reconciler.finalized is not None


async def test_people_are_told_once_that_the_nodes_disagree_about_the_books(
    venue, wallet, mine, second_rpc, eventually
):
    await wallet(0).deposit_native(50)
    await mine(3)
    second_rpc.after = answering(ACCOUNTED, lambda answer: _word(int(answer, 16) + 1))
    running = venue()
    await running.watcher.poll()
    comparing = asyncio.create_task(running.reconciler.run())
    await eventually(lambda: bool(running.alerts))
    first = running.reconciler.status().fault
    await eventually(lambda: running.reconciler.status().fault is not first)
    [(kind, detail)] = running.alerts
    assert kind == "nodes_disagree"
    assert "the second node says otherwise about what is accounted of" in detail
    second_rpc.heal()
    await eventually(lambda: running.reconciler.agrees)
    comparing.cancel()


async def test_without_the_word_of_the_second_node_nothing_is_signed(venue, wallet, second_rpc, eventually):
    await wallet(0).deposit_native(50)
    running = venue()
    await running.compare()
    assert running.reconciler.agrees
    second_rpc.before = down
    withdrawal_id = await running.withdraw(dev_address(0), 50)
    comparing = asyncio.create_task(running.reconciler.run())
    await eventually(lambda: isinstance(running.reconciler.status().fault, WitnessSilent))
    for _ in range(3):
        await running.worker.poll()
    assert await running.state_of(withdrawal_id) == "approved"
    second_rpc.heal()
    await eventually(lambda: running.reconciler.agrees)
    comparing.cancel()
