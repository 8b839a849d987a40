"""Funds between the sub-accounts of one owner: at once, and once."""

import pytest
from tests.core.venue import SECOND, Venue, address, refusal

from exchange.core.accounts import FEES_ACCOUNT, MAX_SUB_ACCOUNT
from exchange.core.commands import TransferFunds
from exchange.core.events import AccountOpened, FundsTransferred, TransferKnown
from exchange.core.rejects import RejectReason
from exchange.core.units import MAX_ATOMS


def test_a_transfer_opens_the_sub_account_and_moves_the_funds(fair: Venue) -> None:
    alice, coin = fair.account_id("alice"), fair.asset_id("COIN")
    opened, moved = fair.transfer("alice", "COIN", 300, to=7)
    assert isinstance(opened, AccountOpened)
    assert (opened.owner, opened.sub_account) == (address("alice"), 7)
    assert moved == FundsTransferred(alice, opened.account_id, coin, 300, "t1")
    assert fair.has("alice", "COIN") == (999_700, 0)
    assert fair.has("alice", "COIN", sub_account=7) == (300, 0)


def test_a_sub_account_that_exists_is_not_opened_again(fair: Venue) -> None:
    fair.transfer("alice", "COIN", 300, to=7)
    (moved,) = fair.transfer("alice", "COIN", 50, to=7, cid="t2")
    assert isinstance(moved, FundsTransferred)
    assert fair.has("alice", "COIN", sub_account=7) == (350, 0)


def test_funds_go_back_and_across(fair: Venue) -> None:
    fair.transfer("alice", "COIN", 300, to=7)
    fair.transfer("alice", "COIN", 100, to=0, sub_account=7)
    fair.transfer("alice", "COIN", 150, to=9, sub_account=7, cid="t2")
    assert [fair.has("alice", "COIN", sub_account=number)[0] for number in (0, 7, 9)] == [999_800, 50, 150]


def test_only_what_is_available_moves(fair: Venue) -> None:
    fair.sell("alice", 9_990, at=100)
    assert refusal(fair.transfer("alice", "APPLE", 11, to=7)) is RejectReason.INSUFFICIENT_FUNDS
    assert (address("alice"), 7) not in fair.state.account_by_owner, "nothing was opened for it"
    fair.transfer("alice", "APPLE", 10, to=7)
    assert fair.has("alice", "APPLE") == (0, 9_990)


def test_what_arrived_can_be_traded_and_withdrawn(fair: Venue) -> None:
    fair.transfer("alice", "COIN", 300, to=7)
    fair.buy("alice", 3, at=100, sub_account=7)
    assert fair.has("alice", "COIN", sub_account=7) == (0, 300)
    fair.sell("bob", 3, at=100)
    assert fair.has("alice", "APPLE", sub_account=7) == (3, 0)


@pytest.mark.parametrize("to", [-1, MAX_SUB_ACCOUNT + 1, 2**64])
def test_sub_accounts_are_0_to_127(fair: Venue, to: int) -> None:
    assert refusal(fair.transfer("alice", "COIN", 1, to=to)) is RejectReason.TRANSFER_INVALID
    assert len(fair.transfer("alice", "COIN", 1, to=MAX_SUB_ACCOUNT)) == 2


def test_a_transfer_to_itself_is_refused(fair: Venue) -> None:
    assert refusal(fair.transfer("alice", "COIN", 1, to=0)) is RejectReason.TRANSFER_INVALID
    fair.transfer("alice", "COIN", 1, to=7)
    to_itself = fair.transfer("alice", "COIN", 1, to=7, sub_account=7)
    assert refusal(to_itself) is RejectReason.TRANSFER_INVALID


def test_a_transfer_needs_an_id_and_an_amount(fair: Venue) -> None:
    assert refusal(fair.transfer("alice", "COIN", 1, to=7, cid="")) is RejectReason.TRANSFER_INVALID
    for amount in (0, -1, -(2**128)):
        assert refusal(fair.transfer("alice", "COIN", amount, to=7)) is RejectReason.TRANSFER_INVALID


@pytest.mark.parametrize("amount", [2**63, 2**64, 2**127, MAX_ATOMS])
def test_the_largest_amounts_move_exactly(venue: Venue, amount: int) -> None:
    venue.give("alice", coin=MAX_ATOMS)
    venue.transfer("alice", "COIN", amount, to=1)
    assert venue.has("alice", "COIN", sub_account=1) == (amount, 0)
    assert venue.has("alice", "COIN") == (MAX_ATOMS - amount, 0)


@pytest.mark.parametrize("amount", [2**128, 2**200])
def test_more_than_there_can_be_is_refused(venue: Venue, amount: int) -> None:
    venue.give("alice", coin=MAX_ATOMS)
    assert refusal(venue.transfer("alice", "COIN", amount, to=1)) is RejectReason.INSUFFICIENT_FUNDS


def test_unknown_accounts_and_assets_are_refused(fair: Venue) -> None:
    for account_id in (0, -1, 5_000, FEES_ACCOUNT, 2**64):
        command = TransferFunds(account_id, 1, 1, 1, "t", fair.time_ns)
        assert refusal(fair.do(command)) is RejectReason.UNKNOWN_ACCOUNT
    for asset_id in (0, -1, 99, 2**64):
        command = TransferFunds(fair.account_id("alice"), 1, asset_id, 1, "t", fair.time_ns)
        assert refusal(fair.do(command)) is RejectReason.UNKNOWN_ASSET


def test_a_transfer_request_lives_no_longer_than_an_order_request(fair: Venue) -> None:
    for expires_ns, reason in (
        (fair.time_ns - 1, RejectReason.REQUEST_EXPIRED),
        (fair.time_ns + 60 * SECOND + 1, RejectReason.REQUEST_EXPIRY_TOO_FAR),
    ):
        assert refusal(fair.transfer("alice", "COIN", 1, to=7, expires_ns=expires_ns)) is reason
    for number, expires_ns in enumerate((fair.time_ns, fair.time_ns + 60 * SECOND)):
        assert fair.transfer("alice", "COIN", 1, to=7, cid=f"t{number}", expires_ns=expires_ns)
    assert fair.has("alice", "COIN", sub_account=7) == (2, 0)


# ---- once


def test_the_same_transfer_sent_again_is_known_and_changes_nothing(fair: Venue) -> None:
    fair.transfer("alice", "COIN", 300, to=7)
    alice, coin = fair.account_id("alice"), fair.asset_id("COIN")
    receiver = fair.account_id("alice", sub_account=7)
    fair.pass_time(5)
    again = fair.transfer("alice", "COIN", 300, to=7)
    assert again == [TransferKnown(alice, receiver, coin, 300, "t1")], "a later expiry is the same content"
    assert fair.has("alice", "COIN", sub_account=7) == (300, 0)


def test_it_is_known_even_when_the_funds_are_gone(fair: Venue) -> None:
    fair.transfer("alice", "COIN", 1_000_000, to=7)
    assert isinstance(fair.transfer("alice", "COIN", 1_000_000, to=7)[0], TransferKnown)


@pytest.mark.parametrize("changed", [{"amount": 301}, {"to": 8}, {"symbol": "APPLE"}])
def test_the_same_id_with_other_content_is_refused(fair: Venue, changed: dict[str, object]) -> None:
    fair.transfer("alice", "COIN", 300, to=7)
    content: dict[str, object] = {"symbol": "COIN", "amount": 300, "to": 7, **changed}
    events = fair.transfer("alice", **content)  # type: ignore[arg-type]
    assert refusal(events) is RejectReason.CLIENT_TRANSFER_ID_REUSED


def test_an_id_belongs_to_its_account(fair: Venue) -> None:
    fair.transfer("alice", "COIN", 300, to=7)
    assert isinstance(fair.transfer("alice", "COIN", 30, to=0, sub_account=7)[0], FundsTransferred)
    assert isinstance(fair.transfer("bob", "COIN", 30, to=7)[-1], FundsTransferred)


def test_transfer_ids_and_order_ids_do_not_meet(fair: Venue) -> None:
    fair.sell("alice", 1, at=100, cid="t1")
    assert isinstance(fair.transfer("alice", "COIN", 300, to=7)[-1], FundsTransferred)


def test_an_id_is_remembered_for_60_s_of_command_time(fair: Venue) -> None:
    fair.transfer("alice", "COIN", 300, to=7)
    fair.pass_time(60)
    assert isinstance(fair.transfer("alice", "COIN", 300, to=7)[0], TransferKnown)
    fair.pass_time(0.000_000_001)
    assert isinstance(fair.transfer("alice", "COIN", 300, to=7)[0], FundsTransferred)
    assert fair.has("alice", "COIN", sub_account=7) == (600, 0)


def test_no_replay_of_a_request_outlives_the_memory_of_it(fair: Venue) -> None:
    """The longest request there may be is known at the instant of its expiry, and refused from then on."""
    fair.transfer("alice", "COIN", 300, to=7, expires_ns=fair.time_ns + 60 * SECOND)
    request = fair.log[-1][1]
    fair.pass_time(60)
    assert isinstance(fair.do(request)[0], TransferKnown)
    fair.time_ns += 1
    assert refusal(fair.do(request)) is RejectReason.REQUEST_EXPIRED
    assert fair.has("alice", "COIN", sub_account=7) == (300, 0)


def test_a_refused_transfer_leaves_its_id_free(fair: Venue) -> None:
    fair.transfer("alice", "COIN", 1_000_001, to=7)
    assert isinstance(fair.transfer("alice", "COIN", 300, to=7)[-1], FundsTransferred)


def test_forgetting_is_bounded_work_and_catches_up(venue: Venue) -> None:
    venue.give("alice", coin=10_000)
    venue.checking = False
    for number in range(2_500):
        venue.transfer("alice", "COIN", 1, to=1, cid=f"t{number}")
    account = venue.state.accounts[venue.account_id("alice")]
    venue.pass_time(61)
    sizes = []
    for _ in range(4):
        venue.tick()
        sizes.append(len(account.client_transfers))
    assert sizes == [1_500, 500, 0, 0]
    venue.check()
