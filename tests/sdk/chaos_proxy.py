"""A TCP proxy between the SDK and the exchange, which does to connections what networks do.

It can be told to cut all connections like a cable, to let nothing through while they stay open, to be slow,
to cut in the middle of what the exchange sends, and to refuse new ones. Its upstream may change, as when an
exchange starts again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

PIECE_BYTES = 4_096


class ChaosProxy:
    """Listens on a port of its own, for as long as `chaos_proxy` lasts."""

    def __init__(self, upstream_url: str) -> None:
        self.upstream_url = upstream_url
        self.port = 0
        self.refuses = False
        """New connections are closed at once."""
        self.delay_s = 0.0
        """Before each piece that the exchange sends is passed on."""
        self.cuts_after_bytes: int | None = None
        """So many bytes of the exchange are passed on yet, then everything is cut."""
        self.connections = 0
        """How many there have been."""
        self._open: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._answers_flow = asyncio.Event()
        self._answers_flow.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """All connections are lost, on both sides, without a word."""
        for writer in list(self._open):
            writer.transport.abort()

    def freeze(self) -> None:
        """Nothing goes through any more; connections stay open, and new ones are taken."""
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def hold_answers(self) -> None:
        """What the clients send goes through; nothing comes back."""
        self._answers_flow.clear()

    def let_answers(self) -> None:
        self._answers_flow.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        if self.refuses:
            writer.transport.abort()
            return
        address = urlsplit(self.upstream_url)
        try:
            upstream = await asyncio.open_connection(address.hostname, address.port)
        except OSError:
            writer.transport.abort()
            return
        self.connections += 1
        writers = (writer, upstream[1])
        self._open.update(writers)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_on(reader, upstream[1]))
                tasks.create_task(self._answer(upstream[0], writer))
        except* OSError:
            pass
        finally:
            self._open.difference_update(writers)
            for each in writers:
                each.transport.abort()

    async def _send_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE_BYTES):
            await self._flows.wait()
            writer.write(piece)
            await writer.drain()
        writer.write_eof()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE_BYTES):
            await self._flows.wait()
            await self._answers_flow.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if self.cuts_after_bytes is not None:
                piece = piece[: self.cuts_after_bytes]
                self.cuts_after_bytes -= len(piece)
            writer.write(piece)
            await writer.drain()
            if self.cuts_after_bytes == 0:
                self.cuts_after_bytes = None
                self.cut()
        writer.write_eof()


@contextlib.asynccontextmanager
async def chaos_proxy(upstream_url: str) -> AsyncIterator[ChaosProxy]:
    """Starts one before the exchange at this URL."""
    proxy = ChaosProxy(upstream_url)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.thaw()
        proxy.cut()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
