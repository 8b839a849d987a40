"""Whether the deposits that a node names are the ones that must come next. Pure.

The vault numbers its deposits 1, 2, 3, ... and rolls a hash over all of them, so each one proves everything
before it: a log that is left out, invented, altered or put in another order does not fit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exchange.chain.deposit_rows import Rolled
from exchange.chain.errors import DepositGap, DepositHashMismatch
from exchange.chain.vault import Deposit, next_deposit_hash


@dataclass(frozen=True, slots=True)
class Continued:
    """Deposits that fit: those never stored before, and those stored that are named (once more).

    `last` is where the sequence now ends. `replaced` is the first number that a credited deposit had before,
    another one than now: None when there is none.
    """

    new: list[Deposit]
    again: list[Deposit]
    last: Rolled
    replaced: int | None


def stored_range(last: Rolled, deposits: Sequence[Deposit]) -> tuple[int, int]:
    """Numbers, first and last, whose stored hashes `continued` wants; bounded, whatever a node names."""
    bound = last.number + len(deposits)
    return min(bound, *(deposit.number for deposit in deposits)), bound


def continued(last: Rolled, stored: Mapping[int, bytes], deposits: Sequence[Deposit]) -> Continued:
    """Puts deposits, in the chain's order, after the last one on the present branch.

    `stored` holds the rolling hashes of stored deposits; those after `last` are credited ones, displaced.
    Raises DepositGap, DepositHashMismatch.
    """
    new: list[Deposit] = []
    again: dict[int, Deposit] = {}
    replaced: int | None = None
    first_new = last.number + 1
    rolled: dict[int, bytes] = {}
    for deposit in deposits:
        number, found = deposit.number, deposit.deposit_hash
        if number > last.number + 1:
            raise DepositGap(last.number + 1, number)
        if number <= last.number:  # named once more: the same, or not at all
            known = rolled[number] if number >= first_new else stored.get(number)
            if known is None:
                raise DepositGap(last.number + 1, number)
            if known != found:
                raise DepositHashMismatch(number, known, found)
            if number < first_new:
                again[number] = deposit
            continue
        expected = next_deposit_hash(
            last.deposit_hash, number, deposit.owner, deposit.token, deposit.amount_atoms
        )
        if expected != found:
            raise DepositHashMismatch(number, expected, found)
        before = stored.get(number)
        if before is None:
            new.append(deposit)
        elif before == found:
            again[number] = deposit
        elif replaced is None:
            replaced = number
        rolled[number] = expected
        last = Rolled(number, expected)
    return Continued(new, list(again.values()), last, replaced)
