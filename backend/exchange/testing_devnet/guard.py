"""Runs a devnet for exactly as long as somebody wants it.

`python -m exchange.testing_devnet.guard PARENT FOLDER COMMAND...` starts the command and stops it when told
to (SIGTERM: as Ctrl-C would; SIGUSR1: with SIGKILL, as a crash would), and also when its parent, the process
PARENT, is gone in whatever way: then it removes FOLDER too, because nobody else will. It asks for its
parent's id instead of waiting for the end of a pipe, which any other child of the parent may keep open.

It has a session of its own, so that Ctrl-C in a terminal reaches the test run alone, which then stops it. If
the guard itself is killed, on Linux the devnet is told to end.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

POLL_S = 0.1
STOP_S = 45.0
_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> int:
    """Returns the command's exit code."""
    parent, folder, command = int(arguments[0]), Path(arguments[1]), list(arguments[2:])
    # There are no threads here that a fork could disturb.
    process = subprocess.Popen(  # noqa: S603 - what our parent wants to be run
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_end_with_parent,  # noqa: PLW1509
    )
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: process.kill())
    while True:
        try:
            return process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                _stop(process)
                shutil.rmtree(folder, ignore_errors=True)
                return 0


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_with_parent() -> None:
    """In the child, before it becomes the command."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
