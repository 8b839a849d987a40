"""The tables `chain_blocks`, `vault_deposits` and `deposit_cursors`: what the watcher has seen and credited.

Every deposit is kept for ever, so the rolling hash can always be continued from the last row. Block hashes
are kept closely near the head and thinly further back: a rollback lands on the next lower one that is kept.
A deposit is `displaced` while it is credited but not on the chain's present branch; it is `answered` when
that has had its consequences (a halt, frozen accounts).
"""

import time
from dataclasses import dataclass

import asyncpg

from exchange.chain.rpc import Header
from exchange.chain.vault import Deposit, deposit_hash_origin

ACQUIRE_TIMEOUT_S = 10.0
CLOSE_BLOCKS = 1_024
THIN_EVERY = 256

_DEPOSIT_COLUMNS = (
    "number, owner, token, amount_atoms, sender, deposit_hash, tx_hash, log_index, block_number, block_hash"
)
_CREDITED = "GREATEST($4, (SELECT credited FROM deposit_cursors WHERE chain_id = $1 AND vault = $2))"
"""The last credited number: as the ledger at hand says ($4), or the cursor if that is further."""
_INSERTED = ("chain_id", "vault", *_DEPOSIT_COLUMNS.split(", "), "first_seen_ms")


@dataclass(frozen=True, slots=True)
class Block:
    """A scanned block. All deposits up to and with it are stored."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Rolled:
    """Count and rolling hash of the deposits up to some point."""

    number: int
    deposit_hash: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """What all rows together say at one moment: all blocks to `tip` are scanned, `last` is in them.

    `tip` is None before the first block.
    """

    tip: Block | None
    last: Rolled


@dataclass(frozen=True, slots=True)
class CreditedDeposit:
    """A credited deposit: its number, in whose name it was made, and of what."""

    number: int
    owner: str
    token: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """What a rollback did: uncredited deposits dropped, credited ones now displaced."""

    dropped: int
    displaced: int


@dataclass(frozen=True, slots=True)
class PendingDeposit:
    """A deposit on chain that is not credited yet."""

    chain_id: int
    vault: str
    number: int
    token: str
    amount_atoms: int
    tx_hash: str
    log_index: int
    block_number: int
    first_seen_ms: int

    def confirmations(self, head_number: int) -> int:
        """Confirmations so far, 1 in the newest block; 0 while the head is behind it."""
        return max(0, head_number - self.block_number + 1)


async def pending_deposits(pool: asyncpg.Pool, owner: str) -> list[PendingDeposit]:
    """Deposits for a lower-case owner address that are seen but not credited, newest first."""
    rows = await pool.fetch(
        """
        SELECT d.chain_id, d.vault, d.number, d.token, d.amount_atoms, d.tx_hash, d.log_index,
            d.block_number, d.first_seen_ms
        FROM deposit_cursors AS c JOIN vault_deposits AS d
            ON d.chain_id = c.chain_id AND d.vault = c.vault AND d.number > c.credited
        WHERE d.owner = $1 ORDER BY d.chain_id, d.vault, d.number DESC LIMIT 1000
        """,
        owner,
    )
    return [PendingDeposit(*row) for row in rows]


async def owners_with_pending(pool: asyncpg.Pool) -> set[str]:
    """Owners of deposits that are seen but not credited: there are few at any time."""
    rows = await pool.fetch(
        "SELECT DISTINCT d.owner FROM deposit_cursors AS c JOIN vault_deposits AS d"
        " ON d.chain_id = c.chain_id AND d.vault = c.vault AND d.number > c.credited"
    )
    return {owner for (owner,) in rows}


class DepositRows:
    """The rows of one vault."""

    def __init__(self, pool: asyncpg.Pool, chain_id: int, vault: str) -> None:
        self._pool = pool
        self._key = (chain_id, vault)
        self._origin = Rolled(0, deposit_hash_origin(chain_id, vault))

    # ---- blocks

    async def tip(self) -> Block | None:
        """The newest scanned block."""
        row = await self._pool.fetchrow(
            "SELECT number, hash FROM chain_blocks WHERE chain_id = $1 AND vault = $2"
            " ORDER BY number DESC LIMIT 1",
            *self._key,
        )
        return None if row is None else Block(*row)

    async def block(self, number: int) -> Block | None:
        row = await self._pool.fetchrow(
            "SELECT number, hash FROM chain_blocks WHERE chain_id = $1 AND vault = $2 AND number = $3",
            *self._key,
            number,
        )
        return None if row is None else Block(*row)

    async def blocks(self, up_to: int) -> list[Block]:
        """All kept blocks up to a number, oldest first."""
        rows = await self._pool.fetch(
            "SELECT number, hash FROM chain_blocks WHERE chain_id = $1 AND vault = $2 AND number <= $3"
            " ORDER BY number",
            *self._key,
            up_to,
        )
        return [Block(*row) for row in rows]

    async def at_or_after(self, number: int) -> Block | None:
        """The lowest kept block that is not below a number."""
        row = await self._pool.fetchrow(
            "SELECT number, hash FROM chain_blocks WHERE chain_id = $1 AND vault = $2 AND number >= $3"
            " ORDER BY number LIMIT 1",
            *self._key,
            number,
        )
        return None if row is None else Block(*row)

    # ---- deposits

    async def last(self) -> Rolled:
        """The newest deposit on the present branch."""
        return await self._rolled("NOT displaced")

    async def last_at(self, block_number: int) -> Rolled:
        """The newest deposit on the present branch up to a block."""
        return await self._rolled("NOT displaced AND block_number <= $3", block_number)

    async def standing(self) -> Standing:
        """Tip and newest deposit as of one moment."""
        row = await self._pool.fetchrow(
            """
            SELECT
                (SELECT number FROM chain_blocks WHERE chain_id = $1 AND vault = $2
                 ORDER BY number DESC LIMIT 1) AS tip_number,
                (SELECT hash FROM chain_blocks WHERE chain_id = $1 AND vault = $2
                 ORDER BY number DESC LIMIT 1) AS tip_hash,
                (SELECT number FROM vault_deposits WHERE chain_id = $1 AND vault = $2 AND NOT displaced
                 ORDER BY number DESC LIMIT 1) AS last_number,
                (SELECT deposit_hash FROM vault_deposits WHERE chain_id = $1 AND vault = $2 AND NOT displaced
                 ORDER BY number DESC LIMIT 1) AS last_hash
            """,
            *self._key,
        )
        assert row is not None
        tip_number, tip_hash, last_number, last_hash = row
        return Standing(
            None if tip_number is None else Block(tip_number, tip_hash),
            self._origin if last_number is None else Rolled(last_number, last_hash),
        )

    async def unanswered(self, first: int) -> list[CreditedDeposit]:
        """The displaced deposits from a number on that have not had their consequences, in order."""
        rows = await self._pool.fetch(
            "SELECT number, owner, token FROM vault_deposits WHERE chain_id = $1 AND vault = $2"
            " AND number >= $3 AND displaced AND NOT answered ORDER BY number",
            *self._key,
            first,
        )
        return [CreditedDeposit(*row) for row in rows]

    async def in_ledger(self, numbers: tuple[int, ...]) -> list[CreditedDeposit]:
        """These deposits as the ledger credited them, as far as its read table has come, in order."""
        rows = await self._pool.fetch(
            "SELECT number, owner, token FROM deposits WHERE chain_id = $1 AND vault = $2"
            " AND number = ANY($3::BIGINT[]) ORDER BY number",
            *self._key,
            list(numbers),
        )
        return [CreditedDeposit(*row) for row in rows]

    async def has_credited_after(self, block_number: int, credited: int) -> bool:
        """Whether a credited deposit lies in a block after this one."""
        row = await self._pool.fetchrow(
            f"SELECT number FROM vault_deposits WHERE chain_id = $1 AND vault = $2"  # noqa: S608
            f" AND block_number > $3 AND number <= {_CREDITED} ORDER BY number LIMIT 1",
            *self._key,
            block_number,
            credited,
        )
        return row is not None

    async def _rolled(self, condition: str, *values: int) -> Rolled:
        row = await self._pool.fetchrow(
            "SELECT number, deposit_hash FROM vault_deposits WHERE chain_id = $1 AND vault = $2"  # noqa: S608
            f" AND {condition} ORDER BY number DESC LIMIT 1",
            *self._key,
            *values,
        )
        return self._origin if row is None else Rolled(*row)

    async def hashes(self, first: int, last: int) -> dict[int, bytes]:
        """Rolling hashes of the stored deposits of these numbers, displaced ones included."""
        rows = await self._pool.fetch(
            "SELECT number, deposit_hash FROM vault_deposits"
            " WHERE chain_id = $1 AND vault = $2 AND number BETWEEN $3 AND $4",
            *self._key,
            first,
            last,
        )
        return {row["number"]: row["deposit_hash"] for row in rows}

    async def between(self, after: int, up_to: int, limit: int = 256) -> list[Deposit]:
        """Deposits after a number and up to another, in order."""
        rows = await self._pool.fetch(
            f"SELECT {_DEPOSIT_COLUMNS} FROM vault_deposits WHERE chain_id = $1 AND vault = $2"  # noqa: S608
            " AND number > $3 AND number <= $4 ORDER BY number LIMIT $5",
            *self._key,
            after,
            up_to,
            limit,
        )
        return [Deposit(*row) for row in rows]

    # ---- writes

    async def append(self, headers: list[Header], new: list[Deposit], again: list[Deposit]) -> None:
        """Stores scanned blocks with the deposits in them, all or nothing.

        `again` are stored already (displaced ones that are back, rescanned ones): they get their new place.
        """
        seen_ms = time.time_ns() // 1_000_000
        key = self._key
        blocks = [(*key, header.number, header.hash, header.parent_hash) for header in headers]
        rows = [
            (
                *key,
                deposit.number,
                deposit.owner,
                deposit.token,
                deposit.amount_atoms,
                deposit.sender,
                deposit.deposit_hash,
                deposit.tx_hash,
                deposit.log_index,
                deposit.block_number,
                deposit.block_hash,
                seen_ms,
            )
            for deposit in new
        ]
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            await connection.executemany(
                "INSERT INTO chain_blocks (chain_id, vault, number, hash, parent_hash)"
                " VALUES ($1, $2, $3, $4, $5)",
                blocks,
            )
            if rows:
                await connection.copy_records_to_table("vault_deposits", columns=_INSERTED, records=rows)
            if again:
                await connection.executemany(
                    "UPDATE vault_deposits SET tx_hash = $4, log_index = $5, block_number = $6,"
                    " block_hash = $7, displaced = FALSE, answered = FALSE"
                    " WHERE chain_id = $1 AND vault = $2 AND number = $3 AND deposit_hash = $8",
                    [
                        (
                            *key,
                            deposit.number,
                            deposit.tx_hash,
                            deposit.log_index,
                            deposit.block_number,
                            deposit.block_hash,
                            deposit.deposit_hash,
                        )
                        for deposit in again
                    ],
                )
            last = headers[-1].number
            if len(headers) > 1 or last % THIN_EVERY == 0:
                await connection.execute(
                    "DELETE FROM chain_blocks WHERE chain_id = $1 AND vault = $2 AND number < $3"
                    " AND number % $4 <> 0",
                    *key,
                    last - CLOSE_BLOCKS,
                    THIN_EVERY,
                )

    async def roll_back(self, to_block: int, credited: int) -> Rollback:
        """Forgets all blocks after `to_block`. Deposits in them are dropped, credited ones displaced.

        Credited is what the ledger has, and what the cursor says: a process that was replaced without
        noticing knows an old ledger.
        """
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            await connection.execute(
                "DELETE FROM chain_blocks WHERE chain_id = $1 AND vault = $2 AND number > $3",
                *self._key,
                to_block,
            )
            dropped = await connection.fetch(
                "DELETE FROM vault_deposits WHERE chain_id = $1 AND vault = $2"  # noqa: S608
                f" AND block_number > $3 AND number > {_CREDITED} RETURNING number",
                *self._key,
                to_block,
                credited,
            )
            displaced = await connection.fetch(
                "UPDATE vault_deposits SET displaced = TRUE WHERE chain_id = $1 AND vault = $2"
                " AND block_number > $3 AND NOT displaced RETURNING number",
                *self._key,
                to_block,
            )
        return Rollback(len(dropped), len(displaced))

    async def forget_uncredited(self, credited: int) -> None:
        """Forgets what is not credited, and all blocks from that of the last credited deposit on.

        Credited deposits in those blocks count as displaced until they are seen again.
        """
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            await connection.execute(
                "DELETE FROM vault_deposits WHERE chain_id = $1 AND vault = $2"  # noqa: S608
                f" AND block_number >= $3 AND number > {_CREDITED}",
                *self._key,
                0,
                credited,
            )
            last = await connection.fetchval(
                "SELECT max(block_number) FROM vault_deposits"
                " WHERE chain_id = $1 AND vault = $2 AND NOT displaced",
                *self._key,
            )
            first_forgotten = last or 0
            await connection.execute(
                "DELETE FROM chain_blocks WHERE chain_id = $1 AND vault = $2 AND number >= $3",
                *self._key,
                first_forgotten,
            )
            await connection.execute(
                "UPDATE vault_deposits SET displaced = TRUE WHERE chain_id = $1 AND vault = $2"
                " AND block_number >= $3 AND NOT displaced",
                *self._key,
                first_forgotten,
            )

    async def mark_credited(self, up_to: int) -> None:
        """Notes that the ledger has all deposits up to a number."""
        await self._pool.execute(
            """
            INSERT INTO deposit_cursors (chain_id, vault, credited) VALUES ($1, $2, $3)
            ON CONFLICT (chain_id, vault) DO UPDATE SET credited = EXCLUDED.credited
            WHERE deposit_cursors.credited < EXCLUDED.credited
            """,
            *self._key,
            up_to,
        )

    async def mark_answered(self, numbers: tuple[int, ...]) -> None:
        """Notes that these displaced deposits have had their consequences."""
        await self._pool.execute(
            "UPDATE vault_deposits SET answered = TRUE"
            " WHERE chain_id = $1 AND vault = $2 AND displaced AND number = ANY($3::BIGINT[])",
            *self._key,
            list(numbers),
        )
