"""Starts a server as another user and ties its life to ours.

`python launch.py PARENT UID GID SIGNAL FOLDER PROGRAM ARGUMENTS...`, where PARENT is the process that starts
it and FOLDER what the program works in. A program of its own, standard library only: doing this in the child
of a fork instead would run Python between fork and exec of a threaded process, which can deadlock.

The child gets SIGNAL when the thread that started it ends (Linux), so a killed exchange leaves no server
behind. The signal is set after the change of user, because that change clears it. Under root, and only where
it is needed, the server keeps one capability: to pass through and read folders that its user could not (a
checkout in a private home, a temporary folder of mode 0700). It can write only what its user can.
Source: prctl(2), capabilities(7).
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 4
CAP_DAC_READ_SEARCH = 2
CAP_SETPCAP = 8
CAPABILITY_VERSION_3 = 0x20080522


def _keep_search_capability(libc: ctypes.CDLL) -> None:
    """Keeps the one capability across the exec. Without the secure bit, access(2) would not honour it."""
    search, change_bits = 1 << CAP_DAC_READ_SEARCH, 1 << CAP_SETPCAP
    # Not granted in every container; then the folders must be open to the server's user.
    if _set_capabilities(libc, search | change_bits, inheritable=search):
        libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    if _set_capabilities(libc, search, inheritable=search):
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0)


def _set_capabilities(libc: ctypes.CDLL, held: int, *, inheritable: int) -> bool:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(held, held, inheritable, 0, 0, 0)
    granted: int = libc.capset(header, sets)
    return granted == 0


def main(arguments: list[str]) -> None:
    """Never returns: becomes the program."""
    parent, uid, gid, signal_number = (int(argument) for argument in arguments[:4])
    folder, program = arguments[4], arguments[5:]
    linux = sys.platform == "linux"
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0 and uid != 0:
        if linux:
            libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        if linux and not (os.access(folder, os.X_OK) and os.access(program[0], os.X_OK)):
            _keep_search_capability(libc)
    if linux:
        libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent is gone")
    os.umask(0o077)
    os.execv(program[0], program)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
