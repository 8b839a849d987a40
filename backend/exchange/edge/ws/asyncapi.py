"""The AsyncAPI document of `/v1/ws`, made of the shapes of its messages.

Source: AsyncAPI 3.0.0. It says what the exchange does: it receives requests and sends messages.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import Route

from exchange.edge.documentation import TITLE, VERSION, document_route
from exchange.edge.ws import limits
from exchange.edge.ws import message_shapes as shapes
from exchange.edge.ws.close_codes import CloseCode
from exchange.edge.ws.trading_shapes import PARTIAL, TRADING

Document = dict[str, Any]

DESCRIPTION = """One WebSocket carries everything that changes, and takes orders. Frames are JSON text.

Amounts, prices and sizes are exact decimal strings, ids are strings, times are milliseconds since 1970
(UTC), and `seq` is the number that every answer of the HTTP API carries. How the messages work together is
told in docs/api/websocket.md."""

_WHEN_CLOSED = {
    CloseCode.GOING_AWAY: "the server is stopping; connect again",
    CloseCode.PROTOCOL_ERROR: "not WebSocket",
    CloseCode.INVALID_TEXT: "a text that is not UTF-8",
    CloseCode.MESSAGE_TOO_BIG: f"a message of more than {limits.STRANGERS.message_bytes} bytes "
    f"({limits.TRADERS.message_bytes} of who may trade)",
    CloseCode.INTERNAL_ERROR: "an error of ours",
    CloseCode.SLOW_READER: f"{limits.MAX_WAITING_MESSAGES} private messages, or {limits.MAX_RESULT_BYTES} "
    "bytes of results, waited; connect again and resume",
    CloseCode.PING_TIMEOUT: f"no pong within {limits.PONG_S:.0f} s",
    CloseCode.FLOOD: f"{limits.MAX_REFUSED} requests refused for being too fast within "
    f"{limits.REFUSED_WINDOW_S} s, or {limits.MAX_REFUSED_TRADING} that trade",
}
_LIMITS = (
    f"a request of {limits.MAX_REQUEST_BYTES} bytes",
    f"{limits.REQUESTS_AT_ONCE} requests at once and {limits.REQUESTS_PER_S} a second",
    f"a batch of {limits.MAX_BATCH_BYTES} bytes, of who may trade",
    f"{limits.MAX_SUBSCRIPTIONS} subscriptions of a connection",
    "no binary frames",
)
CHANNEL_DESCRIPTION = "\n".join(
    [
        f"Every {limits.HEARTBEAT_S:.0f} s a heartbeat comes, every {limits.PING_S:.0f} s a protocol ping.",
        "",
        "Close codes:",
        "",
        *(f"- {code.value} `{code.reason}`: {_WHEN_CLOSED[code]}" for code in CloseCode),
        "",
        "What is beyond these limits is answered with an `error`, and the connection is kept:",
        "",
        *(f"- {limit}" for limit in _LIMITS),
    ]
)

_CHANNEL = "streams"
_Model = type[BaseModel]


def asyncapi_document() -> Document:
    """The whole document."""
    operations = _operations()
    messages = list(dict.fromkeys(message for operation in operations.values() for message in operation.all))
    return {
        "asyncapi": "3.0.0",
        "info": {"title": f"{TITLE} streams", "version": VERSION, "description": DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {
            "exchange": {
                "host": "localhost:8000",
                "protocol": "ws",
                "description": "The exchange's own address; `wss` where it is served over HTTPS.",
            }
        },
        "channels": {
            _CHANNEL: {
                "address": "/v1/ws",
                "title": "Streams",
                "description": CHANNEL_DESCRIPTION,
                "messages": {_name(message): {"$ref": _in_components(message)} for message in messages},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            }
        },
        "operations": {name: operation.document() for name, operation in operations.items()},
        "components": {
            "messages": {_name(message): _message(message) for message in messages},
            "schemas": _schemas(messages),
        },
    }


def asyncapi_route() -> Route:
    """Serves the document at `/asyncapi.json`."""
    return document_route("/asyncapi.json", asyncapi_document)


@dataclass(frozen=True, slots=True)
class _Operation:
    """What the exchange receives, with its replies, or sends."""

    action: Literal["receive", "send"]
    summary: str
    messages: list[_Model]
    replies: list[_Model]

    @property
    def all(self) -> list[_Model]:
        return self.messages + self.replies

    def document(self) -> Document:
        channel = {"$ref": f"#/channels/{_CHANNEL}"}
        operation: Document = {
            "action": self.action,
            "channel": channel,
            "summary": self.summary,
            "messages": _in_channel(self.messages),
        }
        if self.replies:
            operation["reply"] = {"channel": channel, "messages": _in_channel(self.replies)}
        return operation


def _operations() -> dict[str, _Operation]:
    operations = {
        "auth": _Operation(
            "receive",
            "Authenticate.",
            [shapes.AuthRequest, shapes.AuthByKeyRequest],
            [shapes.Authenticated],
        ),
        "ping": _Operation("receive", "Ask for a sign of life.", [shapes.PingRequest], [shapes.Pong]),
        "connection": _Operation("send", "The connection's own.", [shapes.Welcome, shapes.Heartbeat], []),
    }
    for trade in TRADING:
        operations[f"trade.{trade.name}"] = _Operation(
            "receive", trade.summary, [trade.request], [trade.result]
        )
    for channel in shapes.CHANNELS:
        name, found = channel.name, shapes.channel_messages(channel)
        sent = [found.snapshot, found.update, *([found.ended] if found.ended else [])]
        operations |= {
            f"subscribe.{name}": _Operation(
                "receive", f"Subscribe to `{name}`.", [found.subscribe], [found.subscribed]
            ),
            f"unsubscribe.{name}": _Operation(
                "receive", f"Unsubscribe from `{name}`.", [found.unsubscribe], [found.unsubscribed]
            ),
            name: _Operation("send", f"What comes of a subscription to `{name}`.", sent, []),
        }
    for operation in operations.values():
        if operation.replies:
            operation.replies.append(shapes.Refused)
    return dict(sorted(operations.items()))


def _name(message: _Model) -> str:
    return message.__name__


def _in_components(message: _Model) -> str:
    return f"#/components/messages/{_name(message)}"


def _in_channel(messages: Sequence[_Model]) -> list[Document]:
    return [{"$ref": f"#/channels/{_CHANNEL}/messages/{_name(message)}"} for message in messages]


def _message(message: _Model) -> Document:
    return {
        "name": _name(message),
        "summary": inspect.getdoc(message),
        "payload": {"$ref": f"#/components/schemas/{_name(message)}"},
    }


def _schemas(messages: Sequence[_Model]) -> Document:
    """Schemas of the messages and all they are made of, closed: there is never a member that is not here."""
    _, found = models_json_schema(
        [(message, "serialization") for message in messages], ref_template="#/components/schemas/{model}"
    )
    may_lack = {_name(message) for message in [*messages, *PARTIAL]}
    schemas: Document = dict(sorted(found["$defs"].items()))
    for name, schema in schemas.items():
        _close(schema, may_lack_members=name in may_lack)
    return schemas


def _close(schema: Document, *, may_lack_members: bool) -> None:
    """Allows no other member. In a message itself some may be missing, and are never null; what messages are
    made of is always whole. Source: JSON Schema draft 7: a reference stands alone, and `items` is for all.
    """
    schema.pop("title", None)
    if "properties" in schema:
        schema["additionalProperties"] = False
        if not may_lack_members:
            schema["required"] = sorted(schema["properties"])
    for name, member in schema.get("properties", {}).items():
        if may_lack_members and name not in schema["required"] and member.get("default", 0) is None:
            (present,) = (kind for kind in member.pop("anyOf") if kind != {"type": "null"})
            member.pop("default")
            member.update(present)
        _close_member(member)
    _close_member(schema)


def _close_member(schema: Document) -> None:
    schema.pop("title", None)
    if "$ref" in schema and len(schema) > 1:
        schema["allOf"] = [{"$ref": schema.pop("$ref")}]
    if "prefixItems" in schema:
        schema["items"], *others = schema.pop("prefixItems")
        assert all(other == schema["items"] for other in others)
    for inner in [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]:
        _close_member(inner)
