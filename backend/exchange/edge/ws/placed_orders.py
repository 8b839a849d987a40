"""The orders that were placed over one connection, to be cancelled when that is lost."""

from exchange.core.events import OrderAccepted, OrderEnded, OrderKnown
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.open_orders import OpenOrder
from exchange.sequencer.sequencer import Outcome

LEAST_SWEPT = 1_000


class PlacedOrders:
    """Their ids, without those of orders that ended by what came over the connection. Of those that ended by
    themselves it is freed whenever there are twice as many ids as open orders, so there are never many more
    than the accounts may have open.
    """

    __slots__ = ("_ids", "_sweep_at", "_view")

    def __init__(self, view: CommittedView) -> None:
        self._view = view
        self._ids: dict[int, None] = {}
        self._sweep_at = LEAST_SWEPT

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, outcome: Outcome) -> None:
        """What became of a command; if it placed an order, or found it placed already, that is remembered."""
        first, last = outcome.events[0], outcome.events[-1]
        if type(first) is OrderAccepted or type(first) is OrderKnown:
            if type(last) is OrderEnded and last.order_id == first.order_id:
                return
            self._ids[first.order_id] = None
            if len(self._ids) >= self._sweep_at:
                self._sweep()
        elif type(first) is OrderEnded:
            self._ids.pop(first.order_id, None)

    def open(self) -> list[OpenOrder]:
        """Those that are open, as committed, in the order in which they were placed."""
        orders = map(self._view.open_order, self._ids)
        return [order for order in orders if order is not None]

    def _sweep(self) -> None:
        self._ids = {order.order_id: None for order in self.open()}
        self._sweep_at = max(LEAST_SWEPT, 2 * len(self._ids))
