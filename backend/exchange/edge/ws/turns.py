"""The order in which a connection's requests are done, and answered.

Theory of operation. What arrives passes two queues, each first in, first out:

    arrived    not looked at yet, because something before it has to be served first
    due        looked at; its answer is to be sent when its turn comes

A request that trades is handed to the engine when it is looked at, however many answers before its own are
not there yet, and takes a place among those due: so the engine gets them as fast as they come, in the order
in which they were sent. A request that has to be waited for, because it decides what those behind it may do
or are to be told, is served when its turn to be answered has come, and holds back all behind it until then.
Everything else (a ping, an error) is made when its turn comes.

    kind        looked at                   answered
    Trade       in turn, behind no Waits    in turn, when the engine is done with it
    Waits       in turn, behind no Waits    in turn; nothing behind it is looked at before `go_on`
    others      in turn, behind no Waits    in turn
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from exchange.edge.order_requests import OrderRequest
from exchange.edge.ws.requests import TradeRequest
from exchange.sequencer.sequencer import Outcome

Other = TypeVar("Other")
"""What is not a request that trades."""


class Pending:
    """A request that the engine has, until `tell` is called. `said` is its answer, once it has one."""

    __slots__ = ("_on_done", "_waiting", "asked", "is_done", "outcomes", "request", "said")

    def __init__(
        self, request: TradeRequest, asked: OrderRequest, on_done: "Callable[[Pending], None]"
    ) -> None:
        """`on_done` is called by the engine's task: it must be quick, and must not raise."""
        self.request = request
        self.asked = asked
        self._on_done = on_done
        self._waiting: asyncio.Future[None] | None = None
        self.is_done = False
        self.outcomes: list[Outcome] | None = None
        """None also when it is done, and they are unknown."""
        self.said: bytes | None = None

    def tell(self, outcomes: list[Outcome] | None) -> None:
        """The engine is done with it, or stopped."""
        self.is_done = True
        self.outcomes = outcomes
        self._on_done(self)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def done(self) -> None:
        """Waits for that. For one caller only."""
        if not self.is_done:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting


HandIn = Callable[[TradeRequest], Pending | Other]
"""Gives a request to the engine, or says at once what becomes of it."""


class Turns(Generic[Other]):
    """Both queues of one connection. `waits` tells what has to be waited for."""

    __slots__ = ("_arrived", "_due", "_is_held", "_waits", "weight")

    def __init__(self, waits: Callable[[Other], bool]) -> None:
        self._waits = waits
        self._arrived: deque[tuple[TradeRequest | Other, int]] = deque()
        self._due: deque[tuple[Pending | Other, int]] = deque()
        self._is_held = False
        self.weight = 0
        """Of all that is here."""

    def add(self, item: TradeRequest | Other, weight: int, hand_in: HandIn[Other]) -> bool:
        """What has just arrived; it may be handed in before this returns. Whether `next` may have it now."""
        self.weight += weight
        if self._is_held:
            self._arrived.append((item, weight))
            return False
        return self._look_at(item, weight, hand_in)

    def next(self) -> Pending | Other | None:
        """Takes out what is to be answered next; None while that is not known yet."""
        if not self._due:
            return None
        item, weight = self._due[0]
        if type(item) is Pending and item.said is None:
            return None
        self._due.popleft()
        self.weight -= weight
        return item

    def next_pending(self) -> Pending | None:
        """As `next`, but only what the engine had."""
        if not self._due or type(self._due[0][0]) is not Pending:
            return None
        item = self.next()
        assert item is None or isinstance(item, Pending)
        return item

    def go_on(self, hand_in: HandIn[Other]) -> None:
        """What had to be waited for is served: what is behind it may be looked at."""
        assert self._is_held
        self._is_held = False
        self._look(hand_in)

    def clear(self) -> list[Pending]:
        """Forgets everything; what the engine has."""
        pending = [item for item, _ in self._due if isinstance(item, Pending)]
        self._arrived.clear()
        self._due.clear()
        self.weight = 0
        return pending

    def _look(self, hand_in: HandIn[Other]) -> None:
        while self._arrived and not self._is_held:
            item, weight = self._arrived.popleft()
            self._look_at(item, weight, hand_in)

    def _look_at(self, item: TradeRequest | Other, weight: int, hand_in: HandIn[Other]) -> bool:
        """Whether it can be answered already, but for what is before it."""
        if isinstance(item, TradeRequest):
            found = hand_in(item)
            self._due.append((found, weight))
            return type(found) is not Pending
        self._is_held = self._waits(item)
        self._due.append((item, weight))
        return True
