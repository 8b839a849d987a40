"""The tables `payments` and `payment_cursors`: every withdrawal of a vault and how far its payment is.

The rows repeat the journal's requests and add the chain's side. A final state (settled, refunded) is only
ever written from the journal's event, so the ledger and this table can not disagree about it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from exchange.chain.vault import Payment
from exchange.core.events import WithdrawalRefunded, WithdrawalRequested, WithdrawalSettled
from exchange.journal.rows import JournalRow

ACQUIRE_TIMEOUT_S = 10.0
MAX_OPEN = 10_000

_COLUMNS = (
    "withdrawal_id, account_id, asset_id, owner, token, amount_atoms, fee_atoms, destination, deadline_s,"
    " state, not_before_ms, tx_hash, block_number, block_hash, outcome"
)


class PaymentState(StrEnum):
    """The life of a payment; see exchange.chain.withdrawals for the transitions."""

    REQUESTED = "requested"
    APPROVED = "approved"
    SIGNED = "signed"
    BROADCAST = "broadcast"
    MINED = "mined"
    SETTLED = "settled"
    REFUNDED = "refunded"


class ChainOutcome(StrEnum):
    """What a mined transaction did with the payment in it."""

    PAID = "paid"
    CLAIMABLE = "claimable"
    SKIPPED = "skipped"
    REVERTED = "reverted"


@dataclass(frozen=True, slots=True)
class StoredPayment:
    """One row of `payments`. `amount_atoms` is before the fee, as in the request."""

    withdrawal_id: str
    account_id: int
    asset_id: int
    owner: str
    token: str
    amount_atoms: int
    fee_atoms: int
    destination: str
    deadline_s: int
    state: PaymentState
    not_before_ms: int
    tx_hash: str | None
    block_number: int | None
    block_hash: str | None
    outcome: ChainOutcome | None

    @property
    def payment(self) -> Payment:
        """What the vault is asked to pay: the amount less the fee."""
        return Payment(
            withdrawal_id=self.withdrawal_id,
            account=self.owner,
            token=self.token,
            amount_atoms=self.amount_atoms - self.fee_atoms,
            destination=self.destination,
            deadline_s=self.deadline_s,
        )

    def repeats(self, requested: WithdrawalRequested) -> bool:
        """Whether this is what the ledger has in flight, to the last field."""
        return (
            self.withdrawal_id == requested.withdrawal_id
            and self.account_id == requested.account_id
            and self.asset_id == requested.asset_id
            and self.owner == requested.owner
            and self.token == requested.token
            and self.amount_atoms == requested.amount_atoms
            and self.fee_atoms == requested.fee_atoms
            and self.destination == requested.destination
            and self.deadline_s == requested.deadline_s
        )


@dataclass(frozen=True, slots=True)
class PaymentStatus:
    """What a user is shown of a payment. `tx_hash` is the newest attempt's, or of the one that was mined."""

    state: PaymentState
    tx_hash: str | None
    block_number: int | None
    outcome: ChainOutcome | None
    updated_ms: int


async def payment_status(pool: asyncpg.Pool, ids: Sequence[str]) -> dict[str, PaymentStatus]:
    """Status by withdrawal id; an id that the payments have not read yet is missing."""
    rows = await pool.fetch(
        "SELECT withdrawal_id, state, tx_hash, block_number, outcome, updated_ms FROM payments"
        " WHERE withdrawal_id = ANY($1::text[])",
        list(ids),
    )
    return {
        row["withdrawal_id"]: PaymentStatus(
            PaymentState(row["state"]),
            row["tx_hash"],
            row["block_number"],
            None if row["outcome"] is None else ChainOutcome(row["outcome"]),
            row["updated_ms"],
        )
        for row in rows
    }


def now_ms() -> int:
    """Wall clock, for the columns that record when."""
    return time.time_ns() // 1_000_000


class PaymentRows:
    """The rows of one vault. One writer, the withdrawals' worker."""

    def __init__(self, pool: asyncpg.Pool, chain_id: int, vault: str) -> None:
        self._pool = pool
        self._key = (chain_id, vault)

    # ---- the journal

    async def cursor(self) -> int:
        """Last journal seq that is taken in."""
        seq: int | None = await self._pool.fetchval(
            "SELECT seq FROM payment_cursors WHERE chain_id = $1 AND vault = $2", *self._key
        )
        return seq or 0

    async def take_in(self, rows: list[JournalRow]) -> None:
        """Takes in committed rows and moves the cursor, all or nothing. Taking in a row twice is harmless."""
        updated_ms = now_ms()
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            for row in rows:
                for seq, events in enumerate(row.events, row.seq_first):
                    for event in events:
                        if isinstance(event, WithdrawalRequested):
                            await self._insert(connection, seq, event, updated_ms)
                        elif isinstance(event, WithdrawalSettled):
                            await connection.execute(
                                "UPDATE payments SET state = 'settled', updated_ms = $2, tx_hash = $3,"
                                " block_number = $4, outcome = $5, note = ''"
                                " WHERE withdrawal_id = $1 AND state NOT IN ('settled', 'refunded')",
                                event.withdrawal_id,
                                updated_ms,
                                event.tx_hash,
                                event.block_number,
                                event.outcome,
                            )
                        elif isinstance(event, WithdrawalRefunded):
                            await connection.execute(
                                "UPDATE payments SET state = 'refunded', updated_ms = $2, note = ''"
                                " WHERE withdrawal_id = $1 AND state NOT IN ('settled', 'refunded')",
                                event.withdrawal_id,
                                updated_ms,
                            )
            await connection.execute(
                "INSERT INTO payment_cursors (chain_id, vault, seq) VALUES ($1, $2, $3)"
                " ON CONFLICT (chain_id, vault) DO UPDATE SET seq = EXCLUDED.seq",
                *self._key,
                rows[-1].seq_last,
            )

    async def _insert(
        self,
        connection: "asyncpg.pool.PoolConnectionProxy",
        seq: int,
        event: WithdrawalRequested,
        updated_ms: int,
    ) -> None:
        if (event.chain_id, event.vault) != self._key:
            return
        await connection.execute(
            """
            INSERT INTO payments (withdrawal_id, chain_id, vault, requested_seq, account_id, asset_id, owner,
                token, amount_atoms, fee_atoms, destination, deadline_s, state, updated_ms)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'requested', $13)
            ON CONFLICT (withdrawal_id) DO NOTHING
            """,
            event.withdrawal_id,
            *self._key,
            seq,
            event.account_id,
            event.asset_id,
            event.owner,
            event.token,
            event.amount_atoms,
            event.fee_atoms,
            event.destination,
            event.deadline_s,
            updated_ms,
        )

    # ---- the chain

    async def open(self) -> list[StoredPayment]:
        """Payments that are not final, oldest first."""
        rows = await self._pool.fetch(
            f"SELECT {_COLUMNS} FROM payments WHERE chain_id = $1 AND vault = $2"  # noqa: S608
            " AND state NOT IN ('settled', 'refunded') ORDER BY requested_seq LIMIT $3",
            *self._key,
            MAX_OPEN,
        )
        return [_stored(row) for row in rows]

    async def settled_after(self, block_number: int) -> list[StoredPayment]:
        """Payments that are settled by a block after this one."""
        rows = await self._pool.fetch(
            f"SELECT {_COLUMNS} FROM payments WHERE chain_id = $1 AND vault = $2"  # noqa: S608
            " AND state = 'settled' AND block_number > $3 LIMIT $4",
            *self._key,
            block_number,
            MAX_OPEN,
        )
        return [_stored(row) for row in rows]

    async def get(self, withdrawal_id: str) -> StoredPayment | None:
        row = await self._pool.fetchrow(
            f"SELECT {_COLUMNS} FROM payments WHERE withdrawal_id = $1",  # noqa: S608
            withdrawal_id,
        )
        return None if row is None else _stored(row)

    async def move(self, withdrawal_id: str, before: Sequence[PaymentState], after: PaymentState) -> bool:
        """Changes the state if it is one of `before`; whether it was."""
        result = await self._pool.execute(
            "UPDATE payments SET state = $3, updated_ms = $4"
            " WHERE withdrawal_id = $1 AND state = ANY($2::text[])",
            withdrawal_id,
            list(before),
            after,
            now_ms(),
        )
        return result == "UPDATE 1"

    async def mined(
        self, withdrawal_id: str, tx_hash: str, block_number: int, block_hash: str, outcome: ChainOutcome
    ) -> None:
        """A transaction with this payment is in a block."""
        await self._pool.execute(
            "UPDATE payments SET state = 'mined', updated_ms = $6, tx_hash = $2, block_number = $3,"
            " block_hash = $4, outcome = $5"
            " WHERE withdrawal_id = $1 AND state NOT IN ('settled', 'refunded')",
            withdrawal_id,
            tx_hash,
            block_number,
            block_hash,
            outcome,
            now_ms(),
        )

    async def postpone(self, withdrawal_id: str, not_before_ms: int, note: str) -> None:
        """Approved again, but nothing is signed before a time."""
        await self._pool.execute(
            "UPDATE payments SET state = 'approved', updated_ms = $4, not_before_ms = $2, note = $3"
            " WHERE withdrawal_id = $1 AND state IN ('approved', 'mined')",
            withdrawal_id,
            not_before_ms,
            note,
            now_ms(),
        )


def _stored(row: asyncpg.Record) -> StoredPayment:
    values = dict(row) | {"state": PaymentState(row["state"])}
    if row["outcome"] is not None:
        values["outcome"] = ChainOutcome(row["outcome"])
    return StoredPayment(**values)
