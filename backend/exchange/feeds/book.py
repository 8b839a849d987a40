"""Books and best prices: read from the committed view, which tells at which prices something changed.

Nothing is folded here. An update names the levels that were touched since the one before, with the sizes that
they have now; a level can be among them that is as it was. What is remembered are the touched prices, so that
updates of long ago can be put together with the sizes of today.
"""

import zlib
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from exchange.core.markets import Market
from exchange.core.words import Side
from exchange.feeds.keys import TopicKey
from exchange.feeds.topic import Outgoing, Topic
from exchange.feeds.updates import BboData, BookData, Level, Update
from exchange.sequencer.committed import CommittedView

CHECKED_LEVELS = 25
"""So many of each side are in the checksum."""
KEPT_UPDATES = 500
KEPT_PRICES = 50_000
"""Touched prices in all the updates that are remembered."""
MERGED_PRICES = 2_000
"""Updates that touched more are not put together for one reader: the whole book is made once for all."""


class _Step(NamedTuple):
    """What one update touched."""

    prev_seq: int
    seq: int
    bids: set[int]
    asks: set[int]

    @property
    def prices(self) -> int:
        return len(self.bids) + len(self.asks)


class BookTopic(Topic):
    """The whole book of a market, and the levels that change."""

    def __init__(
        self, key: TopicKey, view: CommittedView, outgoing: Outgoing, settle: Callable[[], None]
    ) -> None:
        super().__init__(key, view, outgoing, settle)
        self._steps: deque[_Step] = deque()
        self._kept_prices = 0
        self._checksum = BookChecksum(view.markets[key.market_id])
        self._last: Update | None = None
        self._whole: Update | None = None

    def change(self, seq: int, time_ns: int, bids: set[int], asks: set[int]) -> None:
        """These prices were touched."""
        step = _Step(self.seq, seq, bids, asks)
        self._steps.append(step)
        self._kept_prices += step.prices
        while len(self._steps) > KEPT_UPDATES or self._kept_prices > KEPT_PRICES:
            self._kept_prices -= self._steps.popleft().prices
        self._whole = None
        self._last = self._publish(seq, time_ns, self._levels(bids, asks))

    def snapshot(self) -> Update:
        """The whole book as of `self.seq`. Made once for all who come before the next update."""
        return self._whole or super().snapshot()

    def _snapshot(self) -> Update:
        if self._whole is None:
            bids, asks = self._view.depth(self.key.market_id, None)
            checksum = self._checksum.of(bids, asks)
            data = BookData(tuple(bids), tuple(asks), checksum)
            self._whole = Update(self.key, self.seq, None, self._view.time_ns, data)
        return self._whole

    def _since(self, seq: int) -> list[Update] | None:
        if seq >= self.seq:
            return []
        if not self._steps or seq < self._steps[0].prev_seq:
            return None
        assert self._last is not None
        if seq == self._last.prev_seq:
            return [self._last]
        bids: set[int] = set()
        asks: set[int] = set()
        for step in reversed(self._steps):
            if step.seq <= seq:
                break
            bids |= step.bids
            asks |= step.asks
            if len(bids) + len(asks) > MERGED_PRICES:
                return None
        return [Update(self.key, self.seq, seq, self._last.time_ns, self._levels(bids, asks))]

    def _levels(self, bids: set[int], asks: set[int]) -> BookData:
        view, market_id = self._view, self.key.market_id
        return BookData(
            tuple((price, view.size_at(market_id, Side.BUY, price)) for price in sorted(bids, reverse=True)),
            tuple((price, view.size_at(market_id, Side.SELL, price)) for price in sorted(asks)),
            self._checksum.of(*view.depth(market_id, CHECKED_LEVELS)),
        )


class BookChecksum:
    """CRC-32 of the best levels as text. Only levels that it has not just seen are made into text."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._texts: dict[Level, str] = {}

    def of(self, bids: list[Level], asks: list[Level]) -> int:
        """Of a book whose best levels these are; more than are checked do no harm."""
        levels = bids[:CHECKED_LEVELS] + asks[:CHECKED_LEVELS]
        known = self._texts
        self._texts = {level: known.get(level) or self._text(level) for level in levels}
        return zlib.crc32(",".join(self._joined(levels)).encode())

    def _joined(self, levels: list[Level]) -> Iterable[str]:
        return map(self._texts.__getitem__, levels)

    def _text(self, level: Level) -> str:
        price_ticks, size_lots = level
        return f"{self._market.format_price(price_ticks)}:{self._market.format_size(size_lots)}"


class BboTopic(Topic):
    """The best bid and ask of a market. Every update says all there is."""

    def __init__(
        self, key: TopicKey, view: CommittedView, outgoing: Outgoing, settle: Callable[[], None]
    ) -> None:
        super().__init__(key, view, outgoing, settle)
        self._time_ns = view.time_ns
        self._data = best_levels(view, key.market_id)
        self._last: Update | None = None

    def change(self, seq: int, time_ns: int, best: BboData) -> None:
        """The best levels are these; they may be the same as before."""
        if best != self._data:
            self._data, self._time_ns = best, time_ns
            self._last = self._publish(seq, time_ns, best)

    def _snapshot(self) -> Update:
        return Update(self.key, self.seq, None, self._time_ns, self._data)

    def _since(self, seq: int) -> list[Update]:
        if seq >= self.seq:
            return []
        if self._last is not None and self._last.prev_seq == seq:
            return [self._last]
        return [Update(self.key, self.seq, seq, self._time_ns, self._data)]


def best_levels(view: CommittedView, market_id: int) -> BboData:
    """As of the view's seq."""
    bids, asks = view.depth(market_id, 1)
    return BboData(bids[0] if bids else None, asks[0] if asks else None)
