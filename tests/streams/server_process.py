"""An exchange with its streams in a process of its own: `python -m tests.streams.server_process URL`.

The URL is that of an empty migrated database. It prints one JSON line when it is ready, and one in answer to
each line of its input: `trade 20` is answered after 20 bursts of random trading are committed; anything else
ends it.
"""

import asyncio
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import uvloop
from tests.edge.harness import running_exchange
from tests.streams.serving import Streams, streaming

from exchange.edge.ws import limits
from exchange.stores.postgres import open_pool

FILES = 8_192
HEARTBEAT_S = 0.02
"""Often, so that many come while readers catch up."""


def allow_files() -> int:
    """Raises the limit of open files as far as it goes; how many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def tell(streams: Streams) -> None:
    line = {
        "pid": os.getpid(),
        "url": streams.url,
        "seq": streams.exchange.view.seq,
        "last_book_seq": streams.record.book_changed_seq,
        "memory_kib": streams.memory_kib(),
        "stalled": sum(not client.writable for client in streams.exchange.hub._clients),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def serve(database_url: str) -> None:
    pool = await open_pool(database_url, min_size=1, max_size=6)
    async with (
        running_exchange(database_url, pool, max_streams=FILES, tick_s=0.02) as exchange,
        streaming(exchange, seed=1, keeps_all=False) as streams,
    ):
        await streams.trade(20)
        tell(streams)
        while True:
            line = await asyncio.to_thread(sys.stdin.readline)
            if not line.startswith("trade "):
                break
            await streams.trade(int(line.split()[1]))
            tell(streams)
    pool.terminate()


class ServerProcess:
    """The other side of it, in the test."""

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self._process = process
        self.url: str = ready["url"]
        self.told = ready

    @classmethod
    async def start(cls, database_url: str) -> "ServerProcess":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.streams.server_process",
            database_url,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        assert line, "the server ended"
        return cls(process, json.loads(line))

    async def trade(self, bursts: int) -> dict[str, Any]:
        """Has it trade, and waits until that is committed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"trade {bursts}\n".encode())
        async with asyncio.timeout(60):
            line = await self._process.stdout.readline()
        assert line, "the server ended"
        self.told = json.loads(line)
        return self.told

    async def stop(self) -> int:
        """Ends it; its exit code."""
        if self._process.returncode is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                async with asyncio.timeout(20):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        return await self._process.wait()


if __name__ == "__main__":
    allow_files()
    limits.HEARTBEAT_S = HEARTBEAT_S
    uvloop.run(serve(sys.argv[1]))  # as the exchange does
