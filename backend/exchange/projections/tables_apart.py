"""The read tables, as the exchange's process sees them: another process keeps them up to date.

That one is started here, woken when something was committed and it has nothing to do, and started again,
after a pause, whenever it ends. Nobody waits for any of it but those who read.
"""

import asyncio
import subprocess
import sys
from contextlib import suppress

import asyncpg
import structlog

from exchange.journal.errors import HeadLost
from exchange.journal.progress import Progress as Reached
from exchange.journal.tail import Tail
from exchange.projections.postgres import FIRST_RETRY_S, LAST_RETRY_S, PostgresProjection
from exchange.projections.tables_messages import (
    Progress,
    Said,
    Started,
    Waiting,
    decode_message,
    encode_message,
)

PROCESS = (sys.executable, "-m", "exchange.projections.tables_process")
MAX_MESSAGE_BYTES = 2**20

log = structlog.get_logger()


class ReadTablesApart:
    """One process that keeps the tables up to date, for as long as `run` runs. `seq` is how far they are."""

    def __init__(self, pool: asyncpg.Pool, database_url: str, *, process: tuple[str, ...] = PROCESS) -> None:
        self._pool = pool
        self._first_line = encode_message(Started(database_url)) + b"\n"
        self._command = process
        self._reached = Reached()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_waiting = False
        self._notified = False

    @property
    def seq(self) -> int:
        """Everything up to here is in the tables, committed."""
        return self._reached.seq

    async def reached(self, seq: int, timeout_s: float) -> bool:
        """Waits until the tables are at `seq` or later; False when that takes longer than `timeout_s`."""
        return await self._reached.reached(seq, timeout_s)

    def notify(self) -> None:
        """Something was committed."""
        self._notified = True
        if self._is_waiting:
            self._wake()

    async def run(self) -> None:
        """Until cancelled, through every failure of the process and of the database.

        Raises HeadLost when the tables are ahead of the journal: then the journal has lost rows.
        """
        retry_s = FIRST_RETRY_S
        while True:
            try:
                before = PostgresProjection(self._pool, Tail(self._pool))
                await before.load()
                self._reached.set(before.seq)
                code = await self._follow()
                log.warning("read_tables_process_ended", code=code, seq=self.seq, retry_s=retry_s)
                if self.seq > before.seq:
                    retry_s = FIRST_RETRY_S
            except HeadLost:
                raise
            except Exception as error:
                log.warning("read_tables_stalled", seq=self.seq, retry_s=retry_s, error=repr(error))
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LAST_RETRY_S)

    async def _follow(self) -> int:
        """One process, from its start to its end; its exit code. Raises OSError, msgspec.DecodeError."""
        # In a thread, not by the loop: see `journal.child`.
        process = await asyncio.to_thread(self._spawn)
        try:
            self._process = process
            await self._listen(process)
        finally:
            self._process = None
            self._is_waiting = False
            process.kill()  # nothing happens when it has ended
            await asyncio.shield(asyncio.to_thread(process.wait))
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
        return process.returncode

    def _spawn(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 - our own program
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for us, and we end it then
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already: its exit code tells
            process.stdin.write(self._first_line)
        return process

    async def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Takes in what the process says, until it ends."""
        lines = asyncio.StreamReader(limit=MAX_MESSAGE_BYTES)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), process.stdout
        )
        try:
            while line := await lines.readline():
                self._take(line)
        finally:
            transport.close()

    def _take(self, line: bytes) -> None:
        match decode_message(line):
            case Progress(seq):
                self._reached.set(seq)
            case Waiting():
                self._is_waiting = True
                if self._notified:  # meanwhile, perhaps: it looks again
                    self._wake()
            case Said(level, event, fields):
                getattr(log, level)(event, **fields)

    def _wake(self) -> None:
        self._is_waiting = self._notified = False
        process = self._process
        if process is not None:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it is gone, which is found out elsewhere
                process.stdin.write(b"\n")
