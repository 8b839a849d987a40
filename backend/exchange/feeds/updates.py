"""What the streams say, typed: the edge turns each of these into bytes once, for everybody.

An update takes its reader from `prev_seq` to `seq`; without `prev_seq` it is a snapshot, all there is as of
`seq`. Time alone can change candles and tickers: such an update may have `seq` equal to `prev_seq`.
"""

import msgspec

from exchange.core.events import (
    DepositCredited,
    OrderEnded,
    Trade,
    WithdrawalRefunded,
    WithdrawalRequested,
    WithdrawalSettled,
)
from exchange.core.words import Side
from exchange.feeds.keys import TopicKey
from exchange.projections.candles import CandleRow
from exchange.projections.tickers import TickerRow
from exchange.sequencer.open_orders import OpenOrder

Level = tuple[int, int]
"""(price_ticks, size_lots); in an update 0 lots say that the level is gone."""


class _Data(msgspec.Struct, frozen=True, gc=False):
    pass


class BookData(_Data, frozen=True):
    """Levels, the best first: all, or those that may have changed. `checksum` is of the book after."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    checksum: int


class BboData(_Data, frozen=True):
    """The best levels; None for a side on which there is nothing."""

    bid: Level | None
    ask: Level | None


class PublicTrade(_Data, frozen=True):
    """A trade as everybody may see it; the fields of a row of the trades."""

    market_id: int
    trade_id: int
    seq: int
    time_ns: int
    price_ticks: int
    size_lots: int
    base_atoms: int
    quote_atoms: int
    taker_side: Side


class TradesData(_Data, frozen=True):
    """Oldest first."""

    trades: tuple[PublicTrade, ...]


class TickerData(_Data, frozen=True):
    """The last 24 hours of a market, [open_ms, close_ms), and its best levels.

    Without `row` it never had a trade.
    """

    row: TickerRow | None
    open_ms: int
    close_ms: int
    bid: Level | None
    ask: Level | None


class LiveCandle(_Data, frozen=True):
    """A candle with a trade in it. Once `closed`, nothing more will ever come into it."""

    candle: CandleRow
    closed: bool


class CandlesData(_Data, frozen=True):
    """Oldest first."""

    candles: tuple[LiveCandle, ...]


class OrderChange(_Data, frozen=True):
    """An order as a command left it; `ended` when it is open no more.

    `time_ns` is that command's. `quote_atoms` is what a market buy by amount may cost, as far as its
    acceptance is part of the same command, else 0.
    """

    order: OpenOrder
    ended: OrderEnded | None
    time_ns: int
    quote_atoms: int = 0


class OrdersData(_Data, frozen=True):
    """Those open, oldest first; or those that one command changed, in the order in which it did."""

    orders: tuple[OrderChange, ...]


class Fill(_Data, frozen=True):
    """The account's side of a trade."""

    trade: Trade
    is_maker: bool


class FillsData(_Data, frozen=True):
    """Of one command, in the order of its trades. A snapshot has none."""

    fills: tuple[Fill, ...]


class AssetBalance(_Data, frozen=True):
    """What the account has of an asset."""

    asset_id: int
    available_atoms: int
    held_atoms: int


class BalancesData(_Data, frozen=True):
    """By asset id: those that are not empty, or those that changed."""

    balances: tuple[AssetBalance, ...]


class DepositsData(_Data, frozen=True):
    """Credited by one command. A snapshot has none: what is on its way is on the chain only."""

    deposits: tuple[DepositCredited, ...]


class WithdrawalChange(_Data, frozen=True):
    """A withdrawal, from any of the owner's accounts, as a command left it; `ended` once it is.

    `requested_ns` is None when it was requested before anybody followed.
    """

    requested: WithdrawalRequested
    requested_ns: int | None
    ended: WithdrawalSettled | WithdrawalRefunded | None


class WithdrawalsData(_Data, frozen=True):
    """Those in flight, or those that one command changed."""

    withdrawals: tuple[WithdrawalChange, ...]


Data = (
    BookData
    | BboData
    | TradesData
    | TickerData
    | CandlesData
    | OrdersData
    | FillsData
    | BalancesData
    | DepositsData
    | WithdrawalsData
)


class Update(msgspec.Struct, frozen=True, gc=False):
    """One message of a topic. `time_ns` is the time of the command `seq`, or the clock's."""

    key: TopicKey
    seq: int
    prev_seq: int | None
    time_ns: int
    data: Data
