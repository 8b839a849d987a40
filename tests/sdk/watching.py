"""A client of the SDK's streams, held against what is known to be true, whatever happens to its
connection."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from tests.edge.harness import Trader
from tests.sdk.chaos_proxy import ChaosProxy, chaos_proxy
from tests.streams.record import Record
from tests.streams.serving import MARKET

from exchange_sdk import Exchange, Wallet
from exchange_sdk.book import OrderBook
from exchange_sdk.models import Fill, Order, Trade
from exchange_sdk.notices import Gap, Live, Notice, Stale
from exchange_sdk.private_feeds import Fills, Orders
from exchange_sdk.stream import Stream
from exchange_sdk.subscriptions import Balances, LiveBbo, LiveBook, Subscription, Trades

SILENCE_S = 0.6
"""Heartbeats must come far more often."""

Levels = list[tuple[str, str]]


def as_text(book: LiveBook | OrderBook) -> tuple[Levels, Levels]:
    """Both sides as the exchange writes them."""
    bids, asks = book.depth()
    return (
        [(f"{level.price:f}", f"{level.size:f}") for level in bids],
        [(f"{level.price:f}", f"{level.size:f}") for level in asks],
    )


def at(by_seq: dict[int, Any], seq: int) -> Any:
    """What was recorded at the newest seq that is not above."""
    seqs = sorted(by_seq)
    return by_seq[seqs[bisect_right(seqs, seq) - 1]]


async def until(holds: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    """Waits until something is true."""
    try:
        async with asyncio.timeout(timeout_s):
            while not holds():  # noqa: ASYNC110 - what it waits for tells nobody
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"it never came true that {what}") from None


class Watcher:
    """Reads everything through a proxy of its own, and what is private twice, by readers that may be
    paused."""

    def __init__(self, record: Record, trader: Trader) -> None:
        self.record = record
        self.trader = trader
        self.trades: list[Trade] = []
        self.fills: list[Fill] = []
        self.other_fills: list[Fill] = []
        self.changes: list[Order] = []
        self.other_changes: list[Order] = []
        self.notices: dict[str, list[Notice]] = {}
        self.compared = 0
        self.proxy: ChaosProxy
        self.exchange: Exchange
        self.stream: Stream
        self.book: LiveBook
        self.bbo: LiveBbo
        self.market_trades: Trades
        self.orders: Orders
        self.my_fills: Fills
        self.balances: Balances
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.other_may_read = asyncio.Event()
        self.other_may_read.set()
        self._stack = AsyncExitStack()
        self._readers: list[asyncio.Task[None]] = []

    async def begin(self, url: str, **options: Any) -> None:
        """Connects and subscribes to everything."""
        enter = self._stack.enter_async_context
        self.proxy = await enter(chaos_proxy(url))
        self.exchange = await enter(Exchange(self.proxy.url, wallet=Wallet(self.trader.key)))
        options = {"silence_s": SILENCE_S, "first_delay_s": 0.01, "longest_delay_s": 0.1} | options
        self.stream = await enter(self.exchange.stream(**options))
        self.book = await self.stream.book(MARKET)
        self.bbo = await self.stream.bbo(MARKET)
        self.market_trades = await self.stream.trades(MARKET)
        self.orders = await self.stream.orders()
        self.my_fills = await self.stream.fills()
        self.balances = await self.stream.balances()
        other_orders, other_fills = await self.stream.orders(), await self.stream.fills()
        for reading in (
            self._read(self.may_read, self.book, lambda _: self._compare_book()),
            self._read(self.may_read, self.bbo, lambda _: None),
            self._read(self.may_read, self.market_trades, self.trades.append),
            self._read(self.may_read, self.orders, self.changes.append),
            self._read(self.may_read, self.my_fills, self.fills.append),
            self._read(self.may_read, self.balances, lambda _: self._compare_balances()),
            self._read(self.other_may_read, other_orders, self.other_changes.append),
            self._read(self.other_may_read, other_fills, self.other_fills.append),
        ):
            self._readers.append(asyncio.create_task(reading))

    async def end(self) -> None:
        await self._stack.aclose()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def require_sound(self) -> None:
        """Raises what a reader has found."""
        for reader in self._readers:
            if reader.done():
                reader.result()
                raise AssertionError("a subscription has ended")

    async def _read(
        self, may_read: asyncio.Event, subscription: Subscription[Any], take: Callable[[Any], None]
    ) -> None:
        notices: list[Notice] = []
        self.notices[f"{type(subscription).__name__} {len(self.notices)}"] = notices
        async for item in subscription.with_notices():
            await may_read.wait()
            if isinstance(item, Stale | Live | Gap):
                notices.append(item)
            else:
                take(item)

    # ---- what must be true at any time

    def _compare_book(self) -> None:
        assert self.book.seq is not None
        assert as_text(self.book) == at(self.record.depth, self.book.seq), f"another book at {self.book.seq}"
        self.compared += 1

    def _compare_balances(self) -> None:
        assert self.balances.seq is not None
        held = {
            asset: (f"{balance.available:f}", f"{balance.held:f}")
            for asset, balance in self.balances.by_asset.items()
        }
        assert held == at(self.record.balances[self.trader.account_id], self.balances.seq)
        self.compared += 1

    # ---- what must be true once nothing happens any more

    async def is_right(self) -> None:
        """All that it holds is what is true now, and it was told everything that is its own."""
        record, account_id = self.record, self.trader.account_id
        seq = max(record.depth)
        await until(
            lambda: self.book.is_live and as_text(self.book) == record.depth[seq], "the book is right"
        )
        open_ids = set(record.orders[account_id][seq])
        await until(
            lambda: self.orders.is_live and set(self.orders.open) == open_ids, "the open orders are right"
        )
        fills = [fill["trade_id"] for fill in record.fills_of(account_id, seq)]
        for told in (self.fills, self.other_fills):
            await until(lambda told=told: [fill.trade_id for fill in told] == fills, "each fill came once")
        for changes in (self.changes, self.other_changes):
            await until(
                lambda changes=changes: self._is_told_of_orders(changes, open_ids),
                "all orders came to their end",
            )
        best = [side[0] if side else None for side in record.depth[seq]]
        await until(lambda: self._best() == best, "the best prices are right")
        await until(lambda: self._has_newest_trade(seq), "the newest trade was told")
        self.require_sound()
        self._are_trades_right(seq)
        require_nothing_after_its_end(self.changes)
        require_nothing_after_its_end(self.other_changes)

    def _best(self) -> list[tuple[str, str] | None]:
        return [
            None if level is None else (f"{level.price:f}", f"{level.size:f}")
            for level in (self.bbo.value.bid, self.bbo.value.ask)
        ]

    def _has_newest_trade(self, seq: int) -> bool:
        recorded = self.record.trades_until(seq)
        return not recorded or (bool(self.trades) and self.trades[-1].trade_id == recorded[-1]["trade_id"])

    def _are_trades_right(self, seq: int) -> None:
        recorded = [trade["trade_id"] for trade in self.record.trades_until(seq)]
        told = [trade.trade_id for trade in self.trades]
        assert told == sorted(set(told), key=int), "each trade once, in order"
        notices = next(told for name, told in self.notices.items() if name.startswith("Trades"))
        if not any(isinstance(notice, Gap) for notice in notices):
            assert told == recorded, "trades are missing, and no Gap says so"

    def _is_told_of_orders(self, changes: list[Order], open_ids: set[str]) -> bool:
        newest = {order.order_id: order for order in changes}
        ended = {order_id for order_id, order in newest.items() if not order.is_open}
        told_open = newest.keys() - ended
        own = {order_id for order_id in self.record.ended if order_id in newest}
        return told_open == open_ids and ended == own


def require_nothing_after_its_end(changes: list[Order]) -> None:
    """What ended is not told of again."""
    ended: set[str] = set()
    for order in changes:
        assert order.order_id not in ended, f"order {order.order_id} was told of after its end"
        if not order.is_open:
            ended.add(order.order_id)
