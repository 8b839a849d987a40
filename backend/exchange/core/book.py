"""The order book of one market: price levels, each a queue in order of arrival, and the waiting triggers.

A level's queue is linked through its orders: one enters, leaves from anywhere and is found first by touching
nothing but its neighbours. A side keeps its prices in a sorted list, the best last, so that taking the best
level away is a pop. Prices are stored as keys that grow towards the best: the price itself for bids, its
negative for asks.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final, final

from mypy_extensions import mypyc_attr

from exchange.core.orders import Order
from exchange.core.units import MAX_PRICE_TICKS
from exchange.core.words import Side

_BUY: Final = Side.BUY

NO_LOW_TICKS: Final = MAX_PRICE_TICKS + 1
"""Above any trigger: nothing has traded."""


@final
@mypyc_attr(acyclic=True)
class Level:
    """The orders at one price, the first in the queue first. `key` is the price x the sign of its side."""

    __slots__ = ("first", "key", "last")

    key: int
    first: Order | None
    last: Order | None

    def __init__(self, key: int) -> None:
        self.key = key
        self.first = None
        self.last = None

    def __iter__(self) -> Iterator[Order]:
        order = self.first
        while order is not None:
            yield order
            order = order.behind

    def append(self, order: Order) -> None:
        """Puts the order last. It must be in no queue."""
        assert order.level is None
        order.level = self
        last = self.last
        order.ahead = last
        self.last = order
        if last is None:
            self.first = order
        else:
            last.behind = order

    def remove(self, order: Order) -> None:
        """Takes the order out, wherever it stands."""
        assert order.level is self
        ahead, behind = order.ahead, order.behind
        if ahead is None:
            self.first = behind
        else:
            ahead.behind = behind
        if behind is None:
            self.last = ahead
        else:
            behind.ahead = ahead
        order.level = order.ahead = order.behind = None


class BookSide:
    """The bids or the asks of a book, or the orders that wait for the price to fall or to rise."""

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        """1 when the highest price is the best, -1 when the lowest is."""
        self.keys: list[int] = []
        """price x sign of every level, ascending: the best is the last."""
        self.levels: dict[int, Level] = {}

    def __len__(self) -> int:
        return sum(1 for level in self.levels.values() for _ in level)

    def best_ticks(self) -> int | None:
        return self.keys[-1] * self.sign if self.keys else None

    def reaches(self, limit_ticks: int) -> bool:
        """Whether the best price is at the limit or better, seen from this side."""
        return bool(self.keys) and self.keys[-1] >= limit_ticks * self.sign

    def levels_from_best(self) -> Iterator[tuple[int, Level]]:
        """(price_ticks, level) from the best price on."""
        for key in reversed(self.keys):
            yield key * self.sign, self.levels[key]

    def add(self, price_ticks: int, order: Order) -> None:
        """Puts the order last in the queue of the price."""
        key = price_ticks * self.sign
        level = self.levels.get(key)
        if level is None:
            level = self.levels[key] = Level(key)
            keys = self.keys
            if keys and key < keys[-1]:
                keys.insert(bisect_left(keys, key), key)
            else:
                keys.append(key)
        level.append(order)

    def remove(self, order: Order) -> None:
        """Takes the order out of its queue, and the level away when it was the last."""
        level = order.level
        assert level is not None
        level.remove(order)
        if level.first is None:
            key = level.key
            removed = self.levels.pop(key)
            assert removed is level
            keys = self.keys
            if keys[-1] == key:
                keys.pop()
            else:
                del keys[bisect_left(keys, key)]


class Book:
    """Both sides of one market, the orders that await a trigger, and the last price."""

    __slots__ = (
        "asks",
        "bids",
        "falls",
        "high_ticks",
        "highest_rebate_bps",
        "last_ticks",
        "low_ticks",
        "lowest_taker_bps",
        "rises",
    )

    def __init__(self, lowest_taker_bps: int, highest_rebate_bps: int) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)
        self.rises = BookSide(-1)
        """Orders that wait for the last price to be at their trigger or above: the lowest goes first."""
        self.falls = BookSide(1)
        """Orders that wait for the last price to be at their trigger or below: the highest goes first."""
        self.last_ticks = 0
        """Price of the last trade; 0 before the first."""
        self.high_ticks = 0
        self.low_ticks = NO_LOW_TICKS
        """How far the price went since no trigger was met; of no meaning while nothing awaits a trigger."""
        self.lowest_taker_bps = lowest_taker_bps
        self.highest_rebate_bps = highest_rebate_bps
        """The extremes of the rates that open orders may have been accepted at; see `terms.set_fees`."""

    def own(self, side: Side) -> BookSide:
        """The side on which an order of this side rests."""
        return self.bids if side is _BUY else self.asks

    def opposite(self, side: Side) -> BookSide:
        """The side against which an order of this side trades."""
        return self.asks if side is _BUY else self.bids

    def is_empty(self) -> bool:
        """Whether no order is open in the market."""
        return not (self.bids.keys or self.asks.keys or self.rises.keys or self.falls.keys)

    def trigger_is_met(self) -> bool:
        """Whether the price has been where a waiting order wants it."""
        return self.rises.reaches(self.high_ticks) or self.falls.reaches(self.low_ticks)

    def widen_range(self, first_ticks: int, last_ticks: int) -> None:
        """Takes in the prices of a command's first and last trade; the others lie between."""
        self.high_ticks = max(self.high_ticks, first_ticks, last_ticks)
        self.low_ticks = min(self.low_ticks, first_ticks, last_ticks)

    def forget_range(self) -> None:
        """From here on only later trades meet triggers."""
        self.high_ticks = self.last_ticks
        self.low_ticks = self.last_ticks or NO_LOW_TICKS
