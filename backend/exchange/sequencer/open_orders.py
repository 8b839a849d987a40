"""The orders' side of the committed view: every open order, and depth, as the events tell them.

An order is open from when it rests, or from its acceptance when it awaits a trigger, until it has ended. One
that trades as taker under the present command stands in no book for that long: new, or set free by its
trigger, or amended so that it lost its place. `OrderRested` or `OrderEnded` then says what became of it.
"""

from collections import defaultdict

import msgspec
from msgspec.structs import replace

from exchange.core.by_id import ById
from exchange.core.events import (
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderRested,
    OrderTriggered,
    SelfTradePrevented,
    Trade,
)
from exchange.core.orders import Order
from exchange.core.state import State
from exchange.core.words import OrderType, SelfTradePrevention, Side, TimeInForce, TriggerKind
from exchange.sequencer.depth import DepthSide

_BUY = Side.BUY


class OpenOrder(msgspec.Struct, frozen=True, gc=False):
    """An open order, as committed: in the book, or awaiting its trigger. Never changes under its reader."""

    order_id: int
    account_id: int
    market_id: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    self_trade_prevention: SelfTradePrevention
    price_ticks: int
    size_lots: int
    remaining_lots: int
    client_order_id: str | None
    created_ns: int
    good_till_ns: int
    """When it expires; 0 for never."""
    trigger: TriggerKind | None
    trigger_ticks: int
    awaiting_trigger: bool
    """Open and paid for, but in no depth yet."""


class _Depth:
    """Both sides of one market's book."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = DepthSide(Side.BUY)
        self.asks = DepthSide(Side.SELL)


class OpenOrders:
    """Open orders by id and by account, depth and last price by market. One method per event."""

    def __init__(self) -> None:
        self.time_ns = 0
        """Of the batch that is being folded in."""
        self._orders: ById[OpenOrder] = ById()
        self._ids_of: dict[int, dict[int, None]] = {}
        self._depth: defaultdict[int, _Depth] = defaultdict(_Depth)
        self._last_ticks: dict[int, int] = {}
        self._accepted: OrderAccepted | None = None
        self._prevented_lots = 0
        """What the order accepted last has lost of its size to the prevention of self-trades."""
        self._ended: dict[int, OpenOrder] = {}

    def load(self, state: State) -> None:
        """Takes over, when there is nothing yet, what is open in the core's state."""
        assert not self._orders
        for order_id in sorted(state.orders):
            order = state.orders[order_id]
            self._open(_as_committed(order))
            if not order.awaiting_trigger:
                self._add_depth(order.market_id, order.side, order.price_ticks, order.remaining_lots)
        for market_id, book in state.books.items():
            if book.last_ticks:
                self._last_ticks[market_id] = book.last_ticks

    # ---- reads

    def get(self, order_id: int) -> OpenOrder | None:
        return self._orders.get(order_id)

    def ended(self, order_id: int) -> OpenOrder | None:
        """An order that was open and ended in the newest batch, as it was right before it ended."""
        return self._ended.get(order_id)

    def of_account(self, account_id: int) -> list[OpenOrder]:
        """The account's open orders, oldest first."""
        orders = self._orders
        return [orders[order_id] for order_id in self._ids_of.get(account_id, ())]

    def depth(
        self, market_id: int, levels: int | None
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bids and asks as (price_ticks, size_lots), the best first, at most `levels` (None: all) a side."""
        depth = self._depth.get(market_id)
        return ([], []) if depth is None else (depth.bids.best(levels), depth.asks.best(levels))

    def grouped_depth(
        self, market_id: int, step_ticks: int, groups: int, max_levels: int
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bids and asks by steps of price, at most `groups` a side. Raises GroupTooWide."""
        depth = self._depth.get(market_id)
        if depth is None:
            return [], []
        bids = depth.bids.grouped(step_ticks, groups, max_levels)
        return bids, depth.asks.grouped(step_ticks, groups, max_levels)

    def last_ticks(self, market_id: int) -> int | None:
        """Price of the market's last trade, None before the first."""
        return self._last_ticks.get(market_id)

    def size_at(self, market_id: int, side: Side, price_ticks: int) -> int:
        """Lots at one price of one side of a book."""
        depth = self._depth[market_id]
        return (depth.bids if side is _BUY else depth.asks).size_at(price_ticks)

    def watch_depth(self, market_id: int) -> None:
        """Collects from now on the prices at which the market's depth changes."""
        depth = self._depth[market_id]
        depth.bids.touched, depth.asks.touched = set(), set()

    def unwatch_depth(self, market_id: int) -> None:
        depth = self._depth[market_id]
        depth.bids.touched = depth.asks.touched = None

    def take_touched(self, market_id: int) -> tuple[set[int], set[int]]:
        """Prices of bids and of asks collected since the last call, of a market that is watched."""
        depth = self._depth[market_id]
        bids, asks = depth.bids.touched, depth.asks.touched
        assert bids is not None
        assert asks is not None
        depth.bids.touched, depth.asks.touched = set(), set()
        return bids, asks

    # ---- the fold

    def begin(self, time_ns: int) -> None:
        """What follows is a batch of this time."""
        self.time_ns = time_ns
        self._ended.clear()

    def accept(self, event: OrderAccepted) -> None:
        self._accepted = event
        self._prevented_lots = 0
        if event.trigger is not None:
            self._open(_newly_open(event, event.size_lots, event.size_lots, self.time_ns))

    def trigger(self, event: OrderTriggered) -> None:
        order = self._orders[event.order_id]
        self._orders[event.order_id] = replace(order, awaiting_trigger=False)

    def amend(self, event: OrderAmended) -> None:
        order = self._orders[event.order_id]
        if not order.awaiting_trigger:
            self._add_depth(order.market_id, order.side, order.price_ticks, -order.remaining_lots)
            if event.kept_priority:
                self._add_depth(order.market_id, order.side, event.price_ticks, event.remaining_lots)
        self._orders[event.order_id] = replace(
            order,
            price_ticks=event.price_ticks,
            size_lots=event.size_lots,
            remaining_lots=event.remaining_lots,
        )

    def rest(self, event: OrderRested) -> None:
        remaining_lots = event.remaining_lots
        order = self._orders.get(event.order_id)
        if order is None:
            accepted = self._accepted
            assert accepted is not None
            assert accepted.order_id == event.order_id
            size_lots = accepted.size_lots - self._prevented_lots
            self._open(_newly_open(accepted, size_lots, remaining_lots, self.time_ns))
        else:
            self._orders[event.order_id] = replace(order, remaining_lots=remaining_lots)
        self._add_depth(event.market_id, event.side, event.price_ticks, remaining_lots)

    def fill(self, trade: Trade) -> None:
        """The maker's part: the taker's is told by what follows."""
        market_id = trade.market_id
        self._last_ticks[market_id] = trade.price_ticks
        depth = self._depth[market_id]
        makers = depth.asks if trade.taker_side is _BUY else depth.bids
        makers.add(trade.price_ticks, -trade.size_lots)
        if trade.maker_remaining_lots:  # else it ends at once
            maker_id = trade.maker_order_id
            orders = self._orders
            orders[maker_id] = replace(orders[maker_id], remaining_lots=trade.maker_remaining_lots)

    def prevent(self, event: SelfTradePrevented) -> None:
        """A self-trade made both orders smaller."""
        maker = self._orders[event.maker_order_id]
        self._orders[event.maker_order_id] = replace(
            maker, size_lots=maker.size_lots - event.size_lots, remaining_lots=event.maker_remaining_lots
        )
        self._add_depth(maker.market_id, maker.side, maker.price_ticks, -event.size_lots)
        taker = self._orders.get(event.taker_order_id)
        if taker is None:
            self._prevented_lots += event.size_lots
        else:
            self._orders[event.taker_order_id] = replace(taker, size_lots=taker.size_lots - event.size_lots)

    def end(self, event: OrderEnded) -> None:
        order = self._orders.pop(event.order_id)
        if order is None:
            assert not event.was_resting
            return
        self._ended[event.order_id] = order
        del self._ids_of[event.account_id][event.order_id]
        if event.was_resting and event.remaining_lots:
            self._add_depth(event.market_id, event.side, event.price_ticks, -event.remaining_lots)

    def _open(self, order: OpenOrder) -> None:
        self._orders[order.order_id] = order
        ids = self._ids_of.get(order.account_id)
        if ids is None:
            ids = self._ids_of[order.account_id] = {}
        ids[order.order_id] = None

    def _add_depth(self, market_id: int, side: Side, price_ticks: int, size_lots: int) -> None:
        depth = self._depth[market_id]
        (depth.bids if side is _BUY else depth.asks).add(price_ticks, size_lots)


def _newly_open(accepted: OrderAccepted, size_lots: int, remaining_lots: int, time_ns: int) -> OpenOrder:
    """By position: made for every order that rests."""
    return OpenOrder(
        accepted.order_id,
        accepted.account_id,
        accepted.market_id,
        accepted.side,
        accepted.order_type,
        accepted.time_in_force,
        accepted.self_trade_prevention,
        accepted.price_ticks,
        size_lots,
        remaining_lots,
        accepted.client_order_id,
        time_ns,
        accepted.good_till_ns,
        accepted.trigger,
        accepted.trigger_ticks,
        accepted.trigger is not None,
    )


def _as_committed(order: Order) -> OpenOrder:
    """By position, as above."""
    return OpenOrder(
        order.order_id,
        order.account.account_id,
        order.market_id,
        order.side,
        order.order_type,
        order.time_in_force,
        order.self_trade_prevention,
        order.price_ticks,
        order.size_lots,
        order.remaining_lots,
        order.client_order_id,
        order.created_ns,
        order.good_till_ns,
        order.trigger,
        order.trigger_ticks,
        order.awaiting_trigger,
    )
