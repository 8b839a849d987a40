"""What the books need of the tables `payments` and `payment_tries`: what is open, and what ended lately."""

from dataclasses import dataclass

import asyncpg

from exchange.chain.life_cycle import PaymentState
from exchange.chain.payment_rows import ChainOutcome

_MADE = (ChainOutcome.PAID, ChainOutcome.CLAIMABLE)

_SELECT = (
    "SELECT p.withdrawal_id, p.asset_id, p.amount_atoms - p.fee_atoms AS amount_atoms, p.state,"
    " p.block_number, p.outcome,"
    " EXISTS (SELECT FROM payment_tries t WHERE t.withdrawal_id = p.withdrawal_id) AS was_signed"
    " FROM payments p WHERE"
)


@dataclass(frozen=True, slots=True)
class BookedPayment:
    """A withdrawal as stored. `amount_atoms` is what the vault pays, the fee taken off."""

    withdrawal_id: str
    asset_id: int
    amount_atoms: int
    state: PaymentState
    block_number: int | None
    outcome: ChainOutcome | None
    was_signed: bool

    @property
    def may_be_made(self) -> bool:
        """Whether the vault may have made it, as far as stored: else only by bytes that we forgot."""
        return self.was_signed or self.state is PaymentState.MINED

    def made_after(self, block_number: int) -> bool:
        """Whether the vault made it in a later block, as far as stored."""
        return (
            self.state in (PaymentState.MINED, PaymentState.SETTLED)
            and self.outcome in _MADE
            and self.block_number is not None
            and self.block_number > block_number
        )


class BookedPayments:
    """The payments of one vault: always all of them, for sums are made of them."""

    def __init__(self, pool: asyncpg.Pool, chain_id: int, vault: str) -> None:
        self._pool = pool
        self._key = (chain_id, vault)

    async def open(self) -> list[BookedPayment]:
        """Payments that are not final."""
        rows = await self._pool.fetch(
            f"{_SELECT} p.chain_id = $1 AND p.vault = $2 AND state NOT IN ('settled', 'refunded')", *self._key
        )
        return list(map(_booked, rows))

    async def settled_after(self, block_number: int) -> list[BookedPayment]:
        """Payments that are settled by a block after this one."""
        rows = await self._pool.fetch(
            f"{_SELECT} p.chain_id = $1 AND p.vault = $2 AND state = 'settled' AND block_number > $3",
            *self._key,
            block_number,
        )
        return list(map(_booked, rows))

    async def get(self, withdrawal_id: str) -> BookedPayment | None:
        row = await self._pool.fetchrow(f"{_SELECT} p.withdrawal_id = $1", withdrawal_id)
        return None if row is None else _booked(row)


def _booked(row: asyncpg.Record) -> BookedPayment:
    values = dict(row) | {"state": PaymentState(row["state"])}
    if row["outcome"] is not None:
        values["outcome"] = ChainOutcome(row["outcome"])
    return BookedPayment(**values)
