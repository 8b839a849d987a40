"""A simulated ClickHouse: the table of trades and the views over it, as far as the product asks about them.

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

from exchange.projections.candles import INTERVALS_S
from exchange.stores.errors import ClickHouseError, ClickHouseTimeout

_VIEWS = {"candles_1s": 1, "candles": 1, "account_volumes_daily": 2}
"""What is made of the trades, and how often each trade is in it."""


class ClickHouseServer:
    """What is stored, by block."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.blocks: list[tuple[str, list[tuple[Any, ...]]]] = []
        self.views = dict.fromkeys(_VIEWS, 0)
        self._tokens: set[str] = set()

    def insert(self, token: str, rows: Sequence[Sequence[Any]]) -> None:
        if token not in self._tokens:
            self._tokens.add(token)
            self.blocks.append((token, [tuple(row) for row in rows]))
            self._count(len(rows))

    def truncate(self, table: str) -> None:
        if table == "trades":
            self.blocks.clear()
            self._tokens.clear()
        else:
            self.views[table] = 0

    def trades(self) -> list[tuple[Any, ...]]:
        return [row for _, rows in self.blocks for row in rows]

    def crash(self) -> int:
        """Loses the newest blocks, now and then all; how many."""
        count = len(self.blocks) if self._random.random() < 0.2 else min(len(self.blocks), 2)
        for _ in range(count):
            token, rows = self.blocks.pop()
            self._tokens.discard(token)
            self._count(-len(rows))
        return count

    def _count(self, trades: int) -> None:
        for view, times in _VIEWS.items():
            self.views[view] += times * trades


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
        self, sql: str, parameters: object = None, *, timeout_s: float = 10.0, for_writer: bool = False
    ) -> list[tuple[Any, ...]]:
        await self._travel()
        if self._faults.happens("clickhouse_failed", 0.05):
            self._faults.note("clickhouse_failed")
            raise ClickHouseError("the simulated server fails")
        trades, views = self._server.trades(), self._server.views
        match sql:
            case "SELECT count(), sum(toUInt128(trade_id)) FROM trades":
                return [(len(trades), sum(row[1] for row in trades))]
            case str() if sql.startswith("SELECT (SELECT count() FROM trades),"):
                return [(len(trades), views["candles"], views["account_volumes_daily"])]
            case "SELECT interval_s, sum(trades) FROM candles GROUP BY interval_s":
                counted = views["candles"]
                return [(seconds, counted) for seconds in INTERVALS_S.values() if seconds > 1 and counted]
            case "SELECT sum(trades) FROM account_volumes_daily":
                return [(views["account_volumes_daily"],)]
            case "SELECT toUnixTimestamp(now())":
                return [(0,)]  # at which everything is recent
            case "SELECT sum(trades) FROM candles_1s WHERE open_s >= {since:Int64}":
                return [(views["candles_1s"],)]
            case "SELECT count() FROM trades WHERE time_ns >= {since:UInt64} * 1000000000":
                return [(len(trades),)]
        raise UnknownSql(sql, "of ClickHouse")

    async def truncate(self, table: str, *, timeout_s: float = 10.0) -> None:
        await self._travel()
        self._server.truncate(table)
        await self._travel()

    async def insert_columns(
        self,
        table: str,
        names: Sequence[str],
        columns: Sequence[Sequence[object]],
        *,
        token: str,
        types: Sequence[str] | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        assert table == "trades"
        assert names[1] == "trade_id"
        await self._travel()
        if self._faults.happens("clickhouse_failed", 0.05):
            self._faults.note("clickhouse_failed")
            raise ClickHouseError("the simulated server fails")
        # What was handed to the server is done, whether somebody still waits for it or not.
        self._server.insert(token, list(zip(*columns, strict=True)))
        if self._faults.happens("clickhouse_ambiguous", 0.05):
            self._faults.note("clickhouse_ambiguous")
            await asyncio.sleep(timeout_s)
            raise ClickHouseTimeout("an insert", timeout_s)
        await self._travel()
