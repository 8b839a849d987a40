"""A key's nonces when chain, node, clock or a stranger do what they should not: nothing waits for ever."""

from typing import Any

import pytest
from tests.chain.conftest import DESTINATION
from tests.chain.paying import finish, state_of

from exchange.chain.dev_keys import DEV_CHAIN_ID, SENDER_KEY, dev_address, dev_key
from exchange.chain.errors import NonceGap, NonceUnclear, SenderTaken
from exchange.chain.nonces import Call, Purpose
from exchange.chain.outbox import Outbox, SendPolicy
from exchange.chain.signer import LocalSender
from exchange.journal.errors import Fenced


async def blocks(worker, mine, count: int) -> None:
    for _ in range(count):
        await worker.poll()
        await mine(1)


def strangers_transfer(nonce: int) -> dict[str, str]:
    """A transfer by the sender's key that we know nothing of."""
    return {"from": dev_address(SENDER_KEY), "to": dev_address(1), "value": "0x1", "nonce": hex(nonce)}


# ------------------------------------------------------------------------------- nonces come free again


async def test_a_settled_payment_that_a_deep_reorganization_removes_is_sent_again_without_a_restart(
    work, request_withdrawal, mine, pool, rpc
):
    first = await request_withdrawal(5)
    snapshot = await rpc.call("evm_snapshot")
    worker = work()
    assert await finish(worker, mine, pool, first) == "settled"
    await blocks(worker, mine, 3)
    await rpc.call("evm_revert", snapshot)
    await rpc.call("evm_setAutomine", False)
    await mine(10)
    await request_withdrawal(6)
    await blocks(worker, mine, 10)
    assert await rpc.balance(DESTINATION) == 11


async def test_a_strangers_transaction_that_a_reorganization_removes_leaves_no_gap(
    work, request_withdrawal, mine, pool, rpc
):
    await rpc.call("evm_setAutomine", False)
    await mine(3)
    await rpc.call("eth_sendTransaction", strangers_transfer(0))
    await mine(3)
    worker = work()
    requested = await request_withdrawal(5)
    await worker.poll()
    assert await pool.fetchval("SELECT nonce FROM sent_transactions") == 1
    await rpc.call("anvil_reorg", 3, [])
    await blocks(worker, mine, 10)
    rows = await pool.fetch("SELECT nonce, purpose FROM sent_transactions ORDER BY nonce")
    assert [tuple(row) for row in rows] == [(0, "dead_nonce"), (1, "payments")]
    assert await state_of(pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 5


async def test_a_nonce_that_counted_as_lost_and_comes_free_again_is_used(
    work, request_withdrawal, mine, pool, rpc
):
    await rpc.call("evm_setAutomine", False)
    await request_withdrawal(5)
    worker = work()
    await worker.poll()
    await rpc.call("anvil_dropAllTransactions")
    await mine(1)
    snapshot = await rpc.call("evm_snapshot")
    await rpc.call("eth_sendTransaction", strangers_transfer(0))
    await mine(1)
    while await pool.fetchval("SELECT count(*) FROM sent_transactions WHERE NOT done AND nonce = 0"):
        await blocks(worker, mine, 1)
    await rpc.call("evm_revert", snapshot)
    await mine(6)
    await blocks(worker, mine, 15)
    assert await rpc.balance(DESTINATION) == 5


async def test_a_chain_far_behind_our_nonces_is_shown_and_signs_nothing_new_wrongly(
    work, request_withdrawal, mine, pool, rpc
):
    requested = await request_withdrawal(5)
    await finish(work(), mine, pool, requested)
    await pool.execute(
        "INSERT INTO sent_transactions (chain_id, sender, nonce, purpose, target, data, gas)"
        " SELECT chain_id, sender, 70, purpose, target, data, gas FROM sent_transactions"
    )
    worker = work()
    await worker.poll()
    assert isinstance(worker.status().conditions[dev_address(SENDER_KEY)], NonceGap)
    assert worker.status().fault is None


async def test_a_start_above_the_fee_cap_with_a_lost_nonce_is_not_refused(
    work, request_withdrawal, mine, pool, rpc
):
    await rpc.call("evm_setAutomine", False)
    await request_withdrawal(5)
    second = await request_withdrawal(6)
    await work(max_batch=1).poll()
    await rpc.call("anvil_dropAllTransactions")
    for table in ("payment_tries", "sent_attempts", "sent_transactions"):
        await pool.execute(f"DELETE FROM {table} WHERE nonce = 0")
    await work(SendPolicy(max_fee_wei=1)).prepare()
    assert await finish(work(), mine, pool, second) == "settled"


# ------------------------------------------------------------------------------------------- engines


async def test_an_engine_that_was_replaced_before_it_got_here_can_not_take_the_key_back(
    pool, rpc, faulty_rpc
):
    sender = LocalSender(dev_key(SENDER_KEY), DEV_CHAIN_ID)
    first, second = (
        Outbox(faulty_rpc, pool, sender, chain_id=DEV_CHAIN_ID, policy=SendPolicy(), epoch=epoch)
        for epoch in (7, 8)
    )
    await second.prepare()
    with pytest.raises(SenderTaken):
        await first.prepare()
    call = Call(Purpose.SWEEP, dev_address(5), b"\x01", 60_000)
    with pytest.raises(SenderTaken):
        await first.submit(call, await rpc.head())
    assert await second.submit(call, await rpc.head()) is not None


async def test_an_engine_behind_the_payments_knows_that_it_was_replaced(
    work, request_withdrawal, pool, funded, monkeypatch
):
    await request_withdrawal(5)
    await work().poll()
    monkeypatch.setattr(type(funded.committed), "seq", property(lambda _: 3))
    with pytest.raises(Fenced):
        await work().prepare()


# ------------------------------------------------------------------------------------ a node's word


async def test_one_wrong_count_of_transactions_does_not_give_out_a_nonce_that_can_never_be_used(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc
):
    assert await finish(work(), mine, pool, await request_withdrawal(5)) == "settled"
    await rpc.call("evm_setAutomine", False)
    lies = [True]

    def wrong(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        return hex(1_000) if method == "eth_getTransactionCount" and lies and lies.pop() else answer

    second = await request_withdrawal(6)
    worker = work()
    await worker.prepare()
    faulty_rpc.after = wrong
    await worker.poll()
    assert lies == []
    assert await finish(worker, mine, pool, second) == "settled"
    assert await pool.fetchval("SELECT max(nonce) FROM sent_transactions") == 1


async def test_a_strangers_use_of_the_key_is_believed_once_it_is_confirmed(
    work, request_withdrawal, mine, pool, rpc
):
    worker = work()
    assert await finish(worker, mine, pool, await request_withdrawal(5)) == "settled"
    await rpc.call("eth_sendTransaction", strangers_transfer(1))
    requested = await request_withdrawal(6)
    await worker.poll()
    assert isinstance(worker.status().conditions[requested.withdrawal_id], NonceUnclear)
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await pool.fetchval("SELECT max(nonce) FROM sent_transactions") == 2


async def test_senseless_answers_to_broadcasts_do_not_exceed_the_cap_on_what_is_under_way(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc
):
    await rpc.call("evm_setAutomine", False)
    for _ in range(8):
        await request_withdrawal(1)
    faulty_rpc.after = lambda method, params, answer: None if method == "eth_sendRawTransaction" else answer
    worker = work(SendPolicy(rebroadcast_s=0.0, max_in_flight=2), max_batch=1)
    for _ in range(3):
        await worker.poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 2


async def test_mined_transactions_do_not_count_as_under_way(work, request_withdrawal, pool, rpc):
    worker = work(SendPolicy(rebroadcast_s=0.0, max_in_flight=1))
    for atoms in (5, 6, 7):
        await request_withdrawal(atoms)
        await worker.poll()
        await worker.poll()
    assert await rpc.balance(DESTINATION) == 18


# ---------------------------------------------------------------------------------------- fees, clock


async def test_a_transaction_with_all_its_attempts_used_up_still_follows_the_base_fee(
    work, request_withdrawal, mine, pool, rpc, clock
):
    await rpc.call("evm_setAutomine", False)
    await request_withdrawal(5, seconds=80_000)
    worker = work(SendPolicy(rebroadcast_s=0.0, max_attempts=2))
    await worker.poll()
    for _ in range(3):
        clock.ahead_s += 61
        await worker.poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_attempts") == 2
    for _ in range(15):
        await rpc.call("anvil_setNextBlockBaseFeePerGas", hex(40 * 10**9))
        await mine(1)
        clock.ahead_s += 61
        await worker.poll()
    assert await rpc.balance(DESTINATION) == 5


async def test_a_cancellation_that_is_too_cheap_is_raised_too(
    work, request_withdrawal, mine, pool, rpc, clock
):
    await rpc.call("evm_setAutomine", False)
    late = await request_withdrawal(5, seconds=300)
    worker = work(SendPolicy(rebroadcast_s=0.0, max_attempts=2))
    await worker.poll()
    clock.ahead_s += 61
    await worker.poll()

    async def block(base_fee_wei: int) -> None:
        await rpc.call("anvil_setNextBlockBaseFeePerGas", hex(base_fee_wei))
        await mine(1)
        clock.ahead_s += 61
        await worker.poll()

    await block(20 * 10**9)
    await rpc.call("evm_setNextBlockTimestamp", hex(late.deadline_s + 1))
    await block(20 * 10**9)
    for _ in range(20):
        await block(100 * 10**9)
    assert await state_of(pool, late) == "refunded"
    await request_withdrawal(7, seconds=80_000)
    for _ in range(6):
        await block(100 * 10**9)
    assert await rpc.balance(DESTINATION) == 7


@pytest.mark.parametrize("base_fee_moves", [False, True])
async def test_a_clock_that_steps_back_leads_to_no_attempt_without_end(
    work, request_withdrawal, pool, rpc, clock, base_fee_moves
):
    await rpc.call("evm_setAutomine", False)
    clock.ahead_s = 600
    late = await request_withdrawal(5, seconds=700)
    worker = work(SendPolicy(rebroadcast_s=0.0))
    await worker.poll()
    clock.ahead_s = 0  # put right
    await rpc.call("evm_setNextBlockTimestamp", hex(late.deadline_s + 1))
    for index in range(12):
        await rpc.call("anvil_dropAllTransactions")
        if base_fee_moves:
            await rpc.call("anvil_setNextBlockBaseFeePerGas", hex(2 * 10**10 + index * 10**8))
        await rpc.call("anvil_mine", "0x1")
        await worker.poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_attempts") <= 8


# ------------------------------------------------------------------------------------------- purposes


async def test_a_transaction_of_another_purpose_is_not_cancelled_for_having_no_payments(
    work, pool, rpc, faulty_rpc, clock
):
    """The key published something before it became the sender's."""
    await rpc.call("evm_setAutomine", False)
    sender = LocalSender(dev_key(SENDER_KEY), DEV_CHAIN_ID)
    policy = SendPolicy(rebroadcast_s=0.0)
    outbox = Outbox(faulty_rpc, pool, sender, chain_id=DEV_CHAIN_ID, policy=policy, now=clock)
    await outbox.prepare()
    await outbox.submit(Call(Purpose.BALANCE_ROOT, dev_address(5), b"\x01", 60_000), await rpc.head())
    await work().poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_attempts WHERE cancels") == 0
