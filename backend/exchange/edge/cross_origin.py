"""Which answers the pages of other sites may read: public market data, and nothing else.

Such a route is in a router with `route_class=PublicRead`. Its GETs, refusals included, carry
`Access-Control-Allow-Origin: *`, never with credentials: a browser gives these answers to no page that sent a
cookie along. They are the same for everybody, so they do not vary by Origin.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from exchange.gateway.rate_limits import RATE_LIMIT_HEADERS

_PUBLIC_READ = "exchange.public_read"

SEQ_HEADER = "X-Seq"
"""The `seq` as of which an answer is true, where its body has no place for it."""

PUBLIC_READ_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": ", ".join(("ETag", SEQ_HEADER, *RATE_LIMIT_HEADERS, "Retry-After")),
    "Cross-Origin-Resource-Policy": "cross-origin",
}


class PublicRead(APIRoute):
    """A route whose answers every page may read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def public(request: Request) -> Response:
            mark_public_read(request.scope)
            return await handler(request)

        return public


def mark_public_read(scope: Scope) -> None:
    """Every page may read the answer to this request."""
    scope[_PUBLIC_READ] = True


def is_public_read(scope: Scope) -> bool:
    """Whether it was marked so."""
    return _PUBLIC_READ in scope
