"""The tables `deposit_addresses` and `deposit_arrivals`: who was given an address, and what lies at it.

An arrival is what a block showed and is credited to nobody: only the vault's numbered deposit, made by the
sweep, is. So these rows may be wrong for a while, or thrown away and found again.

Anybody can send a little to any number of addresses. So what is less than its token's minimum is left out by
the database, before anything is counted or limited. `minima` are atoms by token; a token without one is not
swept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from exchange.chain.payment_rows import now_ms

ACQUIRE_TIMEOUT_S = 10.0
ASKED_STEP_MS = 3_600_000
"""To ask again is noted at most this often: reading an address must not cost a write each time."""

Minima = Mapping[str, int]

_ENOUGH = (
    "deposit_arrivals AS arrival JOIN unnest($3::text[], $4::numeric[]) AS minimum (token, atoms)"
    " ON arrival.token = minimum.token AND arrival.amount_atoms >= minimum.atoms"
    " WHERE arrival.chain_id = $1 AND arrival.registry = $2"
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Funds at an account's deposit address, as of the newest look; not swept yet."""

    owner: str
    token: str
    amount_atoms: int
    block_number: int
    first_seen_ms: int
    waited_ms: int
    """How long it was put off when the last sweep did not take it; 0 when none was tried."""


async def issue_address(
    pool: asyncpg.Pool, chain_id: int, registry: str, owner: str, address: str, asked_ms: int | None = None
) -> None:
    """Notes that the owner knows the address and asked for it just now, so that it is watched. Idempotent."""
    asked_ms = asked_ms or now_ms()
    noted_ms: int | None = await pool.fetchval(
        "SELECT last_asked_ms FROM deposit_addresses WHERE chain_id = $1 AND registry = $2 AND owner = $3",
        chain_id,
        registry,
        owner,
    )
    if noted_ms is not None and asked_ms - noted_ms < ASKED_STEP_MS:
        return
    await pool.execute(
        "INSERT INTO deposit_addresses (chain_id, registry, owner, address, issued_ms, last_asked_ms)"
        " VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (chain_id, registry, owner)"
        " DO UPDATE SET last_asked_ms = GREATEST(deposit_addresses.last_asked_ms, EXCLUDED.last_asked_ms)",
        chain_id,
        registry,
        owner,
        address,
        asked_ms,
    )


async def arrivals_of(pool: asyncpg.Pool, chain_id: int, registry: str, owner: str) -> list[Arrival]:
    """What lies at one owner's address."""
    rows = await pool.fetch(
        "SELECT owner, token, amount_atoms, block_number, first_seen_ms, waited_ms FROM deposit_arrivals"
        " WHERE chain_id = $1 AND registry = $2 AND owner = $3 ORDER BY token",
        chain_id,
        registry,
        owner,
    )
    return [Arrival(*row) for row in rows]


class ArrivalRows:
    """The rows of one registry. One writer, the watcher of arrivals."""

    def __init__(self, pool: asyncpg.Pool, chain_id: int, registry: str) -> None:
        self._pool = pool
        self._key = (chain_id, registry)

    async def owners(self, after: str, limit: int) -> list[str]:
        """Owners with an address, in order of their own address, after one of them."""
        rows = await self._pool.fetch(
            "SELECT owner FROM deposit_addresses WHERE chain_id = $1 AND registry = $2 AND owner > $3"
            " ORDER BY owner LIMIT $4",
            *self._key,
            after,
            limit,
        )
        return [row["owner"] for row in rows]

    async def asked(self, since_ms: int, before: tuple[int, str] | None, limit: int) -> list[tuple[int, str]]:
        """When they last asked, and who, newest first: those after `since_ms` and before one of them."""
        rows = await self._pool.fetch(
            "SELECT last_asked_ms, owner FROM deposit_addresses"
            " WHERE chain_id = $1 AND registry = $2 AND last_asked_ms > $3"
            " AND ($4::bigint IS NULL OR (last_asked_ms, owner) < ($4, $5))"
            " ORDER BY last_asked_ms DESC, owner DESC LIMIT $6",
            *self._key,
            since_ms,
            *(before or (None, None)),
            limit,
        )
        return [(row["last_asked_ms"], row["owner"]) for row in rows]

    async def owners_with_enough(self, minima: Minima, after: str, limit: int) -> list[str]:
        """Owners at whose addresses lies enough to be swept, in order, after one of them."""
        rows = await self._pool.fetch(
            f"SELECT DISTINCT owner FROM {_ENOUGH} AND owner > $5 ORDER BY owner LIMIT $6",  # noqa: S608
            *self._key,
            *_columns(minima),
            after,
            limit,
        )
        return [row["owner"] for row in rows]

    async def count_enough(self, minima: Minima) -> int:
        """How many arrivals are enough to be swept."""
        count: int = await self._pool.fetchval(
            f"SELECT count(*) FROM {_ENOUGH}",  # noqa: S608
            *self._key,
            *_columns(minima),
        )
        return count

    async def due(self, minima: Minima, now_ms: int, limit: int) -> list[Arrival]:
        """What is enough and not put off, oldest first; what was put off before comes after what was not."""
        rows = await self._pool.fetch(
            "SELECT owner, arrival.token, amount_atoms, block_number, first_seen_ms, waited_ms"  # noqa: S608
            f" FROM {_ENOUGH} AND not_before_ms <= $5"
            " ORDER BY not_before_ms, first_seen_ms, owner, arrival.token LIMIT $6",
            *self._key,
            *_columns(minima),
            now_ms,
            limit,
        )
        return [Arrival(*row) for row in rows]

    async def put_off(self, arrival: Arrival, not_before_ms: int, waited_ms: int) -> None:
        """Nothing is tried with it before a time. Forgotten when nothing lies there any more."""
        await self._pool.execute(
            "UPDATE deposit_arrivals SET not_before_ms = $5, waited_ms = $6"
            " WHERE chain_id = $1 AND registry = $2 AND owner = $3 AND token = $4",
            *self._key,
            arrival.owner,
            arrival.token,
            not_before_ms,
            waited_ms,
        )

    async def put(
        self, owners: Sequence[str], found: Mapping[tuple[str, str], int], block_number: int
    ) -> None:
        """Replaces what is known of these owners: atoms by owner and token, what is missing is nothing."""
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            stored = await connection.fetch(
                "SELECT owner, token FROM deposit_arrivals"
                " WHERE chain_id = $1 AND registry = $2 AND owner = ANY($3::text[])",
                *self._key,
                list(owners),
            )
            for owner, token in stored:
                if (owner, token) not in found:
                    await connection.execute(
                        "DELETE FROM deposit_arrivals"
                        " WHERE chain_id = $1 AND registry = $2 AND owner = $3 AND token = $4",
                        *self._key,
                        owner,
                        token,
                    )
            await connection.executemany(
                """
                INSERT INTO deposit_arrivals
                    (chain_id, registry, owner, token, amount_atoms, block_number, first_seen_ms)
                VALUES ($1, $2, $3, $4, $5, $6, $7)
                ON CONFLICT (chain_id, registry, owner, token) DO UPDATE SET
                    amount_atoms = EXCLUDED.amount_atoms, block_number = EXCLUDED.block_number
                """,
                [
                    (*self._key, owner, token, atoms, block_number, now_ms())
                    for (owner, token), atoms in found.items()
                ],
            )


def _columns(minima: Minima) -> tuple[list[str], list[int]]:
    return list(minima.keys()), list(minima.values())
