"""Who is asking: the session of a request, from its bearer token or its cookie."""

from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from exchange.edge.dependencies import edge_of
from exchange.gateway.origins import check_origin
from exchange.gateway.refusals import GatewayCode, SessionRefused
from exchange.gateway.sessions import Session

SESSION_COOKIE = "__Host-session"
PRE_LOGIN_COOKIE = "__Host-pre-login"

AUTHENTICATED: dict[str, Any] = {"security": [{"bearer": []}, {"cookie": []}]}
"""`openapi_extra` of a route that needs a session."""


def presented_token(request: Request) -> str:
    """The token of a request. A bearer token goes before a cookie; a cookie needs the right Origin.

    Raises SessionRefused (unauthenticated), OriginRefused.
    """
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise SessionRefused(GatewayCode.UNAUTHENTICATED, "the only authorization scheme here is Bearer")
        return token.strip()
    cookie = request.cookies.get(SESSION_COOKIE)
    if cookie is None:
        raise SessionRefused(GatewayCode.UNAUTHENTICATED, "sign in first; this needs a session")
    require_origin(request)
    return cookie


def require_origin(request: Request) -> None:
    """Raises OriginRefused for an unsafe request that relies on a cookie and is not from our pages."""
    check_origin(
        request.method,
        request.headers.get("origin"),
        edge_of(request).config.allowed_origins,
        uses_cookie=True,
    )


async def authenticate(request: Request) -> Session:
    """The session of a request. Raises SessionRefused, OriginRefused."""
    return await edge_of(request).sessions.find(presented_token(request))


SessionOf = Annotated[Session, Depends(authenticate)]


def set_cookie(response: Response, name: str, value: str, max_age_s: int) -> None:
    """A cookie that only this host sees, over TLS or localhost, on its own requests, not in scripts."""
    response.set_cookie(
        name, value, max_age=max_age_s, path="/", secure=True, httponly=True, samesite="strict"
    )


def clear_cookie(response: Response, name: str) -> None:
    """Has the browser forget a cookie that `set_cookie` made."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")
