"""One real Postgres for the whole drill, and a new migrated database for each world."""

import contextlib
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg

from exchange.stores.postgres import EmbeddedPostgres, migrate

TEMPLATE = "migrated"
IN_MEMORY = Path("/dev/shm")
WANTED_BYTES = 2 * 1024**3


def fastest_folder() -> str | None:
    """Where temporary folders are best: in memory when there is room. The settings stay durable ones."""
    if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > WANTED_BYTES:
        return str(IN_MEMORY)
    return None


class Databases:
    """The databases of a server that has a migrated one to copy."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server

    async def new(self) -> str:
        """URL of a new database with all tables, empty."""
        name = f"drill_{secrets.token_hex(8)}"
        await _administer(self._server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return self._server.database_url(name)


@contextlib.asynccontextmanager
async def open_databases(folder: Path) -> AsyncIterator[Databases]:
    """Runs a server as long as the body runs; its data goes with the folder."""
    server = EmbeddedPostgres(
        folder / "postgres", settings={"shared_buffers": "64MB", "max_wal_size": "512MB"}
    )
    await server.start()
    try:
        await _administer(server, f"CREATE DATABASE {TEMPLATE}")
        await migrate(server.database_url(TEMPLATE))
        yield Databases(server)
    finally:
        await server.stop()


async def _administer(server: EmbeddedPostgres, statement: str) -> None:
    connection = await asyncpg.connect(server.url, timeout=10)
    try:
        await connection.execute(statement, timeout=30)
    finally:
        await connection.close(timeout=10)
