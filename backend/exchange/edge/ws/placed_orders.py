"""The orders that were placed over one connection, to be cancelled when that is lost."""

from exchange.core.events import OrderAccepted, OrderKnown
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.open_orders import OpenOrder
from exchange.sequencer.sequencer import Outcome

LEAST_SWEPT = 1_000


class PlacedOrders:
    """Their ids. Those of orders that have ended are swept out whenever there are twice as many as open ones,
    so there are never many more than the accounts may have open.
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
        first = outcome.events[0]
        if type(first) is OrderAccepted or type(first) is OrderKnown:
            self._ids[first.order_id] = None
            if len(self._ids) >= self._sweep_at:
                self._sweep()

    def open(self) -> list[OpenOrder]:
        """Those that are open, as committed, in the order in which they were placed."""
        orders = map(self._view.open_order, self._ids)
        return [order for order in orders if order is not None]

    def _sweep(self) -> None:
        self._ids = {order.order_id: None for order in self.open()}
        self._sweep_at = max(LEAST_SWEPT, 2 * len(self._ids))
