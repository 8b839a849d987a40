"""Who is asking: an owner by a session (bearer token or cookie), or an agent by its signature.

A request carries either `Authorization` or the `Exchange-` headers of a signed request; a cookie counts only
where it carries neither. So a page that sends a cookie along with a signed request gains nothing by it, and
needs no Origin; the Origin of any unsafe request that states one has been checked before (`envelope`).
"""

from typing import Annotated, Any, NamedTuple

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from exchange.core.commands import UseNonce
from exchange.core.words import AgentScope
from exchange.edge.body import raw_body
from exchange.edge.cookies import SESSION_COOKIE, cookies_of
from exchange.edge.dependencies import edge_of
from exchange.edge.rate_limiting import charge_of
from exchange.gateway.callers import Caller
from exchange.gateway.origins import SAFE_METHODS, check_origin
from exchange.gateway.refusals import AgentRefused, CredentialsRefused, GatewayCode, SessionRefused
from exchange.gateway.sessions import Session, hash_of
from exchange.gateway.signed_requests import (
    EXPIRES_HEADER,
    KEY_HEADER,
    NONCE_HEADER,
    SIGNATURE_HEADER,
    SignedHeaders,
    signed_headers,
)

_BY_SESSION: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
AUTHENTICATED: dict[str, Any] = {"security": _BY_SESSION}
"""`openapi_extra` of a route that needs a session."""

SECURITY_SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token of the login's answer."},
    "cookie": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
    "agent_key": {
        "type": "apiKey",
        "in": "header",
        "name": KEY_HEADER,
        "description": "An approved agent's key; the request is signed with it, see docs/api/signing.md.",
    },
    "agent_nonce": {
        "type": "apiKey",
        "in": "header",
        "name": NONCE_HEADER,
        "description": "The time of signing in microseconds since 1970 (UTC); good once.",
    },
    "agent_expires": {
        "type": "apiKey",
        "in": "header",
        "name": EXPIRES_HEADER,
        "description": "Until when the request may be taken, in milliseconds since 1970 (UTC); at most 60 s.",
    },
    "agent_signature": {
        "type": "apiKey",
        "in": "header",
        "name": SIGNATURE_HEADER,
        "description": "Over deployment, host, key, method, path and query, body, nonce and expiry.",
    },
}
"""How a request may say who it is from; a signed one has all four headers."""

AGENTS_TOO: dict[str, Any] = {
    "security": [*_BY_SESSION, {name: [] for name in SECURITY_SCHEMES if name.startswith("agent_")}]
}
"""`openapi_extra` of a route that takes signed requests of agents too."""


class Identified(NamedTuple):
    """Who a request is from; and, of an unsafe one that an agent has signed, the nonce that it uses up."""

    caller: Caller
    nonce: UseNonce | None


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
    cookie = cookies_of(request).get(SESSION_COOKIE)
    if cookie is None:
        raise SessionRefused(GatewayCode.UNAUTHENTICATED, "sign in first, or sign the request with a key")
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
    """The session of a request that no agent may make.

    Raises SessionRefused, OriginRefused, CredentialsRefused, AgentRefused (agent_not_allowed), RateLimited.
    """
    return (await _session_of(request))[0]


async def authenticate_owner(request: Request) -> Caller:
    """The same as a caller, who is no agent."""
    return Caller.of_session(*await _session_of(request))


async def _session_of(request: Request) -> tuple[Session, bytes]:
    headers = _signed_headers(request)
    if headers is not None:
        raise AgentRefused(
            GatewayCode.AGENT_NOT_ALLOWED,
            "this is the owner's alone: sign in with the wallet, and send the session's token",
            field=KEY_HEADER,
            value=headers.key,
        )
    token_hash = hash_of(presented_token(request))
    session = await edge_of(request).sessions.find_hashed(token_hash)
    charge_of(request).take_credential(token_hash)
    return session, token_hash


async def authenticate_caller(request: Request) -> Identified:
    """Whoever a request is from; it is charged to them. Raises GatewayRefusal."""
    headers = _signed_headers(request)
    if headers is None:
        token_hash = hash_of(presented_token(request))
        session = await edge_of(request).sessions.find_hashed(token_hash)
        identified = Identified(Caller.of_session(session, token_hash), None)
    else:
        identified = _agent_of(request, headers)
    charge_of(request).take_credential(identified.caller.credential)
    return identified


async def authenticate_any(request: Request) -> Caller:
    """Whoever a request is from, for what everybody may do. Raises GatewayRefusal."""
    return (await authenticate_caller(request)).caller


async def authenticate_reader(request: Request) -> Caller:
    """Who reads: a session, or an agent that may. Raises GatewayRefusal."""
    caller = (await authenticate_caller(request)).caller
    caller.require_scope(AgentScope.READ)
    return caller


async def authenticate_trader(request: Request) -> Identified:
    """Who trades: a session, or an agent that may. Raises GatewayRefusal."""
    identified = await authenticate_caller(request)
    identified.caller.require_scope(AgentScope.TRADE)
    return identified


async def require_still(request: Request, caller: Caller) -> None:
    """That a request's caller may go on, for an answer that takes long. Raises GatewayRefusal."""
    edge = edge_of(request)
    if caller.agent is None:
        await edge.sessions.find(presented_token(request))
    else:
        edge.signers.require_live(caller)


SessionOf = Annotated[Session, Depends(authenticate)]
OwnerOf = Annotated[Caller, Depends(authenticate_owner)]
CallerOf = Annotated[Caller, Depends(authenticate_any)]
ReaderOf = Annotated[Caller, Depends(authenticate_reader)]
TraderOf = Annotated[Identified, Depends(authenticate_trader)]


def set_cookie(response: Response, name: str, value: str, max_age_s: int) -> None:
    """A cookie that only this host sees, over TLS or localhost, on its own requests, not in scripts."""
    response.set_cookie(
        name, value, max_age=max_age_s, path="/", secure=True, httponly=True, samesite="strict"
    )


def clear_cookie(response: Response, name: str) -> None:
    """Has the browser forget a cookie that `set_cookie` made."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")


def _signed_headers(request: Request) -> SignedHeaders | None:
    raw: list[tuple[bytes, bytes]] = request.scope["headers"]
    headers = signed_headers(raw)
    if headers is not None and any(name == b"authorization" for name, _ in raw):
        raise CredentialsRefused(
            GatewayCode.CREDENTIALS_AMBIGUOUS,
            f"send Authorization, or {KEY_HEADER} and the headers that belong to it, not both",
            field="Authorization",
        )
    return headers


def _agent_of(request: Request, headers: SignedHeaders) -> Identified:
    method = request.method
    caller = edge_of(request).signers.of_request(
        headers,
        method,
        _target(request),
        raw_body(request),
        request.client.host if request.client is not None else None,
    )
    if method in SAFE_METHODS:
        return Identified(caller, None)
    return Identified(caller, UseNonce(headers.key, int(headers.nonce)))


def _target(request: Request) -> bytes:
    """Path and query as they were sent; a question mark with nothing behind it is left out."""
    scope = request.scope
    query: bytes = scope["query_string"]
    path: bytes = scope["raw_path"]
    return path + b"?" + query if query else path
