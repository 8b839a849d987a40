"""What the engine did with an order command, as (status, members) of the answer; or the Problem of it.

The single routes and the batch answer with the same.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from exchange.core.commands import PlaceOrder
from exchange.core.events import Event, OrderAccepted, OrderAmended, OrderEnded, OrderKnown, Rejected
from exchange.edge.problems import rejected
from exchange.edge.rest.order_json import (
    amended_order_json,
    ended_order_json,
    known_order_json,
    placed_order_json,
    taker_fills_json,
)
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.open_orders import OpenOrder
from exchange.sequencer.sequencer import Outcome


class Answer(NamedTuple):
    """The status and the members of an answer but for `seq`."""

    status: int
    content: dict[str, Any]


def first_event(events: Sequence[Event]) -> Event:
    """What came of the command. Raises Problem when it was refused."""
    first = events[0]
    if type(first) is Rejected:
        raise rejected(first.reason)
    return first


def placed(view: CommittedView, command: PlaceOrder, outcome: Outcome) -> Answer:
    """201 with the order and its fills; 200 for one that was sent before."""
    market = view.markets[command.market_id]
    sub_account = view.sub_account(command.account_id)
    match first_event(outcome.events):
        case OrderKnown(order_id=order_id) as known:
            order = known_order_json(market, command, known, view.open_order(order_id), sub_account)
            return Answer(200, {"order": order, "fills": []})
        case OrderAccepted(order_id=order_id) as accepted:
            order = placed_order_json(market, accepted, outcome.events, outcome.time_ns, sub_account)
            quote = view.assets[market.quote_asset_id].symbol
            fills = taker_fills_json(market, quote, order_id, outcome.events, outcome.time_ns)
            return Answer(201, {"order": order, "fills": fills})
        case event:
            raise AssertionError(f"an order was placed and {event!r} answered")


def amended(view: CommittedView, before: OpenOrder, outcome: Outcome) -> Answer:
    """200 with the order and what it took; `before` is the order as the caller knew it."""
    market = view.markets[before.market_id]
    match first_event(outcome.events):
        case OrderAmended() as event:
            events, time_ns = outcome.events, outcome.time_ns
            # The newest there is: its trigger may have been met since the caller looked.
            now = view.open_order(before.order_id) or before
            sub_account = view.sub_account(before.account_id)
            order = amended_order_json(market, now, event, events, time_ns, sub_account)
            quote = view.assets[market.quote_asset_id].symbol
            fills = taker_fills_json(market, quote, before.order_id, events, time_ns)
            return Answer(200, {"order": order, "fills": fills})
        case event:
            raise AssertionError(f"an order was amended and {event!r} answered")


def cancelled(view: CommittedView, before: OpenOrder | None, outcome: Outcome) -> Answer:
    """200 with the order as it ended; `before` is the order as the caller knew it, if it did.

    To be asked for as soon as the outcome is known: it may have been amended since the caller looked, and the
    view has only the newest batch's orders as they ended.
    """
    match first_event(outcome.events):
        case OrderEnded() as ended:
            order = view.ended_order(ended.order_id) or before
            assert order is not None
            market = view.markets[order.market_id]
            sub_account = view.sub_account(order.account_id)
            return Answer(
                200, {"order": ended_order_json(market, order, ended, outcome.time_ns, sub_account)}
            )
        case event:
            raise AssertionError(f"an order was cancelled and {event!r} answered")
