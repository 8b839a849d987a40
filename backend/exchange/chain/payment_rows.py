"""The tables `payments` and `payment_cursors`: every withdrawal of a vault and how far its payment is.

The rows repeat the journal's requests and add the chain's side. A final state (settled, refunded) is only
ever written from the journal's event, so the ledger and this table can not disagree about it. Each statement
that changes a state names the states it may come from, as `life_cycle` has them.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from exchange.chain.life_cycle import PaymentState, sources
from exchange.chain.vault import Payment
from exchange.core.events import WithdrawalRefunded, WithdrawalRequested, WithdrawalSettled
from exchange.journal.rows import JournalRow

ACQUIRE_TIMEOUT_S = 10.0
MAX_OPEN = 10_000
MAX_NOTE_CHARS = 500

_COLUMNS = (
    "withdrawal_id, requested_seq, account_id, asset_id, owner, token, amount_atoms, fee_atoms, destination,"
    " deadline_s, state, not_before_ms, approved_ms, reviewed_by, tx_hash, block_number, block_hash, outcome"
)


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
    requested_seq: int
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
    approved_ms: int | None
    reviewed_by: str | None
    tx_hash: str | None
    block_number: int | None
    block_hash: str | None
    outcome: ChainOutcome | None

    @property
    def before_signed(self) -> PaymentState:
        """What was decided about it, whatever happened on the chain since."""
        if self.approved_ms is not None:
            return PaymentState.APPROVED
        return PaymentState.REQUESTED if self.reviewed_by is None else PaymentState.REJECTED

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
    note: str
    """Why it waits or was rejected; empty when nothing is in its way."""
    updated_ms: int


async def payment_status(pool: asyncpg.Pool, ids: Sequence[str]) -> dict[str, PaymentStatus]:
    """Status by withdrawal id; an id that the payments have not read yet is missing."""
    rows = await pool.fetch(
        """
        SELECT p.withdrawal_id, p.state, COALESCE(p.tx_hash, newest.tx_hash) AS tx_hash, p.block_number,
            p.outcome, p.note, p.updated_ms
        FROM payments p LEFT JOIN LATERAL (
            SELECT a.tx_hash
            FROM payment_tries t JOIN sent_attempts a USING (chain_id, sender, nonce)
            WHERE t.withdrawal_id = p.withdrawal_id AND p.state IN ('signed', 'broadcast')
            ORDER BY t.try DESC, a.signed_ms DESC, a.max_fee_wei DESC LIMIT 1
        ) newest ON TRUE
        WHERE p.withdrawal_id = ANY($1::text[])
        """,
        list(ids),
    )
    return {
        row["withdrawal_id"]: PaymentStatus(
            PaymentState(row["state"]),
            row["tx_hash"],
            row["block_number"],
            None if row["outcome"] is None else ChainOutcome(row["outcome"]),
            row["note"],
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
                                " WHERE withdrawal_id = $1 AND state = ANY($6::text[])",
                                event.withdrawal_id,
                                updated_ms,
                                event.tx_hash,
                                event.block_number,
                                event.outcome,
                                sources(PaymentState.SETTLED),
                            )
                        elif isinstance(event, WithdrawalRefunded):
                            # Why it waited is over; why somebody rejected it is not.
                            await connection.execute(
                                "UPDATE payments SET note = ''"
                                " WHERE withdrawal_id = $1 AND state != 'rejected'",
                                event.withdrawal_id,
                            )
                            await connection.execute(
                                "UPDATE payments SET state = 'refunded', updated_ms = $2"
                                " WHERE withdrawal_id = $1 AND state = ANY($3::text[])",
                                event.withdrawal_id,
                                updated_ms,
                                sources(PaymentState.REFUNDED),
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

    async def under_way(self) -> list[StoredPayment]:
        """Payments that are signed and not final, oldest first: bounded by what may be in flight at once."""
        rows = await self._pool.fetch(
            f"SELECT {_COLUMNS} FROM payments WHERE chain_id = $1 AND vault = $2"  # noqa: S608
            " AND state IN ('signed', 'broadcast', 'mined') ORDER BY requested_seq LIMIT $3",
            *self._key,
            MAX_OPEN,
        )
        return [_stored(row) for row in rows]

    async def due(self, now_ms: int, limit: int) -> list[StoredPayment]:
        """Payments that are not signed and that it is time to look at, longest due first, at most so many.

        Whoever looks at one and leaves it as it is puts its time off, so that all get their turn.
        """
        rows = await self._pool.fetch(
            f"SELECT {_COLUMNS} FROM payments WHERE chain_id = $1 AND vault = $2"  # noqa: S608
            " AND state IN ('requested', 'review', 'rejected', 'approved') AND not_before_ms <= $3"
            " ORDER BY not_before_ms, requested_seq LIMIT $4",
            *self._key,
            now_ms,
            limit,
        )
        return [_stored(row) for row in rows]

    async def counts(self) -> tuple[int, int]:
        """How many payments are not final, and how many of them wait for a person."""
        row = await self._pool.fetchrow(
            "SELECT (SELECT count(*) FROM payments WHERE chain_id = $1 AND vault = $2"
            " AND state NOT IN ('settled', 'refunded')) AS open_count,"
            " (SELECT count(*) FROM payments WHERE chain_id = $1 AND vault = $2"
            " AND state = 'review') AS review_count",
            *self._key,
        )
        assert row is not None
        return row["open_count"], row["review_count"]

    async def put_off(self, ids: Sequence[str], not_before_ms: int) -> None:
        """Looked at, and nothing to do: not again before a time. What was decided meanwhile stays."""
        await self._pool.execute(
            "UPDATE payments SET not_before_ms = $2 WHERE withdrawal_id = ANY($1::text[])"
            " AND state IN ('requested', 'review', 'rejected', 'approved') AND not_before_ms < $2",
            list(ids),
            not_before_ms,
        )

    async def get(self, withdrawal_id: str) -> StoredPayment | None:
        row = await self._pool.fetchrow(
            f"SELECT {_COLUMNS} FROM payments WHERE withdrawal_id = $1",  # noqa: S608
            withdrawal_id,
        )
        return None if row is None else _stored(row)

    async def of_nonce(self, sender: str, nonce: int) -> list[StoredPayment]:
        """The payments in a transaction of that sender."""
        rows = await self._pool.fetch(
            f"SELECT {_COLUMNS} FROM payments WHERE withdrawal_id = ANY($1::text[])"  # noqa: S608
            " ORDER BY requested_seq",
            [
                row["withdrawal_id"]
                for row in await self._pool.fetch(
                    "SELECT withdrawal_id FROM payment_tries"
                    " WHERE chain_id = $1 AND sender = $2 AND nonce = $3",
                    self._key[0],
                    sender,
                    nonce,
                )
            ],
        )
        return [_stored(row) for row in rows]

    async def last_try(self, withdrawal_id: str) -> tuple[str, int] | None:
        """Sender and nonce of the newest transaction of ours with this payment."""
        row = await self._pool.fetchrow(
            "SELECT sender, nonce FROM payment_tries WHERE withdrawal_id = $1 ORDER BY try DESC LIMIT 1",
            withdrawal_id,
        )
        return None if row is None else (row["sender"], row["nonce"])

    async def approve(self, withdrawal_id: str, approved_ms: int) -> bool:
        """The risk step has no objection; whether the payment was still waiting for its word."""
        return await self._move(
            [withdrawal_id], [PaymentState.REQUESTED], PaymentState.APPROVED, approved_ms=approved_ms
        )

    async def hold(self, withdrawal_id: str, note: str) -> bool:
        """A person has to look at it; whether the payment was still waiting for the risk step's word."""
        return await self._move([withdrawal_id], [PaymentState.REQUESTED], PaymentState.REVIEW, note=note)

    async def wait(self, withdrawal_id: str, note: str) -> None:
        """The risk step will be asked again."""
        await self._pool.execute(
            "UPDATE payments SET note = $2, updated_ms = $3"
            " WHERE withdrawal_id = $1 AND state = 'requested' AND note <> $2",
            withdrawal_id,
            note,
            now_ms(),
        )

    async def sign(
        self, connection: "asyncpg.pool.PoolConnectionProxy", ids: Sequence[str], sender: str, nonce: int
    ) -> bool:
        """In the database transaction that gives the nonce out: these approved payments are signed with it.

        False when one of them is not approved any more: then nothing of it may stand.
        """
        result = await connection.execute(
            "UPDATE payments SET state = 'signed', updated_ms = $2, tx_hash = NULL, block_number = NULL,"
            " block_hash = NULL, outcome = NULL, note = ''"
            " WHERE withdrawal_id = ANY($1::text[]) AND state = ANY($3::text[])",
            list(ids),
            now_ms(),
            sources(PaymentState.SIGNED),
        )
        if result != f"UPDATE {len(ids)}":
            return False
        for withdrawal_id in ids:
            await connection.execute(
                """
                INSERT INTO payment_tries (withdrawal_id, try, chain_id, sender, nonce)
                SELECT $1, 1 + COALESCE(max(try), 0), $2, $3, $4 FROM payment_tries WHERE withdrawal_id = $1
                """,
                withdrawal_id,
                self._key[0],
                sender,
                nonce,
            )
        return True

    async def broadcast(self, ids: Sequence[str]) -> None:
        """The node has the bytes of their transaction."""
        await self._move(ids, [PaymentState.SIGNED], PaymentState.BROADCAST)

    async def unsign(self, ids: Iterable[str]) -> None:
        """Their bytes can never be mined any more: they start again."""
        await self._move(list(ids), [PaymentState.SIGNED, PaymentState.BROADCAST], PaymentState.APPROVED)

    async def unmined(self, withdrawal_id: str, after: PaymentState) -> None:
        """The receipt is gone: under way again if it was ours, else where it was decided that it stands."""
        await self._move([withdrawal_id], [PaymentState.MINED], after)

    async def mined(
        self, withdrawal_id: str, tx_hash: str, block_number: int, block_hash: str, outcome: ChainOutcome
    ) -> None:
        """A transaction with this payment is in a block; or it is in another one than before."""
        await self._pool.execute(
            "UPDATE payments SET state = 'mined', updated_ms = $6, tx_hash = $2, block_number = $3,"
            " block_hash = $4, outcome = $5"
            " WHERE withdrawal_id = $1 AND state = ANY($7::text[])",
            withdrawal_id,
            tx_hash,
            block_number,
            block_hash,
            outcome,
            now_ms(),
            [*sources(PaymentState.MINED), PaymentState.MINED],
        )

    async def postpone(self, withdrawal_id: str, after: PaymentState, not_before_ms: int, note: str) -> None:
        """Where it was decided that it stands, but nothing is signed before a time."""
        assert PaymentState.MINED in sources(after)
        await self._pool.execute(
            "UPDATE payments SET state = $5, updated_ms = $4, not_before_ms = $2, note = $3"
            " WHERE withdrawal_id = $1 AND state IN ('approved', 'mined')",
            withdrawal_id,
            not_before_ms,
            note.replace("\x00", "?")[:MAX_NOTE_CHARS],
            now_ms(),
            after,
        )

    async def _move(
        self,
        ids: Sequence[str],
        before: Sequence[PaymentState],
        after: PaymentState,
        *,
        note: str = "",
        approved_ms: int | None = None,
    ) -> bool:
        """Changes the state of those that are in one of `before`; whether any was."""
        assert set(before) <= set(sources(after))
        result = await self._pool.execute(
            "UPDATE payments SET state = $3, updated_ms = $4, note = $5,"
            " approved_ms = COALESCE($6, approved_ms)"
            " WHERE withdrawal_id = ANY($1::text[]) AND state = ANY($2::text[])",
            list(ids),
            list(before),
            after,
            now_ms(),
            note,
            approved_ms,
        )
        return result != "UPDATE 0"


def _stored(row: asyncpg.Record) -> StoredPayment:
    values = dict(row) | {"state": PaymentState(row["state"])}
    if row["outcome"] is not None:
        values["outcome"] = ChainOutcome(row["outcome"])
    return StoredPayment(**values)
