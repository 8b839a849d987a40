"""An event loop in a thread of its own, and the way to it from others."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

R = TypeVar("R")
T = TypeVar("T")


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="exchange-sdk", daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._loop.is_closed()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """The result of the work, awaited there. Interrupted here, it is cancelled there."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("SyncExchange can not be called from its own event loop")
        if self.is_closed:
            work.close()
            raise RuntimeError("this SyncExchange is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def call(self, work: Callable[[], R]) -> R:
        """The result of a function, called there."""
        return self.run(_called(work))

    def close(self) -> None:
        """Ends what still runs there, and the thread."""
        if not self.is_closed:
            self.run(self._end_all())
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


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


async def _end(items: AsyncIterator[T]) -> None:
    end = getattr(items, "aclose", None)
    if end is not None:
        await end()


async def _called(work: Callable[[], R]) -> R:
    return work()
