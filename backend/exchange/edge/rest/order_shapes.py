"""Orders and fills in public JSON: the documented models, and the plain dicts that the hot routes send.

Both have the same members; a test holds them together.
"""

from collections.abc import Iterable

from pydantic import BaseModel, Field

from exchange.core.commands import PlaceOrder
from exchange.core.events import Event, OrderEnded, OrderKnown, Trade
from exchange.core.markets import Market
from exchange.core.orders import OrderType, Side, TimeInForce
from exchange.core.units import format_atoms
from exchange.edge.reads import SeqAnswer
from exchange.edge.values import AmountText, AssetSymbol, IdText, StrictBody, Symbol, TimeMs, time_ms
from exchange.sequencer.committed import CommittedView, OpenOrder

OPEN = "open"
ClientOrderId = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,36}$", examples=["my-order-1"])


class OrderItem(BaseModel):
    """An order. `status` is `open`, or the reason for which it ended."""

    order_id: IdText
    client_order_id: str | None = ClientOrderId
    market: Symbol
    side: str = Field(examples=["buy"])
    type: str = Field(examples=["limit"])
    time_in_force: str = Field(examples=["gtc"])
    price: AmountText
    size: AmountText
    filled: AmountText
    remaining: AmountText
    status: str = Field(
        description="open, filled, cancelled, unfilled, self_trade or work_limit", examples=["open"]
    )
    created_ms: TimeMs | None = Field(
        description="Null only in the answer to an order sent again after it ended.",
    )
    ended_ms: TimeMs | None = None


class FillItem(BaseModel):
    """One fill of one of your orders. The fee is in the quote asset."""

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


class PlaceOrderRequest(StrictBody):
    """A new order. Decimals are strings. A market order's `price` is the worst it may trade at."""

    market: str = Field(examples=["ETH-USDC"])
    side: Side = Field(examples=["buy"])
    type: OrderType = Field(default=OrderType.LIMIT, examples=["limit"])
    time_in_force: TimeInForce | None = Field(
        default=None,
        description="gtc for a limit order and ioc for a market order unless given.",
        examples=["gtc"],
    )
    price: str = Field(description="A whole multiple of the market's tick.", examples=["3000.01"])
    size: str = Field(description="A whole multiple of the market's lot.", examples=["0.5"])
    client_order_id: str | None = ClientOrderId
    expires_at_ms: int | None = Field(
        default=None,
        description="The engine refuses the request later; at most, and by default, 30 s from now.",
    )
    self_trade_prevention: str | None = Field(default=None, examples=["cancel_newest"])


class PlaceOrderAnswer(SeqAnswer):
    """The order as it stands now and what it took from the book."""

    order: OrderItem
    fills: list[FillItem]


class OrderAnswer(SeqAnswer):
    """One order."""

    order: OrderItem


class CancelAllAnswer(SeqAnswer):
    """The orders that were cancelled."""

    count: int = Field(examples=[2])
    order_ids: list[IdText]


def order_json(
    market: Market,
    *,
    order_id: int,
    client_order_id: str | None,
    side: str,
    order_type: str,
    time_in_force: str,
    price_ticks: int,
    size_lots: int,
    remaining_lots: int,
    status: str,
    created_ns: int | None,
    ended_ns: int | None,
) -> dict[str, object]:
    """The members of an OrderItem."""
    return {
        "order_id": str(order_id),
        "client_order_id": client_order_id,
        "market": market.symbol,
        "side": side,
        "type": order_type,
        "time_in_force": time_in_force,
        "price": market.format_price(price_ticks),
        "size": market.format_size(size_lots),
        "filled": market.format_size(size_lots - remaining_lots),
        "remaining": market.format_size(remaining_lots),
        "status": status,
        "created_ms": None if created_ns is None else time_ms(created_ns),
        "ended_ms": None if ended_ns is None else time_ms(ended_ns),
    }


def open_order_json(
    market: Market, order: OpenOrder, ended: OrderEnded | None = None, ended_ns: int | None = None
) -> dict[str, object]:
    """An order of the committed view, or one that has just ended."""
    return order_json(
        market,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        price_ticks=order.price_ticks,
        size_lots=order.size_lots,
        remaining_lots=order.remaining_lots if ended is None else ended.remaining_lots,
        status=OPEN if ended is None else ended.reason,
        created_ns=order.created_ns,
        ended_ns=ended_ns,
    )


def placed_order_json(
    market: Market, command: PlaceOrder, order_id: int, events: Iterable[Event], placed_ns: int
) -> dict[str, object]:
    """A new order after the events of its own command."""
    remaining_lots, status, ended_ns = command.size_lots, OPEN, None
    for event in events:
        if type(event) is Trade and event.taker_order_id == order_id:
            remaining_lots = event.taker_remaining_lots
        elif type(event) is OrderEnded and event.order_id == order_id:
            remaining_lots, status, ended_ns = event.remaining_lots, event.reason, placed_ns
    return _command_json(market, command, order_id, remaining_lots, status, placed_ns, ended_ns)


def known_order_json(
    market: Market, command: PlaceOrder, known: OrderKnown, view: CommittedView
) -> dict[str, object]:
    """An order that was sent again: its content is the command's, its state is the engine's answer."""
    order = view.open_order(known.order_id)
    created_ns = None if order is None else order.created_ns
    return _command_json(
        market, command, known.order_id, known.remaining_lots, known.status, created_ns, None
    )


def taker_fills_json(
    market: Market,
    quote_symbol: str,
    quote_decimals: int,
    order_id: int,
    events: Iterable[Event],
    time_ns: int,
) -> list[dict[str, object]]:
    """The fills of a command's own order, as FillItems."""
    return [
        fill_json(
            market,
            quote_symbol,
            quote_decimals,
            trade_id=event.trade_id,
            order_id=order_id,
            side=event.taker_side,
            role="taker",
            price_ticks=event.price_ticks,
            size_lots=event.size_lots,
            quote_atoms=event.quote_atoms,
            fee_atoms=event.taker_fee_atoms,
            time_ns=time_ns,
        )
        for event in events
        if type(event) is Trade and event.taker_order_id == order_id
    ]


def fill_json(
    market: Market,
    quote_symbol: str,
    quote_decimals: int,
    *,
    trade_id: int,
    order_id: int,
    side: str,
    role: str,
    price_ticks: int,
    size_lots: int,
    quote_atoms: int,
    fee_atoms: int,
    time_ns: int,
) -> dict[str, object]:
    """The members of a FillItem."""
    return {
        "trade_id": str(trade_id),
        "order_id": str(order_id),
        "market": market.symbol,
        "side": side,
        "role": role,
        "price": market.format_price(price_ticks),
        "size": market.format_size(size_lots),
        "amount": format_atoms(quote_atoms, quote_decimals),
        "fee": format_atoms(fee_atoms, quote_decimals),
        "fee_asset": quote_symbol,
        "time_ms": time_ms(time_ns),
    }


def _command_json(
    market: Market,
    command: PlaceOrder,
    order_id: int,
    remaining_lots: int,
    status: str,
    created_ns: int | None,
    ended_ns: int | None,
) -> dict[str, object]:
    return order_json(
        market,
        order_id=order_id,
        client_order_id=command.client_order_id,
        side=command.side,
        order_type=command.order_type,
        time_in_force=command.time_in_force,
        price_ticks=command.price_ticks,
        size_lots=command.size_lots,
        remaining_lots=remaining_lots,
        status=status,
        created_ns=created_ns,
        ended_ns=ended_ns,
    )
