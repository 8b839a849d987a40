"""The histories of an account: which part was asked for, in which order, and where the next page starts.

A cursor belongs to what it was given for: the listing, the account and every filter. With another of these
it would begin somewhere in the middle without a word, so it is refused.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import asyncpg
import msgspec
from pydantic import Field

from exchange.edge.dependencies import Edge
from exchange.edge.exports import Opened
from exchange.edge.reads import (
    AccountQuery,
    PageAnswer,
    PageQuery,
    ReadQuery,
    SubAccount,
    decode_cursor,
    encode_cursor,
)
from exchange.edge.times import TimeRange
from exchange.projections.extract import Extract
from exchange.projections.page import Key, Page, Selection, Span, read_page

Row = TypeVar("Row")
_DIGEST_BYTES = 6
_NOT_A_FILTER = {"limit", "cursor", "min_seq"}


class HistoryQuery(PageQuery, TimeRange):
    """Parameters of every history."""

    order: Literal["desc", "asc"] = Field(
        default="desc", description="desc: newest first; asc: oldest first, to follow what comes."
    )


class AccountHistoryQuery(HistoryQuery):
    """Parameters of the history of one of the accounts."""

    sub_account: SubAccount = 0


class ExportQuery(ReadQuery, TimeRange):
    """Parameters of every export: those of the history but for its pages."""


class AccountExportQuery(AccountQuery, TimeRange):
    """Parameters of the export of one of the accounts."""


class HistoryAnswer(PageAnswer):
    """A page of a history. `next_cursor` is null on the last page there is by now."""

    resume_cursor: str | None = Field(
        description="With `order=asc`: the cursor that gives what comes after this page, whenever it comes. "
        "Null with `order=desc`, and as long as there was nothing.",
        examples=[None],
    )


@dataclass(frozen=True, slots=True)
class Place(Generic[Row]):
    """Where in a history a request is: its part, and the name under which its cursors go."""

    listing: str
    selection: Selection[Row]
    span: Span
    cursor: str | None

    async def read(self, pool: asyncpg.Pool, limit: int) -> Page[Row]:
        """The page that was asked for."""
        return await read_page(pool, self.selection, self.span, limit=limit)

    def next_cursor(self, page: Page[Row]) -> str | None:
        """`next_cursor` of the answer with this page."""
        return self.cursor_after(page.next_key)

    def resume_cursor(self, page: Page[Row]) -> str | None:
        """`resume_cursor` of the answer with this page."""
        if page.next_key is not None:
            return self.resume_after(page.next_key)
        return self.resume_after(self.selection.key_of(page.items[-1]) if page.items else None)

    def cursor_after(self, key: Key | None) -> str | None:
        """The cursor of what comes after the row with this key."""
        return encode_cursor(self.listing, key)

    def resume_after(self, last_key: Key | None) -> str | None:
        """`resume_cursor` when the last row shown has this key; None when none is shown."""
        if not self.span.ascending:
            return None
        return self.cursor if last_key is None else self.cursor_after(last_key)


def place_of(query: HistoryQuery, selection: Selection[Row]) -> Place[Row]:
    """Where a request for this selection is. Raises Problem (cursor_invalid)."""
    filters = query.model_dump(exclude=_NOT_A_FILTER) | {"account_id": selection.account_id}
    digest = hashlib.blake2b(msgspec.json.encode(sorted(filters.items())), digest_size=_DIGEST_BYTES)
    name = f"{selection.table}/{digest.hexdigest()}"
    after = decode_cursor(query.cursor, name, len(selection.key))
    span = Span(query.from_ns, query.to_ns, query.order == "asc", after)
    return Place(name, selection, span, query.cursor)


async def open_export(
    edge: Edge,
    query: ExportQuery | AccountExportQuery,
    selection: Selection[Row],
    item: Callable[[Row], Mapping[str, Any]],
) -> Opened[Row]:
    """The rows of this selection that were asked for, as of now, each shown as `item` says."""
    extract = await Extract.begin(edge.pool, selection, from_ns=query.from_ns, to_ns=query.to_ns)
    return Opened(extract.seq, extract.pages(), item)


def is_within(time_ns: int, query: TimeRange) -> bool:
    """Whether a time is in the range that was asked for."""
    return (query.from_ns is None or query.from_ns <= time_ns) and (
        query.to_ns is None or time_ns < query.to_ns
    )
