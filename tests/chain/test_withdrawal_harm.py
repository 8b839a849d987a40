"""Withdrawals when somebody or something means harm: thieves, crowds, nodes that lie, signers that choke."""

from typing import Any

from tests.chain.conftest import DESTINATION
from tests.chain.paying import finish, limit_outflow, lose_payment_rows, note_of, state_of

from exchange.chain.errors import RpcError, RpcUnavailable, SignerUnavailable
from exchange.chain.outbox import SendPolicy
from exchange.chain.reviews import Reviews
from exchange.chain.risk import AssetLimits, RiskPolicy
from exchange.chain.withdrawals import DUE_PER_PASS
from exchange.core.commands import RefundWithdrawal, SetAccountState
from exchange.core.words import AccountState

REVIEWED = RiskPolicy({"ETH": AssetLimits(review_above_atoms=10)})


async def blocks(worker, mine, count: int) -> None:
    for _ in range(count):
        await worker.poll()
        await mine(1)


# ------------------------------------------------------------------------------------ frozen accounts


async def test_a_frozen_accounts_waiting_withdrawal_is_not_paid_and_comes_back(
    work, request_withdrawal, mine, pool, rpc, funded
):
    requested = await request_withdrawal(5, seconds=300)
    await work(may_sign=lambda: False).poll()
    await funded.submit(SetAccountState(requested.account_id, AccountState.FROZEN))
    worker = work()  # the halt is lifted for everybody else
    await blocks(worker, mine, 4)
    assert await rpc.balance(DESTINATION) == 0
    await rpc.call("evm_setNextBlockTimestamp", hex(requested.deadline_s + 1))
    await mine(10)
    assert await finish(worker, mine, pool, requested) == "refunded"


async def test_an_account_that_is_frozen_while_its_payment_is_signed_is_not_paid(
    work, request_withdrawal, pool, faulty_rpc
):
    await request_withdrawal(5)
    worker = work()
    frozen = False

    def freeze(method: str, params: tuple[Any, ...]) -> None:
        nonlocal frozen
        frozen = frozen or method == "eth_getBalance"

    await worker.prepare()
    faulty_rpc.before = freeze
    worker._sending._is_frozen = lambda account_id: frozen
    await worker.poll()
    assert frozen
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0


async def test_a_thiefs_payment_that_left_the_chain_with_its_deposit_is_not_sent_again(
    work, request_withdrawal, mine, pool, rpc, funded
):
    """The double spend for which the halt is there: both are reorganized away together."""
    snapshot = await rpc.call("evm_snapshot")
    requested = await request_withdrawal(5)
    worker = work()
    await worker.poll()
    await worker.poll()
    assert await state_of(pool, requested) == "mined"
    await rpc.call("evm_revert", snapshot)
    await mine(2)
    await funded.submit(SetAccountState(requested.account_id, AccountState.FROZEN))
    await blocks(worker, mine, 6)
    assert await rpc.balance(DESTINATION) == 0
    assert await pool.fetchval("SELECT count(*) FROM sent_attempts WHERE cancels") == 1


# --------------------------------------------------------------------------------- ways around a person


async def test_a_payment_by_lost_bytes_that_is_reorganized_away_is_judged_like_any_other(
    work, request_withdrawal, mine, pool, rpc
):
    requested = await request_withdrawal(11)
    snapshot = await rpc.call("evm_snapshot")
    await work().poll()
    await lose_payment_rows(pool)
    worker = work(risk=REVIEWED)
    await worker.poll()
    assert await state_of(pool, requested) == "mined"
    await rpc.call("evm_revert", snapshot)
    await mine(3)
    await blocks(worker, mine, 5)
    assert await rpc.balance(DESTINATION) == 0
    assert await state_of(pool, requested) == "review"


async def test_a_rejected_payment_stays_rejected_whatever_happens_on_the_chain(
    work, request_withdrawal, mine, pool, rpc
):
    await rpc.call("evm_setAutomine", False)
    requested = await request_withdrawal(11)
    await work().poll()
    await lose_payment_rows(pool)
    worker = work(risk=REVIEWED)
    await worker.poll()
    await Reviews(pool).reject(requested.withdrawal_id, "carol", "thief")
    snapshot = await rpc.call("evm_snapshot")
    await mine(1)
    await worker.poll()
    assert await state_of(pool, requested) == "mined"
    await rpc.call("evm_revert", snapshot)
    await rpc.call("anvil_dropAllTransactions")
    await mine(1)
    await blocks(worker, mine, 4)
    assert await state_of(pool, requested) == "rejected"
    assert await rpc.balance(DESTINATION) == 0


async def test_lost_tables_do_not_empty_the_velocity_windows(work, request_withdrawal, mine, pool, rpc):
    risk = RiskPolicy({"ETH": AssetLimits(account_window_atoms=10)})
    assert await finish(work(risk=risk), mine, pool, await request_withdrawal(10)) == "settled"
    await lose_payment_rows(pool)
    await request_withdrawal(10)
    await blocks(work(risk=risk), mine, 5)
    assert await rpc.balance(DESTINATION) == 10


# --------------------------------------------------------------------------------------------- crowds


async def test_a_crowd_that_waits_does_not_keep_the_others_from_their_turn(
    work, request_withdrawal, mine, pool, rpc, clock
):
    first = await request_withdrawal(1)
    worker = work(risk=REVIEWED, retry_s=15.0)
    assert await finish(worker, mine, pool, first) == "settled"
    copies = DUE_PER_PASS + 50
    await pool.execute(
        "INSERT INTO payments (withdrawal_id, chain_id, vault, requested_seq, account_id, asset_id, owner,"
        " token, amount_atoms, fee_atoms, destination, deadline_s, state, updated_ms)"
        " SELECT '0xe' || lpad(to_hex(n), 63, '0'), chain_id, vault, 0, account_id, asset_id, owner, token,"
        " amount_atoms, fee_atoms, destination, deadline_s, 'review', 0"
        " FROM payments, generate_series(1, $1) n",
        copies,
    )
    later = await request_withdrawal(6)
    await worker.poll()
    assert await state_of(pool, later) == "requested"  # those before it had their turn
    assert await finish(worker, mine, pool, later) == "settled"
    assert worker.status().in_review == copies


async def test_what_was_looked_at_and_waits_costs_the_next_pass_nothing(
    work, request_withdrawal, pool, faulty_rpc
):
    for _ in range(5):
        await request_withdrawal(11)
    worker = work(risk=REVIEWED, retry_s=15.0)
    await worker.poll()
    asked: list[str] = []
    faulty_rpc.before = lambda method, params: asked.append(method)
    await worker.poll()
    assert "eth_call" not in asked


async def test_searches_for_lost_payments_are_bounded_over_all_of_them(
    work, request_withdrawal, mine, pool, faulty_rpc
):
    for _ in range(10):
        await request_withdrawal(1)
    await work().poll()
    await mine(1_500)
    await lose_payment_rows(pool)
    searches = 0

    def limit(method: str, params: tuple[Any, ...]) -> None:
        nonlocal searches
        if method == "eth_getLogs":
            searches += 1
            if int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) >= 10:
                raise RpcError(method, -32005, "range too large")

    faulty_rpc.before = limit
    await work().poll()
    assert searches == 16


# ----------------------------------------------------------------------------------------------- nodes


async def test_a_node_that_calls_its_head_finalized_gets_no_refund_before_the_confirmations(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc, funded
):
    await rpc.call("evm_setAutomine", False)
    requested = await request_withdrawal(5, seconds=300)
    worker = work(SendPolicy(rebroadcast_s=0.0))
    await worker.poll()
    raw = await pool.fetchval("SELECT raw FROM sent_attempts")
    await rpc.call("anvil_dropAllTransactions")
    newest: dict[str, Any] = {}

    def lie(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] == "latest":
            newest["block"] = answer
        return newest["block"] if method == "eth_getBlockByNumber" and params[0] == "finalized" else answer

    faulty_rpc.after = lie
    snapshot = await rpc.call("evm_snapshot")
    await rpc.call("evm_setNextBlockTimestamp", hex(requested.deadline_s + 1))
    await mine(1)
    await worker.poll()
    assert funded.submitted(RefundWithdrawal) == []
    await rpc.call("evm_revert", snapshot)  # another block instead, in time
    await rpc.call("anvil_dropAllTransactions")
    await rpc.send_raw(raw)
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 5


async def test_a_search_without_an_answer_is_made_smaller_and_does_not_stop_the_others(
    work, request_withdrawal, mine, pool, rpc, faulty_rpc
):
    await request_withdrawal(5)
    await work().poll()
    await lose_payment_rows(pool)
    await mine(100)

    def refuse(method: str, params: tuple[Any, ...]) -> None:
        if method == "eth_getLogs" and int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) >= 10:
            raise RpcUnavailable(method, "HTTP 502")

    faulty_rpc.before = refuse
    await request_withdrawal(6)
    await blocks(work(), mine, 10)
    assert await rpc.balance(DESTINATION) == 11


async def test_a_broadcast_without_an_answer_does_not_keep_others_from_being_settled(
    work, request_withdrawal, mine, pool, faulty_rpc, rpc
):
    await rpc.call("evm_setAutomine", False)
    worker = work(max_batch=1)
    mined = await request_withdrawal(5)
    await worker.poll()
    await mine(1)
    await worker.poll()
    await request_withdrawal(6, seconds=80_000)
    await worker.poll()
    await rpc.call("anvil_dropAllTransactions")

    def silent(method: str, params: tuple[Any, ...]) -> None:
        if method == "eth_sendRawTransaction":
            raise RpcUnavailable(method, "timeout")

    faulty_rpc.before = silent
    assert await finish(worker, mine, pool, mined) == "settled"


async def test_a_node_that_limits_rates_is_not_taken_for_a_revert(
    work, request_withdrawal, pool, rpc, faulty_rpc, clock
):
    requests = [await request_withdrawal(1) for _ in range(8)]
    asked = 0

    def limit(method: str, params: tuple[Any, ...]) -> None:
        nonlocal asked
        if method == "eth_call" and "from" in params[0]:
            asked += 1
            raise RpcError(method, -32005, "too many requests")

    faulty_rpc.before = limit
    worker = work(retry_s=15.0)
    await worker.poll()
    assert asked == 1
    assert await note_of(pool, requests[0]) == ""
    faulty_rpc.heal()
    clock.ahead_s += 16
    await worker.poll()
    assert await rpc.balance(DESTINATION) == 8


async def test_a_nodes_unprintable_words_stop_one_payment_only(
    work, request_withdrawal, mine, pool, faulty_rpc
):
    def refuse(method: str, params: tuple[Any, ...]) -> None:
        if method == "eth_call" and "from" in params[0]:
            raise RpcError(method, 3, "execution reverted", "\x00")

    faulty_rpc.before = refuse
    requested = await request_withdrawal(5)
    worker = work()
    await worker.poll()
    assert worker.status().fault is None
    faulty_rpc.heal()
    assert await finish(worker, mine, pool, requested) == "settled"


# --------------------------------------------------------------------------------- signing and sending


class Signer:
    """The worker's signer, counting, and without an answer for some."""

    def __init__(self, real: Any, chokes_on: str = "") -> None:
        self._real = real
        self._chokes_on = chokes_on
        self.asked = 0

    async def sign_order(self, order: Any) -> bytes:
        self.asked += 1
        if order.payment.withdrawal_id == self._chokes_on:
            raise SignerUnavailable("status_500")
        return bytes(await self._real.sign_order(order))


async def test_a_payment_that_the_signer_has_no_answer_to_does_not_stop_the_others(
    work, request_withdrawal, rpc
):
    worker = work(retry_s=15.0)
    bad = await request_withdrawal(5)
    await request_withdrawal(6)
    worker._signer = Signer(worker._signer, chokes_on=bad.withdrawal_id)
    await worker.poll()
    await worker.poll()
    assert await rpc.balance(DESTINATION) == 6
    assert isinstance(worker.status().conditions[bad.withdrawal_id], SignerUnavailable)


async def test_nothing_is_signed_while_the_fee_is_above_its_cap(work, request_withdrawal):
    worker = work(SendPolicy(max_fee_wei=1), max_batch=1)
    for _ in range(4):
        await request_withdrawal(1)
    worker._signer = signer = Signer(worker._signer)
    await worker.poll()
    assert signer.asked == 0
    assert len(worker.status().conditions) == 4


async def test_no_more_is_signed_than_the_outflow_limit_lets_out_with_what_is_under_way(
    work, request_withdrawal, pool, rpc, deployment
):
    await limit_outflow(rpc, deployment, 5)
    await rpc.call("evm_setAutomine", False)
    worker = work(max_batch=1)
    await request_withdrawal(3, seconds=80_000)
    second = await request_withdrawal(3, seconds=80_000)
    for _ in range(2):
        await worker.poll()
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 1
    assert await note_of(pool, second) == "3 atoms do not fit into the outflow limit: 3 of 5 in use"


async def test_a_halt_that_begins_while_a_payment_is_signed_is_in_time(
    work, request_withdrawal, pool, faulty_rpc
):
    halted = False

    def begin(method: str, params: tuple[Any, ...]) -> None:
        nonlocal halted
        halted = halted or method == "eth_getTransactionCount"

    await request_withdrawal(5)
    worker = work(may_sign=lambda: not halted)
    await worker.prepare()
    faulty_rpc.before = begin
    await worker.poll()
    assert halted
    assert await pool.fetchval("SELECT count(*) FROM sent_transactions") == 0
