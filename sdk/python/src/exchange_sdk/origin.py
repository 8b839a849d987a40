"""Which exchange a URL is, and whether the one that answers is that one.

Signatures name the exchange that they are for. A server that claims another name than the one it was
asked by could hand them on to the exchange of that name, so nothing is signed for it. On one's own
machine names are not told apart.
"""

import ipaddress
from urllib.parse import urlsplit

from exchange_sdk.errors import WrongDeployment

_DEFAULT_PORT = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """The URL as scheme, host and port. Raises TypeError, ValueError for anything else."""
    if not isinstance(url, str):
        raise TypeError(f"url must be str, not {type(url).__name__}")
    parts = urlsplit(url.strip())
    if parts.scheme not in _DEFAULT_PORT or not parts.hostname:
        raise ValueError(f"url must be like https://exchange.example, not {url!r}")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"url must be scheme, host and port only, not {url!r}")
    return f"{parts.scheme}://{host_of(url)}"


def host_of(url: str) -> str:
    """Host and port of a URL as signatures name them: lower case, the port where it is not the usual one."""
    parts = urlsplit(url.strip())
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    port = parts.port
    return host if port is None or port == _DEFAULT_PORT.get(parts.scheme) else f"{host}:{port}"


def require_host(claimed: str, expected: str) -> None:
    """Raises WrongDeployment unless the name that the server claims is the expected one."""
    if claimed == expected or (_is_loopback(claimed) and _is_loopback(expected)):
        return
    raise WrongDeployment(
        f"the server says that it is {claimed!r}, and was asked as {expected!r}. "
        f"If that is right (it is reached by another name), say so with host={claimed!r}"
    )


def _is_loopback(host: str) -> bool:
    name = (urlsplit(f"//{host}").hostname or "").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
