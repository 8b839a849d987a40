"""A database with payments under way, from before the outbox: nothing of it is lost by the migration."""

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from exchange.chain.fees import GasFee
from exchange.chain.nonces import Attempt, Call, NonceRows, OpenTransaction, Purpose
from exchange.chain.payment_rows import PaymentRows, payment_status
from exchange.stores.postgres import MIGRATIONS, EmbeddedPostgres, migrate, open_pool

CHAIN_ID = 31337
VAULT, SENDER = "0x" + "fa" * 20, "0x" + "5e" * 20
FIRST, SECOND = "0x" + "01" * 32, "0x" + "02" * 32


def tx(number: int) -> str:
    return f"0x{number:064x}"


@pytest.fixture
async def old_pool(postgres_server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[asyncpg.Pool]:
    """A database of version 0006."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    for version in (folder / "versions").glob("*.py"):
        if int(version.name[:4]) > 6:
            version.unlink()
    connection = await asyncpg.connect(postgres_server.url)
    await connection.execute("CREATE DATABASE before_outbox")
    await migrate(postgres_server.database_url("before_outbox"), folder)
    pool = await open_pool(postgres_server.database_url("before_outbox"))
    yield pool
    await pool.close()
    await connection.execute("DROP DATABASE before_outbox")
    await connection.close()


async def fill(pool: asyncpg.Pool) -> None:
    """One payment settled by its second try, one broadcast with two attempts."""
    for withdrawal_id, seq, state in ((FIRST, 5, "settled"), (SECOND, 6, "broadcast")):
        await pool.execute(
            "INSERT INTO payments (withdrawal_id, chain_id, vault, requested_seq, account_id, asset_id,"
            " owner, token, amount_atoms, fee_atoms, destination, deadline_s, state, updated_ms)"
            " VALUES ($1, $2, $3, $4, 1000, 1, $5, $5, 100, 1, $5, 2000000000, $6, 7)",
            withdrawal_id, CHAIN_ID, VAULT, seq, "0x" + "aa" * 20, state,
        )  # fmt: skip
    for nonce, withdrawal_id, number, done in (
        (0, FIRST, 1, True),
        (1, FIRST, 2, True),
        (2, SECOND, 1, False),
    ):
        await pool.execute(
            "INSERT INTO payment_transactions"
            " (chain_id, sender, nonce, withdrawal_id, try, data, gas, done, broadcast_ms)"
            " VALUES ($1, $2, $3, $4, $5, $6, 700000, $7, 9)",
            CHAIN_ID, SENDER, nonce, withdrawal_id, number, bytes([nonce]), done,
        )  # fmt: skip
    for number, nonce in ((10, 0), (11, 1), (12, 2), (13, 2)):
        await pool.execute(
            "INSERT INTO payment_attempts VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            tx(number), CHAIN_ID, SENDER, nonce, bytes([number]), 100 + number, 10, number,
        )  # fmt: skip


async def test_transactions_tries_and_attempts_are_all_there_afterwards(
    old_pool: asyncpg.Pool, postgres_server: EmbeddedPostgres
) -> None:
    await fill(old_pool)
    await migrate(postgres_server.database_url("before_outbox"))
    rows, payments = NonceRows(old_pool, CHAIN_ID, SENDER), PaymentRows(old_pool, CHAIN_ID, VAULT)
    assert await rows.open() == [
        OpenTransaction(
            2,
            Call(Purpose.PAYMENTS, VAULT, b"\x02", 700_000),
            9,
            (
                Attempt(tx(12), b"\x0c", GasFee(112, 10), 12),
                Attempt(tx(13), b"\x0d", GasFee(113, 10), 13),
            ),
        )
    ]
    assert await rows.next() == 3
    assert await rows.given_out(0) == [0, 1, 2]
    assert await payments.last_try(FIRST) == (SENDER, 1)
    assert [payment.withdrawal_id for payment in await payments.of_nonce(SENDER, 2)] == [SECOND]
    assert (await payment_status(old_pool, [SECOND]))[SECOND].tx_hash == tx(13)
    tables = await old_pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert not [row for row in tables if re.match("payment_(transactions|attempts)", row["tablename"])]
