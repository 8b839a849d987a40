"""The mixed load of the benchmarks, drawn before any clock starts: 60 % adds, 30 % cancels, 10 % crossing.

The generator keeps a small model of the book, so that a cancel always names an open order, a crossing order
is always filled completely, by three resting orders on average, and never meets an order of its own account.
So every contender does the same work on the same operations, and the number of open orders stays where the
load phase put it. The same seed gives the same operations.

Adds rest on 100 levels a side around a fixed middle: half of them anywhere, half within ten levels of it,
where the crossing orders take them away again.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

# Kinds of operation; plain ints, because the contenders compare them inside the clock.
ADD = 0
CANCEL = 1
CROSS = 2

LEVELS_PER_SIDE = 100
TOUCH_LEVELS = 10
MIDDLE_TICKS = 300_000
MAX_ADD_LOTS = 10
MEAN_CROSSING_LOTS = 16
"""Three times the mean size of an add, so that the book neither grows nor shrinks."""

MAX_OPEN_PER_ACCOUNT = 900
"""Below the core's limit of open orders per account."""

BATCH = 500
"""Operations that arrive together."""

BLOCK = (ADD,) * 6 + (CANCEL,) * 3 + (CROSS,)


Depth = tuple[dict[int, int], dict[int, int]]
"""Open lots by price, of the bids and of the asks."""


class Operation(NamedTuple):
    """One operation of a `kind`. `target` is the index of the add that a cancel ends, else its own index."""

    kind: int
    account: int
    is_buy: bool
    price_ticks: int
    size_lots: int
    target: int


class Workload:
    """An endless stream of operations over `accounts` accounts, numbered from 0 in the order drawn."""

    def __init__(self, seed: int, accounts: int) -> None:
        assert accounts > 1
        self.accounts = accounts
        self.drawn = 0
        self._random = random.Random(seed)
        self._open_of = [0] * accounts
        # Per side, bids first: levels by distance from the middle, each {add's index: lots that remain}.
        self._levels: tuple[list[dict[int, int]], ...] = tuple(
            [{} for _ in range(LEVELS_PER_SIDE)] for _ in range(2)
        )
        self._adds: dict[int, Operation] = {}
        self._open: list[int] = []
        self._place: dict[int, int] = {}
        self._aim = 0

    @property
    def open_orders(self) -> int:
        return len(self._open)

    def depth(self) -> Depth:
        """What every contender's book must hold after these operations."""
        bids, asks = (
            {
                _price_ticks(is_buy, distance): sum(level.values())
                for distance, level in enumerate(self._levels[not is_buy])
                if level
            }
            for is_buy in (True, False)
        )
        return bids, asks

    def load(self, count: int) -> list[Operation]:
        """Adds only, evenly over all levels; afterwards `mixed` keeps this many more orders open."""
        self._aim += count
        return [self._add(self._random.randrange(LEVELS_PER_SIDE)) for _ in range(count)]

    def mixed(self, count: int) -> list[Operation]:
        """The mix, exact in every ten operations; `count` is a multiple of ten."""
        assert count % len(BLOCK) == 0
        operations: list[Operation] = []
        for _ in range(count // len(BLOCK)):
            for kind in self._random.sample(BLOCK, len(BLOCK)):
                if kind == ADD:
                    within = LEVELS_PER_SIDE if self._random.random() < 0.5 else TOUCH_LEVELS
                    operations.append(self._add(self._random.randrange(within)))
                elif kind == CANCEL:
                    operations.append(self._cancel())
                else:
                    operations.append(self._cross())
        return operations

    def _add(self, distance: int) -> Operation:
        draw = self._random.random
        account = int(draw() * self.accounts)
        while self._open_of[account] >= MAX_OPEN_PER_ACCOUNT:
            account = int(draw() * self.accounts)
        is_buy = draw() < 0.5
        size_lots = 1 + int(draw() * MAX_ADD_LOTS)
        index = self.drawn
        operation = Operation(ADD, account, is_buy, _price_ticks(is_buy, distance), size_lots, index)
        self._levels[not is_buy][distance][index] = size_lots
        self._adds[index] = operation
        self._place[index] = len(self._open)
        self._open.append(index)
        self._open_of[account] += 1
        self.drawn += 1
        return operation

    def _cancel(self) -> Operation:
        assert self._open, "nothing left to cancel: load more orders first"
        index = self._open[int(self._random.random() * len(self._open))]
        added = self._adds[index]
        del self._levels[not added.is_buy][_distance(added)][index]
        self._close(index)
        self.drawn += 1
        return added._replace(kind=CANCEL)

    def _cross(self) -> Operation:
        is_buy = self._random.random() < 0.5
        levels = self._levels[is_buy]
        wanted_lots = self._crossing_lots()
        distance = taken_lots = 0
        makers: set[int] = set()
        while taken_lots < wanted_lots and distance < LEVELS_PER_SIDE:
            level = levels[distance]
            if not level:
                distance += 1
                continue
            index, remaining_lots = next(iter(level.items()))
            makers.add(self._adds[index].account)
            size_lots = min(remaining_lots, wanted_lots - taken_lots)
            taken_lots += size_lots
            if size_lots < remaining_lots:
                level[index] = remaining_lots - size_lots
            else:
                del level[index]
                self._close(index)
        assert taken_lots, "nothing left to cross: load more orders first"
        account = int(self._random.random() * self.accounts)
        while account in makers:
            account = int(self._random.random() * self.accounts)
        price_ticks = _price_ticks(not is_buy, min(distance, LEVELS_PER_SIDE - 1))
        operation = Operation(CROSS, account, is_buy, price_ticks, taken_lots, self.drawn)
        self.drawn += 1
        return operation

    def _crossing_lots(self) -> int:
        """Around the mean; more when the book has grown over its aim, fewer when it has shrunk."""
        mean_lots = MEAN_CROSSING_LOTS
        if self.open_orders * 50 > self._aim * 51:
            mean_lots *= 2
        elif self.open_orders * 50 < self._aim * 49:
            mean_lots //= 2
        return 1 + int(self._random.random() * 2 * mean_lots)

    def _close(self, index: int) -> None:
        place = self._place.pop(index)
        last = self._open.pop()
        if last != index:
            self._open[place] = last
            self._place[last] = place
        self._open_of[self._adds.pop(index).account] -= 1


def fresh_batches(operations: list[Operation]) -> Iterator[list[Operation]]:
    """The operations in batches, each copied when it is asked for.

    A caller who stops the clock meanwhile finds them in the cache, like requests that have just come in.
    """
    for start in range(0, len(operations), BATCH):
        yield [operation._replace() for operation in operations[start : start + BATCH]]


def _price_ticks(is_buy: bool, distance: int) -> int:
    return MIDDLE_TICKS - 1 - distance if is_buy else MIDDLE_TICKS + 1 + distance


def _distance(operation: Operation) -> int:
    return abs(operation.price_ticks - MIDDLE_TICKS) - 1
