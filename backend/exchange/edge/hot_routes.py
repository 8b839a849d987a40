"""A shorter way to the routes that trade.

The framework takes every request through a router of all routes and through scopes for dependencies and
exceptions that these plain routes have no use for; that costs as much as placing the order. Here such a
request is served right behind the body's middleware, by the same function and with the same answers to
errors. Anything that is not exactly such a request goes on to the framework, which knows these routes too.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from exchange.edge.errors import ErrorAnswers

Endpoint = Callable[[Request], Awaitable[Response]]


class HotRoutes:
    """ASGI middleware, the innermost. `routes` have at most one parameter, which ends the path."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route], answers: ErrorAnswers) -> None:
        self._app = app
        self._answers = answers
        self._whole: dict[tuple[str, str], Endpoint] = {}
        self._by_folder: dict[tuple[str, str], tuple[Endpoint, str]] = {}
        for route in routes:
            folder, _, last = route.path.rpartition("/")
            for method in route.methods or ():
                if last.startswith("{"):
                    self._by_folder[method, folder] = (route.endpoint, last[1:-1])
                else:
                    self._whole[method, route.path] = route.endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        endpoint, scope["path_params"] = found
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request)
        except Exception as error:
            answer = self._answers.answer(request, error)
            if answer is None:
                raise
            response = answer
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[Endpoint, Mapping[str, str]] | None:
        method, path = scope["method"], scope["path"]
        endpoint = self._whole.get((method, path))
        if endpoint is not None:
            return endpoint, {}
        folder, _, last = path.rpartition("/")
        parametrized = self._by_folder.get((method, folder))
        if parametrized is None or not last:
            return None
        return parametrized[0], {parametrized[1]: last}
