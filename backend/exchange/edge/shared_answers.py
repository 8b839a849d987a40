"""Large public answers, which run on the engine's own loop: made in small pieces, and once for all who ask.

Everybody's chart asks for the same. An answer to one question as of one `seq` is made for the first who asks;
who asks meanwhile waits for it, and who asks later is given the same bytes. Its items become JSON some at a
time, and of one answer at a time, so that no number of questions holds an order up for longer than that.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import msgspec

from exchange.edge.problems import Problem

MAX_KEPT: Final = 32
"""Answers that are kept, of up to some 200 kB each."""
ITEMS_PER_PIECE: Final = 100
"""Made in one turn of the loop: a fraction of a millisecond."""

Answer = TypeVar("Answer")
Item = TypeVar("Item")


@dataclass(slots=True)
class _Making(Generic[Answer]):
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    outcome: Answer | Problem | None = None
    """None: it was given up."""


class SharedAnswers(Generic[Answer]):
    """The answers made last, and those that are being made."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Answer] = OrderedDict()
        self._making: dict[Hashable, _Making[Answer]] = {}
        self._piecework = asyncio.Lock()

    async def answer(self, question: Hashable, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to a question, of which the `seq` must be a part. Raises what `make` raises.

        A Problem is everybody's who waited for it.
        """
        while question not in self._kept:
            making = self._making.get(question)
            if making is None:
                return await self._make(question, make)
            await making.ended.wait()
            if isinstance(making.outcome, Problem):
                raise making.outcome
            if making.outcome is not None:
                return making.outcome
        self._kept.move_to_end(question)
        return self._kept[question]

    async def json_list(self, items: Sequence[Item], form: Callable[[Item], object]) -> bytes:
        """A JSON list of the items in the form that is given to each."""
        pieces = []
        async with self._piecework:
            for start in range(0, len(items), ITEMS_PER_PIECE):
                piece = [form(item) for item in items[start : start + ITEMS_PER_PIECE]]
                pieces.append(msgspec.json.encode(piece)[1:-1])
                await asyncio.sleep(0)
        return b"[%b]" % b",".join(pieces)

    async def _make(self, question: Hashable, make: Callable[[], Awaitable[Answer]]) -> Answer:
        making = self._making[question] = _Making[Answer]()
        try:
            made = making.outcome = await make()
        except Problem as problem:
            making.outcome = problem
            raise
        finally:
            del self._making[question]
            making.ended.set()
        self._kept[question] = made
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return made
