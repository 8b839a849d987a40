"""Which deposits fit after those that are stored."""

import dataclasses

import pytest

from exchange.chain.deposit_rows import Rolled
from exchange.chain.deposit_sequence import continued, stored_range
from exchange.chain.errors import DepositGap, DepositHashMismatch
from exchange.chain.vault import Deposit, deposit_hash_origin, next_deposit_hash

VAULT = "0x" + "fa" * 20
OWNER = "0x" + "0a" * 20
TOKEN = "0x" + "00" * 20
ORIGIN = Rolled(0, deposit_hash_origin(31337, VAULT))


def deposits(*amounts: int, after: Rolled = ORIGIN) -> list[Deposit]:
    """As the vault would log them."""
    made: list[Deposit] = []
    for amount in amounts:
        number = after.number + 1
        after = Rolled(number, next_deposit_hash(after.deposit_hash, number, OWNER, TOKEN, amount))
        made.append(
            Deposit(
                number, OWNER, TOKEN, amount, OWNER, after.deposit_hash, "0x" + "11" * 32, 0, number, "0x"
            )
        )
    return made


def end(made: list[Deposit]) -> Rolled:
    return Rolled(made[-1].number, made[-1].deposit_hash)


def hashes(made: list[Deposit]) -> dict[int, bytes]:
    return {deposit.number: deposit.deposit_hash for deposit in made}


def test_the_next_ones_are_new():
    made = deposits(5, 6, 7)
    found = continued(ORIGIN, {}, made)
    assert (found.new, found.again, found.last, found.replaced) == (made, [], end(made), None)


def test_displaced_ones_that_are_back_are_no_new_ones():
    made = deposits(5, 6, 7)
    found = continued(ORIGIN, hashes(made[:2]), made)
    assert (found.new, found.again, found.replaced) == (made[2:], made[:2], None)


def test_stored_ones_that_are_named_again_may_have_moved():
    made = deposits(5, 6, 7)
    moved = [dataclasses.replace(deposit, block_number=99) for deposit in made]
    found = continued(end(made), hashes(made), moved)
    assert (found.new, found.again, found.last) == ([], moved, end(made))


def test_one_that_is_named_twice_counts_once():
    made = deposits(5, 6)
    assert continued(ORIGIN, {}, [made[0], made[0], made[1], made[0]]).new == made
    assert continued(end(made), hashes(made), [made[0], made[0]]).again == [made[0]]


def test_another_one_under_the_number_of_a_displaced_one_is_told_and_nothing_else_of_it_is_kept():
    before, now = deposits(5, 6, 7), deposits(5, 60, 70)
    found = continued(ORIGIN, hashes(before), now)
    assert (found.new, found.again, found.last, found.replaced) == ([], now[:1], end(now), 2)


@pytest.mark.parametrize("numbers", [[2], [1, 3], [1, 2, 4], [4, 1]])
def test_a_gap_is_told(numbers):
    made = deposits(5, 6, 7, 8)
    with pytest.raises(DepositGap):
        continued(ORIGIN, {}, [made[number - 1] for number in numbers])


@pytest.mark.parametrize("number", [0, 1, 2**64, 2**256 - 1])
def test_a_number_that_is_not_stored_and_not_next_is_a_gap(number):
    made = deposits(5, 6)
    strange = dataclasses.replace(made[0], number=number)
    with pytest.raises(DepositGap):
        continued(end(made), {}, [strange])
    first, last = stored_range(end(made), [strange])
    assert first <= last == 3


@pytest.mark.parametrize(
    "change", [{"amount_atoms": 6}, {"owner": "0x" + "0b" * 20}, {"token": "0x" + "0c" * 20}]
)
def test_altered_content_does_not_fit_its_hash(change):
    [made] = deposits(5)
    with pytest.raises(DepositHashMismatch):
        continued(ORIGIN, {}, [dataclasses.replace(made, **change)])


def test_an_altered_hash_does_not_fit_its_content():
    made = deposits(5, 6)
    altered = dataclasses.replace(made[1], deposit_hash=bytes(32))
    with pytest.raises(DepositHashMismatch):
        continued(ORIGIN, {}, [made[0], altered])
    with pytest.raises(DepositHashMismatch):
        continued(end(made), hashes(made), [altered])
    with pytest.raises(DepositHashMismatch):
        continued(ORIGIN, {}, [*made, altered])


def test_deposits_of_another_chain_or_vault_do_not_fit():
    elsewhere = Rolled(0, deposit_hash_origin(1, VAULT))
    with pytest.raises(DepositHashMismatch):
        continued(elsewhere, {}, deposits(5))
