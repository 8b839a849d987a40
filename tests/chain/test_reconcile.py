"""Books and vault compared before anything is signed, against a real chain and a real database."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.chain.conftest import Exchange, open_exchange

from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import DEV_CHAIN_ID, SENDER_KEY, SIGNER_KEY, dev_address, dev_key
from exchange.chain.errors import DepositGap, RpcUnavailable
from exchange.chain.reconcile import Reconciler, reconcile
from exchange.chain.signer import LocalSender, LocalSigner
from exchange.chain.vault import ACCOUNTED, DEPOSITED
from exchange.chain.withdrawals import WithdrawalPolicy, WithdrawalWorker, payment_status
from exchange.core.commands import ListAsset, RequestWithdrawal, SettleWithdrawal
from exchange.core.markets import NATIVE_TOKEN

DESTINATION = "0x" + "d0" * 20


class Venue:
    """An exchange and its three tasks on one vault. A new one on empty tables is one that lost everything."""

    def __init__(self, rpc: Any, pool: Any, deployment: Any, exchange: Exchange, confirmations: int) -> None:
        self.rpc = rpc
        self.pool = pool
        self.exchange = exchange
        self.place = {"chain_id": DEV_CHAIN_ID, "vault": deployment.vault}
        self.watcher = DepositWatcher(
            rpc,
            pool,
            exchange.submit,
            exchange.committed,
            **self.place,
            deploy_block=deployment.deploy_block,
            confirmations=confirmations,
            poll_s=0.02,
        )
        self.reconciler = Reconciler(rpc, pool, exchange.committed, self.watcher, **self.place, poll_s=0.02)
        self.worker = WithdrawalWorker(
            rpc,
            pool,
            exchange.submit,
            exchange.committed,
            exchange,
            LocalSigner(dev_key(SIGNER_KEY), DEV_CHAIN_ID, deployment.vault),
            LocalSender(dev_key(SENDER_KEY), DEV_CHAIN_ID),
            **self.place,
            deploy_block=deployment.deploy_block,
            policy=WithdrawalPolicy(confirmations=confirmations),
            may_sign=lambda: self.reconciler.agrees,
            poll_s=0.02,
        )

    async def poll(self) -> None:
        await self.watcher.poll()
        await self.reconciler.poll()
        await self.worker.poll()

    async def withdraw(self, owner: str, atoms: int, nonce: int = 1) -> str:
        withdrawal_id = "0x" + nonce.to_bytes(32).hex()
        outcome = await self.exchange.submit(
            RequestWithdrawal(
                withdrawal_id=withdrawal_id,
                account_id=self.exchange.committed.account_id(owner),
                asset_id=self.exchange.committed.asset_by_symbol["ETH"].asset_id,
                amount_atoms=atoms,
                max_fee_atoms=0,
                destination=DESTINATION,
                nonce=nonce,
                deadline_s=int(time.time()) + 3_600,
                signature="0x",
            )
        )
        assert type(outcome.events[0]).__name__ == "WithdrawalRequested"
        return withdrawal_id

    async def state_of(self, withdrawal_id: str) -> str | None:
        found = (await payment_status(self.pool, [withdrawal_id])).get(withdrawal_id)
        return None if found is None else str(found.state)


@pytest.fixture
def venue(faulty_rpc, pool, deployment, exchange) -> Callable[..., Venue]:
    def make(of: Exchange = exchange, confirmations: int = 1) -> Venue:
        return Venue(faulty_rpc, pool, deployment, of, confirmations)

    return make


async def test_a_lost_database_on_a_vault_that_has_paid_credits_again_but_signs_nothing(
    venue, wallet, pool, rpc, deployment, mine
):
    alice, bob = wallet(0), wallet(1)
    await alice.deposit_native(100)
    await bob.deposit_native(50)
    before = venue()
    await before.watcher.poll()
    first = await before.withdraw(alice.address, 100, nonce=1)
    for _ in range(6):
        await before.poll()
        await mine(1)
    assert await before.state_of(first) == "settled"
    assert await rpc.balance(DESTINATION) == 100

    await pool.execute(
        "TRUNCATE chain_blocks, vault_deposits, payments, payment_cursors, payment_transactions,"
        " payment_attempts CASCADE"
    )
    after = venue(await open_exchange(deployment))
    await after.watcher.poll()
    assert after.exchange.available_atoms(alice.address, "ETH") == 100  # once more
    second = await after.withdraw(alice.address, 50, nonce=2)
    for _ in range(6):
        await after.poll()
        await mine(1)
    assert not after.reconciler.agrees
    status = after.reconciler.status()
    [mismatch] = status.mismatches
    assert (mismatch.symbol, mismatch.difference_atoms) == ("ETH", -100)
    assert status.problem == "the vault holds 100 atoms of ETH less than the books say"
    assert await after.state_of(second) == "approved"
    assert await pool.fetchval("SELECT count(*) FROM payment_transactions") == 0
    assert await rpc.balance(DESTINATION) == 100


async def test_nothing_agrees_before_the_first_clean_pass_nor_before_the_watcher_has_caught_up(venue, wallet):
    fresh = venue()
    assert not fresh.reconciler.agrees
    assert fresh.reconciler.status().problem is not None
    await wallet(0).deposit_native(5)
    await fresh.reconciler.poll()
    assert not fresh.reconciler.agrees
    assert fresh.reconciler.status().problem == "the deposit watcher has not caught up with the chain"
    await fresh.watcher.poll()
    await fresh.reconciler.poll()
    assert fresh.reconciler.agrees
    assert fresh.reconciler.status().problem is None


async def test_a_watcher_that_falls_behind_closes_the_gate(venue, mine):
    running = venue()
    await running.watcher.poll()
    await running.reconciler.poll()
    await mine(100)
    await running.reconciler.poll()
    assert not running.reconciler.agrees
    await running.watcher.poll()
    await running.reconciler.poll()
    assert running.reconciler.agrees


async def test_a_condition_of_the_watcher_closes_the_gate_at_once(venue, wallet, faulty_rpc, eventually):
    running = venue()
    await running.watcher.poll()
    await running.reconciler.poll()

    def hide(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        is_deposits = method == "eth_getLogs" and params[0]["topics"] == [DEPOSITED]
        return [entry for entry in answer if int(entry["topics"][1], 16) != 1] if is_deposits else answer

    faulty_rpc.after = hide
    await wallet(0).deposit_native(5)
    await wallet(0).deposit_native(6)
    watching = asyncio.create_task(running.watcher.run())
    await eventually(lambda: isinstance(running.watcher.status().condition, DepositGap))
    assert not running.reconciler.agrees
    faulty_rpc.heal()
    await eventually(lambda: running.watcher.status().fault is None)
    await running.reconciler.poll()
    assert running.reconciler.agrees
    watching.cancel()


async def test_a_difference_closes_the_gate_and_the_next_clean_pass_opens_it(venue, wallet, faulty_rpc):
    await wallet(0).deposit_native(5)
    running = venue()
    await running.watcher.poll()
    await running.reconciler.poll()
    assert running.reconciler.agrees

    def one_more(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        is_accounted = method == "eth_call" and params[0]["data"].startswith("0x" + ACCOUNTED.hex())
        return "0x" + (int(answer, 16) + 1).to_bytes(32).hex() if is_accounted else answer

    faulty_rpc.after = one_more
    await running.reconciler.poll()
    assert not running.reconciler.agrees
    assert [entry.difference_atoms for entry in running.reconciler.status().mismatches] == [1, 1, 1]
    faulty_rpc.heal()
    await running.reconciler.poll()
    assert running.reconciler.agrees
    assert running.reconciler.status().mismatches == ()


async def test_a_node_that_does_not_answer_closes_the_gate_until_it_does(
    venue, wallet, faulty_rpc, eventually
):
    running = venue()
    await running.watcher.poll()
    comparing = asyncio.create_task(running.reconciler.run())
    await eventually(lambda: running.reconciler.agrees)

    def down(method: str, params: tuple[Any, ...]) -> None:
        raise RpcUnavailable(method, "down")

    faulty_rpc.before = down
    await eventually(lambda: not running.reconciler.agrees)
    await eventually(lambda: isinstance(running.reconciler.status().fault, RpcUnavailable))
    assert running.reconciler.status().problem == str(running.reconciler.status().fault)
    faulty_rpc.heal()
    await eventually(lambda: running.reconciler.agrees)
    comparing.cancel()


async def test_tokens_that_are_not_listed_cost_no_requests(venue, wallet, deployment, faulty_rpc):
    listed = Exchange()
    await listed.submit(ListAsset("ETH", 18, DEV_CHAIN_ID, deployment.vault, NATIVE_TOKEN))
    alice = wallet(0)
    await alice.approve("USDC")
    await alice.deposit_token("USDC", 7)
    await alice.deposit_native(5)
    running = venue(listed)
    await running.watcher.poll()
    calls: list[Any] = []
    faulty_rpc.before = lambda method, params: calls.append(params) if method == "eth_call" else None
    await running.reconciler.poll()
    assert running.reconciler.agrees
    assert len(calls) == 1


async def test_deposits_withdrawals_and_settlements_at_the_same_time_leave_the_books_in_agreement(
    venue, wallet, rpc, eventually
):
    alice, bob = wallet(0), wallet(1)
    await alice.deposit_native(1_000)
    running = venue()
    tasks = [
        asyncio.create_task(part.run()) for part in (running.watcher, running.reconciler, running.worker)
    ]
    await eventually(lambda: running.exchange.available_atoms(alice.address, "ETH") == 1_000)
    for nonce in range(1, 13):
        await running.withdraw(alice.address, 10, nonce)
        await bob.deposit_native(nonce)
    await eventually(lambda: len(running.exchange.submitted(SettleWithdrawal)) == 12)
    await eventually(lambda: running.exchange.available_atoms(bob.address, "ETH") == sum(range(1, 13)))
    await eventually(lambda: running.reconciler.agrees)
    assert running.reconciler.status().mismatches == ()
    assert await rpc.balance(DESTINATION) == 120
    for task in tasks:
        task.cancel()


class Moving:
    """The real pool; something happens right after the newest scanned block was read."""

    def __init__(self, pool: Any, happen: Callable[[], Awaitable[None]]) -> None:
        self._pool = pool
        self._happen = happen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def fetchrow(self, statement: str, *values: Any) -> Any:
        row = await self._pool.fetchrow(statement, *values)
        if "FROM chain_blocks" in statement:
            await self._happen()
        return row


async def test_a_deposit_credited_while_the_books_are_compared_is_no_difference(venue, wallet, pool):
    alice = wallet(0)
    await alice.deposit_native(5)
    running = venue()
    await running.watcher.poll()

    async def deposit() -> None:
        await alice.deposit_native(7)
        await running.watcher.poll()
        assert running.exchange.available_atoms(alice.address, "ETH") == 12

    result = await reconcile(running.rpc, Moving(pool, deposit), running.exchange.committed, **running.place)
    assert result is not None
    assert result.mismatches == []
    assert result.positions[0].uncredited_atoms == -7


async def test_a_payment_settled_while_the_books_are_compared_is_no_difference(venue, wallet, pool):
    await wallet(0).deposit_native(5)
    running = venue()
    await running.poll()
    withdrawal_id = await running.withdraw(dev_address(0), 3)

    async def settle() -> None:
        for _ in range(4):
            await running.worker.poll()
        assert await running.state_of(withdrawal_id) == "settled"

    result = await reconcile(running.rpc, Moving(pool, settle), running.exchange.committed, **running.place)
    assert result is not None
    assert result.mismatches == []
    assert result.positions[0].unsettled_atoms == -3
