"""What the exchange owes, from the read tables at one seq: the books of a vault, and each account's part.

Everything is read in one snapshot of the database (REPEATABLE READ), so it is of one seq, the read tables'
own, and the engine neither waits nor notices. An account is owed what it has, available and held, and its
withdrawals in flight: until they are settled the money is still the exchange's to lose. The exchange's own
accounts for fees and for suspended deposits are leaves like others, so that per asset all leaves add up to
exactly what the ledger has in custody.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg

from exchange.chain.books import AssetBook, Books, Outgoing
from exchange.core.accounts import (
    CHAIN_ACCOUNT,
    FEES_ACCOUNT,
    FIRST_USER_ACCOUNT,
    SUSPENSE_ACCOUNT,
    WITHDRAWALS_ACCOUNT,
)
from exchange.projections.cursor import POSTGRES, read_cursor
from exchange.proofs.errors import AccountMissing, ReadTablesDisagree
from exchange.stores.postgres import Connection

ROWS_AT_ONCE = 5_000

EXCHANGE_ACCOUNTS: Final = {FEES_ACCOUNT: "exchange/fees", SUSPENSE_ACCOUNT: "exchange/suspense"}
"""Names in leaves of the exchange's own accounts."""


@dataclass(frozen=True, slots=True)
class Owed:
    """What an account is owed of one asset. Never nothing."""

    account_id: int
    name: str
    atoms: int


def account_name(owner: str, sub_account: int) -> str:
    """How a leaf names an account."""
    return f"{owner}/{sub_account}"


@asynccontextmanager
async def snapshot(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """A connection that sees the database as of one moment."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection


async def read_books(connection: Connection, chain_id: int, vault: str, block_number: int) -> Books:
    """The books of a vault as of the read tables, to be compared at a block.

    Raises ReadTablesDisagree when the withdrawals in flight are not what the ledger has set aside for them.
    """
    seq = await read_cursor(connection, POSTGRES)
    credited = await connection.fetchval(
        "SELECT coalesce(max(number), 0) FROM deposits WHERE chain_id = $1 AND vault = $2", chain_id, vault
    )
    assets = await connection.fetch(
        """
        SELECT a.asset_id, a.symbol, a.token,
            coalesce(-(c.available_atoms + c.held_atoms), 0),
            coalesce(w.available_atoms + w.held_atoms, 0),
            (SELECT coalesce(sum(amount_atoms), 0) FROM withdrawals
                WHERE asset_id = a.asset_id AND status = 'requested')
        FROM assets AS a
        LEFT JOIN balances AS c ON c.asset_id = a.asset_id AND c.account_id = $3
        LEFT JOIN balances AS w ON w.asset_id = a.asset_id AND w.account_id = $4
        WHERE a.chain_id = $1 AND a.vault = $2 AND a.listed ORDER BY a.token COLLATE "C"
        """,
        chain_id,
        vault,
        CHAIN_ACCOUNT,
        WITHDRAWALS_ACCOUNT,
    )
    for _, symbol, _, _, set_aside_atoms, requested_atoms in assets:
        if requested_atoms != set_aside_atoms:
            raise ReadTablesDisagree(symbol, "withdrawals in flight", requested_atoms, set_aside_atoms)
    in_flight = await connection.fetch(
        "SELECT withdrawal_id, asset_id, amount_atoms - fee_atoms FROM withdrawals"
        " WHERE chain_id = $1 AND vault = $2 AND status = 'requested' ORDER BY seq, event_index",
        chain_id,
        vault,
    )
    settled_later = await connection.fetch(
        "SELECT withdrawal_id, asset_id, amount_atoms - fee_atoms FROM withdrawals"
        " WHERE chain_id = $1 AND vault = $2 AND status IN ('paid', 'claimable') AND block_number > $3",
        chain_id,
        vault,
        block_number,
    )
    return Books(
        seq=seq,
        credited=credited,
        assets=tuple(AssetBook(*record[:4]) for record in assets),
        in_flight=tuple(Outgoing(*record) for record in in_flight),
        settled_later=tuple(Outgoing(*record) for record in settled_later),
    )


async def read_owed(connection: Connection, asset_id: int) -> AsyncIterator[list[Owed]]:
    """What every account is owed of an asset, each account once, in no order. Raises AccountMissing."""
    cursor = await connection.cursor(
        """
        SELECT o.account_id, a.owner, a.sub_account, o.atoms
        FROM (
            SELECT account_id, sum(atoms) AS atoms
            FROM (
                SELECT account_id, available_atoms + held_atoms AS atoms FROM balances
                WHERE asset_id = $1 AND account_id <> ALL ($2::BIGINT[])
                UNION ALL
                SELECT account_id, amount_atoms FROM withdrawals WHERE asset_id = $1 AND status = 'requested'
            ) AS part
            GROUP BY account_id HAVING sum(atoms) <> 0
        ) AS o
        LEFT JOIN accounts AS a ON a.account_id = o.account_id
        """,
        asset_id,
        [CHAIN_ACCOUNT, WITHDRAWALS_ACCOUNT],
    )
    while records := await cursor.fetch(ROWS_AT_ONCE):
        yield [_owed(*record) for record in records]


def _owed(account_id: int, owner: str | None, sub_account: int, atoms: int) -> Owed:
    if account_id < FIRST_USER_ACCOUNT and account_id in EXCHANGE_ACCOUNTS:
        return Owed(account_id, EXCHANGE_ACCOUNTS[account_id], atoms)
    if owner is None:
        raise AccountMissing(account_id)
    return Owed(account_id, account_name(owner, sub_account), atoms)
