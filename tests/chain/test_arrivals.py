"""Personal deposit addresses: shown as pending, swept, and credited by the vault's own deposit."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from tests.chain.conftest import nothing_displaced

from exchange.chain.arrival_rows import ASKED_STEP_MS, arrivals_of, issue_address
from exchange.chain.arrivals import ANY_PER_PASS, ASKED_S, TRIES_PER_PASS, ArrivalWatcher
from exchange.chain.deposit_addresses import address_of_call, decode_address
from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import DEV_CHAIN_ID, GUARDIAN_KEY, SWEEPER_KEY, dev_address, dev_key
from exchange.chain.errors import RegistryDiffers, RpcError, SenderOutOfGas
from exchange.chain.finality import Finality
from exchange.chain.forwarders import Forwarders
from exchange.chain.outbox import Outbox, SendPolicy
from exchange.chain.rpc import together
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


async def test_a_watcher_of_another_build_refuses_the_start_and_shows_no_address(
    rpc, pool, deployment, exchange
):
    other = Forwarders(b"\x60\x00", registry=deployment.deposit_addresses, vault=deployment.vault)
    watcher = ArrivalWatcher(rpc, pool, other, list, None, chain_id=DEV_CHAIN_ID)
    with pytest.raises(RegistryDiffers):
        await watcher.check()
    assert not watcher.is_checked
    with pytest.raises(RegistryDiffers):
        await watcher.poll()
    assert not watcher.is_checked


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
    await wallet(GUARDIAN_KEY).send(deployment.vault, PAUSE)
    watcher = watch()
    await watcher.poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0
    await wallet(GUARDIAN_KEY).send(deployment.vault, selector("unpause()"))
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


def owner_number(number: int) -> str:
    return f"0x{number:040x}"


async def idle_addresses(pool, forwarders, count: int) -> list[str]:
    """Owners who were given an address once, and have not asked since."""
    owners = [owner_number(10**9 + number) for number in range(count)]
    long_ago_ms = int(1_000 * (time.time() - ASKED_S - 3_600))
    await pool.executemany(
        "INSERT INTO deposit_addresses (chain_id, registry, owner, address, issued_ms, last_asked_ms)"
        " VALUES ($1, $2, $3, $4, $5, $5)",
        [
            (DEV_CHAIN_ID, forwarders.registry, owner, forwarders.address_of(owner), long_ago_ms)
            for owner in owners
        ],
    )
    return owners


async def set_balances(rpc, addresses: list[str], atoms: int) -> None:
    await together(*(rpc.call("anvil_setBalance", address, hex(atoms)) for address in addresses))


async def test_dust_at_a_thousand_addresses_does_not_hold_up_what_is_enough(
    watch, address, pool, wallet, rpc, forwarders
):
    await set_balances(rpc, [await address(owner_number(10**9 + number)) for number in range(1_001)], 1)
    watcher = watch()
    for _ in range(2):
        await watcher.poll()
    assert await pool.fetchval("SELECT count(*) FROM deposit_arrivals") == 1_001
    assert watcher.status().waiting == 0
    personal = await address(wallet(0).address)
    await wallet(5).send(personal, value=ETHER)
    await watcher.poll()
    assert await rpc.balance(personal) == 0


async def test_what_can_not_be_swept_does_not_hold_up_what_can(
    watch, address, pool, wallet, rpc, forwarders, faulty_rpc
):
    stuck = [owner_number(10**9 + number) for number in range(2 * TRIES_PER_PASS)]

    def refuse(method: str, params: tuple[Any, ...]) -> None:
        is_sweep = method == "eth_call" and "from" in params[0]
        if is_sweep and any(owner[2:] in params[0]["data"] for owner in stuck):
            raise RpcError(method, 3, "execution reverted")

    faulty_rpc.before = refuse
    await set_balances(rpc, [await address(owner) for owner in stuck], ETHER)
    watcher = watch()
    await watcher.poll()
    personal = await address(wallet(0).address)
    await wallet(5).send(personal, value=ETHER)
    for _ in range(2):
        await watcher.poll()
    assert await rpc.balance(personal) == 0
    assert watcher.status().waiting == len(stuck) + 1


async def test_an_address_that_was_asked_for_lately_is_looked_at_in_each_pass(
    watch, address, pool, wallet, forwarders
):
    await idle_addresses(pool, forwarders, 3_000)
    alice = wallet(0)
    await wallet(5).send(await address(alice.address), value=1)
    await watch(sweeps=False).poll()
    assert await arrivals(pool, forwarders, alice.address) == {NATIVE_TOKEN: 1}


async def test_an_address_that_nobody_asks_for_any_more_has_its_turn_too(
    watch, pool, wallet, forwarders, rpc
):
    owners = await idle_addresses(pool, forwarders, 2 * ANY_PER_PASS + 1)
    await rpc.call("anvil_setBalance", forwarders.address_of(owners[-1]), hex(ETHER))
    watcher = watch()
    for _ in range(2):
        await watcher.poll()
    assert watcher.status().waiting == 0
    await watcher.poll()
    assert await rpc.balance(forwarders.address_of(owners[-1])) == 0


async def test_what_was_swept_by_somebody_else_is_noticed_though_its_address_lies_idle(
    watch, pool, wallet, forwarders, rpc
):
    owners = await idle_addresses(pool, forwarders, 3 * ANY_PER_PASS)
    await rpc.call("anvil_setBalance", forwarders.address_of(owners[0]), hex(ETHER))
    watcher = watch(sweeps=False)
    await watcher.poll()
    assert watcher.status().waiting == 1
    await rpc.call("anvil_setBalance", forwarders.address_of(owners[0]), "0x0")
    await watcher.poll()
    assert watcher.status().waiting == 0


async def test_asking_again_is_noted_but_not_each_time(pool, forwarders):
    owner, registry = owner_number(7), forwarders.registry

    async def noted_ms() -> int:
        return int(await pool.fetchval("SELECT last_asked_ms FROM deposit_addresses"))

    for asked_ms, expected_ms in (
        (1_000, 1_000),
        (1_000 + ASKED_STEP_MS - 1, 1_000),
        (1_000 + ASKED_STEP_MS, 1_000 + ASKED_STEP_MS),
        (2_000, 1_000 + ASKED_STEP_MS),  # a clock that went back
    ):
        await issue_address(
            pool, DEV_CHAIN_ID, registry, owner, forwarders.address_of(owner), asked_ms=asked_ms
        )
        assert await noted_ms() == expected_ms
    assert await pool.fetchval("SELECT issued_ms FROM deposit_addresses") == 1_000
