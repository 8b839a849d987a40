"""The journal as the drill reads it: which orders, trades and balances its committed rows amount to.

A fold of its own over the events: apart from the core's table of movements, which gives held and available,
it takes no word of the engine, its views or its read tables, so it can contradict them.
"""

import dataclasses
from collections import defaultdict
from dataclasses import dataclass

import asyncpg

from exchange.core.accounts import FEES_ACCOUNT
from exchange.core.commands import PlaceOrder
from exchange.core.events import (
    AssetListed,
    DepositCredited,
    Event,
    MarketOpened,
    OrderAccepted,
    OrderEnded,
    OrderRested,
    Trade,
)
from exchange.core.markets import Market
from exchange.core.movements import movements
from exchange.core.words import Side
from exchange.journal.rows import READ_ROWS, JournalRow, decode_row

ROWS_PER_READ = 500
OPEN = "open"


@dataclass(slots=True)
class OrderHistory:
    """An order after everything that happened to it."""

    accepted: OrderAccepted
    remaining_lots: int
    status: str = OPEN
    ended_seq: int = 0
    times_ended: int = 0
    rested: bool = False


@dataclass(slots=True)
class TradeHistory:
    """A trade and the command that made it."""

    seq: int
    trade: Trade
    times: int = 1


class History:
    """Everything committed up to `seq`. `faults` are contradictions within the journal itself."""

    def __init__(self) -> None:
        self.seq = 0
        self.head_hash: bytes | None = None
        self.assets: dict[int, AssetListed] = {}
        self.markets: dict[int, Market] = {}
        self.orders: dict[int, OrderHistory] = {}
        self._open: dict[int, dict[int, OrderHistory]] = defaultdict(dict)
        self.order_ids: dict[tuple[int, str], list[int]] = defaultdict(list)
        """By account and client order id: more than one is a duplicate."""
        self.first_row: dict[tuple[int, str], int] = {}
        """First seq of the first row that has an order command of this account and client order id."""
        self.trades: dict[int, TradeHistory] = {}
        self.fills_of: dict[int, list[int]] = defaultdict(list)
        """Ids of the trades in which an order was the taker."""
        self.balances: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        """[available, held] atoms by account and asset."""
        self.totals: dict[tuple[int, int], int] = defaultdict(int)
        """The same, available and held together, from deposits and trades alone."""
        self.deposited: dict[int, int] = defaultdict(int)
        self.faults: list[str] = []

    def take(self, row: JournalRow) -> None:
        """Adds the next row."""
        if row.seq_first != self.seq + 1:
            self.faults.append(f"the journal goes from seq {self.seq} to {row.seq_first}")
        if self.head_hash is not None and row.hash_prev != self.head_hash:
            self.faults.append(f"the row of seq {row.seq_first} does not continue the row before")
        if not len(row.commands) == len(row.events) == row.seq_last - row.seq_first + 1:
            self.faults.append(f"the row of seq {row.seq_first} has not one list of events for each command")
        self.seq, self.head_hash = row.seq_last, row.hash
        for command in row.commands:
            if isinstance(command, PlaceOrder) and command.client_order_id is not None:
                self.first_row.setdefault((command.account_id, command.client_order_id), row.seq_first)
        for offset, events in enumerate(row.events):
            for event in events:
                self.happened(row.seq_first + offset, event)

    def happened(self, seq: int, event: Event) -> None:
        """Adds one event of the command `seq`."""
        match event:
            case AssetListed():
                self.assets[event.asset_id] = event
            case MarketOpened():
                self.markets[event.market_id] = _market(event)
            case OrderAccepted():
                self._accepted(seq, event)
            case OrderRested():
                self.orders[event.order_id].rested = True
            case OrderEnded():
                order = self.orders[event.order_id]
                order.status, order.ended_seq = event.reason, seq
                order.remaining_lots = event.remaining_lots
                order.times_ended += 1
                self._open[event.account_id].pop(event.order_id, None)
            case Trade():
                self._traded(seq, event)
            case DepositCredited():
                self.deposited[event.asset_id] += event.amount_atoms
                self.totals[event.account_id, event.asset_id] += event.amount_atoms
            case _:
                pass
        for account_id, asset_id, available_atoms, held_atoms in movements(event, self.markets):
            balance = self.balances[account_id, asset_id]
            balance[0] += available_atoms
            balance[1] += held_atoms

    def _accepted(self, seq: int, event: OrderAccepted) -> None:
        if event.order_id in self.orders:
            self.faults.append(f"order id {event.order_id} was given twice")
        if event.order_id != seq:
            self.faults.append(f"order {event.order_id} was accepted by command {seq}")
        order = OrderHistory(event, event.size_lots)
        self.orders[event.order_id] = order
        self._open[event.account_id][event.order_id] = order
        if event.client_order_id is not None:
            self.order_ids[event.account_id, event.client_order_id].append(event.order_id)

    def _traded(self, seq: int, trade: Trade) -> None:
        if trade.trade_id in self.trades:
            self.trades[trade.trade_id].times += 1
            return
        self.trades[trade.trade_id] = TradeHistory(seq, trade)
        self.fills_of[trade.taker_order_id].append(trade.trade_id)
        for order_id, remaining_lots in (
            (trade.maker_order_id, trade.maker_remaining_lots),
            (trade.taker_order_id, trade.taker_remaining_lots),
        ):
            order = self.orders[order_id]
            order.remaining_lots -= trade.size_lots
            if order.remaining_lots != remaining_lots or remaining_lots < 0:
                self.faults.append(f"trade {trade.trade_id} leaves {remaining_lots} lots of order {order_id}")
        market = self.markets[trade.market_id]
        taker_sign = 1 if trade.taker_side is Side.BUY else -1
        for account_id, sign, fee_atoms in (
            (trade.taker_account_id, taker_sign, trade.taker_fee_atoms),
            (trade.maker_account_id, -taker_sign, trade.maker_fee_atoms),
        ):
            self.totals[account_id, market.base_asset_id] += sign * trade.base_atoms
            self.totals[account_id, market.quote_asset_id] -= sign * trade.quote_atoms + fee_atoms
            self.totals[FEES_ACCOUNT, market.quote_asset_id] += fee_atoms

    def open_orders(self, account_id: int) -> dict[int, OrderHistory]:
        """The account's orders that have not ended."""
        return self._open[account_id]


def _market(event: MarketOpened) -> Market:
    return Market(**{field.name: getattr(event, field.name) for field in dataclasses.fields(Market)})


async def read_on(connection: asyncpg.Connection, history: History) -> None:
    """Adds the rows that were committed since."""
    while True:
        records = await connection.fetch(READ_ROWS, history.seq, ROWS_PER_READ)
        for record in records:
            history.take(decode_row(record))
        if len(records) < ROWS_PER_READ:
            return
