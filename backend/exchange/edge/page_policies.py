"""What the pages that a browser shows may do: content security policies and permissions.

Neither page runs a script that is not one of our files, nor lets a string become one: Trusted Types are
required (W3C Trusted Types; CSP Level 3). Everything that is no page has the envelope's policy, which allows
nothing at all.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

_BARE = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    f"{_BARE}; trusted-types default dompurify"
)
"""Swagger UI writes HTML by itself (markdown, which it has DOMPurify clean, and entities), so its page has a
default Trusted Types policy (`/docs/start.js`) that lets HTML pass. That makes no scripts and no addresses of
scripts, so those are refused, and what is inline in HTML does not run under `script-src 'self'`."""

PAGE_HEADERS: Mapping[str, str] = {
    "Permissions-Policy": ", ".join(
        f"{feature}=()"
        for feature in (
            "accelerometer",
            "camera",
            "display-capture",
            "geolocation",
            "gyroscope",
            "magnetometer",
            "microphone",
            "midi",
            "payment",
            "usb",
        )
    )
    + ", clipboard-write=(self), publickey-credentials-create=(self), publickey-credentials-get=(self)"
}
"""Of every page, beside its policy and what the envelope adds."""


def app_policy(origins: Iterable[str], rpc_url: str | None) -> str:
    """The web app's: it talks with this exchange, and with the chain's node that wallets may use.

    `'self'` covers a WebSocket in some browsers only, so ours are named.
    """
    connect = ["'self'", *sorted(f"ws{origin.removeprefix('http')}" for origin in origins)]
    if rpc_url is not None:
        parts = urlsplit(rpc_url)
        connect.append(f"{parts.scheme}://{parts.netloc}")
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"font-src 'self'; manifest-src 'self'; connect-src {' '.join(connect)}; "
        f"{_BARE}; trusted-types 'none'"
    )
