"""Reading the read tables: rows of one listing in the order of its key, with the seq they are true as of.

Rows and seq come from one statement, so from one snapshot. A page starts after the key of the last row of
the page before, in either direction; keys never change and new rows get higher ones, so nothing is skipped or
repeated while rows arrive.

A range of time becomes a range of keys. The journal's time never decreases, so neither does it along the keys
of an account, and the first key of a time is found by bisection in the index that the page itself is read
from: some thirty look-ups, and no index on time that every row would have to be written to.

An account is asked for as a range from itself to itself, in the order (account, key). Said as an equality,
Postgres may walk the table by its primary key instead until it has met enough rows of the account, which for
one that was active only long ago is the whole table.

A filter that few rows meet must not make one page read all of an account's millions. Such a page ends where
so many rows were looked at: it is short, or empty, and there is a next one. An index for each filter would
cost every fill and order for ever.
"""

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import asyncpg

from exchange.projections.cursor import POSTGRES
from exchange.projections.errors import CursorMissing
from exchange.stores.postgres import Connection

MAX_LIMIT = 1_000
READ_TIMEOUT_S = 5.0
MAX_LOOKED_AT = 20_000
"""Rows that one page looks at for those that meet its filters."""

Row = TypeVar("Row")

Key = tuple[int, ...]
"""Place of a row in its listing; what `next_key` gives and `Span.after` takes."""

Conditions = Sequence[tuple[Any, ...]]
"""SQL with `{}` for each parameter, and the parameters. A condition with one that is None is left out."""


@dataclass(frozen=True, slots=True)
class Selection(Generic[Row]):
    """Which rows of a table: those of one account that meet the conditions and the filters.

    The columns are the fields of `row_type`, in their order. `time` is a column that never decreases along
    the first column of `key`. Names and conditions are ours, never input. Almost all rows meet the
    conditions, or an index has those that do; of the filters nothing is known.
    """

    row_type: type[Row]
    table: str
    key: tuple[str, ...]
    time: str
    account_id: int
    conditions: Conditions = ()
    filters: Conditions = ()
    """Where there may be some, `key` is a single number."""
    within: tuple[str, int] | None = None
    """A column and its value, by which the rows are found in an index (column, key) instead of by account."""
    changing: str | None = None
    """SQL of the rows that may still change, of which one account has few. None: rows never change."""

    @property
    def group(self) -> tuple[str, int]:
        """The first column of the index that the rows are read from, and what they all have in it."""
        return self.within or ("account_id", self.account_id)

    def key_of(self, row: Row) -> Key:
        return tuple(getattr(row, name) for name in self.key)


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a selection: rows of [from_ns, to_ns), beginning after the row with the key `after`.

    `up_to`, when given, is the highest key that belongs to it, instead of `to_ns`. Newest first, or oldest
    first when `ascending`.
    """

    from_ns: int | None = None
    to_ns: int | None = None
    ascending: bool = False
    after: Key | None = None
    up_to: Key | None = None


WHOLE = Span()


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """`items` in the order that was asked for, as of `seq`. `next_key` is None on the last page.

    There may be fewer than were asked for, even none, with a next page.
    """

    seq: int
    items: list[Row]
    next_key: Key | None


@dataclass(frozen=True, slots=True)
class Found(Generic[Row]):
    """One row, or None when there is no such row, as of `seq`."""

    seq: int
    item: Row | None


async def read_page(
    source: asyncpg.Pool | Connection, selection: Selection[Row], span: Span = WHOLE, *, limit: int = 50
) -> Page[Row]:
    """The first `limit` rows of that part of the selection. Raises TimeoutError and Postgres' errors."""
    assert 1 <= limit <= MAX_LIMIT
    query = _Query()
    wanted = _bounds(query, selection, span) + query.conditions(selection.conditions)
    direction = "ASC" if span.ascending else "DESC"
    key = (selection.group[0], *selection.key)
    table, horizon = selection.table, "NULL"
    filters = query.conditions(selection.filters)
    if filters:
        horizon = query.horizon(selection, wanted, direction)
        table, wanted = _looked_at(selection, wanted, direction), filters
    seq, items, horizon_key = await _read(
        source, query, selection.row_type, table, wanted, key, direction, limit + 1, horizon
    )
    if len(items) > limit:
        return Page(seq, items[:limit], selection.key_of(items[limit - 1]))
    return Page(seq, items, None if horizon_key is None else (horizon_key,))


async def read_one(pool: asyncpg.Pool, row_type: type[Row], table: str, conditions: Conditions) -> Found[Row]:
    """The one row that meets the conditions."""
    query = _Query()
    wanted = query.conditions(conditions)
    seq, items, _ = await _read(pool, query, row_type, table, wanted, (), "", 1)
    return Found(seq, items[0] if items else None)


async def read_all(
    source: asyncpg.Pool | Connection,
    row_type: type[Row],
    table: str,
    conditions: Conditions,
    *,
    key: tuple[str, ...],
) -> Page[Row]:
    """Every row that meets the conditions, highest key first; where there are few by their nature."""
    query = _Query()
    wanted = query.conditions(conditions)
    seq, items, _ = await _read(source, query, row_type, table, wanted, key, "DESC", None)
    return Page(seq, items, None)


class _Query:
    """A statement while it is put together: its parameters and what is computed before its rows."""

    def __init__(self) -> None:
        self.arguments: list[object] = []
        self.searches: list[str] = []

    def place(self, value: object) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def conditions(self, conditions: Conditions) -> list[str]:
        return [sql.format(*map(self.place, values)) for sql, *values in conditions if None not in values]

    def first_key(self, selection: Selection[Any], time_ns: int) -> str:
        """SQL of a number that parts the account's keys: those below it are of before `time_ns`."""
        name, key = f"search_{len(self.searches)}", selection.key[0]
        column, value = selection.group
        group, time = self.place(value), self.place(time_ns)
        rows = f"FROM {selection.table} WHERE {column} <= {group}"
        middle = "(s.low + s.high) / 2"
        # Whatever is below `low` is too early, whatever is at `high` or above is not; the row found in the
        # middle moves one of the two.
        self.searches.append(
            f"""{name} (low, high) AS (
                SELECT CAST(0 AS BIGINT), coalesce((
                    SELECT {key} + 1 {rows} AND {column} >= {group}
                    ORDER BY {column} DESC, {key} DESC LIMIT 1
                ), 0)
                UNION ALL
                SELECT CASE WHEN m.is_early THEN m.place + 1 ELSE s.low END,
                    CASE WHEN m.is_early THEN s.high ELSE {middle} END
                FROM {name} AS s CROSS JOIN LATERAL (
                    SELECT {key} AS place, {selection.time} < {time} AS is_early
                    {rows} AND ({column}, {key}) >= ({group}, {middle})
                    ORDER BY {column}, {key} LIMIT 1
                ) AS m
                WHERE s.low < s.high
            )"""  # noqa: S608
        )
        return f"(SELECT low FROM {name} WHERE low >= high)"  # noqa: S608

    def horizon(self, selection: Selection[Any], wanted: list[str], direction: str) -> str:
        """SQL of the key of the last row that one page looks at; NULL when there are fewer."""
        [key] = selection.key
        rows = _ordered(selection, (key,), wanted, direction)
        self.searches.append(f"horizon (place) AS ({rows} OFFSET {MAX_LOOKED_AT - 1} LIMIT 1)")
        return "(SELECT place FROM horizon)"


def _bounds(query: _Query, selection: Selection[Any], span: Span) -> list[str]:
    """The group's range of keys: one condition below and one above, each a range of the index.

    `after` lies within the range of time, so it takes the place of the one or the other end.
    """
    column, value = selection.group
    group = query.place(value)
    lower, upper = f"{column} >= {group}", f"{column} <= {group}"

    def compared(sign: str, *numbers: str) -> str:
        names = (column, *selection.key[: len(numbers)])
        return f"({', '.join(names)}) {sign} ({', '.join((group, *numbers))})"

    def at(key: Key) -> list[str]:
        assert len(key) == len(selection.key)
        return [query.place(number) for number in key]

    if span.ascending and span.after is not None:
        lower = compared(">", *at(span.after))
    elif span.from_ns is not None:
        lower = compared(">=", query.first_key(selection, span.from_ns))
    if not span.ascending and span.after is not None:
        upper = compared("<", *at(span.after))
    elif span.up_to is not None:
        upper = compared("<=", *at(span.up_to))
    elif span.to_ns is not None:
        upper = compared("<", query.first_key(selection, span.to_ns))
    return [lower, upper]


def _looked_at(selection: Selection[Any], wanted: list[str], direction: str) -> str:
    """SQL of the rows that one page looks at, as a table.

    By its limit they are read in the index's order and filtered after. One condition beside the others, a
    filter makes Postgres expect so few rows that it reads the whole table for them.
    """
    rows = _ordered(selection, column_names(selection.row_type), wanted, direction)
    return f"({rows} LIMIT {MAX_LOOKED_AT}) AS looked_at"


def _ordered(selection: Selection[Any], names: Sequence[str], wanted: list[str], direction: str) -> str:
    order = ", ".join(f"{name} {direction}" for name in (selection.group[0], *selection.key))
    return f"SELECT {', '.join(names)} FROM {selection.table} WHERE {' AND '.join(wanted)} ORDER BY {order}"  # noqa: S608


async def _read(
    source: asyncpg.Pool | Connection,
    query: _Query,
    row_type: type[Row],
    table: str,
    wanted: list[str],
    key: tuple[str, ...],
    direction: str,
    limit: int | None,
    horizon: str = "NULL",
) -> tuple[int, list[Row], int | None]:
    """The seq, the rows, and the horizon."""
    names = column_names(row_type)
    inner = f"SELECT {', '.join(names)} FROM {table} WHERE {' AND '.join(wanted) or 'TRUE'}"  # noqa: S608
    if key:
        inner += f" ORDER BY {', '.join(f'{name} {direction}' for name in key)}"
    if limit is not None:
        inner += f" LIMIT {query.place(limit)}"
    searches = f"WITH RECURSIVE {', '.join(query.searches)} " if query.searches else ""
    outer = (
        f"{searches}SELECT c.seq, {horizon}, p.found, {', '.join(f'p.{name}' for name in names)}"  # noqa: S608
        f" FROM projection_cursors AS c"
        f" LEFT JOIN LATERAL (SELECT TRUE AS found, i.* FROM ({inner}) AS i) AS p ON TRUE"
        f" WHERE c.name = '{POSTGRES}'"
    )
    if key:
        outer += f" ORDER BY {', '.join(f'p.{name} {direction}' for name in key)}"
    async with asyncio.timeout(READ_TIMEOUT_S):
        records = await source.fetch(outer, *query.arguments)
    if not records:
        raise CursorMissing(POSTGRES)
    seq, horizon_key = records[0][0], records[0][1]
    return seq, [row_type(*record[3:]) for record in records if record[2]], horizon_key


def column_names(row_type: type[Any]) -> tuple[str, ...]:
    """Names of a row class's columns, in order."""
    return tuple(field.name for field in dataclasses.fields(row_type))
