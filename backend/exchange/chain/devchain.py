"""A local chain for development: one anvil process, its state in a file.

The process must never outlive the exchange, nor die without saving, however the exchange ends. So the real
binary is started (npm's `anvil` is a script that would stand between it and our signals), in a session of
its own (Ctrl-C reaches the exchange, which then stops it), and on Linux with a parent-death signal. A lock
on the state file is inherited by the process: a second one can not start before the first has saved.
"""

import asyncio
import contextlib
import fcntl
import os
import platform
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import structlog

from exchange.chain.dev_keys import DEV_CHAIN_ID, KEY_COUNT, MNEMONIC
from exchange.chain.errors import AnvilFailed, AnvilMissing, ChainError, ChainStateBusy, PortTaken
from exchange.chain.rpc import Rpc

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
LOCK_TIMEOUT_S = 10.0
SAVE_INTERVAL_S = 30
"""The whole chain is written each time, 1.6 kB a block; every end but a SIGKILL of anvil saves it too."""
HOST = "127.0.0.1"

# prctl(PR_SET_PDEATHSIG, SIGTERM), then become anvil; if the parent is gone already, end.
_LAUNCHER = """
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 15)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""

log = structlog.get_logger(__name__)


def find_anvil(project: Path) -> Path:
    """The real anvil binary: from `project`'s npm platform package, else from PATH. Raises AnvilMissing."""
    machine = platform.machine().lower()
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    package = f"anvil-{sys.platform}-{architecture}"
    packaged = project / "node_modules" / "@foundry-rs" / package / "bin" / "anvil"
    if packaged.is_file():
        return packaged
    found = shutil.which("anvil")
    if found is None:
        raise AnvilMissing(f"{packaged} and PATH")
    return Path(found)


class Anvil:
    """One anvil process on 127.0.0.1. Use as an async context manager, or `start` and `stop`.

    `block_time_s` None mines a block for each transaction. `state_path` None keeps nothing.
    """

    def __init__(
        self,
        binary: Path,
        port: int,
        state_path: Path | None = None,
        block_time_s: int | None = None,
        *,
        save_interval_s: int = SAVE_INTERVAL_S,
    ) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self._binary = binary
        self._state_path = state_path
        self._block_time_s = block_time_s
        self._save_interval_s = save_interval_s
        self._process: asyncio.subprocess.Process | None = None
        self._output: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Starts and waits until it answers. Raises PortTaken, ChainStateBusy, AnvilFailed, AnvilMissing."""
        assert self._process is None
        lock = await self._lock_state()
        try:
            _check_port(self.port)
            self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", "-c", _LAUNCHER, str(os.getpid()), str(self._binary)),
                *self._arguments(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=() if lock is None else (lock,),
                start_new_session=True,
            )
        finally:
            if lock is not None:
                os.close(lock)  # the process keeps it
        try:
            await self._wait_ready()
        except BaseException:
            await self.stop()
            raise
        log.info("anvil_started", port=self.port, pid=self.pid, block_time_s=self._block_time_s)

    async def stop(self) -> None:
        """Lets it save its state and end; kills it when it does not. Harmless when it is not running."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                log.error("anvil_killed", port=self.port)  # noqa: TRY400
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            log.info("anvil_stopped", port=self.port, exit_code=process.returncode)
        if self._output is not None:
            self._output.close()
            self._output = None

    async def wait(self) -> int:
        """Waits until the process ends by itself and answers with its exit code."""
        assert self._process is not None
        return await self._process.wait()

    def _arguments(self) -> list[str]:
        arguments = ["--quiet", "--host", HOST, "--port", str(self.port), "--chain-id", str(DEV_CHAIN_ID)]
        arguments += ["--mnemonic", MNEMONIC, "--accounts", str(KEY_COUNT)]
        arguments += ["--slots-in-an-epoch", "1"]  # finalized is two blocks behind, not two epochs
        if self._block_time_s is not None:
            arguments += ["--block-time", str(self._block_time_s)]
        if self._state_path is not None:
            arguments += ["--state", str(self._state_path), "--state-interval", str(self._save_interval_s)]
        return arguments

    async def _lock_state(self) -> int | None:
        if self._state_path is None:
            return None
        self._state_path.parent.mkdir(parents=True, exist_ok=True)
        path = self._state_path.with_name(self._state_path.name + ".lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise ChainStateBusy(str(self._state_path)) from None
                await asyncio.sleep(0.05)
            except BaseException:
                os.close(descriptor)
                raise
            else:
                return descriptor

    async def _wait_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        async with Rpc(self.url, timeout_s=2.0) as rpc:
            while True:
                if self._process.returncode is not None:
                    raise AnvilFailed(self._last_words())
                try:
                    await rpc.check_chain(DEV_CHAIN_ID)
                except ChainError as error:
                    if time.monotonic() > deadline:
                        raise AnvilFailed(str(error)) from error
                    await asyncio.sleep(0.01)
                else:
                    return

    def _last_words(self) -> str:
        assert self._output is not None
        self._output.seek(0)
        words = self._output.read()[-1_000:].decode(errors="replace").strip()
        if self._state_path is not None and "--state" in words:
            words += f" (the chain's state file {self._state_path} is broken; start over with --fresh)"
        return words or "it ended without a word"


def _check_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortTaken(port) from error
