"""Request bodies: bounded while they arrive, strict JSON, decoded once.

A middleware, so that no route can forget it. It reads at most 64 KiB, whatever the headers promise, within
a time limit; refuses what is not plain application/json; and hands the raw bytes on for FastAPI and the
decoded value for the order routes.
"""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.edge.envelope import request_id
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.strict_json import decode_json
from exchange.gateway.refusals import FieldRefused, GatewayCode

MAX_BODY_BYTES = 64 * 1024
BODY_TIMEOUT_S = 10.0
_DECODED = "exchange.decoded_body"
_RAW = "exchange.raw_body"
_ABOUT_BODY = {name.encode(): name for name in ("content-length", "content-type", "content-encoding")}
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class StrictBody:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self._app = app
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _BODILESS:
            await self._app(scope, receive, send)
            return
        try:
            raw = await self._read(_headers(scope), receive)
            if raw is None:
                return  # the client has gone; there is nobody to answer
            if raw:
                scope[_RAW] = raw
                scope[_DECODED] = decode_json(raw)
        except Problem as problem:
            await problem.response(request_id(scope))(scope, receive, send)
            return
        await self._app(scope, _replay(raw, receive), send)

    async def _read(self, headers: Mapping[str, str], receive: Receive) -> bytes | None:
        declared = headers.get("content-length", "0")
        if declared.isascii() and declared.isdigit() and int(declared[:10]) > MAX_BODY_BYTES:
            raise _too_large()
        chunks: list[bytes] = []
        size_bytes = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    chunk: bytes = message.get("body", b"")
                    size_bytes += len(chunk)
                    if size_bytes > MAX_BODY_BYTES:
                        raise _too_large()
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        break
        except TimeoutError as error:
            raise Problem(EdgeCode.BODY_TIMEOUT, headers={"Connection": "close"}) from error
        raw = b"".join(chunks)
        if raw:
            _check_type(headers)
        return raw


def decoded_object(request: Request) -> dict[str, object]:
    """The JSON object that the request's body is. Raises FieldRefused."""
    value = request.scope.get(_DECODED)
    if not isinstance(value, dict):
        raise FieldRefused(GatewayCode.FIELD_INVALID, "the body must be a JSON object", field="body")
    return value


def raw_body(request: Request) -> bytes:
    """The body as it came; nothing for GET and HEAD, whose body is never read."""
    raw: bytes = request.scope.get(_RAW, b"")
    return raw


def no_parameters(request: Request) -> None:
    """What a request with a body wants stands in the body. Raises FieldRefused for a query parameter."""
    if not request.scope["query_string"]:
        return
    for name in request.query_params:
        raise FieldRefused(
            GatewayCode.FIELD_UNKNOWN, "no query parameters here; fields go into the body", field=name
        )


def no_body(request: Request) -> None:
    """What a DELETE wants stands in its path and query. Raises FieldRefused for a body that asks for more."""
    if raw_body(request) and request.scope[_DECODED] != {}:
        raise FieldRefused(
            GatewayCode.FIELD_UNKNOWN,
            "no body here; what is asked for stands in the path and the query",
            field="body",
        )


async def refuse_parameters(request: Request) -> None:
    """`no_parameters` as a dependency of a route."""
    no_parameters(request)


def _headers(scope: Scope) -> dict[str, str]:
    """Those that are about the body, each as it is there for the first time."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        known = _ABOUT_BODY.get(name)
        if known is not None:
            found.setdefault(known, value.decode("latin-1"))
    return found


def _check_type(headers: Mapping[str, str]) -> None:
    kind, _, parameters = headers.get("content-type", "").partition(";")
    if kind.strip().lower() != "application/json":
        raise Problem(EdgeCode.UNSUPPORTED_MEDIA_TYPE, value=headers.get("content-type"))
    if parameters.strip().lower().replace('"', "") not in ("", "charset=utf-8"):
        raise Problem(EdgeCode.UNSUPPORTED_MEDIA_TYPE, value=headers.get("content-type"))
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(EdgeCode.UNSUPPORTED_MEDIA_TYPE, value=headers.get("content-encoding"))


def _too_large() -> Problem:
    return Problem(EdgeCode.BODY_TOO_LARGE, headers={"Connection": "close"})


def _replay(raw: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return replayed
