"""The local chain's process and the deployment, through stops, kills and leftovers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eth_abi.abi import encode
from tests.chain.conftest import token_balance
from tests.fixtures.anvil import ARTIFACTS, free_port

from exchange.chain import dev_keys
from exchange.chain import vault as vault_abi
from exchange.chain.balance_roots import PUBLISH, PUBLISHER_ROLE
from exchange.chain.deployment import (
    ADMIN_DELAY_S,
    ADMIN_ROLE,
    FIRST_ADMIN_DELAY_S,
    GRANT_DELAY_S,
    MAX_ROOT_AGE_BLOCKS,
    ROLES,
    SETBACK_S,
    SETTINGS_ROLE,
    TARGET_DELAY_S,
    Deployment,
    deploy,
    ensure_deployment,
    verify,
)
from exchange.chain.deposit_addresses import SET_MINIMUM, minimum_of_call
from exchange.chain.devchain import Anvil, find_anvil
from exchange.chain.errors import (
    AnvilFailed,
    AnvilMissing,
    ArtifactMissing,
    ChainStateBusy,
    DeploymentLost,
    PortTaken,
    RpcError,
    RpcUnavailable,
)
from exchange.chain.rpc import Rpc
from exchange.chain.vault import (
    GUARDIAN_ROLE,
    SENDER_ROLE,
    SIGNER_ROLE,
    decode_word,
    decode_words,
    selector,
)
from exchange.core.markets import NATIVE_TOKEN


async def test_a_stopped_chain_goes_on_where_it_was_and_its_deployment_is_found_again(tmp_path, anvil_binary):
    state, stored = tmp_path / "chain" / "state.json", tmp_path / "deployment.json"
    async with Anvil(anvil_binary, free_port(), state) as chain, Rpc(chain.url) as rpc:
        first = await ensure_deployment(rpc, stored, ARTIFACTS)
        head = await rpc.head()
    async with Anvil(anvil_binary, free_port(), state) as chain, Rpc(chain.url) as rpc:
        assert await ensure_deployment(rpc, stored, ARTIFACTS) == first
        assert await rpc.head() == head


async def test_a_deployment_on_a_lost_chain_is_a_clear_error(tmp_path, rpc):
    stored = tmp_path / "deployment.json"
    gone = Deployment(31337, "0x" + "e5" * 20, "0x" + "e6" * 20, (), 2)
    gone.save(stored)
    with pytest.raises(DeploymentLost, match="--fresh"):
        await ensure_deployment(rpc, stored, ARTIFACTS)


async def test_contracts_that_are_not_compiled_are_a_clear_error(rpc, tmp_path):
    with pytest.raises(ArtifactMissing, match="forge build"):
        await deploy(rpc, tmp_path)


async def test_with_a_block_time_blocks_come_by_themselves_and_deploying_works(
    tmp_path, anvil_binary, eventually
):
    async with Anvil(anvil_binary, free_port(), block_time_s=1) as chain, Rpc(chain.url) as rpc:
        deployment = await deploy(rpc, ARTIFACTS)
        await verify(rpc, deployment)
        number = (await rpc.head()).number

        async def grew() -> bool:
            return (await rpc.head()).number > number

        await eventually(grew)


async def test_the_roles_are_held_by_separate_keys_and_the_deployer_keeps_none(rpc, deployment):
    async def roles(index: int) -> list[int]:
        holder = bytes(12) + bytes.fromhex(dev_keys.dev_address(index)[2:])
        held = []
        for role in ROLES:
            call = selector("hasRole(uint64,address)") + role.to_bytes(32) + holder
            if int.from_bytes((await rpc.view(deployment.access_manager, call))[:32]):
                held.append(role)
        return held

    assert await roles(dev_keys.DEPLOYER_KEY) == []
    assert await roles(dev_keys.SIGNER_KEY) == [SIGNER_ROLE]
    assert await roles(dev_keys.SENDER_KEY) == [SENDER_ROLE]
    assert await roles(dev_keys.PUBLISHER_KEY) == [PUBLISHER_ROLE]
    assert await roles(dev_keys.SWEEPER_KEY) == []
    assert await roles(dev_keys.GUARDIAN_KEY) == [GUARDIAN_ROLE]
    assert await roles(dev_keys.ADMIN_KEY) == [ADMIN_ROLE, SETTINGS_ROLE]


async def test_each_restricted_function_is_for_one_key_and_the_admins_only_after_its_delay(rpc, deployment):
    vault, addresses, roots = deployment.vault, deployment.deposit_addresses, deployment.balance_roots
    holders = {
        (vault, vault_abi.WITHDRAW): (dev_keys.SENDER_KEY, 0),
        (vault, vault_abi.PAUSE): (dev_keys.GUARDIAN_KEY, 0),
        (vault, vault_abi.UNPAUSE): (dev_keys.GUARDIAN_KEY, 0),
        (vault, vault_abi.SET_OUTFLOW_LIMIT): (dev_keys.ADMIN_KEY, ADMIN_DELAY_S),
        (vault, vault_abi.PROPOSE_SETTLEMENT_MODULE): (dev_keys.ADMIN_KEY, ADMIN_DELAY_S),
        (vault, vault_abi.ACTIVATE_SETTLEMENT_MODULE): (dev_keys.ADMIN_KEY, ADMIN_DELAY_S),
        (addresses, SET_MINIMUM): (dev_keys.ADMIN_KEY, ADMIN_DELAY_S),
        (roots, PUBLISH): (dev_keys.PUBLISHER_KEY, 0),
    }
    for (target, function), (holder, delay_s) in holders.items():
        for index in range(dev_keys.KEY_COUNT):
            caller, place = (bytes.fromhex(address[2:]) for address in (dev_keys.dev_address(index), target))
            arguments = bytes(12) + caller + bytes(12) + place + function + bytes(28)
            call = selector("canCall(address,address,bytes4)") + arguments
            may_at_once, wait_s = decode_words(await rpc.view(deployment.access_manager, call), 2)
            assert bool(may_at_once) == (index == holder and delay_s == 0), (function.hex(), index)
            assert wait_s == (delay_s if index == holder else 0), (function.hex(), index)


async def test_what_changes_roles_waits_from_the_first_block_until_the_other_delays_count(rpc, deployment):
    manager, admin = deployment.access_manager, dev_keys.dev_address(dev_keys.ADMIN_KEY)

    async def asked(function: str, types: list[str], values: list[Any], words: int = 1) -> list[int]:
        return list(decode_words(await rpc.view(manager, selector(function) + encode(types, values)), words))

    async def admin_delay_s() -> int:
        return (await asked("hasRole(uint64,address)", ["uint64", "address"], [ADMIN_ROLE, admin], 2))[1]

    assert await admin_delay_s() == FIRST_ADMIN_DELAY_S
    await rpc.call("evm_increaseTime", SETBACK_S)
    await rpc.call("evm_mine")
    assert await admin_delay_s() == ADMIN_DELAY_S
    for role in ROLES:
        assert await asked("getRoleGrantDelay(uint64)", ["uint64"], [role]) == [GRANT_DELAY_S]
    for target in (manager, deployment.vault, deployment.deposit_addresses, deployment.balance_roots):
        assert await asked("getTargetAdminDelay(address)", ["address"], [target]) == [TARGET_DELAY_S]


@pytest.mark.parametrize(
    ("function", "types", "values"),
    [
        ("grantRole(uint64,address,uint32)", ["uint64", "address", "uint32"], [ADMIN_ROLE, "fresh", 0]),
        ("revokeRole(uint64,address)", ["uint64", "address"], [GUARDIAN_ROLE, "guardian"]),
        ("updateAuthority(address,address)", ["address", "address"], ["vault", "fresh"]),
        ("setOutflowLimit(address,uint256,uint64)", ["address", "uint256", "uint64"], [NATIVE_TOKEN, 0, 0]),
    ],
)
async def test_the_guardian_cancels_what_a_stolen_admin_key_has_scheduled(
    rpc, deployment, wallet, function, types, values
):
    names = {
        "fresh": "0x" + "f0" * 20,
        "guardian": dev_keys.dev_address(dev_keys.GUARDIAN_KEY),
        "vault": deployment.vault,
    }
    call = selector(function) + encode(types, [names.get(value, value) for value in values])
    target = deployment.vault if function.startswith("setOutflow") else deployment.access_manager
    operation = encode(
        ["address", "address", "bytes"], [dev_keys.dev_address(dev_keys.ADMIN_KEY), target, call]
    )
    cancel = selector("cancel(address,address,bytes)") + operation

    async def scheduled_for_s() -> int:
        hashed = selector("hashOperation(address,address,bytes)") + operation
        get = selector("getSchedule(bytes32)") + await rpc.view(deployment.access_manager, hashed)
        return decode_word(await rpc.view(deployment.access_manager, get))

    schedule = selector("schedule(address,bytes,uint48)")
    schedule += encode(["address", "bytes", "uint48"], [target, call, 0])
    await wallet(dev_keys.ADMIN_KEY).send(deployment.access_manager, schedule)
    assert await scheduled_for_s() > (await rpc.head()).time_s
    with pytest.raises(RpcError, match="revert"):
        await rpc.view(deployment.access_manager, cancel, sender=dev_keys.dev_address(dev_keys.SENDER_KEY))
    await wallet(dev_keys.GUARDIAN_KEY).send(deployment.access_manager, cancel)
    assert await scheduled_for_s() == 0


async def test_every_asset_has_an_outflow_limit_and_roots_an_age(rpc, deployment):
    limits = {"ETH": NATIVE_TOKEN} | {token.symbol: token.address for token in deployment.tokens}
    found = {
        symbol: decode_words(await rpc.view(deployment.vault, vault_abi.outflow_call(token)), 3)
        for symbol, token in limits.items()
    }
    assert found == {
        "ETH": [10_000 * 10**18, 86_400, 0],
        "USDC": [100_000_000 * 10**6, 86_400, 0],
        "WBTC": [1_000 * 10**8, 86_400, 0],
    }
    age = await rpc.view(deployment.balance_roots, selector("maxAgeBlocks()"))
    assert decode_word(age) == MAX_ROOT_AGE_BLOCKS


async def test_the_native_coin_and_each_token_are_listed_for_sweeping(rpc, deployment):
    minimums = {"ETH": NATIVE_TOKEN} | {token.symbol: token.address for token in deployment.tokens}
    found = {
        symbol: decode_word(await rpc.view(deployment.deposit_addresses, minimum_of_call(token)))
        for symbol, token in minimums.items()
    }
    assert found == {"ETH": 10**16, "USDC": 10**6, "WBTC": 10**4}


async def test_nothing_of_the_vault_lies_before_the_deploy_block(rpc, deployment):
    before, after = deployment.deploy_block - 1, deployment.deploy_block
    assert await rpc.call("eth_getCode", deployment.vault, hex(before)) == "0x"
    assert await rpc.call("eth_getCode", deployment.vault, hex(after)) != "0x"


async def test_a_deployment_stored_before_there_were_deposit_addresses_is_found_again(
    tmp_path, rpc, deployment
):
    stored = tmp_path / "deployment.json"
    older = {"chain_id": deployment.chain_id, "vault": deployment.vault, "tokens": [], "deploy_block": 2}
    stored.write_text(json.dumps(older | {"access_manager": deployment.access_manager}))
    found = await ensure_deployment(rpc, stored, ARTIFACTS)
    assert (found.vault, found.deposit_addresses, found.balance_roots) == (deployment.vault, "", "")


@pytest.mark.parametrize("contract", ["deposit_addresses", "balance_roots"])
async def test_a_deployment_with_a_contract_that_is_not_there_is_a_clear_error(rpc, deployment, contract):
    with pytest.raises(DeploymentLost) as caught:
        await verify(rpc, msgspec.structs.replace(deployment, **{contract: "0x" + "e5" * 20}))
    assert caught.value.contract == "0x" + "e5" * 20


async def test_the_ten_users_hold_tokens(rpc, deployment):
    for index in dev_keys.USER_KEYS:
        holder = dev_keys.dev_address(index)
        balances = [await token_balance(rpc, token.address, holder) for token in deployment.tokens]
        assert balances == [1_000_000 * 10**6, 100 * 10**8]


async def test_a_taken_port_is_a_clear_error(anvil, anvil_binary):
    with pytest.raises(PortTaken) as caught:
        await Anvil(anvil_binary, anvil.port).start()
    assert caught.value.port == anvil.port


async def test_a_second_chain_on_the_same_state_is_refused(tmp_path, anvil_binary, monkeypatch):
    monkeypatch.setattr("exchange.chain.devchain.LOCK_TIMEOUT_S", 0.2)
    state = tmp_path / "state.json"
    async with Anvil(anvil_binary, free_port(), state):
        with pytest.raises(ChainStateBusy):
            await Anvil(anvil_binary, free_port(), state).start()


async def test_a_broken_state_file_is_a_clear_error(tmp_path, anvil_binary):
    state = tmp_path / "state.json"
    state.write_text('{"block":')
    with pytest.raises(AnvilFailed, match=r"state\.json is broken"):
        await Anvil(anvil_binary, free_port(), state).start()


def test_a_missing_anvil_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnvilMissing, match="npm ci"):
        find_anvil(tmp_path)


def test_the_real_binary_is_found_not_the_script(anvil_binary):
    assert anvil_binary.read_bytes()[:2] != b"#!"


async def test_a_chain_that_dies_is_noticed(anvil):
    os.kill(anvil.pid, signal.SIGKILL)
    assert await asyncio.wait_for(anvil.wait(), 5) == -signal.SIGKILL


_PARENT = """
import asyncio, sys
from pathlib import Path
from exchange.chain.devchain import Anvil
async def main():
    chain = Anvil(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    await chain.start()
    print(chain.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are a Linux feature")
async def test_when_its_parent_is_killed_the_chain_saves_and_ends(tmp_path: Path, anvil_binary, eventually):
    state, port = tmp_path / "state.json", free_port()
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PARENT, str(anvil_binary), str(port), str(state)), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    lines = [await parent.stdout.readline()]
    while not lines[-1].strip().isdigit():  # the log comes first
        lines.append(await parent.stdout.readline())
    url = f"http://127.0.0.1:{port}"
    async with Rpc(url) as rpc:
        await rpc.call("anvil_mine", "0x7")
        parent.kill()
        await parent.wait()

        async def ended() -> bool:
            try:
                await rpc.head()
            except RpcUnavailable:
                return True
            return False

        await eventually(ended)
    async with Anvil(anvil_binary, port, state) as chain, Rpc(chain.url) as rpc:
        assert (await rpc.head()).number == 7
