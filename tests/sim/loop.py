"""An event loop without time, sockets or threads: what runs next is decided by the seed alone.

The loop keeps a virtual clock that jumps to the next timer whenever nothing is ready, so hours pass in
milliseconds and `asyncio.timeout`, `sleep` and the rest behave as ever. Where several callbacks are ready, a
seeded choice may run any of them first.

Every callback belongs to a `Host`: a simulated machine, found in the callback's context. A host that crashed
never runs again, not even to clean up; one that is frozen runs on later, as a process that was stopped for a
while does. A host may be told to crash before its n-th callback: as a task goes on through a callback after
each await that waits, that is a crash at any await.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from random import Random
from typing import Any

START_NS = 1_700_000_000 * 1_000_000_000
"""The true time at which every simulation begins, nanoseconds UTC."""


HANDLES_PER_ROUND = 128

_current_host: ContextVar["Host | None"] = ContextVar("host", default=None)


class Stuck(Exception):
    """Nothing is ready, no timer is set, or the simulation takes for ever: somebody waits in vain."""


class Host:
    """A machine or a part of the world. Its tasks run in a context that names it, and inherit it."""

    def __init__(self, loop: "SimLoop", name: str) -> None:
        self.loop = loop
        self.name = name
        self.alive = True
        self.steps = 0
        self.crash_at_step: int | None = None
        self.on_crash: list[Callable[[], None]] = []
        self.wall_offset_ns = 0
        """By how much this machine's wall clock is wrong."""
        self.clock_was_set = False
        self.frozen = False
        self.parked: list[asyncio.Handle] = []
        self.tasks: list[SimTask[Any]] = []
        self.context = copy_context()
        self.context.run(_current_host.set, self)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str = "") -> "asyncio.Task[Any]":
        """Starts a task on this machine."""
        return self.loop.create_task(work, name=name or None, context=self.context.copy())

    def call_later(self, delay_s: float, callback: Callable[..., object], *args: Any) -> None:
        self.loop.call_later(delay_s, callback, *args, context=self.context)

    def crash(self) -> None:
        """Everything that runs here is gone at once: no exception, no clean-up, no goodbye."""
        if self.alive:
            self.alive = False
            self.parked.clear()
            for told in self.on_crash:
                told()

    def freeze(self, for_s: float) -> None:
        """Nothing runs here for a while; timers that end meanwhile are late."""
        self.frozen = True
        self.loop.call_later(for_s, self.thaw, context=Context())

    def thaw(self) -> None:
        """It goes on."""
        self.frozen = False
        self.loop.resume(self.parked)
        self.parked = []

    def bury(self) -> None:
        """Ends the coroutines that a crash has left behind, so that nothing is collected noisily later."""
        assert not self.alive
        for task in self.tasks:
            if not task.done():
                task.abandon()
        self.tasks.clear()


class SimTask(asyncio.Task[Any]):
    """A task with a hash of its own: sets of tasks are then iterated in the same order in every run."""

    numbers = itertools.count()

    def __new__(cls, *args: Any, **kwargs: Any) -> "SimTask":
        task = super().__new__(cls)
        task.number = next(cls.numbers)
        return task

    number: int

    def __init__(self, work: Coroutine[Any, Any, Any], **options: Any) -> None:
        self.work = work
        super().__init__(work, **options)

    def __hash__(self) -> int:
        return self.number

    def abandon(self) -> None:
        """Closes the coroutine where it stands. What its clean-up does reaches nobody: its host is dead."""
        self._log_destroy_pending = False
        SimFuture.refuses = True
        try:
            self.work.close()
        except BaseException:  # whatever the clean-up of a dead process meets is of no interest
            pass
        finally:
            SimFuture.refuses = False


class HostGone(BaseException):
    """The machine that would wait for this is dead; only the clean-up of its remains gets here."""


class SimFuture(asyncio.Future[Any]):
    """A future with a hash of its own, for the same reason."""

    refuses = False
    """While the dead are buried nobody may wait for anything."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "SimFuture":
        future = super().__new__(cls)
        future.number = next(SimTask.numbers)
        return future

    number: int

    def __await__(self) -> Generator[Any, None, Any]:
        if SimFuture.refuses:
            raise HostGone
        return super().__await__()

    def __hash__(self) -> int:
        return self.number


class SimLoop(asyncio.BaseEventLoop):
    """The loop. `shuffled`: ready callbacks run in an order of the seed's choice, not first come first
    served.

    `max_steps` callbacks or `max_s` virtual seconds are the end of patience: `Stuck` is raised.
    """

    _ready: "deque[asyncio.Handle]"
    _stopping: bool

    def __init__(self, random: Random, *, shuffled: bool, max_steps: int, max_s: float) -> None:
        SimTask.numbers = itertools.count()
        super().__init__()
        self._random = random
        self._shuffled = shuffled
        self._max_steps = max_steps
        self._max_s = max_s
        self._now_s = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_numbers = itertools.count()
        self.steps = 0
        self.on_fault: Callable[[BaseException], None] = lambda error: None
        """Told what nobody has caught."""
        self.world = Host(self, "world")

    # ---- time

    def time(self) -> float:
        return self._now_s

    def now_ns(self) -> int:
        """True time, nanoseconds UTC."""
        return START_NS + round(self._now_s * 1_000_000_000)

    def wall_ns(self) -> int:
        """What the clock on the wall of the machine that asks shows."""
        host = _current_host.get()
        return self.now_ns() + (host.wall_offset_ns if host is not None else 0)

    # ---- tasks

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> SimTask:
        task = SimTask(coro, loop=self, name=name, context=context)
        host = (copy_context() if context is None else context).get(_current_host)
        if host is not None and host is not self.world:
            if len(host.tasks) > 256:
                host.tasks = [other for other in host.tasks if not other.done()]
            host.tasks.append(task)
        return task

    def create_future(self) -> SimFuture:
        return SimFuture(loop=self)

    def resume(self, handles: list[asyncio.Handle]) -> None:
        self._ready.extend(handles)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not SimFuture.refuses:
            self.on_fault(error)

    def _run_once(self) -> None:
        """Runs some callbacks one after the other, moving the clock whenever nothing is ready."""
        ready, timers, random = self._ready, self._timers, self._random.random
        for _ in range(HANDLES_PER_ROUND):
            while timers and (not ready or timers[0][0] <= self._now_s):
                when_s, _, timer = heappop(timers)
                if not timer._cancelled:  # type: ignore[attr-defined]
                    self._now_s = max(self._now_s, when_s)
                    ready.append(timer)
            if not ready:
                raise Stuck("nothing is ready and no timer is set")
            if self._shuffled and len(ready) > 1:
                ready.rotate(-int(random() * len(ready)))
            handle: Any = ready.popleft()
            if not handle._cancelled and self._may_run(handle):
                try:
                    handle._context.run(handle._callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    self.call_exception_handler({"exception": error})
            if self._stopping:
                return
        if self.steps > self._max_steps:
            raise Stuck(f"not finished after {self._max_steps} callbacks")
        if self._now_s > self._max_s:
            raise Stuck(f"not finished after {self._max_s:g} s of virtual time")

    def _may_run(self, handle: Any) -> bool:
        """Whether the host of the callback is there to run it. A host that is to crash now crashes."""
        self.steps += 1
        host: Host | None = handle._context.get(_current_host)
        if host is None or host is self.world:
            return True
        if not host.alive:
            return False
        if host.frozen:
            host.parked.append(handle)
            return False
        host.steps += 1
        if host.steps == host.crash_at_step:
            host.crash()
            return False
        return True

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heappush(self._timers, (when, next(self._timer_numbers), timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    # A simulation has no other threads, and generators that lose their reader end silently.

    def _write_to_self(self) -> None:
        raise AssertionError("something uses threads inside the simulation")

    def _asyncgen_finalizer_hook(self, generator: Any) -> None:
        pass

    def _asyncgen_firstiter_hook(self, generator: Any) -> None:
        pass
