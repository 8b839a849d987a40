"""From the orders that stand to the quotes that shall: few changes, in an order in which none is in the way.

Orders are amended rather than cancelled and placed again: one operation instead of two, and no moment without
a quote. First come cancels, then what moves away from the other side, then what moves towards it, so that an
order never meets one of the bot's own on its old price. No I/O.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bots.quoting import BPS, ONE, Quote
from exchange_sdk.models import Order
from exchange_sdk.orders import Amend, Cancel, Operation, Place


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is left as it is: it is not worth an operation, nor the place in the queue."""

    price_bps: Decimal = Decimal(1)
    """How far an order may be from where it shall be."""
    missing: Decimal = Decimal("0.5")
    """The share of its size that may be missing."""
    excess: Decimal = Decimal("0.2")
    """The share of its size by which it may be too large."""


def changes(
    market: str, standing: Iterable[Order], wanted: Sequence[Quote], tolerance: Tolerance
) -> list[Operation]:
    """What to do, in order, to get from the standing orders of the market to the wanted quotes.

    Best first on either side, the first order becomes the first quote, and so on.
    """
    cancels: list[Operation] = []
    retreats: list[Operation] = []
    advances: list[Operation] = []
    orders = sorted(standing, key=lambda order: (_price(order), int(order.order_id)))
    for side in ("buy", "sell"):
        ours = [order for order in orders if order.side == side]
        if side == "buy":
            ours.reverse()
        quotes = [quote for quote in wanted if quote.side == side]
        cancels += [Cancel(order=order.order_id) for order in ours[len(quotes) :]]
        for order, quote in zip(ours, quotes, strict=False):
            if _is_good(order, quote, tolerance):
                continue
            amend = Amend(order=order.order_id, price=quote.price, size=order.filled + quote.size)
            is_retreat = quote.price < _price(order) if side == "buy" else quote.price > _price(order)
            (retreats if is_retreat else advances).append(amend)
        advances += [
            Place(
                market=market,
                side=quote.side,
                price=quote.price,
                size=quote.size,
                time_in_force="post_only",
            )
            for quote in quotes[len(ours) :]
        ]
    return [*cancels, *retreats, *advances]


def _is_good(order: Order, quote: Quote, tolerance: Tolerance) -> bool:
    off = abs(_price(order) - quote.price) * BPS
    least, most = quote.size * (ONE - tolerance.missing), quote.size * (ONE + tolerance.excess)
    return off <= quote.price * tolerance.price_bps and least <= order.remaining <= most


def _price(order: Order) -> Decimal:
    assert order.price is not None, "the bot places limit orders only"
    return order.price
