"""What streams continue from: the trades and candles in ClickHouse, and up to where it has them all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from exchange.core.words import Side
from exchange.feeds.errors import FeedUnavailable
from exchange.feeds.keys import TopicKey
from exchange.feeds.trades import SNAPSHOT_TRADES
from exchange.feeds.updates import PublicTrade
from exchange.projections.candles import CandleRow, candles
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.tickers import minute_candles
from exchange.projections.trades import trades_page
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.errors import ClickHouseError

FOLLOW_TIMEOUT_S = 2.0
"""How long ClickHouse may take to be as new as is needed."""
SHOWN_CANDLES = 2


@dataclass(frozen=True, slots=True)
class PastTrades:
    """The newest trades of a market, oldest first, and nothing missing up to `seq`."""

    seq: int
    trades: list[PublicTrade]


@dataclass(frozen=True, slots=True)
class PastCandles:
    """Candles of a market, oldest first, and no trade missing up to `seq`.

    `newest_seq` is that of the last trade in them, 0 without: later than `seq` where ClickHouse went on while
    it was read, even later than what the engine has answered. `before_ticks` is the price of the last trade
    before them, where that was asked for and there was one.
    """

    seq: int
    candles: list[CandleRow]
    newest_seq: int
    before_ticks: int | None = None

    @property
    def last_trade_id(self) -> int:
        return self.candles[-1].last_trade_id if self.candles else 0


class History(Protocol):
    """Each read waits a while until `from_seq` is there. Raises FeedUnavailable."""

    async def trades(self, key: TopicKey, from_seq: int) -> PastTrades:
        """The newest trades of the key's market."""

    async def candles(self, key: TopicKey, from_seq: int) -> PastCandles:
        """The newest candles of the key's market and interval."""

    async def minutes(self, key: TopicKey, from_seq: int, now_ms: int) -> PastCandles:
        """The one-minute candles of the ticker's window at `now_ms`, in the key's market."""


class ClickHouseHistory:
    """The history that the projection keeps."""

    def __init__(self, clickhouse: ClickHouse, projection: ClickHouseProjection) -> None:
        self._clickhouse = clickhouse
        self._projection = projection

    async def trades(self, key: TopicKey, from_seq: int) -> PastTrades:
        async with self._reading(key, from_seq) as seq:
            page = await trades_page(self._clickhouse, seq, key.market_id, limit=SNAPSHOT_TRADES)
        newest = [
            PublicTrade(
                row.market_id,
                row.trade_id,
                row.seq,
                row.time_ns,
                row.price_ticks,
                row.size_lots,
                row.base_atoms,
                row.quote_atoms,
                Side(row.taker_side),
            )
            for row in page.items
        ]
        return PastTrades(seq, newest[::-1])

    async def candles(self, key: TopicKey, from_seq: int) -> PastCandles:
        async with self._reading(key, from_seq) as seq:
            found = await candles(self._clickhouse, seq, key.market_id, key.interval, limit=SHOWN_CANDLES)
            newest_seq = await self._newest_seq(key, found.items)
        return PastCandles(seq, found.items, newest_seq)

    async def minutes(self, key: TopicKey, from_seq: int, now_ms: int) -> PastCandles:
        market_id = key.market_id
        async with self._reading(key, from_seq) as seq:
            found = await minute_candles(self._clickhouse, seq, [market_id], now_ms)
            minutes = found.items.get(market_id, [])
            newest_seq = await self._newest_seq(key, minutes)
        return PastCandles(seq, minutes, newest_seq, found.before_ticks.get(market_id))

    async def _newest_seq(self, key: TopicKey, read: list[CandleRow]) -> int:
        """The seq of the last trade in the candles. Raises FeedUnavailable, ClickHouseError."""
        if not read:
            return 0
        trade_id = read[-1].last_trade_id
        page = await trades_page(self._clickhouse, 0, key.market_id, before=(trade_id + 1,), limit=1)
        if not page.items or page.items[0].trade_id != trade_id:
            raise FeedUnavailable(key, "ClickHouse has the newest trades in a part of its tables only")
        return page.items[0].seq

    @asynccontextmanager
    async def _reading(self, key: TopicKey, from_seq: int) -> AsyncIterator[int]:
        """Gives the seq up to which what is read is complete, `from_seq` at least. Raises FeedUnavailable."""
        projection = self._projection
        if not await projection.reached(from_seq, FOLLOW_TIMEOUT_S):
            raise FeedUnavailable(key, "ClickHouse is too far behind")
        seq, filling = projection.seq, projection.fillings
        try:
            yield seq
        except (ClickHouseError, TimeoutError) as error:
            raise FeedUnavailable(key, "ClickHouse does not answer") from error
        if projection.fillings != filling:
            raise FeedUnavailable(key, "ClickHouse is being filled again")
