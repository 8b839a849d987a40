"""What waits for one reader of a subscription: never more than a bound, whatever the reader does."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from exchange_sdk.notices import Gap, Live, Notice, Stale

T = TypeVar("T")

MOST_NOTICES = 100
"""So many may wait for a reader that does not read."""


class InboxEnded(Exception):
    """Everything was read, and nothing more comes."""


class Inbox(Generic[T]):
    """Items in order, and notices between them.

    With a `key`, an item takes the place of the waiting one that has the same key: of states only the
    newest counts. Otherwise each item is kept. Beyond `limit` items the oldest are left out, which a Gap
    tells; who must not leave anything out looks at `is_full` first. Beyond `MOST_NOTICES` notices the oldest
    are left out, but for gaps, of which the sum is kept.
    """

    def __init__(self, limit: int, key: Callable[[T], Hashable] | None = None) -> None:
        self._limit = limit
        self._key = key
        self._numbers = 0
        self._entries: OrderedDict[Hashable, T | Notice] = OrderedDict()
        self._notices = 0
        self._dropped = 0
        self._filled = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._error: BaseException | None = None
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """Items that were not read yet."""
        return len(self._entries) - self._notices

    @property
    def is_full(self) -> bool:
        return self.waiting >= self._limit

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def put(self, item: T) -> None:
        """The newest item; beyond the bound the oldest are dropped."""
        if self._is_closed:
            return
        key = self._number() if self._key is None else ("item", self._key(item))
        self._entries[key] = item
        self._entries.move_to_end(key)
        while self.waiting > self._limit:
            self._drop_oldest()
        self._changed()

    def take_all(self, items: list[T]) -> None:
        """More items, all of them, also beyond the bound."""
        if self._is_closed:
            return
        for item in items:
            self._entries[self._number()] = item
        self._changed()

    def note(self, notice: Notice) -> None:
        """A notice. What nobody has seen yet and is over is forgotten, so that they never pile up."""
        if self._is_closed:
            return
        newest = next(reversed(self._entries), None)
        latest = None if newest is None else self._entries[newest]
        match notice, latest:
            case Stale(), Live():
                assert newest is not None
                self._forget(newest)
                return  # to its reader it was stale all the time
            case Stale(), Stale():
                return
            case Gap(), Gap():
                assert newest is not None
                self._forget(newest)
                notice = _both(latest, notice)
        self._entries[self._number()] = notice
        self._notices += 1
        if self._notices > MOST_NOTICES:
            self._forget_oldest_notice()
        self._changed()

    async def get(self) -> T | Notice:
        """The oldest. Raises InboxEnded at the end, or why there is nothing more."""
        while not self._entries and not self._dropped:
            if self._error is not None:
                raise self._error
            if self._is_closed:
                raise InboxEnded
            self._filled.clear()
            await self._filled.wait()
        if self._dropped:
            gap = Gap(missed=self._dropped, reason="the reader was too slow")
            self._dropped = 0
            return gap
        _, entry = self._entries.popitem(last=False)
        self._notices -= isinstance(entry, Notice)
        if self.waiting <= self._limit // 2:
            self._roomy.set()
        return entry

    async def room(self) -> None:
        """Waits until half of it is empty, or it is closed."""
        await self._roomy.wait()

    def close(self, error: BaseException | None = None) -> None:
        """Nothing more comes; what waits can still be read, then `error` is raised, if there is one."""
        if self._is_closed:
            return
        self._is_closed = True
        self._error = error
        self._filled.set()
        self._roomy.set()

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _changed(self) -> None:
        if self.is_full:
            self._roomy.clear()
        self._filled.set()

    def _drop_oldest(self) -> None:
        """One item, with the notices before it."""
        while True:
            _, entry = self._entries.popitem(last=False)
            if not isinstance(entry, Notice):
                self._dropped += 1
                return
            self._notices -= 1

    def _forget(self, key: Hashable) -> None:
        del self._entries[key]
        self._notices -= 1

    def _forget_oldest_notice(self) -> None:
        """What it tells of is over, and newer notices tell how things stand. A gap is told with the next one,
        or alone where there is none."""
        notices = [(key, entry) for key, entry in self._entries.items() if isinstance(entry, Notice)]
        key, oldest = notices[0]
        if isinstance(oldest, Gap):
            for other_key, other in notices[1:]:
                if isinstance(other, Gap):
                    self._entries[other_key] = _both(oldest, other)
                    break
            else:
                key = notices[1][0]
        self._forget(key)


def _both(first: object, second: Gap) -> Gap:
    assert isinstance(first, Gap)
    if first.missed is None or second.missed is None:
        return Gap(missed=None, reason=second.reason)
    return Gap(missed=first.missed + second.missed, reason=second.reason)
