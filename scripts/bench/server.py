"""A Postgres of the benchmark's own: durable, as the devnet's, on the disk of the temporary folder."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from exchange.stores.postgres import EmbeddedPostgres, migrate


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
