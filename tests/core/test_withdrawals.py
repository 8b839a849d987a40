import pytest
from tests.core.venue import CHAIN_ID, SECOND, VAULT, Venue, address, refusal, token

from exchange.core.accounts import CHAIN_ACCOUNT, FEES_ACCOUNT, WITHDRAWALS_ACCOUNT
from exchange.core.commands import RequestWithdrawal, SetWithdrawalTerms
from exchange.core.custody import MAX_WITHDRAWAL_DEADLINE_S
from exchange.core.events import (
    WithdrawalRefunded,
    WithdrawalRequested,
    WithdrawalSettled,
    WithdrawalTermsSet,
)
from exchange.core.rejects import RejectReason
from exchange.core.units import MAX_ATOMS


@pytest.fixture
def vault() -> Venue:
    """PLUM costs 3 to withdraw, at least 5 must arrive; Alice has 100."""
    venue = Venue()
    venue.list_asset("PLUM", 0, withdrawal_fee_atoms=3, min_withdrawal_atoms=5)
    venue.give("alice", plum=100)
    return venue


def deadline_s(venue: Venue, in_s: int = 600) -> int:
    return venue.time_ns // SECOND + in_s


def test_a_requested_amount_leaves_the_account_and_is_in_flight(vault: Venue) -> None:
    (event,) = vault.withdraw("alice", "PLUM", 40, max_fee=3)
    assert isinstance(event, WithdrawalRequested)
    assert (event.amount_atoms, event.fee_atoms, event.deadline_s) == (40, 3, deadline_s(vault))
    assert (event.owner, event.chain_id, event.vault, event.token) == (
        address("alice"),
        CHAIN_ID,
        VAULT,
        token("PLUM"),
    )
    assert vault.has("alice", "PLUM") == (60, 0)
    assert vault.system(WITHDRAWALS_ACCOUNT, "PLUM") == 40
    assert vault.system(CHAIN_ACCOUNT, "PLUM") == -100


@pytest.mark.parametrize("outcome", ["paid", "claimable"])
def test_a_settled_withdrawal_left_the_vault_and_paid_its_fee(vault: Venue, outcome: str) -> None:
    vault.withdraw("alice", "PLUM", 40, max_fee=3)
    (event,) = vault.settle(outcome=outcome)
    assert isinstance(event, WithdrawalSettled)
    assert (event.outcome, event.amount_atoms, event.fee_atoms) == (outcome, 40, 3)
    assert vault.system(WITHDRAWALS_ACCOUNT, "PLUM") == 0
    assert vault.system(CHAIN_ACCOUNT, "PLUM") == -63
    assert vault.system(FEES_ACCOUNT, "PLUM") == 3


def test_a_refunded_withdrawal_gives_the_whole_amount_back(vault: Venue) -> None:
    vault.withdraw("alice", "PLUM", 40, max_fee=3)
    (event,) = vault.refund("w1", deadline_s(vault) + 1)
    assert isinstance(event, WithdrawalRefunded)
    assert event.amount_atoms == 40
    assert vault.has("alice", "PLUM") == (100, 0)
    assert vault.fees("PLUM") == 0


def test_a_refund_needs_a_block_after_the_deadline(vault: Venue) -> None:
    vault.withdraw("alice", "PLUM", 40, max_fee=3)
    for block_time_s in (0, deadline_s(vault) - 1, deadline_s(vault)):
        assert refusal(vault.refund("w1", block_time_s)) is RejectReason.WITHDRAWAL_NOT_REFUNDABLE
    assert vault.has("alice", "PLUM") == (60, 0)


@pytest.mark.parametrize("first", ["settle", "refund"])
@pytest.mark.parametrize("second", ["settle", "refund"])
def test_a_withdrawal_ends_once(vault: Venue, first: str, second: str) -> None:
    vault.withdraw("alice", "PLUM", 40, max_fee=3)
    after = deadline_s(vault) + 1
    ending = {"settle": lambda: vault.settle("w1"), "refund": lambda: vault.refund("w1", after)}
    ending[first]()
    have = vault.has("alice", "PLUM")
    assert refusal(ending[second]()) is RejectReason.WITHDRAWAL_ALREADY_FINAL
    vault.pass_time(601)
    assert refusal(ending[second]()) is RejectReason.UNKNOWN_WITHDRAWAL, "forgotten, and refused all the same"
    assert vault.has("alice", "PLUM") == have


def test_an_unknown_withdrawal_is_neither_settled_nor_refunded(vault: Venue) -> None:
    assert refusal(vault.settle("w9")) is RejectReason.UNKNOWN_WITHDRAWAL
    assert refusal(vault.refund("w9", 2**40)) is RejectReason.UNKNOWN_WITHDRAWAL


@pytest.mark.parametrize("ending", ["none", "settle", "refund"])
def test_a_signed_request_is_taken_once_whatever_became_of_it(vault: Venue, ending: str) -> None:
    vault.withdraw("alice", "PLUM", 40, max_fee=3)
    request = vault.log[-1][1]
    if ending == "settle":
        vault.settle()
    elif ending == "refund":
        vault.refund("w1", deadline_s(vault) + 1)
    have = vault.has("alice", "PLUM")
    vault.pass_time(599)
    assert refusal(vault.do(request)) is RejectReason.WITHDRAWAL_REPLAYED
    vault.pass_time(1)
    on_the_deadline = refusal(vault.do(request))
    vault.pass_time(1)
    after = refusal(vault.do(request))
    if ending == "none":
        assert (on_the_deadline, after) == (
            RejectReason.WITHDRAWAL_REPLAYED,
            RejectReason.WITHDRAWAL_REPLAYED,
        )
    else:
        assert on_the_deadline is RejectReason.WITHDRAWAL_REPLAYED
        assert after is RejectReason.WITHDRAWAL_DEADLINE_PASSED
        assert not vault.state.final_withdrawals
        assert not vault.state.final_by_deadline
    assert vault.has("alice", "PLUM") == have


def test_the_deadline_lies_ahead_but_not_too_far(vault: Venue) -> None:
    for in_s in (0, -1, -10_000):
        passed = vault.withdraw("alice", "PLUM", 40, max_fee=3, in_s=in_s)
        assert refusal(passed) is RejectReason.WITHDRAWAL_DEADLINE_PASSED
    for in_s in (MAX_WITHDRAWAL_DEADLINE_S + 1, 2**70):
        far = vault.withdraw("alice", "PLUM", 40, max_fee=3, in_s=in_s)
        assert refusal(far) is RejectReason.WITHDRAWAL_DEADLINE_TOO_FAR
    (taken,) = vault.withdraw("alice", "PLUM", 40, max_fee=3, in_s=MAX_WITHDRAWAL_DEADLINE_S)
    assert isinstance(taken, WithdrawalRequested)


def test_a_fee_above_what_the_owner_signed_is_refused(vault: Venue) -> None:
    events = vault.withdraw("alice", "PLUM", 40, max_fee=2)
    assert refusal(events) is RejectReason.WITHDRAWAL_FEE_ABOVE_MAXIMUM


def test_what_arrives_is_at_least_the_minimum(vault: Venue) -> None:
    for amount in (7, 3, 0, -100):
        assert (
            refusal(vault.withdraw("alice", "PLUM", amount, max_fee=3)) is RejectReason.WITHDRAWAL_TOO_SMALL
        )
    (taken,) = vault.withdraw("alice", "PLUM", 8, max_fee=3)
    assert isinstance(taken, WithdrawalRequested)


def test_no_more_is_withdrawn_than_is_available(vault: Venue) -> None:
    assert refusal(vault.withdraw("alice", "PLUM", 101, max_fee=3)) is RejectReason.INSUFFICIENT_FUNDS
    too_large = vault.withdraw("alice", "PLUM", MAX_ATOMS + 1, max_fee=3)
    assert refusal(too_large) is RejectReason.AMOUNT_TOO_LARGE
    vault.withdraw("alice", "PLUM", 100, max_fee=3)
    assert vault.has("alice", "PLUM") == (0, 0)


def test_an_unknown_account_or_asset_is_refused(vault: Venue) -> None:
    vault.withdraw("alice", "PLUM", 40, max_fee=3, label="x")
    request = vault.log[-1][1]
    assert isinstance(request, RequestWithdrawal)

    def changed(account_id: int, asset_id: int) -> RequestWithdrawal:
        return RequestWithdrawal(
            "0xother", account_id, asset_id, 40, 3, request.destination, 1, request.deadline_s, "0x"
        )

    for account_id in (5_000, CHAIN_ACCOUNT, WITHDRAWALS_ACCOUNT):
        assert refusal(vault.do(changed(account_id, 1))) is RejectReason.UNKNOWN_ACCOUNT
    assert refusal(vault.do(changed(request.account_id, 7))) is RejectReason.UNKNOWN_ASSET


def test_two_withdrawals_are_in_flight_independently(vault: Venue) -> None:
    vault.withdraw("alice", "PLUM", 40, "w1", max_fee=3)
    vault.withdraw("alice", "PLUM", 20, "w2", max_fee=3)
    vault.refund("w1", deadline_s(vault) + 1)
    vault.settle("w2")
    assert vault.has("alice", "PLUM") == (80, 0)
    assert vault.system(CHAIN_ACCOUNT, "PLUM") == -83


def test_the_largest_amount_goes_out_and_comes_back() -> None:
    venue = Venue()
    venue.list_asset("PLUM")
    venue.give("alice", plum=MAX_ATOMS)
    venue.withdraw("alice", "PLUM", MAX_ATOMS)
    venue.refund("w1", deadline_s(venue) + 1)
    venue.withdraw("alice", "PLUM", MAX_ATOMS, "w2")
    venue.settle("w2")
    assert venue.system(CHAIN_ACCOUNT, "PLUM") == 0
    venue.give("alice", plum=MAX_ATOMS)
    assert venue.has("alice", "PLUM") == (MAX_ATOMS, 0)


# ---- other terms


def test_new_terms_are_answered_with_and_are_the_assets_from_now_on(vault: Venue) -> None:
    vault.list_asset("COIN", 0, withdrawal_fee_atoms=1, min_withdrawal_atoms=2)
    assert vault.set_withdrawal_terms("PLUM", 4, 6) == [WithdrawalTermsSet(1, 4, 6)]
    terms = [(a.withdrawal_fee_atoms, a.min_withdrawal_atoms) for a in vault.view.assets.values()]
    assert terms == [(4, 6), (1, 2)]
    assert vault.view.asset_by_symbol["PLUM"] is vault.view.assets[1]


def test_a_withdrawal_costs_what_was_asked_for_when_it_was_requested(vault: Venue) -> None:
    vault.withdraw("alice", "PLUM", 40, "before", max_fee=3)
    vault.set_withdrawal_terms("PLUM", 4, 5)
    assert refusal(vault.withdraw("alice", "PLUM", 40, "w2", max_fee=3)) is (
        RejectReason.WITHDRAWAL_FEE_ABOVE_MAXIMUM
    )
    (after,) = vault.withdraw("alice", "PLUM", 40, "after", max_fee=4)
    assert isinstance(after, WithdrawalRequested)
    assert after.fee_atoms == 4
    for label, fee in (("before", 3), ("after", 4)):
        (settled,) = vault.settle(label)
        assert isinstance(settled, WithdrawalSettled)
        assert settled.fee_atoms == fee
    assert vault.fees("PLUM") == 7


def test_the_new_minimum_is_what_must_arrive(vault: Venue) -> None:
    vault.set_withdrawal_terms("PLUM", 0, 10)
    assert refusal(vault.withdraw("alice", "PLUM", 9)) is RejectReason.WITHDRAWAL_TOO_SMALL
    assert isinstance(vault.withdraw("alice", "PLUM", 10)[0], WithdrawalRequested)


@pytest.mark.parametrize("terms", [(0, 1), (MAX_ATOMS, 1), (0, MAX_ATOMS)])
def test_terms_go_from_nothing_to_128_bits(vault: Venue, terms: tuple[int, int]) -> None:
    assert vault.set_withdrawal_terms("PLUM", *terms) == [WithdrawalTermsSet(1, *terms)]


@pytest.mark.parametrize("terms", [(-1, 1), (0, 0), (0, -1), (MAX_ATOMS + 1, 1), (0, MAX_ATOMS + 1)])
def test_terms_that_nothing_could_be_withdrawn_on_are_refused(vault: Venue, terms: tuple[int, int]) -> None:
    assert refusal(vault.set_withdrawal_terms("PLUM", *terms)) is RejectReason.ASSET_INVALID


def test_terms_are_for_listed_assets(vault: Venue) -> None:
    vault.deposit("alice", "DUST", 5)
    for asset_id in (2, 3, 0):
        assert refusal(vault.do(SetWithdrawalTerms(asset_id, 1, 1))) is RejectReason.UNKNOWN_ASSET
    assert refusal(vault.do(SetWithdrawalTerms(3, -1, 0))) is RejectReason.UNKNOWN_ASSET
    vault.list_asset("DUST")
    assert vault.do(SetWithdrawalTerms(2, 1, 1)) == [WithdrawalTermsSet(2, 1, 1)]
