"""Which pages may act: the exact Origin of every unsafe request that a browser sends.

A browser states the Origin of each unsafe request; a bot need not. So one that is stated must be ours,
and one must be stated where a cookie speaks for the caller.
"""

from exchange.gateway.refusals import GatewayCode, OriginRefused

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def check_origin(method: str, origin: str | None, allowed: frozenset[str], *, uses_cookie: bool) -> None:
    """Raises OriginRefused (origin_not_allowed, origin_required)."""
    if method in SAFE_METHODS:
        return
    if origin is not None:
        require_allowed(origin, allowed)
    elif uses_cookie:
        raise OriginRefused(
            GatewayCode.ORIGIN_REQUIRED,
            "a request that is authorised by a cookie must state its Origin; programs use the bearer token",
        )


def require_allowed(origin: str, allowed: frozenset[str]) -> None:
    """Raises OriginRefused (origin_not_allowed)."""
    if origin not in allowed:
        raise OriginRefused(
            GatewayCode.ORIGIN_NOT_ALLOWED, "requests from this origin are not taken", value=origin
        )
