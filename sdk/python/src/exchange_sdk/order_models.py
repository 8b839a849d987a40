"""Orders, and what becomes of them."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from exchange_sdk.errors import ExchangeError, Problem, error_of
from exchange_sdk.words import Model, OrderType, Side, TimeInForce, TriggerType, utc


class Trigger(Model, frozen=True):
    """At which last price an order begins to count."""

    type: TriggerType
    price: Decimal
    met: bool


class Order(Model, frozen=True):
    """An order of yours."""

    order_id: str
    sub_account: int
    market: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price: Decimal | None
    size: Decimal
    amount: Decimal | None
    filled: Decimal
    remaining: Decimal
    status: str
    trigger: Trigger | None
    good_till_ms: int | None
    self_trade_prevention: str
    created_ms: int | None
    ended_ms: int | None = None
    client_order_id: str | None = None

    @property
    def is_open(self) -> bool:
        """In the book, or waiting for its trigger."""
        return self.status == "open"

    @property
    def is_filled(self) -> bool:
        """Wholly."""
        return self.status == "filled"

    @property
    def created(self) -> datetime | None:
        return None if self.created_ms is None else utc(self.created_ms)


class Fill(Model, frozen=True):
    """Your side of a trade."""

    trade_id: str
    order_id: str
    market: str
    side: Side
    role: str
    price: Decimal
    size: Decimal
    amount: Decimal
    fee: Decimal
    fee_asset: str
    time_ms: int

    @property
    def time(self) -> datetime:
        return utc(self.time_ms)


class Placed(Model, frozen=True):
    """An order that was taken, or changed, and what it filled at once."""

    seq: int
    order: Order
    fills: tuple[Fill, ...]

    @property
    def order_id(self) -> str:
        return self.order.order_id

    @property
    def status(self) -> str:
        return self.order.status


class CancelledAll(Model, frozen=True):
    """The orders that were cancelled."""

    seq: int
    count: int
    order_ids: tuple[str, ...]


class BatchResult(Model, frozen=True):
    """What became of one operation of a batch."""

    status: int
    order: Order | None = None
    fills: tuple[Fill, ...] | None = None
    problem: Problem | None = None

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.problem is None

    @property
    def error(self) -> ExchangeError | None:
        """What the single request would have raised."""
        return None if self.problem is None else error_of(self.problem)

    def unwrap(self) -> Order:
        """The order; raises what the single request would have raised."""
        if self.problem is not None:
            raise error_of(self.problem)
        assert self.order is not None
        return self.order


def codes_of(results: Iterable[BatchResult]) -> set[str]:
    """What operations of a batch were refused for."""
    return {result.problem.code for result in results if result.problem is not None}


class DeadMansSwitch(Model, frozen=True):
    """When all open orders of an account are cancelled, unless it is set again; None: it is off."""

    seq: int
    sub_account: int
    cancel_all_at_ms: int | None
