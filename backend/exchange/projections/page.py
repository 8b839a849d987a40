"""Reading the read tables: rows of one listing, newest first, with the seq as of which they are true.

Rows and seq come from one statement, so from one snapshot. A page starts after the key of the last row of
the page before; keys never change, so nothing is skipped or repeated while new rows arrive.
"""

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import asyncpg

from exchange.projections.cursor import POSTGRES
from exchange.projections.errors import CursorMissing

MAX_LIMIT = 1_000
READ_TIMEOUT_S = 5.0

Row = TypeVar("Row")

Key = tuple[int, ...]
"""Place of a row in its listing; what `next_key` gives and `before` takes."""

Conditions = Sequence[tuple[str, object]]
"""SQL with `{}` for its parameter, and the parameter. A condition whose parameter is None is left out."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """`items` newest first, as of `seq`. `next_key` is None on the last page."""

    seq: int
    items: list[Row]
    next_key: Key | None


@dataclass(frozen=True, slots=True)
class Found(Generic[Row]):
    """One row, or None when there is no such row, as of `seq`."""

    seq: int
    item: Row | None


async def read_page(
    pool: asyncpg.Pool,
    row_type: type[Row],
    table: str,
    conditions: Conditions,
    *,
    key: tuple[str, ...],
    before: Key | None,
    limit: int,
) -> Page[Row]:
    """The rows of `table` that come next before `before`. Raises TimeoutError and Postgres' errors.

    The columns are the fields of `row_type`, in their order. Table, conditions and key are ours, never input.
    """
    assert 1 <= limit <= MAX_LIMIT
    assert before is None or len(before) == len(key)
    seq, items = await _read(pool, row_type, table, conditions, key, before, limit + 1)
    if len(items) <= limit:
        return Page(seq, items, None)
    last = items[limit - 1]
    return Page(seq, items[:limit], tuple(getattr(last, name) for name in key))


async def read_one(pool: asyncpg.Pool, row_type: type[Row], table: str, conditions: Conditions) -> Found[Row]:
    """The one row that meets the conditions."""
    seq, items = await _read(pool, row_type, table, conditions, (), None, 1)
    return Found(seq, items[0] if items else None)


async def read_all(
    pool: asyncpg.Pool, row_type: type[Row], table: str, conditions: Conditions, *, key: tuple[str, ...]
) -> Page[Row]:
    """Every row that meets the conditions; for tables that are short by their nature."""
    seq, items = await _read(pool, row_type, table, conditions, key, None, None)
    return Page(seq, items, None)


async def _read(
    pool: asyncpg.Pool,
    row_type: type[Row],
    table: str,
    conditions: Conditions,
    key: tuple[str, ...],
    before: Key | None,
    limit: int | None,
) -> tuple[int, list[Row]]:
    arguments: list[object] = []

    def place(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    wanted = [sql.format(place(value)) for sql, value in conditions if value is not None]
    if before is not None:
        wanted.append(f"({', '.join(key)}) < ({', '.join(map(place, before))})")
    names = column_names(row_type)
    inner = f"SELECT {', '.join(names)} FROM {table} WHERE {' AND '.join(wanted) or 'TRUE'}"  # noqa: S608
    if key:
        inner += f" ORDER BY {', '.join(f'{name} DESC' for name in key)}"
    if limit is not None:
        inner += f" LIMIT {place(limit)}"
    outer = (
        f"SELECT c.seq, p.found, {', '.join(f'p.{name}' for name in names)} FROM projection_cursors AS c"  # noqa: S608
        f" LEFT JOIN LATERAL (SELECT TRUE AS found, i.* FROM ({inner}) AS i) AS p ON TRUE"
        f" WHERE c.name = '{POSTGRES}'"
    )
    if key:
        outer += f" ORDER BY {', '.join(f'p.{name} DESC' for name in key)}"
    async with asyncio.timeout(READ_TIMEOUT_S):
        records = await pool.fetch(outer, *arguments)
    if not records:
        raise CursorMissing(POSTGRES)
    return records[0][0], [row_type(*record[2:]) for record in records if record[1]]


def column_names(row_type: type[Any]) -> tuple[str, ...]:
    """Names of a row class's columns, in order."""
    return tuple(field.name for field in dataclasses.fields(row_type))
