"""The deposit watcher when the chain itself says what is final."""

from typing import Any

import pytest

from exchange.chain.dev_keys import dev_address
from exchange.chain.errors import ChainMoved, FinalizedAheadOfHead, FinalizedWentBack
from exchange.chain.rpc import Rpc
from exchange.core.commands import CreditDeposit

FINALIZED_BEHIND = 2
"""How many blocks the test's chain finalizes behind its head."""


class Finalizing:
    """Makes a node call another block finalized than it does."""

    def __init__(self, rpc: Rpc, faulty_rpc: Any) -> None:
        self._rpc = rpc
        self._answer: Any = None
        faulty_rpc.after = self._hook

    def _hook(self, method: str, params: tuple[Any, ...], answer: Any) -> Any:
        return self._answer if params[:1] == ("finalized",) else answer

    async def at(self, number: int, /, **changes: Any) -> None:
        self._answer = await self._rpc.call("eth_getBlockByNumber", hex(number), False) | changes

    def nothing(self) -> None:
        self._answer = None


@pytest.fixture
def finalize(rpc, faulty_rpc) -> Finalizing:
    return Finalizing(rpc, faulty_rpc)


async def head_number(rpc: Rpc) -> int:
    return (await rpc.head()).number


async def test_a_deposit_is_credited_when_its_block_is_finalized(watch, wallet, exchange, mine):
    await wallet(0).deposit_native(3)
    watcher = watch(confirmations=None)
    for _ in range(FINALIZED_BEHIND):
        await watcher.poll()
        assert exchange.submitted(CreditDeposit) == []
        await mine(1)
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 3


async def test_while_nothing_is_finalized_nothing_is_credited(watch, wallet, exchange, mine, finalize):
    await wallet(0).deposit_native(3)
    await mine(20)
    finalize.nothing()
    watcher = watch(confirmations=None)
    await watcher.poll()
    assert exchange.submitted(CreditDeposit) == []
    assert (watcher.status().condition, watcher.status().fault) == (None, None)


@pytest.mark.parametrize(
    "blocks", [50, 700, 1_600], ids=["near", "beyond the near blocks", "beyond all kept"]
)
async def test_however_far_finality_lags_what_it_has_reached_is_credited_and_no_more(
    watch, wallet, exchange, mine, rpc, finalize, blocks
):
    await wallet(0).deposit_native(1)
    first = await head_number(rpc)
    await mine(7)
    await wallet(0).deposit_native(2)
    second = await head_number(rpc)
    await mine(blocks)
    watcher = watch(confirmations=None)
    for finalized, credited in ((first - 1, 0), (second - 1, 1), (second + 3, 3)):
        await finalize.at(finalized)
        await watcher.poll()
        assert exchange.available_atoms(dev_address(0), "ETH") == credited
    await mine(40)
    await finalize.at(second + 5)
    await watch(confirmations=None).poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 3


async def test_a_finalized_block_beyond_the_head_credits_nothing(
    watch, wallet, exchange, mine, rpc, finalize
):
    await wallet(0).deposit_native(1)
    head = await head_number(rpc)
    await finalize.at(head, number=hex(head + 1))
    watcher = watch(confirmations=None)
    with pytest.raises(FinalizedAheadOfHead):
        await watcher.poll()
    assert exchange.submitted(CreditDeposit) == []


async def test_finality_that_goes_back_stops_crediting_until_it_is_where_it_was(
    watch, wallet, exchange, mine, rpc, finalize
):
    await mine(10)
    await wallet(0).deposit_native(1)
    deposit = await head_number(rpc)
    await mine(10)
    watcher = watch(confirmations=None)
    await finalize.at(deposit - 3)
    await watcher.poll()
    await finalize.at(deposit - 5)
    for _ in range(2):
        with pytest.raises(FinalizedWentBack):
            await watcher.poll()
    assert exchange.submitted(CreditDeposit) == []
    await finalize.at(deposit)
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 1


async def test_a_finalized_block_that_becomes_another_one_stops_crediting(
    watch, wallet, exchange, mine, rpc, finalize
):
    await mine(10)
    snapshot = await rpc.call("evm_snapshot")
    await mine(3)
    finalized = await head_number(rpc)
    await finalize.at(finalized)
    watcher = watch(confirmations=None)
    await watcher.poll()
    await rpc.call("evm_revert", snapshot)
    await rpc.call("evm_increaseTime", 5)
    await wallet(0).deposit_native(1)
    await mine(10)
    for number in (finalized, finalized + 4):
        await finalize.at(number)
        with pytest.raises(FinalizedWentBack):
            await watcher.poll()
    assert exchange.submitted(CreditDeposit) == []


async def test_a_finalized_block_that_is_not_on_the_heads_branch_credits_nothing(
    watch, wallet, exchange, mine, rpc, finalize
):
    await wallet(0).deposit_native(1)
    await mine(5)
    head = await head_number(rpc)
    await finalize.at(head - 2, hash="0x" + "77" * 32)
    with pytest.raises(ChainMoved):
        await watch(confirmations=None).poll()
    assert exchange.submitted(CreditDeposit) == []


async def test_a_reorganization_before_finality_credits_only_what_stayed(watch, wallet, exchange, mine, rpc):
    snapshot = await rpc.call("evm_snapshot")
    await wallet(0).deposit_native(8)
    await mine(1)
    watcher = watch(confirmations=None)
    await watcher.poll()
    await rpc.call("evm_revert", snapshot)
    await wallet(1).deposit_native(2)
    await mine(FINALIZED_BEHIND + 1)
    await watcher.poll()
    assert exchange.available_atoms(dev_address(0), "ETH") == 0
    assert exchange.available_atoms(dev_address(1), "ETH") == 2
