"""Runs one seed and reports."""

import asyncio
import contextlib
import gc
import secrets
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import structlog
from tests.sim.scenario import Scenario
from tests.sim.world import World

SUSPICIOUS = ("AssertionError", "ReadTablesBroken", "UnknownSql", "TypeError", "KeyError", "AttributeError")
"""Errors in a log line of a part that goes on after any error, but must never meet these."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to. `failure` is empty when every promise was kept."""

    seed: int
    commands: int
    trace_hash: str
    acknowledged: int
    journaled: int
    processes: int
    virtual_s: float
    steps: int
    first_steps: int
    """Callbacks that the first exchange has run."""
    fired: Counter[str]
    failure: str


def run(
    seed: int,
    commands: int,
    *,
    show: Callable[[str], None] | None = None,
    only: Collection[str] | None = None,
    crash_at_step: int | None = None,
) -> Report:
    """Simulates one world to its end. The same arguments give the same report, trace hash included.

    `only` these faults happen (and often) instead of those that the seed chooses; the first exchange crashes
    before its callback number `crash_at_step`.
    """
    world = World(seed, commands, show=show, only=only, crash_at_step=crash_at_step)
    scenario = Scenario(world)
    failure = ""
    with _determinism(world):
        try:
            world.loop.run_until_complete(scenario.run())
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            failure = "".join(traceback.format_exception(error))
        finally:
            _clear(world)
    return Report(
        seed=seed,
        commands=commands,
        trace_hash=world.trace.hash(),
        acknowledged=len(world.oracle.answers),
        journaled=world.oracle.seq,
        processes=scenario.started,
        virtual_s=world.loop.time(),
        steps=world.loop.steps,
        first_steps=scenario.first_steps,
        fired=world.faults.fired,
        failure=failure,
    )


@contextlib.contextmanager
def _determinism(world: World) -> Iterator[None]:
    """Clocks, secrets and logs are the simulation's; nothing is collected in between."""
    loop, random = world.loop, world.random

    def inspect(logger: Any, method: str, event: dict[str, Any]) -> Any:
        world.trace.note("log", event.get("event"), event.get("error", ""))
        for name in ("error", "kind"):
            if any(str(event.get(name, "")).startswith(bad) for bad in SUSPICIOUS):
                world.fail(RuntimeError(f"a part of the exchange met a bug: {event}"))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[inspect], wrapper_class=structlog.BoundLogger, cache_logger_on_first_use=False
    )
    with (
        warnings.catch_warnings(),
        mock.patch.object(time, "time_ns", loop.wall_ns),
        mock.patch.object(time, "time", lambda: loop.wall_ns() / 1e9),  # noqa: PT008 - it moves
        mock.patch.object(secrets, "token_bytes", random.randbytes),
        mock.patch.object(secrets, "randbits", random.getrandbits),
    ):
        warnings.filterwarnings("ignore", message="coroutine .* was never awaited")  # of those who crashed
        if not gc.get_freeze_count():
            gc.freeze()  # all that was imported need not be looked at after every run
        gc.collect()
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
            structlog.configure(**before)


def _clear(world: World) -> None:
    """Takes the remains apart quietly: tasks that still wait are closed, not cancelled."""
    for process in world.processes:
        process.host.alive = False
        process.host.bury()
    for task in asyncio.all_tasks(world.loop):
        task.abandon()  # type: ignore[attr-defined]
    world.loop.close()
