"""One real Postgres for the whole drill, and a new migrated database for each world."""

import itertools
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

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
    """The server; its data goes with the folder."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(
            folder / "postgres", settings={"shared_buffers": "64MB", "max_wal_size": "512MB"}
        )
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> Self:
        await self._server.start()
        try:
            await self._administer(f"CREATE DATABASE {TEMPLATE}")
            await migrate(self._server.database_url(TEMPLATE))
        except BaseException:
            await self._server.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop()

    async def new(self) -> str:
        """URL of a new database with all tables, empty."""
        name = f"drill_{next(self._numbers)}"
        await self._administer(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return self._server.database_url(name)

    async def _administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self._server.url, timeout=10)
        try:
            await connection.execute(statement, timeout=30)
        finally:
            await connection.close(timeout=10)
