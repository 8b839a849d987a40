"""A database with deposits from before the cursors: credited stays credited, and checks stay strict."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from exchange.chain.deposits import pending_deposits
from exchange.stores.postgres import MIGRATIONS, EmbeddedPostgres, migrate, open_pool

VAULT, OTHER_VAULT, OWNER = "0x" + "fa" * 20, "0x" + "fb" * 20, "0x" + "0a" * 20
NAME = "before_deposit_cursors"


@pytest.fixture
async def old_pool(postgres_server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[asyncpg.Pool]:
    """A database of version 0013."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    for version in (folder / "versions").glob("*.py"):
        if int(version.name[:4]) > 13:
            version.unlink()
    connection = await asyncpg.connect(postgres_server.url)
    await connection.execute(f"CREATE DATABASE {NAME}")
    await migrate(postgres_server.database_url(NAME), folder)
    pool = await open_pool(postgres_server.database_url(NAME))
    yield pool
    await pool.close()
    await connection.execute(f"DROP DATABASE {NAME}")
    await connection.close()


async def store(pool: asyncpg.Pool, vault: str, number: int, /, **changes: object) -> None:
    row = {
        "chain_id": 31337, "vault": vault, "number": number, "owner": OWNER, "token": OWNER,
        "amount_atoms": 5, "sender": OWNER, "deposit_hash": bytes(32), "tx_hash": f"0x{number:064x}",
        "log_index": 0, "block_number": number, "block_hash": f"0x{number:064x}", "first_seen_ms": 1,
    } | changes  # fmt: skip
    places = ", ".join(f"${index}" for index, _ in enumerate(row, 1))
    await pool.execute(f"INSERT INTO vault_deposits ({', '.join(row)}) VALUES ({places})", *row.values())


async def test_each_vault_goes_on_where_it_was(
    old_pool: asyncpg.Pool, postgres_server: EmbeddedPostgres
) -> None:
    for number, credited in ((1, True), (2, True), (3, False)):
        await store(old_pool, VAULT, number, credited=credited)
    await store(old_pool, OTHER_VAULT, 1, credited=False)
    await migrate(postgres_server.database_url(NAME))
    cursors = await old_pool.fetch("SELECT vault, credited FROM deposit_cursors ORDER BY vault")
    assert [tuple(row) for row in cursors] == [(VAULT, 2), (OTHER_VAULT, 0)]
    pending = await pending_deposits(old_pool, OWNER)
    assert [(deposit.vault, deposit.number) for deposit in pending] == [(VAULT, 3), (OTHER_VAULT, 1)]


@pytest.mark.parametrize("column", ["vault", "owner", "token", "sender", "tx_hash", "block_hash"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text[:-1] + "g",
        lambda text: text[:-1] + "A",
        lambda text: text[:-1] + "\n",
        lambda text: "0X" + text[2:],
        lambda text: "00" + text[2:],
        lambda text: "",
    ],
    ids=["short", "long", "no digit", "upper case", "line end", "0X", "00", "nothing"],
)
async def test_what_is_no_address_and_no_hash_is_not_stored(pool: asyncpg.Pool, column: str, spoil) -> None:
    right = f"0x{1:064x}" if column.endswith("_hash") else OWNER
    with pytest.raises(asyncpg.CheckViolationError):
        await store(pool, VAULT, 1, **{column: spoil(right)})
    await store(pool, VAULT, 1, **{column: right})
