"""Telling how far something is that takes a while."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar

T = TypeVar("T")


async def tell(on_progress: Callable[[T], Awaitable[None] | None] | None, progress: T) -> None:
    """Calls back, and waits for it where it can be waited for."""
    if on_progress is None:
        return
    result = on_progress(progress)
    if isawaitable(result):
        await result
