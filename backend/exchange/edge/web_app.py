"""The web app at `/`: its index at the paths of its pages, and its files, as `vite build` has made them.

Static and the same for everybody, so it takes nothing from the budgets of the API: a page needs some twenty
files at once. It has a budget of its own for each address instead. A new build is seen by itself: the page is
asked for anew each time (`no-cache`, with a tag), and files with a hash in their names never change.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from exchange.edge.caching import has_tag
from exchange.edge.page_policies import PAGE_HEADERS
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.web_files import ASSETS, PUBLIC_TYPES, WebFile, WebFiles, read_web_files, stamp_of
from exchange.gateway.origins import SAFE_METHODS
from exchange.gateway.rate_limit import TokenBuckets, client_key
from exchange.gateway.refusals import GatewayCode

PAGES = frozenset({"/", "/trade", "/portfolio", "/funds", "/wallet", "/settings", "/proof"})
MARKET_PAGES = "/trade/"
BURST = 2_000
PER_S = 200
"""Files and pages for one address: a hundred visits at once, behind a proxy ten a second from then on."""
LOOK_S = 1.0
"""How often it is looked whether there is another build."""

_NO_PAGES = ("/v1/", "/docs")
IMMUTABLE = "public, max-age=31536000, immutable"
NOT_BUILT = (
    "The exchange runs, but its web app is not built.\n\n"
    "Build it:       make web/dist/.ready\n"
    "The API:        /docs\n"
    "Its document:   /openapi.json\n"
)


def is_static(path: str) -> bool:
    """Whether a path is the web app's, be there something at it or not."""
    if path in PAGES or path.startswith((MARKET_PAGES, ASSETS)):
        return True
    return path.count("/") == 1 and path.endswith(tuple(PUBLIC_TYPES))


def numbered_names(origins: Iterable[str]) -> dict[str, str]:
    """This machine by its numbers, as `Host` has them, for each of the origins that is `localhost`.

    A browser keeps the session's cookie for `localhost` and not for 127.0.0.1, and only the origin may act.
    """
    found: dict[str, str] = {}
    for origin in origins:
        parts = urlsplit(origin)
        if parts.hostname == "localhost":
            port = "" if parts.port is None else f":{parts.port}"
            found |= {f"127.0.0.1{port}": origin, f"[::1]{port}": origin}
    return found


class _Elsewhere(Route):
    """Where a browser looks for a page that nobody has. Comes after all other routes."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_page = scope["type"] == "http" and scope["method"] in SAFE_METHODS and _wants_page(scope)
        return super().matches(scope) if is_page else (Match.NONE, {})


def _wants_page(scope: Scope) -> bool:
    path: str = scope["path"]
    if path.startswith((ASSETS, *_NO_PAGES)) or "." in path.rpartition("/")[2]:
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


class WebApp:
    """Serves the build in a folder; without one, `/` says how to make it. `policy` is its pages'."""

    def __init__(
        self, folder: Path | None, policy: str, origins: Iterable[str] = (), *, look_s: float = LOOK_S
    ) -> None:
        self._numbered = numbered_names(origins)
        self._folder = folder
        self._look_s = look_s
        self._page_headers = {"Content-Security-Policy": policy, **PAGE_HEADERS}
        self._files = None if folder is None else read_web_files(folder)
        self._looked_at = time.monotonic()
        self._reading = asyncio.Lock()
        self._buckets = TokenBuckets(burst=BURST, per_s=PER_S, clock_ns=time.monotonic_ns)

    def routes(self) -> list[Route]:
        """GET and HEAD only."""
        return [
            *(Route(path, self._page) for path in sorted(PAGES)),
            Route(MARKET_PAGES + "{market:path}", self._page),
            Route(ASSETS + "{name:path}", self._asset),
            *(Route(f"/{{name}}{suffix}", self._public) for suffix in PUBLIC_TYPES),
            _Elsewhere("/{path:path}", self._elsewhere),
        ]

    async def _page(self, request: Request) -> Response:
        self._take(request)
        origin = self._numbered.get(request.headers.get("host", ""))
        if origin is not None:
            return RedirectResponse(origin + request.scope["raw_path"].decode("latin-1"))
        files = await self._newest()
        if files is None:
            if request.scope["path"] == "/":
                return PlainTextResponse(NOT_BUILT)
            raise Problem(EdgeCode.NOT_FOUND, "the web app is not built")
        market = request.path_params.get("market", "-")
        if not market or "/" in market:
            return await self._elsewhere(request)
        return _answer(request, files.index, "no-cache", self._page_headers)

    async def _elsewhere(self, request: Request) -> Response:
        """The app says it to people, that there is nothing; programs are told as ever."""
        files = await self._newest()
        if files is None or not _wants_page(request.scope):
            raise Problem(EdgeCode.NOT_FOUND)
        return Response(
            files.index.content,
            404,
            media_type=files.index.media_type,
            headers={"Cache-Control": "no-store", "Vary": "Accept", **self._page_headers},
        )

    async def _asset(self, request: Request) -> Response:
        return await self._file(request, IMMUTABLE)

    async def _public(self, request: Request) -> Response:
        return await self._file(request, "no-cache")

    async def _file(self, request: Request, cache_control: str) -> Response:
        self._take(request)
        path = request.scope["path"]
        file = None if self._files is None else self._files.files.get(path)
        if file is None:
            files = await self._newest()
            file = None if files is None else files.files.get(path)
        if file is None:
            raise Problem(EdgeCode.NOT_FOUND)
        return _answer(request, file, cache_control, {})

    def _take(self, request: Request) -> None:
        client = request.client
        wait_s = self._buckets.take(client_key(client.host if client is not None else None))
        if wait_s:
            raise Problem(
                GatewayCode.RATE_LIMITED, f"try again in {wait_s} s", headers={"Retry-After": str(wait_s)}
            )

    async def _newest(self) -> WebFiles | None:
        """The build that is there now; while another is being written, the last one that was whole."""
        if self._folder is None:
            return None
        async with self._reading:
            if time.monotonic() - self._looked_at >= self._look_s:
                self._looked_at = time.monotonic()
                stamp = await asyncio.to_thread(stamp_of, self._folder)
                if stamp is not None and (self._files is None or stamp != self._files.stamp):
                    self._files = await asyncio.to_thread(read_web_files, self._folder) or self._files
        return self._files


def _answer(request: Request, file: WebFile, cache_control: str, headers: Mapping[str, str]) -> Response:
    """The file; or 304 with all the same headers, for a browser takes those over into what it has kept."""
    headers = {"ETag": file.tag, "Cache-Control": cache_control, "Vary": "Accept-Encoding", **headers}
    if has_tag(request.headers.getlist("if-none-match"), file.tag):
        return Response(status_code=304, headers=headers)
    content = file.content
    accepted = request.headers.getlist("accept-encoding")
    coding = next((coding for coding in file.packed if takes(coding, accepted)), None)
    if coding is not None:
        content = file.packed[coding]
        headers["Content-Encoding"] = coding
    return Response(content, media_type=file.media_type, headers=headers)


def takes(coding: str, header_lines: list[str]) -> bool:
    """Whether `Accept-Encoding` names a coding, with a weight that is not nought. Source: RFC 9110 12.5.3."""
    for item in ",".join(header_lines).split(","):
        name, _, weight = item.partition(";")
        if name.strip().lower() == coding:
            weight = weight.replace(" ", "").lower().removeprefix("q=")
            return weight == "" or weight.strip("0.") != ""
    return False
