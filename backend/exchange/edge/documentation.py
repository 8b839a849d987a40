"""The OpenAPI document and the pages that show it, from our own files only: no other host is asked.

The pages run under a strict content security policy (`page_policies`): no inline script, scripts and styles
from here.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from exchange.edge.identity import SECURITY_SCHEMES
from exchange.edge.page_policies import DOCS_POLICY, PAGE_HEADERS
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.rest.order_operations import OPERATIONS
from exchange.edge.rest.order_shapes import DOCUMENTED

TITLE = "Exchange"
VERSION = "1"
DESCRIPTION = """A wallet-native exchange: sign in with a wallet, deposit on chain, trade, withdraw on chain.

Amounts, prices and sizes are exact decimal strings. Ids are strings, times are milliseconds since 1970 (UTC).
Every answer carries the `seq` as of which it is true; every read takes `min_seq`, so you can read what you
have just written. Errors are `application/problem+json` with a stable `code`. How much may be asked for in a
time stands in the `RateLimit-` headers of every answer, and in `/v1/whoami`.

Programs have keys of their own: the owner approves an agent (`/v1/agents`), which signs each request. The
security schemes `agent_key`, `agent_nonce`, `agent_expires` and `agent_signature` belong together.

What changes is streamed over one WebSocket, `/v1/ws`, described in [asyncapi.json](/asyncapi.json)."""

_ASSETS = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{TITLE} API</title>
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """window.trustedTypes?.createPolicy("default", { createHTML: (html) => html });
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
"""


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The whole document: FastAPI's routes and the plain order routes."""
    document = get_openapi(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    for path, operations in OPERATIONS.items():
        document["paths"].setdefault(path, {}).update(operations)
    _, plain = models_json_schema(DOCUMENTED, ref_template="#/components/schemas/{model}")
    components = document.setdefault("components", {})
    components["schemas"] = dict(sorted((plain["$defs"] | components.get("schemas", {})).items()))
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = SECURITY_SCHEMES
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # FastAPI's own form of a refusal is never sent
            first_sentence = operation["description"].split(". ")[0].split("\n")[0]
            operation["summary"] = first_sentence.removesuffix(".")
    document["paths"] = dict(sorted(document["paths"].items()))
    return document


def document_route(path: str, document: Callable[[], dict[str, Any]]) -> Route:
    """Serves a document, which nobody pays for: so it is written once, and not for each who asks."""

    @cache
    def content() -> bytes:
        return msgspec.json.encode(document())

    async def get_document(_: Request) -> Response:
        return Response(content(), media_type="application/json")

    return Route(path, get_document, include_in_schema=False)


def documentation_routes(swagger_ui: Path) -> list[Route]:
    """`/docs` and its files, served from the folder of the swagger-ui-dist package."""

    async def page(_: Request) -> Response:
        return HTMLResponse(_PAGE, headers={"Content-Security-Policy": DOCS_POLICY, **PAGE_HEADERS})

    async def start(_: Request) -> Response:
        return Response(_START, media_type="text/javascript; charset=utf-8")

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        kind = _ASSETS.get(name)
        if kind is None:
            raise Problem(EdgeCode.NOT_FOUND)
        if not (swagger_ui / name).is_file():
            raise Problem(EdgeCode.NOT_FOUND, "the documentation pages are not installed; run: npm ci")
        return FileResponse(swagger_ui / name, media_type=kind, headers={"Cache-Control": "max-age=3600"})

    return [
        Route("/docs", page),
        Route("/docs/start.js", start),
        Route("/docs/assets/{name}", asset),
    ]
