"""The risk step: what goes out by itself, what waits, what a person looks at. Real chain, real database."""

import time

import pytest
from tests.chain.conftest import DESTINATION
from tests.chain.paying import finish, note_of, state_of

from exchange.chain.allow_list import Addition, AllowList
from exchange.chain.dev_keys import dev_address
from exchange.chain.errors import NotInReview
from exchange.chain.reviews import Reviews
from exchange.chain.risk import AssetLimits, RiskPolicy
from exchange.core.commands import RefundWithdrawal

DAY_S = 86_400


def policy(window_s: int = DAY_S, **limits: int) -> RiskPolicy:
    return RiskPolicy({"ETH": AssetLimits(**limits)}, window_s)


async def let_deadline_pass(rpc, mine, requested) -> None:
    await rpc.call("evm_setNextBlockTimestamp", hex(requested.deadline_s + 1))
    await mine(10)


# -------------------------------------------------------------------------------------------- review


async def test_an_amount_above_the_review_limit_waits_for_a_person(work, request_withdrawal, mine, pool, rpc):
    told: list[str] = []
    worker = work(risk=policy(review_above_atoms=10), alert=lambda kind, detail: told.append(kind))
    small, large = await request_withdrawal(10), await request_withdrawal(11)
    assert await finish(worker, mine, pool, small) == "settled"
    assert await state_of(pool, large) == "review"
    assert await note_of(pool, large) == "amount is reviewed by hand"
    assert worker.status().in_review == 1
    assert told == ["withdrawal_in_review"]
    [waiting] = await Reviews(pool).waiting()
    assert (waiting.withdrawal_id, waiting.amount_atoms) == (large.withdrawal_id, 11)
    assert await rpc.balance(DESTINATION) == 10


async def test_an_approved_review_is_paid_and_the_approver_is_kept(work, request_withdrawal, mine, pool, rpc):
    worker = work(risk=policy(review_above_atoms=10))
    requested = await request_withdrawal(11)
    await worker.poll()
    await Reviews(pool).approve(requested.withdrawal_id, "carol")
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 11
    assert await pool.fetchval("SELECT reviewed_by FROM payments") == "carol"


async def test_a_rejected_review_is_never_paid_and_comes_back_after_its_deadline(
    work, request_withdrawal, mine, pool, rpc, funded
):
    before = funded.available_atoms(dev_address(0), "ETH")
    worker = work(risk=policy(review_above_atoms=10))
    requested = await request_withdrawal(11, seconds=300)
    await worker.poll()
    await Reviews(pool).reject(requested.withdrawal_id, "carol", "known thief")
    for _ in range(3):
        await worker.poll()
        await mine(1)
    assert await state_of(pool, requested) == "rejected"
    assert await note_of(pool, requested) == "known thief"
    assert funded.submitted(RefundWithdrawal) == []
    await let_deadline_pass(rpc, mine, requested)
    assert await finish(worker, mine, pool, requested) == "refunded"
    assert await note_of(pool, requested) == "known thief", "its owner is told afterwards too"
    assert funded.available_atoms(dev_address(0), "ETH") == before
    assert await rpc.balance(DESTINATION) == 0


async def test_a_review_that_nobody_decides_comes_back_after_its_deadline(
    work, request_withdrawal, mine, pool, rpc
):
    worker = work(risk=policy(review_above_atoms=10))
    requested = await request_withdrawal(11, seconds=300)
    await worker.poll()
    await let_deadline_pass(rpc, mine, requested)
    assert await finish(worker, mine, pool, requested) == "refunded"
    with pytest.raises(NotInReview):
        await Reviews(pool).approve(requested.withdrawal_id, "carol")


async def test_a_decision_is_made_once_and_only_about_what_is_in_review(work, request_withdrawal, mine, pool):
    worker = work(risk=policy(review_above_atoms=10))
    requested = await request_withdrawal(11)
    reviews = Reviews(pool)
    with pytest.raises(NotInReview):
        await reviews.approve(requested.withdrawal_id, "carol")
    await worker.poll()
    await reviews.approve(requested.withdrawal_id, "carol")
    for decide in (reviews.approve(requested.withdrawal_id, "dave"),
                   reviews.reject(requested.withdrawal_id, "dave", "no")):  # fmt: skip
        with pytest.raises(NotInReview):
            await decide
    assert await finish(worker, mine, pool, requested) == "settled"


async def test_a_payment_in_review_that_the_vault_has_made_already_is_settled(
    work, request_withdrawal, mine, pool, rpc
):
    """Our tables are older than the payment: a restored database."""
    requested = await request_withdrawal(11)
    await work().poll()
    await pool.execute("TRUNCATE payments, payment_cursors, payment_tries, sent_transactions, sent_attempts")
    worker = work(risk=policy(review_above_atoms=10))
    assert await finish(worker, mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 11


# ------------------------------------------------------------------------------------------ velocity


async def test_what_does_not_fit_into_the_accounts_window_waits_until_it_does(
    work, request_withdrawal, mine, pool, rpc, clock
):
    worker = work(risk=policy(window_s=600, account_window_atoms=10))
    first, second = await request_withdrawal(7), await request_withdrawal(4)
    assert await finish(worker, mine, pool, first) == "settled"
    assert await state_of(pool, second) == "requested"
    assert await note_of(pool, second) == "velocity limit of the account"
    third = await request_withdrawal(3)
    assert await finish(worker, mine, pool, third) == "settled"
    clock.ahead_s += 601
    assert await finish(worker, mine, pool, second) == "settled"
    assert await rpc.balance(DESTINATION) == 14


async def test_the_asset_window_counts_all_owners_and_the_account_window_one(
    work, request_withdrawal, mine, pool, funded, rpc
):
    worker = work(risk=policy(asset_window_atoms=10, account_window_atoms=9))
    assert await finish(worker, mine, pool, await request_withdrawal(5)) == "settled"
    await pool.execute("UPDATE payments SET owner = $1", dev_address(5))
    own = await request_withdrawal(6)
    await worker.poll()
    assert await note_of(pool, own) == "velocity limit of the asset"
    assert await finish(worker, mine, pool, await request_withdrawal(5)) == "settled"
    assert await state_of(pool, own) == "requested"


async def test_another_asset_has_windows_of_its_own(work, request_withdrawal, mine, pool):
    worker = work(risk=policy(asset_window_atoms=10))
    assert await finish(worker, mine, pool, await request_withdrawal(10)) == "settled"
    assert await finish(worker, mine, pool, await request_withdrawal(10, "USDC")) == "settled"


async def test_what_came_back_to_its_owner_does_not_count(work, request_withdrawal, mine, pool, rpc):
    requested = await request_withdrawal(10, seconds=300)
    await work(may_sign=lambda: False).poll()
    await let_deadline_pass(rpc, mine, requested)
    worker = work(risk=policy(account_window_atoms=10))
    assert await finish(worker, mine, pool, requested) == "refunded"
    assert await finish(worker, mine, pool, await request_withdrawal(10)) == "settled"


async def test_an_amount_that_never_fits_into_a_window_is_for_a_person(work, request_withdrawal, pool):
    worker = work(risk=policy(asset_window_atoms=10))
    requested = await request_withdrawal(11)
    await worker.poll()
    assert await state_of(pool, requested) == "review"
    assert await note_of(pool, requested) == "amount is above a velocity limit"


async def test_an_approved_review_counts_against_the_windows(work, request_withdrawal, mine, pool):
    worker = work(risk=policy(review_above_atoms=8, account_window_atoms=10))
    large = await request_withdrawal(9)
    await worker.poll()
    await Reviews(pool).approve(large.withdrawal_id, "carol")
    assert await finish(worker, mine, pool, large) == "settled"
    next_one = await request_withdrawal(2)
    await worker.poll()
    assert await note_of(pool, next_one) == "velocity limit of the account"


# ---------------------------------------------------------------------------------------- allow-list


async def allow(pool, address: str, at_ms: int, delay_s: int) -> None:
    addition = Addition(
        owner=dev_address(0),
        address=address,
        label="",
        nonce=1,
        deadline_s=2**40,
        digest="0x" + "77" * 32,
        signature="0x" + "11" * 65,
    )
    await AllowList(pool, delay_s).add(addition, at_ms)


async def test_a_destination_that_is_not_on_the_allow_list_is_for_a_person(work, request_withdrawal, pool):
    requested = await request_withdrawal(5)
    await work(address_delay_s=60).poll()
    assert await state_of(pool, requested) == "review"
    assert await note_of(pool, requested) == "destination is not on the allow-list"


async def test_a_destination_that_is_new_on_the_allow_list_is_for_a_person(work, request_withdrawal, pool):
    await allow(pool, DESTINATION, time.time_ns() // 1_000_000, 3_600)
    requested = await request_withdrawal(5)
    await work(address_delay_s=3_600).poll()
    assert await note_of(pool, requested) == "destination is new on the allow-list"


async def test_a_destination_long_on_the_allow_list_is_paid(work, request_withdrawal, mine, pool, rpc):
    await allow(pool, DESTINATION, time.time_ns() // 1_000_000 - 3_700_000, 3_600)
    requested = await request_withdrawal(5)
    assert await finish(work(address_delay_s=3_600), mine, pool, requested) == "settled"
    assert await rpc.balance(DESTINATION) == 5


async def test_an_owners_own_wallet_needs_no_entry(work, request_withdrawal, mine, pool):
    requested = await request_withdrawal(5, destination=dev_address(0))
    assert await finish(work(address_delay_s=3_600), mine, pool, requested) == "settled"
