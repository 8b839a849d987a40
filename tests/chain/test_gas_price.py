"""The sampled price of gas: from a real chain, and none when it is old."""

import asyncio

import pytest

from exchange.chain.devchain import Anvil
from exchange.chain.errors import RpcUnavailable
from exchange.chain.gas_price import GAS_PER_PAYMENT, GasPrice, GasPrices
from exchange.chain.rpc import Rpc


async def test_a_sample_is_the_newest_blocks_base_fee_and_the_nodes_priority_fee(rpc: Rpc) -> None:
    await rpc.call("anvil_setNextBlockBaseFeePerGas", hex(7_000_000_000))
    await rpc.call("evm_mine")
    prices = GasPrices(rpc)
    assert prices.latest is None
    await prices.sample()
    head = await rpc.head()
    assert prices.latest == GasPrice(7_000_000_000, await rpc.priority_fee_wei(), head.number)
    assert prices.latest.wei == 7_000_000_000 + prices.latest.priority_fee_wei
    assert prices.latest.payment_wei == GAS_PER_PAYMENT * prices.latest.wei


async def test_an_old_sample_is_none_at_all_and_a_new_one_is_there_again(rpc: Rpc) -> None:
    now_s = 1_000.0
    prices = GasPrices(rpc, max_age_s=60, now_s=lambda: now_s)
    await prices.sample()
    now_s += 60
    assert prices.latest is not None
    now_s += 0.1
    assert prices.latest is None
    await prices.sample()
    assert prices.latest is not None


async def test_a_node_that_does_not_answer_leaves_the_last_sample_as_it_is(rpc: Rpc, anvil: Anvil) -> None:
    prices = GasPrices(rpc)
    await prices.sample()
    before = prices.latest
    await anvil.stop()
    with pytest.raises(RpcUnavailable):
        await prices.sample()
    assert prices.latest == before


async def test_it_samples_again_and_again(rpc: Rpc) -> None:
    prices = GasPrices(rpc, poll_s=0.01)
    sampling = asyncio.create_task(prices.run())
    try:
        async with asyncio.timeout(20):
            for wei in (3_000_000_000, 5_000_000_000):
                await rpc.call("anvil_setNextBlockBaseFeePerGas", hex(wei))
                await rpc.call("evm_mine")
                while prices.latest is None or prices.latest.base_fee_wei != wei:
                    await rpc.chain_id()
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
