"""What the clients ask for: of ten operations six place an order that rests, three cancel one, one crosses.

It is the mix of all benchmarks (`scripts.bench.workload`), drawn while the load runs and without a model of
the book. An order rests on one of a hundred levels a side, half of them anywhere, half among the ten next to
the middle. Crossing orders take those near the middle away; cancels name one farther out, which no crossing
order reaches. So hardly a cancel comes too late, and the number of open orders stays where it was loaded.

An order carries the number of its request as client order id: the journal is compared by it.
"""

import random
from typing import NamedTuple

import msgspec
from scripts.bench.workload import (
    LEVELS_PER_SIDE,
    MAX_ADD_LOTS,
    MEAN_CROSSING_LOTS,
    MIDDLE_TICKS,
    TOUCH_LEVELS,
)

MARKET = "ETH-USDC"
CLIENT_ID_PREFIX = "load-"
CROSSING_SHARE = 0.1
CANCEL_SHARE = 1 / 3
"""Of the operations that do not cross, while there are as many orders far out as there should be."""
MAX_CROSSING_LOTS = 4 * MEAN_CROSSING_LOTS
LOTS_PER_UNIT = 10_000


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
    """A placement: its number, its members as JSON without braces, and what it is when it is taken."""

    number: int
    members: bytes
    sub_account: int
    is_far: bool
    crosses: bool
    is_buy: bool


class Cancel(NamedTuple):
    """A cancel of an order."""

    order_id: int
    sub_account: int


Drawn = Place | Cancel


class Trader(msgspec.Struct):
    """Who trades: an owner with some accounts. `far` are the ids of open orders far out, by sub-account."""

    token: str
    key: str
    """Of its agent; empty: it has none."""
    seed: str
    """The agent's secret, in hex."""
    far: list[list[int]]


class Loaded(msgspec.Struct):
    """What there is when the load begins. `near_lots`: within reach of crossing orders, bids first."""

    traders: list[Trader]
    near_lots: list[int]


def price_ticks(is_buy: bool, distance: int) -> int:
    """The price of a resting order."""
    return MIDDLE_TICKS - 1 - distance if is_buy else MIDDLE_TICKS + 1 + distance


def draw_resting(draw: random.Random, *, evenly: bool = False) -> Resting:
    """One that is to rest; `evenly` over all levels, as the book is loaded."""
    levels = LEVELS_PER_SIDE if evenly or draw.random() < 0.5 else TOUCH_LEVELS
    return Resting(draw.random() < 0.5, int(draw.random() * levels), 1 + int(draw.random() * MAX_ADD_LOTS))


def _price_text(ticks: int) -> bytes:
    return f"{ticks // 100}.{ticks % 100:02}".encode("ascii")


_PRICES = [
    [_price_text(price_ticks(is_buy, distance)) for distance in range(LEVELS_PER_SIDE)]
    for is_buy in (False, True)
]
_SIZES = [f"{lots / LOTS_PER_UNIT:.4f}".encode("ascii") for lots in range(MAX_CROSSING_LOTS + 1)]
_MEMBERS = (
    b'"market":"' + MARKET.encode("ascii") + b'","side":"%b","time_in_force":"%b","price":"%b","size":"%b",'
    b'"sub_account":%d,"client_order_id":"' + CLIENT_ID_PREFIX.encode("ascii") + b'%d"'
)


class Orders:
    """Draws the operations of all traders; told what became of them, it knows what there is to cancel."""

    def __init__(self, loaded: Loaded, seed: int) -> None:
        self._random = random.Random(seed)
        self._far = [trader.far for trader in loaded.traders]
        self._near_lots = list(loaded.near_lots)
        accounts = sum(len(far) for far in self._far)
        self._far_aim = max(1, sum(len(each) for far in self._far for each in far) // accounts)
        self._near_aim_lots = max(1, sum(loaded.near_lots) // 2)
        self._turn = [0] * len(self._far)
        self.numbers = 0
        """How many placements were drawn: they are numbered from 0."""

    def next(self, trader: int) -> Drawn:
        """The trader's next operation, for each of its accounts in turn."""
        draw = self._random.random
        accounts = self._far[trader]
        sub_account = self._turn[trader] = (self._turn[trader] + 1) % len(accounts)
        if draw() < CROSSING_SHARE:
            return self._cross(sub_account)
        far = accounts[sub_account]
        if far and draw() < CANCEL_SHARE * (len(far) / self._far_aim) ** 2:
            place = int(draw() * len(far))
            order_id, far[place] = far[place], far[-1]
            del far[-1]
            return Cancel(order_id, sub_account)
        resting = draw_resting(self._random)
        if not resting.is_far:
            self._near_lots[not resting.is_buy] += resting.lots
        return self._place(
            sub_account,
            resting.is_buy,
            b"gtc",
            _PRICES[resting.is_buy][resting.distance],
            resting.lots,
            is_far=resting.is_far,
            crosses=False,
        )

    def taken(self, trader: int, place: Place, order_id: int, filled_lots: int) -> None:
        """A placement was acknowledged."""
        if place.is_far:
            self._far[trader][place.sub_account].append(order_id)
        elif place.crosses:
            self._near_lots[place.is_buy] -= filled_lots

    def _cross(self, sub_account: int) -> Place:
        """Takes from the side that has more within its reach."""
        is_buy = self._near_lots[1] > self._near_lots[0]
        mean_lots, near_lots = MEAN_CROSSING_LOTS, self._near_lots[is_buy]
        if near_lots * 50 > self._near_aim_lots * 51:
            mean_lots *= 2
        elif near_lots * 50 < self._near_aim_lots * 49:
            mean_lots //= 2
        lots = 1 + int(self._random.random() * (2 * mean_lots - 1))
        price = _PRICES[not is_buy][LEVELS_PER_SIDE - 1]
        return self._place(sub_account, is_buy, b"ioc", price, lots, is_far=False, crosses=True)

    def _place(
        self,
        sub_account: int,
        is_buy: bool,
        time_in_force: bytes,
        price: bytes,
        lots: int,
        *,
        is_far: bool,
        crosses: bool,
    ) -> Place:
        number = self.numbers
        self.numbers += 1
        side = b"buy" if is_buy else b"sell"
        members = _MEMBERS % (side, time_in_force, price, _SIZES[lots], sub_account, number)
        return Place(number, members, sub_account, is_far, crosses, is_buy)
