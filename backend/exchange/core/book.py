"""The order book of one market: two sides of price levels, each level a queue in order of arrival.

A level's queue is a plain dict, which keeps insertion order and deletes anywhere in constant time. A side
keeps its prices in a sorted list, the best last, so that taking the best level away is a pop. Prices are
stored as keys that grow towards the best: the price itself for bids, its negative for asks.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from exchange.core.orders import Order, Side


@dataclass(slots=True, eq=False)
class Level:
    """All orders at one price; `size_lots` is the sum of what remains of them."""

    price_ticks: int
    size_lots: int = 0
    orders: dict[int, Order] = field(default_factory=dict)


class BookSide:
    """The bids or the asks of a book."""

    __slots__ = ("_keys", "_levels", "_sign", "side")

    def __init__(self, side: Side) -> None:
        self.side = side
        self._sign = 1 if side is Side.BUY else -1
        self._keys: list[int] = []
        self._levels: dict[int, Level] = {}

    def __len__(self) -> int:
        return sum(len(level.orders) for level in self._levels.values())

    def best(self) -> Level | None:
        return self._levels[self._keys[-1]] if self._keys else None

    def levels(self) -> Iterator[Level]:
        """Levels from the best price on."""
        for key in reversed(self._keys):
            yield self._levels[key]

    def reaches(self, level: Level, limit_ticks: int) -> bool:
        """Whether an order of the other side with this limit may trade at the level's price."""
        return (level.price_ticks - limit_ticks) * self._sign >= 0

    def add(self, order: Order) -> None:
        """Puts the order last in the queue of its price."""
        assert order.side is self.side
        assert order.remaining_lots > 0
        key = order.price_ticks * self._sign
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = Level(order.price_ticks)
            self._keys.insert(bisect_left(self._keys, key), key)
        assert order.order_id not in level.orders
        level.orders[order.order_id] = order
        level.size_lots += order.remaining_lots

    def fill(self, level: Level, order: Order, size_lots: int) -> None:
        """Takes `size_lots` off an order of the level, and the order off the book when none is left."""
        assert 0 < size_lots <= order.remaining_lots
        order.remaining_lots -= size_lots
        level.size_lots -= size_lots
        if order.remaining_lots == 0:
            self._take_off(level, order)

    def remove(self, order: Order) -> None:
        """Takes the order off the book, whatever remains of it."""
        level = self._levels[order.price_ticks * self._sign]
        level.size_lots -= order.remaining_lots
        self._take_off(level, order)

    def _take_off(self, level: Level, order: Order) -> None:
        del level.orders[order.order_id]
        if level.orders:
            return
        assert level.size_lots == 0
        key = level.price_ticks * self._sign
        del self._levels[key]
        if self._keys[-1] == key:
            self._keys.pop()
        else:
            del self._keys[bisect_left(self._keys, key)]


class Book:
    """Both sides of one market."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide(Side.BUY)
        self.asks = BookSide(Side.SELL)

    def own(self, side: Side) -> BookSide:
        """The side on which an order of this side rests."""
        return self.bids if side is Side.BUY else self.asks

    def opposite(self, side: Side) -> BookSide:
        """The side against which an order of this side trades."""
        return self.asks if side is Side.BUY else self.bids
