"""Test funds, on a real development chain."""

import asyncio

import pytest
from eth_abi.abi import encode
from eth_account import Account

from exchange.chain import faucet as module
from exchange.chain.dev_keys import FAUCET_KEY, USER_KEYS, dev_address
from exchange.chain.errors import ChainError, DevKeyRefused, RpcUnavailable, WrongChain
from exchange.chain.faucet import Faucet, Gift, TooSoon
from exchange.chain.rpc import Rpc
from exchange.chain.vault import selector
from exchange.core.markets import NATIVE_TOKEN

CHAIN_ID = 31337
ETH = 10**18


def gifts_of(deployment) -> list[Gift]:
    tokens = [Gift(token.symbol, token.address, 5 * 10**token.decimals) for token in deployment.tokens]
    return [Gift("ETH", NATIVE_TOKEN, ETH), *tokens]


async def held(rpc: Rpc, token: str, owner: str) -> int:
    data = selector("balanceOf(address)") + encode(["address"], [owner])
    return int.from_bytes(await rpc.view(token, data))


@pytest.fixture
def owner() -> str:
    return Account.create().address.lower()


async def test_a_wallet_gets_each_asset_that_it_has_too_little_of(rpc, deployment, owner, monkeypatch):
    monkeypatch.setattr(module, "WAIT_S", 0.0)
    faucet = Faucet(rpc, CHAIN_ID)
    gifts = gifts_of(deployment)
    given = await faucet.give(owner, gifts)
    assert [one.gift for one in given] == gifts
    assert await rpc.balance(owner) == ETH
    for gift in gifts[1:]:
        assert await held(rpc, gift.token, owner) == gift.amount_atoms
    for one in given:
        receipt = await rpc.receipt(one.tx_hash)
        assert receipt is not None
        assert receipt.succeeded
    assert await faucet.give(owner, gifts) == []
    more = [gifts[0], Gift("USDC", gifts[1].token, 2 * gifts[1].amount_atoms)]
    assert [one.gift.symbol for one in await faucet.give(owner, more)] == ["USDC"]


async def test_an_owner_waits_between_gifts_and_nobody_else_does(rpc, deployment, owner):
    faucet = Faucet(rpc, CHAIN_ID)
    gifts = gifts_of(deployment)
    first, second = await asyncio.gather(
        faucet.give(owner, gifts), faucet.give(owner, gifts), return_exceptions=True
    )
    assert isinstance(second, TooSoon)
    assert 1 <= second.wait_s <= 10
    assert len(first) == 3
    assert len(await faucet.give(dev_address(FAUCET_KEY - 1), [Gift("X", gifts[1].token, 1)])) == 1


async def test_who_got_nothing_does_not_wait(rpc, deployment):
    faucet = Faucet(rpc, CHAIN_ID)
    rich = dev_address(USER_KEYS[0])
    for _ in range(2):
        assert await faucet.give(rich, gifts_of(deployment)) == []


async def test_many_wallets_at_once_all_get_theirs(rpc, deployment):
    faucet = Faucet(rpc, CHAIN_ID)
    owners = [Account.create().address.lower() for _ in range(8)]
    given = await asyncio.gather(*(faucet.give(owner, gifts_of(deployment)) for owner in owners))
    assert len({one.tx_hash for each in given for one in each}) == 24
    for owner in owners:
        assert await rpc.balance(owner) == ETH


async def test_the_faucet_never_runs_dry(rpc, deployment, owner):
    faucet = Faucet(rpc, CHAIN_ID)
    await rpc.call("anvil_setBalance", dev_address(FAUCET_KEY), "0x0")
    assert len(await faucet.give(owner, [Gift("ETH", NATIVE_TOKEN, ETH)])) == 1


async def test_the_faucet_never_runs_dry_of_gas_for_tokens(rpc, deployment, owner):
    faucet = Faucet(rpc, CHAIN_ID)
    await rpc.call("anvil_setBalance", dev_address(FAUCET_KEY), "0x0")
    assert len(await faucet.give(owner, gifts_of(deployment)[1:])) == 2


async def test_no_other_chain_has_a_faucet(rpc, owner):
    for chain_id in (1, 8453, 11155111):
        with pytest.raises(DevKeyRefused):
            Faucet(rpc, chain_id)
    faucet = Faucet(rpc, CHAIN_ID)
    await rpc.call("anvil_setChainId", 1)
    for _ in range(2):
        with pytest.raises(WrongChain):
            await faucet.give(owner, [Gift("ETH", NATIVE_TOKEN, ETH)])
    assert await rpc.balance(owner) == 0


async def test_a_gift_that_reverts_and_a_node_that_is_away_are_told(rpc, deployment, owner):
    faucet = Faucet(rpc, CHAIN_ID)
    with pytest.raises(ChainError):
        await faucet.give(owner, [Gift("USDC", deployment.tokens[0].address, 2**256 - 1)] * 2)
    async with Rpc("http://127.0.0.1:9", timeout_s=1) as nowhere:
        with pytest.raises(RpcUnavailable):
            await Faucet(nowhere, CHAIN_ID).give(owner, gifts_of(deployment))
