"""A process of its own for long work: one request on its stdin, one answer on its stdout.

Both ends of it. The child ends when its parent does: its stdin is then closed.
"""

import asyncio
import contextlib
import os
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

POLL_S = 0.05
MAX_MESSAGE = 2_000
MAX_OUTPUT_BYTES = 1_000_000
PARENT_GONE = 3
AUTOGROUP = Path("/proc/self/autogroup")


class ChildFailed(Exception):
    """There is no answer: the child could not be started, took too long, or said what is wrong."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a child that ended with code 0 has written; `said` is what it had to say besides, on stderr."""

    answer: bytes
    said: str


async def ask(process: tuple[str, ...], request: bytes, timeout_s: float) -> Answered:
    """Starts the child, sends the request, waits for its end; kills it when cancelled. Raises ChildFailed."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        code = await _run(process, request, timeout_s, output, errors)
        answer, said = _content(output), _content(errors).decode(errors="replace").strip()
    if code != 0:
        last_line = said.splitlines()[-1][:MAX_MESSAGE] if said else ""
        raise ChildFailed(last_line or f"its process ended with code {code}")
    return Answered(answer, said[:MAX_MESSAGE])


async def _run(
    command: tuple[str, ...], request: bytes, timeout_s: float, output: IO[bytes], errors: IO[bytes]
) -> int:
    """The process from its start to its end, and its exit code."""
    try:
        # In a thread, not by the loop: uvloop forks, which takes 100 ms and more at a gigabyte of state;
        # here the standard library has the new process share our memory until it is another program.
        process = await asyncio.to_thread(_spawn, command, request, output, errors)
    except OSError as error:
        raise ChildFailed(f"its process can not be started: {error}") from error
    try:
        async with asyncio.timeout(timeout_s):
            while process.poll() is None:  # noqa: ASYNC110 - another process's end makes no event here
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise ChildFailed(f"its process took more than {timeout_s:g} s") from None
    finally:
        process.kill()  # nothing happens when it has ended
        await asyncio.to_thread(process.wait)
        assert process.stdin is not None
        process.stdin.close()
    return process.returncode


def _spawn(
    command: tuple[str, ...], request: bytes, output: IO[bytes], errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Starts the process and sends the request. Stdin stays open: the process ends when it is closed."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=errors,
        bufsize=0,
        start_new_session=True,  # Ctrl-C is for us, and we end it then
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended already: its exit code tells
        process.stdin.write(request)
    return process


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(MAX_OUTPUT_BYTES)


# ---- in the child


def lower_priority(niceness: int) -> None:
    """Lets whoever is not as nice go first; to be called by a process that leads a session, as ours do.

    Where the kernel shares the processors out by sessions (autogroups, usual on desktops), niceness counts
    only within a session, and a session has one of its own. Source: sched(7).
    """
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # no such kernel, or it has no such groups
            AUTOGROUP.write_text(str(niceness), encoding="ascii")


def end_with_parent() -> None:
    """To be called once the request is read: from then on the child ends when its stdin is closed."""
    threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    # Not through sys.stdin: a thread that waits in there makes the interpreter abort when it ends.
    while os.read(0, 4_096):
        pass
    os._exit(PARENT_GONE)  # between two statements or within one: a transaction is whole or not at all
