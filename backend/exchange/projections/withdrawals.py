"""Table `withdrawals`: what was asked for and how the ledger's side of it ended.

The chain's side of a withdrawal in flight (signed, broadcast, mined) is not in the journal and so not here.
"""

from dataclasses import dataclass

import asyncpg

from exchange.core.events import Event, WithdrawalRefunded, WithdrawalRequested, WithdrawalSettled
from exchange.projections.errors import ReadTablesBroken
from exchange.projections.page import Found, Selection, column_names, read_one
from exchange.projections.place import Place
from exchange.stores.postgres import Connection


@dataclass(frozen=True, slots=True)
class WithdrawalRow:
    """A withdrawal: requested, then paid, claimable or refunded.

    `tx_hash` is that of the settled payment; `block_number` of the settlement or of what proved the refund.
    `amount_atoms` is gross: the vault pays `amount_atoms - fee_atoms`.
    """

    withdrawal_id: str
    account_id: int
    asset_id: int
    amount_atoms: int
    fee_atoms: int
    destination: str
    nonce: int
    deadline_s: int
    owner: str
    chain_id: int
    vault: str
    token: str
    status: str
    tx_hash: str | None
    block_number: int | None
    seq: int
    event_index: int
    time_ns: int
    updated_seq: int
    updated_ns: int


async def withdrawal_of_owner(pool: asyncpg.Pool, owner: str, withdrawal_id: str) -> Found[WithdrawalRow]:
    """A withdrawal from any of the owner's accounts; nothing for one of somebody else."""
    conditions = [("withdrawal_id = {}", withdrawal_id), ("owner = {}", owner)]
    return await read_one(pool, WithdrawalRow, "withdrawals", conditions)


def withdrawals_of(account_id: int, *, asset_id: int | None = None) -> Selection[WithdrawalRow]:
    """The account's withdrawals. Key: (seq, event_index)."""
    return Selection(
        WithdrawalRow,
        "withdrawals",
        ("seq", "event_index"),
        "time_ns",
        account_id,
        [("asset_id = {}", asset_id)],
        changing="status = 'requested'",
    )


class WithdrawalChanges:
    """The requests and the ends of withdrawals in some batches of the journal."""

    def __init__(self) -> None:
        self._requested: list[tuple[object, ...]] = []
        self._ended: list[tuple[str, str, str | None, int, int, int]] = []

    def take(self, event: Event, place: Place) -> None:
        match event:
            case WithdrawalRequested():
                self._requested.append(_new_row(event, place))
            case WithdrawalSettled(withdrawal_id, tx_hash=tx_hash, block_number=block, outcome=outcome):
                self._ended.append((withdrawal_id, outcome, tx_hash, block, place.seq, place.time_ns))
            case WithdrawalRefunded(withdrawal_id, block_number=block):
                self._ended.append((withdrawal_id, "refunded", None, block, place.seq, place.time_ns))
            case _:
                pass

    async def write(self, connection: Connection) -> None:
        if self._requested:
            await connection.copy_records_to_table(
                "withdrawals", columns=column_names(WithdrawalRow), records=self._requested
            )
        if not self._ended:
            return
        status = await connection.execute(
            """
            UPDATE withdrawals SET
                status = e.status,
                tx_hash = e.tx_hash,
                block_number = e.block_number,
                updated_seq = e.seq,
                updated_ns = e.time_ns
            FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[])
                AS e (withdrawal_id, status, tx_hash, block_number, seq, time_ns)
            WHERE withdrawals.withdrawal_id = e.withdrawal_id AND withdrawals.status = 'requested'
            """,
            *(list(column) for column in zip(*self._ended, strict=True)),
        )
        if status != f"UPDATE {len(self._ended)}":
            raise ReadTablesBroken(f"{len(self._ended)} withdrawals end, but the table answers {status}")


def _new_row(event: WithdrawalRequested, place: Place) -> tuple[object, ...]:
    return (
        event.withdrawal_id,
        event.account_id,
        event.asset_id,
        event.amount_atoms,
        event.fee_atoms,
        event.destination,
        event.nonce,
        event.deadline_s,
        event.owner,
        event.chain_id,
        event.vault,
        event.token,
        "requested",
        None,
        None,
        *place,
        place.seq,
        place.time_ns,
    )
