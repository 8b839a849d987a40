"""What a bot has in the book, told by two voices: the replies to its requests, and the stream of its orders.

The stream tells everything, each change once and in order, but perhaps a moment after the reply. What the bot
would plan in that moment would be planned on what was. So a reply says what is to be expected, and the bot
waits until the stream has said so too. Everything else comes from the stream alone, so it all fits together.
No I/O."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from decimal import Decimal

from exchange_sdk.models import Order

_ENDED_REMEMBERED = 10_000


class Standing:
    """One account's orders, from the moment on when it had the given ones."""

    def __init__(self, orders: Iterable[Order] = ()) -> None:
        self._open = {order.order_id: order for order in orders}
        self._expected: dict[str, Order] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._sold: defaultdict[str, Decimal] = defaultdict(Decimal)

    def in_market(self, symbol: str) -> list[Order]:
        """What a quoting bot takes for its quotes there: open limit orders that wait for no trigger."""
        return [
            order
            for order in self._open.values()
            if order.market == symbol and order.type == "limit" and order.trigger is None
        ]

    def sold(self, symbol: str) -> Decimal:
        """How much base was sold there since the beginning, less what was bought."""
        return self._sold[symbol]

    def take(self, order: Order) -> None:
        """What the stream says of an order."""
        before = self._open.get(order.order_id)
        filled = order.filled - (before.filled if before is not None else 0)
        if order.order_id not in self._ended:
            self._sold[order.market] += filled if order.side == "sell" else -filled
        if order.is_open:
            self._open[order.order_id] = order
            return
        self._open.pop(order.order_id, None)
        self._ended[order.order_id] = None
        if len(self._ended) > _ENDED_REMEMBERED:
            self._ended.popitem(last=False)

    def expect(self, order: Order) -> None:
        """What a reply says of an order."""
        self._expected[order.order_id] = order

    def forget_expected(self) -> None:
        """Expects nothing any more: what was told since is a new beginning."""
        self._expected.clear()

    @property
    def is_as_expected(self) -> bool:
        """Whether the stream has said everything that replies have."""
        self._expected = {
            order_id: order for order_id, order in self._expected.items() if not self._is_said(order)
        }
        return not self._expected

    def _is_said(self, order: Order) -> bool:
        if order.order_id in self._ended:
            return True
        known = self._open.get(order.order_id)
        if known is None or not order.is_open:
            return False
        return known.price == order.price and known.size == order.size
