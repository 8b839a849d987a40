import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from tests.streams.spec import ASYNCAPI_FILE, SHAPES, document

from exchange.edge.problems import STATUS_AND_TITLE
from exchange.edge.ws.asyncapi_file import document_text

ROOT = Path(__file__).parents[2]
META_SCHEMA = ROOT / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0-without-$id.json"

DATA_CHANNELS = {
    "book", "bbo", "trades", "ticker", "candles", "orders", "fills", "balances", "deposits", "withdrawals",
}  # fmt: skip
TRADING_OPS = {
    "place", "amend", "cancel", "cancel_all", "batch", "cancel_all_after", "cancel_on_disconnect",
}  # fmt: skip
PRIVATE_CHANNELS = {"orders", "fills", "balances", "deposits", "withdrawals"}

BOOK = {
    "type": "update",
    "channel": "book",
    "market": "ETH-USDC",
    "prev_seq": 1042,
    "seq": 1050,
    "time_ms": 1763841600000,
    "data": {"bids": [["3000.01", "1.5"]], "asks": [], "checksum": 4294967295},
}


def without(frame: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in frame.items() if key != name}


def test_the_checked_in_document_is_the_one_the_code_makes():
    assert ASYNCAPI_FILE.read_text() == document_text(), "write it anew: make asyncapi"


def test_the_document_is_an_asyncapi_document():
    validator = jsonschema_rs.Draft7Validator(json.loads(META_SCHEMA.read_text()))
    assert [str(error)[:2000] for error in validator.iter_errors(document())] == []
    broken = json.loads(document_text())
    broken["channels"]["streams"]["messages"]["Pong"] = {"$ref": 3}
    assert not validator.is_valid(broken)


def test_every_reference_in_the_document_leads_somewhere():
    def references(node: Any):
        if isinstance(node, dict):
            if "$ref" in node:
                assert set(node) == {"$ref"}
                yield node["$ref"]
            for inner in node.values():
                yield from references(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from references(inner)

    found = set(references(document()))
    assert len(found) > 100
    for reference in found:
        node = document()
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_channel_has_a_snapshot_an_update_and_replies_and_private_ones_can_end():
    expected = {(kind, None) for kind in ("welcome", "heartbeat", "authenticated", "pong", "error")}
    for channel in DATA_CHANNELS:
        expected |= {(kind, channel) for kind in ("subscribed", "unsubscribed", "snapshot", "update")}
    expected |= {("ended", channel) for channel in PRIVATE_CHANNELS}
    expected |= {("result", op) for op in TRADING_OPS}
    assert SHAPES.kinds == expected


def test_every_message_is_in_an_operation_and_every_schema_in_use():
    used = json.dumps(document()["operations"])
    for name in document()["channels"]["streams"]["messages"]:
        assert f'"#/channels/streams/messages/{name}"' in used, name
    text = json.dumps(document())
    for name in document()["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text, name


def test_every_schema_is_a_schema_and_every_object_is_closed():
    for name, schema in document()["components"]["schemas"].items():
        jsonschema_rs.meta.validate({"$schema": "http://json-schema.org/draft-07/schema#"} | schema)
        assert schema.get("type") in {"object", "string"}, name
        if schema["type"] == "object":
            assert schema["additionalProperties"] is False, name


def test_close_codes_and_limits_are_those_of_the_page():
    page = (ASYNCAPI_FILE.parent / "websocket.md").read_text()
    text = document()["channels"]["streams"]["description"]
    for code in re.findall(r"^\| (\d{4}(?:, \d{4})*)", page, flags=re.MULTILINE):
        for number in code.split(", "):
            assert number in text
    for name in ("slow_reader", "ping_timeout", "flood"):
        assert f"`{name}`" in text


def test_a_right_frame_is_taken():
    assert SHAPES.check(json.dumps(BOOK)) == BOOK


@pytest.mark.parametrize(
    "wrong",
    [
        BOOK | {"extra": 1},
        without(BOOK, "prev_seq"),
        without(BOOK, "market"),
        without(BOOK, "data"),
        BOOK | {"seq": "1050"},
        BOOK | {"seq": -1},
        BOOK | {"time_ms": 1.5},
        BOOK | {"channel": "depth"},
        BOOK | {"type": "delta"},
        BOOK | {"data": BOOK["data"] | {"bids": [["3000.01", 1.5]]}},
        BOOK | {"data": BOOK["data"] | {"bids": [["3000.01"]]}},
        BOOK | {"data": BOOK["data"] | {"bids": [["3000.01", "1e3"]]}},
        BOOK | {"data": BOOK["data"] | {"checksum": 2**32}},
        BOOK | {"data": without(BOOK["data"], "checksum")},
        BOOK | {"data": BOOK["data"] | {"note": ""}},
        {"type": "error", "code": "field_invalid", "detail": "", "field": None},
        {"type": "error", "code": "field_invalid"},
        {"type": "welcome"},
        [],
    ],
)
def test_a_frame_that_is_not_as_documented_is_refused(wrong):
    with pytest.raises(AssertionError):
        SHAPES.check(json.dumps(wrong))


ORDER = {"market": "ETH-USDC", "side": "buy", "price": "3000", "size": "1"}
KEY = "0x" + "5f" * 32
REQUESTS = [
    ("PingRequest", {"op": "ping", "id": "1"}, {"op": "ping", "id": 1}),
    ("AuthRequest", {"op": "auth"}, {"op": "auth", "key": KEY}),
    (
        "AuthByKeyRequest",
        {"op": "auth", "key": KEY, "expires_ms": 1763841600000, "signature": "0x" + "5f" * 64},
        {"op": "auth", "key": KEY.upper(), "expires_ms": 1763841600000, "signature": "0x5f"},
    ),
    ("BookSubscribe", {"op": "subscribe", "channel": "book", "market": "ETH-USDC"}, {"op": "subscribe"}),
    ("Place", {"op": "place", **ORDER, "client_order_id": "a"}, {"op": "place", **ORDER, "size": 1}),
    ("Amend", {"op": "amend", "order_id": "1042", "price": "3001"}, {"op": "amend", "price": "3001"}),
    ("Cancel", {"op": "cancel", "order_id": "1042"}, {"op": "cancel", "order_id": 1042}),
    ("CancelAll", {"op": "cancel_all", "side": "buy"}, {"op": "cancel_all", "side": "both"}),
    (
        "Batch",
        {"op": "batch", "operations": [{"op": "place", **ORDER}, {"op": "cancel", "order_id": "1"}]},
        {"op": "batch", "operations": [{"op": "cancel_all"}]},
    ),
    ("CancelAllAfter", {"op": "cancel_all_after", "seconds": 60}, {"op": "cancel_all_after"}),
    (
        "CancelOnDisconnect",
        {"op": "cancel_on_disconnect", "enabled": True},
        {"op": "cancel_on_disconnect", "enabled": "true"},
    ),
]


@pytest.mark.parametrize(("name", "right", "wrong"), REQUESTS)
def test_a_request_is_as_documented(name, right, wrong):
    """The tests that send requests send these fields; here the document says the same of them."""
    components = document()["components"]
    schema = {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "components": components}
    validator = jsonschema_rs.Draft7Validator(schema)
    assert [str(error) for error in validator.iter_errors(right)] == []
    assert not validator.is_valid(wrong)
    assert not validator.is_valid(right | {"more": 1})


def test_every_op_is_a_documented_request():
    documented = {
        schema["properties"]["op"]["const"]
        for schema in document()["components"]["schemas"].values()
        if "const" in schema.get("properties", {}).get("op", {}) and "type" not in schema["required"]
    }
    assert documented == TRADING_OPS | {"subscribe", "unsubscribe", "auth", "ping"}


async def test_the_document_is_served_beside_that_of_the_http_api(exchange):
    answer = await exchange.client.get("/asyncapi.json")
    assert answer.json() == json.loads(document_text())
    assert "/asyncapi.json" in (await exchange.client.get("/openapi.json")).json()["info"]["description"]


def test_the_codes_of_examples_are_codes():
    text = json.dumps(document())
    for code in ("field_invalid", "session_invalid"):
        assert code in text
        assert code in STATUS_AND_TITLE
