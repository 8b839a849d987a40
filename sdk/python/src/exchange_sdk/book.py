"""A market's order book, put together from a snapshot and the updates after it.

No network in here. Prices and sizes are exact Decimals; what the exchange calls its checksum is compared
after each message, so a book that is not the exchange's is found at once.
"""

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
from itertools import islice

import msgspec

from exchange_sdk.errors import ExchangeError
from exchange_sdk.models import Level
from exchange_sdk.numbers import EXACT, half_way

CHECKSUM_LEVELS = 25
"""Of each side: what the checksum is over."""

LevelText = tuple[str, str]
"""Price and size as they are sent: the checksum is over the very text."""


class BookData(msgspec.Struct, frozen=True):
    """The data of a message about a book."""

    bids: tuple[LevelText, ...]
    asks: tuple[LevelText, ...]
    checksum: int


class ChecksumMismatch(ExchangeError):
    """The book is not the exchange's any more: it has to be begun anew."""

    code = "checksum_mismatch"


class BookSide:
    """One side: levels by price."""

    __slots__ = ("_descending", "_levels", "_prices", "_texts")

    def __init__(self, *, descending: bool) -> None:
        self._descending = descending
        self._prices: list[Decimal] = []
        """Rising."""
        self._levels: dict[Decimal, Level] = {}
        self._texts: dict[Decimal, str] = {}

    def replace(self, levels: Iterable[LevelText]) -> None:
        self._levels.clear()
        self._texts.clear()
        for price_text, size_text in levels:
            price = Decimal(price_text)
            self._levels[price] = Level(price, Decimal(size_text))
            self._texts[price] = f"{price_text}:{size_text}"
        self._prices = sorted(self._levels)

    def apply(self, levels: Iterable[LevelText]) -> None:
        """Levels with their new size; 0 for gone, also where there was none."""
        for price_text, size_text in levels:
            price = Decimal(price_text)
            if size_text == "0":
                if self._levels.pop(price, None) is not None:
                    del self._texts[price]
                    del self._prices[bisect_left(self._prices, price)]
                continue
            if price not in self._levels:
                insort(self._prices, price)
            self._levels[price] = Level(price, Decimal(size_text))
            self._texts[price] = f"{price_text}:{size_text}"

    def best(self) -> Level | None:
        if not self._prices:
            return None
        return self._levels[self._prices[-1 if self._descending else 0]]

    def top(self, levels: int | None) -> list[Level]:
        return [self._levels[price] for price in islice(self._from_best(), levels)]

    def texts(self, levels: int) -> list[str]:
        return [self._texts[price] for price in islice(self._from_best(), levels)]

    def size_at(self, price: Decimal) -> Decimal:
        level = self._levels.get(price)
        return Decimal(0) if level is None else level.size

    def _from_best(self) -> Iterable[Decimal]:
        return reversed(self._prices) if self._descending else self._prices


class OrderBook:
    """Both sides of a market's book."""

    def __init__(self) -> None:
        self._bids = BookSide(descending=True)
        self._asks = BookSide(descending=False)

    def replace(self, data: BookData) -> None:
        """Takes over a whole book. Raises ChecksumMismatch."""
        self._bids.replace(data.bids)
        self._asks.replace(data.asks)
        self._check(data)

    def apply(self, data: BookData) -> None:
        """Takes over the levels that changed. Raises ChecksumMismatch."""
        self._bids.apply(data.bids)
        self._asks.apply(data.asks)
        self._check(data)

    @property
    def checksum(self) -> int:
        """CRC-32 over the best 25 levels of each side, as the exchange computes it."""
        texts = self._bids.texts(CHECKSUM_LEVELS) + self._asks.texts(CHECKSUM_LEVELS)
        return zlib.crc32(",".join(texts).encode())

    def _check(self, data: BookData) -> None:
        if self.checksum != data.checksum:
            raise ChecksumMismatch(f"the book's checksum is {self.checksum}, the exchange's {data.checksum}")

    @property
    def best_bid(self) -> Level | None:
        """The highest price that somebody buys at."""
        return self._bids.best()

    @property
    def best_ask(self) -> Level | None:
        """The lowest price that somebody sells at."""
        return self._asks.best()

    @property
    def mid(self) -> Decimal | None:
        """Half way between the best prices; None while a side is empty."""
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else half_way(bid.price, ask.price)

    @property
    def spread(self) -> Decimal | None:
        """From the best bid to the best ask; None while a side is empty."""
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else EXACT.subtract(ask.price, bid.price)

    def bids(self, levels: int | None = None) -> list[Level]:
        """The best bids, the highest first; all of them without a number."""
        return self._bids.top(levels)

    def asks(self, levels: int | None = None) -> list[Level]:
        """The best asks, the lowest first; all of them without a number."""
        return self._asks.top(levels)

    def depth(self, levels: int | None = None) -> tuple[list[Level], list[Level]]:
        """Bids and asks, the best first."""
        return self.bids(levels), self.asks(levels)

    def size_at(self, price: Decimal) -> Decimal:
        """What is offered at a price, on either side; 0 where there is nothing."""
        return self._bids.size_at(price) or self._asks.size_at(price)
