"""Around every answer: a request id, security headers, and the last net for errors. And before every request:
of its cookies only ours are looked at.

The outermost middleware. An exception that nothing below has turned into an answer is logged with its
traceback under the request id and answered with a bare `internal_error`.
"""

import random
import traceback
from collections.abc import Mapping

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.edge.cookies import take_cookies
from exchange.edge.cross_origin import PUBLIC_READ_HEADERS, is_public_read
from exchange.edge.problems import EdgeCode, Problem
from exchange.gateway.origins import check_origin
from exchange.gateway.refusals import OriginRefused

logger = structlog.get_logger(__name__)

_REQUEST_ID = "exchange.request_id"

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""A route that needs another value, as the documentation pages do, sets its own."""


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


_HEADERS = _raw(SECURITY_HEADERS)
_PUBLIC_READ_HEADERS = _raw(SECURITY_HEADERS | PUBLIC_READ_HEADERS)
_DEFAULT_NAMES = frozenset(name for name, _ in _PUBLIC_READ_HEADERS)
_draw_bits = random.Random().getrandbits  # noqa: S311
"""For ids that have to differ, and need not be secret."""


def request_id(scope: Scope) -> str:
    """The id under which this request is logged, also sent as `X-Request-Id`."""
    identifier: str = scope.get(_REQUEST_ID, "")
    return identifier


def _origin(scope: Scope) -> str | None:
    """What the request states, the first where it does so twice."""
    for name, value in scope["headers"]:
        if name == b"origin":
            origin: str = value.decode("latin-1")
            return origin
    return None


class Envelope:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, allowed_origins: frozenset[str]) -> None:
        self._app = app
        self._allowed_origins = allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        take_cookies(scope)
        identifier = scope[_REQUEST_ID] = f"{_draw_bits(64):016x}"
        started = False

        async def enveloped(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = message.get("headers", ())
                defaults = _PUBLIC_READ_HEADERS if is_public_read(scope) else _HEADERS
                present = [name for name, _ in headers if name in _DEFAULT_NAMES]
                if present:
                    defaults = [pair for pair in defaults if pair[0] not in present]
                message["headers"] = [*headers, *defaults, (b"x-request-id", identifier.encode())]
            await send(message)

        try:
            check_origin(
                scope["method"],
                _origin(scope),
                self._allowed_origins,
                uses_cookie=False,
            )
            await self._app(scope, receive, enveloped)
        except OriginRefused as refusal:
            problem = Problem(refusal.code, refusal.detail, value=refusal.value)
            await problem.response(identifier)(scope, receive, enveloped)
        except Exception:
            # As text: a renderer that shows local variables would put tokens into the log.
            logger.error(  # noqa: TRY400
                "request_failed",
                request_id=identifier,
                path=scope["path"],
                traceback=traceback.format_exc(),
            )
            if started:
                raise
            await Problem(EdgeCode.INTERNAL_ERROR).response(identifier)(scope, receive, enveloped)
