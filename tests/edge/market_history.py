"""Weeks of random trading through the real engine, under a clock of the test's own, and what follows from it.

What is expected is computed from the trades that REST gives, in decimals, by code that shares nothing with
the exchange's.
"""

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from tests.edge.harness import ETH, USDC, Exchange, running_exchange
from tests.projections.traffic import place

from exchange.core.commands import Command
from exchange.core.words import Side, TimeInForce
from exchange.stores.clickhouse import ClickHouse

SECOND_MS = 1_000
DAY_MS = 86_400_000
MONDAY_MS = -3 * DAY_MS
"""1970 began on a Thursday."""

INTERVAL_MS = {
    "1s": SECOND_MS,
    "1m": 60 * SECOND_MS,
    "5m": 300 * SECOND_MS,
    "15m": 900 * SECOND_MS,
    "30m": 1_800 * SECOND_MS,
    "1h": 3_600 * SECOND_MS,
    "4h": 14_400 * SECOND_MS,
    "1d": DAY_MS,
    "1w": 7 * DAY_MS,
}
STEPS_MS = (1, 300, 2_500, 40_000, 400_000, 3 * 3_600_000, 2 * DAY_MS)
"""How far the clock goes between two bursts of orders."""

MARKET = "/v1/markets/ETH-USDC"


@dataclass
class Wall:
    """A clock that goes when it is told to."""

    now_ns: int

    def __call__(self) -> int:
        return self.now_ns

    @property
    def now_ms(self) -> int:
        return self.now_ns // 1_000_000


@dataclass
class TradedMarket:
    """An exchange on which two accounts have traded, and its clock."""

    exchange: Exchange
    wall: Wall
    accounts: list[int] = field(default_factory=list)
    seq: int = 0

    @property
    def client(self) -> httpx.AsyncClient:
        return self.exchange.client

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        """The answer to a GET as of all trades so far; `from_` stands for `from`."""
        await self.caught_up()
        named = {name.rstrip("_"): value for name, value in params.items()}
        response = await self.client.get(path, params={"min_seq": self.seq, **named})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        assert answer["seq"] >= self.seq
        return answer

    async def caught_up(self) -> None:
        """Waits until ClickHouse has everything, longer than a request would."""
        market_data = self.exchange.edge.market_data
        assert market_data is not None
        assert await market_data.projection.reached(self.exchange.view.seq, 60)

    async def open(self) -> None:
        for number in (1, 2):
            owner = f"0x{number:040x}"
            await self.exchange.deposit(owner, ETH, 10**24)
            await self.exchange.deposit(owner, USDC, 10**15)
            account_id = self.exchange.view.account_id(owner)
            assert account_id is not None
            self.accounts.append(account_id)

    async def burst(self, rng: random.Random) -> None:
        """Some orders at one time, of which most trade."""
        orders: list[Command] = []
        for _ in range(rng.randint(1, 6)):
            price, size = rng.randint(299_000, 301_000), rng.randint(1, 50_000)
            account_ids = rng.sample(self.accounts, 2)
            time_in_force = rng.choice([TimeInForce.GTC, TimeInForce.IOC])
            for side, account_id in zip(rng.sample(list(Side), 2), account_ids, strict=True):
                order = place(account_id, side, price, size, time_in_force=time_in_force)
                orders.append(msgspec.structs.replace(order, expires_ns=self.wall.now_ns))
        outcomes = await self.exchange.sequencer.submit_batch(orders)
        self.seq = outcomes[-1].seq

    async def all_trades(self, rng: random.Random, **params: Any) -> list[dict[str, Any]]:
        """All trades of a range, oldest first, in pages of random length."""
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.get(f"{MARKET}/trades", limit=rng.randint(1, 500), **params, **cursor)
            items += page["items"]
            if page["next_cursor"] is None:
                return items[::-1]
            cursor = {"cursor": page["next_cursor"]}


@asynccontextmanager
async def traded_market(
    database_url: str, pool: asyncpg.Pool, clickhouse: ClickHouse, seed: int, bursts: int = 60
) -> AsyncIterator[TradedMarket]:
    """A market with some weeks of trades that end about now; of a time for which seconds are kept."""
    rng = random.Random(seed)
    wall = Wall((time.time_ns() // 10**9 - 25 * 86_400) * 10**9 + rng.randrange(10**9))
    start_ns = wall.now_ns
    async with running_exchange(database_url, pool, clickhouse, wall_ns=wall) as exchange:
        market = TradedMarket(exchange, wall)
        await market.open()
        for _ in range(bursts):
            await market.burst(rng)
            step_ns = rng.randrange(rng.choice(STEPS_MS) * 10**6) + 1
            if wall.now_ns + step_ns - start_ns < 25 * DAY_MS * 10**6:
                wall.now_ns += step_ns
        await market.caught_up()
        yield market


def count_reads(market: TradedMarket, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that are sent to ClickHouse from now on by the market's exchange."""
    market_data = market.exchange.edge.market_data
    assert market_data is not None
    query, sent = market_data.clickhouse.query, []

    async def counted(sql: str, *args: Any, **kwargs: Any) -> Any:
        if "count()" not in sql:  # the projection counts its trades now and then
            sent.append(sql)
        return await query(sql, *args, **kwargs)

    monkeypatch.setattr(market_data.clickhouse, "query", counted)
    return sent


def open_of(interval: str, time_ms: int) -> int:
    """When the interval begins that a time is in."""
    offset = MONDAY_MS if interval == "1w" else 0
    return (time_ms - offset) // INTERVAL_MS[interval] * INTERVAL_MS[interval] + offset


def candles_of(trades: list[dict[str, Any]], interval: str) -> list[dict[str, Any]]:
    """The candles of trades, oldest first, as REST should give them but with decimals for texts."""
    grouped: dict[int, list[dict[str, Any]]] = {}
    for trade in trades:
        grouped.setdefault(open_of(interval, trade["time_ms"]), []).append(trade)
    return [
        {
            "open_ms": open_ms,
            "open": Decimal(group[0]["price"]),
            "high": max(Decimal(trade["price"]) for trade in group),
            "low": min(Decimal(trade["price"]) for trade in group),
            "close": Decimal(group[-1]["price"]),
            "volume": sum(Decimal(trade["size"]) for trade in group),
            "quote_volume": sum(Decimal(trade["price"]) * Decimal(trade["size"]) for trade in group),
            "trades": len(group),
        }
        for open_ms, group in sorted(grouped.items())
    ]


def filled(candles: list[dict[str, Any]], interval: str, end_ms: int) -> list[dict[str, Any]]:
    """The candles with one for each interval between and after them that has none, to `end_ms`."""
    by_open = {candle["open_ms"]: candle for candle in candles}
    result: list[dict[str, Any]] = []
    for open_ms in range(candles[0]["open_ms"], end_ms, INTERVAL_MS[interval]) if candles else ():
        candle = by_open.get(open_ms)
        if candle is None:
            close = result[-1]["close"]
            flat = dict.fromkeys(("open", "high", "low", "close"), close)
            candle = {"open_ms": open_ms, **flat, "volume": 0, "quote_volume": 0, "trades": 0}
        result.append(candle)
    return result


def in_decimals(candles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Candles of an answer with decimals for texts."""
    return [
        {name: Decimal(value) if isinstance(value, str) else value for name, value in candle.items()}
        for candle in candles
    ]
