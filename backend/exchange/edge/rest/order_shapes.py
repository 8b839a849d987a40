"""Orders and fills in public JSON, as the OpenAPI document has them.

The routes of orders send plain dicts, made by `order_json`; a test holds the two together.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field

from exchange.core.words import OrderType, SelfTradePrevention, Side, TimeInForce, TriggerKind
from exchange.edge.reads import SeqAnswer
from exchange.edge.values import (
    AmountText,
    AssetSymbol,
    IdText,
    ProblemDocument,
    StrictBody,
    Symbol,
    TimeMs,
)

CLIENT_ORDER_ID = r"^[A-Za-z0-9_-]{1,36}$"
ClientOrderId = Field(default=None, pattern=CLIENT_ORDER_ID, examples=["my-order-1"])
_EXPIRES_AT = Field(
    default=None,
    description="The engine refuses the request later; at most, and by default, 30 s from now.",
    examples=[1763841620000],
)
_SUB_ACCOUNT = Field(default=0, ge=0, le=127, description="Which of your accounts.", examples=[0])


class TriggerItem(BaseModel):
    """The trigger of an order, and whether the last price has met it."""

    type: TriggerKind = Field(examples=["stop"])
    price: AmountText
    met: bool = Field(description="False: the order waits, in no book.", examples=[False])


class OrderItem(BaseModel):
    """An order. `status` is `open`, or the reason for which it ended."""

    order_id: IdText
    client_order_id: str | None = ClientOrderId
    sub_account: int = Field(examples=[0])
    market: Symbol
    side: str = Field(examples=["buy"])
    type: str = Field(examples=["limit"])
    time_in_force: str = Field(examples=["gtc"])
    price: AmountText | None = Field(
        description="The limit, or the worst price. Null only in the answer to an order sent again after it "
        "ended."
    )
    size: AmountText = Field(description="What is filled and what remains.")
    amount: AmountText | None = Field(
        description="Of a market buy by amount: what it might cost, fee included."
    )
    filled: AmountText
    remaining: AmountText
    status: str = Field(
        description="open, filled, cancelled, unfilled, self_trade, work_limit, expired, cancel_all_after, "
        "post_only_would_cross or account_frozen",
        examples=["open"],
    )
    trigger: TriggerItem | None
    good_till_ms: TimeMs | None
    self_trade_prevention: str = Field(examples=["cancel_newest"])
    created_ms: TimeMs | None = Field(
        description="Null only in the answer to an order sent again after it ended.",
    )
    ended_ms: TimeMs | None = None


class FillItem(BaseModel):
    """One fill of one of your orders. The fee is in the quote asset; a rebate is a negative fee."""

    trade_id: IdText
    order_id: IdText
    market: Symbol
    side: str = Field(examples=["buy"])
    role: str = Field(description="maker or taker", examples=["taker"])
    price: AmountText
    size: AmountText
    amount: AmountText = Field(description="price x size, in the quote asset, before the fee.")
    fee: AmountText
    fee_asset: AssetSymbol
    time_ms: TimeMs


class TriggerRequest(StrictBody):
    """A stop sells when the last price falls to `price` and buys when it rises to it; a take-profit the
    other way round.
    """

    type: TriggerKind = Field(examples=["stop"])
    price: str = Field(examples=["2900"])


class PlaceOrderRequest(StrictBody):
    """A new order. Decimals are strings. Limit orders need `price` and `size`; see docs/api/trading.md."""

    market: str = Field(examples=["ETH-USDC"])
    side: Side = Field(examples=["buy"])
    type: OrderType | None = Field(default=None, description="limit unless given.", examples=["limit"])
    time_in_force: TimeInForce | None = Field(
        default=None,
        description="gtc for a limit order and ioc for a market order unless given.",
        examples=["gtc"],
    )
    price: str | None = Field(
        default=None,
        description="A whole multiple of the market's tick. Of a market order, the worst that it may trade "
        "at; without one, the market's band decides.",
        examples=["3000.01"],
    )
    size: str | None = Field(
        default=None, description="A whole multiple of the market's lot.", examples=["0.5"]
    )
    amount: str | None = Field(
        default=None,
        description="Instead of a size, for a market buy: the most it may cost in the quote asset, fee "
        "included.",
        examples=["250"],
    )
    good_till_ms: int | None = Field(
        default=None, description="With gtt: when the order expires.", examples=[1763845200000]
    )
    trigger: TriggerRequest | None = Field(
        default=None, description="The order waits, paid for, until the last price gets there."
    )
    self_trade_prevention: SelfTradePrevention | None = Field(
        default=None, description="cancel_newest unless given.", examples=["cancel_newest"]
    )
    client_order_id: str | None = ClientOrderId
    sub_account: int | None = _SUB_ACCOUNT
    expires_at_ms: int | None = _EXPIRES_AT


class AmendOrderRequest(StrictBody):
    """What is new of an order: its price, its total size (what is filled included), or both."""

    price: str | None = Field(default=None, examples=["3000.02"])
    size: str | None = Field(default=None, examples=["0.4"])
    expires_at_ms: int | None = _EXPIRES_AT


class PlaceOperation(PlaceOrderRequest):
    """Places an order."""

    op: Literal["place"] = Field(examples=["place"])


class AmendOperation(AmendOrderRequest):
    """Amends an order."""

    op: Literal["amend"] = Field(examples=["amend"])
    order_id: str = Field(examples=["1042"])


class CancelOperation(StrictBody):
    """Cancels an order: by its `order_id`, or by its `client_order_id` in one of your accounts."""

    op: Literal["cancel"] = Field(examples=["cancel"])
    order_id: str | None = Field(default=None, examples=["1042"])
    client_order_id: str | None = Field(
        default=None,
        pattern=CLIENT_ORDER_ID,
        description="Instead of `order_id`: of the account's open order, which may be on its way still.",
        examples=["my-order-1"],
    )
    sub_account: int | None = Field(
        default=None,
        ge=0,
        le=127,
        description="Which of your accounts, with `client_order_id` only; 0 unless given.",
        examples=[0],
    )


class BatchRequest(StrictBody):
    """Up to 100 operations, done in this order."""

    operations: list[PlaceOperation | AmendOperation | CancelOperation] = Field(
        min_length=1, max_length=100, examples=[[{"op": "cancel", "order_id": "1042"}]]
    )


class PlaceOrderAnswer(SeqAnswer):
    """The order as it stands now and what it took from the book."""

    order: OrderItem
    fills: list[FillItem]


class OrderAnswer(SeqAnswer):
    """One order."""

    order: OrderItem


class BatchResult(BaseModel):
    """What became of one operation: the answer of its single request, or the problem."""

    status: int = Field(description="The status of the single request.", examples=[201])
    order: OrderItem | None = None
    fills: list[FillItem] | None = None
    problem: ProblemDocument | None = None


class BatchAnswer(SeqAnswer):
    """One result for each operation, in their order. Some may be done and others refused."""

    results: list[BatchResult]


class CancelAllAnswer(SeqAnswer):
    """The orders that were cancelled."""

    count: int = Field(examples=[2])
    order_ids: list[IdText]


DOCUMENTED: list[tuple[type[BaseModel], Any]] = [
    (PlaceOrderRequest, "validation"),
    (AmendOrderRequest, "validation"),
    (BatchRequest, "validation"),
    (PlaceOrderAnswer, "serialization"),
    (OrderAnswer, "serialization"),
    (BatchAnswer, "serialization"),
    (CancelAllAnswer, "serialization"),
    (ProblemDocument, "serialization"),
]
"""What the plain routes take and send."""
