"""Charging requests before anything of them is read: the middleware, and what each costs.

A request takes from the budgets of its client address first, before its body is read and any credential
looked at, so that nobody has signatures checked without end. Whom it is from is charged when that is known
(`identity`), and orders where they are placed (`rest.order_entry`). What was taken from, however it ended,
stands in the answer's RateLimit headers.

Behind a proxy all clients have the proxy's address: headers that claim another are not believed.
"""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.edge.cross_origin import mark_public_read
from exchange.edge.envelope import request_id
from exchange.edge.problems import Problem
from exchange.edge.web_app import is_static
from exchange.gateway.rate_limit import client_key
from exchange.gateway.rate_limits import Charge, RateLimited, RateLimits, RequestKind

READ_WEIGHT = 5
"""Of what a database is read for."""
SIGNED_WEIGHT = 5
"""Of what an owner signs by itself, which costs a check of the signature."""
EXPORT_WEIGHT = 50
"""Of a whole history as a file."""

_CHARGE = "exchange.charge"
_FREE = frozenset({"/openapi.json", "/asyncapi.json"})
_FREE_PREFIXES = ("/v1/health/", "/docs")
_BY_REQUEST = {
    ("POST", "/v1/orders"): RequestKind.ANY,
    ("POST", "/v1/orders/batch"): RequestKind.BATCH,
    ("DELETE", "/v1/orders"): RequestKind.CANCEL,
    ("POST", "/v1/cancel-all-after"): RequestKind.CANCEL,
}
_CANCELLED = frozenset({"orders", "agents"})
"""What a DELETE gets rid of that may do harm: an order, and a key."""
_FROM_DATABASE = frozenset(
    {"orders", "fills", "ledger", "deposits", "withdrawals", "transfers", "tickers", "udf", "proof"}
)
_FROM_DATABASE_OF_A_MARKET = ("/trades", "/candles", "/ticker")
_SIGNED = frozenset({"withdrawals", "withdrawal-addresses", "agents"})

Form = Callable[[Problem, str], Response]


def cost(method: str, path: str) -> tuple[RequestKind, int] | None:
    """Which budgets a request takes from, and how much of `requests`; None: of none."""
    kind = _BY_REQUEST.get((method, path))
    if kind is not None:
        return kind, 1
    noun = path.removeprefix("/v1/").partition("/")[0]
    if method in {"GET", "HEAD"}:
        return None if _is_free(path) else (RequestKind.ANY, _read_weight(path, noun))
    if method == "DELETE" and noun in _CANCELLED:
        return RequestKind.CANCEL, 1
    return RequestKind.ANY, SIGNED_WEIGHT if noun in _SIGNED else 1


def _is_free(path: str) -> bool:
    """To look at only: the body of anything else would be read for nothing, as often as anybody likes."""
    return path in _FREE or path.startswith(_FREE_PREFIXES) or is_static(path)


def _read_weight(path: str, noun: str) -> int:
    if noun.endswith(".csv"):
        return EXPORT_WEIGHT
    if noun in _FROM_DATABASE or (noun == "markets" and path.endswith(_FROM_DATABASE_OF_A_MARKET)):
        return READ_WEIGHT
    return 1


def charge_of(request: Request) -> Charge:
    """What a request takes, to be charged further."""
    charge: Charge = request.scope[_CHARGE]
    return charge


class RateLimiting:
    """ASGI middleware. `forms`: how problems look under a prefix of paths, where not problem+json."""

    def __init__(self, app: ASGIApp, limits: RateLimits, forms: Mapping[str, Form]) -> None:
        self._app = app
        self._limits = limits
        self._forms = forms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope["client"]
        costs = cost(scope["method"], scope["path"])
        kind, weight = costs or (RequestKind.ANY, 0)
        charge = self._limits.charge(client_key(client[0] if client else None), kind, weight)
        scope[_CHARGE] = charge

        async def charged(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *charge.headers()]
            await send(message)

        try:
            if costs is not None:
                charge.take_address()
        except RateLimited as refusal:
            await self._refuse(refusal, scope)(scope, receive, charged)
        else:
            await self._app(scope, receive, charged)

    def _refuse(self, refusal: RateLimited, scope: Scope) -> Response:
        """Before the request has a route. The answer is the same whoever sends it, so any page may see it."""
        form: Form = Problem.response
        if scope["method"] in {"GET", "HEAD"}:
            mark_public_read(scope)
        for prefix, other in self._forms.items():
            if scope["path"].startswith(prefix):
                form = other
        return form(Problem.of_refusal(refusal), request_id(scope))
