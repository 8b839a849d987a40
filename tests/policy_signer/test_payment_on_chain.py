"""A withdrawal through the policy signer: asked for, journaled, signed over HTTP, paid by the real vault."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.chain.conftest import Wallet, nothing_displaced
from tests.fixtures.policy_signer import PolicySigners
from tests.policy_signer.ledger import ALICE, DESTINATION, FEE_ATOMS, Ledger, running_ledger

from exchange.chain.allow_list import AllowList
from exchange.chain.deployment import Deployment
from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import DEV_CHAIN_ID, SENDER_KEY, dev_key
from exchange.chain.errors import SignerRefused, SignerUnavailable
from exchange.chain.finality import Finality
from exchange.chain.outbox import SendPolicy
from exchange.chain.remote_signer import RemoteSigner
from exchange.chain.risk import RiskPolicy, RiskStep
from exchange.chain.rpc import Rpc
from exchange.chain.signer import LocalSender, Signer
from exchange.chain.vault import PaymentMade, decode_payment, payment_topics
from exchange.chain.withdrawals import WithdrawalPolicy, WithdrawalWorker, payment_status
from exchange.core.events import WithdrawalRequested
from exchange.core.markets import NATIVE_TOKEN
from exchange.journal.tail import Tail
from exchange.policy_signer.limits import TokenLimits

ETHER = 10**18
LIMITS = {NATIVE_TOKEN: TokenLimits(2 * ETHER, 5 * ETHER, 86_400)}


def worker_with(signer: Signer, ledger: Ledger, rpc: Rpc, deployment: Deployment) -> WithdrawalWorker:
    return WithdrawalWorker(
        rpc,
        ledger.pool,
        ledger.submit,
        ledger.committed,
        Tail(ledger.pool),
        signer,
        LocalSender(dev_key(SENDER_KEY), DEV_CHAIN_ID),
        RiskStep(
            ledger.pool,
            RiskPolicy(),
            AllowList(ledger.pool, 0),
            lambda asset_id: ledger.committed.assets[asset_id].symbol,
            chain_id=DEV_CHAIN_ID,
            vault=deployment.vault,
        ),
        chain_id=DEV_CHAIN_ID,
        vault=deployment.vault,
        deploy_block=deployment.deploy_block,
        policy=WithdrawalPolicy(finality=Finality(1), retry_s=0.0, send=SendPolicy(rebroadcast_s=0.0)),
        may_sign=lambda: True,
        poll_s=0.01,
    )


@pytest.fixture
async def funded(
    database_url: str, pool: asyncpg.Pool, rpc: Rpc, deployment: Deployment
) -> AsyncIterator[Ledger]:
    """The ledger of the deployed vault, into which Alice has brought 10 ether."""
    usdc = next(token.address for token in deployment.tokens if token.symbol == "USDC")
    async with running_ledger(database_url, pool, vault=deployment.vault, usdc=usdc, funded=False) as ledger:
        await deposit(ledger, rpc, deployment, 10 * ETHER)
        yield ledger


async def deposit(ledger: Ledger, rpc: Rpc, deployment: Deployment, atoms: int) -> None:
    """Alice brings ether to the vault, and the ledger credits it."""
    await Wallet(rpc, deployment, ALICE).deposit_native(atoms)
    await DepositWatcher(
        rpc,
        ledger.pool,
        ledger.engine.sequencer.submit_batch,
        ledger.committed,
        chain_id=DEV_CHAIN_ID,
        vault=deployment.vault,
        deploy_block=deployment.deploy_block,
        finality=Finality(1),
        on_displaced=nothing_displaced,
    ).poll()


async def ask_for(ledger: Ledger, atoms: int) -> WithdrawalRequested:
    outcome = await ledger.submit(ledger.command(ledger.message(amount_atoms=atoms)))
    [event] = outcome.events
    assert isinstance(event, WithdrawalRequested)
    return event


async def state_of(ledger: Ledger, requested: WithdrawalRequested) -> str:
    status = await payment_status(ledger.pool, [requested.withdrawal_id])
    return str(status[requested.withdrawal_id].state)


async def settle(worker: WithdrawalWorker, ledger: Ledger, rpc: Rpc, requested: WithdrawalRequested) -> None:
    """Polls and mines until the withdrawal is settled."""
    for _ in range(20):
        await worker.poll()
        if await state_of(ledger, requested) == "settled":
            return
        await rpc.call("anvil_mine", "0x1")
    raise AssertionError(worker.status())


async def test_the_vault_pays_what_the_policy_signer_signed(
    funded: Ledger, rpc: Rpc, deployment: Deployment, policy_signer: PolicySigners
) -> None:
    server = await policy_signer(funded.database_url, DEV_CHAIN_ID, deployment.vault, LIMITS)
    async with RemoteSigner(server.where, DEV_CHAIN_ID, deployment.vault) as signer:
        worker = worker_with(signer, funded, rpc, deployment)
        within = await ask_for(funded, ETHER)
        beyond = await ask_for(funded, 3 * ETHER)
        await settle(worker, funded, rpc, within)

        assert await rpc.balance(DESTINATION) == ETHER - FEE_ATOMS
        [paid] = await rpc.logs(
            deployment.vault,
            payment_topics(within.withdrawal_id),
            deployment.deploy_block,
            (await rpc.head()).number,
        )
        made = decode_payment(paid)
        assert isinstance(made, PaymentMade)
        assert (made.amount_atoms, made.claimable) == (ETHER - FEE_ATOMS, False)

        assert await state_of(funded, beyond) == "approved"
        condition = worker.status().conditions[beyond.withdrawal_id]
        assert isinstance(condition, SignerRefused)
        assert condition.code == "payment_limit_exceeded"


async def test_without_a_signer_withdrawals_wait_and_are_paid_when_it_is_back(
    funded: Ledger, rpc: Rpc, deployment: Deployment, policy_signer: PolicySigners
) -> None:
    server = await policy_signer(funded.database_url, DEV_CHAIN_ID, deployment.vault, LIMITS)
    await server.stop()
    requested = await ask_for(funded, ETHER)
    async with RemoteSigner(server.where, DEV_CHAIN_ID, deployment.vault) as signer:
        worker = worker_with(signer, funded, rpc, deployment)
        for _ in range(3):
            await worker.poll()
            assert isinstance(worker.status().conditions[requested.withdrawal_id], SignerUnavailable)
        assert await state_of(funded, requested) == "approved"

        await server.start()
        await settle(worker, funded, rpc, requested)
        assert await rpc.balance(DESTINATION) == ETHER - FEE_ATOMS
