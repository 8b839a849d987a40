"""The cookies that are ours, read out of a request's headers without a look at any other.

Whoever sends a request chooses its cookies, and a framework reads all of them, for every route: Python takes
seconds to unquote 60,000 backslashes, in the loop that trades. Ours have tokens for values, which nobody
quotes. So the cookies are taken out of the headers before anything else sees them.
"""

import re
from collections.abc import Iterable

from starlette.requests import Request
from starlette.types import Scope

SESSION_COOKIE = "__Host-session"
PRE_LOGIN_COOKIE = "__Host-pre-login"

_COOKIES = "exchange.cookies"
_OURS = re.compile(
    rb"(?:^|;)[ \t]*(%b|%b)[ \t]*=([^;]*)" % (SESSION_COOKIE.encode(), PRE_LOGIN_COOKIE.encode())
)


def own_cookies(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Of headers with their names in lower case; the last counts where there are several of one name."""
    return {
        name.decode(): value.strip(b" \t").decode("latin-1")
        for header, line in headers
        if header == b"cookie"
        for name, value in _OURS.findall(line)
    }


def take_cookies(scope: Scope) -> None:
    """Takes all cookies out of a request's headers, and keeps ours beside them."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if any(name == b"cookie" for name, _ in headers):
        scope[_COOKIES] = own_cookies(headers)
        scope["headers"] = [pair for pair in headers if pair[0] != b"cookie"]


def cookies_of(request: Request) -> dict[str, str]:
    """Ours, of a request whose headers have none any more."""
    cookies: dict[str, str] = request.scope.get(_COOKIES, {})
    return cookies
