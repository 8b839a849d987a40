"""An account's orders, command by command.

The committed view is ahead of the command that is folded here, by up to some batches, so the orders are kept
once more: for accounts that are followed, from the view's as of the topic's beginning.
"""

from collections.abc import Callable

from msgspec.structs import replace

from exchange.core.events import (
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderRested,
    OrderTriggered,
    SelfTradePrevented,
    Trade,
)
from exchange.feeds.keys import TopicKey
from exchange.feeds.message_log import Memory, MessageLog
from exchange.feeds.topic import Outgoing
from exchange.feeds.updates import OrderChange, OrdersData
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.open_orders import OpenOrder


class OrdersTopic(MessageLog):
    """The orders of one account. Its methods take the events that concern it, `flush` ends each command."""

    def __init__(
        self,
        key: TopicKey,
        view: CommittedView,
        outgoing: Outgoing,
        settle: Callable[[], None],
        memory: Memory,
    ) -> None:
        super().__init__(key, view, outgoing, settle, memory)
        self._open = {order.order_id: order for order in view.open_orders(key.account_id)}
        self._changed: dict[int, tuple[OpenOrder, OrderEnded | None]] = {}
        self._accepted: dict[int, int] = {}
        """`quote_atoms` of the orders that the present command has accepted."""

    def accept(self, event: OrderAccepted, time_ns: int) -> None:
        self._accepted[event.order_id] = event.quote_atoms
        self._set(
            OpenOrder(
                event.order_id,
                event.account_id,
                event.market_id,
                event.side,
                event.order_type,
                event.time_in_force,
                event.self_trade_prevention,
                event.price_ticks,
                event.size_lots,
                event.size_lots,
                event.client_order_id,
                time_ns,
                event.good_till_ns,
                event.trigger,
                event.trigger_ticks,
                event.trigger is not None,
            )
        )

    def rest(self, event: OrderRested) -> None:
        self._remain(event.order_id, event.remaining_lots)

    def fill_maker(self, trade: Trade) -> None:
        self._remain(trade.maker_order_id, trade.maker_remaining_lots)

    def fill_taker(self, trade: Trade) -> None:
        self._remain(trade.taker_order_id, trade.taker_remaining_lots)

    def prevent_maker(self, event: SelfTradePrevented) -> None:
        self._shrink(event.maker_order_id, event.size_lots, event.maker_remaining_lots)

    def prevent_taker(self, event: SelfTradePrevented) -> None:
        self._shrink(event.taker_order_id, event.size_lots, event.taker_remaining_lots)

    def trigger(self, event: OrderTriggered) -> None:
        self._set(replace(self._open[event.order_id], awaiting_trigger=False))

    def amend(self, event: OrderAmended) -> None:
        self._set(
            replace(
                self._open[event.order_id],
                price_ticks=event.price_ticks,
                size_lots=event.size_lots,
                remaining_lots=event.remaining_lots,
            )
        )

    def end(self, event: OrderEnded) -> None:
        order = self._open.pop(event.order_id)
        self._changed[event.order_id] = replace(order, remaining_lots=event.remaining_lots), event

    def _remain(self, order_id: int, remaining_lots: int) -> None:
        self._set(replace(self._open[order_id], remaining_lots=remaining_lots))

    def _shrink(self, order_id: int, lost_lots: int, remaining_lots: int) -> None:
        order = self._open[order_id]
        self._set(replace(order, size_lots=order.size_lots - lost_lots, remaining_lots=remaining_lots))

    def _set(self, order: OpenOrder) -> None:
        self._open[order.order_id] = order
        self._changed[order.order_id] = order, None

    def _take(self, time_ns: int) -> OrdersData:
        changes = tuple(
            OrderChange(order, ended, time_ns, self._accepted.get(order_id, 0))
            for order_id, (order, ended) in self._changed.items()
        )
        self._changed.clear()
        self._accepted.clear()
        return OrdersData(changes)

    def _state(self) -> OrdersData:
        orders = sorted(self._open.values(), key=lambda order: order.order_id)
        return OrdersData(tuple(OrderChange(order, None, order.created_ns) for order in orders))
