"""The signer over HTTP: one endpoint that signs, one that says whether it could.

    POST /v1/payments/sign   Authorization: Bearer ..., a body as in policy_signer.requests
        200 {"withdrawal_id": "0x...", "amount": "995", "signature": "0x..."}
        else {"code": "...", "detail": "..."} with a code of policy_signer.refusals
    GET /v1/health           200 or 503, {"ready": true, "code": null, "journal_seq": 4711}

The token is compared before a byte of the body is read. A 500 is a bug.
"""

import asyncio
import hmac
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from exchange.policy_signer.journal_watch import JournalWatch
from exchange.policy_signer.policy import Policy
from exchange.policy_signer.refusals import RefusalCode, Refused
from exchange.policy_signer.requests import parse_request

MAX_BODY_BYTES = 4 * 1024
"""A request has about 700."""
BODY_TIMEOUT_S = 5.0

_OF_STARLETTE = {404: RefusalCode.NOT_FOUND, 405: RefusalCode.METHOD_NOT_ALLOWED}


class Endpoints:
    """The handlers, around one policy."""

    def __init__(self, policy: Policy, journal: JournalWatch, token: str) -> None:
        self._policy = policy
        self._journal = journal
        self._authorization = f"Bearer {token}".encode()

    async def sign(self, request: Request) -> Response:
        self._authenticate(request)
        signed = await self._policy.sign(parse_request(await _body(request)))
        return _json(
            200,
            {
                "withdrawal_id": signed.payment.withdrawal_id,
                "amount": str(signed.payment.amount_atoms),
                "signature": "0x" + signed.signature.hex(),
            },
        )

    async def health(self, request: Request) -> Response:
        problem: RefusalCode | None = None
        try:
            await self._journal.check()
        except Refused as refusal:
            problem = refusal.code
        content = {"ready": problem is None, "code": problem, "journal_seq": self._journal.place[0]}
        return _json(200 if problem is None else 503, content)

    def _authenticate(self, request: Request) -> None:
        offered = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(offered, self._authorization):
            raise Refused(RefusalCode.UNAUTHENTICATED, "a bearer token is needed, the right one")


def create_app(policy: Policy, journal: JournalWatch, token: str) -> Starlette:
    """The ASGI app."""
    endpoints = Endpoints(policy, journal, token)
    return Starlette(
        routes=[
            Route("/v1/payments/sign", endpoints.sign, methods=["POST"]),
            Route("/v1/health", endpoints.health, methods=["GET"]),
        ],
        exception_handlers={
            Refused: _refusal,
            HTTPException: _http_exception,
            ClientDisconnect: _gone,
            sqlite3.Error: _state_unavailable,
            Exception: _bug,
        },
    )


async def _body(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(RefusalCode.UNSUPPORTED_MEDIA_TYPE, "application/json is taken")
    body = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise Refused(RefusalCode.BODY_TOO_LARGE, f"at most {MAX_BODY_BYTES} bytes")
    except TimeoutError as error:
        raise Refused(
            RefusalCode.BODY_TIMEOUT, f"the body must be there within {BODY_TIMEOUT_S} s"
        ) from error
    return body


def _json(status: int, content: Mapping[str, Any]) -> Response:
    # In ASCII: a detail may hold what a stranger sent, lone surrogates too.
    return Response(json.dumps(content), status, {"Cache-Control": "no-store"}, media_type="application/json")


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _json(error.status, {"code": error.code, "detail": error.detail})


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _OF_STARLETTE.get(error.status_code, RefusalCode.FIELD_INVALID)
    return _json(error.status_code, {"code": code, "detail": error.detail})


async def _state_unavailable(request: Request, error: Exception) -> Response:
    return await _refusal(request, Refused(RefusalCode.STATE_UNAVAILABLE, str(error)))


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


async def _bug(request: Request, error: Exception) -> Response:
    return _json(500, {"code": "internal", "detail": "a bug; the log has it"})
