"""The destination allow-list: where an owner's withdrawals may go, and since when. Tables of its own.

A new destination waits `delay_s` before anything is paid to it, so that an owner who was talked into signing
one, by a forged page or a swapped address, has that long to see it and take it off again. Adding needs the
owner's signature, which the gateway checks; removing only restricts, so it needs none and counts at once,
also for withdrawals that are asked for but not approved yet. With a delay of 0 the list is off.

The owner's own address needs no entry. It is the key that signs both additions and withdrawals, so whoever
could misuse a payment to it has all that there is to protect already; and an owner must never be locked out
of going home. The list is therefore no protection against a stolen wallet key.

Nothing is forgotten: an entry that was removed stays, with what was signed for it, and one that is added
again is a new entry with a new delay. A digest lists an address once, ever; one that was sent for an address
listed already is remembered until after its deadline. So no signature that was sent before brings a removed
address back.
"""

import asyncio
from dataclasses import dataclass

import asyncpg

from exchange.stores.postgres import Connection

__all__ = [
    "Added",
    "Addition",
    "AddressEntry",
    "AllowList",
    "Allowed",
    "Decision",
    "Kept",
    "ListFull",
    "NotListed",
    "SignatureUsed",
    "Waiting",
]

MAX_ENTRIES = 100
"""Per owner, those removed within the last day counted too: so much can be written for one in a day."""
SQL_TIMEOUT_S = 10.0
_DAY_MS = 86_400_000
_COLUMNS = "address, label, added_ms, active_ms"


@dataclass(frozen=True, slots=True)
class Allowed:
    """May be paid."""


@dataclass(frozen=True, slots=True)
class NotListed:
    """The owner has no such destination."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The destination is listed, and may be paid from `active_ms` on."""

    active_ms: int


Decision = Allowed | NotListed | Waiting


@dataclass(frozen=True, slots=True)
class AddressEntry:
    """One destination on an owner's list. Times in milliseconds since 1970; `label` is the owner's text."""

    address: str
    label: str
    added_ms: int
    active_ms: int


@dataclass(frozen=True, slots=True)
class Addition:
    """What the owner signed to add a destination, already checked. Addresses lower case, hex with 0x."""

    owner: str
    address: str
    label: str
    nonce: int
    deadline_s: int
    digest: str
    signature: str


@dataclass(frozen=True, slots=True)
class Added:
    """The destination is on the list, and waits from now on."""

    entry: AddressEntry


@dataclass(frozen=True, slots=True)
class Kept:
    """The destination was on the list before, and is as it was."""

    entry: AddressEntry


@dataclass(frozen=True, slots=True)
class ListFull:
    """The owner has MAX_ENTRIES destinations, those removed within the last day among them."""


@dataclass(frozen=True, slots=True)
class SignatureUsed:
    """This signature has added the address before, and it was removed since: a new one is needed."""


class AllowList:
    """The lists of all owners, for one delay."""

    def __init__(self, pool: asyncpg.Pool, delay_s: int) -> None:
        """`delay_s`: how long a new destination waits; 0 allows every destination, listed or not."""
        assert delay_s >= 0
        self._pool = pool
        self.delay_s = delay_s

    async def check(self, owner: str, destination: str, now_ms: int) -> Decision:
        """Whether an owner's withdrawal may go there now. Addresses in lower case."""
        if self.delay_s == 0 or destination == owner:
            return Allowed()
        async with asyncio.timeout(SQL_TIMEOUT_S), self._pool.acquire() as connection:
            entry = await _listed(connection, owner, destination)
        if entry is None:
            return NotListed()
        return Allowed() if now_ms >= entry.active_ms else Waiting(entry.active_ms)

    async def list(self, owner: str) -> list[AddressEntry]:
        """The owner's destinations, newest first."""
        async with asyncio.timeout(SQL_TIMEOUT_S):
            rows = await self._pool.fetch(
                f"SELECT {_COLUMNS} FROM withdrawal_addresses"  # noqa: S608 - our own column names
                " WHERE owner = $1 AND removed_ms IS NULL ORDER BY entry_id DESC",
                owner,
            )
        return [AddressEntry(*row) for row in rows]

    async def add(self, addition: Addition, now_ms: int) -> Added | Kept | ListFull | SignatureUsed:
        """Lists a destination; one that is listed stays exactly as it is, label and time included."""
        async with (
            asyncio.timeout(SQL_TIMEOUT_S),
            self._pool.acquire() as connection,
            connection.transaction(),
        ):
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", addition.owner)
            listed = await _listed(connection, addition.owner, addition.address)
            if listed is None and await _room(connection, addition.owner, now_ms) <= 0:
                return ListFull()
            is_new = await _use(connection, addition, now_ms)
            if listed is not None:
                return Kept(listed)
            added = await _insert(connection, addition, now_ms, self.delay_s) if is_new else None
            return SignatureUsed() if added is None else Added(added)

    async def remove(self, owner: str, address: str, now_ms: int) -> AddressEntry | None:
        """Takes a destination off the list, at once; None when it is not on it."""
        async with asyncio.timeout(SQL_TIMEOUT_S):
            row = await self._pool.fetchrow(
                f"""
                UPDATE withdrawal_addresses SET removed_ms = greatest($3, added_ms)
                WHERE owner = $1 AND address = $2 AND removed_ms IS NULL RETURNING {_COLUMNS}
                """,  # noqa: S608 - our own column names
                owner,
                address,
                now_ms,
            )
        return None if row is None else AddressEntry(*row)


async def _listed(connection: Connection, owner: str, address: str) -> AddressEntry | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM withdrawal_addresses"  # noqa: S608 - our own column names
        " WHERE owner = $1 AND address = $2 AND removed_ms IS NULL",
        owner,
        address,
    )
    return None if row is None else AddressEntry(*row)


async def _room(connection: Connection, owner: str, now_ms: int) -> int:
    taken: int = await connection.fetchval(
        "SELECT count(*) FROM withdrawal_addresses"
        " WHERE owner = $1 AND (removed_ms IS NULL OR removed_ms > $2)",
        owner,
        now_ms - _DAY_MS,
    )
    return MAX_ENTRIES - taken


async def _use(connection: Connection, addition: Addition, now_ms: int) -> bool:
    """Uses up a digest; False when it was used. Those a day past their deadline are refused elsewhere."""
    await connection.execute(
        "DELETE FROM withdrawal_address_digests WHERE owner = $1 AND deadline_s < $2",
        addition.owner,
        (now_ms - _DAY_MS) // 1_000,
    )
    used = await connection.fetchval(
        """
        INSERT INTO withdrawal_address_digests (digest, owner, deadline_s) VALUES ($1, $2, $3)
        ON CONFLICT (digest) DO NOTHING RETURNING digest
        """,
        addition.digest,
        addition.owner,
        addition.deadline_s,
    )
    return used is not None


async def _insert(
    connection: Connection, addition: Addition, now_ms: int, delay_s: int
) -> AddressEntry | None:
    """None when this digest has listed a destination before, however long ago."""
    row = await connection.fetchrow(
        f"""
        INSERT INTO withdrawal_addresses
            (owner, address, label, added_ms, active_ms, nonce, deadline_s, digest, signature)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (digest) DO NOTHING RETURNING {_COLUMNS}
        """,  # noqa: S608 - our own column names
        addition.owner,
        addition.address,
        addition.label,
        now_ms,
        now_ms + delay_s * 1_000,
        addition.nonce,
        addition.deadline_s,
        addition.digest,
        addition.signature,
    )
    return None if row is None else AddressEntry(*row)
