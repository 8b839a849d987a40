"""The HTTP application, made of what it is given: `create_app(edge)`.

From the outside in: the envelope (request id, security headers, Origin, last net), the rates of the client's
address, the body (bounded, strict JSON), then the routes. FastAPI and pydantic serve all routes but the hot
order routes, to which there is a shorter way (`hot_routes`).
"""

import time
from collections import Counter
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI

from exchange.edge.body import StrictBody
from exchange.edge.dependencies import Edge
from exchange.edge.documentation import document_route, documentation_routes, openapi_document
from exchange.edge.envelope import Envelope
from exchange.edge.errors import ErrorAnswers
from exchange.edge.exports import Exports
from exchange.edge.hot_routes import HotRoutes
from exchange.edge.page_policies import app_policy
from exchange.edge.rate_limiting import RateLimiting
from exchange.edge.reads import refuse_twice
from exchange.edge.rest import (
    agents,
    auth,
    cancel_all_after,
    deployment,
    deposit_address,
    deposits,
    faucet,
    fills,
    health,
    ledger,
    market_data,
    markets,
    me,
    order_entry,
    orders,
    proof,
    tickers,
    transfers,
    udf,
    whoami,
    withdrawal_addresses,
    withdrawal_quote,
    withdrawals,
)
from exchange.edge.values import PROBLEM_RESPONSES
from exchange.edge.web_app import WebApp
from exchange.edge.ws.asyncapi import asyncapi_route
from exchange.edge.ws.hub import Hub
from exchange.edge.ws.upgrade import NOT_UPGRADED
from exchange.gateway.rate_limit import TokenBuckets


def create_app(edge: Edge, hub: Hub | None = None) -> FastAPI:
    """The ASGI application over these dependencies. Starts nothing and owns nothing of them.

    Without a `hub` there are no streams.
    """
    app = routed_app(edge.config.swagger_ui)
    policy = app_policy(edge.config.allowed_origins, edge.config.wallet_rpc_url)
    web_app = WebApp(edge.config.web_app, policy, edge.config.allowed_origins)
    app.router.routes.extend(web_app.routes())
    app.state.edge = edge
    app.state.hub = hub
    app.state.auth_buckets = TokenBuckets(
        burst=edge.config.auth_burst, per_s=edge.config.auth_per_s, clock_ns=time.monotonic_ns
    )
    app.state.exports = Exports()
    app.state.market_reads = Counter()
    answers = ErrorAnswers()
    answers.install(app)
    app.add_middleware(HotRoutes, routes=order_entry.ROUTES, answers=answers)
    app.add_middleware(StrictBody)
    app.add_middleware(
        RateLimiting, limits=edge.rate_limits, forms={f"{udf.router.prefix}/": udf.udf_problem}
    )
    app.add_middleware(Envelope, allowed_origins=edge.config.allowed_origins)
    return app


def routed_app(swagger_ui: Path) -> FastAPI:
    """All routes of the API and their document, without anything to serve from."""
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        responses=PROBLEM_RESPONSES,
        dependencies=[Depends(refuse_twice)],
        generate_unique_id_function=lambda route: route.name,
    )
    app.router.routes.extend(order_entry.ROUTES)
    app.router.routes.append(NOT_UPGRADED)
    app.router.routes.extend(documentation_routes(swagger_ui))
    app.router.routes.append(asyncapi_route())
    for noun in (
        deployment,
        health,
        markets,
        market_data,
        tickers,
        udf,
        auth,
        agents,
        whoami,
        me,
        orders,
        cancel_all_after,
        fills,
        transfers,
        deposits,
        deposit_address,
        withdrawal_addresses,
        withdrawal_quote,  # before `/v1/withdrawals/{withdrawal_id}`, which would take it for an id
        withdrawals,
        ledger,
        proof,
        faucet,
    ):
        app.include_router(noun.router)
    app.openapi = _documented(app)  # type: ignore[method-assign]
    app.router.routes.append(document_route("/openapi.json", app.openapi))
    return app


def _documented(app: FastAPI) -> Any:
    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi_document(app)
        return app.openapi_schema

    return openapi
