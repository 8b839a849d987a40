"""Trading over `/v1/ws`, both ways, as the AsyncAPI document has it. The fields are those of HTTP."""

from typing import Literal, NamedTuple

from pydantic import BaseModel, Field

from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.core.words import Side
from exchange.edge.rest.cancel_all_after import CancelAllAfterAnswer, CancelAllAfterRequest
from exchange.edge.rest.order_shapes import (
    AmendOperation,
    BatchAnswer,
    BatchRequest,
    BatchResult,
    CancelAllAnswer,
    CancelOperation,
    OrderAnswer,
    PlaceOperation,
    PlaceOrderAnswer,
)
from exchange.edge.values import ProblemDocument
from exchange.edge.ws.message_shapes import Reply, Request, Seq

PARTIAL: list[type[BaseModel]] = [
    PlaceOperation,
    AmendOperation,
    CancelOperation,
    BatchResult,
    ProblemDocument,
]
"""Parts of messages of which members may be missing, as of messages themselves."""


class Place(PlaceOperation, Request):
    """Places an order. Limit orders need `price` and `size`; see docs/api/trading.md."""


class Amend(AmendOperation, Request):
    """What is new of an order: its price, its total size (what is filled included), or both."""


class Cancel(CancelOperation, Request):
    """Cancels an order: by its `order_id`, or by its `client_order_id` in one of your accounts."""


class CancelAll(Request):
    """Cancels an account's open orders, of one market or of all, of one side or both."""

    op: Literal["cancel_all"]
    market: str | None = Field(default=None, examples=["ETH-USDC"])
    side: Side | None = Field(default=None, examples=["buy"])
    sub_account: int = Field(default=0, ge=0, le=MAX_SUB_ACCOUNT, examples=[0])


class Batch(BatchRequest, Request):
    """Up to 100 operations, done in this order, with nobody else's between them."""

    op: Literal["batch"]


class CancelAllAfter(CancelAllAfterRequest, Request):
    """The dead man's switch: when the account's orders are to be cancelled. Replaces what was set before."""

    op: Literal["cancel_all_after"]


class CancelOnDisconnect(Request):
    """Whether the orders placed over this connection are to be cancelled when it is lost."""

    op: Literal["cancel_on_disconnect"]
    enabled: bool


class Result(Reply):
    """A request that trades was done. `status` is that of the same request over HTTP."""

    type: Literal["result"]
    status: int = Field(examples=[200])
    seq: Seq


class Placed(Result, PlaceOrderAnswer):
    """The order as it stands now and what it took. `status` is 201; 200 for an order that was sent before."""

    op: Literal["place"]


class Amended(Result, PlaceOrderAnswer):
    """The order as it stands now and what it took."""

    op: Literal["amend"]


class Cancelled(Result, OrderAnswer):
    """The order as it ended."""

    op: Literal["cancel"]


class AllCancelled(Result, CancelAllAnswer):
    """The orders that were cancelled."""

    op: Literal["cancel_all"]


class BatchDone(Result, BatchAnswer):
    """One result for each operation, in their order. Some may be done and others refused."""

    op: Literal["batch"]


class SwitchSet(Result, CancelAllAfterAnswer):
    """The dead man's switch as it is now set."""

    op: Literal["cancel_all_after"]


class DisconnectSet(Result):
    """What will happen to the connection's orders when it is lost."""

    op: Literal["cancel_on_disconnect"]
    enabled: bool


class TradingMessages(NamedTuple):
    """A request that trades, and its result."""

    name: str
    summary: str
    request: type[BaseModel]
    result: type[BaseModel]


TRADING = (
    TradingMessages("place", "Place an order.", Place, Placed),
    TradingMessages("amend", "Amend an order.", Amend, Amended),
    TradingMessages("cancel", "Cancel an order.", Cancel, Cancelled),
    TradingMessages("cancel_all", "Cancel all orders.", CancelAll, AllCancelled),
    TradingMessages("batch", "Do up to 100 operations at once.", Batch, BatchDone),
    TradingMessages("cancel_all_after", "Set the dead man's switch.", CancelAllAfter, SwitchSet),
    TradingMessages(
        "cancel_on_disconnect",
        "Have the connection's orders cancelled when it is lost.",
        CancelOnDisconnect,
        DisconnectSet,
    ),
)
