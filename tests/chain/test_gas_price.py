"""The sampled price of gas: from a real chain, and none when it is old."""

import asyncio
from collections.abc import Callable

import pytest
from tests.chain.conftest import Wallet, mined

from exchange.chain.deployment import Deployment
from exchange.chain.dev_keys import SENDER_KEY, SIGNER_KEY, USER_KEYS, dev_account, dev_address
from exchange.chain.devchain import Anvil
from exchange.chain.errors import RpcUnavailable
from exchange.chain.gas_price import GAS_PER_PAYMENT, GasPrice, GasPrices
from exchange.chain.rpc import Rpc
from exchange.chain.vault import Payment, PaymentMade, decode_payment, payment_digest, withdraw_call
from exchange.core.markets import NATIVE_TOKEN


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


@pytest.mark.parametrize("symbol", ["ETH", "USDC"])
async def test_a_payment_of_its_own_costs_about_the_gas_that_is_reckoned_with(
    rpc: Rpc, deployment: Deployment, wallet: Callable[[int], Wallet], symbol: str
) -> None:
    depositor = wallet(USER_KEYS[0])
    token = NATIVE_TOKEN if symbol == "ETH" else depositor.tokens[symbol]
    if symbol == "ETH":
        await depositor.deposit_native(10**18)
    else:
        await depositor.approve(symbol)
        await depositor.deposit_token(symbol, 10**9)
    used: list[int] = []
    for number in (1, 2):  # to somebody new, and again to the same
        payment = Payment(f"0x{number:064x}", depositor.address, token, 1_000, "0x" + "d0" * 20, 2**40)
        digest = payment_digest(deployment.chain_id, deployment.vault, payment)
        signature = bytes(dev_account(SIGNER_KEY).unsafe_sign_hash(digest).signature)
        transaction = {
            "from": dev_address(SENDER_KEY),
            "to": deployment.vault,
            "data": "0x" + withdraw_call([payment], [signature]).hex(),
            "gas": hex(700_000),
        }
        tx_hash = str(await rpc.call("eth_sendTransaction", transaction))
        receipt = await mined(rpc, tx_hash)
        outcomes = [decode_payment(log) for log in receipt.logs if log.address == deployment.vault]
        assert any(isinstance(outcome, PaymentMade) and not outcome.claimable for outcome in outcomes)
        answer = await rpc.call("eth_getTransactionReceipt", tx_hash)
        used.append(int(answer["gasUsed"], 16))
    assert 0.75 * GAS_PER_PAYMENT < used[1] < used[0] < 1.1 * GAS_PER_PAYMENT, used
