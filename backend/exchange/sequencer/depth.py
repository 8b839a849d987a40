"""Aggregated size by price, for one side of one market, best price first without sorting on reads."""

from bisect import bisect_left
from itertools import islice

from exchange.core.words import Side


class GroupTooWide(ValueError):
    """One group alone has more price levels than may be read for an answer."""

    def __init__(self, price_ticks: int, max_levels: int) -> None:
        self.price_ticks = price_ticks
        self.max_levels = max_levels
        super().__init__(f"the group at {price_ticks} has more than {max_levels} price levels")


class DepthSide:
    """Total open size at each price. Prices are kept sorted by keys that grow towards the best."""

    __slots__ = ("_keys", "_sign", "_sizes", "touched")

    def __init__(self, side: Side) -> None:
        self.touched: set[int] | None = None
        """Prices whose size has changed, while somebody collects them."""
        self._sign = 1 if side is Side.BUY else -1
        self._keys: list[int] = []
        self._sizes: dict[int, int] = {}

    def add(self, price_ticks: int, size_lots: int) -> None:
        """Changes the size at a price by `size_lots`, which may be negative."""
        if self.touched is not None:
            self.touched.add(price_ticks)
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

    def size_at(self, price_ticks: int) -> int:
        """Lots at a price."""
        return self._sizes.get(price_ticks * self._sign, 0)

    def best(self, levels: int | None) -> list[tuple[int, int]]:
        """(price_ticks, size_lots) of at most `levels` prices (None: of all), the best first."""
        return [(key * self._sign, self._sizes[key]) for key in islice(reversed(self._keys), levels)]

    def grouped(self, step_ticks: int, groups: int, max_levels: int) -> list[tuple[int, int]]:
        """(price_ticks, size_lots) of at most `groups` steps of price, the best first.

        A bid counts for the whole multiple of the step at or below it, an ask for that at or above: no group
        looks better than what is in it. Groups are whole: the list ends before one for which more than
        `max_levels` levels would have to be read. Raises GroupTooWide when that is the first.
        """
        keys, size_at = self._keys, self._sizes.__getitem__
        found: list[tuple[int, int]] = []
        end, last = len(keys), max(0, len(keys) - max_levels)
        while end and len(found) < groups:
            floor = keys[end - 1] // step_ticks * step_ticks  # keys grow towards the best on both sides
            start = bisect_left(keys, floor, 0, end)
            if start < last:
                if not found:
                    raise GroupTooWide(floor * self._sign, max_levels)
                break
            found.append((floor * self._sign, sum(map(size_at, keys[start:end]))))
            end = start
        return found
