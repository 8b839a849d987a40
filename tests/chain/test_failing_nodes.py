"""The deposit watcher and nodes that fail, lag, or become others: a credit may come late, never wrong."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.chain.conftest import CONFIRMATIONS, Wallet
from tests.fixtures.anvil import free_port

from exchange.chain.crediting_alarm import STOPPED_S
from exchange.chain.dev_keys import dev_address
from exchange.chain.devchain import Anvil
from exchange.chain.errors import ChainError, ChainMoved, DepositsDisagree, RpcUnavailable, WrongChain
from exchange.chain.rpc import Rpc
from exchange.chain.vault import DEPOSITED
from exchange.core.commands import CreditDeposit

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


# ------------------------------------------------------------------- nodes of another chain or branch


async def test_after_a_fault_the_node_may_be_another_one_so_its_chain_is_asked_for_again(
    watch, wallet, exchange, mine, faulty_rpc
):
    watcher = watch()
    await watcher.poll()
    await wallet(0).deposit_native(1)
    await mine(CONFIRMATIONS)

    def fail(method: str, params: tuple[Any, ...]) -> None:
        raise RpcUnavailable(method, "test")

    faulty_rpc.before = fail
    with pytest.raises(RpcUnavailable):
        await watcher.poll()
    faulty_rpc.heal()
    faulty_rpc.after = lambda method, params, answer: "0x1" if method == "eth_chainId" else answer
    for _ in range(2):
        with pytest.raises(WrongChain):
            await watcher.poll()
    assert exchange.submitted(CreditDeposit) == []
    faulty_rpc.heal()
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 1


async def test_the_chain_is_asked_for_now_and_then_without_any_fault(watch, mine, faulty_rpc, monkeypatch):
    watcher = watch()
    await watcher.poll()
    faulty_rpc.after = lambda method, params, answer: "0x1" if method == "eth_chainId" else answer
    await watcher.poll()
    monkeypatch.setattr("exchange.chain.deposits.CHECK_CHAIN_S", 0.0)
    with pytest.raises(WrongChain):
        await watcher.poll()


class ForkedAnvil(Anvil):
    """A node that shares the chain of another one up to now, and goes its own way from here."""

    def __init__(self, binary: Path, port: int, upstream: str) -> None:
        super().__init__(binary, port)
        self._upstream = upstream

    def _arguments(self) -> list[str]:
        return [*super()._arguments(), "--fork-url", self._upstream]


async def test_two_nodes_on_different_branches_that_answer_in_turns_cause_no_credit(
    watch, wallet, exchange, mine, rpc, anvil, anvil_binary, deployment, faulty_rpc, witness
):
    await mine(10)
    async with ForkedAnvil(anvil_binary, free_port(), anvil.url) as other_node, Rpc(other_node.url) as other:
        await wallet(0).deposit_native(8)
        await mine(CONFIRMATIONS)
        await Wallet(other, deployment, 1).deposit_native(5)
        await other.call("anvil_mine", hex(CONFIRMATIONS + 1))
        asked = 0

        async def in_turns(method: str, *params: Any) -> Any:
            nonlocal asked
            asked += 1
            return await (rpc if asked % 2 else other).call(method, *params)

        straight = faulty_rpc.call
        faulty_rpc.call = in_turns
        watcher = watch()
        for _ in range(25):
            with contextlib.suppress(ChainError):
                await watcher.poll()
        assert exchange.submitted(CreditDeposit) == []
        assert asked > 50

        faulty_rpc.call = straight
        await watcher.poll()
        assert exchange.available_atoms(dev_address(0), "ETH") == 8
        credited = len(exchange.submitted(CreditDeposit))

        faulty_rpc.call = in_turns
        for _ in range(25):
            with contextlib.suppress(ChainError):
                await watcher.poll()
        faulty_rpc.call = straight
        await watcher.poll()
        assert witness.displaced == []
        assert exchange.available_atoms(dev_address(1), "ETH") == 0
        assert len(exchange.submitted(CreditDeposit)) == credited == 1


# -------------------------------------------------------------------------------- nodes that lag


def behind(head: Any) -> Callable[[str, tuple[Any, ...], Any], Any]:
    """The node knows of nothing after this block."""

    def lag(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method != "eth_getBlockByNumber":
            return answer
        if params[0] == "latest":
            return head
        return None if int(answer["number"], 16) > int(head["number"], 16) else answer

    return lag


@pytest.mark.parametrize("blocks", [2, 40, 1_500], ids=["a little", "more than is credited", "for ages"])
async def test_a_node_that_is_behind_is_waited_for_and_nothing_is_taken_back(
    watch, wallet, exchange, mine, rpc, faulty_rpc, pool, witness, blocks
):
    await mine(5)
    old_head = await rpc.call("eth_getBlockByNumber", "latest", False)
    await wallet(0).deposit_native(1)
    await mine(blocks)
    watcher = watch()
    await watcher.poll()
    faulty_rpc.after = behind(old_head)
    for _ in range(3):
        await watcher.poll()
    assert await pool.fetchval("SELECT count(*) FROM vault_deposits WHERE NOT displaced") == 1
    assert witness.displaced == []
    faulty_rpc.heal()
    await mine(CONFIRMATIONS)
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 1


async def test_a_node_that_falls_behind_while_branches_are_compared_takes_nothing_back(
    watch, wallet, exchange, mine, rpc, faulty_rpc, pool
):
    """One node tells of another newest block; the one that is asked for the others does not have them yet."""
    await mine(5)
    behind_at = (await rpc.head()).number
    await wallet(0).deposit_native(1)
    await mine(40)
    watcher = watch()
    await watcher.poll()
    head = await rpc.call("eth_getBlockByNumber", "latest", False)

    def lie(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method != "eth_getBlockByNumber":
            return answer
        if params[0] == "latest":
            return head | {"hash": "0x" + "77" * 32}
        return answer if int(params[0], 16) <= behind_at else None

    faulty_rpc.after = lie
    with pytest.raises(ChainMoved):
        await watcher.poll()
    assert await pool.fetchval("SELECT count(*) FROM vault_deposits WHERE NOT displaced") == 1
    faulty_rpc.heal()
    await watcher.poll()


async def test_a_head_that_is_old_is_told_once_and_crediting_goes_on(
    watch, wallet, exchange, mine, clock, witness
):
    await wallet(0).deposit_native(1)
    await mine(CONFIRMATIONS)
    watcher = watch(now=clock, stale_head_s=300.0)
    await watcher.poll()
    assert watcher.status().stale_s is None
    clock.ahead_s = 1_000
    await wallet(0).deposit_native(2)
    await mine(CONFIRMATIONS)
    for _ in range(2):
        await watcher.poll()
    stale_s = watcher.status().stale_s
    assert stale_s is not None
    assert stale_s > 900
    assert watcher.status().condition is None
    assert exchange.available_atoms(dev_address(0), "ETH") == 3
    assert [kind for kind, _ in witness.alerts] == ["chain_stale"]
    clock.ahead_s = 0
    await watcher.poll()
    assert watcher.status().stale_s is None


async def test_whoever_watches_is_told_once_that_crediting_has_stopped(
    watch, wallet, mine, faulty_rpc, witness, eventually
):
    await wallet(0).deposit_native(1)
    await mine(CONFIRMATIONS)
    faulty_rpc.after = lambda method, params, answer: [] if method == "eth_getLogs" else answer
    watcher = watch()
    task = asyncio.create_task(watcher.run())
    await eventually(lambda: isinstance(watcher.status().condition, DepositsDisagree))
    first = watcher.status().condition
    await eventually(lambda: watcher.status().condition is not first)
    assert [kind for kind, _ in witness.alerts] == ["crediting_stopped"]
    faulty_rpc.heal()
    await eventually(lambda: watcher.status().condition is None)
    task.cancel()


async def test_a_node_that_lies_once_alerts_nobody(
    watch, wallet, exchange, mine, faulty_rpc, witness, eventually
):
    await wallet(0).deposit_native(1)
    await mine(CONFIRMATIONS)
    lies = 0

    def lie_once(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        nonlocal lies
        if method == "eth_getLogs" and not lies:
            lies += 1
            return []
        return answer

    faulty_rpc.after = lie_once
    watcher = watch()
    task = asyncio.create_task(watcher.run())
    await eventually(lambda: exchange.available_atoms(dev_address(0), "ETH") == 1)
    assert (lies, witness.alerts) == (1, [])
    task.cancel()


async def test_whoever_watches_is_told_of_a_node_that_gives_no_answer_for_minutes(
    watch, mine, faulty_rpc, witness, clock, eventually
):
    watcher = watch(now=clock)
    await watcher.poll()

    def down(method: str, params: tuple[Any, ...]) -> None:
        raise RpcUnavailable(method, "test")

    faulty_rpc.before = down
    task = asyncio.create_task(watcher.run())
    await eventually(lambda: isinstance(watcher.status().fault, RpcUnavailable))
    assert witness.alerts == []
    clock.ahead_s = STOPPED_S + 1
    await eventually(lambda: bool(witness.alerts))
    [(kind, detail)] = witness.alerts
    assert kind == "crediting_stopped"
    assert detail.startswith("nothing was credited for 30")
    faulty_rpc.heal()
    clock.ahead_s = 0
    await eventually(lambda: watcher.status().fault is None)
    task.cancel()


async def test_whoever_watches_is_told_of_a_node_that_only_shows_an_old_head_for_minutes(
    watch, wallet, mine, rpc, faulty_rpc, witness, clock
):
    """It answers everything in time, and nothing that comes is ever credited."""
    old_head = await rpc.call("eth_getBlockByNumber", "latest", False)
    await wallet(0).deposit_native(1)
    await mine(CONFIRMATIONS)
    watcher = watch(now=clock, stale_head_s=10**9)
    await watcher.poll()
    faulty_rpc.after = behind(old_head)
    await watcher.poll()
    assert witness.alerts == []
    clock.ahead_s = STOPPED_S + 1
    await watcher.poll()
    assert [kind for kind, _ in witness.alerts] == ["crediting_stopped"]
