"""Withdrawals against a real chain and a real database: paid once, whatever fails in between."""

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.chain.conftest import mined, token_balance

from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import (
    ADMIN_KEY,
    DEV_CHAIN_ID,
    SENDER_KEY,
    SIGNER_KEY,
    dev_address,
    dev_key,
)
from exchange.chain.errors import (
    CursorAheadOfJournal,
    FeeAboveCap,
    NonceGap,
    PaymentDiffersFromLedger,
    RpcAnswerInvalid,
    RpcError,
    RpcUnavailable,
)
from exchange.chain.reconcile import reconcile
from exchange.chain.signer import LocalSender, LocalSigner
from exchange.chain.transactions import SendPolicy
from exchange.chain.vault import ACCOUNTED, OUTFLOW, PAUSE, SET_OUTFLOW_LIMIT, used_call
from exchange.chain.withdrawals import (
    SEARCH_BLOCKS,
    SEARCHES_PER_PASS,
    WithdrawalPolicy,
    WithdrawalWorker,
    payment_status,
)
from exchange.core.commands import RefundWithdrawal, RequestWithdrawal, SettleWithdrawal
from exchange.core.events import WithdrawalRequested

CONFIRMATIONS = 3
ETHER = 10**18
DESTINATION = "0x" + "d0" * 20


class Clock:
    """Wall clock that can be moved forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def funded(rpc, pool, exchange, deployment, wallet, mine) -> Any:
    """The exchange, with 10 ETH and 1000 USDC deposited by user 0."""
    alice = wallet(0)
    await alice.approve("USDC")
    await alice.deposit_native(10 * ETHER)
    await alice.deposit_token("USDC", 1_000_000_000)
    await DepositWatcher(
        rpc,
        pool,
        exchange.submit,
        exchange.committed,
        chain_id=DEV_CHAIN_ID,
        vault=deployment.vault,
        deploy_block=deployment.deploy_block,
        confirmations=1,
    ).poll()
    assert exchange.available_atoms(alice.address, "ETH") == 10 * ETHER
    return exchange


@pytest.fixture
def work(faulty_rpc, pool, funded, deployment, clock) -> Callable[..., WithdrawalWorker]:
    """Makes a new worker on the same tables, as a restart does."""

    def make(
        send: SendPolicy | None = None,
        sender_key: int = SENDER_KEY,
        may_sign: Callable[[], bool] = lambda: True,
        **policy: Any,
    ) -> WithdrawalWorker:
        return WithdrawalWorker(
            faulty_rpc,
            pool,
            funded.submit,
            funded.committed,
            funded,
            LocalSigner(dev_key(SIGNER_KEY), DEV_CHAIN_ID, deployment.vault),
            LocalSender(dev_key(sender_key), DEV_CHAIN_ID),
            chain_id=DEV_CHAIN_ID,
            vault=deployment.vault,
            deploy_block=deployment.deploy_block,
            policy=WithdrawalPolicy(
                confirmations=CONFIRMATIONS,
                **{"retry_s": 0.0} | policy,
                send=send or SendPolicy(rebroadcast_s=0.0),
            ),
            may_sign=may_sign,
            poll_s=0.01,
            now=clock,
        )

    return make


@pytest.fixture
def request_withdrawal(funded, rpc) -> Callable[..., Any]:
    count = 0

    async def request(
        atoms: int, symbol: str = "ETH", destination: str = DESTINATION, seconds: int = 3_600
    ) -> WithdrawalRequested:
        nonlocal count
        count += 1
        outcome = await funded.submit(
            RequestWithdrawal(
                withdrawal_id="0x" + count.to_bytes(32).hex(),
                account_id=funded.committed.account_id(dev_address(0)),
                asset_id=funded.committed.asset_by_symbol[symbol].asset_id,
                amount_atoms=atoms,
                max_fee_atoms=0,
                destination=destination,
                nonce=count,
                deadline_s=(await rpc.head()).time_s + seconds,
                signature="0x",
            )
        )
        [event] = outcome.events
        assert isinstance(event, WithdrawalRequested)
        return event

    return request


async def state_of(pool, requested: WithdrawalRequested) -> str:
    status = await payment_status(pool, [requested.withdrawal_id])
    return str(status[requested.withdrawal_id].state)


async def finish(
    worker: WithdrawalWorker, mine, pool, requested: WithdrawalRequested, passes: int = 30
) -> str:
    """Polls and mines until the payment is final."""
    for _ in range(passes):
        await worker.poll()
        if (state := await state_of(pool, requested)) in ("settled", "refunded"):
            return state
        await mine(1)
    raise AssertionError(f"not final but {state}: {worker.status()}")


# ------------------------------------------------------------------------------------ the whole life


async def test_a_withdrawal_is_paid_and_settled_after_its_confirmations(
    work, request_withdrawal, mine, pool, rpc, funded
):
    worker = work()
    requested = await request_withdrawal(3 * ETHER)
    await worker.poll()
    assert await rpc.balance(DESTINATION) == 3 * ETHER
    assert await state_of(pool, requested) == "broadcast"
    await worker.poll()
    assert await state_of(pool, requested) == "mined"
    assert funded.submitted(SettleWithdrawal) == []
    await mine(CONFIRMATIONS - 1)
    await worker.poll()
    await worker.poll()
    [settle] = funded.submitted(SettleWithdrawal)
    assert (settle.withdrawal_id, settle.outcome) == (requested.withdrawal_id, "paid")
    status = (await payment_status(pool, [requested.withdrawal_id]))[requested.withdrawal_id]
    assert (status.state, status.tx_hash, status.outcome) == ("settled", settle.tx_hash, "paid")
    assert worker.status().conditions == {}
    for _ in range(3):
        await mine(1)
        await worker.poll()
    assert await rpc.balance(DESTINATION) == 3 * ETHER


async def test_many_withdrawals_of_both_kinds_are_each_paid_once(
    work, request_withdrawal, mine, pool, rpc, funded, wallet
):
    worker = work()
    requests = [await request_withdrawal(100 + index, "USDC") for index in range(5)]
    requests += [await request_withdrawal(1_000 + index) for index in range(5)]
    for requested in requests:
        assert await finish(worker, mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == sum(range(1_000, 1_005))
    assert await token_balance(rpc, wallet(0).tokens["USDC"], DESTINATION) == sum(range(100, 105))
    nonces = await pool.fetch("SELECT nonce FROM payment_transactions ORDER BY nonce")
    assert [row["nonce"] for row in nonces] == list(range(10))


async def test_the_running_worker_needs_no_prompting(work, request_withdrawal, rpc, pool, eventually):
    task = asyncio.create_task(work().run())
    await rpc.call("evm_setIntervalMining", 1)
    requested = await request_withdrawal(7)

    async def settled() -> bool:
        status = await payment_status(pool, [requested.withdrawal_id])
        return bool(status) and status[requested.withdrawal_id].state == "settled"

    await eventually(settled)
    task.cancel()
    assert await rpc.balance(DESTINATION) == 7


async def test_the_books_agree_with_the_vault_at_every_stage(
    work, request_withdrawal, mine, pool, rpc, funded, deployment, wallet
):
    watcher = DepositWatcher(
        rpc,
        pool,
        funded.submit,
        funded.committed,
        chain_id=DEV_CHAIN_ID,
        vault=deployment.vault,
        deploy_block=deployment.deploy_block,
        confirmations=CONFIRMATIONS,
    )

    async def differences() -> list[tuple[int, int, int]]:
        await watcher.poll()
        result = await reconcile(rpc, pool, funded.committed, chain_id=DEV_CHAIN_ID, vault=deployment.vault)
        assert result is not None
        assert result.mismatches == []
        eth = result.positions[0]
        return [eth.in_custody_atoms, eth.uncredited_atoms, eth.unsettled_atoms]

    assert await differences() == [10 * ETHER, 0, 0]
    await wallet(1).deposit_native(ETHER)
    assert await differences() == [10 * ETHER, ETHER, 0]
    requested = await request_withdrawal(4 * ETHER)
    worker = work()
    await worker.poll()
    assert await differences() == [10 * ETHER, ETHER, 4 * ETHER]
    await finish(worker, mine, pool, requested)
    await mine(CONFIRMATIONS)
    assert await differences() == [7 * ETHER, 0, 0]
    await rpc.call("anvil_setBalance", DESTINATION, "0x0")  # the vault's own books are what counts
    await pool.execute("UPDATE vault_deposits SET amount_atoms = amount_atoms + 1")
    assert await differences() == [7 * ETHER, 0, 0]


# ------------------------------------------------------------------------------------------ crashes


async def test_a_worker_killed_at_any_request_to_the_node_pays_once(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc
):
    paid = 0
    crashes = 0
    for when in ("before", "after"):
        for step in range(80):
            requested = await request_withdrawal(100)
            paid += 100
            countdown = step

            def crash(*arguments: Any) -> Any:
                nonlocal countdown
                countdown -= 1
                if countdown < 0:
                    raise Crash
                return arguments[-1]

            setattr(faulty_rpc, when, crash)
            worker = work()
            survived = False
            try:
                for _ in range(CONFIRMATIONS + 2):
                    await worker.poll()
                    await mine(1)
                survived = True
            except Crash:
                crashes += 1
            faulty_rpc.heal()
            assert await finish(work(), mine, pool, requested) == "settled"
            assert await rpc.balance(DESTINATION) == paid
            if survived:
                break
    assert crashes > 30
    assert await pool.fetchval("SELECT max(try) FROM payment_transactions") == 1


class CrashingPool:
    """The real pool; ends the process before or after the database work of one number."""

    def __init__(self, pool: Any, countdown: int, when: str) -> None:
        self._pool = pool
        self._countdown = countdown
        self._when = when

    def _tick(self, when: str) -> None:
        if when == self._when:
            self._countdown -= 1
            if self._countdown < 0:
                raise Crash

    def acquire(self, **arguments: Any) -> Any:
        crashing = self
        context = self._pool.acquire(**arguments)

        class Acquired:
            async def __aenter__(self) -> Any:
                crashing._tick("before")
                return await context.__aenter__()

            async def __aexit__(self, *error: Any) -> Any:
                await context.__aexit__(*error)
                crashing._tick("after")

        return Acquired()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._pool, name)

        async def call(*arguments: Any) -> Any:
            self._tick("before")
            result = await method(*arguments)
            self._tick("after")
            return result

        return call


async def test_a_worker_killed_at_any_statement_pays_once(work, request_withdrawal, mine, pool, rpc):
    paid = 0
    for when in ("before", "after"):
        for step in range(80):
            requested = await request_withdrawal(100)
            paid += 100
            worker = work()
            crashing = CrashingPool(pool, step, when)
            worker._rows._pool = crashing
            worker._nonces._pool = crashing
            survived = False
            try:
                for _ in range(CONFIRMATIONS + 2):
                    await worker.poll()
                    await mine(1)
                survived = True
            except Crash:
                pass
            assert await finish(work(), mine, pool, requested) == "settled"
            assert await rpc.balance(DESTINATION) == paid
            if survived:
                break
        else:
            pytest.fail("the worker never got through")
    assert await pool.fetchval("SELECT max(try) FROM payment_transactions") == 1


async def test_a_crash_around_the_settlement_settles_once(work, request_withdrawal, mine, pool, funded):
    requested = await request_withdrawal(5)
    worker = work()
    await worker.poll()
    await mine(CONFIRMATIONS)

    async def submit_and_crash(command: Any) -> None:
        await funded.submit(command)
        raise Crash

    worker._submit = submit_and_crash
    with pytest.raises(Crash):
        await worker.poll()
    assert await finish(work(), mine, pool, requested) == "settled"
    assert len(funded.submitted(SettleWithdrawal)) == 1


async def test_a_refused_second_settlement_is_tolerated(
    work, request_withdrawal, mine, pool, funded, monkeypatch
):
    requested = await request_withdrawal(5)
    worker = work()
    await worker.poll()
    await worker.poll()
    await mine(CONFIRMATIONS)
    status = (await payment_status(pool, [requested.withdrawal_id]))[requested.withdrawal_id]
    await worker._read_journal()
    await funded.submit(
        SettleWithdrawal(requested.withdrawal_id, status.tx_hash, status.block_number, "paid")
    )
    monkeypatch.setattr(funded.committed, "open_withdrawal", lambda _: requested)  # a view that lags
    monkeypatch.setattr(worker, "_read_journal", lambda: asyncio.sleep(0))
    await worker.poll()
    assert worker.status().conditions == {}
    assert len(funded.submitted(SettleWithdrawal)) == 2


async def test_reading_the_journal_again_from_the_start_is_harmless(
    work, request_withdrawal, mine, pool, rpc
):
    requested = await request_withdrawal(5)
    await finish(work(), mine, pool, requested)
    await pool.execute("UPDATE payment_cursors SET seq = 0")
    worker = work()
    for _ in range(3):
        await worker.poll()
        await mine(1)
    assert await state_of(pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 5


async def test_with_all_tables_lost_nothing_is_paid_twice(work, request_withdrawal, mine, pool, rpc, funded):
    settled = await request_withdrawal(5)
    await finish(work(), mine, pool, settled)
    in_flight = await request_withdrawal(6)
    await work().poll()
    assert await rpc.balance(DESTINATION) == 11
    await pool.execute("TRUNCATE payments, payment_cursors, payment_transactions, payment_attempts")
    assert await finish(work(), mine, pool, in_flight) == "settled"
    assert await state_of(pool, settled) == "settled"
    assert await rpc.balance(DESTINATION) == 11
    assert await pool.fetchval("SELECT count(*) FROM payment_transactions") == 0
    another = await request_withdrawal(7)
    assert await finish(work(), mine, pool, another) == "settled"
    assert await rpc.balance(DESTINATION) == 18


# ---------------------------------------------------------------------------------------- broadcast


async def test_a_lost_answer_to_a_broadcast_leads_to_the_same_bytes_again(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc
):
    await rpc.call("evm_setAutomine", False)
    requested = await request_withdrawal(5)

    def lose(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_sendRawTransaction":
            raise RpcUnavailable(method, "timeout")
        return answer

    faulty_rpc.after = lose
    worker = work()
    with pytest.raises(RpcUnavailable):
        await worker.poll()
    assert await state_of(pool, requested) == "signed"
    faulty_rpc.heal()
    sent: list[Any] = []
    faulty_rpc.before = lambda method, params: (
        sent.append(params[0]) if method == "eth_sendRawTransaction" else None
    )
    await worker.poll()
    assert await state_of(pool, requested) == "broadcast"
    raw = await pool.fetchval("SELECT raw FROM payment_attempts")
    assert sent == ["0x" + raw.hex()]
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await pool.fetchval("SELECT count(*) FROM payment_attempts") == 1
    assert await rpc.balance(DESTINATION) == 5


async def test_a_lost_answer_after_the_transaction_was_mined_is_found_by_its_receipt(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc
):
    requested = await request_withdrawal(5)

    def lose(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_sendRawTransaction":
            raise RpcUnavailable(method, "timeout")
        return answer

    faulty_rpc.after = lose
    with pytest.raises(RpcUnavailable):
        await work().poll()
    worker = work()
    await worker.poll()
    assert await state_of(pool, requested) == "mined"
    assert await finish(worker, mine, pool, requested) == "settled"


async def test_a_transaction_dropped_by_the_pool_is_sent_again(work, request_withdrawal, mine, pool, rpc):
    await rpc.call("evm_setAutomine", False)
    requested = await request_withdrawal(5)
    worker = work()
    await worker.poll()
    tx_hash = (await payment_status(pool, [requested.withdrawal_id]))[requested.withdrawal_id].tx_hash
    await rpc.call("anvil_dropTransaction", tx_hash)
    await mine(2)
    await worker.poll()
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await pool.fetchval("SELECT count(*) FROM payment_attempts") == 1


async def test_a_restarted_worker_sends_again_at_once_what_the_pool_forgot(
    work, request_withdrawal, mine, pool, rpc
):
    await rpc.call("evm_setAutomine", False)
    requested = await request_withdrawal(5)
    patient = SendPolicy(rebroadcast_s=3_600)
    await work(patient).poll()
    tx_hash = (await payment_status(pool, [requested.withdrawal_id]))[requested.withdrawal_id].tx_hash
    await rpc.call("anvil_dropTransaction", tx_hash)
    assert await finish(work(patient), mine, pool, requested) == "settled"


async def test_a_stuck_transaction_is_replaced_with_a_higher_fee_under_the_same_nonce(
    work, request_withdrawal, mine, pool, rpc, clock
):
    await rpc.call("evm_setAutomine", False)
    first, second = await request_withdrawal(5), await request_withdrawal(6)
    worker = work(SendPolicy(rebroadcast_s=15, bump_after_s=60, max_attempts=3))
    await worker.poll()
    for _ in range(4):
        clock.ahead_s += 61
        await worker.poll()
    attempts = await pool.fetch(
        "SELECT nonce, max_fee_wei, priority_fee_wei FROM payment_attempts ORDER BY nonce, max_fee_wei"
    )
    assert [row["nonce"] for row in attempts] == [0, 0, 0, 1]  # only the lowest nonce holds up the others
    for before, after in itertools.pairwise(attempts[:3]):
        assert after["max_fee_wei"] * 8 >= before["max_fee_wei"] * 9
        assert after["priority_fee_wei"] * 8 >= before["priority_fee_wei"] * 9
    assert await finish(worker, mine, pool, first) == "settled"
    assert await finish(worker, mine, pool, second) == "settled"
    assert await rpc.balance(DESTINATION) == 11


async def test_an_older_attempt_that_is_mined_after_all_settles_too(
    work, request_withdrawal, mine, pool, rpc, clock, faulty_rpc
):
    await rpc.call("evm_setAutomine", False)
    requested = await request_withdrawal(5)
    worker = work(SendPolicy(rebroadcast_s=15, bump_after_s=60))
    await worker.poll()
    first_hash = await pool.fetchval("SELECT tx_hash FROM payment_attempts")

    def refuse(method: str, params: tuple[Any, ...]) -> None:
        if method == "eth_sendRawTransaction":
            raise RpcError(method, -32000, "replacement transaction underpriced")

    faulty_rpc.before = refuse
    clock.ahead_s += 61
    await worker.poll()
    assert await pool.fetchval("SELECT count(*) FROM payment_attempts") == 2
    assert await finish(worker, mine, pool, requested) == "settled"
    status = (await payment_status(pool, [requested.withdrawal_id]))[requested.withdrawal_id]
    assert status.tx_hash == first_hash


async def test_a_base_fee_above_the_cap_stops_signing_and_is_visible(
    work, request_withdrawal, mine, pool, funded
):
    requested = await request_withdrawal(5)
    worker = work(SendPolicy(max_fee_wei=1))
    await worker.poll()
    assert isinstance(worker.status().conditions[requested.withdrawal_id], FeeAboveCap)
    assert await pool.fetchval("SELECT count(*) FROM payment_transactions") == 0
    assert await finish(work(), mine, pool, requested) == "settled"


# ----------------------------------------------------------------------- a fault of a single payment


async def lose_payment_rows(pool) -> None:
    await pool.execute("TRUNCATE payments, payment_cursors, payment_transactions, payment_attempts CASCADE")


async def test_a_refused_search_for_one_payment_does_not_hold_up_the_others(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc
):
    lost = await request_withdrawal(5)
    await work().poll()
    await lose_payment_rows(pool)

    def refuse(method: str, params: tuple[Any, ...]) -> None:
        if method == "eth_getLogs":
            raise RpcError(method, -32005, "query returned more than 10000 results")

    faulty_rpc.before = refuse
    behind = await request_withdrawal(6)
    worker = work()
    assert await finish(worker, mine, pool, behind) == "settled"
    assert isinstance(worker.status().conditions[lost.withdrawal_id], RpcError)
    assert worker.status().fault is None
    faulty_rpc.heal()
    assert await finish(worker, mine, pool, lost) == "settled"
    assert worker.status().conditions == {}
    assert await rpc.balance(DESTINATION) == 11


async def test_a_senseless_receipt_of_one_payment_does_not_hold_up_the_others(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc
):
    await rpc.call("evm_setAutomine", False)
    worker = work()
    first = await request_withdrawal(5)
    await worker.poll()
    tx_hash = (await payment_status(pool, [first.withdrawal_id]))[first.withdrawal_id].tx_hash
    behind = await request_withdrawal(6)

    def garble(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        return {} if method == "eth_getTransactionReceipt" and params == (tx_hash,) else answer

    faulty_rpc.after = garble
    assert await finish(worker, mine, pool, behind) == "settled"
    assert isinstance(worker.status().conditions[first.withdrawal_id], RpcAnswerInvalid)
    faulty_rpc.heal()
    assert await finish(worker, mine, pool, first) == "settled"
    assert worker.status().conditions == {}


async def test_an_old_payment_is_searched_for_backwards_in_bounded_steps(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc
):
    lost = await request_withdrawal(5)
    await work().poll()
    await lose_payment_rows(pool)
    await mine(1_500)
    spans: list[int] = []

    def limit(method: str, params: tuple[Any, ...]) -> None:
        if method == "eth_getLogs":
            span = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
            spans.append(span)
            if span > 100:
                raise RpcError(method, -32005, "range too large")

    faulty_rpc.before = limit
    worker = work()
    await worker.poll()
    assert len(spans) == SEARCHES_PER_PASS  # the others must not wait for all of it
    assert await state_of(pool, lost) == "approved"
    assert worker.status().conditions == {}
    assert await finish(worker, mine, pool, lost) == "settled"
    assert max(spans) <= SEARCH_BLOCKS
    assert len(spans) < 3 * SEARCHES_PER_PASS
    assert await rpc.balance(DESTINATION) == 5


async def test_a_payment_sent_by_a_replaced_key_is_followed_once_its_deadline_is_final(
    work, request_withdrawal, mine, pool, rpc, funded
):
    requested = await request_withdrawal(5, seconds=300)
    await work().poll()
    assert await rpc.balance(DESTINATION) == 5
    worker = work(sender_key=7)
    await worker.poll()
    assert await state_of(pool, requested) == "broadcast"
    await rpc.call("evm_setNextBlockTimestamp", hex(requested.deadline_s + 1))
    await mine(100)
    assert await finish(worker, mine, pool, requested) == "settled"
    [settle] = funded.submitted(SettleWithdrawal)
    assert settle.outcome == "paid"
    assert funded.submitted(RefundWithdrawal) == []


# -------------------------------------------------------------------------------------------- the gate


async def test_a_payment_that_may_not_be_signed_waits_and_comes_back_after_its_deadline(
    work, request_withdrawal, mine, pool, rpc, funded
):
    requested = await request_withdrawal(5, seconds=300)
    worker = work(may_sign=lambda: False)
    for _ in range(3):
        await worker.poll()
    assert await state_of(pool, requested) == "approved"
    await rpc.call("evm_setNextBlockTimestamp", hex(requested.deadline_s + 1))
    await mine(100)
    assert await finish(worker, mine, pool, requested) == "refunded"
    assert await pool.fetchval("SELECT count(*) FROM payment_transactions") == 0
    assert await rpc.balance(DESTINATION) == 0


async def test_a_payment_made_by_lost_bytes_is_followed_while_nothing_may_be_signed(
    work, request_withdrawal, mine, pool
):
    requested = await request_withdrawal(5)
    await work().poll()
    await lose_payment_rows(pool)
    assert await finish(work(may_sign=lambda: False), mine, pool, requested) == "settled"


async def test_bytes_that_are_signed_are_sent_again_while_nothing_may_be_signed(
    work, request_withdrawal, mine, pool, rpc
):
    await rpc.call("evm_setAutomine", False)
    requested = await request_withdrawal(5)
    await work().poll()
    tx_hash = (await payment_status(pool, [requested.withdrawal_id]))[requested.withdrawal_id].tx_hash
    await rpc.call("anvil_dropTransaction", tx_hash)
    assert await finish(work(may_sign=lambda: False), mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 5


# ----------------------------------------------------------------------------------- reorganizations


async def test_a_payment_reorganized_away_is_sent_again_and_paid_once(
    work, request_withdrawal, mine, pool, rpc
):
    requested = await request_withdrawal(5)
    worker = work()
    snapshot = await rpc.call("evm_snapshot")
    await worker.poll()
    await worker.poll()
    assert await state_of(pool, requested) == "mined"
    await rpc.call("evm_revert", snapshot)
    await mine(2)
    assert await rpc.balance(DESTINATION) == 0
    await worker.poll()
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 5
    assert await pool.fetchval("SELECT count(*) FROM payment_attempts") == 1


async def test_settled_payments_that_a_deep_reorganization_removed_are_sent_again_at_the_next_start(
    work, request_withdrawal, mine, pool, rpc
):
    requested = await request_withdrawal(5)
    snapshot = await rpc.call("evm_snapshot")
    assert await finish(work(), mine, pool, requested) == "settled"
    await rpc.call("evm_revert", snapshot)
    await mine(10)
    assert await rpc.balance(DESTINATION) == 0
    worker = work()
    await worker.poll()
    assert await rpc.balance(DESTINATION) == 5


# ------------------------------------------------------------------------ skipped, claimable, refunded


async def test_a_receiver_that_refuses_leaves_the_payment_claimable_and_settled(
    work, request_withdrawal, mine, pool, rpc, funded
):
    await rpc.call("anvil_setCode", DESTINATION, "0x60006000fd")  # reverts always
    requested = await request_withdrawal(5)
    assert await finish(work(), mine, pool, requested) == "settled"
    assert funded.submitted(SettleWithdrawal)[0].outcome == "claimable"
    status = (await payment_status(pool, [requested.withdrawal_id]))[requested.withdrawal_id]
    assert status.outcome == "claimable"


async def test_an_unpaid_withdrawal_is_refunded_only_after_a_finalized_block_past_its_deadline(
    work, request_withdrawal, mine, pool, rpc, funded, clock, deployment
):
    requested = await request_withdrawal(5, seconds=300)
    clock.ahead_s = 250  # no room left to sign
    worker = work()
    await worker.poll()
    assert await state_of(pool, requested) == "approved"
    before = funded.available_atoms(dev_address(0), "ETH")
    await rpc.call("evm_setNextBlockTimestamp", hex(requested.deadline_s))
    await mine(5)  # automatic timestamps follow one second apart
    finalized = await rpc.finalized()
    while finalized.time_s <= requested.deadline_s:
        await worker.poll()
        assert funded.submitted(RefundWithdrawal) == []
        await mine(1)
        finalized = await rpc.finalized()
    assert await finish(worker, mine, pool, requested) == "refunded"
    [refund] = funded.submitted(RefundWithdrawal)
    assert refund.block_time_s > requested.deadline_s
    assert funded.available_atoms(dev_address(0), "ETH") == before + 5
    assert await rpc.balance(DESTINATION) == 0


async def test_bytes_that_were_never_broadcast_in_time_are_skipped_by_the_vault_and_free_the_nonce(
    work, request_withdrawal, mine, pool, rpc, funded, faulty_rpc
):
    late = await request_withdrawal(5, seconds=300)

    def unreachable(method: str, params: tuple[Any, ...]) -> None:
        if method == "eth_sendRawTransaction":
            raise RpcUnavailable(method, "down")

    faulty_rpc.before = unreachable
    with pytest.raises(RpcUnavailable):
        await work().poll()
    await rpc.call("evm_setNextBlockTimestamp", hex(late.deadline_s + 1))
    await mine(5)
    faulty_rpc.heal()
    worker = work()
    assert await finish(worker, mine, pool, late) == "refunded"
    in_time = await request_withdrawal(6)
    assert await finish(worker, mine, pool, in_time) == "settled"
    assert await rpc.balance(DESTINATION) == 6
    assert await pool.fetchval("SELECT count(*) FROM payment_transactions WHERE NOT done") == 0


async def test_a_paid_withdrawal_is_never_refunded_however_late_it_is_settled(
    work, request_withdrawal, mine, pool, rpc, funded
):
    requested = await request_withdrawal(5, seconds=300)
    await work().poll()
    assert await rpc.balance(DESTINATION) == 5
    await rpc.call("evm_setNextBlockTimestamp", hex(requested.deadline_s + 100))
    await mine(10)
    assert await finish(work(), mine, pool, requested) == "settled"
    assert funded.submitted(RefundWithdrawal) == []


async def test_a_payment_skipped_over_the_outflow_limit_is_tried_again_with_a_new_transaction(
    work, request_withdrawal, mine, pool, rpc, deployment, faulty_rpc
):
    await limit_outflow(rpc, deployment, 3)
    requested = await request_withdrawal(5, seconds=80_000)
    worker = work()

    def unlimited(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        """The node answers as of before the limit."""
        is_outflow = method == "eth_call" and params[0]["data"].startswith("0x" + OUTFLOW.hex())
        return "0x" + "00" * 96 if is_outflow else answer

    faulty_rpc.after = unlimited
    await worker.poll()
    await worker.poll()
    status = (await payment_status(pool, [requested.withdrawal_id]))[requested.withdrawal_id]
    assert (status.state, status.outcome) == ("mined", "skipped")
    await mine(CONFIRMATIONS)
    await limit_outflow(rpc, deployment, 0)
    assert await finish(worker, mine, pool, requested) == "settled"
    tries = await pool.fetch("SELECT try FROM payment_transactions ORDER BY try")
    assert [row["try"] for row in tries] == [1, 2]
    assert await rpc.balance(DESTINATION) == 5


async def test_a_payment_over_the_outflow_limit_burns_no_gas_until_there_is_room(
    work, request_withdrawal, mine, pool, rpc, deployment
):
    await limit_outflow(rpc, deployment, 3)
    requested = await request_withdrawal(5, seconds=80_000)
    within = await request_withdrawal(3, seconds=80_000)
    worker = work()
    for _ in range(3):
        await worker.poll()
    assert await note_of(pool, requested) == "5 atoms do not fit into the outflow limit: 3 of 3 in use"
    assert await state_of(pool, requested) == "approved"
    assert await finish(worker, mine, pool, within) == "settled"
    assert await pool.fetchval("SELECT count(*) FROM payment_transactions") == 1
    await limit_outflow(rpc, deployment, 0)
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 8


async def test_a_payment_that_the_vault_can_not_cover_burns_no_gas(
    work, request_withdrawal, pool, rpc, faulty_rpc
):
    requested = await request_withdrawal(5)

    def emptied(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        is_accounted = method == "eth_call" and params[0]["data"].startswith("0x" + ACCOUNTED.hex())
        return "0x" + (4).to_bytes(32).hex() if is_accounted else answer

    faulty_rpc.after = emptied
    await work().poll()
    assert await note_of(pool, requested) == "the vault accounts for 4 atoms of the 5 to be paid"
    assert await state_of(pool, requested) == "approved"
    assert await pool.fetchval("SELECT count(*) FROM payment_transactions") == 0


async def note_of(pool, requested: WithdrawalRequested) -> str:
    return str(
        await pool.fetchval("SELECT note FROM payments WHERE withdrawal_id = $1", requested.withdrawal_id)
    )


async def limit_outflow(rpc, deployment, atoms: int) -> None:
    """Limits the native token; 0 lifts the limit."""
    window_s = 1_000_000 if atoms else 0
    await as_admin(
        rpc, deployment, SET_OUTFLOW_LIMIT + bytes(32) + atoms.to_bytes(32) + window_s.to_bytes(32)
    )


async def as_admin(rpc, deployment, data: bytes) -> None:
    """Schedules a call by the admin, lets the delay pass, and executes it."""
    from exchange.chain.deployment import ADMIN_DELAY_S
    from exchange.chain.vault import selector

    admin = dev_address(ADMIN_KEY)
    padded = data + bytes(-len(data) % 32)
    target = bytes(12) + bytes.fromhex(deployment.vault[2:])
    schedule = (
        selector("schedule(address,bytes,uint48)")
        + target
        + (96).to_bytes(32)
        + bytes(32)
        + len(data).to_bytes(32)
        + padded
    )
    execute = (
        selector("execute(address,bytes)") + target + (64).to_bytes(32) + len(data).to_bytes(32) + padded
    )
    for call, wait_s in ((schedule, ADMIN_DELAY_S), (execute, 0)):
        tx_hash = await rpc.call(
            "eth_sendTransaction",
            {"from": admin, "to": deployment.access_manager, "data": "0x" + call.hex(), "gas": "0x7a120"},
        )
        await mined(rpc, tx_hash)
        await rpc.call("evm_increaseTime", wait_s)
        await rpc.call("evm_mine")


async def test_nothing_is_signed_while_the_vault_is_paused(
    work, request_withdrawal, mine, pool, rpc, deployment
):
    pause = {"from": dev_address(ADMIN_KEY), "to": deployment.vault, "data": "0x" + PAUSE.hex()}
    await mined(rpc, await rpc.call("eth_sendTransaction", pause))
    requested = await request_withdrawal(5, seconds=86_000)
    worker = work()
    await worker.poll()
    await worker.poll()
    assert await state_of(pool, requested) == "approved"
    assert await pool.fetchval("SELECT count(*) FROM payment_transactions") == 0


# ---------------------------------------------------------------------------------- keys and tables


async def test_a_payment_that_somebody_edited_in_the_table_is_not_signed(
    work, request_withdrawal, pool, funded
):
    requested = await request_withdrawal(5)
    worker = work()
    await worker._read_journal()
    await pool.execute("UPDATE payments SET destination = $1", "0x" + "ee" * 20)
    await worker.poll()
    assert isinstance(worker.status().conditions[requested.withdrawal_id], PaymentDiffersFromLedger)
    assert await pool.fetchval("SELECT count(*) FROM payment_transactions") == 0


async def test_a_sender_key_used_elsewhere_moves_the_nonce_forward(work, request_withdrawal, mine, pool, rpc):
    first = await request_withdrawal(5)
    worker = work()
    await finish(worker, mine, pool, first)
    transfer = {"from": dev_address(SENDER_KEY), "to": dev_address(1), "value": "0x1"}
    await rpc.call("eth_sendTransaction", transfer)
    second = await request_withdrawal(6)
    assert await finish(worker, mine, pool, second) == "settled"
    assert await pool.fetchval("SELECT max(nonce) FROM payment_transactions") == 2


async def test_a_nonce_taken_by_a_strangers_transaction_is_given_up_and_the_payment_tried_again(
    work, request_withdrawal, mine, pool, rpc
):
    await rpc.call("evm_setAutomine", False)
    requested = await request_withdrawal(5)
    worker = work()
    await worker.poll()
    tx_hash = (await payment_status(pool, [requested.withdrawal_id]))[requested.withdrawal_id].tx_hash
    await rpc.call("anvil_dropTransaction", tx_hash)
    transfer = {"from": dev_address(SENDER_KEY), "to": dev_address(1), "value": "0x1", "nonce": "0x0"}
    await rpc.call("eth_sendTransaction", transfer)
    await mine(1)
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 5


async def test_a_chain_behind_our_nonces_with_nothing_to_fill_them_is_refused(
    work, request_withdrawal, mine, pool
):
    requested = await request_withdrawal(5)
    await finish(work(), mine, pool, requested)
    await pool.execute(
        "INSERT INTO payment_transactions (chain_id, sender, nonce, withdrawal_id, try, data, gas)"
        " SELECT chain_id, sender, 7, withdrawal_id, 2, data, gas FROM payment_transactions"
    )
    with pytest.raises(NonceGap):
        await work().poll()


async def test_a_journal_that_lost_its_last_rows_is_refused(work, pool, deployment):
    await pool.execute("INSERT INTO payment_cursors VALUES ($1, $2, 1000000)", DEV_CHAIN_ID, deployment.vault)
    with pytest.raises(CursorAheadOfJournal):
        await work().poll()


async def test_the_vault_knows_the_id_once_it_is_paid(work, request_withdrawal, rpc, deployment):
    requested = await request_withdrawal(5)
    assert not int.from_bytes(await rpc.view(deployment.vault, used_call(requested.withdrawal_id)))
    await work().poll()
    assert int.from_bytes(await rpc.view(deployment.vault, used_call(requested.withdrawal_id)))
