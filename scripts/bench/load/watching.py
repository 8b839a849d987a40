"""Looks at the exchange now and then while it is under load: its memory, and its own figures (`/metrics`)."""

import asyncio
import re
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from scripts.bench.usage import resident_mib

METRICS_TIMEOUT_S = 10.0
_PER_PROJECTION = re.compile(r'^exchange_projection_lag_(\w+)\{projection="(\w+)"\} (\S+)$', re.MULTILINE)
READ_TABLES, CLICKHOUSE = "read_tables", "clickhouse"


class Look(msgspec.Struct):
    """What there was to see at one moment. Lags by projection."""

    at_s: float
    """Since the watch began."""
    memory_mib: float
    lag_s: dict[str, float]
    lag_commands: dict[str, int]


class Watch:
    """Of one exchange, with all processes that belong to it."""

    def __init__(self, pids: list[int], metrics_url: str) -> None:
        self._pids = pids
        self._url = metrics_url
        self._began_s = time.monotonic()

    async def look(self) -> Look:
        """How it is now."""
        text = await asyncio.to_thread(self._read)
        lags: dict[str, dict[str, float]] = {"seconds": {}, "commands": {}}
        for unit, projection, value in _PER_PROJECTION.findall(text):
            lags[unit][projection] = float(value)
        memory_mib = sum(map(resident_mib, self._pids))
        commands = {name: int(value) for name, value in lags["commands"].items()}
        return Look(time.monotonic() - self._began_s, memory_mib, lags["seconds"], commands)

    async def caught_up(self, within: int, timeout_s: float) -> float:
        """Waits until no projection is more than so many commands behind; the seconds that took."""
        began_s = time.monotonic()
        while max((await self.look()).lag_commands.values()) > within:
            if time.monotonic() - began_s > timeout_s:
                raise TimeoutError(f"the projections are still behind after {timeout_s:g} s")
            await asyncio.sleep(0.1)
        return time.monotonic() - began_s

    @asynccontextmanager
    async def looking(self, every_s: float) -> AsyncIterator[list[Look]]:
        """Looks again and again for as long as this lasts; what it has seen so far."""
        looks: list[Look] = []
        self._began_s = time.monotonic()

        async def look_on() -> None:
            while True:
                looks.append(await self.look())
                await asyncio.sleep(every_s)

        task = asyncio.create_task(look_on())
        try:
            yield looks
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _read(self) -> str:
        with urllib.request.urlopen(self._url, timeout=METRICS_TIMEOUT_S) as response:
            text: str = response.read().decode()
            return text
