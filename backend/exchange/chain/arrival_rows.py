"""The tables `deposit_addresses` and `deposit_arrivals`: who was given an address, and what lies at it.

An arrival is what a block showed and is credited to nobody: only the vault's numbered deposit, made by the
sweep, is. So these rows may be wrong for a while, or thrown away and found again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from exchange.chain.payment_rows import now_ms

ACQUIRE_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """Funds at an account's deposit address, as of the newest look; not swept yet."""

    owner: str
    token: str
    amount_atoms: int
    block_number: int
    first_seen_ms: int


async def issue_address(pool: asyncpg.Pool, chain_id: int, registry: str, owner: str, address: str) -> None:
    """Notes that the owner knows the address, so that it is watched from now on. Idempotent."""
    await pool.execute(
        "INSERT INTO deposit_addresses (chain_id, registry, owner, address, issued_ms)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        chain_id,
        registry,
        owner,
        address,
        now_ms(),
    )


async def arrivals_of(pool: asyncpg.Pool, chain_id: int, registry: str, owner: str) -> list[Arrival]:
    """What lies at one owner's address."""
    rows = await pool.fetch(
        "SELECT owner, token, amount_atoms, block_number, first_seen_ms FROM deposit_arrivals"
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

    async def all(self, limit: int) -> list[Arrival]:
        """What lies anywhere, oldest first."""
        rows = await self._pool.fetch(
            "SELECT owner, token, amount_atoms, block_number, first_seen_ms FROM deposit_arrivals"
            " WHERE chain_id = $1 AND registry = $2 ORDER BY first_seen_ms, owner, token LIMIT $3",
            *self._key,
            limit,
        )
        return [Arrival(*row) for row in rows]

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
