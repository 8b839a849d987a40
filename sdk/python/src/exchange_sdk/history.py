"""The whole of a listing, page by page, as one thing to iterate."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from exchange_sdk.models import Model

T = TypeVar("T")

PAGE_SIZE = 500


class Page(Model, Generic[T], frozen=True):
    """Some items of a listing, true as of `seq`."""

    seq: int
    items: tuple[T, ...]
    next_cursor: str | None = None
    resume_cursor: str | None = None


Fetch = Callable[[str | None, int], Awaitable[Page[T]]]
"""(cursor, limit) -> page"""


class History(Generic[T]):
    """Everything of one kind: `async for item in history`, or `await history.all()`.

    Pages are fetched as they are needed, complete and without repetition while new items come. Listed
    oldest first, `cursor` is where to go on another day: give it as `resume=` to get what came after, and
    nothing twice.
    """

    def __init__(self, fetch: Fetch[T], cursor: str | None = None) -> None:
        self._fetch = fetch
        self._start = cursor
        self.cursor: str | None = cursor
        """After the last page of which every item was given. None as long as there is none."""
        self.seq = 0
        """As of when the newest page is true."""

    def __aiter__(self) -> AsyncIterator[T]:
        return self._items()

    async def pages(self, size: int = PAGE_SIZE) -> AsyncIterator[Page[T]]:
        """The pages themselves, of at most `size` items (1 to 500): to store items together with `cursor`."""
        at = self._start
        while True:
            page = await self._fetch(at, size)
            self.seq = page.seq
            yield page
            self.cursor = page.resume_cursor or self.cursor
            if page.next_cursor is None:
                return
            at = page.next_cursor

    async def all(self, limit: int | None = None) -> list[T]:
        """All items, or the first `limit`, as a list."""
        found: list[T] = []
        at: str | None = self._start
        while limit is None or len(found) < limit:
            page = await self._fetch(at, PAGE_SIZE if limit is None else min(PAGE_SIZE, limit - len(found)))
            self.seq = page.seq
            self.cursor = page.resume_cursor or self.cursor
            found.extend(page.items)
            if page.next_cursor is None:
                break
            at = page.next_cursor
        return found

    async def first(self) -> T | None:
        """The first item, or None where there is none."""
        found = await self.all(1)
        return found[0] if found else None

    async def _items(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item

    def __repr__(self) -> str:
        return f"History(cursor={self.cursor!r})"
