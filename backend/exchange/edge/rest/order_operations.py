"""What the OpenAPI document says of the plain routes of `order_entry`."""

from typing import Any

from exchange.edge.identity import AGENTS_TOO
from exchange.edge.rest.order_shapes import CLIENT_ORDER_ID
from exchange.edge.values import PROBLEM_RESPONSES


def _operation(
    name: str,
    description: str,
    responses: dict[str, Any],
    *,
    body: str | None = None,
    examples: dict[str, dict[str, Any]] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    operation = {
        "tags": ["orders"],
        "operationId": name,
        "description": description,
        "responses": responses | PROBLEM_RESPONSES,
        **AGENTS_TOO,
    }
    if body is not None:
        content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{body}"}}
        if examples is not None:
            content["examples"] = {name: {"value": value} for name, value in examples.items()}
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    if parameters is not None:
        operation["parameters"] = parameters
    return operation


def _answer(description: str, model: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}},
    }


def _parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
    }


_SUB_ACCOUNT = _parameter(
    "sub_account",
    {"type": "integer", "minimum": 0, "maximum": 127, "default": 0},
    "Which of your accounts.",
)
_ORDER_ID = {
    "name": "order_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9]+$", "examples": ["1042"]},
}

_CLIENT_ORDER_ID = {
    "name": "client_order_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": CLIENT_ORDER_ID, "examples": ["my-order-1"]},
}

_LIMIT = {"market": "ETH-USDC", "side": "buy", "price": "2990", "size": "0.5"}
_ORDERS: dict[str, dict[str, Any]] = {
    "limit": _LIMIT,
    "market": {"market": "ETH-USDC", "side": "sell", "type": "market", "size": "0.5"},
    "market buy by amount": {"market": "ETH-USDC", "side": "buy", "type": "market", "amount": "250"},
    "good till a time": _LIMIT | {"time_in_force": "gtt", "good_till_ms": 4102444800000},
    "stop": _LIMIT | {"side": "sell", "price": "2850", "trigger": {"type": "stop", "price": "2900"}},
}
_BATCH: dict[str, dict[str, Any]] = {
    "place, amend and cancel": {
        "operations": [
            {"op": "place"} | _LIMIT,
            {"op": "amend", "order_id": "1042", "size": "0.4"},
            {"op": "cancel", "order_id": "1043"},
        ]
    },
    "place, and cancel by client order id": {
        "operations": [
            {"op": "place", "client_order_id": "my-order-3"} | _LIMIT,
            {"op": "cancel", "client_order_id": "my-order-1"},
            {"op": "cancel", "client_order_id": "my-order-2"},
        ]
    },
}

OPERATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "/v1/orders": {
        "post": _operation(
            "post_order",
            "Places an order. Answered when it is committed. Sent again with the same `client_order_id` and "
            "content within a minute, it is answered with 200 and the order's present state.",
            {
                "201": _answer("The order was taken.", "PlaceOrderAnswer"),
                "200": _answer("The order was taken before.", "PlaceOrderAnswer"),
            },
            body="PlaceOrderRequest",
            examples=_ORDERS,
        ),
        "delete": _operation(
            "delete_orders",
            "Cancels an account's open orders, all of them or those of one market or side. Orders in halted "
            "markets stay.",
            {"200": _answer("The orders that were cancelled.", "CancelAllAnswer")},
            parameters=[
                _parameter("market", {"type": "string", "examples": ["ETH-USDC"]}, "All unless given."),
                _parameter("side", {"type": "string", "enum": ["buy", "sell"]}, "Both unless given."),
                _SUB_ACCOUNT,
            ],
        ),
    },
    "/v1/orders/batch": {
        "post": _operation(
            "post_batch",
            "Does up to 100 operations, in their order. Each is taken or refused by itself, and has a result "
            "of its own; the batch is committed as one.",
            {"200": _answer("One result for each operation.", "BatchAnswer")},
            body="BatchRequest",
            examples=_BATCH,
        )
    },
    "/v1/orders/{order_id}": {
        "patch": _operation(
            "patch_order",
            "Gives an open order another price or size. A smaller size at the same price keeps its place in "
            "the queue; any other change goes to its end, and may trade at once.",
            {"200": _answer("The order as it stands now and what it took.", "PlaceOrderAnswer")},
            body="AmendOrderRequest",
            examples={"smaller": {"size": "0.4"}, "another price": {"price": "2995"}},
            parameters=[_ORDER_ID],
        ),
        "delete": _operation(
            "delete_order",
            "Cancels one open order.",
            {"200": _answer("The order as it ended.", "OrderAnswer")},
            parameters=[_ORDER_ID],
        ),
    },
    "/v1/orders/client/{client_order_id}": {
        "delete": _operation(
            "delete_client_order",
            "Cancels the open order of an account that was placed with this client order id. It may be sent "
            "right behind the order, without waiting for the answer to that.",
            {"200": _answer("The order as it ended.", "OrderAnswer")},
            parameters=[_CLIENT_ORDER_ID, _SUB_ACCOUNT],
        ),
    },
}
