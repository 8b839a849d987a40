"""A subscriber as the hub serves it: a cursor, which gets what fits and catches up when it was away."""

import zlib
from dataclasses import dataclass, field

from exchange.core.events import DepositCredited, OrderEnded
from exchange.core.markets import Market
from exchange.feeds.topic import Topic
from exchange.feeds.updates import (
    AssetBalance,
    BalancesData,
    BboData,
    BookData,
    CandlesData,
    DepositsData,
    Fill,
    FillsData,
    LiveCandle,
    OrdersData,
    PublicTrade,
    TickerData,
    TradesData,
    Update,
    WithdrawalChange,
    WithdrawalsData,
)
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.open_orders import OpenOrder


def checksum_of(market: Market, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> int:
    """As docs/api/websocket.md says, from the whole book."""
    levels = [*bids[:25], *asks[:25]]
    text = ",".join(f"{market.format_price(price)}:{market.format_size(size)}" for price, size in levels)
    return zlib.crc32(text.encode()) & 0xFFFFFFFF


@dataclass
class Follower:
    """Reads a topic from a snapshot on; `stalled` ones get nothing until they catch up."""

    topic: Topic
    seq: int = -1
    stalled: bool = False
    snapshots: int = 0
    received: list[Update] = field(default_factory=list)
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    best: BboData | None = None
    trades: list[PublicTrade] = field(default_factory=list)
    orders: dict[int, OpenOrder] = field(default_factory=dict)
    ended: list[OrderEnded] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    balances: dict[int, AssetBalance] = field(default_factory=dict)
    deposits: list[DepositCredited] = field(default_factory=list)
    withdrawals: dict[str, WithdrawalChange] = field(default_factory=dict)
    candles: dict[int, LiveCandle] = field(default_factory=dict)
    ticker: TickerData | None = None

    def begin(self) -> None:
        self.snapshots += 1
        update = self.topic.snapshot()
        assert update.prev_seq is None
        self._take(update)

    def offer(self, update: Update) -> None:
        """What the hub does with a fresh update."""
        if not self.stalled and update.prev_seq == self.seq:
            self._take(update)

    def catch_up(self) -> None:
        """What the hub does for a subscriber that was stalled, or has come back."""
        self.stalled = False
        updates = self.topic.since(self.seq)
        if updates is None:
            self.begin()
            return
        for update in updates:
            assert update.prev_seq is not None
            assert update.prev_seq <= self.seq <= update.seq
            self._take(update)
        self.seq = self.topic.seq

    def _take(self, update: Update) -> None:
        self.received.append(update)
        self.seq = update.seq
        whole = update.prev_seq is None
        match update.data:
            case BookData(bids, asks):
                if whole:
                    self.bids, self.asks = dict(bids), dict(asks)
                else:
                    _set_levels(self.bids, bids)
                    _set_levels(self.asks, asks)
            case BboData():
                self.best = update.data
            case TradesData(trades):
                self.trades = [*trades] if whole else [*self.trades, *trades]
            case CandlesData(candles):
                self.candles = {} if whole else self.candles
                self.candles |= {live.candle.open_ms: live for live in candles}
            case TickerData():
                self.ticker = update.data
            case OrdersData(changes):
                self.orders = {} if whole else self.orders
                for change in changes:
                    self.orders[change.order.order_id] = change.order
                    if change.ended is not None:
                        del self.orders[change.order.order_id]
                        self.ended.append(change.ended)
            case FillsData(fills):
                self.fills += fills
            case BalancesData(balances):
                self.balances = {} if whole else self.balances
                self.balances |= {balance.asset_id: balance for balance in balances}
            case DepositsData(deposits):
                self.deposits += deposits
            case WithdrawalsData(withdrawals):
                self.withdrawals = {} if whole else self.withdrawals
                self.withdrawals |= {each.requested.withdrawal_id: each for each in withdrawals}

    # ---- comparisons with the view at the same seq

    def check_book(self, view: CommittedView) -> None:
        bids = sorted(self.bids.items(), reverse=True)
        asks = sorted(self.asks.items())
        assert (bids, asks) == view.depth(self.topic.key.market_id, None)
        last = self.received[-1].data
        assert isinstance(last, BookData)
        assert last.checksum == checksum_of(view.markets[self.topic.key.market_id], bids, asks)

    def check_orders(self, view: CommittedView) -> None:
        open_orders = view.open_orders(self.topic.key.account_id)
        assert self.orders == {order.order_id: order for order in open_orders}

    def check_balances(self, view: CommittedView) -> None:
        held = {
            asset_id: (balance.available_atoms, balance.held_atoms)
            for asset_id, balance in self.balances.items()
            if balance.available_atoms or balance.held_atoms
        }
        expected = view.balances(self.topic.key.account_id)
        assert held == {asset_id: (b.available_atoms, b.held_atoms) for asset_id, b in expected.items()}


def _set_levels(side: dict[int, int], levels: tuple[tuple[int, int], ...]) -> None:
    for price_ticks, size_lots in levels:
        if size_lots:
            side[price_ticks] = size_lots
        else:
            side.pop(price_ticks, None)
