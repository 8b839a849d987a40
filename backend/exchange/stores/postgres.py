"""Postgres: the pool with our types, the check of its promises, the migrations; the embedded server."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from exchange.stores.embedded import EmbeddedPostgres
from exchange.stores.errors import DatabaseUnreachable, NotDurable
from exchange.stores.numeric import use_int_numeric

__all__ = [
    "MIGRATIONS",
    "Connection",
    "EmbeddedPostgres",
    "check_durability",
    "migrate",
    "open_connection",
    "open_pool",
    "reaching_the_database",
]

Connection = asyncpg.Connection | PoolConnectionProxy
"""A connection of our own or one lent by a pool."""

MIGRATIONS = Path(__file__).parents[3] / "migrations"
"""Where the migrations are in a checkout."""

CONNECT_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 30.0
MIGRATION_TIMEOUT_S = 600.0
_MIGRATION_LOCK = 0x65786368  # "exch"; any number that nothing else in the database locks


_UNREACHABLE = (
    OSError,  # a TimeoutError is one
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # starting up, or being shut down
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,  # no such database
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,  # the driver's, for a connection that is gone
    asyncpg.InternalClientError,
)


@contextlib.contextmanager
def reaching_the_database() -> Iterator[None]:
    """For what needs only the database: raises DatabaseUnreachable when that is not there or goes away."""
    try:
        yield
    except _UNREACHABLE as error:
        raise DatabaseUnreachable(error) from error


async def open_pool(
    url: str, min_size: int = 1, max_size: int = 8, *, command_timeout_s: float = COMMAND_TIMEOUT_S
) -> asyncpg.Pool:
    """A pool whose connections take and give NUMERIC as int and end every statement in time.

    Raises OSError or asyncpg.PostgresError when the server can not be reached.
    """
    return await asyncpg.create_pool(
        url,
        min_size=min_size,
        max_size=max_size,
        init=use_int_numeric,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=command_timeout_s,
        statement_cache_size=256,
        server_settings={"application_name": "exchange", "timezone": "UTC"},
    )


async def open_connection(url: str, *, command_timeout_s: float = COMMAND_TIMEOUT_S) -> asyncpg.Connection:
    """One connection outside any pool, with the same types and timeouts."""
    connection = await asyncpg.connect(
        url,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=command_timeout_s,
        server_settings={"application_name": "exchange", "timezone": "UTC"},
    )
    await use_int_numeric(connection)
    return connection


async def check_durability(connection: Connection) -> None:
    """Raises NotDurable when the server may lose or tear what it has committed."""
    rows = await connection.fetch(
        "SELECT name, setting FROM pg_settings"
        " WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') ORDER BY name"
    )
    assert len(rows) == 3
    off = [row["name"] for row in rows if row["setting"] == "off"]
    if off:
        raise NotDurable(off)


async def migrate(url: str, folder: Path = MIGRATIONS) -> None:
    """Brings the database to the newest version, in one transaction; safe to call from many at once.

    Alembic writes the SQL (its offline mode) and asyncpg runs it, so no second driver is needed. Raises
    MigrationsMissing when the folder is not there or is older than the database.
    """
    connection = await open_connection(url, command_timeout_s=MIGRATION_TIMEOUT_S)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
            version = None
            if await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
                version = await connection.fetchval("SELECT version_num FROM alembic_version")
            if version is None or version != _newest_version(folder):
                # Half a second of imports that a restart does without: it seldom has anything to migrate.
                from exchange.stores.migration_script import upgrade_script  # noqa: PLC0415 - see above

                script = upgrade_script(folder, version)
                if script:
                    await connection.execute(script)
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


def _newest_version(folder: Path) -> str | None:
    """By the files' names, which begin with their versions; None when there are no files."""
    names = [file.stem.partition("_")[0] for file in (folder / "versions").glob("*.py")]
    return max(names, default=None)
