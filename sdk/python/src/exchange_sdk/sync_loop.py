"""An event loop in a thread of its own, and the way to it from others."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, Generic, TypeVar

R = TypeVar("R")
T = TypeVar("T")


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._process_id = os.getpid()
        self._handing_over = threading.Lock()
        """Work is handed over before the end, or refused: never left behind in a loop that has stopped."""
        self._is_closed = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="exchange-sdk", daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more work."""
        return self._is_closed or self._is_of_another_process

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """The result of the work, awaited there. Interrupted here, wherever, it is cancelled there."""
        handed = _Handed(work)
        try:
            return self._hand_over(handed).result()
        except CancelledError:
            if self._is_closed:
                raise RuntimeError("this SyncExchange was closed meanwhile") from None
            raise
        except BaseException:
            self._take_back(handed)
            raise

    def _hand_over(self, handed: "_Handed[R]") -> "Future[R]":
        why_not = None
        if threading.current_thread() is self._thread:
            why_not = "SyncExchange can not be called from its own event loop"
        elif self._is_of_another_process:
            why_not = "this SyncExchange is of the process before the fork: make another one in this process"
        else:
            with self._handing_over:
                if not self._is_closed:
                    return asyncio.run_coroutine_threadsafe(handed.done(), self._loop)
            why_not = "this SyncExchange is closed"
        handed.take_back()
        raise RuntimeError(why_not)

    def _take_back(self, handed: "_Handed[Any]") -> None:
        """Of what an interruption left there, or on the way there, nothing goes on."""
        if self._is_of_another_process or threading.current_thread() is self._thread:
            return
        with self._handing_over:
            if not self._is_closed:
                self._loop.call_soon_threadsafe(handed.take_back)

    @property
    def _is_of_another_process(self) -> bool:
        return os.getpid() != self._process_id  # threads do not come along over a fork

    def call(self, work: Callable[[], R]) -> R:
        """The result of a function, called there."""
        return self.run(_called(work))

    def close(self) -> None:
        """Ends what still runs there, and the thread."""
        with self._handing_over:
            if self.is_closed:
                return
            ending = asyncio.run_coroutine_threadsafe(self._end_all(), self._loop)
            self._is_closed = True
        ending.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_all(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items, one after the other."""
        try:
            while True:
                try:
                    yield self.run(_next(items))
                except StopAsyncIteration:
                    return
        finally:
            if not self.is_closed:
                self.run(_end(items))


class _Handed(Generic[R]):
    """Work on its way to the loop. All but making it is done there, so it is begun or taken back, never both:
    whoever hands it over may be interrupted between any two steps."""

    def __init__(self, work: Coroutine[Any, Any, R]) -> None:
        self._work = work
        self._task: asyncio.Task[Any] | None = None
        self._is_taken_back = False

    async def done(self) -> R:
        """The result of the work."""
        if self._is_taken_back:
            raise asyncio.CancelledError
        self._task = asyncio.current_task()
        return await self._work

    def take_back(self) -> None:
        """It is cancelled, or never begins."""
        self._is_taken_back = True
        if self._task is None:
            self._work.close()
        else:
            self._task.cancel()


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


async def _end(items: AsyncIterator[T]) -> None:
    end = getattr(items, "aclose", None)
    if end is not None:
        await end()


async def _called(work: Callable[[], R]) -> R:
    return work()
