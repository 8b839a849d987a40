"""Tables as CSV (RFC 4180): a header, CRLF, quotes where they are needed; text that no spreadsheet executes.

Amounts are the exact decimals of the JSON, times RFC 3339 in UTC with milliseconds. What is null is empty.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

MEDIA_TYPE = "text/csv; charset=utf-8; header=present"
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, the item's member it shows, and how. `write` is never given None."""

    name: str
    member: str
    write: Callable[[Any], str] = str


class CsvTable:
    """What a table's columns are, and its parts as bytes."""

    def __init__(self, *columns: Column) -> None:
        self.columns = columns

    def header(self) -> bytes:
        return _lines([[column.name for column in self.columns]])

    def lines(self, items: Iterable[Mapping[str, Any]]) -> bytes:
        """One line for each item."""
        columns = [(column.member, column.write) for column in self.columns]
        return _lines(
            ["" if (value := item[member]) is None else write(value) for member, write in columns]
            for item in items
        )


def plain(name: str) -> Column:
    """A member of our own making, as it is."""
    return Column(name, name)


def text(name: str) -> Column:
    """Text that people chose: a spreadsheet would execute it if it began like a formula."""
    return Column(name, name, harmless)


def time(name: str, member: str) -> Column:
    """A member in milliseconds since 1970."""
    return Column(name, member, rfc3339_ms)


def flag(value: bool) -> str:
    """true or false."""
    return "true" if value else "false"


def harmless(value: str) -> str:
    """The text with an apostrophe before it where it begins like a formula."""
    return f"'{value}" if value.startswith(_BEGINS_FORMULA) else value


def rfc3339_ms(time_ms: int) -> str:
    """A time in milliseconds since 1970, to the millisecond (UTC)."""
    second, millisecond = divmod(time_ms, 1_000)
    return f"{_second(second)}.{millisecond:03}Z"


@lru_cache(maxsize=1_024)
def _second(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _lines(rows: Iterable[list[str]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue().encode()
