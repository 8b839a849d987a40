"""Table `balances`: what every account has, available and held, by asset."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import asyncpg

from exchange.core.accounts import Balance
from exchange.projections.page import Page, read_all
from exchange.stores.postgres import Connection

BalanceKey = tuple[int, int]
"""(account id, asset id)"""


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """Atoms of one asset in one account."""

    account_id: int
    asset_id: int
    available_atoms: int
    held_atoms: int
    updated_seq: int


async def balances_of_account(pool: asyncpg.Pool, account_id: int) -> Page[BalanceRow]:
    """All balances that the account ever had, zeros included, the highest asset id first."""
    return await read_all(pool, BalanceRow, "balances", [("account_id = {}", account_id)], key=("asset_id",))


async def load_balances(connection: Connection, keys: Collection[BalanceKey]) -> dict[BalanceKey, Balance]:
    """The stored balances of the keys, new zeros for those that are not there yet."""
    balances = {key: Balance() for key in keys}
    records = await connection.fetch(
        """
        SELECT b.account_id, b.asset_id, b.available_atoms, b.held_atoms
        FROM unnest($1::BIGINT[], $2::BIGINT[]) AS k (account_id, asset_id)
        JOIN balances AS b ON b.account_id = k.account_id AND b.asset_id = k.asset_id
        """,
        [account_id for account_id, _ in keys],
        [asset_id for _, asset_id in keys],
    )
    for account_id, asset_id, available_atoms, held_atoms in records:
        balances[account_id, asset_id] = Balance(available_atoms, held_atoms)
    return balances


async def store_balances(
    connection: Connection, balances: Mapping[BalanceKey, Balance], seqs: Mapping[BalanceKey, int]
) -> None:
    """Writes the balances, each as of the seq of its last movement."""
    await connection.execute(
        """
        INSERT INTO balances (account_id, asset_id, available_atoms, held_atoms, updated_seq)
        SELECT n.account_id, n.asset_id, n.available_atoms, n.held_atoms, n.updated_seq
        FROM unnest($1::BIGINT[], $2::BIGINT[], $3::NUMERIC[], $4::NUMERIC[], $5::BIGINT[])
            AS n (account_id, asset_id, available_atoms, held_atoms, updated_seq)
        ON CONFLICT (account_id, asset_id) DO UPDATE SET
            available_atoms = EXCLUDED.available_atoms,
            held_atoms = EXCLUDED.held_atoms,
            updated_seq = EXCLUDED.updated_seq
        """,
        [account_id for account_id, _ in balances],
        [asset_id for _, asset_id in balances],
        [balance.available_atoms for balance in balances.values()],
        [balance.held_atoms for balance in balances.values()],
        [seqs[key] for key in balances],
    )
