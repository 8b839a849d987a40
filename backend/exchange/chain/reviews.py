"""Withdrawals that wait for a person: the queue, and what is decided about them.

A decision only moves the payment on in its life cycle (`life_cycle`); who made it is kept with it. The
worker takes it up in its next pass and still checks everything else. A rejected withdrawal is never signed
and comes back to its owner after its deadline, as one does that nobody decided about in time.
"""

import asyncio
from dataclasses import dataclass

import asyncpg

from exchange.chain.errors import NotInReview
from exchange.chain.life_cycle import PaymentState, sources
from exchange.chain.payment_rows import now_ms

SQL_TIMEOUT_S = 10.0
MAX_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class WaitingPayment:
    """One withdrawal in review. `reason` is the risk step's; `amount_atoms` is before the fee."""

    withdrawal_id: str
    owner: str
    asset_id: int
    amount_atoms: int
    destination: str
    deadline_s: int
    reason: str
    updated_ms: int


class Reviews:
    """The queue of all vaults of a deployment. Any number of people may decide at once."""

    def __init__(self, connection: "asyncpg.Pool | asyncpg.Connection") -> None:
        self._connection = connection

    async def waiting(self) -> list[WaitingPayment]:
        """What waits for a decision, nearest deadline first."""
        rows = await self._connection.fetch(
            "SELECT withdrawal_id, owner, asset_id, amount_atoms, destination, deadline_s, note, updated_ms"
            " FROM payments WHERE state = 'review' ORDER BY deadline_s, requested_seq LIMIT $1",
            MAX_WAITING,
            timeout=SQL_TIMEOUT_S,
        )
        return [WaitingPayment(*row) for row in rows]

    async def approve(self, withdrawal_id: str, by: str) -> None:
        """Lets it out; from now on it counts against the velocity limits. Raises NotInReview."""
        await self._decide(withdrawal_id, PaymentState.APPROVED, by, "", now_ms())

    async def reject(self, withdrawal_id: str, by: str, note: str) -> None:
        """It will never be signed; its owner is shown the note. Raises NotInReview."""
        await self._decide(withdrawal_id, PaymentState.REJECTED, by, note, None)

    async def _decide(
        self, withdrawal_id: str, after: PaymentState, by: str, note: str, approved_ms: int | None
    ) -> None:
        assert by
        assert PaymentState.REVIEW in sources(after)
        async with asyncio.timeout(SQL_TIMEOUT_S):
            result = await self._connection.execute(
                "UPDATE payments SET state = $2, reviewed_by = $3, note = $4, updated_ms = $5,"
                " approved_ms = $6, not_before_ms = 0 WHERE withdrawal_id = $1 AND state = 'review'",
                withdrawal_id,
                after,
                by,
                note,
                now_ms(),
                approved_ms,
            )
        if result != "UPDATE 1":
            raise NotInReview(withdrawal_id)
