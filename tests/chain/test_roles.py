"""Keys without their roles at the vault are noticed before the first payment is missed."""

import asyncio

import pytest
from eth_abi.abi import encode
from tests.chain.conftest import mined

from exchange.chain.dev_keys import SENDER_KEY, SIGNER_KEY, dev_address
from exchange.chain.errors import RpcError, RpcUnavailable
from exchange.chain.roles import RoleWatch
from exchange.chain.vault import SENDER_ROLE, SIGNER_ROLE, selector

SIGNER, SENDER, STRANGER = dev_address(SIGNER_KEY), dev_address(SENDER_KEY), dev_address(9)


async def give_up(rpc, deployment, role: int, holder: str) -> None:
    data = selector("renounceRole(uint64,address)") + encode(["uint64", "address"], [role, holder])
    transaction = {"from": holder, "to": deployment.access_manager, "data": "0x" + data.hex()}
    await mined(rpc, await rpc.call("eth_sendTransaction", transaction))


async def test_the_deployments_keys_hold_their_roles(rpc, deployment):
    watch = RoleWatch(rpc, deployment.vault, signer=SIGNER, sender=SENDER)
    await watch.poll()
    assert watch.problem is None


@pytest.mark.parametrize(
    ("signer", "sender", "named"),
    [
        (STRANGER, SENDER, "the signer's key can not"),
        (SIGNER, STRANGER, "the sender's key can not"),
        (SENDER, SIGNER, "the signer's key and the sender's key can not"),
    ],
)
async def test_a_key_without_its_role_is_named(rpc, deployment, signer, sender, named):
    watch = RoleWatch(rpc, deployment.vault, signer=signer, sender=sender)
    await watch.poll()
    assert str(watch.problem).startswith(named)


@pytest.mark.parametrize(("role", "holder"), [(SIGNER_ROLE, SIGNER), (SENDER_ROLE, SENDER)])
async def test_a_role_that_is_lost_is_noticed(rpc, deployment, role, holder):
    watch = RoleWatch(rpc, deployment.vault, signer=SIGNER, sender=SENDER)
    await watch.poll()
    await give_up(rpc, deployment, role, holder)
    await watch.poll()
    assert isinstance(watch.problem, str)


async def test_a_role_with_a_delay_is_as_good_as_none(rpc, deployment, faulty_rpc):
    def delayed(method, params, answer):
        is_role = method == "eth_call" and len(answer) == 2 + 2 * 64
        return "0x" + (1).to_bytes(32).hex() + (3_600).to_bytes(32).hex() if is_role else answer

    faulty_rpc.after = delayed
    watch = RoleWatch(faulty_rpc, deployment.vault, signer=SIGNER, sender=SENDER)
    await watch.poll()
    assert "without a delay" in str(watch.problem)


async def test_a_node_that_does_not_answer_is_no_proof_of_anything(deployment, faulty_rpc, eventually):
    watch = RoleWatch(faulty_rpc, deployment.vault, signer=SIGNER, sender=SENDER, poll_s=0.01)
    assert watch.problem == "not asked yet"

    refused: list[str] = []

    def down(method, params):
        refused.append(method)
        raise RpcUnavailable(method, "down")

    faulty_rpc.before = down
    running = asyncio.create_task(watch.run())
    await eventually(lambda: isinstance(watch.problem, RpcUnavailable))
    faulty_rpc.heal()
    await eventually(lambda: watch.problem is None)
    refused.clear()
    faulty_rpc.before = down
    await eventually(lambda: bool(refused))
    assert watch.problem is None  # what was last seen counts until something else is
    running.cancel()


async def test_a_vault_without_an_authority_is_a_fault(rpc, deployment):
    watch = RoleWatch(rpc, deployment.access_manager, signer=SIGNER, sender=SENDER)
    with pytest.raises(RpcError):
        await watch.poll()
