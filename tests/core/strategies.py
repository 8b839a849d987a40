"""Hypothesis strategies: one command, one event, with fields of every size the types allow."""

import types
import typing
from enum import StrEnum
from typing import Any, Literal

import msgspec
from hypothesis import strategies as st

from exchange.core.commands import Command
from exchange.core.events import Event

COMMANDS: tuple[type[msgspec.Struct], ...] = typing.get_args(Command)
EVENTS: tuple[type[msgspec.Struct], ...] = typing.get_args(Event)

integers = st.one_of(
    st.integers(-5, 10_000), st.sampled_from([2**63, 2**64, 2**127, 2**128 - 1]), st.integers()
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation used by commands and events."""
    if hint is int:
        return integers
    if hint is str:
        return texts
    if hint is bool:
        return st.booleans()
    if hint is type(None):
        return st.none()
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    origin = typing.get_origin(hint)
    if origin is Literal:
        return st.sampled_from(typing.get_args(hint))
    if origin is tuple:
        parts = typing.get_args(hint)
        if len(parts) == 2 and parts[1] is Ellipsis:
            return st.lists(of_type(parts[0]), max_size=3).map(tuple)
        return st.tuples(*map(of_type, parts))
    if origin in {typing.Union, types.UnionType}:
        return st.one_of([of_type(part) for part in typing.get_args(hint)])
    raise TypeError(f"no strategy for {hint}")


def structs(kinds: tuple[type[msgspec.Struct], ...]) -> st.SearchStrategy[Any]:
    return st.one_of(
        [st.builds(kind, **{f.name: of_type(f.type) for f in msgspec.structs.fields(kind)}) for kind in kinds]
    )


def plain(kind: type[msgspec.Struct]) -> Any:
    """One command or event of the kind, with the plainest values its fields can have."""
    return kind(**{field.name: _plain_value(field.type) for field in msgspec.structs.fields(kind)})


def _plain_value(hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return next(iter(hint))
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return parts[0]
    if origin is tuple:
        return ()
    if origin in {typing.Union, types.UnionType}:
        return _plain_value(parts[0])
    return {int: 1, str: "x", bool: True, type(None): None}[hint]
