"""The hot routes: placing, amending and cancelling orders. Plain routes, no pydantic, no SQL.

Bytes are decoded once by the body middleware, `gateway.requests` makes the command, the sequencer answers
after the commit, msgspec writes the answer. The OpenAPI document has these routes from `order_operations`.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exchange.core.commands import AmendOrder, CancelAll, CancelOrder, Command, PlaceOrder
from exchange.core.events import OrderEnded
from exchange.core.words import Side
from exchange.edge.body import decoded_object, no_parameters
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.envelope import request_id
from exchange.edge.identity import authenticate
from exchange.edge.problems import Problem
from exchange.edge.rest.order_answers import Answer, amended, cancelled, first_event, placed
from exchange.gateway.accounts import own_account_id, own_open_order
from exchange.gateway.batches import BatchReader, ParsedOperation, parse_operations
from exchange.gateway.fields import parse_market, parse_order_id, parse_word
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.gateway.requests import parse_amend_order, parse_place_order
from exchange.sequencer.sequencer import Outcome

_CANCEL_ALL_PARAMETERS = frozenset({"market", "side", "sub_account"})
_MAX_PARAMETER_CHARS = 3
_encoder = msgspec.json.Encoder()


async def post_order(request: Request) -> Response:
    """POST /v1/orders: 201 with the order and its fills; 200 for one that was sent before."""
    session = await authenticate(request)
    edge = edge_of(request)
    no_parameters(request)
    body, view = decoded_object(request), edge.view
    account_id = own_account_id(view, session, body.get("sub_account"))
    command = parse_place_order(body, account_id, view.market_by_symbol, edge.clock_ns())
    outcome = await edge.submit(command)
    return _answer(outcome, placed(view, command, outcome))


async def patch_order(request: Request) -> Response:
    """PATCH /v1/orders/{order_id}: the order with its new price or size, and what it took."""
    session = await authenticate(request)
    edge = edge_of(request)
    no_parameters(request)
    view = edge.view
    order = own_open_order(view, session, parse_order_id(request.path_params["order_id"]))
    market = view.markets[order.market_id]
    outcome = await edge.submit(parse_amend_order(decoded_object(request), order, market, edge.clock_ns()))
    return _answer(outcome, amended(view, order, outcome))


async def delete_order(request: Request) -> Response:
    """DELETE /v1/orders/{order_id}: the order as it ended. 404 when it is not open, or not the caller's."""
    session = await authenticate(request)
    edge = edge_of(request)
    no_parameters(request)
    order = own_open_order(edge.view, session, parse_order_id(request.path_params["order_id"]))
    outcome = await edge.submit(CancelOrder(order.account_id, order.order_id))
    return _answer(outcome, cancelled(edge.view, order, outcome))


async def delete_orders(request: Request) -> Response:
    """DELETE /v1/orders: cancels the account's open orders, of one market or of all, of one side or both."""
    session = await authenticate(request)
    edge = edge_of(request)
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in _CANCEL_ALL_PARAMETERS or name in given:
            raise FieldRefused(
                GatewayCode.FIELD_UNKNOWN, "at most one market, one side and one sub_account", field=name
            )
        given[name] = value
    account_id = own_account_id(edge.view, session, _number(given.get("sub_account")))
    market_id, side = None, None
    if "market" in given:
        market_id = parse_market(given["market"], edge.view.market_by_symbol).market_id
    if "side" in given:
        side = parse_word(given["side"], "side", Side)
    outcome = await edge.submit(CancelAll(account_id, market_id, side))
    first_event(outcome.events)
    order_ids = [str(event.order_id) for event in outcome.events if type(event) is OrderEnded]
    return _answer(outcome, Answer(200, {"count": len(order_ids), "order_ids": order_ids}))


async def post_batch(request: Request) -> Response:
    """POST /v1/orders/batch: 200 with one result for each operation, in their order.

    Operations that can not be read are refused by themselves; the others go to the engine as one entry.
    """
    session = await authenticate(request)
    edge = edge_of(request)
    no_parameters(request)
    reader = BatchReader(session, edge.view, edge.clock_ns())
    results: list[dict[str, Any]] = []
    taken: list[tuple[int, ParsedOperation]] = []
    for index, item in enumerate(parse_operations(decoded_object(request))):
        results.append({})
        try:
            taken.append((index, reader.parse(item)))
        except FieldRefused as refused:
            results[index] = _problem_result(Problem.of_refusal(refused), request)
    seq = edge.view.seq
    if taken:
        commands: list[Command] = [operation.command for _, operation in taken]
        outcomes = await edge.submit_batch(commands)
        for (index, operation), outcome in zip(taken, outcomes, strict=True):
            try:
                status, content = _done(edge, operation, outcome)
                results[index] = {"status": status, **content}
            except Problem as problem:
                results[index] = _problem_result(problem, request)
        seq = outcomes[-1].seq
    return _json({"seq": seq, "results": results}, 200)


def _done(edge: Edge, operation: ParsedOperation, outcome: Outcome) -> Answer:
    match operation.command:
        case PlaceOrder() as command:
            return placed(edge.view, command, outcome)
        case AmendOrder():
            assert operation.order is not None
            return amended(edge.view, operation.order, outcome)
        case CancelOrder():
            assert operation.order is not None
            return cancelled(edge.view, operation.order, outcome)


def _problem_result(problem: Problem, request: Request) -> dict[str, Any]:
    return {"status": problem.status, "problem": problem.content(request_id(request.scope))}


def _number(text: str | None) -> object:
    """A query parameter as the number that it is, or as it is, to be refused."""
    if text is not None and text.isascii() and text.isdigit() and len(text) <= _MAX_PARAMETER_CHARS:
        return int(text)
    return text


def _answer(outcome: Outcome, answer: Answer) -> Response:
    return _json({"seq": outcome.seq, **answer.content}, answer.status)


def _json(content: dict[str, Any], status: int) -> Response:
    return Response(_encoder.encode(content), status_code=status, media_type="application/json")


ROUTES = [
    Route("/v1/orders", post_order, methods=["POST"]),
    Route("/v1/orders", delete_orders, methods=["DELETE"]),
    Route("/v1/orders/batch", post_batch, methods=["POST"]),
    Route("/v1/orders/{order_id}", patch_order, methods=["PATCH"]),
    Route("/v1/orders/{order_id}", delete_order, methods=["DELETE"]),
]
