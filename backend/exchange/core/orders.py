"""The words of an order, and the mutable order that lives in a book."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exchange.core.accounts import Account


class Side(StrEnum):
    """Which side of the book: a buy gives quote for base."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """Whether the order may rest at its price."""

    LIMIT = "limit"
    MARKET = "market"
    """Takes what is there at the price given or better, never rests: always with a worst price."""


class TimeInForce(StrEnum):
    """How long, and on which condition, the order stands."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"


class SelfTradePrevention(StrEnum):
    """What gives way when an owner's order meets an order of the same owner."""

    CANCEL_NEWEST = "cancel_newest"


class EndReason(StrEnum):
    """Why an order is no longer open."""

    FILLED = "filled"
    CANCELLED = "cancelled"
    UNFILLED = "unfilled"
    """The rest of an order that may not rest (IOC, market)."""
    SELF_TRADE = "self_trade"
    WORK_LIMIT = "work_limit"


@dataclass(slots=True, eq=False)
class Order:
    """One open order. `held_atoms` is in the quote asset for a buy and in the base asset for a sell.

    `fee_numerator` is the sum of notional x rate (atoms x bps) over the fills so far; the fee charged so
    far is its `div_ceil` by 10,000, so that many small fills cost what one large fill costs.
    """

    order_id: int
    account: "Account"
    market_id: int
    side: Side
    price_ticks: int
    size_lots: int
    remaining_lots: int
    held_atoms: int
    maker_fee_bps: int
    taker_fee_bps: int
    client_order_id: str | None
    fee_numerator: int = field(default=0)
    fee_charged_atoms: int = field(default=0)
