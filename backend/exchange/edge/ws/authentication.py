"""How a connection says who is there: by a session, or by an agent's key that answers the challenge.

A challenge is the connection's own and good for one attempt, right or wrong: what was signed for one
connection is of no use on another, and can not be tried twice on its own.
"""

import secrets

from exchange.edge.dependencies import Edge
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.ws.requests import Authenticate, AuthenticateByKey
from exchange.edge.ws.upgrade import Upgrade
from exchange.gateway.callers import Caller
from exchange.gateway.rate_limit import TokenBuckets, client_key
from exchange.gateway.refusals import GatewayCode
from exchange.gateway.sessions import hash_of


class Authentication:
    """Of one connection."""

    __slots__ = ("_address", "_buckets", "_edge", "_upgrade", "_was_tried", "challenge")

    def __init__(self, edge: Edge, buckets: TokenBuckets, upgrade: Upgrade, address: str | None) -> None:
        """`buckets` are those of signing in; `address` is the client's, as the transport knows it."""
        self._edge = edge
        self._buckets = buckets
        self._upgrade = upgrade
        self._address = address
        self._was_tried = False
        self.challenge = "0x" + secrets.token_hex(32)
        """What an agent's key is to sign."""

    async def by_session(self, request: Authenticate) -> Caller:
        """Raises Problem, SessionRefused."""
        token = request.token or self._cookie()
        wait_s = self._buckets.take(client_key(self._address))
        if wait_s:
            raise Problem(
                GatewayCode.RATE_LIMITED,
                f"too many attempts from here; wait {wait_s} s",
                headers={"Retry-After": str(wait_s)},
            )
        token_hash = hash_of(token)
        return Caller.of_session(await self._edge.sessions.find_hashed(token_hash), token_hash)

    def by_key(self, request: AuthenticateByKey) -> Caller:
        """Raises GatewayRefusal, Problem (challenge_used)."""
        self._edge.rate_limits.take_address(client_key(self._address))
        if self._was_tried:
            raise Problem(EdgeCode.CHALLENGE_USED)
        self._was_tried = True
        return self._edge.signers.of_websocket(
            request.key, self.challenge, request.expires_ms, request.signature, self._address
        )

    def _cookie(self) -> str:
        if self._upgrade.cookie is None:
            raise Problem(GatewayCode.UNAUTHENTICATED, "send the token of a session", field="token")
        if not self._upgrade.has_origin:
            raise Problem(
                GatewayCode.ORIGIN_REQUIRED,
                "a cookie counts only from our own pages, which state their Origin; programs send a token",
            )
        return self._upgrade.cookie
