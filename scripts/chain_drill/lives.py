"""The parent's side of the worker processes: starts lives, hears of what happens in them, ends them."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from scripts.chain_drill.faults import Fault
from scripts.chain_drill.worker import FENCED, Plan, Report

from exchange.config import REPOSITORY

START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 30.0


class LifeFailed(Exception):
    """A worker did not live or die as it should."""


class Life:
    """One worker process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.died_at: str | None = None
        self.status: int | None = None
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        # a handle, because a number may be another process's by the time it is used
        self._handle = os.pidfd_open(pid)

    def kill(self) -> None:
        """SIGKILL, whatever it does."""
        if not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    async def gone(self) -> None:
        """Waits for the end. Raises LifeFailed for one that nobody ordered."""
        async with asyncio.timeout(END_TIMEOUT_S):
            await self.ended.wait()
        if self.status not in (-signal.SIGKILL, FENCED):
            raise LifeFailed(f"the worker ended with {self.status}")

    def note_end(self, status: int) -> None:
        self.status = status
        os.close(self._handle)
        self.ended.set()


class Nursery:
    """Starts one life after another, through a process that has imported everything already."""

    def __init__(self, log_path: Path, note: Callable[[Fault], None]) -> None:
        self._log_path = log_path
        self._note = note
        self._process: asyncio.subprocess.Process | None = None
        self._reports: asyncio.Task[None] | None = None
        self._life: asyncio.Future[Life] | None = None

    async def __aenter__(self) -> Self:
        with self._log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "scripts.chain_drill.worker"),
                cwd=REPOSITORY,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self._reports = asyncio.create_task(self._hear())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, reports = self._process, self._reports
        assert process is not None
        assert reports is not None
        if process.returncode is None:
            process.kill()  # its child goes with it
        await process.wait()
        reports.cancel()
        await asyncio.gather(reports, return_exceptions=True)

    async def born(self, plan: Plan) -> Life:
        """A new life; the one before must have ended. Raises LifeFailed, TimeoutError."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        self._life = asyncio.get_running_loop().create_future()
        process.stdin.write(msgspec.json.encode(plan) + b"\n")
        async with asyncio.timeout(START_TIMEOUT_S):
            return await self._life

    def words(self) -> str:
        """The end of what the workers have written."""
        return self._log_path.read_text(errors="replace")[-6_000:]

    async def _hear(self) -> None:
        """Takes in the reports, until there are no more."""
        assert self._process is not None
        assert self._process.stdout is not None
        life: Life | None = None
        async for line in self._process.stdout:
            report = msgspec.json.decode(line, type=Report)
            if report.what == "started":
                life = Life(int(report.detail))
                assert self._life is not None
                self._life.set_result(life)
                continue
            if report.what == "fault":
                self._note(Fault(report.detail))
                continue
            assert life is not None
            if report.what == "ready":
                life.ready.set()
            elif report.what == "died":
                life.died_at = report.detail
            elif report.what == "ended":
                life.note_end(int(report.detail))
        if self._life is not None and not self._life.done():
            self._life.set_exception(LifeFailed("the process that starts the workers has ended"))
