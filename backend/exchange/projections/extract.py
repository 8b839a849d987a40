"""All rows of a selection, oldest first, as of one seq, page by page, with nothing held between two pages.

Rows are only ever added behind the last one, and once they have ended they never change again. So what was
there at the beginning can be read later, up to the key that was the last then. Rows that may still change
are remembered from the beginning; an account has few of them at a time (open orders, open withdrawals).
Whoever reads slowly costs the memory of a page and of those, no connection and no snapshot.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from typing import Generic

import asyncpg

from exchange.projections.errors import ReadTablesWentBack
from exchange.projections.page import MAX_LIMIT, READ_TIMEOUT_S, Key, Row, Selection, Span, read_page
from exchange.stores.postgres import Connection

PAGE_ROWS = 250
"""Few enough that turning them into text keeps nobody else waiting for long."""


class Extract(Generic[Row]):
    """A selection as of `seq`."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        selection: Selection[Row],
        seq: int,
        span: Span,
        changing: Iterable[Row],
    ) -> None:
        self.seq = seq
        self.changing: dict[Key, Row] = {selection.key_of(row): row for row in changing}
        """The rows that might change later, as they were, by their keys, oldest first."""
        self._pool = pool
        self._selection = selection
        self._span = span

    @classmethod
    async def begin(
        cls, pool: asyncpg.Pool, selection: Selection[Row], *, from_ns: int | None, to_ns: int | None
    ) -> "Extract[Row]":
        """The rows of [from_ns, to_ns) as they are now. Raises TimeoutError and Postgres' errors."""
        async with (
            asyncio.timeout(READ_TIMEOUT_S),
            pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            last = await read_page(connection, replace(selection, filters=()), Span(from_ns, to_ns), limit=1)
            changing: list[Row] = []
            if last.items and selection.changing is not None:
                changing = await _changing(connection, selection, from_ns, to_ns)
        up_to = selection.key_of(last.items[0]) if last.items else None
        return cls(pool, selection, last.seq, Span(from_ns, ascending=True, up_to=up_to), changing)

    async def pages(self) -> AsyncGenerator[list[Row], None]:
        """The rows, at most PAGE_ROWS at a time.

        Raises ReadTablesWentBack when the tables are being built anew meanwhile, TimeoutError and Postgres'
        errors: what was given so far is then not the whole.
        """
        span = self._span
        while span.up_to is not None:
            page = await read_page(self._pool, self._selection, span, limit=PAGE_ROWS)
            if page.seq < self.seq:
                raise ReadTablesWentBack(self.seq, page.seq)
            if page.items:
                yield [self.changing.get(self._selection.key_of(row), row) for row in page.items]
            if page.next_key is None:
                return
            span = replace(span, after=page.next_key)


async def _changing(
    connection: Connection, selection: Selection[Row], from_ns: int | None, to_ns: int | None
) -> list[Row]:
    assert selection.changing is not None
    of_those = replace(
        selection, conditions=[*selection.conditions, (f"{selection.changing} AND {{}}", True)]
    )
    span = Span(from_ns, to_ns, ascending=True)
    rows: list[Row] = []
    while True:
        page = await read_page(connection, of_those, span, limit=MAX_LIMIT)
        rows += page.items
        if page.next_key is None:
            return rows
        span = replace(span, after=page.next_key)
