"""Personal deposit addresses: shown as pending, swept, and credited by the vault's own deposit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from tests.chain.conftest import nothing_displaced

from exchange.chain.arrival_rows import arrivals_of, issue_address
from exchange.chain.arrivals import ArrivalWatcher
from exchange.chain.deposit_addresses import address_of_call, decode_address
from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import ADMIN_KEY, DEV_CHAIN_ID, SWEEPER_KEY, dev_address, dev_key
from exchange.chain.errors import RegistryDiffers, SenderOutOfGas
from exchange.chain.finality import Finality
from exchange.chain.forwarders import Forwarders
from exchange.chain.outbox import Outbox, SendPolicy
from exchange.chain.signer import LocalSender
from exchange.chain.vault import PAUSE, selector
from exchange.core.markets import NATIVE_TOKEN

ARTIFACTS = Path(__file__).parents[2] / "build" / "contracts"
ETHER = 10**18


@pytest.fixture
def forwarders(deployment) -> Forwarders:
    return Forwarders.load(ARTIFACTS, registry=deployment.deposit_addresses, vault=deployment.vault)


@pytest.fixture
def watch(faulty_rpc, pool, forwarders, exchange, clock) -> Callable[..., ArrivalWatcher]:
    """Makes a watcher on the same tables, as a restart does."""

    def make(*, sweeps: bool = True) -> ArrivalWatcher:
        outbox = Outbox(
            faulty_rpc,
            pool,
            LocalSender(dev_key(SWEEPER_KEY), DEV_CHAIN_ID),
            chain_id=DEV_CHAIN_ID,
            policy=SendPolicy(rebroadcast_s=0.0, confirmations=1),
            now=clock,
        )
        return ArrivalWatcher(
            faulty_rpc,
            pool,
            forwarders,
            lambda: [asset.token for asset in exchange.committed.assets.values() if asset.listed],
            outbox if sweeps else None,
            chain_id=DEV_CHAIN_ID,
            now=clock,
        )

    return make


@pytest.fixture
def credit(rpc, pool, exchange, deployment) -> Callable[[], Any]:
    watcher = DepositWatcher(
        rpc,
        pool,
        exchange.submit_batch,
        exchange.committed,
        chain_id=DEV_CHAIN_ID,
        vault=deployment.vault,
        deploy_block=deployment.deploy_block,
        finality=Finality(1),
        on_displaced=nothing_displaced,
    )
    return watcher.poll


@pytest.fixture
def address(pool, forwarders) -> Callable[[str], Any]:
    """Gives an owner an address, as the API does."""

    async def issue(owner: str) -> str:
        found = forwarders.address_of(owner)
        await issue_address(pool, DEV_CHAIN_ID, forwarders.registry, owner, found)
        return found

    return issue


async def send_tokens(wallet, symbol: str, to: str, atoms: int) -> None:
    data = selector("transfer(address,uint256)") + encode(["address", "uint256"], [to, atoms])
    await wallet.send(wallet.tokens[symbol], data)


async def arrivals(pool, forwarders, owner: str) -> dict[str, int]:
    rows = await arrivals_of(pool, DEV_CHAIN_ID, forwarders.registry, owner)
    return {row.token: row.amount_atoms for row in rows}


async def test_addresses_computed_here_are_those_of_the_registry(rpc, forwarders, deployment):
    for index in range(3):
        owner = dev_address(index)
        answer = await rpc.view(deployment.deposit_addresses, address_of_call(owner))
        assert forwarders.address_of(owner) == decode_address(answer)


async def test_another_build_than_the_registrys_is_found_at_start(rpc, deployment):
    other = Forwarders(b"\x60\x00", registry=deployment.deposit_addresses, vault=deployment.vault)
    with pytest.raises(RegistryDiffers):
        await other.check(rpc)


async def test_what_is_sent_is_pending_then_swept_then_credited(
    watch, credit, address, forwarders, pool, wallet, exchange, mine
):
    alice, stranger = wallet(0), wallet(5)
    personal = await address(alice.address)
    await stranger.send(personal, value=2 * ETHER)
    await send_tokens(stranger, "USDC", personal, 5_000_000)
    watcher = watch()
    await watch(sweeps=False).poll()
    assert await arrivals(pool, forwarders, alice.address) == {
        NATIVE_TOKEN: 2 * ETHER,
        alice.tokens["USDC"]: 5_000_000,
    }
    await credit()
    assert exchange.available_atoms(alice.address, "ETH") == 0  # an arrival credits nobody
    await watcher.poll()
    await mine(1)
    await watcher.poll()
    await credit()
    assert exchange.available_atoms(alice.address, "ETH") == 2 * ETHER
    assert exchange.available_atoms(alice.address, "USDC") == 5_000_000
    assert await arrivals(pool, forwarders, alice.address) == {}
    sender = await pool.fetchval("SELECT DISTINCT sender FROM vault_deposits")
    assert sender == personal


async def test_an_address_is_used_again_and_again(watch, credit, address, wallet, exchange, mine, clock):
    alice = wallet(0)
    personal = await address(alice.address)
    watcher = watch()
    for _ in range(3):
        await wallet(5).send(personal, value=ETHER)
        await watcher.poll()
        await mine(1)
        await watcher.poll()
        clock.ahead_s += 60
    await credit()
    assert exchange.available_atoms(alice.address, "ETH") == 3 * ETHER


async def test_less_than_the_minimum_stays_and_is_swept_with_what_comes_later(
    watch, credit, address, forwarders, pool, wallet, exchange
):
    alice = wallet(0)
    personal = await address(alice.address)
    watcher = watch()
    await wallet(5).send(personal, value=1_000)
    await watcher.poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0
    assert await arrivals(pool, forwarders, alice.address) == {NATIVE_TOKEN: 1_000}
    await wallet(5).send(personal, value=ETHER)
    await watcher.poll()
    await credit()
    assert exchange.available_atoms(alice.address, "ETH") == ETHER + 1_000


async def test_many_accounts_are_swept_in_bounded_batches_each_to_its_owner(
    watch, credit, address, pool, wallet, exchange, mine
):
    owners = [dev_address(index) for index in range(8)]
    for index, owner in enumerate(owners):
        await wallet(9).send(await address(owner), value=ETHER + index)
    watcher = watch()
    for _ in range(3):
        await watcher.poll()
        await mine(1)
    await credit()
    assert [exchange.available_atoms(owner, "ETH") for owner in owners] == [
        ETHER + index for index in range(8)
    ]
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 2


async def test_a_sweep_by_somebody_else_is_as_good(
    watch, credit, address, forwarders, pool, wallet, exchange, deployment
):
    alice = wallet(0)
    await wallet(5).send(await address(alice.address), value=ETHER)
    await watch(sweeps=False).poll()
    data = selector("sweep(address,address)") + encode(["address", "address"], [alice.address, NATIVE_TOKEN])
    await wallet(3).send(deployment.deposit_addresses, data, gas="0x1e8480")
    await watch().poll()
    await credit()
    assert exchange.available_atoms(alice.address, "ETH") == ETHER
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0


async def test_while_the_vault_is_paused_nothing_is_sent_and_later_it_is(
    watch, credit, address, pool, wallet, exchange, deployment, rpc, clock
):
    alice = wallet(0)
    await wallet(5).send(await address(alice.address), value=ETHER)
    await wallet(ADMIN_KEY).send(deployment.vault, PAUSE)
    watcher = watch()
    await watcher.poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0
    await wallet(ADMIN_KEY).send(deployment.vault, selector("unpause()"))
    await watcher.poll()
    assert (
        await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0
    )  # asked again later, not at once
    clock.ahead_s += 31
    await watcher.poll()
    await credit()
    assert exchange.available_atoms(alice.address, "ETH") == ETHER


async def test_a_sweeper_without_gas_says_so_and_sends_nothing(watch, address, pool, wallet, rpc):
    await wallet(5).send(await address(wallet(0).address), value=ETHER)
    await rpc.call("anvil_setBalance", dev_address(SWEEPER_KEY), "0x1")
    watcher = watch()
    await watcher.poll()
    assert isinstance(watcher.status().condition, SenderOutOfGas)
    assert watcher.status().waiting == 1


async def test_a_restart_with_a_sweep_under_way_sends_no_second_one(
    watch, credit, address, pool, wallet, exchange, rpc, mine
):
    alice = wallet(0)
    await wallet(5).send(await address(alice.address), value=ETHER)
    await rpc.call("evm_setAutomine", False)
    await watch().poll()
    await watch().poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 1
    await mine(1)
    await watch().poll()
    await credit()
    assert exchange.available_atoms(alice.address, "ETH") == ETHER
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 1


async def test_an_unlisted_token_at_an_address_is_not_shown_and_not_swept(
    watch, address, forwarders, pool, wallet, rpc, deployment
):
    alice = wallet(0)
    personal = await address(alice.address)
    worthless = "0x" + "77" * 20
    await rpc.call("anvil_setCode", worthless, "0x60ff60005260206000f3")  # answers 255 to everything
    await watch().poll()
    assert await arrivals(pool, forwarders, alice.address) == {}
    assert personal != deployment.vault
