"""An order that has been paid for: it trades, then rests or ends; or it waits for its trigger first."""

from typing import Final

from exchange.core.admission import may_rest
from exchange.core.book import Book, BookSide
from exchange.core.events import Event, OrderRested, OrderTriggered
from exchange.core.markets import Market
from exchange.core.matching import can_fill, end, match
from exchange.core.orders import Order
from exchange.core.schedule import expire_later
from exchange.core.state import State
from exchange.core.words import EndReason, Side, TimeInForce, TriggerKind

_BUY: Final = Side.BUY
_FOK: Final = TimeInForce.FOK
_POST_ONLY: Final = TimeInForce.POST_ONLY


def trade(state: State, market: Market, book: Book, order: Order, events: list[Event]) -> None:
    """Matches the order, then lets its rest stand in the book or ends it."""
    reason = match(state, market, book, order, events)
    if reason is not None or not may_rest(order.time_in_force):
        end(state, market, order, reason or EndReason.UNFILLED, events, was_resting=False)
        return
    order.queued_seq = state.seq
    order_id, side, price_ticks = order.order_id, order.side, order.price_ticks
    (book.bids if side is _BUY else book.asks).add(price_ticks, order)
    if order_id not in state.orders:
        _open(state, order)
    events.append(
        OrderRested(
            order_id,
            order.account.account_id,
            order.market_id,
            side,
            price_ticks,
            order.remaining_lots,
        )
    )


def await_trigger(state: State, book: Book, order: Order) -> None:
    """Opens an order that is in no book until the last price gets to its trigger."""
    order.awaiting_trigger = True
    _open(state, order)
    trigger_side(book, order).add(order.trigger_ticks, order)
    book.forget_range()


def fire_trigger(state: State, market: Market, book: Book, order: Order, events: list[Event]) -> None:
    """Sets an order free whose trigger is met: it goes on like a new one, paid for already."""
    trigger_side(book, order).remove(order)
    order.awaiting_trigger = False
    events.append(OrderTriggered(order.order_id, order.account.account_id, order.market_id, book.last_ticks))
    makers = book.opposite(order.side)
    if order.time_in_force is _POST_ONLY and makers.reaches(order.price_ticks):
        end(state, market, order, EndReason.POST_ONLY_WOULD_CROSS, events, was_resting=False)
    elif order.time_in_force is _FOK and not can_fill(makers, order):
        end(state, market, order, EndReason.UNFILLED, events, was_resting=False)
    else:
        trade(state, market, book, order, events)


def leave_book(book: Book, order: Order) -> None:
    """Takes an open order from where it stands, in the book or among those that await a trigger."""
    if order.awaiting_trigger:
        trigger_side(book, order).remove(order)
    else:
        (book.bids if order.side is _BUY else book.asks).remove(order)


def waits_for_rise(trigger: TriggerKind | None, side: Side) -> bool:
    """Whether such a trigger is met by a higher price (a lower one otherwise)."""
    return (trigger is TriggerKind.STOP) == (side is _BUY)


def _open(state: State, order: Order) -> None:
    """Enters an order that is open from now on."""
    order_id = order.order_id
    state.orders[order_id] = order
    order.account.orders[order_id] = order
    if order.good_till_ns:
        expire_later(state, order)


def trigger_side(book: Book, order: Order) -> BookSide:
    """Where an order with a trigger waits for it."""
    return book.rises if waits_for_rise(order.trigger, order.side) else book.falls
