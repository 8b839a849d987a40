"""The hot routes: placing, amending and cancelling orders. Plain routes, no pydantic, no SQL.

Bytes are decoded once by the body middleware, `edge.order_requests` makes the commands, the sequencer answers
after the commit, msgspec writes the answer. What an agent has signed is done only if its nonce was not used
before, which the core decides right before it does the commands. The OpenAPI document has these routes from
`order_operations`.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exchange.core.events import Rejected
from exchange.core.rejects import RejectReason
from exchange.edge import order_requests
from exchange.edge.body import decoded_object, no_body, no_parameters
from exchange.edge.dependencies import edge_of
from exchange.edge.envelope import request_id
from exchange.edge.identity import Identified, authenticate_trader
from exchange.edge.order_requests import OrderRequest
from exchange.edge.problems import rejected
from exchange.edge.rate_limiting import charge_of
from exchange.edge.rest.order_answers import Answer
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.sequencer.sequencer import Outcome

_MAX_PARAMETER_CHARS = 3
_OF_THE_NONCE = frozenset(
    {
        RejectReason.AGENT_UNKNOWN,
        RejectReason.AGENT_REVOKED,
        RejectReason.AGENT_EXPIRED,
        RejectReason.NONCE_USED,
        RejectReason.NONCE_TOO_OLD,
        RejectReason.NONCE_OFF_TIME,
    }
)
"""Why the core takes nothing of a signed request; it refuses no order for these."""
_encoder = msgspec.json.Encoder()


async def post_order(request: Request) -> Response:
    """POST /v1/orders: 201 with the order and its fills; 200 for one that was sent before."""
    trader = await authenticate_trader(request)
    no_parameters(request)
    edge, budget = edge_of(request), charge_of(request)
    return await _answer(
        request, trader, order_requests.place(edge, trader.caller, budget, decoded_object(request))
    )


async def patch_order(request: Request) -> Response:
    """PATCH /v1/orders/{order_id}: the order with its new price or size, and what it took."""
    trader = await authenticate_trader(request)
    no_parameters(request)
    edge, budget = edge_of(request), charge_of(request)
    order_id, body = request.path_params["order_id"], decoded_object(request)
    return await _answer(request, trader, order_requests.amend(edge, trader.caller, budget, order_id, body))


async def delete_order(request: Request) -> Response:
    """DELETE /v1/orders/{order_id}: the order as it ended. 404 when it is not open, or not the caller's."""
    trader = await authenticate_trader(request)
    no_parameters(request)
    no_body(request)
    edge, budget = edge_of(request), charge_of(request)
    fields = {"order_id": request.path_params["order_id"]}
    return await _answer(request, trader, order_requests.cancel(edge, trader.caller, budget, fields))


async def delete_client_order(request: Request) -> Response:
    """DELETE /v1/orders/client/{client_order_id}: the same by the id that the client gave, which may still be
    on its way to the engine.
    """
    trader = await authenticate_trader(request)
    no_body(request)
    edge, budget = edge_of(request), charge_of(request)
    fields = _parameters(request, "at most one sub_account")
    for name in fields:
        if name != "sub_account":
            raise FieldRefused(GatewayCode.FIELD_UNKNOWN, "no such parameter", field=name)
    fields["client_order_id"] = request.path_params["client_order_id"]
    return await _answer(request, trader, order_requests.cancel(edge, trader.caller, budget, fields))


async def delete_orders(request: Request) -> Response:
    """DELETE /v1/orders: cancels the account's open orders, of one market or of all, of one side or both."""
    trader = await authenticate_trader(request)
    no_body(request)
    edge, budget = edge_of(request), charge_of(request)
    fields = _parameters(request, "at most one market, one side and one sub_account")
    return await _answer(request, trader, order_requests.cancel_all(edge, trader.caller, budget, fields))


async def post_batch(request: Request) -> Response:
    """POST /v1/orders/batch: 200 with one result for each operation, in their order.

    Operations that can not be read are refused by themselves; the others go to the engine as one entry.
    """
    trader = await authenticate_trader(request)
    no_parameters(request)
    edge, budget, body = edge_of(request), charge_of(request), decoded_object(request)
    asked = order_requests.batch(edge, trader.caller, budget, body, request_id(request.scope))
    return await _answer(request, trader, asked)


async def _answer(request: Request, trader: Identified, asked: OrderRequest) -> Response:
    """Has it done, and says what came of it. Raises Problem."""
    status, content = await done(request, trader, asked)
    return Response(_encoder.encode(content), status_code=status, media_type="application/json")


async def done(request: Request, trader: Identified, asked: OrderRequest) -> Answer:
    """What the engine did of it. Raises Problem, for a nonce that was refused too: then it did nothing."""
    edge = edge_of(request)
    outcomes: list[Outcome] = []
    if len(asked.commands) == 1:
        outcomes = [await edge.submit(asked.commands[0], trader.nonce)]
    elif asked.commands:
        outcomes = await edge.submit_batch(asked.commands, trader.nonce)
    if outcomes and trader.nonce is not None:
        first = outcomes[0].events[0]
        if type(first) is Rejected and first.reason in _OF_THE_NONCE:
            raise rejected(first.reason)
    return asked.answer(outcomes)


def _parameters(request: Request, once: str) -> dict[str, object]:
    """The query as fields. `once`: what is said of one that is there twice. Raises FieldRefused."""
    fields: dict[str, object] = {}
    for name, value in request.query_params.multi_items():
        if name in fields:
            raise FieldRefused(GatewayCode.FIELD_UNKNOWN, once, field=name)
        fields[name] = _number(value) if name == "sub_account" else value
    return fields


def _number(text: str) -> object:
    """A query parameter as the number that it is, or as it is, to be refused."""
    if text.isascii() and text.isdigit() and len(text) <= _MAX_PARAMETER_CHARS:
        return int(text)
    return text


ROUTES = [
    Route("/v1/orders", post_order, methods=["POST"]),
    Route("/v1/orders", delete_orders, methods=["DELETE"]),
    Route("/v1/orders/batch", post_batch, methods=["POST"]),
    Route("/v1/orders/{order_id}", patch_order, methods=["PATCH"]),
    Route("/v1/orders/{order_id}", delete_order, methods=["DELETE"]),
    Route("/v1/orders/client/{client_order_id}", delete_client_order, methods=["DELETE"]),
]
