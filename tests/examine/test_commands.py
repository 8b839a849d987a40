"""`exchange replay` and `exchange audit` as an operator meets them: processes, exit codes, last lines."""

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from tests.fixtures.postgres import memory_folder
from tests.journal.recorded import RecordedJournal, random_day, record

from exchange.core.image import state_hash
from exchange.journal.recovery import recover
from exchange.journal.tail import Tail
from exchange.projections.postgres import PostgresProjection
from exchange.stores.postgres import EmbeddedPostgres, migrate, open_pool

EXCHANGE = str(Path(sys.executable).with_name("exchange"))
TIMEOUT_S = 60

DAY = random_day(seed=17, steps=120)
JOURNAL = record(bytes([17]) * 32, DAY, rows_of=4, snapshots_after=(10, 20, 30))
STATE_HASH = state_hash(
    asyncio.run(recover(JOURNAL.connection, JOURNAL.genesis_id, JOURNAL.head)).state
).hex()
NUMBERS = r"seconds=\d+\.\d\d commands_per_s=\d+"
VERIFIED = (
    rf"replay: commands={len(DAY)} rows={len(JOURNAL.rows)} snapshots=3 {NUMBERS} state_hash={STATE_HASH}"
)


async def fill(pool: asyncpg.Pool, journal: RecordedJournal = JOURNAL) -> None:
    """The journal, and the read tables that follow from it."""
    await journal.store(pool)
    tail = Tail(pool)
    projection = PostgresProjection(pool, tail)
    await projection.load()
    while rows := await tail.read(projection.seq):
        await projection.apply(rows)


async def run(*arguments: str, url: str | None = None, cwd: Path | None = None) -> tuple[int, str, str]:
    """(exit code, last line of stdout, all of stderr in one line) of an `exchange` command."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EXCHANGE_")}
    if url is not None:
        environment["EXCHANGE_DATABASE_URL"] = url
    process = await asyncio.create_subprocess_exec(
        EXCHANGE, *arguments, env=environment, cwd=cwd,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(TIMEOUT_S):
        output, errors = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in errors
    lines = output.decode().strip().splitlines()
    return process.returncode, lines[-1] if lines else "", " ".join(errors.decode().split())


async def test_a_sound_exchange_is_replayed_verified_and_audited_and_nothing_is_written(
    pool: asyncpg.Pool, database_url: str
) -> None:
    await fill(pool)
    changes = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
    await pool.execute("SELECT pg_stat_force_next_flush()")
    before = await pool.fetchval(changes)
    tail = len(DAY) - JOURNAL.snapshots[0]["seq"]
    code, line, _ = await run("replay", url=database_url)
    assert code == 0
    assert re.fullmatch(
        rf"replay: commands={tail} rows=\d+ snapshots=1 {NUMBERS} state_hash={STATE_HASH}", line
    )
    code, line, _ = await run("replay", "--verify", url=database_url)
    assert code == 0
    assert re.fullmatch(VERIFIED, line)
    code, line, _ = await run("audit", url=database_url)
    assert code == 0
    assert re.fullmatch(r"audit: accounts=\d+ assets=4 entries=\d+ difference_atoms=0", line)
    assert await pool.fetchval(changes) == before


async def test_a_damaged_journal_ends_with_a_clear_message_and_code_1(
    pool: asyncpg.Pool, database_url: str
) -> None:
    await fill(pool)
    await pool.execute("UPDATE journal SET events = sha256(events) WHERE seq_first = 1")
    for arguments in (("replay", "--verify"), ("audit",)):
        code, line, message = await run(*arguments, url=database_url)
        assert (code, line) == (1, "")
        assert message == "error: journal corrupt at seq 1: hash does not match its content"


async def test_a_damaged_snapshot_ends_a_verification_with_code_1(
    pool: asyncpg.Pool, database_url: str
) -> None:
    await fill(pool)
    seq = JOURNAL.snapshots[0]["seq"]
    await pool.execute("UPDATE snapshots SET image = substring(image FROM 2) WHERE seq = $1", seq)
    code, _, message = await run("replay", "--verify", url=database_url)
    assert code == 1
    assert "the examination has found a difference" in message


async def test_a_changed_balance_ends_an_audit_with_code_1_and_its_difference(
    pool: asyncpg.Pool, database_url: str
) -> None:
    await fill(pool)
    await pool.execute("UPDATE balances SET available_atoms = available_atoms + 42 WHERE account_id = 1000")
    code, line, message = await run("audit", url=database_url)
    assert code == 1
    assert line.endswith("difference_atoms=126"), "42 of three assets"
    assert "the examination has found 3 differences" in message


async def test_a_database_without_an_exchange_or_of_an_older_version_is_told_apart(
    pool: asyncpg.Pool, database_url: str, tmp_path: Path
) -> None:
    code, _, message = await run("audit", url=database_url)
    assert (code, "no exchange has ever started" in message) == (1, True)
    await pool.execute("DROP TABLE snapshots")
    code, _, message = await run("audit", url=database_url)
    assert (code, "start the exchange once" in message) == (1, True)
    code, _, message = await run("replay", cwd=tmp_path)
    assert (code, "there is no devnet in .data" in message) == (1, True)
    assert not (tmp_path / ".data").exists(), "and none is made"


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    """A devnet's folder, as far as its database goes; no server runs on it."""
    made = Path(tempfile.mkdtemp(prefix="exchange-examine-", dir=memory_folder()))
    server = EmbeddedPostgres(made / "postgres")
    await server.start()
    try:
        await migrate(server.url)
        pool = await open_pool(server.url)
        await fill(pool)
        await pool.close()
    finally:
        await server.stop()
    yield made
    shutil.rmtree(made)


async def test_a_devnets_folder_is_examined_whether_its_server_runs_or_not(folder: Path) -> None:
    code, line, _ = await run("replay", "--verify", "--data-dir", str(folder), url="postgresql://else")
    assert (code, re.fullmatch(VERIFIED, line) is not None) == (0, True)
    server = EmbeddedPostgres(folder / "postgres")
    await server.start()  # the one that was started for it has been stopped again
    try:
        code, line, _ = await run("replay", "--verify", "--data-dir", str(folder))
        assert (code, re.fullmatch(VERIFIED, line) is not None) == (0, True)
        assert server.pid is not None
    finally:
        await server.stop()
