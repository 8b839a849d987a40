"""The pool, the check of the server's promises, and the migrations."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import asyncpg
import pytest
from tests.fixtures.postgres import memory_folder

from exchange.stores.errors import MigrationsMissing, NotDurable
from exchange.stores.postgres import MIGRATIONS, EmbeddedPostgres, check_durability, migrate, open_pool

VERSION = """
from alembic import op

revision = "{revision}"
down_revision = {down_revision}


def upgrade() -> None:
    op.execute({statement!r})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations' environment without any version."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text((MIGRATIONS / "env.py").read_text())
    return tmp_path


def add_version(folder: Path, revision: str, down_revision: str | None, statement: str) -> None:
    text = VERSION.format(revision=revision, down_revision=repr(down_revision), statement=statement)
    (folder / "versions" / f"{revision}.py").write_text(text)


@pytest.fixture
async def empty_url(postgres_server: EmbeddedPostgres, request: pytest.FixtureRequest) -> str:
    """URL of a database without any table."""
    name = f"empty_{abs(hash(request.node.nodeid))}"
    connection = await asyncpg.connect(postgres_server.url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return postgres_server.database_url(name)


async def fetchval(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_versions_are_applied_in_order_once_and_later_ones_on_top(empty_url: str, folder: Path) -> None:
    add_version(folder, "0001", None, "CREATE TABLE t (n TEXT)")
    add_version(folder, "0002", "0001", "INSERT INTO t VALUES ('50% \\:of; x::y')")
    await migrate(empty_url, folder)
    await migrate(empty_url, folder)
    assert await fetchval(empty_url, "SELECT array_agg(n) FROM t") == ["50% :of; x::y"]
    add_version(folder, "0003", "0002", "INSERT INTO t VALUES ('more')")
    await migrate(empty_url, folder)
    assert await fetchval(empty_url, "SELECT count(*) FROM t") == 2
    assert await fetchval(empty_url, "SELECT version_num FROM alembic_version") == "0003"


async def test_many_at_once_apply_them_once(empty_url: str) -> None:
    await asyncio.gather(*(migrate(empty_url) for _ in range(4)))
    assert await fetchval(empty_url, "SELECT count(*) FROM projection_cursors") == 2


async def test_a_failing_version_leaves_the_database_as_it_was(empty_url: str, folder: Path) -> None:
    add_version(folder, "0001", None, "CREATE TABLE t (n BIGINT)")
    add_version(folder, "0002", "0001", "SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_url, folder)
    assert await fetchval(empty_url, "SELECT to_regclass('t')") is None
    assert await fetchval(empty_url, "SELECT to_regclass('alembic_version')") is None


async def test_a_database_newer_than_the_migrations_is_refused(database_url: str, folder: Path) -> None:
    add_version(folder, "9999", None, "SELECT 1")
    with pytest.raises(MigrationsMissing):
        await migrate(database_url, folder)


async def test_a_missing_folder_is_told(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(MigrationsMissing, match="nowhere"):
        await migrate(database_url, tmp_path / "nowhere")


async def test_every_version_is_linear_and_refuses_to_go_back() -> None:
    files = sorted((MIGRATIONS / "versions").glob("*.py"))
    for number, file in enumerate(files, start=1):
        assert file.name.startswith(f"{number:04}_")
        text = file.read_text()
        assert f'revision = "{number:04}"' in text
        assert number == 1 or f'down_revision = "{number - 1:04}"' in text
        assert "raise NotImplementedError" in text.split("def downgrade", 1)[1]


@pytest.mark.parametrize("setting", ["synchronous_commit"])
async def test_a_server_that_may_lose_commits_is_refused(database_url: str, setting: str) -> None:
    connection = await asyncpg.connect(database_url)
    await check_durability(connection)
    await connection.execute(f"SET {setting} = off")
    with pytest.raises(NotDurable, match=setting) as raised:
        await check_durability(connection)
    assert raised.value.settings == [setting]
    await connection.close()


async def test_a_server_without_fsync_is_refused() -> None:
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=memory_folder()))
    settings = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB"}
    server = EmbeddedPostgres(folder / "data", settings=settings)
    await server.start()
    try:
        connection = await asyncpg.connect(server.url)
        with pytest.raises(NotDurable) as raised:
            await check_durability(connection)
        assert raised.value.settings == ["fsync", "full_page_writes"]
        await connection.close()
    finally:
        await server.stop()
        shutil.rmtree(folder)


async def test_a_statement_of_the_pool_ends_in_time(database_url: str) -> None:
    pool = await open_pool(database_url, command_timeout_s=0.1)
    with pytest.raises(TimeoutError):
        await pool.execute("SELECT pg_sleep(20)")
    assert await pool.fetchval("SELECT 7::NUMERIC") == 7
    await pool.close()
