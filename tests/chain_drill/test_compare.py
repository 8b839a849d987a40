"""The drill's comparison must be able to fail: each kind of error, and nothing else, is counted."""

from dataclasses import replace

import pytest
from scripts.chain_drill.compare import Asked, Verdict, compare_deposits, compare_holdings, compare_payments
from scripts.chain_drill.readings import Deposited, JournaledEvent, PaymentLog

OWNER = "0x" + "0a" * 20
OTHER = "0x" + "0b" * 20
TOKEN = "0x" + "0c" * 20
FIRST = Deposited(1, OWNER, TOKEN, 100)
SECOND = Deposited(2, OTHER, TOKEN, 200)

ID = "0x" + "01" * 32
ASKED = Asked(ID, OWNER, TOKEN, 1_000, 10, OTHER)
PAID = PaymentLog(ID, OWNER, TOKEN, 990, OTHER, claimable=False, tx_hash="0x" + "02" * 32)


def requested(withdrawal_id: str = ID) -> JournaledEvent:
    return JournaledEvent(1, "WithdrawalRequested", (withdrawal_id, 1_000))


def settled(outcome: str = "paid", withdrawal_id: str = ID) -> JournaledEvent:
    return JournaledEvent(2, "WithdrawalSettled", (withdrawal_id, 1_000, outcome))


def refunded(withdrawal_id: str = ID) -> JournaledEvent:
    return JournaledEvent(3, "WithdrawalRefunded", (withdrawal_id, 1_000))


def counts(verdict: Verdict) -> tuple[int, int, int, int]:
    return (
        verdict.double_credits,
        verdict.missed_credits,
        verdict.double_payments,
        verdict.lost_payments,
    )


# ---------------------------------------------------------------------------------------- deposits


def test_deposits_that_are_credited_once_each_are_good_in_any_order():
    assert compare_deposits([FIRST, SECOND], [SECOND, FIRST]).is_good


def test_a_deposit_that_is_not_credited_is_missed():
    verdict = compare_deposits([FIRST, SECOND], [FIRST])
    assert counts(verdict) == (0, 1, 0, 0)
    assert not verdict.is_good


def test_a_deposit_that_is_credited_twice_is_double():
    assert counts(compare_deposits([FIRST], [FIRST, FIRST, FIRST])) == (2, 0, 0, 0)


def test_a_credit_that_the_chain_knows_nothing_of_is_double():
    assert counts(compare_deposits([FIRST], [FIRST, SECOND])) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    "wrong", [replace(FIRST, owner=OTHER), replace(FIRST, amount_atoms=101), replace(FIRST, token=OTHER)]
)
def test_a_credit_with_another_owner_amount_or_token_is_one_too_many_and_one_too_few(wrong):
    assert counts(compare_deposits([FIRST], [wrong])) == (1, 1, 0, 0)


# ---------------------------------------------------------------------------------------- payments


def test_a_withdrawal_that_is_paid_and_settled_is_good():
    assert compare_payments([ASKED], [PAID], [requested(), settled()]).is_good


def test_a_withdrawal_that_is_refunded_and_not_paid_is_good():
    assert compare_payments([ASKED], [], [requested(), refunded()]).is_good


def test_a_claimable_payment_is_good_when_it_is_settled_as_such():
    claimable = replace(PAID, claimable=True)
    assert compare_payments([ASKED], [claimable], [requested(), settled("claimable")]).is_good
    assert not compare_payments([ASKED], [claimable], [requested(), settled("paid")]).is_good


def test_a_withdrawal_that_is_paid_and_refunded_is_a_double_payment():
    assert counts(compare_payments([ASKED], [PAID], [requested(), refunded()])) == (0, 0, 1, 0)


def test_a_withdrawal_that_is_paid_twice_is_a_double_payment():
    verdict = compare_payments([ASKED], [PAID, PAID], [requested(), settled()])
    assert counts(verdict) == (0, 0, 1, 0)


def test_a_withdrawal_that_is_settled_twice_is_a_double_payment():
    verdict = compare_payments([ASKED], [PAID], [requested(), settled(), settled()])
    assert counts(verdict) == (0, 0, 1, 0)


def test_a_withdrawal_that_is_refunded_twice_is_a_double_payment():
    assert counts(compare_payments([ASKED], [], [requested(), refunded(), refunded()])) == (0, 0, 1, 0)


def test_a_payment_that_nobody_asked_for_is_a_double_payment():
    verdict = compare_payments([], [PAID], [])
    assert counts(verdict) == (0, 0, 1, 0)


def test_a_withdrawal_that_has_no_end_is_lost():
    assert counts(compare_payments([ASKED], [], [requested()])) == (0, 0, 0, 1)


def test_a_withdrawal_that_is_settled_and_was_never_paid_is_lost():
    assert counts(compare_payments([ASKED], [], [requested(), settled()])) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    "wrong", [replace(PAID, amount_atoms=991), replace(PAID, destination=TOKEN), replace(PAID, owner=OTHER)]
)
def test_a_payment_of_something_else_is_wrong(wrong):
    assert not compare_payments([ASKED], [wrong], [requested(), settled()]).is_good


def test_a_payment_that_is_not_settled_is_wrong():
    assert not compare_payments([ASKED], [PAID], [requested()]).is_good


def test_a_settlement_of_an_unknown_withdrawal_is_wrong():
    assert not compare_payments([], [], [settled()]).is_good


@pytest.mark.parametrize("times", [0, 2])
def test_a_withdrawal_must_be_journaled_once(times):
    assert not compare_payments([ASKED], [PAID], [requested()] * times + [settled()]).is_good


# ---------------------------------------------------------------------------------------- holdings


def test_holdings_must_be_the_same_and_nothing_counts_as_zero():
    assert compare_holdings("account", {"a": 1, "b": 0}, {"a": 1}).is_good
    assert not compare_holdings("account", {"a": 1}, {"a": 2}).is_good
    assert not compare_holdings("account", {}, {"a": 1}).is_good


def test_verdicts_add_up():
    verdict = compare_deposits([FIRST], [])
    verdict.add(compare_deposits([], [SECOND]))
    verdict.add(compare_payments([ASKED], [PAID], [requested(), refunded()]))
    assert counts(verdict) == (1, 1, 1, 0)
    assert len(verdict.wrong) == 4
