"""A Postgres of the benchmark's own: durable, as the devnet's, on the disk of the temporary folder."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from scripts.bench.usage import parent

from exchange.stores.postgres import EmbeddedPostgres, migrate, open_connection


@asynccontextmanager
async def temporary_postgres() -> AsyncIterator[str]:
    """URL of an empty migrated database; server and folder are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="exchange-bench-"))
    server = EmbeddedPostgres(folder / "data")
    try:
        await server.start()
        try:
            await migrate(server.url)
            yield server.url
        finally:
            await server.stop()
    finally:
        shutil.rmtree(folder)


async def postmaster(url: str) -> int:
    """The database server's first process, parent of all others of it."""
    connection = await open_connection(url)
    try:
        backend_pid: int = await connection.fetchval("SELECT pg_backend_pid()")
        return parent(backend_pid)
    finally:
        await connection.close()


async def another_database(url: str, name: str) -> str:
    """URL of a new and empty database on the same server, named after the first and `name`."""
    parts = urlsplit(url)
    name = f"{parts.path.removeprefix('/')}_{name}"
    connection = await open_connection(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return urlunsplit(parts._replace(path=f"/{name}"))
