"""From every exception that a route may raise to its problem+json answer."""

import math
from collections.abc import Callable
from typing import Any

import asyncpg
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from exchange.edge.envelope import request_id
from exchange.edge.problems import RETRY_AFTER_S, EdgeCode, Problem
from exchange.edge.sampled_warnings import SampledWarnings
from exchange.edge.times import RANGE_INVALID
from exchange.gateway.refusals import GatewayCode, GatewayRefusal
from exchange.gateway.siwe_package import LoginUnavailable
from exchange.sequencer.sequencer import CommandNotEncodable, EngineStopped, Overloaded

PROBLEM_FORM = "exchange.problem_form"
"""In the scope of a request whose problems are not problem+json: what makes an answer of a Problem and a
request id."""

_CODE_OF_PYDANTIC = {
    "missing": GatewayCode.FIELD_MISSING,
    "extra_forbidden": GatewayCode.FIELD_UNKNOWN,
    RANGE_INVALID: EdgeCode.RANGE_INVALID,
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_CODE_OF_STATUS = {404: EdgeCode.NOT_FOUND, 405: EdgeCode.METHOD_NOT_ALLOWED}


def unavailable(code: EdgeCode = EdgeCode.UNAVAILABLE, detail: str | None = None) -> Problem:
    """A 503 that is worth trying again."""
    return Problem(code, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


class ErrorAnswers:
    """What is answered when a route raises; failures of ours and of what we stand on are logged, sampled."""

    def __init__(self) -> None:
        self._warnings = SampledWarnings()

    def install(self, app: FastAPI) -> None:
        """Registers a handler for each expected exception; what is left is the envelope's."""

        async def handle(request: Request, error: Exception) -> Response:  # any other goes to a thread
            answer = self.answer(request, error)
            assert answer is not None
            return answer

        for kind in _RENDERINGS:
            app.add_exception_handler(kind, handle)

    def answer(self, request: Request, error: Exception) -> Response | None:
        """None for an exception that nobody expects."""
        problem = problem_of(error)
        if problem is None:
            return None
        if problem.code is EdgeCode.METHOD_NOT_ALLOWED:
            problem.headers["Allow"] = ", ".join(_methods_at(request.scope))
        identifier = request_id(request.scope)
        if problem.status >= 500 and problem.code is not EdgeCode.NOT_YET:
            self._warnings.warn(
                "request_not_served", problem.code.value, error=repr(error), request_id=identifier
            )
        form = request.scope.get(PROBLEM_FORM, Problem.response)
        response: Response = form(problem, identifier)
        return response


def _methods_at(scope: Scope) -> list[str]:
    """What an address takes: each route has its own methods, and there may be several at one address."""
    routes = scope["app"].router.routes
    return [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]


def problem_of(error: Exception) -> Problem | None:
    """The problem of an expected exception, for who is no HTTP request; None for any other."""
    for kind in type(error).__mro__:
        if kind in _RENDERINGS:
            return _RENDERINGS[kind](error)
    return None


def _as_is(error: Exception) -> Problem:
    assert isinstance(error, Problem)
    return error


def _of_refusal(error: Exception) -> Problem:
    assert isinstance(error, GatewayRefusal)
    return Problem.of_refusal(error)


def _of_unencodable(error: Exception) -> Problem:
    """The parsers refuse such text and numbers already; what slips through is the fault of the request."""
    return Problem(EdgeCode.BAD_REQUEST, str(error))


def _of_validation(error: Exception) -> Problem:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    field = ".".join(place[1:]) or place[0]
    code = _CODE_OF_PYDANTIC.get(first["type"], GatewayCode.FIELD_INVALID)
    value = None if code is GatewayCode.FIELD_MISSING else first.get("input")
    return Problem(code, first["msg"], field=field, value=value)


def _of_http(error: Exception) -> Problem:
    assert isinstance(error, HTTPException)
    code = _CODE_OF_STATUS.get(error.status_code, EdgeCode.BAD_REQUEST)
    detail = None if code is not EdgeCode.BAD_REQUEST else error.detail
    return Problem(code, detail, headers=error.headers)


def _of_overload(error: Exception) -> Problem:
    assert isinstance(error, Overloaded)
    return Problem(EdgeCode.OVERLOADED, headers={"Retry-After": str(max(1, math.ceil(error.retry_after_s)))})


def _of_stop(_: Exception) -> Problem:
    return unavailable(
        EdgeCode.OUTCOME_UNKNOWN,
        "the engine stopped before it could answer: look up the order or withdrawal, or send the same "
        "request again with the same client order id",
    )


def _of_login(_: Exception) -> Problem:
    return unavailable(detail="nobody can sign in at present; who has a session is not affected")


def _of_outage(_: Exception) -> Problem:
    return unavailable()


_RENDERINGS: dict[type, Callable[[Any], Problem]] = {
    Problem: _as_is,
    GatewayRefusal: _of_refusal,
    RequestValidationError: _of_validation,
    HTTPException: _of_http,
    CommandNotEncodable: _of_unencodable,
    Overloaded: _of_overload,
    EngineStopped: _of_stop,
    OSError: _of_outage,
    asyncpg.InterfaceError: _of_outage,
    asyncpg.InternalClientError: _of_outage,
    asyncpg.PostgresConnectionError: _of_outage,
    asyncpg.InsufficientResourcesError: _of_outage,
    asyncpg.OperatorInterventionError: _of_outage,
    LoginUnavailable: _of_login,
}
