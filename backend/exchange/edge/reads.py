"""What all reads share: how fresh the answer must be, how long a page is, where the next one starts."""

import base64
from typing import Annotated

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import Request

from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.edge.dependencies import Edge
from exchange.edge.errors import unavailable
from exchange.edge.problems import EdgeCode, Problem
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.page import Key
from exchange.projections.postgres import ReadTables

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
MAX_SEQ = 2**63 - 1
MAX_SEQ_AHEAD = 100_000
"""A `min_seq` further ahead of the view than this is not waited for."""
_MAX_CURSOR_CHARS = 400
_cursor_decoder = msgspec.json.Decoder(list[str | int])


def _whole_number(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= 19):
        raise ValueError("must be a whole number in plain digits")
    return value


WholeNumber = Annotated[int, BeforeValidator(_whole_number)]
"""An integer parameter: plain ASCII digits, at most 19 of them."""


def _flag(value: object) -> object:
    if isinstance(value, str) and value not in {"true", "false"}:
        raise ValueError("must be true or false")
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]
"""A parameter that is `true` or `false`, and no other of the words that could mean it."""


async def refuse_twice(request: Request) -> None:
    """A dependency of all routes: which of two values is meant is not guessed. Raises FieldRefused."""
    if b"&" not in request.scope["query_string"]:
        return
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name in seen:
            raise FieldRefused(GatewayCode.FIELD_INVALID, "this parameter is there twice", field=name)
        seen.add(name)


class ReadQuery(BaseModel):
    """Parameters of every read. Unknown parameters are refused, so that no typing error is ignored."""

    model_config = ConfigDict(extra="forbid")

    min_seq: Annotated[WholeNumber, Field(ge=0, le=MAX_SEQ)] | None = Field(
        default=None,
        description="Answer with data at least as new as this `seq`, waiting a little; else 503 `not_yet`.",
        examples=[1042],
    )


class PageQuery(ReadQuery):
    """Parameters of every listing."""

    limit: Annotated[WholeNumber, Field(ge=1, le=MAX_LIMIT)] = Field(
        default=DEFAULT_LIMIT, description="Items on the page, at most."
    )
    cursor: Annotated[str, Field(max_length=_MAX_CURSOR_CHARS)] | None = Field(
        default=None, description="`next_cursor` of the page before; opaque."
    )


SubAccount = Annotated[
    WholeNumber,
    Field(
        ge=0,
        le=MAX_SUB_ACCOUNT,
        description="Which of your accounts: 0, the main one, to 127. One that does not exist has nothing.",
    ),
]


class AccountQuery(ReadQuery):
    """Parameters of a read of one account."""

    sub_account: SubAccount = 0


class PageAnswer(BaseModel):
    """A page of a listing, newest first. `next_cursor` is null on the last page."""

    seq: int = Field(examples=[1042])
    next_cursor: str | None = Field(examples=[None])


class SeqAnswer(BaseModel):
    """`seq` is the sequence number as of which the answer is true."""

    seq: int = Field(examples=[1042])


async def require_view(edge: Edge, min_seq: int | None) -> None:
    """Waits until the committed view is at `min_seq`. Raises Problem (not_yet)."""
    if min_seq is None or edge.view.seq >= min_seq:
        return
    if min_seq - edge.view.seq > MAX_SEQ_AHEAD or not await edge.view.reached(
        min_seq, edge.config.read_wait_s
    ):
        raise _not_yet(edge.view.seq, min_seq)


async def require_projection(edge: Edge, min_seq: int | None) -> bool:
    """Waits until the read tables have what the caller may have seen; says whether they do.

    Without `min_seq` tables that are behind answer as they are, with their own lower seq. Raises Problem
    (not_yet) when `min_seq` is not reached in time.
    """
    if min_seq is not None:
        await require_projected(edge, edge.projection, min_seq)
    return await edge.projection.reached(edge.view.seq, edge.config.read_wait_s)


def require_as_new(seq: int, wanted_seq: int) -> None:
    """For a row that was not found as of `seq`: raises Problem (not_yet) unless that is at `wanted_seq`.

    What is committed but not in the read tables yet must not be said not to exist.
    """
    if seq < wanted_seq:
        raise _not_yet(seq, wanted_seq)


async def require_projected(edge: Edge, projection: ReadTables | ClickHouseProjection, min_seq: int) -> None:
    """Waits until a projection is at `min_seq`. Raises Problem (not_yet)."""
    if min_seq - edge.view.seq > MAX_SEQ_AHEAD or not await projection.reached(
        min_seq, edge.config.read_wait_s
    ):
        raise _not_yet(projection.seq, min_seq)


def _not_yet(seq: int, min_seq: int) -> Problem:
    return unavailable(EdgeCode.NOT_YET, f"the data is at seq {seq}, this needs {min_seq}")


def encode_cursor(listing: str, key: Key | None) -> str | None:
    """An opaque cursor: where the page after the row with this key starts, in this listing."""
    if key is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode([listing, *key])).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, listing: str, length: int) -> Key | None:
    """The key of `length` numbers in a cursor of this listing. Raises Problem (cursor_invalid)."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        name, *key = _cursor_decoder.decode(raw)
    except (ValueError, msgspec.MsgspecError) as error:
        raise _cursor_invalid(cursor) from error
    bounds = [2**63, *[2**31] * (length - 1)]
    numbers = [
        number
        for number, bound in zip(key, bounds, strict=False)
        if type(number) is int and 0 <= number < bound
    ]
    if name != listing or len(key) != length or len(numbers) != length:
        raise _cursor_invalid(cursor)
    return tuple(numbers)


def _cursor_invalid(cursor: str) -> Problem:
    return Problem(EdgeCode.CURSOR_INVALID, field="cursor", value=cursor)
