"""The hot routes: placing and cancelling orders. Plain routes, no pydantic, no SQL.

Bytes are decoded once by the body middleware, `gateway.requests` makes the command, the sequencer answers
after the commit, msgspec writes the answer. The OpenAPI document has these routes from `OPERATIONS`.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exchange.core.commands import CancelAll, CancelOrder
from exchange.core.events import Event, OrderAccepted, OrderEnded, OrderKnown, Rejected
from exchange.core.rejects import RejectReason
from exchange.edge.body import decoded_object
from exchange.edge.dependencies import edge_of
from exchange.edge.identity import AUTHENTICATED, authenticate
from exchange.edge.problems import Problem, rejected
from exchange.edge.rest.order_shapes import (
    known_order_json,
    open_order_json,
    placed_order_json,
    taker_fills_json,
)
from exchange.edge.values import PROBLEM_RESPONSES
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.gateway.requests import parse_market, parse_place_order
from exchange.sequencer.committed import OpenOrder

_MAX_ORDER_ID_CHARS = 19
_encoder = msgspec.json.Encoder()


async def post_order(request: Request) -> Response:
    """POST /v1/orders: 201 with the order and its fills; 200 for one that was sent before."""
    session = await authenticate(request)
    edge = edge_of(request)
    view = edge.view
    command = parse_place_order(
        decoded_object(request), session.account_id, view.market_by_symbol, edge.clock_ns()
    )
    outcome = await edge.submit(command)
    market = view.markets[command.market_id]
    match _accepted(outcome.events):
        case OrderKnown() as known:
            order = known_order_json(market, command, known, view)
            return _json({"seq": outcome.seq, "order": order, "fills": []}, 200)
        case OrderAccepted(order_id=order_id):
            order = placed_order_json(market, command, order_id, outcome.events, outcome.time_ns)
            quote = view.assets[market.quote_asset_id]
            fills = taker_fills_json(
                market, quote.symbol, quote.decimals, order_id, outcome.events, outcome.time_ns
            )
            return _json({"seq": outcome.seq, "order": order, "fills": fills}, 201)
        case event:
            raise AssertionError(f"an order was placed and {event!r} answered")


async def delete_order(request: Request) -> Response:
    """DELETE /v1/orders/{order_id}: the order as it ended. 404 when it is not open, or not the caller's."""
    session = await authenticate(request)
    edge = edge_of(request)
    _no_parameters(request)
    order = own_open_order(
        edge.view.open_order(parse_order_id(request.path_params["order_id"])), session.account_id
    )
    outcome = await edge.submit(CancelOrder(account_id=session.account_id, order_id=order.order_id))
    match _accepted(outcome.events):
        case OrderEnded() as ended:
            market = edge.view.markets[order.market_id]
            return _json(
                {"seq": outcome.seq, "order": open_order_json(market, order, ended, outcome.time_ns)}, 200
            )
        case event:
            raise AssertionError(f"an order was cancelled and {event!r} answered")


async def delete_orders(request: Request) -> Response:
    """DELETE /v1/orders?market=: cancels all open orders of the account, or those of one market."""
    session = await authenticate(request)
    edge = edge_of(request)
    market_id = None
    for name, value in request.query_params.multi_items():
        if name != "market" or market_id is not None:
            raise FieldRefused(GatewayCode.FIELD_UNKNOWN, "only one market may be given here", field=name)
        market_id = parse_market(value, edge.view.market_by_symbol).market_id
    outcome = await edge.submit(CancelAll(account_id=session.account_id, market_id=market_id))
    _accepted(outcome.events)
    order_ids = [str(event.order_id) for event in outcome.events if type(event) is OrderEnded]
    return _json({"seq": outcome.seq, "count": len(order_ids), "order_ids": order_ids}, 200)


def parse_order_id(text: str) -> int:
    """The order id of a path; whatever is none can be no order's. Raises Problem (unknown_order)."""
    if text.isascii() and text.isdigit() and len(text) <= _MAX_ORDER_ID_CHARS:
        number = int(text)
        if number < 2**63:
            return number
    raise Problem(RejectReason.UNKNOWN_ORDER)


def own_open_order(order: OpenOrder | None, account_id: int) -> OpenOrder:
    """An open order of this account. Raises Problem (unknown_order), also for somebody else's."""
    if order is None or order.account_id != account_id:
        raise Problem(RejectReason.UNKNOWN_ORDER)
    return order


def _accepted(events: tuple[Event, ...]) -> Event:
    first = events[0]
    if type(first) is Rejected:
        raise rejected(first.reason)
    return first


def _no_parameters(request: Request) -> None:
    for name in request.query_params:
        raise FieldRefused(GatewayCode.FIELD_UNKNOWN, "no such parameter", field=name)


def _json(content: dict[str, Any], status: int) -> Response:
    return Response(_encoder.encode(content), status_code=status, media_type="application/json")


ROUTES = [
    Route("/v1/orders", post_order, methods=["POST"]),
    Route("/v1/orders", delete_orders, methods=["DELETE"]),
    Route("/v1/orders/{order_id}", delete_order, methods=["DELETE"]),
]


def _operation(name: str, summary: str, description: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": ["orders"],
        "operationId": name,
        "summary": summary,
        "description": description,
        "responses": responses | PROBLEM_RESPONSES,
        **AUTHENTICATED,
    }


def _answer(description: str, model: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}},
    }


OPERATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "/v1/orders": {
        "post": _operation(
            "post_order",
            "Post Order",
            "Places an order. Answered when it is committed. Sent again with the same `client_order_id` and "
            "content within a minute, it is answered with 200 and the order's present state.",
            {
                "201": _answer("The order was taken.", "PlaceOrderAnswer"),
                "200": _answer("The order was taken before.", "PlaceOrderAnswer"),
            },
        )
        | {
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/PlaceOrderRequest"}}
                },
            }
        },
        "delete": _operation(
            "delete_orders",
            "Delete Orders",
            "Cancels all open orders, or those of one market.",
            {"200": _answer("The orders that were cancelled.", "CancelAllAnswer")},
        )
        | {
            "parameters": [
                {
                    "name": "market",
                    "in": "query",
                    "required": False,
                    "schema": {"type": "string", "examples": ["ETH-USDC"]},
                }
            ]
        },
    },
    "/v1/orders/{order_id}": {
        "delete": _operation(
            "delete_order",
            "Delete Order",
            "Cancels one open order.",
            {"200": _answer("The order as it ended.", "OrderAnswer")},
        )
        | {
            "parameters": [
                {
                    "name": "order_id",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string", "pattern": "^[0-9]+$", "examples": ["1042"]},
                }
            ]
        },
    },
}
"""What OpenAPI says of these routes."""
