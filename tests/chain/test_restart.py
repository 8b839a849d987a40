"""The chain's process ends and comes back while deposits and withdrawals are under way."""

import asyncio
import time

from tests.chain.conftest import Exchange, Wallet, nothing_displaced
from tests.fixtures.anvil import ARTIFACTS, free_port

from exchange.chain.allow_list import AllowList
from exchange.chain.deployment import deploy
from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import DEV_CHAIN_ID, SENDER_KEY, SIGNER_KEY, dev_address, dev_key
from exchange.chain.devchain import Anvil
from exchange.chain.finality import Finality
from exchange.chain.outbox import SendPolicy
from exchange.chain.reconcile import Reconciler
from exchange.chain.risk import RiskPolicy, RiskStep
from exchange.chain.rpc import Rpc
from exchange.chain.signer import LocalSender, LocalSigner
from exchange.chain.withdrawals import WithdrawalPolicy, WithdrawalWorker, payment_status
from exchange.core.commands import ListAsset, RequestWithdrawal
from exchange.core.markets import NATIVE_TOKEN

DESTINATION = "0x" + "d0" * 20


async def test_both_directions_go_on_after_the_chain_was_stopped_and_started(
    tmp_path, anvil_binary, pool, eventually
):
    port, state = free_port(), tmp_path / "state.json"
    chain = Anvil(anvil_binary, port, state, block_time_s=1)
    await chain.start()
    async with Rpc(chain.url) as rpc:
        deployment = await deploy(rpc, ARTIFACTS)
        exchange = Exchange()
        await exchange.submit(ListAsset("ETH", 18, DEV_CHAIN_ID, deployment.vault, NATIVE_TOKEN))
        place = {"chain_id": DEV_CHAIN_ID, "vault": deployment.vault, "deploy_block": deployment.deploy_block}
        watcher = DepositWatcher(
            rpc,
            pool,
            exchange.submit_batch,
            exchange.committed,
            **place,
            finality=Finality(2),
            on_displaced=nothing_displaced,
            poll_s=0.1,
        )
        reconciler = Reconciler(rpc, pool, exchange.committed, watcher, **place, poll_s=0.1)
        worker = WithdrawalWorker(
            rpc,
            pool,
            exchange.submit,
            exchange.committed,
            exchange,
            LocalSigner(dev_key(SIGNER_KEY), DEV_CHAIN_ID, deployment.vault),
            LocalSender(dev_key(SENDER_KEY), DEV_CHAIN_ID),
            RiskStep(
                pool,
                RiskPolicy(),
                AllowList(pool, 0),
                lambda asset_id: exchange.committed.assets[asset_id].symbol,
                chain_id=DEV_CHAIN_ID,
                vault=deployment.vault,
            ),
            **place,
            policy=WithdrawalPolicy(finality=Finality(2), send=SendPolicy(rebroadcast_s=2)),
            may_sign=lambda: reconciler.agrees,
            poll_s=0.1,
        )
        tasks = [asyncio.create_task(part.run()) for part in (watcher, reconciler, worker)]
        alice = dev_address(0)
        await Wallet(rpc, deployment, 0).deposit_native(100)
        await eventually(lambda: exchange.available_atoms(alice, "ETH") == 100)

        await Wallet(rpc, deployment, 0).deposit_native(50)
        withdrawal_id = "0x" + "01" * 32
        await exchange.submit(
            RequestWithdrawal(
                withdrawal_id=withdrawal_id,
                account_id=exchange.committed.account_id(alice),
                asset_id=1,
                amount_atoms=30,
                max_fee_atoms=0,
                destination=DESTINATION,
                nonce=1,
                deadline_s=int(time.time()) + 3_600,
                signature="0x",
            )
        )

        async def is_in(*states: str) -> bool:
            status = (await payment_status(pool, [withdrawal_id])).get(withdrawal_id)
            return status is not None and status.state in states

        await eventually(lambda: is_in("broadcast", "mined", "settled"))
        await chain.stop()
        chain = Anvil(anvil_binary, port, state, block_time_s=1)
        await chain.start()
        await eventually(lambda: exchange.available_atoms(alice, "ETH") == 120, timeout_s=40)
        await eventually(lambda: is_in("settled"), timeout_s=40)
        await eventually(lambda: reconciler.agrees, timeout_s=40)
        assert await rpc.balance(DESTINATION) == 30
        assert watcher.status().condition is None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await chain.stop()
