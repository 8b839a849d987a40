"""Aggregated size by price, for one side of one market, best price first without sorting on reads."""

from bisect import bisect_left
from itertools import islice

from exchange.core.words import Side


class DepthSide:
    """Total open size at each price. Prices are kept sorted by keys that grow towards the best."""

    __slots__ = ("_keys", "_sign", "_sizes")

    def __init__(self, side: Side) -> None:
        self._sign = 1 if side is Side.BUY else -1
        self._keys: list[int] = []
        self._sizes: dict[int, int] = {}

    def add(self, price_ticks: int, size_lots: int) -> None:
        """Changes the size at a price by `size_lots`, which may be negative."""
        key = price_ticks * self._sign
        before_lots = self._sizes.get(key, 0)
        after_lots = before_lots + size_lots
        assert after_lots >= 0
        if after_lots:
            self._sizes[key] = after_lots
            if not before_lots:
                self._keys.insert(bisect_left(self._keys, key), key)
        elif before_lots:
            del self._sizes[key]
            del self._keys[bisect_left(self._keys, key)]

    def best(self, levels: int) -> list[tuple[int, int]]:
        """(price_ticks, size_lots) of at most `levels` prices, the best first."""
        return [(key * self._sign, self._sizes[key]) for key in islice(reversed(self._keys), levels)]
