"""The event loop behind `SyncExchange`: whoever hands work to it gets an answer, whatever happens to it."""

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

import pytest

from exchange_sdk.sync_loop import Loop


async def nothing() -> int:
    return 1


def hammer(loop: Loop, ended: list[str], has_begun: threading.Event) -> None:
    """Hands over one thing after the other until it is refused."""
    try:
        while loop.run(nothing()):
            has_begun.set()
    except RuntimeError as refused:
        ended.append(str(refused))


def test_nobody_waits_for_ever_for_a_loop_that_is_closed_meanwhile() -> None:
    for _ in range(50):
        loop, has_begun = Loop(), threading.Event()
        ended: list[str] = []
        threads = [
            threading.Thread(target=hammer, args=(loop, ended, has_begun), daemon=True) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        assert has_begun.wait(20)
        loop.close()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive(), "it waits for a loop that has stopped"
        assert len(ended) == 4
        assert all("closed" in error for error in ended)


def test_what_runs_when_it_is_closed_is_told_so() -> None:
    loop, runs, told = Loop(), threading.Event(), []

    async def long() -> None:
        runs.set()
        await asyncio.sleep(3_600)

    def wait() -> None:
        with pytest.raises(RuntimeError, match="closed meanwhile"):
            loop.run(long())
        told.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    assert runs.wait(20)
    loop.close()
    thread.join(20)
    assert told
    loop.close()


def test_over_a_fork_it_refuses_instead_of_waiting_for_a_thread_that_is_not_there() -> None:
    loop = Loop()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        signal.alarm(20)
        try:
            loop.run(nothing())
        except RuntimeError as error:
            loop.close()
            os._exit(0 if "fork" in str(error) else 2)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert loop.run(nothing()) == 1
    loop.close()


class Long:
    """Work that does not end, and knows whether it was begun and cancelled."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.cancelled = threading.Event()

    async def work(self) -> None:
        self.begun.set()
        try:
            await asyncio.sleep(3_600)
        finally:
            self.cancelled.set()


@pytest.mark.parametrize("begins_before", [True, False], ids=["it has begun", "it has not begun"])
def test_work_whose_caller_is_interrupted_right_after_handing_it_over_does_not_go_on(
    begins_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, long, real = Loop(), Long(), asyncio.run_coroutine_threadsafe

    def handed_over(work: Coroutine[Any, Any, Any], target: asyncio.AbstractEventLoop) -> Future[Any]:
        real(work, target)
        if begins_before:
            assert long.begun.wait(20)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "run_coroutine_threadsafe", handed_over)
        with pytest.raises(KeyboardInterrupt):
            loop.run(long.work())
    assert loop.run(nothing()) == 1
    if begins_before:
        assert long.cancelled.wait(20)
    assert long.begun.is_set() == long.cancelled.is_set(), "it was never begun, or it has ended"
    loop.close()
