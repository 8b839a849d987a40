"""The tail: committed rows in order, for everything that follows the journal at its own pace.

Followers keep their own cursor (the last seq they have dealt with) and are never waited for. The engine's
process wakes them after each commit; polling covers every other process and a lost wake-up.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import asyncpg

from exchange.journal.rows import READ_EVENTS, READ_ROWS, JournalRow, StoredEvents, decode_row


class Tail:
    """Reads committed rows from Postgres. `on_wait` is called when there are none yet."""

    def __init__(
        self, pool: asyncpg.Pool, *, poll_s: float = 0.5, on_wait: Callable[[], None] | None = None
    ) -> None:
        self._pool = pool
        self._poll_s = poll_s
        self._on_wait = on_wait
        self._woken = asyncio.Event()

    def notify(self) -> None:
        """Wakes the followers: there is more to read."""
        self._woken.set()
        self._woken = asyncio.Event()

    async def read(self, after_seq: int, max_rows: int = 64) -> list[JournalRow]:
        """The next rows after `after_seq`, oldest first; empty when there are none yet.

        When `after_seq` lies inside a row, that whole row comes first.
        """
        records = await self._pool.fetch(READ_ROWS, after_seq, max_rows)
        return [decode_row(record) for record in records]

    async def time_after(self, seq: int) -> int | None:
        """When (`time_ns`) the first command after `seq` was committed; None when there is none yet."""
        time_ns: int | None = await self._pool.fetchval(
            "SELECT time_ns FROM journal WHERE seq_last > $1 ORDER BY seq_last LIMIT 1", seq
        )
        return time_ns

    async def read_events(self, after_seq: int, max_rows: int = 64) -> list[StoredEvents]:
        """The events of the next rows after `after_seq`, not decoded; otherwise as `read`."""
        records = await self._pool.fetch(READ_EVENTS, after_seq, max_rows)
        return [StoredEvents(*record) for record in records]

    async def next_events(self, after_seq: int, max_rows: int = 64) -> list[StoredEvents]:
        """As `read_events`, but waits a little when there are none yet."""
        woken = self._woken
        rows = await self.read_events(after_seq, max_rows)
        if not rows:
            await self._wait(woken)
            rows = await self.read_events(after_seq, max_rows)
        return rows

    async def is_overtaken(self, seq: int, epoch: int) -> bool:
        """Whether an engine of a later epoch has written after `seq`: what was known then is old by now."""
        overtaken: bool = await self._pool.fetchval(
            "SELECT epoch > $2 AND head_seq > $1 FROM writer", seq, epoch
        )
        return overtaken

    async def follow(self, after_seq: int, max_rows: int = 64) -> AsyncIterator[list[JournalRow]]:
        """Every later row in order, in non-empty lists, waiting for more for ever."""
        while True:
            woken = self._woken
            rows = await self.read(after_seq, max_rows)
            if rows:
                after_seq = rows[-1].seq_last
                yield rows
                continue
            await self._wait(woken)

    async def _wait(self, woken: asyncio.Event) -> None:
        """Until this was set, or for as long as a lost wake-up may take."""
        if self._on_wait is not None:
            self._on_wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):
                await woken.wait()
