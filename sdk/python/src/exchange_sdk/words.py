"""What all values of the exchange are made of."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

Side = Literal["buy", "sell"]
OrderType = Literal["limit", "market"]
TimeInForce = Literal["gtc", "gtt", "post_only", "ioc", "fok"]
SelfTradePrevention = Literal["cancel_newest", "cancel_oldest", "cancel_both", "decrement"]
TriggerType = Literal["stop", "take_profit"]
Scope = Literal["read", "trade"]
Interval = Literal["1s", "1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"]
OrderStatus = Literal["open", "ended", "all"]
"""Which orders to list."""


def utc(time_ms: int) -> datetime:
    """The time as a datetime in UTC."""
    return datetime.fromtimestamp(time_ms // 1_000, UTC).replace(microsecond=time_ms % 1_000 * 1_000)


class Model(msgspec.Struct, frozen=True):
    """A value that does not change."""


class Level(NamedTuple):
    """One price of a book."""

    price: Decimal
    size: Decimal
