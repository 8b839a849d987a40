"""A simulated ClickHouse: one table of trades and its candles, as far as the product asks about them.

An insert is whole or not at all and is dropped when its token was seen before. Nothing is on the disk for
sure: a crash may lose the newest blocks, or everything.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.sim.faults import Faults
from tests.sim.loop import Host, HostGone
from tests.sim.syntax import UnknownSql

from exchange.stores.errors import ClickHouseError, ClickHouseTimeout

_TRADES_TOTAL = "SELECT count(), sum(toUInt128(trade_id)) FROM trades"
_CANDLES_TOTAL = "SELECT sum(trades) FROM candles_1m"


class ClickHouseServer:
    """What is stored, by block."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.blocks: list[tuple[str, list[tuple[Any, ...]]]] = []
        self.candles = 0
        self._tokens: set[str] = set()

    def insert(self, token: str, rows: Sequence[Sequence[Any]]) -> None:
        if token not in self._tokens:
            self._tokens.add(token)
            self.blocks.append((token, [tuple(row) for row in rows]))
            self.candles += len(rows)

    def truncate(self, table: str) -> None:
        if table == "trades":
            self.blocks.clear()
            self._tokens.clear()
        else:
            self.candles = 0

    def trades(self) -> list[tuple[Any, ...]]:
        return [row for _, rows in self.blocks for row in rows]

    def crash(self) -> int:
        """Loses the newest blocks, now and then all; how many."""
        count = len(self.blocks) if self._random.random() < 0.2 else min(len(self.blocks), 2)
        for _ in range(count):
            token, rows = self.blocks.pop()
            self._tokens.discard(token)
            self.candles -= len(rows)
        return count


class SimClickHouse:
    """The product's `ClickHouse`, for one process."""

    def __init__(self, server: ClickHouseServer, host: Host, random: Random, faults: Faults) -> None:
        self._server = server
        self._host = host
        self._random = random
        self._faults = faults

    async def _travel(self) -> None:
        if not self._host.alive:
            raise HostGone
        await asyncio.sleep(0.001 + self._random.random() * 0.01)

    async def migrate(self) -> None:
        await self._travel()

    async def query(
        self, sql: str, parameters: object = None, *, timeout_s: float = 10.0
    ) -> list[tuple[Any, ...]]:
        await self._travel()
        if self._faults.happens("clickhouse_failed", 0.05):
            self._faults.note("clickhouse_failed")
            raise ClickHouseError("the simulated server fails")
        if sql == _TRADES_TOTAL:
            trades = self._server.trades()
            return [(len(trades), sum(row[1] for row in trades))]
        if sql == _CANDLES_TOTAL:
            return [(self._server.candles,)]
        raise UnknownSql(sql, "of ClickHouse")

    async def command(self, sql: str, *, timeout_s: float = 10.0) -> None:
        await self._travel()
        words = sql.split()
        if words[:2] != ["TRUNCATE", "TABLE"]:
            raise UnknownSql(sql, "of ClickHouse")
        self._server.truncate(words[2])
        await self._travel()

    async def insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        token: str,
        timeout_s: float = 10.0,
    ) -> None:
        assert table == "trades"
        assert columns[1] == "trade_id"
        await self._travel()
        if self._faults.happens("clickhouse_failed", 0.05):
            self._faults.note("clickhouse_failed")
            raise ClickHouseError("the simulated server fails")
        # What was handed to the server is done, whether somebody still waits for it or not.
        self._server.insert(token, rows)
        if self._faults.happens("clickhouse_ambiguous", 0.05):
            self._faults.note("clickhouse_ambiguous")
            await asyncio.sleep(timeout_s)
            raise ClickHouseTimeout("an insert", timeout_s)
        await self._travel()
