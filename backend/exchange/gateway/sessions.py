"""Sessions: a random token with the client, its SHA-256 here, and who it speaks for.

Read from memory on every request: a bounded cache, least recently used out first, so an order causes no
SQL. A revoked token stays in the cache as a tombstone, so a look-up that was already under way can not
bring it back. One process holds one cache: that a session was ended elsewhere is told by the database
(`session_endings`). Whoever serves a session for longer than a request watches for its end.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import asyncpg

from exchange.gateway.refusals import GatewayCode, SessionRefused
from exchange.gateway.tokens import is_token, new_token, sha256

DEFAULT_LIFETIME_S = 12 * 3600
ENDED_CHANNEL = "session_ended"
"""What the database notifies of, with the token's hash in hex."""
_SQL_TIMEOUT_S = 5.0
_CHECKED_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Session:
    """Who a token speaks for, and until when."""

    owner: str
    account_id: int
    created_ns: int
    expires_ns: int


class Sessions:
    """The sessions of this deployment."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        clock_ns: Callable[[], int],
        lifetime_s: int = DEFAULT_LIFETIME_S,
        max_cached: int = 50_000,
    ) -> None:
        self._pool = pool
        self._clock_ns = clock_ns
        self._lifetime_ns = lifetime_s * 10**9
        self._max_cached = max_cached
        self._cache: OrderedDict[bytes, Session | None] = OrderedDict()
        self._watchers: list[tuple[Callable[[bytes], None], Callable[[], Iterable[bytes]]]] = []

    def watch(self, on_ended: Callable[[bytes], None], held: Callable[[], Iterable[bytes]]) -> None:
        """From now on `on_ended` is told the token's hash of each session that is ended, here or elsewhere.

        `held` gives those in use, so that the end of none is missed. A session that expires is not told of.
        """
        self._watchers.append((on_ended, held))

    async def open(self, owner: str, account_id: int) -> tuple[str, Session]:
        """A new session's token, told once, and the session. Sessions long over are forgotten."""
        token = new_token()
        token_hash = sha256(token)
        now_ns = self._clock_ns()
        session = Session(owner, account_id, now_ns, now_ns + self._lifetime_ns)
        async with asyncio.timeout(_SQL_TIMEOUT_S):
            await self._pool.execute(
                """
                WITH forgotten AS (DELETE FROM sessions WHERE expires_ns < $6)
                INSERT INTO sessions (token_hash, owner, account_id, created_ns, expires_ns)
                VALUES ($1, $2, $3, $4, $5)
                """,
                token_hash,
                owner,
                account_id,
                session.created_ns,
                session.expires_ns,
                now_ns - self._lifetime_ns,
            )
        self._remember(token_hash, session)
        return token, session

    async def find(self, token: str) -> Session:
        """The session of a token. Raises SessionRefused (session_invalid, session_expired)."""
        return await self.find_hashed(hash_of(token))

    async def find_hashed(self, token_hash: bytes) -> Session:
        """The same, for who needs the hash (`hash_of`) as well."""
        if token_hash in self._cache:
            self._cache.move_to_end(token_hash)
        else:
            await self._load(token_hash)
        session = self._cache.get(token_hash)
        if session is None:
            raise _invalid()
        if session.expires_ns <= self._clock_ns():
            raise SessionRefused(GatewayCode.SESSION_EXPIRED, "this session is over; sign in again")
        return session

    async def revoke(self, token: str) -> None:
        """Ends a session: for this process at once, for good and for others when this returns."""
        token_hash = sha256(token)
        self.forget(token_hash)
        async with asyncio.timeout(_SQL_TIMEOUT_S):
            await self._pool.execute(
                """
                WITH ended AS (
                    UPDATE sessions SET revoked_ns = $2 WHERE token_hash = $1 AND revoked_ns IS NULL
                    RETURNING token_hash
                )
                SELECT pg_notify($3, encode(token_hash, 'hex')) FROM ended
                """,
                token_hash,
                self._clock_ns(),
                ENDED_CHANNEL,
            )

    def forget(self, token_hash: bytes) -> None:
        """A session was ended, here or elsewhere: from now on it is refused, and who serves it is told."""
        self._remember(token_hash, None)
        for on_ended, _ in self._watchers:
            on_ended(token_hash)

    async def check(self) -> None:
        """Asks the database for the sessions in use, in case it was not heard that one was ended."""
        in_use = {token_hash for token_hash, session in self._cache.items() if session is not None}
        for _, held in self._watchers:
            in_use.update(held())
        hashes = list(in_use)
        for start in range(0, len(hashes), _CHECKED_AT_ONCE):
            asked = hashes[start : start + _CHECKED_AT_ONCE]
            async with asyncio.timeout(_SQL_TIMEOUT_S):
                rows = await self._pool.fetch(
                    "SELECT token_hash FROM sessions WHERE token_hash = ANY($1) AND revoked_ns IS NULL", asked
                )
            for token_hash in set(asked) - {row["token_hash"] for row in rows}:
                self.forget(token_hash)

    async def _load(self, token_hash: bytes) -> None:
        async with asyncio.timeout(_SQL_TIMEOUT_S):
            row = await self._pool.fetchrow(
                """
                SELECT owner, account_id, created_ns, expires_ns
                FROM sessions WHERE token_hash = $1 AND revoked_ns IS NULL
                """,
                token_hash,
            )
        if row is not None and token_hash not in self._cache:  # a tombstone may have come meanwhile
            self._remember(
                token_hash, Session(row["owner"], row["account_id"], row["created_ns"], row["expires_ns"])
            )

    def _remember(self, token_hash: bytes, session: Session | None) -> None:
        self._cache[token_hash] = session
        self._cache.move_to_end(token_hash)
        while len(self._cache) > self._max_cached:
            self._cache.popitem(last=False)


def hash_of(token: str) -> bytes:
    """What a session is known by. Raises SessionRefused for what can be no token."""
    if not is_token(token):
        raise _invalid()
    return sha256(token)


def _invalid() -> SessionRefused:
    return SessionRefused(GatewayCode.SESSION_INVALID, "this session is unknown or was ended; sign in again")
