import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.core import ledger
from exchange.core.accounts import CHAIN_ACCOUNT, FEES_ACCOUNT, Account
from exchange.core.markets import Market
from exchange.core.units import MAX_ATOMS

ETH, USD = 1, 2
MARKET = Market(1, "ETH-USD", ETH, USD, 1, 0, 1, 1, 0, 0, 0, 0)


def person(number: int = 1_000) -> Account:
    return Account(number, owner=f"0x{number}", sub_account=0)


def chain() -> Account:
    return Account(CHAIN_ACCOUNT, owner="", sub_account=0)


def fees() -> Account:
    return Account(FEES_ACCOUNT, owner="", sub_account=0)


def amounts(account: Account, asset: int = ETH) -> tuple[int, int]:
    entry = ledger.balance(account, asset)
    return entry.available_atoms, entry.held_atoms


def ready_to_trade(base: int = 10, quote: int = 100) -> tuple[Account, Account, Account]:
    """A buyer who holds all the quote, a seller who holds all the base, and the fees account."""
    buyer, seller = person(1_001), person(1_002)
    ledger.transfer(chain(), buyer, USD, quote)
    ledger.hold(buyer, USD, quote)
    ledger.transfer(chain(), seller, ETH, base)
    ledger.hold(seller, ETH, base)
    return buyer, seller, fees()


def test_an_account_has_nothing_before_its_first_movement() -> None:
    account = person()
    assert ledger.available_atoms(account, ETH) == 0
    assert account.balances == {}, "asking makes no entry"


def test_a_deposit_makes_the_chain_account_negative_by_the_same_amount() -> None:
    vault, alice = chain(), person()
    ledger.transfer(vault, alice, ETH, MAX_ATOMS)
    assert amounts(vault) == (-MAX_ATOMS, 0)
    assert amounts(alice) == (MAX_ATOMS, 0)


def test_a_user_can_not_give_more_than_is_available() -> None:
    alice, bob = person(), person(1_001)
    ledger.transfer(chain(), alice, ETH, 10)
    ledger.hold(alice, ETH, 6)
    with pytest.raises(AssertionError):
        ledger.transfer(alice, bob, ETH, 5)
    assert amounts(alice) == (4, 6)
    assert amounts(bob) == (0, 0)


@pytest.mark.parametrize("atoms", [0, -1, MAX_ATOMS + 1])
def test_a_transfer_is_of_a_positive_amount_of_at_most_128_bits(atoms: int) -> None:
    with pytest.raises(AssertionError):
        ledger.transfer(chain(), person(), ETH, atoms)


@pytest.mark.parametrize("atoms", [0, -1, 11])
def test_a_hold_is_positive_and_covered(atoms: int) -> None:
    alice = person()
    ledger.transfer(chain(), alice, ETH, 10)
    with pytest.raises(AssertionError):
        ledger.hold(alice, ETH, atoms)
    assert amounts(alice) == (10, 0)


@pytest.mark.parametrize("atoms", [-1, 5])
def test_no_more_than_what_is_held_is_released(atoms: int) -> None:
    alice = person()
    ledger.transfer(chain(), alice, ETH, 10)
    ledger.hold(alice, ETH, 4)
    with pytest.raises(AssertionError):
        ledger.release(alice, ETH, atoms)
    assert amounts(alice) == (6, 4)


def test_a_trade_moves_base_quote_fees_and_what_is_released_at_once() -> None:
    buyer, seller, collector = ready_to_trade()
    ledger.exchange(buyer, seller, collector, MARKET, 4, 30, 3, 2, 7)
    assert (amounts(buyer, USD), amounts(buyer)) == ((7, 60), (4, 0))
    assert (amounts(seller, USD), amounts(seller)) == ((28, 0), (0, 6))
    assert amounts(collector, USD) == (5, 0)


@pytest.mark.parametrize(("buyer_fee", "seller_fee"), [(-2, 3), (3, -2), (2, -2)])
def test_a_rebate_comes_out_of_the_other_sides_fee(buyer_fee: int, seller_fee: int) -> None:
    buyer, seller, collector = ready_to_trade()
    ledger.exchange(buyer, seller, collector, MARKET, 10, 50, buyer_fee, seller_fee, 50 - buyer_fee)
    assert amounts(buyer, USD) == (50 - buyer_fee, 0)
    assert amounts(seller, USD) == (50 - seller_fee, 0)
    assert amounts(collector, USD) == (buyer_fee + seller_fee, 0)


def test_a_rebate_may_be_as_large_as_what_is_paid() -> None:
    buyer, seller, collector = ready_to_trade()
    ledger.exchange(buyer, seller, collector, MARKET, 10, 50, -50, 50, 100)
    assert amounts(buyer, USD) == (100, 0)
    assert amounts(seller, USD) == (0, 0)
    assert amounts(collector, USD) == (0, 0)


@pytest.mark.parametrize(
    ("base", "quote", "buyer_fee", "seller_fee", "released"),
    [
        (11, 50, 0, 0, 0),  # more base than the seller holds
        (10, 101, 0, 0, 0),  # more quote than the buyer holds
        (10, 100, 1, 0, 0),  # the fee is not held
        (10, 99, 1, 0, 1),  # what is released is not held
        (10, 50, 0, 51, 0),  # the seller would pay to sell
        (10, 50, -51, 0, 0),  # the buyer would be paid to buy
        (10, 50, 0, 0, -1),
        (0, 50, 0, 0, 0),
        (-1, 50, 0, 0, 0),
        (10, 0, 0, 0, 0),
        (10, -1, 0, -2, 0),
    ],
)
def test_a_trade_that_is_not_covered_is_a_bug_and_moves_nothing(
    base: int, quote: int, buyer_fee: int, seller_fee: int, released: int
) -> None:
    buyer, seller, collector = ready_to_trade()
    with pytest.raises(AssertionError):
        ledger.exchange(buyer, seller, collector, MARKET, base, quote, buyer_fee, seller_fee, released)
    assert amounts(seller) == (0, 10)
    assert amounts(seller, USD) == (0, 0)
    assert amounts(collector, USD) == (0, 0)


operations = st.tuples(
    st.sampled_from("dhrxt"),
    st.sampled_from([ETH, USD]),
    st.integers(-3, 50),
    st.integers(-3, 50),
    st.integers(-3, 3),
    st.booleans(),
)


@given(st.lists(operations, max_size=40))
def test_whatever_is_done_the_sum_over_all_accounts_is_zero(
    steps: list[tuple[str, int, int, int, int, bool]],
) -> None:
    vault, collector, alice, bob = chain(), fees(), person(), person(1_001)
    for kind, asset, atoms, others, fee, flip in steps:
        giver, receiver = (alice, bob) if flip else (bob, alice)
        everyone = (vault, collector, alice, bob)
        before = [(account.account_id, a, amounts(account, a)) for account in everyone for a in (ETH, USD)]
        try:
            match kind:
                case "d":
                    ledger.transfer(vault, giver, asset, atoms)
                case "h":
                    ledger.hold(giver, asset, atoms)
                case "r":
                    ledger.release(giver, asset, atoms)
                case "x":
                    ledger.exchange(giver, receiver, collector, MARKET, atoms, others, fee, -fee, 0)
                case _:
                    ledger.transfer(giver, receiver, asset, atoms)
        except AssertionError:
            if kind != "x":  # an assert in the middle of a trade ends the process
                after = [
                    (account.account_id, a, amounts(account, a)) for account in everyone for a in (ETH, USD)
                ]
                assert after == before
            else:
                return
        for a in (ETH, USD):
            assert sum(sum(amounts(account, a)) for account in everyone) == 0
            assert min(*amounts(alice, a), *amounts(bob, a)) >= 0
