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
    if origin in {typing.Union, types.UnionType}:
        return st.one_of([of_type(part) for part in typing.get_args(hint)])
    raise TypeError(f"no strategy for {hint}")


def structs(kinds: tuple[type[msgspec.Struct], ...]) -> st.SearchStrategy[Any]:
    return st.one_of(
        [st.builds(kind, **{f.name: of_type(f.type) for f in msgspec.structs.fields(kind)}) for kind in kinds]
    )
