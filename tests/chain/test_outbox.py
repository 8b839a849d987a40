"""A key's transactions against a real chain and a real database: nonces, fees, broadcasts."""

import itertools
from typing import Any

import pytest
from tests.chain.conftest import DESTINATION
from tests.chain.paying import finish, state_of

from exchange.chain.dev_keys import SENDER_KEY, dev_address
from exchange.chain.errors import FeeAboveCap, RpcError, RpcUnavailable, SenderOutOfGas, SenderTaken
from exchange.chain.outbox import GasStatus, SendPolicy
from exchange.chain.withdrawals import payment_status

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
    raw = await pool.fetchval("SELECT raw FROM sent_attempts")
    assert sent == ["0x" + raw.hex()]
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await pool.fetchval("SELECT count(*) FROM sent_attempts") == 1
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
    assert await pool.fetchval("SELECT count(*) FROM sent_attempts") == 1


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
    worker = work(SendPolicy(rebroadcast_s=15, bump_after_s=60, max_attempts=3), max_batch=1)
    await worker.poll()
    for _ in range(4):
        clock.ahead_s += 61
        await worker.poll()
    attempts = await pool.fetch(
        "SELECT nonce, max_fee_wei, priority_fee_wei FROM sent_attempts ORDER BY nonce, max_fee_wei"
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
    first_hash = await pool.fetchval("SELECT tx_hash FROM sent_attempts")

    def refuse(method: str, params: tuple[Any, ...]) -> None:
        if method == "eth_sendRawTransaction":
            raise RpcError(method, -32000, "replacement transaction underpriced")

    faulty_rpc.before = refuse
    clock.ahead_s += 61
    await worker.poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_attempts") == 2
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
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0
    assert await finish(work(), mine, pool, requested) == "settled"


# ------------------------------------------------------------------------------------------ nonces


async def test_a_sender_key_used_elsewhere_moves_the_nonce_forward(work, request_withdrawal, mine, pool, rpc):
    first = await request_withdrawal(5)
    worker = work()
    await finish(worker, mine, pool, first)
    transfer = {"from": dev_address(SENDER_KEY), "to": dev_address(1), "value": "0x1"}
    await rpc.call("eth_sendTransaction", transfer)
    second = await request_withdrawal(6)
    assert await finish(worker, mine, pool, second) == "settled"
    assert await pool.fetchval("SELECT max(nonce) FROM sent_transactions") == 2


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


async def test_a_nonce_whose_transaction_is_lost_is_filled_with_a_transfer_to_oneself(
    work, request_withdrawal, mine, pool, rpc
):
    await rpc.call("evm_setAutomine", False)
    first, second = await request_withdrawal(5), await request_withdrawal(6)
    await work(max_batch=1).poll()
    for tx_hash in [row["tx_hash"] for row in await pool.fetch("SELECT tx_hash FROM sent_attempts")]:
        await rpc.call("anvil_dropTransaction", tx_hash)
    await pool.execute("DELETE FROM payment_tries WHERE nonce = 0")
    await pool.execute("DELETE FROM sent_attempts WHERE nonce = 0")
    await pool.execute("DELETE FROM sent_transactions WHERE nonce = 0")
    await pool.execute("UPDATE payments SET state = 'approved' WHERE withdrawal_id = $1", first.withdrawal_id)
    worker = work(max_batch=1)
    assert await finish(worker, mine, pool, second) == "settled"
    assert await finish(worker, mine, pool, first) == "settled"
    rows = await pool.fetch("SELECT nonce, purpose FROM sent_transactions ORDER BY nonce")
    assert [tuple(row) for row in rows] == [(0, "dead_nonce"), (1, "payments"), (2, "payments")]
    assert await rpc.balance(DESTINATION) == 11


async def test_a_transaction_whose_payments_are_all_too_late_is_cancelled_by_a_transfer_to_oneself(
    work, request_withdrawal, mine, pool, rpc
):
    await rpc.call("evm_setAutomine", False)
    late = await request_withdrawal(5, seconds=300)
    worker = work()
    await worker.poll()
    assert await state_of(pool, late) == "broadcast"
    [sent] = await pool.fetch("SELECT tx_hash FROM sent_attempts")
    await rpc.call("anvil_dropTransaction", sent["tx_hash"])
    await rpc.call("evm_setNextBlockTimestamp", hex(late.deadline_s + 1))
    await mine(1)
    assert await finish(worker, mine, pool, late) == "refunded"
    attempts = await pool.fetch("SELECT nonce, cancels FROM sent_attempts ORDER BY signed_ms, max_fee_wei")
    assert [tuple(row) for row in attempts] == [(0, False), (0, True)]
    mined = [
        await rpc.receipt(row["tx_hash"]) for row in await pool.fetch("SELECT tx_hash FROM sent_attempts")
    ]
    assert [receipt.logs for receipt in mined if receipt is not None] == [()]
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions WHERE NOT done") == 0


async def test_the_original_of_a_cancelled_transaction_that_is_mined_after_all_settles(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc
):
    """Both are watched: the payment ran within its deadline, our clock of the chain was ahead."""
    await rpc.call("evm_setAutomine", False)
    requested = await request_withdrawal(5, seconds=300)
    worker = work()
    await worker.poll()

    def later(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] == "latest":
            return answer | {"timestamp": hex(requested.deadline_s + 1)}
        return answer

    def refuse(method: str, params: tuple[Any, ...]) -> None:
        if method == "eth_sendRawTransaction":
            raise RpcError(method, -32000, "replacement transaction underpriced")

    faulty_rpc.after, faulty_rpc.before = later, refuse
    await worker.poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_attempts WHERE cancels") == 1
    faulty_rpc.heal()
    await mine(1)
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 5


async def test_a_payment_whose_nonce_went_to_its_cancellation_in_time_is_sent_again(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc
):
    await rpc.call("evm_setAutomine", False)
    requested = await request_withdrawal(5, seconds=300)
    worker = work()
    await worker.poll()

    def later(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] == "latest":
            return answer | {"timestamp": hex(requested.deadline_s + 1)}
        return answer

    faulty_rpc.after = later
    await worker.poll()
    faulty_rpc.heal()
    await mine(1)
    assert await rpc.balance(DESTINATION) == 0
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 5
    assert await pool.fetchval("SELECT max(try) FROM payment_tries") == 2


async def test_a_worker_whose_key_another_has_taken_over_signs_nothing_more(
    work, request_withdrawal, mine, pool, rpc
):
    stale = work()
    await stale.poll()
    newer = work()
    await newer.poll()
    requested = await request_withdrawal(5)
    with pytest.raises(SenderTaken):
        await stale.poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0
    assert await finish(newer, mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 5


async def test_no_more_transactions_than_the_cap_are_under_way_at_once(
    work, request_withdrawal, mine, pool, rpc
):
    await rpc.call("evm_setAutomine", False)
    requests = [await request_withdrawal(index) for index in range(1, 6)]
    worker = work(SendPolicy(rebroadcast_s=0.0, max_in_flight=2), max_batch=1)
    for _ in range(3):
        await worker.poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 2
    for requested in requests:
        assert await finish(worker, mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 15


async def test_a_sender_without_money_for_gas_signs_nothing_and_says_so(
    work, request_withdrawal, mine, pool, rpc
):
    requested = await request_withdrawal(5)
    await rpc.call("anvil_setBalance", dev_address(SENDER_KEY), "0x1")
    worker = work()
    await worker.poll()
    assert isinstance(worker.status().conditions[requested.withdrawal_id], SenderOutOfGas)
    assert worker.status().gas == GasStatus(1, is_low=True)
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0
    await rpc.call("anvil_setBalance", dev_address(SENDER_KEY), hex(10**18))
    assert await finish(worker, mine, pool, requested) == "settled"


async def test_a_sender_that_will_soon_be_out_of_gas_goes_on_and_alerts_once(
    work, request_withdrawal, mine, pool, rpc
):
    told: list[tuple[str, str]] = []
    worker = work(
        SendPolicy(rebroadcast_s=0.0, low_gas_calls=10**9),
        alert=lambda kind, detail: told.append((kind, detail)),
    )
    for atoms in (5, 6):
        assert await finish(worker, mine, pool, await request_withdrawal(atoms)) == "settled"
    assert worker.status().gas.is_low
    [(kind, detail)] = told
    assert kind == "sender_low_on_gas"
    assert detail.startswith(dev_address(SENDER_KEY))
