"""The tables `sent_transactions`, `sent_attempts` and `sender_epochs`: a key's nonces and all it ever signed.

The database owns the nonces. One is given out together with the first signed bytes, in the transaction that
also changes whatever the bytes are for: there is never a nonce without bytes to fill it. A transaction stays
open until one of its attempts is confirmed, whatever became of its purpose: for as long as its nonce is
unused all later ones wait.

One writer per key: `claim` raises the key's epoch to the engine's, and every later write of an older engine
is refused (SenderTaken), in the same database transaction as the write itself.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import asyncpg

from exchange.chain.errors import SenderTaken
from exchange.chain.fees import GasFee

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy
    Also = Callable[[Connection, int], Awaitable[bool]]
    """Writes what goes with a nonce, in the same database transaction; False takes all of it back."""

ACQUIRE_TIMEOUT_S = 10.0


class Purpose(StrEnum):
    """What a transaction is for."""

    PAYMENTS = "payments"
    SWEEP = "sweep"
    BALANCE_ROOT = "balance_root"
    DEAD_NONCE = "dead_nonce"
    """Nothing, from the start: it fills a nonce whose transaction is lost."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a contract, without value; `gas` is its limit."""

    purpose: Purpose
    target: str
    data: bytes
    gas: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """Signed bytes. All attempts of a transaction have its nonce; they differ in their fee, and an attempt
    that `cancels` is a transfer of nothing to oneself instead of the call.
    """

    tx_hash: str
    raw: bytes
    fee: GasFee
    signed_ms: int
    cancels: bool = False


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A nonce that is not known to be used for good.

    `attempts` is never empty, oldest first: in the order of their fees, which only ever rise; clocks may not.
    """

    nonce: int
    call: Call
    broadcast_ms: int | None
    attempts: tuple[Attempt, ...]

    @property
    def is_cancelled(self) -> bool:
        """Whether the newest bytes do nothing. Older ones may be mined all the same."""
        return self.attempts[-1].cancels


class _Refused(Exception):
    """Rolls back."""


class NonceRows:
    """The rows of one sender."""

    def __init__(self, pool: asyncpg.Pool, chain_id: int, sender: str) -> None:
        self._pool = pool
        self._key = (chain_id, sender)
        self._epoch = 0

    async def claim(self, engine_epoch: int | None) -> None:
        """Makes this the key's only writer.

        With the engine's epoch, that is the key's too: an engine that was replaced before it got here can not
        take the key from its successor. Without one, whoever claims last has it. Raises SenderTaken.
        """
        if engine_epoch is None:
            self._epoch = await self._pool.fetchval(
                "INSERT INTO sender_epochs (chain_id, sender, epoch) VALUES ($1, $2, 1) ON CONFLICT"
                " (chain_id, sender) DO UPDATE SET epoch = sender_epochs.epoch + 1 RETURNING epoch",
                *self._key,
            )
            return
        self._epoch = engine_epoch
        await self._pool.execute(
            "INSERT INTO sender_epochs (chain_id, sender, epoch) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            *self._key,
            engine_epoch,
        )
        status = await self._pool.execute(
            "UPDATE sender_epochs SET epoch = $3 WHERE chain_id = $1 AND sender = $2 AND epoch <= $3",
            *self._key,
            engine_epoch,
        )
        if status != "UPDATE 1":
            raise SenderTaken(self._key[1], engine_epoch)

    @asynccontextmanager
    async def _writing(self) -> "AsyncIterator[Connection]":
        """A transaction that holds the key's row, so that no other writer gets in between."""
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            status = await connection.execute(
                "UPDATE sender_epochs SET epoch = epoch WHERE chain_id = $1 AND sender = $2 AND epoch = $3",
                *self._key,
                self._epoch,
            )
            if status != "UPDATE 1":
                raise SenderTaken(self._key[1], self._epoch)
            yield connection

    # ---- reading

    async def next(self) -> int:
        """The lowest nonce above all that were given out, 0 when none was."""
        highest: int | None = await self._pool.fetchval(
            "SELECT max(nonce) FROM sent_transactions WHERE chain_id = $1 AND sender = $2", *self._key
        )
        return 0 if highest is None else highest + 1

    async def given_out(self, first: int) -> list[int]:
        """The nonces from this one on that were given out."""
        rows = await self._pool.fetch(
            "SELECT nonce FROM sent_transactions WHERE chain_id = $1 AND sender = $2 AND nonce >= $3"
            " ORDER BY nonce",
            *self._key,
            first,
        )
        return [row["nonce"] for row in rows]

    async def open(self) -> list[OpenTransaction]:
        """Open transactions, lowest nonce first."""
        rows = await self._pool.fetch(
            """
            SELECT t.nonce, t.purpose, t.target, t.data, t.gas, t.broadcast_ms,
                a.tx_hash, a.raw, a.max_fee_wei, a.priority_fee_wei, a.signed_ms, a.cancels
            FROM sent_transactions t JOIN sent_attempts a USING (chain_id, sender, nonce)
            WHERE t.chain_id = $1 AND t.sender = $2 AND NOT t.done
            ORDER BY t.nonce, a.max_fee_wei
            """,
            *self._key,
        )
        found: dict[int, OpenTransaction] = {}
        for nonce, purpose, target, data, gas, broadcast_ms, tx_hash, raw, *fee, signed_ms, cancels in rows:
            attempt = Attempt(tx_hash, raw, GasFee(*fee), signed_ms, cancels)
            before = found[nonce].attempts if nonce in found else ()
            call = Call(Purpose(purpose), target, data, gas)
            found[nonce] = OpenTransaction(nonce, call, broadcast_ms, (*before, attempt))
        return list(found.values())

    # ---- writing

    async def record(
        self,
        nonce: int,
        call: Call,
        attempt: Attempt,
        also: "Also | None" = None,
    ) -> bool:
        """Gives the nonce out, with its first bytes. `also` writes what goes with it, or nothing is written.

        False when `also` said so. Raises SenderTaken, asyncpg.UniqueViolationError when the nonce is taken.
        """
        try:
            async with self._writing() as connection:
                await connection.execute(
                    "INSERT INTO sent_transactions (chain_id, sender, nonce, purpose, target, data, gas)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    *self._key,
                    nonce,
                    call.purpose,
                    call.target,
                    call.data,
                    call.gas,
                )
                await self._insert(connection, nonce, attempt)
                if also is not None and not await also(connection, nonce):
                    raise _Refused  # noqa: TRY301 - what rolls back
        except _Refused:
            return False
        return True

    async def add_attempt(self, nonce: int, attempt: Attempt) -> None:
        """Stores a replacement, before it is sent. Raises SenderTaken."""
        async with self._writing() as connection:
            await self._insert(connection, nonce, attempt)

    async def _insert(self, connection: "Connection", nonce: int, attempt: Attempt) -> None:
        await connection.execute(
            """
            INSERT INTO sent_attempts
                (tx_hash, chain_id, sender, nonce, raw, max_fee_wei, priority_fee_wei, signed_ms, cancels)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            attempt.tx_hash,
            *self._key,
            nonce,
            attempt.raw,
            attempt.fee.max_fee_wei,
            attempt.fee.priority_fee_wei,
            attempt.signed_ms,
            attempt.cancels,
        )

    async def broadcast(self, nonce: int, at_ms: int) -> None:
        """The node has the newest attempt."""
        await self._pool.execute(
            "UPDATE sent_transactions SET broadcast_ms = $4"
            " WHERE chain_id = $1 AND sender = $2 AND nonce = $3",
            *self._key,
            nonce,
            at_ms,
        )

    async def done(self, nonce: int) -> None:
        """The nonce is used for good, by an attempt of ours or by something else."""
        await self._pool.execute(
            "UPDATE sent_transactions SET done = TRUE WHERE chain_id = $1 AND sender = $2 AND nonce = $3",
            *self._key,
            nonce,
        )

    async def reopen(self, nonce: int) -> None:
        """The nonce is not used any more, to be sent again at once: the receipt is gone."""
        await self._pool.execute(
            "UPDATE sent_transactions SET done = FALSE, broadcast_ms = NULL"
            " WHERE chain_id = $1 AND sender = $2 AND nonce = $3",
            *self._key,
            nonce,
        )

    async def reopen_from(self, first: int, last: int) -> int:
        """Opens what is not on the chain (any more), to be sent again at once; how many.

        The node's pool may have forgotten all of it while nobody looked.
        """
        rows = await self._pool.fetch(
            "UPDATE sent_transactions SET done = FALSE, broadcast_ms = NULL"
            " WHERE chain_id = $1 AND sender = $2 AND nonce >= $3 AND nonce <= $4 RETURNING nonce",
            *self._key,
            first,
            last,
        )
        return len(rows)
