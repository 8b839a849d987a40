"""Branches of a chain as plans: which deposits are in which block, and what becomes of them elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from scripts.chain_drill.faults import Fault

SYMBOLS = ("ETH", "ETH", "ETH", "USDC", "USDC", "WBTC")
"""How often each asset is deposited. The last one is not listed: its deposits go to suspense."""
MOST_DEPOSITS = 7
MAX_ATOMS = 10**9
GWEI = 10**9


@dataclass(frozen=True, slots=True)
class Planned:
    """A transaction that deposits. The same plan of the same sender's nonce is the same transaction.

    `sender` is a development user's index; `doubled`: it makes the same deposit twice.
    """

    sender: int
    owner: str
    symbol: str
    amount_atoms: int
    doubled: bool
    priority_fee_wei: int


Plan = tuple[tuple[Planned, ...], ...]
"""The deposits of each block after the last common one."""


def all_of(plan: Plan) -> Iterator[tuple[int, Planned]]:
    """Every deposit with the place of its block."""
    for place, block in enumerate(plan):
        for planned in block:
            yield place, planned


def first_plan(random: Random, length: int, owners: Sequence[str], senders: range) -> Plan:
    """Some deposits, anywhere in so many blocks, at least one of them in the first."""
    blocks: list[list[Planned]] = [[] for _ in range(length)]
    chosen = random.sample(senders, random.randint(1, min(MOST_DEPOSITS, len(senders))))
    for number, sender in enumerate(chosen):
        planned = Planned(
            sender=sender,
            owner=random.choice(owners),
            symbol=random.choice(SYMBOLS),
            amount_atoms=random.randrange(1, MAX_ATOMS),
            doubled=random.random() < 0.2,
            priority_fee_wei=GWEI + random.randrange(GWEI),
        )
        blocks[0 if number == 0 else random.randrange(length)].append(planned)
    return tuple(map(tuple, blocks))


def other_plan(random: Random, plan: Plan, length: int, note: Callable[[Fault], None]) -> Plan:
    """Another branch: each deposit is kept in its place, moved, dropped, or sent again as well."""
    blocks: list[list[Planned]] = [[] for _ in range(length)]
    for place, planned in all_of(plan):
        draw = random.random()
        elsewhere = random.choice([other for other in range(length) if other != place] or [0])
        if draw < 0.2:
            note(Fault.DEPOSIT_DROPPED)
            continue
        if draw < 0.5 and elsewhere != place:
            note(Fault.DEPOSIT_MOVED)
            blocks[elsewhere].append(planned)
        else:
            note(Fault.DEPOSIT_KEPT if place < length else Fault.DEPOSIT_MOVED)
            blocks[min(place, length - 1)].append(planned)
        if draw > 0.85:
            note(Fault.DEPOSIT_DUPLICATED)
            again = replace(planned, priority_fee_wei=GWEI + random.randrange(GWEI))
            blocks[random.randrange(length)].append(again)
    return tuple(map(tuple, blocks))
