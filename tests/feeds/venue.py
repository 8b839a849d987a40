"""An exchange in memory with feeds on it: the real core, the real committed view, batches as released."""

import asyncio
from collections.abc import Callable

from tests.core.random_commands import RandomCommands

from exchange.core.events import Trade
from exchange.feeds.errors import FeedUnavailable
from exchange.feeds.feeds import Feeds
from exchange.feeds.history import PastCandles, PastTrades
from exchange.feeds.keys import TopicKey
from exchange.feeds.trades import SNAPSHOT_TRADES, public
from exchange.feeds.updates import PublicTrade
from exchange.projections.candles import CandleRow, open_s
from exchange.projections.tickers import TickerRow, window_ms
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.row import Committed

SECOND_NS = 10**9


class FedExchange:
    """Random traffic of every kind, released to a view and its feeds batch by batch."""

    def __init__(self, seed: int) -> None:
        self.traffic = RandomCommands(seed)
        self.traffic.open()
        self.view = CommittedView("0x" + "11" * 32)
        self.trades: list[PublicTrade] = []
        """All that were released, oldest first."""
        self._released = 0
        self.release(None)
        self.history = JournalHistory(self)
        self.feeds = Feeds(self.view, self.history, lambda: self.traffic.time_ns)

    def release(self, feeds: Feeds | None) -> None:
        """Commits what was done since the last call, one batch for each time."""
        log = self.traffic.log
        while self._released < len(log):
            first, time_ns = self._released, log[self._released][0]
            events = []
            while self._released < len(log) and log[self._released][0] == time_ns:
                events.append(log[self._released][2])
                self._released += 1
                self.trades += [
                    public(event, self._released, time_ns) for event in events[-1] if type(event) is Trade
                ]
            self.view.advance(self._released, time_ns, events)
            if feeds is not None:
                feeds.committed(Committed(first + 1, self._released, time_ns, events))

    def run(self, commands: int) -> None:
        """Traffic, released."""
        self.traffic.steps(commands)
        self.release(self.feeds)

    def pass_time(self, seconds: int) -> None:
        """Nothing is done for so long; the clock knows."""
        self.traffic.time_ns += seconds * SECOND_NS

    def committed_trades(self) -> list[PublicTrade]:
        """All that were made, released or not."""
        return [
            public(event, seq, time_ns)
            for seq, (time_ns, _, events) in enumerate(self.traffic.log, start=1)
            for event in events
            if type(event) is Trade
        ]

    def of_market(self, market_id: int, seq: int | None = None) -> list[PublicTrade]:
        """The market's trades up to a seq."""
        until = self.view.seq if seq is None else seq
        return [trade for trade in self.trades if trade.market_id == market_id and trade.seq <= until]


class JournalHistory:
    """What ClickHouse would answer, computed from all trades; `lag` commands behind the exchange."""

    def __init__(self, venue: FedExchange) -> None:
        self._venue = venue
        self.lag = 0
        self.is_away = False
        self.is_stuck = False
        self.meanwhile: Callable[[], None] = lambda: None
        """Happens after the trades are read and before the reader has them."""
        self.is_ahead = False
        """It has what is committed already, though the view does not."""
        self.reads = 0

    async def trades(self, key: TopicKey, from_seq: int) -> PastTrades:
        seq = await self._seq(key, from_seq)
        return PastTrades(seq, self._trades(key, seq)[-SNAPSHOT_TRADES:])

    async def candles(self, key: TopicKey, from_seq: int) -> PastCandles:
        seq = await self._seq(key, from_seq)
        trades = self._trades(key, seq)
        return PastCandles(seq, candles_of(trades, key.interval)[-2:], trades[-1].seq if trades else 0)

    async def minutes(self, key: TopicKey, from_seq: int, now_ms: int) -> PastCandles:
        seq, from_ms = await self._seq(key, from_seq), window_ms(now_ms)[0]
        trades = self._trades(key, seq)
        before = [trade.price_ticks for trade in trades if trade.time_ns < from_ms * 1_000_000]
        minutes = [row for row in candles_of(trades, "1m") if row.open_ms >= from_ms]
        newest_seq = trades[-1].seq if minutes else 0
        return PastCandles(seq, minutes, newest_seq, before[-1] if before else None)

    def _trades(self, key: TopicKey, seq: int) -> list[PublicTrade]:
        trades = (
            self._venue.committed_trades() if self.is_ahead else self._venue.of_market(key.market_id, seq)
        )
        found = [trade for trade in trades if trade.market_id == key.market_id]
        self.meanwhile()
        return found

    async def _seq(self, key: TopicKey, from_seq: int) -> int:
        self.reads += 1
        if self.is_stuck:
            await asyncio.Event().wait()
        seq = self._venue.view.seq - self.lag
        if self.is_away or seq < from_seq:
            raise FeedUnavailable(key, "away")
        return seq


def candles_of(trades: list[PublicTrade], interval: str) -> list[CandleRow]:
    """Candles as anybody would compute them."""
    by_open: dict[int, list[PublicTrade]] = {}
    for trade in trades:
        by_open.setdefault(open_s(interval, trade.time_ns // SECOND_NS) * 1_000, []).append(trade)
    return [
        CandleRow(
            open_ms,
            of_interval[0].price_ticks,
            max(trade.price_ticks for trade in of_interval),
            min(trade.price_ticks for trade in of_interval),
            of_interval[-1].price_ticks,
            sum(trade.size_lots for trade in of_interval),
            sum(trade.base_atoms for trade in of_interval),
            sum(trade.quote_atoms for trade in of_interval),
            len(of_interval),
            of_interval[-1].trade_id,
        )
        for open_ms, of_interval in by_open.items()
    ]


def ticker_of(trades: list[PublicTrade], now_ns: int) -> TickerRow | None:
    """A ticker as anybody would compute it."""
    from_ms, to_ms = window_ms(now_ns // 1_000_000)
    if not trades:
        return None
    before = [trade for trade in trades if trade.time_ns < from_ms * 1_000_000]
    inside = trades[len(before) :]
    last = trades[-1]
    prices = [trade.price_ticks for trade in inside] or [last.price_ticks]
    return TickerRow(
        from_ms,
        to_ms,
        before[-1].price_ticks if before else inside[0].price_ticks,
        max(prices),
        min(prices),
        last.price_ticks,
        sum(trade.base_atoms for trade in inside),
        sum(trade.quote_atoms for trade in inside),
        len(inside),
        last.trade_id,
    )
