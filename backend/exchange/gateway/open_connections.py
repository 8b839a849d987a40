"""How many connections each client address has open, WebSockets among them, and that those are not too many.

The server has room for so many connections of all clients together. Without this bound one address could
take it all, and hold it for as long as it likes, without ever asking for anything.
"""

from collections import Counter

from exchange.gateway.rate_limit import client_key
from exchange.gateway.refusals import GatewayCode, GatewayRefusal

BOUND_NAME = "ip-connections"
"""What the bound is called where refusals are counted."""
RETRY_AFTER_S = 1
SPARE_CONNECTIONS = 20
"""Connections of one address beyond its bound that are still told so."""


class TooManyConnections(GatewayRefusal):
    """An address has as many open as it may."""

    def __init__(self, most: int) -> None:
        self.retry_after_s = RETRY_AFTER_S
        super().__init__(
            GatewayCode.RATE_LIMITED,
            f"an address may have {most} connections open at a time, WebSockets among them",
        )


class OpenConnections:
    """Those of all addresses; as many addresses are known as have any open."""

    __slots__ = ("_by_client", "_refused", "most")

    def __init__(self, most: int, refused: Counter[str]) -> None:
        """`refused` is where those beyond the bound are counted."""
        assert most > 0
        self.most = most
        self._refused = refused
        self._by_client: Counter[str] = Counter()

    def __len__(self) -> int:
        """Of all addresses."""
        return self._by_client.total()

    def open(self, host: str | None) -> "OpenConnection | None":
        """One more from this address, to be closed when it is lost. None: too far beyond to be told why."""
        client = client_key(host)
        number = self._by_client[client] + 1
        refusal = None
        if number > self.most:
            self._refused[BOUND_NAME] += 1
            refusal = TooManyConnections(self.most)
        if number > self.most + SPARE_CONNECTIONS:
            return None
        self._by_client[client] = number
        return OpenConnection(self._by_client, client, refusal)


class OpenConnection:
    """One that counts until it is closed."""

    __slots__ = ("_by_client", "_client", "refusal")

    def __init__(self, by_client: Counter[str], client: str, refusal: TooManyConnections | None) -> None:
        self._by_client = by_client
        self._client = client
        self.refusal = refusal
        """What each of its requests gets; None: it is within the bound."""

    def close(self) -> None:
        """It is lost. To be called once."""
        assert self._by_client[self._client] > 0
        self._by_client[self._client] -= 1
        if not self._by_client[self._client]:
            del self._by_client[self._client]
