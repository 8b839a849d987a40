"""Points in time and ranges of them, as parameters of reads: one grammar for every listing.

A time is epoch milliseconds in plain digits, or RFC 3339 in UTC (`2026-11-29T10:00:00Z`, with up to three
digits of a second's fraction). A range is half-open, [from, to), so that neighbouring ranges share nothing.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from exchange.core.units import MAX_TIME_NS

MAX_TIME_MS: Final = MAX_TIME_NS // 1_000_000
"""The last millisecond whose nanoseconds the engine can count, in the year 2262."""

RANGE_INVALID = "range_invalid"
"""The type of the validation error; the error handlers make the problem's code of it."""

_NS_PER_MS = 1_000_000
_MAX_DIGITS = len(str(MAX_TIME_MS))
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,3}))?Z", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SYNTAX = "must be epoch milliseconds, or a time in UTC like 2026-11-29T10:00:00Z"


def parse_time_ms(text: str) -> int:
    """Milliseconds since 1970 of a time parameter, 0..MAX_TIME_MS. Raises ValueError for anything else."""
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        time_ms = int(text)
    else:
        time_ms = _rfc3339_ms(text)
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise ValueError(f"must be from 0 to {MAX_TIME_MS}, from 1970 to 2262")
    return time_ms


def _rfc3339_ms(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(_SYNTAX)
    *parts, fraction = match.groups()
    try:
        moment = datetime(*map(int, parts), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError as error:
        raise ValueError(_SYNTAX) from error  # the 30th of February, or a leap second
    return (moment - _EPOCH) // timedelta(milliseconds=1) + int((fraction or "").ljust(3, "0"))


def _time_parameter(value: object) -> object:
    return parse_time_ms(value) if isinstance(value, str) else value


TimeParameter = Annotated[
    int,
    BeforeValidator(_time_parameter),
    WithJsonSchema({"type": "string", "pattern": rf"^([0-9]{{1,{_MAX_DIGITS}}}|{_RFC3339.pattern})$"}),
]
"""A time as a parameter; in the model it is whole milliseconds since 1970."""


class TimeRange(BaseModel):
    """`from` and `to` of a listing; either may be left out. To be mixed into a listing's query."""

    from_ms: TimeParameter | None = Field(
        default=None,
        alias="from",
        description="Not before this time: epoch milliseconds, or RFC 3339 in UTC.",
        examples=["2026-11-29T10:00:00Z"],
    )
    to_ms: TimeParameter | None = Field(
        default=None,
        alias="to",
        description="Before this time, in the same forms. Must not be before `from`.",
        examples=["1795950000000"],
    )

    @field_validator("to_ms")
    @classmethod
    def _not_before_from(cls, to_ms: int | None, info: ValidationInfo) -> int | None:
        from_ms = info.data.get("from_ms")
        if to_ms is not None and from_ms is not None and from_ms > to_ms:
            raise PydanticCustomError(RANGE_INVALID, "must not be before `from`")
        return to_ms

    @property
    def from_ns(self) -> int | None:
        """First nanosecond of the range; None when it is open."""
        return None if self.from_ms is None else self.from_ms * _NS_PER_MS

    @property
    def to_ns(self) -> int | None:
        """First nanosecond after the range; None when it is open."""
        return None if self.to_ms is None else self.to_ms * _NS_PER_MS
