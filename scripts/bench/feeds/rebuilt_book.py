"""A book as a client rebuilds it from what it is sent, with the checksum that the server says it has."""

import zlib
from bisect import bisect_left, insort
from decimal import Decimal
from typing import NoReturn

import msgspec

CHECKED_LEVELS = 25


class Levels(msgspec.Struct):
    """The `data` of a snapshot or an update of a book."""

    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    checksum: int


class BookMessage(msgspec.Struct):
    """As much of a message as a book needs."""

    data: Levels


class BookDiffers(Exception):
    """What was rebuilt is not the book that the server has."""


_decode = msgspec.json.Decoder(BookMessage).decode


class _Side:
    """One side's sizes, in the order of their prices; texts, as they came."""

    def __init__(self) -> None:
        self._sizes: dict[Decimal, tuple[str, str]] = {}
        self._ascending: list[Decimal] = []

    def set(self, price: str, size: str) -> None:
        key = Decimal(price)
        if size == "0":
            if self._sizes.pop(key, None) is not None:
                del self._ascending[bisect_left(self._ascending, key)]
            return
        if key not in self._sizes:
            insort(self._ascending, key)
        self._sizes[key] = (price, size)

    def lowest_first(self, count: int | None = None) -> list[tuple[str, str]]:
        return [self._sizes[key] for key in self._ascending[:count]]

    def highest_first(self, count: int | None = None) -> list[tuple[str, str]]:
        last = None if count is None else -count - 1
        return [self._sizes[key] for key in self._ascending[:last:-1]]


class RebuiltBook:
    """The whole book of one subscription."""

    def __init__(self) -> None:
        self._bids = _Side()
        self._asks = _Side()

    def take_snapshot(self, message: bytes) -> None:
        """Replaces everything. Raises BookDiffers."""
        self._bids, self._asks = _Side(), _Side()
        self.take_update(message)

    def take_update(self, message: bytes) -> None:
        """Changes the levels that the message names. Raises BookDiffers when the checksum does not fit."""
        data = _decode(message).data
        for price, size in data.bids:
            self._bids.set(price, size)
        for price, size in data.asks:
            self._asks.set(price, size)
        if self.checksum() != data.checksum:
            self._refuse(message)

    def checksum(self) -> int:
        best = self._bids.highest_first(CHECKED_LEVELS) + self._asks.lowest_first(CHECKED_LEVELS)
        return zlib.crc32(",".join([f"{price}:{size}" for price, size in best]).encode("ascii"))

    def levels(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Bids and asks, the best first."""
        return self._bids.highest_first(), self._asks.lowest_first()

    def _refuse(self, message: bytes) -> NoReturn:
        raise BookDiffers(f"the checksum does not fit after {message[:200]!r}")
