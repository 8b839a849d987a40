import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.core import ledger
from exchange.core.accounts import CHAIN_ACCOUNT, Account
from exchange.core.units import MAX_ATOMS

ETH = 1


def person(number: int = 1_000) -> Account:
    return Account(number, owner=f"0x{number}", sub_account=0)


def chain() -> Account:
    return Account(CHAIN_ACCOUNT, owner="", sub_account=0)


def amounts(account: Account) -> tuple[int, int]:
    entry = ledger.balance(account, ETH)
    return entry.available_atoms, entry.held_atoms


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
def test_no_more_than_what_is_held_is_released_or_spent(atoms: int) -> None:
    alice, bob = person(), person(1_001)
    ledger.transfer(chain(), alice, ETH, 10)
    ledger.hold(alice, ETH, 4)
    with pytest.raises(AssertionError):
        ledger.release(alice, ETH, atoms)
    with pytest.raises(AssertionError):
        ledger.spend_held(alice, ETH, atoms, bob)
    assert amounts(alice) == (6, 4)


@given(st.lists(st.tuples(st.sampled_from("dhrst"), st.integers(-3, 50), st.booleans()), max_size=40))
def test_whatever_is_done_the_sum_over_all_accounts_is_zero(steps: list[tuple[str, int, bool]]) -> None:
    vault, alice, bob = chain(), person(), person(1_001)
    for kind, atoms, flip in steps:
        giver, receiver = (alice, bob) if flip else (bob, alice)
        try:
            match kind:
                case "d":
                    ledger.transfer(vault, giver, ETH, atoms)
                case "h":
                    ledger.hold(giver, ETH, atoms)
                case "r":
                    ledger.release(giver, ETH, atoms)
                case "s":
                    ledger.spend_held(giver, ETH, atoms, receiver)
                case _:
                    ledger.transfer(giver, receiver, ETH, atoms)
        except AssertionError:
            pass
        assert sum(sum(amounts(account)) for account in (vault, alice, bob)) == 0
        assert min(*amounts(alice), *amounts(bob)) >= 0
