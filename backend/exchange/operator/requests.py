"""Table `operator_requests`: what people ask the engine to do, who asked, and what became of it.

There is no operator's API yet. Whoever may write to the database asks here (`exchange accounts`), and the
exchange's own process takes it up (`inbox`), so every change is a journaled command like any other.
"""

import time
from dataclasses import dataclass

import asyncpg

from exchange.core.words import AccountState

SQL_TIMEOUT_S = 10.0
SET_ACCOUNT_STATE = "set_account_state"
INTERRUPTED = "interrupted"
"""Refusal of a request that was under way when the process ended: whether it took effect is unknown."""


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """One request that waits."""

    id: int
    account_id: int
    state: AccountState
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
            """
            INSERT INTO operator_requests (action, account_id, state, requested_by, note, requested_ms)
            VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
            """,
            SET_ACCOUNT_STATE,
            account_id,
            state,
            by,
            note,
            _now_ms(),
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
            "UPDATE operator_requests SET done_ms = $1, refusal = $2"
            " WHERE taken_ms IS NOT NULL AND done_ms IS NULL RETURNING id",
            _now_ms(),
            INTERRUPTED,
            timeout=SQL_TIMEOUT_S,
        )
        return len(rows)

    async def take(self) -> AccountRequest | None:
        """The oldest that waits, from now on taken; None when there is none."""
        row = await self._connection.fetchrow(
            """
            UPDATE operator_requests SET taken_ms = $1 WHERE id = (
                SELECT id FROM operator_requests WHERE taken_ms IS NULL AND done_ms IS NULL
                ORDER BY id LIMIT 1)
            AND taken_ms IS NULL
            RETURNING id, account_id, state, requested_by
            """,
            _now_ms(),
            timeout=SQL_TIMEOUT_S,
        )
        if row is None:
            return None
        return AccountRequest(row["id"], row["account_id"], AccountState(row["state"]), row["requested_by"])

    async def done(self, request_id: int, answer: Answer) -> None:
        """Notes what became of a taken one."""
        await self._connection.execute(
            "UPDATE operator_requests SET done_ms = $2, seq = $3, refusal = $4 WHERE id = $1",
            request_id,
            _now_ms(),
            answer.seq,
            answer.refusal,
            timeout=SQL_TIMEOUT_S,
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
