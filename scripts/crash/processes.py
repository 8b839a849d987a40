"""Processes on Linux: whose children are whose, and proof that none is left behind.

The drill makes itself the reaper of its descendants: whatever outlives its parent becomes the drill's own
child, so that nothing can hide from it by changing its session or losing its parent.
Source: prctl(2), proc(5).
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
POLL_S = 0.01


class NotLinux(Exception):
    """The drill needs what only Linux has."""

    def __init__(self) -> None:
        super().__init__("the drill needs Linux: it finds processes in /proc and adopts orphans by prctl")


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant whose parent dies. Raises NotLinux."""
    if sys.platform != "linux" or ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise NotLinux


def children(pid: int) -> list[int]:
    """Ids of the process's children, those that have ended and wait to be reaped included."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, listing.read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """Children, their children, and so on."""
    found: list[int] = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def is_running(pid: int) -> bool:
    """Whether the process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def command_line(pid: int) -> str:
    """What the process was started as, for messages."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return "(ended)"


def kill(pids: Iterable[int]) -> None:
    """SIGKILL to each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_tree(pid: int) -> list[int]:
    """SIGKILL to a process and all its descendants, at one moment; their ids."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)  # so that it starts no other meanwhile
    victims = [pid, *descendants(pid)]
    kill(victims)
    return victims


async def wait_ended(pids: Iterable[int], timeout_s: float) -> list[int]:
    """Waits until the processes have ended; those that have not."""
    deadline = time.monotonic() + timeout_s
    left = [pid for pid in pids if is_running(pid)]
    while left and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
        left = [pid for pid in left if is_running(pid)]
    return left


def reap(pids: Iterable[int]) -> None:
    """Clears away adopted children that have ended. Not for those that somebody else here waits for."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
