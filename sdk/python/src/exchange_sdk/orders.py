"""What is sent to change orders: the same values for single requests, batches and streams.

Each checks its values when it is made, so a float or an order without a price is found where it was
written. A `Place` always has a `client_order_id`: of two that are the same within a minute, the exchange
does the first only, so an order can be sent again when no answer came.
"""

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from exchange_sdk.errors import OutcomeUnknown
from exchange_sdk.models import (
    Order,
    OrderType,
    Placed,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from exchange_sdk.numbers import Number, plain

_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")

OrderRef = Order | Placed | str
"""An order, by itself or by its id."""

Time = int | datetime
"""Milliseconds since 1970, or a datetime with a time zone."""


def order_id_of(order: OrderRef) -> str:
    """The id of an order. Raises TypeError, ValueError."""
    order_id = order.order_id if isinstance(order, Order | Placed) else order
    if not isinstance(order_id, str):
        raise TypeError(f"an order is given by itself or its order_id as str, not {type(order).__name__}")
    if not (order_id.isascii() and order_id.isdigit()):
        raise ValueError(f"an order_id is digits, not {order_id!r}")
    return order_id


def client_order_id_of(client_order_id: str) -> str:
    """An id of your own for an order. Raises TypeError, ValueError."""
    if not isinstance(client_order_id, str):
        raise TypeError(f"a client_order_id is a str, not {type(client_order_id).__name__}")
    if _CLIENT_ID.fullmatch(client_order_id) is None:
        raise ValueError(f"a client_order_id is 1 to 36 of A-Z a-z 0-9 - _, not {client_order_id!r}")
    return client_order_id


def time_ms_of(time: Time, name: str = "time") -> int:
    """Milliseconds since 1970. Raises TypeError for floats, and for a datetime that has no time zone."""
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise TypeError(f"{name} has no time zone: make it with datetime.now(UTC) or tzinfo=UTC")
        whole = time.astimezone(UTC)
        return int(whole.replace(microsecond=0).timestamp()) * 1_000 + whole.microsecond // 1_000
    if isinstance(time, bool) or not isinstance(time, int):
        raise TypeError(f"{name} must be milliseconds as int, or datetime, not {type(time).__name__}")
    return time


def new_client_id() -> str:
    """An id that nobody used before."""
    return secrets.token_hex(16)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A new order. Raises TypeError, ValueError for what can not be one."""

    market: str
    side: Side
    size: Number | None = None
    price: Number | None = None
    amount: Number | None = None
    """Instead of a size, of a market buy: the most it may cost in the quote asset, fee included."""
    type: OrderType = "limit"
    time_in_force: TimeInForce | None = None
    good_till: Time | None = None
    stop: Number | None = None
    """The order waits until the last price gets there: falls to it for a sell, rises to it for a buy."""
    take_profit: Number | None = None
    """The same, the other way round."""
    self_trade_prevention: SelfTradePrevention | None = None
    client_order_id: str = msgspec.field(default_factory=new_client_id)
    sub_account: int = 0
    expires_at_ms: int | None = None
    """The exchange does not take the request later than this; filled in when it is sent."""

    def __post_init__(self) -> None:
        for name in ("size", "price", "amount", "stop", "take_profit"):
            value = getattr(self, name)
            if value is not None:
                plain(value, name)
        if self.type == "limit" and self.price is None:
            raise ValueError("a limit order needs a price; a market order is type='market'")
        if (self.size is None) == (self.amount is None):
            raise ValueError("give a size, or for a market buy an amount instead")
        if self.stop is not None and self.take_profit is not None:
            raise ValueError("an order has one trigger: stop or take_profit")
        if self.good_till is not None:
            time_ms_of(self.good_till, "good_till")

    def fields(self) -> dict[str, Any]:
        """The members of the request's JSON."""
        members: dict[str, Any] = {"market": self.market, "side": self.side, "type": self.type}
        if self.time_in_force is None and self.good_till is not None:
            members["time_in_force"] = "gtt"
        for name in ("price", "size", "amount"):
            value = getattr(self, name)
            if value is not None:
                members[name] = plain(value, name)
        if self.good_till is not None:
            members["good_till_ms"] = time_ms_of(self.good_till, "good_till")
        if self.stop is not None:
            members["trigger"] = {"type": "stop", "price": plain(self.stop, "stop")}
        elif self.take_profit is not None:
            members["trigger"] = {"type": "take_profit", "price": plain(self.take_profit, "take_profit")}
        for name in ("time_in_force", "self_trade_prevention", "client_order_id", "expires_at_ms"):
            value = getattr(self, name)
            if value is not None:
                members[name] = value
        if self.sub_account:
            members["sub_account"] = self.sub_account
        return members


class Amend(msgspec.Struct, frozen=True, kw_only=True):
    """Another price or size for an open order; `size` is the total, what is filled included."""

    order: OrderRef
    price: Number | None = None
    size: Number | None = None
    expires_at_ms: int | None = None

    def __post_init__(self) -> None:
        order_id_of(self.order)
        if self.price is None and self.size is None:
            raise ValueError("give a new price, a new size, or both")
        for name in ("price", "size"):
            value = getattr(self, name)
            if value is not None:
                plain(value, name)

    @property
    def order_id(self) -> str:
        return order_id_of(self.order)

    def fields(self) -> dict[str, Any]:
        """The members of the request's JSON, but for the order's id."""
        members: dict[str, Any] = {}
        for name in ("price", "size"):
            value = getattr(self, name)
            if value is not None:
                members[name] = plain(value, name)
        if self.expires_at_ms is not None:
            members["expires_at_ms"] = self.expires_at_ms
        return members


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an open order: by the exchange's id, or by your own in one of your accounts.

    With your own it may be sent right behind the order. Raises TypeError, ValueError for what can not be one.
    """

    order: OrderRef | None = None
    client_order_id: str | None = None
    sub_account: int = 0
    """With `client_order_id`: an order's own id says which account it is of."""

    def __post_init__(self) -> None:
        if (self.order is None) == (self.client_order_id is None):
            raise ValueError("give the order, or else its client_order_id")
        if self.order is not None and self.sub_account:
            raise ValueError("sub_account goes with client_order_id: an order says which account it is of")
        self.fields()

    @property
    def order_id(self) -> str | None:
        return None if self.order is None else order_id_of(self.order)

    def fields(self) -> dict[str, Any]:
        """The members of the request's JSON."""
        if self.client_order_id is None:
            assert self.order is not None
            return {"order_id": order_id_of(self.order)}
        members: dict[str, Any] = {"client_order_id": client_order_id_of(self.client_order_id)}
        if self.sub_account:
            members["sub_account"] = self.sub_account
        return members

    def __str__(self) -> str:
        return f"cancel {self.client_order_id if self.order is None else order_id_of(self.order)}"


Operation = Place | Amend | Cancel
"""One item of a batch."""


class BatchOutcomeUnknown(OutcomeUnknown):
    """The same of a batch: it was done as a whole, each operation done or refused, or not at all."""

    def __init__(self, operations: Sequence[Operation], settled_at_ms: int | None) -> None:
        super().__init__(f"batch of {len(operations)}", None, settled_at_ms)
        self.operations = list(operations)
        """What was sent; each Place has its client_order_id."""


def dated(operations: Sequence[Operation], expires_at_ms: int) -> list[Operation]:
    """The same, to be taken no later than this where they do not say when."""
    return [
        operation
        if isinstance(operation, Cancel) or operation.expires_at_ms is not None
        else msgspec.structs.replace(operation, expires_at_ms=expires_at_ms)
        for operation in operations
    ]


def operation_json(operation: Operation) -> dict[str, Any]:
    """One item of a batch as JSON. Raises TypeError."""
    match operation:
        case Place():
            return {"op": "place", **operation.fields()}
        case Amend():
            return {"op": "amend", "order_id": operation.order_id, **operation.fields()}
        case Cancel():
            return {"op": "cancel", **operation.fields()}
    raise TypeError(f"an operation is Place, Amend or Cancel, not {type(operation).__name__}")
