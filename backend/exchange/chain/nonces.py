"""The tables `payment_transactions` and `payment_attempts`: the sender's nonces and all bytes ever signed.

The database owns the nonces. One is given to each try of a payment, together with the first signed bytes,
in the transaction that makes the payment `signed`: there is never a nonce without bytes to fill it. A
transaction stays open until one of its attempts is confirmed, also when its payment has ended otherwise,
for as long as its nonce is unused all later ones wait.
"""

from dataclasses import dataclass

import asyncpg

from exchange.chain.fees import GasFee
from exchange.chain.payment_rows import ACQUIRE_TIMEOUT_S, now_ms


@dataclass(frozen=True, slots=True)
class Attempt:
    """Signed bytes. All attempts of a transaction have its nonce and differ in their fee only."""

    tx_hash: str
    raw: bytes
    fee: GasFee
    signed_ms: int


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A nonce that is not known to be used for good. `attempts` is never empty, oldest first."""

    nonce: int
    withdrawal_id: str
    data: bytes
    gas: int
    broadcast_ms: int | None
    attempts: tuple[Attempt, ...]


class NonceRows:
    """The rows of one sender."""

    def __init__(self, pool: asyncpg.Pool, chain_id: int, sender: str) -> None:
        self._pool = pool
        self._key = (chain_id, sender)

    async def next(self) -> int:
        """The lowest nonce above all that were given out, 0 when none was."""
        highest: int | None = await self._pool.fetchval(
            "SELECT max(nonce) FROM payment_transactions WHERE chain_id = $1 AND sender = $2", *self._key
        )
        return 0 if highest is None else highest + 1

    async def count_from(self, nonce: int) -> int:
        """How many nonces from this one on were given out."""
        count: int = await self._pool.fetchval(
            "SELECT count(*) FROM payment_transactions WHERE chain_id = $1 AND sender = $2 AND nonce >= $3",
            *self._key,
            nonce,
        )
        return count

    async def reopen_from(self, nonce: int) -> int:
        """Opens what is not on the chain (any more), to be sent again at once; how many.

        The node's pool may have forgotten all of it while nobody looked.
        """
        rows = await self._pool.fetch(
            "UPDATE payment_transactions SET done = FALSE, broadcast_ms = NULL"
            " WHERE chain_id = $1 AND sender = $2 AND nonce >= $3 RETURNING nonce",
            *self._key,
            nonce,
        )
        return len(rows)

    async def open(self) -> list[OpenTransaction]:
        """Open transactions, lowest nonce first."""
        rows = await self._pool.fetch(
            """
            SELECT t.nonce, t.withdrawal_id, t.data, t.gas, t.broadcast_ms,
                a.tx_hash, a.raw, a.max_fee_wei, a.priority_fee_wei, a.signed_ms
            FROM payment_transactions t JOIN payment_attempts a USING (chain_id, sender, nonce)
            WHERE t.chain_id = $1 AND t.sender = $2 AND NOT t.done
            ORDER BY t.nonce, a.signed_ms, a.max_fee_wei
            """,
            *self._key,
        )
        found: dict[int, OpenTransaction] = {}
        for (
            nonce,
            withdrawal_id,
            data,
            gas,
            broadcast_ms,
            tx_hash,
            raw,
            max_fee,
            priority_fee,
            signed_ms,
        ) in rows:
            attempt = Attempt(tx_hash, raw, GasFee(max_fee, priority_fee), signed_ms)
            before = found[nonce].attempts if nonce in found else ()
            found[nonce] = OpenTransaction(nonce, withdrawal_id, data, gas, broadcast_ms, (*before, attempt))
        return list(found.values())

    async def record(self, nonce: int, withdrawal_id: str, data: bytes, gas: int, attempt: Attempt) -> bool:
        """Gives the nonce to the payment's next try and makes the payment `signed`.

        False, with nothing written, when the payment is not `approved` any more. Raises
        asyncpg.UniqueViolationError when the nonce is taken.
        """
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            result = await connection.execute(
                "UPDATE payments SET state = 'signed', updated_ms = $2, tx_hash = $3, block_number = NULL,"
                " block_hash = NULL, outcome = NULL, note = ''"
                " WHERE withdrawal_id = $1 AND state = 'approved'",
                withdrawal_id,
                now_ms(),
                attempt.tx_hash,
            )
            if result != "UPDATE 1":
                return False
            await connection.execute(
                """
                INSERT INTO payment_transactions (chain_id, sender, nonce, withdrawal_id, try, data, gas)
                SELECT $1, $2, $3, $4, 1 + COALESCE(max(try), 0), $5, $6
                FROM payment_transactions WHERE withdrawal_id = $4
                """,
                *self._key,
                nonce,
                withdrawal_id,
                data,
                gas,
            )
            await self._insert(connection, nonce, attempt)
        return True

    async def add_attempt(self, transaction: OpenTransaction, attempt: Attempt) -> None:
        """Stores a replacement, before it is sent."""
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            await self._insert(connection, transaction.nonce, attempt)
            await connection.execute(
                "UPDATE payments SET tx_hash = $2, updated_ms = $3"
                " WHERE withdrawal_id = $1 AND state IN ('signed', 'broadcast')",
                transaction.withdrawal_id,
                attempt.tx_hash,
                now_ms(),
            )

    async def _insert(
        self, connection: "asyncpg.pool.PoolConnectionProxy", nonce: int, attempt: Attempt
    ) -> None:
        await connection.execute(
            """
            INSERT INTO payment_attempts
                (tx_hash, chain_id, sender, nonce, raw, max_fee_wei, priority_fee_wei, signed_ms)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            attempt.tx_hash,
            *self._key,
            nonce,
            attempt.raw,
            attempt.fee.max_fee_wei,
            attempt.fee.priority_fee_wei,
            attempt.signed_ms,
        )

    async def broadcast(self, transaction: OpenTransaction, at_ms: int) -> None:
        """The node has the newest attempt."""
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            await connection.execute(
                "UPDATE payment_transactions SET broadcast_ms = $4"
                " WHERE chain_id = $1 AND sender = $2 AND nonce = $3",
                *self._key,
                transaction.nonce,
                at_ms,
            )
            await connection.execute(
                "UPDATE payments SET state = 'broadcast', updated_ms = $2"
                " WHERE withdrawal_id = $1 AND state = 'signed'",
                transaction.withdrawal_id,
                now_ms(),
            )

    async def done(self, nonce: int) -> None:
        """An attempt is confirmed: the nonce is used for good."""
        await self._pool.execute(
            "UPDATE payment_transactions SET done = TRUE WHERE chain_id = $1 AND sender = $2 AND nonce = $3",
            *self._key,
            nonce,
        )

    async def void(self, transaction: OpenTransaction) -> None:
        """Something else used the nonce, these bytes can never be mined: the payment starts again."""
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            await connection.execute(
                "UPDATE payment_transactions SET done = TRUE"
                " WHERE chain_id = $1 AND sender = $2 AND nonce = $3",
                *self._key,
                transaction.nonce,
            )
            await connection.execute(
                "UPDATE payments SET state = 'approved', updated_ms = $2"
                " WHERE withdrawal_id = $1 AND state IN ('signed', 'broadcast')",
                transaction.withdrawal_id,
                now_ms(),
            )

    async def unmined(self, withdrawal_id: str) -> None:
        """The payment's receipt is gone: its last transaction, if there was one of ours, is open again."""
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            reopened = await connection.fetch(
                """
                UPDATE payment_transactions SET done = FALSE, broadcast_ms = NULL
                WHERE withdrawal_id = $1
                    AND try = (SELECT max(try) FROM payment_transactions WHERE withdrawal_id = $1)
                RETURNING nonce
                """,
                withdrawal_id,
            )
            await connection.execute(
                "UPDATE payments SET state = $2, updated_ms = $3"
                " WHERE withdrawal_id = $1 AND state = 'mined'",
                withdrawal_id,
                "broadcast" if reopened else "approved",
                now_ms(),
            )
