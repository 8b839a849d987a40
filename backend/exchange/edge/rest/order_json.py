"""Orders and fills as the plain dicts that are sent: the members of OrderItem and FillItem."""

from collections.abc import Iterable
from typing import Protocol

from exchange.core.commands import PlaceOrder
from exchange.core.events import (
    Event,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderKnown,
    SelfTradePrevented,
    Trade,
)
from exchange.core.markets import Market
from exchange.core.units import format_atoms
from exchange.edge.values import time_ms
from exchange.projections.orders import OrderRow
from exchange.sequencer.open_orders import OpenOrder

OPEN = "open"


class _Terms(Protocol):
    """What an order has been from the beginning; commands, events, rows and open orders all say it."""

    @property
    def client_order_id(self) -> str | None: ...
    @property
    def side(self) -> str: ...
    @property
    def order_type(self) -> str: ...
    @property
    def time_in_force(self) -> str: ...
    @property
    def self_trade_prevention(self) -> str: ...
    @property
    def good_till_ns(self) -> int: ...
    @property
    def trigger(self) -> str | None: ...
    @property
    def trigger_ticks(self) -> int: ...


def _order_json(
    market: Market,
    terms: _Terms,
    *,
    order_id: int,
    sub_account: int,
    price_ticks: int | None,
    size_lots: int,
    remaining_lots: int,
    status: str,
    awaiting_trigger: bool,
    created_ns: int | None,
    ended_ns: int | None,
    quote_atoms: int = 0,
) -> dict[str, object]:
    trigger = None
    if terms.trigger is not None:
        trigger = {
            "type": terms.trigger,
            "price": market.format_price(terms.trigger_ticks),
            "met": not awaiting_trigger,
        }
    size = market.format_size(size_lots)
    is_whole = remaining_lots == size_lots  # as most are that are told of
    return {
        "order_id": str(order_id),
        "client_order_id": terms.client_order_id,
        "sub_account": sub_account,
        "market": market.symbol,
        "side": terms.side,
        "type": terms.order_type,
        "time_in_force": terms.time_in_force,
        "price": None if price_ticks is None else market.format_price(price_ticks),
        "size": size,
        "amount": format_atoms(quote_atoms, market.quote_decimals) if quote_atoms else None,
        "filled": "0" if is_whole else market.format_size(size_lots - remaining_lots),
        "remaining": size if is_whole else market.format_size(remaining_lots),
        "status": status,
        "trigger": trigger,
        "good_till_ms": time_ms(terms.good_till_ns) if terms.good_till_ns else None,
        "self_trade_prevention": terms.self_trade_prevention,
        "created_ms": None if created_ns is None else time_ms(created_ns),
        "ended_ms": None if ended_ns is None else time_ms(ended_ns),
    }


def open_order_json(market: Market, order: OpenOrder, sub_account: int) -> dict[str, object]:
    """An order of the committed view."""
    return _order_json(
        market,
        order,
        order_id=order.order_id,
        sub_account=sub_account,
        price_ticks=order.price_ticks,
        size_lots=order.size_lots,
        remaining_lots=order.remaining_lots,
        status=OPEN,
        awaiting_trigger=order.awaiting_trigger,
        created_ns=order.created_ns,
        ended_ns=None,
    )


def ended_order_json(
    market: Market,
    order: OpenOrder,
    ended: OrderEnded,
    ended_ns: int,
    sub_account: int,
    quote_atoms: int = 0,
) -> dict[str, object]:
    """An order that was open and has just ended."""
    return _order_json(
        market,
        order,
        order_id=order.order_id,
        sub_account=sub_account,
        price_ticks=ended.price_ticks,
        size_lots=order.size_lots,
        remaining_lots=ended.remaining_lots,
        status=ended.reason,
        awaiting_trigger=order.awaiting_trigger,
        created_ns=order.created_ns,
        ended_ns=ended_ns,
        quote_atoms=quote_atoms,
    )


def placed_order_json(
    market: Market, accepted: OrderAccepted, events: Iterable[Event], placed_ns: int, sub_account: int
) -> dict[str, object]:
    """A new order after the events of its own command."""
    size_lots, remaining_lots, status = _after(
        events, accepted.order_id, accepted.size_lots, accepted.size_lots
    )
    return _order_json(
        market,
        accepted,
        order_id=accepted.order_id,
        sub_account=sub_account,
        price_ticks=accepted.price_ticks,
        size_lots=size_lots,
        remaining_lots=remaining_lots,
        status=status,
        awaiting_trigger=accepted.trigger is not None,
        created_ns=placed_ns,
        ended_ns=None if status == OPEN else placed_ns,
        quote_atoms=accepted.quote_atoms,
    )


def amended_order_json(
    market: Market,
    order: OpenOrder,
    amended: OrderAmended,
    events: Iterable[Event],
    amended_ns: int,
    sub_account: int,
) -> dict[str, object]:
    """An order after the events of the command that amended it; `order` is from before."""
    size_lots, remaining_lots, status = _after(
        events, order.order_id, amended.size_lots, amended.remaining_lots
    )
    return _order_json(
        market,
        order,
        order_id=order.order_id,
        sub_account=sub_account,
        price_ticks=amended.price_ticks,
        size_lots=size_lots,
        remaining_lots=remaining_lots,
        status=status,
        awaiting_trigger=order.awaiting_trigger,
        created_ns=order.created_ns,
        ended_ns=None if status == OPEN else amended_ns,
    )


def known_order_json(
    market: Market, command: PlaceOrder, known: OrderKnown, order: OpenOrder | None, sub_account: int
) -> dict[str, object]:
    """An order that was sent again: its content is the command's, its state is the engine's answer.

    `order` is the order as committed, None when it is not open any more: then nobody here knows its price,
    which may have been amended or set by the market's band, nor when it began and ended.
    """
    return _order_json(
        market,
        command,
        order_id=known.order_id,
        sub_account=sub_account,
        price_ticks=None if order is None else order.price_ticks,
        size_lots=known.size_lots,
        remaining_lots=known.remaining_lots,
        status=known.status,
        awaiting_trigger=order is not None and order.awaiting_trigger,
        created_ns=None if order is None else order.created_ns,
        ended_ns=None,
        quote_atoms=command.quote_atoms,
    )


def order_row_json(market: Market, row: OrderRow, sub_account: int) -> dict[str, object]:
    """An order of the read tables."""
    return _order_json(
        market,
        row,
        order_id=row.order_id,
        sub_account=sub_account,
        price_ticks=row.price_ticks,
        size_lots=row.size_lots,
        remaining_lots=row.remaining_lots,
        status=row.status,
        awaiting_trigger=row.awaiting_trigger,
        created_ns=row.created_ns,
        ended_ns=None if row.status == OPEN else row.updated_ns,
        quote_atoms=row.quote_atoms,
    )


def _after(
    events: Iterable[Event], order_id: int, size_lots: int, remaining_lots: int
) -> tuple[int, int, str]:
    """(size, remainder, status) of a command's own order after the command's events."""
    status: str = OPEN
    for event in events:
        if type(event) is Trade and event.taker_order_id == order_id:
            remaining_lots = event.taker_remaining_lots
        elif type(event) is SelfTradePrevented and event.taker_order_id == order_id:
            size_lots -= event.size_lots
            remaining_lots = event.taker_remaining_lots
        elif type(event) is OrderEnded and event.order_id == order_id:
            remaining_lots, status = event.remaining_lots, event.reason
    return size_lots, remaining_lots, status


def taker_fills_json(
    market: Market, quote_symbol: str, order_id: int, events: Iterable[Event], time_ns: int
) -> list[dict[str, object]]:
    """The fills of a command's own order, as FillItems."""
    return [
        fill_json(
            market,
            quote_symbol,
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
        "amount": format_atoms(quote_atoms, market.quote_decimals),
        "fee": format_atoms(fee_atoms, market.quote_decimals),
        "fee_asset": quote_symbol,
        "time_ms": time_ms(time_ns),
    }
