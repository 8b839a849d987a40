"""Table `operator_requests`: what people ask the engine to do, who asked, and what became of it.

There is no operator's API yet. Whoever may write to the database asks here (`exchange accounts`), and the
exchange's own process takes it up (`inbox`), so every change is a journaled command like any other.

A request that is not taken up soon expires: by then something else may have been decided, by a person or by
what freezes accounts, that it must not undo. All times are the database's, whoever asks on which machine.
"""

from dataclasses import dataclass

import asyncpg

from exchange.core.commands import SetAccountState, SetRateClass
from exchange.core.words import AccountState, RateClass

SQL_TIMEOUT_S = 10.0
SET_ACCOUNT_STATE = "set_account_state"
SET_RATE_CLASS = "set_rate_class"
MAX_AGE_S = 60.0
"""Seconds after which a request that waits is not done any more."""
EXPIRED = "expired"
"""Refusal of a request that waited for too long. It did not take effect."""
INTERRUPTED = "interrupted"
"""Refusal of a request that was under way when the process ended: whether it took effect is unknown."""

_NOW_MS = "(1000 * extract(epoch FROM clock_timestamp()))::BIGINT"
_MAX_AGE_MS = int(1_000 * MAX_AGE_S)


@dataclass(frozen=True, slots=True)
class OperatorRequest:
    """One request that waits, and the command that does what it asks for."""

    id: int
    command: SetAccountState | SetRateClass
    requested_by: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request: the seq of its command, and why it was refused, if it was."""

    seq: int | None
    refusal: str | None


class OperatorRequests:
    """The requests of a deployment."""

    def __init__(self, connection: "asyncpg.Pool | asyncpg.Connection") -> None:
        self._connection = connection

    async def add(self, account_id: int, state: AccountState, by: str, note: str) -> int:
        """Asks for an account's state; the request's id. `by` and `note` may not be empty."""
        request_id: int = await self._connection.fetchval(
            "INSERT INTO operator_requests (action, account_id, state, requested_by, note, requested_ms)"  # noqa: S608
            f" VALUES ($1, $2, $3, $4, $5, {_NOW_MS}) RETURNING id",
            SET_ACCOUNT_STATE,
            account_id,
            state,
            by,
            note,
            timeout=SQL_TIMEOUT_S,
        )
        return request_id

    async def add_rate_class(self, owner: str, rate_class: RateClass, by: str, note: str) -> int:
        """Asks for an owner's rate class; the request's id. `by` and `note` may not be empty."""
        request_id: int = await self._connection.fetchval(
            "INSERT INTO operator_requests (action, owner, rate_class, requested_by, note, requested_ms)"  # noqa: S608
            f" VALUES ($1, $2, $3, $4, $5, {_NOW_MS}) RETURNING id",
            SET_RATE_CLASS,
            owner,
            rate_class,
            by,
            note,
            timeout=SQL_TIMEOUT_S,
        )
        return request_id

    async def answer(self, request_id: int) -> Answer | None:
        """What became of a request, None while it waits."""
        row = await self._connection.fetchrow(
            "SELECT seq, refusal FROM operator_requests WHERE id = $1 AND done_ms IS NOT NULL",
            request_id,
            timeout=SQL_TIMEOUT_S,
        )
        return None if row is None else Answer(row["seq"], row["refusal"])

    # ---- for the one process that takes them up

    async def interrupt(self) -> int:
        """Ends those that were taken and whose outcome nobody noted; how many."""
        rows = await self._connection.fetch(
            f"UPDATE operator_requests SET done_ms = {_NOW_MS}, refusal = $1"  # noqa: S608
            " WHERE taken_ms IS NOT NULL AND done_ms IS NULL RETURNING id",
            INTERRUPTED,
            timeout=SQL_TIMEOUT_S,
        )
        return len(rows)

    async def expire(self) -> int:
        """Ends those that waited for too long; how many."""
        rows = await self._connection.fetch(
            f"UPDATE operator_requests SET taken_ms = {_NOW_MS}, done_ms = {_NOW_MS}, refusal = $1"  # noqa: S608
            f" WHERE taken_ms IS NULL AND done_ms IS NULL AND requested_ms <= {_NOW_MS} - $2 RETURNING id",
            EXPIRED,
            _MAX_AGE_MS,
            timeout=SQL_TIMEOUT_S,
        )
        return len(rows)

    async def take(self) -> OperatorRequest | None:
        """The oldest that waits and has not expired, from now on taken; None when there is none."""
        row = await self._connection.fetchrow(
            f"UPDATE operator_requests SET taken_ms = {_NOW_MS} WHERE id = ("  # noqa: S608
            " SELECT id FROM operator_requests WHERE taken_ms IS NULL AND done_ms IS NULL"
            f" AND requested_ms > {_NOW_MS} - $1 ORDER BY id LIMIT 1)"
            " AND taken_ms IS NULL RETURNING id, action, account_id, state, owner, rate_class, requested_by",
            _MAX_AGE_MS,
            timeout=SQL_TIMEOUT_S,
        )
        if row is None:
            return None
        command: SetAccountState | SetRateClass
        if row["action"] == SET_RATE_CLASS:
            command = SetRateClass(row["owner"], RateClass(row["rate_class"]))
        else:
            command = SetAccountState(row["account_id"], AccountState(row["state"]))
        return OperatorRequest(row["id"], command, row["requested_by"])

    async def done(self, request_id: int, answer: Answer) -> None:
        """Notes what became of a taken one."""
        await self._connection.execute(
            f"UPDATE operator_requests SET done_ms = {_NOW_MS}, seq = $2, refusal = $3 WHERE id = $1",  # noqa: S608
            request_id,
            answer.seq,
            answer.refusal,
            timeout=SQL_TIMEOUT_S,
        )
