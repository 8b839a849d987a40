"""The upgrade to a WebSocket: who may have one, and what is agreed on.

Only `GET /v1/ws`, from our own pages or from no page at all, and as long as there is room.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from exchange.edge.cookies import SESSION_COOKIE, own_cookies
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.ws.frames import WINDOW_BITS
from exchange.edge.ws.limits import STRANGERS
from exchange.gateway.origins import require_allowed
from exchange.gateway.refusals import GatewayCode, GatewayRefusal

PATH = "/v1/ws"

_DEFLATE = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    server_max_window_bits=WINDOW_BITS,
    client_max_window_bits=WINDOW_BITS,
)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What the upgrade of a connection said. `cookie` is a session's token; an Origin, if any, was ours."""

    cookie: str | None
    has_origin: bool


def open_handshake() -> ServerProtocol:
    """The standard's side of one connection, for `accept`."""
    return ServerProtocol(state=State.OPEN, extensions=[_DEFLATE], max_size=STRANGERS.message_bytes)


def accept(
    websocket: ServerProtocol,
    target: str,
    headers: Sequence[tuple[bytes, bytes]],
    allowed_origins: frozenset[str],
) -> tuple[Upgrade, bytes]:
    """What the upgrade said, and the answer that completes it. Raises Problem."""
    if target != PATH:
        raise Problem(GatewayCode.FIELD_UNKNOWN, f"{PATH} takes no parameters")
    named = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
    origins = named.get_all("Origin")
    try:
        for origin in origins:
            require_allowed(origin, allowed_origins)
    except GatewayRefusal as refusal:
        raise Problem.of_refusal(refusal) from refusal
    response = websocket.accept(Request(target, named))
    if response.status_code != 101:
        raise _refused(websocket.handshake_exc)
    return Upgrade(own_cookies(headers).get(SESSION_COOKIE), bool(origins)), response.serialize()


def takes_deflated(websocket: ServerProtocol) -> bool:
    """Whether our deflated frames can be read at the other end: it may have asked for a smaller window."""
    return any(
        isinstance(extension, PerMessageDeflate) and extension.local_max_window_bits == WINDOW_BITS
        for extension in websocket.extensions
    )


async def _refuse_plain_request(_: StarletteRequest) -> Response:
    raise Problem(EdgeCode.UPGRADE_REQUIRED, headers={"Upgrade": "websocket", "Connection": "Upgrade"})


NOT_UPGRADED = Route(PATH, _refuse_plain_request, methods=["GET"], include_in_schema=False)
"""For requests that do not ask for a WebSocket, or not as RFC 6455 has it."""


def _refused(error: Exception | None) -> Problem:
    headers: Mapping[str, str] = {"Sec-WebSocket-Version": "13"}
    if isinstance(error, InvalidHeader):
        return Problem(
            EdgeCode.BAD_REQUEST, f"not a WebSocket handshake: {error.name} is wrong", headers=headers
        )
    return Problem(EdgeCode.BAD_REQUEST, "not a WebSocket handshake (RFC 6455)", headers=headers)
