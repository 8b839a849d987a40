"""Books and vault compared before anything is signed, against a real chain and a real database."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.chain.conftest import Exchange, open_exchange

from exchange.chain.allow_list import AllowList
from exchange.chain.books import Reconciliation
from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import DEV_CHAIN_ID, SENDER_KEY, SIGNER_KEY, dev_address, dev_key
from exchange.chain.displacement import DisplacedDeposits
from exchange.chain.errors import ChainMoved, DepositGap, RpcUnavailable
from exchange.chain.finality import Finality
from exchange.chain.reconcile import DIFFERING_BLOCKS, Reconciler, reconcile
from exchange.chain.risk import RiskPolicy, RiskStep
from exchange.chain.signer import LocalSender, LocalSigner
from exchange.chain.vault import ACCOUNTED, DEPOSITED
from exchange.chain.withdrawals import WithdrawalPolicy, WithdrawalWorker, payment_status
from exchange.chain.witness import Witness
from exchange.core.commands import ListAsset, RequestWithdrawal, SettleWithdrawal
from exchange.core.markets import NATIVE_TOKEN

DESTINATION = "0x" + "d0" * 20


class Venue:
    """An exchange and its three tasks on one vault. A new one on empty tables is one that lost everything."""

    def __init__(
        self,
        rpc: Any,
        pool: Any,
        deployment: Any,
        exchange: Exchange,
        confirmations: int,
        witness: Witness | None = None,
    ) -> None:
        self.alerts: list[tuple[str, str]] = []
        self.told: list[Reconciliation] = []
        self.rpc = rpc
        self.pool = pool
        self.deployment = deployment
        self.exchange = exchange
        self.place = {"chain_id": DEV_CHAIN_ID, "vault": deployment.vault}
        self.watcher = DepositWatcher(
            rpc,
            pool,
            exchange.submit_batch,
            exchange.committed,
            **self.place,
            deploy_block=deployment.deploy_block,
            finality=Finality(confirmations),
            on_displaced=self.on_displaced,
            witness=witness,
            poll_s=0.02,
        )
        self.reconciler = Reconciler(
            rpc,
            pool,
            exchange.committed,
            self.watcher,
            **self.place,
            deploy_block=deployment.deploy_block,
            poll_s=0.02,
            on_mismatch=self.on_mismatch,
            witness=witness,
            alert=lambda kind, detail: self.alerts.append((kind, detail)),
        )
        self.worker = WithdrawalWorker(
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
                **self.place,
            ),
            **self.place,
            deploy_block=deployment.deploy_block,
            policy=WithdrawalPolicy(finality=Finality(confirmations)),
            may_sign=lambda: self.reconciler.agrees,
            poll_s=0.02,
        )

    async def on_displaced(self, displaced: DisplacedDeposits) -> None:
        pass

    async def on_mismatch(self, found: Reconciliation) -> None:
        self.told.append(found)

    @property
    def finalized(self) -> Reconciliation:
        assert self.reconciler.finalized is not None
        return self.reconciler.finalized.reconciliation

    async def compare(self) -> None:
        await self.watcher.poll()
        await self.reconciler.poll()

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
        "TRUNCATE chain_blocks, vault_deposits, payments, payment_cursors, payment_tries, sent_transactions,"
        " sent_attempts CASCADE"
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
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0
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
    said = running.reconciler.status().problem
    assert said == "crediting has stopped: deposit 2 came where deposit 1 was due"
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
    assert len(calls) == 3  # accounted at the newest and at the finalized block, there claimable too


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
    """The real pool; something happens once, right after a statement with this text was answered."""

    def __init__(
        self, pool: Any, happen: Callable[[], Awaitable[None]], after: str = "FROM chain_blocks"
    ) -> None:
        self._pool = pool
        self._happen: Callable[[], Awaitable[None]] | None = happen
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def fetchrow(self, statement: str, *values: Any) -> Any:
        return await self._then(statement, await self._pool.fetchrow(statement, *values))

    async def fetch(self, statement: str, *values: Any) -> Any:
        return await self._then(statement, await self._pool.fetch(statement, *values))

    async def _then(self, statement: str, found: Any) -> Any:
        if self._after in statement and self._happen is not None:
            happen, self._happen = self._happen, None
            await happen()
        return found


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


async def test_a_payment_settled_between_reading_the_payments_and_the_ledger_is_no_difference(
    venue, wallet, pool
):
    await wallet(0).deposit_native(5)
    running = venue()
    await running.poll()
    withdrawal_id = await running.withdraw(dev_address(0), 3)
    await running.worker.poll()

    async def settle() -> None:
        assert await running.state_of(withdrawal_id) != "settled"
        for _ in range(4):
            await running.worker.poll()
        assert await running.state_of(withdrawal_id) == "settled"

    moving = Moving(pool, settle, after="state = 'settled' AND block_number >")
    result = await reconcile(running.rpc, moving, running.exchange.committed, **running.place)
    assert result is not None
    assert result.mismatches == []
    assert result.positions[0].unsettled_atoms == -3


# ---- at the newest finalized block, which here is two behind the newest


def one_atom_more(block: Callable[[], str]) -> Callable[[str, tuple[Any, ...], Any], Any]:
    """A node by which the vault holds one atom more of each asset at that block."""

    def more(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        is_accounted = method == "eth_call" and params[0]["data"].startswith("0x" + ACCOUNTED.hex())
        if is_accounted and params[1]["blockHash"] == block():
            return "0x" + (int(answer, 16) + 1).to_bytes(32).hex()
        return answer

    return more


async def test_the_finalized_comparison_tells_block_time_and_seq(venue, wallet, rpc, mine):
    alice = wallet(0)
    await alice.deposit_native(5)
    await mine(2)
    running = venue()
    before_ms = time.time_ns() // 1_000_000
    await running.compare()
    header = await rpc.finalized()
    found = running.reconciler.finalized
    assert (found.reconciliation.block_number, found.reconciliation.block_hash) == (
        header.number,
        header.hash,
    )
    assert header.number == (await rpc.head()).number - 2
    assert found.block_time_s == header.time_s
    assert before_ms <= found.compared_at_ms <= time.time_ns() // 1_000_000
    assert found.reconciliation.seq == running.exchange.committed.seq
    assert found.reconciliation.positions[0].accounted_atoms == 5
    assert set(found.claimable_atoms.values()) == {0}


async def test_a_deposit_credited_between_the_finalized_and_the_newest_block_is_no_difference(
    venue, wallet, mine
):
    alice = wallet(0)
    await alice.deposit_native(5)
    await mine(2)
    await alice.deposit_native(7)
    running = venue()
    await running.compare()
    assert running.exchange.available_atoms(alice.address, "ETH") == 12
    assert running.reconciler.agrees
    position = running.finalized.positions[0]
    assert (position.accounted_atoms, position.in_custody_atoms, position.uncredited_atoms) == (5, 12, -7)


async def test_a_payment_settled_between_the_finalized_and_the_newest_block_is_no_difference(
    venue, wallet, mine
):
    await wallet(0).deposit_native(5)
    running = venue()
    await running.poll()
    withdrawal_id = await running.withdraw(dev_address(0), 3)
    await mine(2)
    for _ in range(4):
        await running.worker.poll()
    assert await running.state_of(withdrawal_id) == "settled"
    await running.compare()
    assert running.reconciler.agrees
    position = running.finalized.positions[0]
    assert (position.accounted_atoms, position.in_custody_atoms, position.unsettled_atoms) == (5, 2, -3)


async def test_a_payment_made_and_not_settled_yet_is_no_difference_at_the_finalized_block(
    venue, wallet, mine
):
    await wallet(0).deposit_native(5)
    running = venue(confirmations=20)
    await mine(20)
    await running.poll()
    await running.withdraw(dev_address(0), 3)
    for _ in range(3):
        await running.worker.poll()
    await mine(3)
    await running.compare()
    assert running.reconciler.agrees
    position = running.finalized.positions[0]
    assert (position.accounted_atoms, position.in_custody_atoms, position.unsettled_atoms) == (2, 5, 3)


async def test_without_a_finalized_block_that_has_the_vault_the_newest_one_decides_alone(
    faulty_rpc, pool, deployment, exchange
):
    running = Venue(faulty_rpc, pool, deployment, exchange, 1)
    head = (await faulty_rpc.head()).number
    running.reconciler = Reconciler(
        faulty_rpc, pool, exchange.committed, running.watcher, **running.place, deploy_block=head
    )
    await running.compare()
    assert running.reconciler.agrees
    assert running.reconciler.finalized is None


async def test_a_finalized_block_beyond_the_scanned_ones_is_compared_where_the_scan_ends(
    venue, wallet, mine, rpc, faulty_rpc
):
    await wallet(0).deposit_native(5)
    running = venue()
    await running.watcher.poll()
    scanned = (await rpc.head()).number
    await mine(5)
    await running.reconciler.poll()
    assert (await rpc.finalized()).number > scanned
    assert running.finalized.block_number == scanned
    assert running.finalized.mismatches == []


async def test_a_difference_at_the_finalized_block_alone_closes_the_gate_and_is_published(
    venue, wallet, mine, rpc, faulty_rpc
):
    await wallet(0).deposit_native(5)
    await mine(2)
    running = venue()
    finalized = await rpc.finalized()
    faulty_rpc.after = one_atom_more(lambda: finalized.hash)
    await running.compare()
    assert not running.reconciler.agrees
    assert [entry.difference_atoms for entry in running.finalized.mismatches] == [1, 1, 1]
    assert "the vault holds 1 atoms of ETH more than the books say" in running.reconciler.status().problem
    faulty_rpc.heal()
    await running.reconciler.poll()  # the same block: it is asked again while it differs
    assert running.reconciler.agrees
    assert running.finalized.mismatches == []


@pytest.mark.parametrize("forgets", ["all", "the newest"])
async def test_a_node_that_forgets_what_was_finalized_does_not_open_the_gate(
    venue, wallet, mine, rpc, faulty_rpc, forgets
):
    before = await rpc.call("eth_getBlockByNumber", hex((await rpc.finalized()).number), False)
    await wallet(0).deposit_native(5)
    await mine(2)
    running = venue()
    finalized = await rpc.finalized()
    more = one_atom_more(lambda: finalized.hash)
    faulty_rpc.after = more
    await running.compare()
    assert not running.reconciler.agrees

    def forget(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] == "finalized":
            return None if forgets == "all" else before
        return more(method, params, answer)

    faulty_rpc.after = forget
    await running.compare()
    assert not running.reconciler.agrees
    assert running.finalized.block_number == finalized.number
    faulty_rpc.heal()
    await running.compare()
    assert running.reconciler.agrees


async def test_a_difference_at_three_finalized_blocks_in_a_row_is_told_once(
    venue, wallet, mine, rpc, faulty_rpc
):
    running = venue()
    finalized = ""
    faulty_rpc.after = one_atom_more(lambda: finalized)
    for number in range(1, DIFFERING_BLOCKS + 2):
        await mine(1)
        finalized = (await rpc.finalized()).hash
        for _ in range(DIFFERING_BLOCKS + 1):  # asking at the same block again is no further block
            await running.compare()
        assert len(running.told) == (number >= DIFFERING_BLOCKS)
    assert running.told[0].mismatches
    faulty_rpc.heal()
    await running.compare()
    assert running.reconciler.agrees
    faulty_rpc.after = one_atom_more(lambda: finalized)
    for _ in range(DIFFERING_BLOCKS):
        await mine(1)
        finalized = (await rpc.finalized()).hash
        await running.compare()
    assert len(running.told) == 2


async def test_a_difference_that_goes_away_in_between_is_not_told(venue, mine, rpc, faulty_rpc):
    running = venue()
    finalized = ""
    more = one_atom_more(lambda: finalized)
    for number in range(2 * DIFFERING_BLOCKS):
        await mine(1)
        finalized = (await rpc.finalized()).hash
        faulty_rpc.after = more
        if number % DIFFERING_BLOCKS == 0:
            faulty_rpc.heal()
        await running.compare()
    assert running.told == []


async def test_whoever_is_told_and_fails_is_told_again(venue, mine, rpc, faulty_rpc):
    running = venue()
    finalized = ""
    faulty_rpc.after = one_atom_more(lambda: finalized)
    running.told = Refusing(ConnectionError("the database is away"))
    for number in range(1, DIFFERING_BLOCKS + 1):
        await mine(1)
        finalized = (await rpc.finalized()).hash
        await running.watcher.poll()
        if number < DIFFERING_BLOCKS:
            await running.reconciler.poll()
    with pytest.raises(ConnectionError):
        await running.reconciler.poll()
    assert not running.reconciler.agrees
    running.told = []
    await running.reconciler.poll()
    assert len(running.told) == 1


class Refusing(list[Any]):
    """A list that takes nothing."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def append(self, _: Any) -> None:
        raise self._error


async def test_a_finalized_block_on_another_branch_than_the_scanned_one_closes_the_gate(
    venue, mine, faulty_rpc
):
    running = venue()
    await running.compare()
    assert running.reconciler.agrees

    def other_branch(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        return answer | {"hash": "0x" + "bb" * 32} if params[:1] == ("finalized",) else answer

    faulty_rpc.after = other_branch
    with pytest.raises(ChainMoved):
        await running.reconciler.poll()
    assert not running.reconciler.agrees
    faulty_rpc.heal()
    await running.reconciler.poll()
    assert running.reconciler.agrees
