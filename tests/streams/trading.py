"""Seeded random trading of a few accounts in one market, with a book of some hundred levels."""

import random
import time
from collections.abc import Sequence

from exchange.core.commands import (
    AmendOrder,
    CancelAll,
    CancelClientOrder,
    CancelOrder,
    Command,
    PlaceOrder,
    TransferFunds,
)
from exchange.core.words import OrderType, SelfTradePrevention, Side, TimeInForce
from exchange.sequencer.committed import CommittedView

MIDDLE_TICKS = 300_000
LOTS_OF_ONE = 10_000


class Trading:
    """Makes commands; the engine may refuse some of them."""

    def __init__(
        self, view: CommittedView, market: str, account_ids: Sequence[int], rng: random.Random
    ) -> None:
        self._view = view
        self._market_id = view.market_by_symbol[market].market_id
        self._account_ids = account_ids
        self._random = rng
        self._middle_ticks = MIDDLE_TICKS

    def burst(self, at_most: int = 20) -> list[Command]:
        """What is sent at once."""
        rng = self._random
        self._middle_ticks += rng.randint(-15, 15)
        return [self._command() for _ in range(rng.randint(1, at_most))]

    def sweep(self) -> list[Command]:
        """Orders that eat through many levels at once."""
        return [self._order(OrderType.LIMIT, TimeInForce.IOC, worse_by=150, lots=40) for _ in range(3)]

    def wipe(self) -> list[Command]:
        """Empties the book."""
        return [CancelAll(account_id, self._market_id, None) for account_id in self._account_ids]

    def _command(self) -> Command:
        rng = self._random
        account_id = rng.choice(self._account_ids)
        dice = rng.random()
        if dice < 0.55:
            return self._order(OrderType.LIMIT, TimeInForce.GTC, worse_by=rng.randint(-200, 20))
        if dice < 0.63:
            return self._order(OrderType.LIMIT, TimeInForce.IOC, worse_by=20)
        if dice < 0.66:
            return self._order(OrderType.MARKET, TimeInForce.IOC, worse_by=0)
        if dice < 0.69:
            return self._order(OrderType.LIMIT, TimeInForce.POST_ONLY, worse_by=rng.randint(-50, 5))
        orders = self._view.open_orders(account_id)
        if dice < 0.97 and orders:
            order = rng.choice(orders)
            if dice < 0.80:
                size_lots = max(1, order.size_lots + rng.randint(-5, 5) * LOTS_OF_ONE // 10)
                price_ticks = order.price_ticks + rng.randint(-3, 3)
                return AmendOrder(account_id, order.order_id, price_ticks, size_lots, _soon_ns())
            if order.client_order_id is not None:
                return CancelClientOrder(account_id, order.client_order_id)
            return CancelOrder(account_id, order.order_id)
        return TransferFunds(account_id, 1, 2, rng.randint(1, 1_000), f"t{rng.getrandbits(60)}", _soon_ns())

    def _order(
        self, order_type: OrderType, time_in_force: TimeInForce, *, worse_by: int, lots: int = 0
    ) -> PlaceOrder:
        rng = self._random
        side = rng.choice(list(Side))
        worse_ticks = worse_by if side is Side.BUY else -worse_by
        return PlaceOrder(
            account_id=rng.choice(self._account_ids),
            market_id=self._market_id,
            side=side,
            order_type=order_type,
            time_in_force=time_in_force,
            price_ticks=self._middle_ticks + worse_ticks,
            size_lots=(lots or rng.randint(1, 20)) * LOTS_OF_ONE // rng.choice([1, 10, 100]),
            client_order_id=rng.choice([None, f"c{rng.getrandbits(60)}"]),
            expires_ns=_soon_ns(),
            self_trade_prevention=rng.choice(list(SelfTradePrevention)),
        )


def _soon_ns() -> int:
    return time.time_ns() + 20 * 10**9
