import pytest
from tests.core.venue import CHAIN_ID, VAULT, Venue, address, refusal, token

from exchange.core.accounts import CHAIN_ACCOUNT, SUSPENSE_ACCOUNT, SYSTEM_ACCOUNTS
from exchange.core.commands import CreditDeposit, OpenAccount, OpenMarket
from exchange.core.events import AccountKnown, AccountOpened, AssetListed, DepositCredited
from exchange.core.rejects import RejectReason
from exchange.core.units import MAX_ATOMS


def test_a_deposit_opens_the_owners_account_and_credits_it(venue: Venue) -> None:
    opened, credited = venue.deposit("alice", "APPLE", 7)
    assert isinstance(opened, AccountOpened)
    assert (opened.owner, opened.sub_account) == (address("alice"), 0)
    assert isinstance(credited, DepositCredited)
    assert (credited.account_id, credited.number, credited.amount_atoms) == (opened.account_id, 1, 7)
    assert venue.has("alice", "APPLE") == (7, 0)
    assert venue.system(CHAIN_ACCOUNT, "APPLE") == -7


def test_a_second_deposit_goes_to_the_same_account(venue: Venue) -> None:
    venue.deposit("alice", "APPLE", 7)
    (credited,) = venue.deposit("alice", "APPLE", 5)
    assert isinstance(credited, DepositCredited)
    assert venue.has("alice", "APPLE") == (12, 0)


def test_a_deposit_is_credited_once(venue: Venue) -> None:
    venue.deposit("alice", "APPLE", 7)
    assert refusal(venue.deposit("alice", "APPLE", 7, number=1)) is RejectReason.DEPOSIT_ALREADY_CREDITED
    assert refusal(venue.deposit("bob", "COIN", 9, number=1)) is RejectReason.DEPOSIT_ALREADY_CREDITED
    assert refusal(venue.deposit("bob", "COIN", 9, number=0)) is RejectReason.DEPOSIT_ALREADY_CREDITED
    assert refusal(venue.deposit("bob", "COIN", 9, number=-1)) is RejectReason.DEPOSIT_ALREADY_CREDITED
    assert venue.has("alice", "APPLE") == (7, 0)


def test_a_gap_in_the_numbers_is_refused_until_it_is_closed(venue: Venue) -> None:
    assert refusal(venue.deposit("alice", "APPLE", 7, number=2)) is RejectReason.DEPOSIT_OUT_OF_ORDER
    venue.deposit("alice", "APPLE", 1, number=1)
    venue.deposit("alice", "APPLE", 7, number=2)
    assert venue.has("alice", "APPLE") == (8, 0)
    assert refusal(venue.deposit("alice", "APPLE", 7, number=4)) is RejectReason.DEPOSIT_OUT_OF_ORDER


def test_each_vault_numbers_its_own_deposits(venue: Venue) -> None:
    other = "0x" + "0b" * 20
    venue.deposit("alice", "APPLE", 7)
    venue.deposit("alice", "APPLE", 5, number=1, vault=other)
    assert venue.has("alice", "APPLE") == (7, 0), "a token is an asset through its own vault only"
    assert venue.view.last_deposit(CHAIN_ID, other) == 1
    assert venue.view.last_deposit(CHAIN_ID, VAULT) == 1


@pytest.mark.parametrize("amount", [0, -1, MAX_ATOMS + 1])
def test_an_impossible_amount_is_refused(venue: Venue, amount: int) -> None:
    assert refusal(venue.deposit("alice", "APPLE", amount)) is RejectReason.DEPOSIT_INVALID


@pytest.mark.parametrize("amount", [2**63, 2**64, 2**127, MAX_ATOMS])
def test_a_large_amount_is_credited_exactly(venue: Venue, amount: int) -> None:
    venue.deposit("alice", "APPLE", amount)
    assert venue.has("alice", "APPLE") == (amount, 0)
    assert venue.system(CHAIN_ACCOUNT, "APPLE") == -amount


def test_a_deposit_for_nobody_is_refused(venue: Venue) -> None:
    nobody = CreditDeposit(CHAIN_ID, VAULT, 1, "", token("APPLE"), 5, "0x", 0, 1)
    assert refusal(venue.do(nobody)) is RejectReason.DEPOSIT_INVALID


def test_a_deposit_of_an_unlisted_token_goes_to_suspense(venue: Venue) -> None:
    known, credited = venue.deposit("alice", "DOGE", 50)
    assert isinstance(known, AssetListed)
    assert not known.listed
    assert isinstance(credited, DepositCredited)
    assert credited.account_id == SUSPENSE_ACCOUNT
    assert credited.owner == address("alice"), "whose it is stays on record"
    assert venue.system(SUSPENSE_ACCOUNT, known.symbol) == 50
    assert (address("alice"), 0) not in venue.state.account_by_owner
    (again,) = venue.deposit("bob", "DOGE", 5)
    assert isinstance(again, DepositCredited)
    assert venue.system(SUSPENSE_ACCOUNT, known.symbol) == 55


def test_an_unlisted_token_can_not_be_traded_or_withdrawn(venue: Venue) -> None:
    known, _ = venue.deposit("alice", "DOGE", 50)
    assert isinstance(known, AssetListed)
    venue.account_id("alice")
    assert refusal(venue.withdraw("alice", known.symbol, 1)) is RejectReason.UNKNOWN_ASSET
    opening = OpenMarket("DOGE-COIN", known.symbol, "COIN", 1, 0, 1, 0, 0)
    assert refusal(venue.do(opening)) is RejectReason.UNKNOWN_ASSET


def test_an_asset_known_from_a_deposit_keeps_its_id_and_suspense_when_it_is_listed(venue: Venue) -> None:
    known, _ = venue.deposit("alice", "DOGE", 50)
    assert isinstance(known, AssetListed)
    (listed,) = venue.list_asset("DOGE", 8)
    assert isinstance(listed, AssetListed)
    assert (listed.asset_id, listed.listed, listed.decimals) == (known.asset_id, True, 8)
    assert known.symbol not in venue.state.asset_by_symbol
    assert venue.system(SUSPENSE_ACCOUNT, "DOGE") == 50
    venue.deposit("alice", "DOGE", 7)
    assert venue.has("alice", "DOGE") == (7, 0)


def test_custody_never_exceeds_128_bits_what_is_more_goes_to_suspense(venue: Venue) -> None:
    venue.deposit("alice", "APPLE", MAX_ATOMS - 5)
    venue.deposit("bob", "APPLE", 6)
    assert venue.system(SUSPENSE_ACCOUNT, "APPLE") == 6
    venue.deposit("bob", "APPLE", MAX_ATOMS)
    assert venue.system(SUSPENSE_ACCOUNT, "APPLE") == MAX_ATOMS + 6
    assert (address("bob"), 0) not in venue.state.account_by_owner


def test_the_last_atom_of_128_bits_is_credited(venue: Venue) -> None:
    venue.deposit("alice", "APPLE", MAX_ATOMS - 5)
    venue.deposit("bob", "APPLE", 5)
    assert venue.has("bob", "APPLE") == (5, 0)


def test_an_account_is_opened_once_and_known_after(venue: Venue) -> None:
    (opened,) = venue.do(OpenAccount(address("alice")))
    assert isinstance(opened, AccountOpened)
    assert venue.do(OpenAccount(address("alice"))) == [AccountKnown(opened.account_id)]
    (sub,) = venue.do(OpenAccount(address("alice"), 127))
    assert isinstance(sub, AccountOpened)
    assert sub.account_id not in SYSTEM_ACCOUNTS
    assert sub.account_id != opened.account_id


@pytest.mark.parametrize("bad", [OpenAccount(""), OpenAccount("0xa", -1), OpenAccount("0xa", 128)])
def test_an_account_for_nobody_or_an_impossible_sub_account_is_refused(
    venue: Venue, bad: OpenAccount
) -> None:
    assert refusal(venue.do(bad)) is RejectReason.ACCOUNT_INVALID
