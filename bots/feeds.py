"""Books to mirror: of another exchange of this software, or from a file. Others need `latest` only."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from bots.mirroring import OtherBook
from exchange_sdk import Exchange
from exchange_sdk.errors import NotLive
from exchange_sdk.models import Level
from exchange_sdk.subscriptions import LiveBook

SILENCE_S = 6.0
"""The other exchange says something every 5 s. When it does not, its book may be another by now."""


class BookFeed(AbstractAsyncContextManager["BookFeed"], Protocol):
    """Another book, followed between entering and leaving. The one thing to write for another venue."""

    def latest(self, elapsed_ms: int) -> OtherBook | None:
        """How it is now; None when that is not known. `elapsed_ms`: since the bot began. Never waits."""
        ...


class ExchangeFeed:
    """The book of a market at another exchange of this software, over its public stream."""

    def __init__(self, url: str, symbol: str, levels: int = 50) -> None:
        self._url = url
        self._symbol = symbol
        self._levels = levels
        self._stack = AsyncExitStack()
        self._book: LiveBook | None = None

    async def __aenter__(self) -> Self:
        exchange = await self._stack.enter_async_context(Exchange(self._url))
        stream = await self._stack.enter_async_context(exchange.stream(silence_s=SILENCE_S))
        self._book = stream.book(self._symbol)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def latest(self, elapsed_ms: int) -> OtherBook | None:
        """None while the stream is down, or what was missed is on its way: what it said last may be wrong by
        now. Raises ExchangeError when it will never be up again."""
        try:
            book = self._live_book()
        except NotLive:
            return None
        if not book.is_current:
            return None
        bids, asks = book.depth(self._levels)
        return OtherBook(tuple(bids), tuple(asks))

    def _live_book(self) -> LiveBook:
        if self._book is None:
            raise NotLive("it has not begun")
        return self._book.require_live()


class FeedInvalid(Exception):
    """A file of books can not be used; the message says where."""


class FileFeed:
    """Books from a file, a JSON object on each line, played from the first to the last:

        {"at_ms": 0, "bids": [["2999.5", "1.2"], ...], "asks": [["3000.5", "0.8"], ...]}

    Times begin anywhere and rise. `stale_ms` after a book, if no other has come, none is known.
    """

    def __init__(self, path: Path, *, stale_ms: int) -> None:
        self._path = path
        self._stale_ms = stale_ms
        self._books: list[tuple[int, OtherBook]] = []
        self._next = 0

    async def __aenter__(self) -> Self:
        try:
            lines = self._path.read_text("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise FeedInvalid(f"{self._path} is no text: {error}") from error
        self._books = [self._read(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        if not self._books:
            raise FeedInvalid(f"{self._path} has no book in it")
        if any(later[0] <= earlier[0] for earlier, later in pairwise(self._books)):
            raise FeedInvalid(f"{self._path}: the times must rise")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._books = []

    def latest(self, elapsed_ms: int) -> OtherBook | None:
        begin_ms = self._books[0][0]
        while self._next < len(self._books) and self._books[self._next][0] - begin_ms <= elapsed_ms:
            self._next += 1
        if self._next == 0:
            return None
        at_ms, book = self._books[self._next - 1]
        return None if elapsed_ms - (at_ms - begin_ms) > self._stale_ms else book

    def _read(self, number: int, line: str) -> tuple[int, OtherBook]:
        try:
            item = json.loads(line)
            return int(item["at_ms"]), OtherBook(_levels(item, "bids"), _levels(item, "asks"))
        except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise FeedInvalid(f"{self._path}, line {number}: {error!r}") from error


def _levels(item: Mapping[str, Sequence[Sequence[str]]], side: str) -> tuple[Level, ...]:
    """Raises ValueError unless all are numbers above zero, the best price first."""
    levels = tuple(Level(Decimal(price), Decimal(size)) for price, size in item[side])
    if not all(value.is_finite() and value > 0 for level in levels for value in level):
        raise ValueError(f"{side} have a price or a size that is none")
    prices = [level.price for level in levels]
    if prices != sorted(prices, reverse=side == "bids"):
        raise ValueError(f"{side} are not the best first")
    return levels
