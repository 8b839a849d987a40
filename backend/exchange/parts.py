"""The parts of a running process: tasks that live exactly as long as what is built on them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

CANCEL_AGAIN_S = 15.0
"""Longer than an orderly end takes, that of the API included."""


class CannotRun(Exception):
    """This process can not start, or can not go on; the message says why and what to do."""


class EndedEarly(CannotRun):
    """A part that runs for ever has ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} ended by itself")


@contextlib.asynccontextmanager
async def running(name: str, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs a part beside the body, and ends it when the body ends; if the part ends, so does the body.

    A part that is not over after a while is cancelled again, for a cancellation can get lost: when the
    clean-up of a cancelled task fails (a rollback on a broken connection), that failure takes its place, and
    a task that goes on after any failure goes on after this one too. Raises what ended the part, EndedEarly
    when nothing did.
    """
    ending = False

    async def for_ever() -> None:
        try:
            await work
        except asyncio.CancelledError:
            if ending:
                raise
        raise EndedEarly(name)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(for_ever(), name=name)
        try:
            yield
        finally:
            ending = True
            while not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=CANCEL_AGAIN_S)
