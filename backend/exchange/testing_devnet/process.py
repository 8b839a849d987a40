"""One devnet as a child process: its ports, its folder, its log; started and stopped at will."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from exchange.testing_devnet.errors import DevnetFailed
from exchange.testing_devnet.json_http import request

START_S = 120.0
STOP_S = 60.0
TRIES = 5
"""Starts on other ports, when somebody else took the port between our look and the server's."""
TAIL_LINES = 60
_POLL_S = 0.05
_PORT_TAKEN = "is taken"
_TABLE_BORDERS = tuple("│┌├└")


class DevnetProcess:
    """`exchange devnet` in `folder`/data, its output in `log_path`. Nothing here is asynchronous."""

    def __init__(
        self,
        folder: Path,
        log_path: Path,
        *,
        block_time_s: int = 1,
        arguments: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.log_path = log_path
        self.port = 0
        self.rpc_port = 0
        self._arguments = ("--block-time", str(block_time_s), *arguments)
        self._environment = dict(environment or {})
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def data_dir(self) -> Path:
        """What the devnet keeps."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def rpc_url(self) -> str:
        return f"http://localhost:{self.rpc_port}"

    @property
    def running(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> None:
        """Returns when it is ready; a second start has the ports of the first. Raises DevnetFailed."""
        assert not self.running, "it runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        may_move = self.port == 0
        for _ in range(TRIES):
            if may_move:
                self.port, self.rpc_port = _free_ports()
            begins_at = self.log_size()
            self._spawn()
            if self._wait_ready():
                return
            if not (may_move and _PORT_TAKEN in self.log(begins_at)):
                break
        raise DevnetFailed(f"the devnet did not start:\n{self.log_tail()}")

    def stop(self) -> None:
        """As Ctrl-C would. Harmless when it does not run. Raises DevnetFailed when it had to be killed."""
        guard, self._guard = self._guard, None
        if guard is None or guard.poll() is not None:
            return
        guard.terminate()
        try:
            guard.wait(STOP_S)
        except subprocess.TimeoutExpired:
            guard.send_signal(signal.SIGUSR1)
            guard.wait(STOP_S)
            raise DevnetFailed(f"the devnet did not stop and was killed:\n{self.log_tail()}") from None

    def kill(self) -> None:
        """SIGKILL, as a crash or the end of the memory would; `start` starts it again."""
        assert self.running, "it does not run"
        guard, self._guard = self._guard, None
        assert guard is not None
        guard.send_signal(signal.SIGUSR1)
        guard.wait(STOP_S)

    def remove(self) -> None:
        """Removes the folder; it must not run."""
        assert not self.running
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_size(self) -> int:
        """Bytes of log so far: where what comes next begins."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log(self, begins_at: int = 0) -> str:
        """What it has logged from that byte on."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(begins_at)
            return log.read().decode(errors="replace")

    def log_tail(self, begins_at: int = 0) -> str:
        """The last lines of that, without the table that a start prints."""
        lines = [line for line in self.log(begins_at).splitlines() if line[:1] not in _TABLE_BORDERS]
        return "\n".join(lines[-TAIL_LINES:])

    def _spawn(self) -> None:
        ports = ("--port", str(self.port), "--rpc-port", str(self.rpc_port))
        devnet = ("devnet", *ports, "--data-dir", str(self.data_dir), "--no-bots", *self._arguments)
        command = (sys.executable, "-m", "exchange.cli", *devnet)
        guard = (sys.executable, "-m", "exchange.testing_devnet.guard", str(os.getpid()), str(self.folder))
        with self.log_path.open("ab") as log:
            self._guard = subprocess.Popen(  # noqa: S603 - our own program and arguments
                (*guard, *command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | self._environment,
            )

    def _wait_ready(self) -> bool:
        """False when it has ended."""
        assert self._guard is not None
        deadline = time.monotonic() + START_S
        while self._guard.poll() is None:
            with contextlib.suppress(OSError):
                status, _, _ = request("GET", f"{self.url}/v1/health/ready")
                if status == 200:
                    return self.running
            if time.monotonic() > deadline:
                self.stop()
                return False
            time.sleep(_POLL_S)
        return False


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])
