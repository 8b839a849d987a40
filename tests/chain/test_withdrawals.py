"""Withdrawals against a real chain and a real database: paid once, or refunded."""

import asyncio
from typing import Any

import pytest
from tests.chain.conftest import CONFIRMATIONS, DESTINATION, ETHER, mined, nothing_displaced, token_balance
from tests.chain.paying import finish, limit_outflow, lose_payment_rows, note_of, state_of

from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import DEV_CHAIN_ID, GUARDIAN_KEY, dev_address
from exchange.chain.errors import (
    CursorAheadOfJournal,
    PaymentDiffersFromLedger,
    RpcAnswerInvalid,
    RpcError,
    RpcUnavailable,
)
from exchange.chain.finality import Finality
from exchange.chain.payment_search import SEARCH_BLOCKS, SEARCHES_PER_PASS
from exchange.chain.reconcile import reconcile
from exchange.chain.vault import ACCOUNTED, OUTFLOW, PAUSE, used_call
from exchange.chain.withdrawals import payment_status
from exchange.core.commands import RefundWithdrawal, SettleWithdrawal

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
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 1


async def test_a_queue_goes_out_in_batches_of_a_bounded_size_oldest_first(
    work, request_withdrawal, mine, pool, rpc
):
    requests = [await request_withdrawal(10**index) for index in range(5)]
    worker = work(max_batch=2)
    for requested in requests:
        assert await finish(worker, mine, pool, requested) == "settled"
    tries = await pool.fetch(
        "SELECT t.nonce, p.amount_atoms FROM payment_tries t JOIN payments p USING (withdrawal_id)"
        " ORDER BY t.nonce, p.amount_atoms"
    )
    assert [tuple(row) for row in tries] == [(0, 1), (0, 10), (1, 100), (1, 1_000), (2, 10_000)]
    assert await rpc.balance(DESTINATION) == 11_111


async def test_a_payment_in_a_batch_that_the_receiver_refuses_does_not_touch_the_others(
    work, request_withdrawal, mine, pool, rpc
):
    refusing = "0x" + "ab" * 20
    await rpc.call("anvil_setCode", refusing, "0x60006000fd")
    requests = [
        await request_withdrawal(1),
        await request_withdrawal(2, destination=refusing),
        await request_withdrawal(4),
    ]
    worker = work()
    for requested in requests:
        assert await finish(worker, mine, pool, requested) == "settled"
    outcomes = await pool.fetch("SELECT outcome FROM payments ORDER BY requested_seq")
    assert [row["outcome"] for row in outcomes] == ["paid", "claimable", "paid"]
    assert await rpc.balance(DESTINATION) == 5
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 1


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
        funded.submit_batch,
        funded.committed,
        chain_id=DEV_CHAIN_ID,
        vault=deployment.vault,
        deploy_block=deployment.deploy_block,
        finality=Finality(CONFIRMATIONS),
        on_displaced=nothing_displaced,
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


# ----------------------------------------------------------------------- a fault of a single payment


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
    assert await state_of(pool, lost) == "requested"
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
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0
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
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions WHERE NOT done") == 0


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
    tries = await pool.fetch("SELECT try FROM payment_tries ORDER BY try")
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
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 1
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
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0


async def test_nothing_is_signed_while_the_vault_is_paused(
    work, request_withdrawal, mine, pool, rpc, deployment
):
    pause = {"from": dev_address(GUARDIAN_KEY), "to": deployment.vault, "data": "0x" + PAUSE.hex()}
    await mined(rpc, await rpc.call("eth_sendTransaction", pause))
    requested = await request_withdrawal(5, seconds=86_000)
    worker = work()
    await worker.poll()
    await worker.poll()
    assert await state_of(pool, requested) == "approved"
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0


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
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0


async def test_a_journal_that_lost_its_last_rows_is_refused(work, pool, deployment):
    await pool.execute("INSERT INTO payment_cursors VALUES ($1, $2, 1000000)", DEV_CHAIN_ID, deployment.vault)
    with pytest.raises(CursorAheadOfJournal):
        await work().poll()


async def test_the_vault_knows_the_id_once_it_is_paid(work, request_withdrawal, rpc, deployment):
    requested = await request_withdrawal(5)
    assert not int.from_bytes(await rpc.view(deployment.vault, used_call(requested.withdrawal_id)))
    await work().poll()
    assert int.from_bytes(await rpc.view(deployment.vault, used_call(requested.withdrawal_id)))
