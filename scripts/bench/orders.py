"""What the clients ask for: of ten operations six place an order that rests, three cancel one, one crosses.

It is the mix of all benchmarks (`scripts.bench.workload`), drawn while the load runs and without a model of
the book. An order rests on one of a hundred levels a side, half of them anywhere, half among the ten next to
the middle. Crossing orders take those near the middle away; cancels name one farther out, which no crossing
order reaches. One half of the traders buys near the middle and sells farther out only, the other half the
other way: a crossing order that meets its own owner's ends there, and the book would grow. So hardly a cancel
comes too late, and the number of open orders stays where it was loaded.

Whoever draws tells what became of it (`Orders.taken`), in whatever order that happens.
"""

import random
from typing import NamedTuple

from scripts.bench.workload import (
    LEVELS_PER_SIDE,
    MAX_ADD_LOTS,
    MEAN_CROSSING_LOTS,
    MIDDLE_TICKS,
    TOUCH_LEVELS,
)

CROSSING_SHARE = 0.1
CANCEL_SHARE = 1 / 3
"""Of the operations that do not cross, while there are as many orders far out as there should be."""
MAX_CROSSING_LOTS = 4 * MEAN_CROSSING_LOTS


class Resting(NamedTuple):
    """An order that is to rest. `distance` is in ticks from the best possible price of its side."""

    is_buy: bool
    distance: int
    lots: int

    @property
    def price_ticks(self) -> int:
        return price_ticks(self.is_buy, self.distance)

    @property
    def is_far(self) -> bool:
        return self.distance >= TOUCH_LEVELS


class Place(NamedTuple):
    """A placement: good till cancelled, or, where it crosses, immediate or cancelled."""

    number: int
    """Of all placements that were drawn, from 0."""
    sub_account: int
    is_buy: bool
    price_ticks: int
    lots: int
    crosses: bool
    is_far: bool


class Cancel(NamedTuple):
    """A cancel of an order."""

    order_id: int
    sub_account: int


Drawn = Place | Cancel


def price_ticks(is_buy: bool, distance: int) -> int:
    """The price of a resting order."""
    return MIDDLE_TICKS - 1 - distance if is_buy else MIDDLE_TICKS + 1 + distance


def distance_of(is_buy: bool, ticks: int) -> int:
    """Of a resting order's price from the best that its side may have."""
    return MIDDLE_TICKS - 1 - ticks if is_buy else ticks - MIDDLE_TICKS - 1


def buys_near(trader: int) -> bool:
    """Whether a trader's crossing orders, and those that rest near the middle, are to buy."""
    return trader % 2 == 0


def draw_resting(draw: random.Random, trader: int, *, evenly: bool = False) -> Resting:
    """One that is to rest; `evenly` over all levels, as the book is loaded."""
    levels = LEVELS_PER_SIDE if evenly or draw.random() < 0.5 else TOUCH_LEVELS
    distance = int(draw.random() * levels)
    is_buy = buys_near(trader) if distance < TOUCH_LEVELS else draw.random() < 0.5
    return Resting(is_buy, distance, 1 + int(draw.random() * MAX_ADD_LOTS))


class Orders:
    """Draws the operations of traders, who are numbered, each with some accounts, which are numbered too."""

    def __init__(self, far: list[list[list[int]]], near_lots: list[int], seed: int) -> None:
        """`far`: ids of open orders far out, by trader and account. They are taken from and added to here.

        `near_lots`: what there is within reach of crossing orders, bids first.
        """
        self._random = random.Random(seed)
        self._far = far
        self._near_lots = list(near_lots)
        accounts = sum(len(of_trader) for of_trader in far)
        self._far_aim = max(1, sum(len(each) for of_trader in far for each in of_trader) // accounts)
        self._near_aim_lots = max(1, sum(near_lots) // 2)
        self._turn = [0] * len(far)
        self.placements = 0
        self.cancels = 0
        """How many of each were drawn."""

    def next(self, trader: int) -> Drawn:
        """The trader's next operation, for each of its accounts in turn."""
        draw = self._random.random
        accounts = self._far[trader]
        sub_account = self._turn[trader] = (self._turn[trader] + 1) % len(accounts)
        if draw() < CROSSING_SHARE:
            return self._cross(buys_near(trader), sub_account)
        far = accounts[sub_account]
        if far and draw() < CANCEL_SHARE * (len(far) / self._far_aim) ** 2:
            place = int(draw() * len(far))
            order_id, far[place] = far[place], far[-1]
            del far[-1]
            self.cancels += 1
            return Cancel(order_id, sub_account)
        is_buy, distance, lots = draw_resting(self._random, trader)
        is_far = distance >= TOUCH_LEVELS
        if not is_far:
            self._near_lots[not is_buy] += lots
        return self._place(sub_account, is_buy, price_ticks(is_buy, distance), lots, False, is_far)

    def taken(self, trader: int, place: Place, order_id: int, filled_lots: int) -> None:
        """A placement was acknowledged."""
        if place.is_far:
            self._far[trader][place.sub_account].append(order_id)
        elif place.crosses:
            self._near_lots[place.is_buy] += place.lots - filled_lots

    def _cross(self, is_buy: bool, sub_account: int) -> Place:
        """Takes more from a side that has more within reach than it should have, less from one with less."""
        mean_lots, near_lots = MEAN_CROSSING_LOTS, self._near_lots[is_buy]
        if near_lots * 50 > self._near_aim_lots * 51:
            mean_lots *= 2
        elif near_lots * 50 < self._near_aim_lots * 49:
            mean_lots //= 2
        lots = 1 + int(self._random.random() * (2 * mean_lots - 1))
        self._near_lots[is_buy] -= lots  # what it does not get is put back when that is known
        ticks = price_ticks(not is_buy, LEVELS_PER_SIDE - 1)
        return self._place(sub_account, is_buy, ticks, lots, True, False)

    def _place(
        self, sub_account: int, is_buy: bool, ticks: int, lots: int, crosses: bool, is_far: bool
    ) -> Place:
        number = self.placements
        self.placements += 1
        return Place(number, sub_account, is_buy, ticks, lots, crosses, is_far)
