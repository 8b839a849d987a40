"""Who a stream speaks for: it signs in on each new connection, and again when a session is over.

With an agent key by signing the connection's challenge, which can be done once on a connection; with a
wallet by the token of its session. What may be over soon is tried again, anything else ends what is
private.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from exchange_sdk.connection import Connection
from exchange_sdk.errors import (
    ExchangeError,
    NoCredential,
    Problem,
    RateLimited,
    ServerError,
    Unavailable,
    Unreachable,
    error_of,
)

if TYPE_CHECKING:
    from exchange_sdk.client import Exchange

LIFE_MS = 30_000
SESSION_CODES = frozenset({"session_invalid", "session_expired", "unauthenticated"})
CLOCK_CODES = frozenset({"signature_expired", "signature_deadline_too_far"})
CONNECTION_CODES = frozenset({"challenge_used"})
"""The challenge is used up: another connection has another."""
TRIED_AGAIN = (Unreachable, Unavailable, RateLimited, ServerError)
REPAIRS = 2


class SignInHost(Protocol):
    """The stream, as its sign-in sees it."""

    connection: Connection | None

    async def prepare(self, connection: Connection) -> None:
        """Has done what must be done before anything else on this connection. Raises ExchangeError."""

    def signed_in(self) -> None: ...
    def sign_in_failed(self, error: ExchangeError) -> None: ...
    def delay_s(self, attempt: int) -> float: ...


class SignIn:
    """The sign-in of one stream."""

    def __init__(self, host: SignInHost, exchange: "Exchange") -> None:
        self._host = host
        self._exchange = exchange
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._repairs = 0
        self._refused_token: str | None = None
        self._token: str | None = None
        self.is_signed_in = False
        self.error: ExchangeError | None = None
        """Why it will not be signed in any more."""

    @property
    def has_credential(self) -> bool:
        return self._exchange.key is not None or self._exchange.wallet is not None

    def require_credential(self) -> None:
        """Raises NoCredential."""
        if not self.has_credential:
            raise NoCredential(
                "this needs a key or a wallet: Exchange(url, key=...) or Exchange(url, wallet=...)"
            )

    async def done(self, timeout_s: float) -> None:
        """Waits until it is signed in. Raises Unreachable without a connection, or why it can not be."""
        self.require_credential()
        try:
            async with asyncio.timeout(timeout_s):
                while not self.is_signed_in:
                    if self.error is not None:
                        raise self.error
                    if self._host.connection is None:
                        raise Unreachable("the stream is not connected, nothing was sent")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise Unreachable("the stream could not sign in, nothing was sent") from None

    # ---- what the stream calls

    def on_connected(self, connection: Connection) -> None:
        self.error = None
        if self.has_credential:
            self._task = asyncio.create_task(self._sign_in(connection))

    def on_lost(self) -> None:
        self.is_signed_in = False
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._changed.set()

    def signed_out(self, connection: Connection, code: str) -> None:
        """The exchange knows nobody on this connection any more; `code` says why."""
        if not self.is_signed_in:
            return
        self.is_signed_in = False
        self._refused_token = self._token
        if code and code not in SESSION_CODES:
            self._fail(error_of(Problem(code=code, detail="the exchange ended what is private")))
        elif self._exchange.key is not None:
            connection.abort("the exchange has signed it out")  # a challenge is good once
        else:
            self._task = asyncio.create_task(self._sign_in(connection))

    # ---- signing in

    async def _sign_in(self, connection: Connection) -> None:
        attempt = 0
        while self._host.connection is connection:
            try:
                reply = await connection.request(await self._request(connection))
                error = None if reply is None else reply.error
                if reply is None:
                    return
                if error is None:
                    await self._host.prepare(connection)
                    self._succeed()
                    return
            except ExchangeError as failed:
                error = failed
            attempt += 1
            if isinstance(error, TRIED_AGAIN):
                asked_s = getattr(error, "retry_after_s", None) or 0.0
                await asyncio.sleep(max(asked_s, self._host.delay_s(attempt)))
            elif not await self._repaired(error.code, connection):
                self._fail(error)
                return

    async def _request(self, connection: Connection) -> dict[str, Any]:
        """Raises ExchangeError."""
        exchange = self._exchange
        if exchange.key is None:
            self._token = await exchange.session_token(refused=self._refused_token)
            return {"op": "auth", "token": self._token}
        await exchange._http.ready()
        deployment = await exchange.deployment()
        expires_ms = exchange.clock.now_ms() + LIFE_MS
        signature = exchange.key.sign_websocket(
            connection.welcome.challenge,
            genesis_id=deployment.genesis_id,
            host=deployment.host,
            expires_ms=expires_ms,
        )
        return {"op": "auth", "key": exchange.key.id, "expires_ms": expires_ms, "signature": signature}

    async def _repaired(self, code: str, connection: Connection) -> bool:
        """Whether what it was refused for can be made right; with a key that takes another connection."""
        self._repairs += 1
        if self._repairs > REPAIRS:
            return False
        if self._exchange.key is None:
            self._refused_token = self._token
            return code in SESSION_CODES
        if code in CLOCK_CODES:
            self._exchange.clock.set_at_ns = None  # it is asked for again
        elif code not in CONNECTION_CODES:
            return False
        connection.abort(f"signing in was refused: {code}")
        return True

    def _succeed(self) -> None:
        self.is_signed_in = True
        self._repairs = 0
        self._refused_token = None
        self._changed.set()
        self._host.signed_in()

    def _fail(self, error: ExchangeError) -> None:
        self.error = error
        self._changed.set()
        self._host.sign_in_failed(error)
