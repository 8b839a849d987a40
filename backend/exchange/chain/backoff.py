"""The loop at the root of every long-running task: one pass after another, more slowly while they fail."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

FAULT_PAUSE_CAP_S = 30.0

log = structlog.get_logger(__name__)


async def repeat(
    name: str,
    step: Callable[[], Awaitable[None]],
    pause: Callable[[], Awaitable[None]],
    *,
    first_fault_pause_s: float,
    on_fault: Callable[[Exception], None] = lambda _: None,
) -> None:
    """Runs `step` and `pause` in turn until cancelled.

    A step that raises is told to `on_fault`, logged, and done again after a pause that doubles up to a cap.
    A broken invariant (AssertionError) ends the loop.
    """
    fault_pause_s = first_fault_pause_s
    while True:
        try:
            await step()
        except AssertionError:
            raise
        except Exception as error:  # the task's root
            on_fault(error)
            log.warning(f"{name}_fault", error=str(error), kind=type(error).__name__, pause_s=fault_pause_s)
            await asyncio.sleep(fault_pause_s)
            fault_pause_s = min(2 * fault_pause_s, FAULT_PAUSE_CAP_S)
        else:
            fault_pause_s = first_fault_pause_s
            await pause()
