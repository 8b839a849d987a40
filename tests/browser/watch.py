"""Listens to everything that pages complain of, so that no test passes over it.

One line for each complaint, such as `console: ...`, `error: ...`, `409 POST /v1/orders` or
`failed GET /v1/me: net::ERR_FAILED`. A test announces what it provokes: `watch.allow(r"409 POST")`.
"""

import contextlib
import re
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Request, Response, WebError

TELL_OF_POLICY = """
document.addEventListener("securitypolicyviolation", (event) => {
  const place = `${event.sourceFile}:${event.lineNumber}`;
  const what = `${event.blockedURI} (${event.sample})`;
  console.error(`CSP ${event.effectiveDirective} keeps out ${what} at ${place}`);
});
"""
ALWAYS_ALLOWED = (
    r"^401 GET /v1/me$",  # how the app learns that nobody is signed in
    r"net::ERR_ABORTED$",  # what was under way when the page went elsewhere
)
_TOLD_BY_ITS_ANSWER = "Failed to load resource: the server responded with a status of"


class Watch:
    """The complaints of one test's pages."""

    def __init__(self) -> None:
        self._contexts: list[BrowserContext] = []
        self._complaints: list[str] = []
        self._allowed = list(ALWAYS_ALLOWED)

    def follow(self, context: BrowserContext) -> None:
        """From now on, in all pages that it has or will have."""
        self._contexts.append(context)
        context.add_init_script(TELL_OF_POLICY)
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("response", self._on_response)
        context.on("requestfailed", self._on_failure)

    def allow(self, *patterns: str) -> None:
        """Complaints that match are part of this test."""
        self._allowed.extend(patterns)

    def allow_disconnection(self) -> None:
        """The exchange, or the way to it, is away for a while."""
        self.allow(
            r"^failed ", r"^console: WebSocket connection to ", r"^console: Failed to load resource: net::"
        )

    def check(self) -> None:
        """Fails with all complaints that were not announced."""
        for page in [page for context in self._contexts for page in context.pages]:
            with contextlib.suppress(Error):  # closed, or going elsewhere: then there is nothing to wait for
                page.evaluate("1")  # what the page said until now has arrived
        unexpected = [
            line
            for line in self._complaints
            if not any(re.search(pattern, line) for pattern in self._allowed)
        ]
        assert unexpected == [], "the page complained:\n" + "\n".join(unexpected)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_TOLD_BY_ITS_ANSWER):
            self._complaints.append(f"console: {message.text}")

    def _on_error(self, error: WebError) -> None:
        self._complaints.append(f"error: {error.error}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self._complaints.append(f"{response.status} {_named(response.request)}")

    def _on_failure(self, request: Request) -> None:
        self._complaints.append(f"failed {_named(request)}: {request.failure}")


def _named(request: Request) -> str:
    return f"{request.method} {urlsplit(request.url).path}"
