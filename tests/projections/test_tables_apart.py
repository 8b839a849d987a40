"""The read tables, kept up to date by a process of their own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs
from tests.projections.conftest import JournaledExchange

from exchange.core.events import OrderAccepted
from exchange.journal.errors import HeadLost
from exchange.projections.tables_apart import ReadTablesApart

LONG_S = 20.0


@asynccontextmanager
async def running(tables: ReadTablesApart) -> AsyncIterator[ReadTablesApart]:
    task = asyncio.create_task(tables.run())
    try:
        yield tables
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def children_with(word: str) -> list[int]:
    """Processes that we have started, with this word in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                stat = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                if int(stat[1]) == os.getpid() and word in (folder / "cmdline").read_text():
                    found.append(int(folder.name))
    return found


def the_process() -> int:
    [pid] = children_with("exchange.projections.tables_process")
    return pid


async def test_what_is_committed_is_in_the_tables_soon_and_without_a_poll(
    pool: asyncpg.Pool, database_url: str, journaled: JournaledExchange
) -> None:
    async with running(ReadTablesApart(pool, database_url)) as tables:
        for seed in range(3):
            await journaled.random_batches(seed, 5)
            tables.notify()
            assert await tables.reached(journaled.state.seq, LONG_S)
            assert tables.seq == journaled.state.seq
        orders = await pool.fetchval("SELECT count(*) FROM orders")
    accepted = [event for _, events in journaled.events for event in events if type(event) is OrderAccepted]
    assert orders == len(accepted) > 0


async def test_a_process_that_is_killed_is_replaced_and_nothing_is_lost(
    pool: asyncpg.Pool, database_url: str, journaled: JournaledExchange
) -> None:
    async with running(ReadTablesApart(pool, database_url)) as tables:
        await journaled.random_batches(1, 5)
        tables.notify()
        assert await tables.reached(journaled.state.seq, LONG_S)
        os.kill(the_process(), signal.SIGKILL)
        await journaled.random_batches(2, 5)
        tables.notify()
        assert await tables.reached(journaled.state.seq, LONG_S)


async def test_the_process_ends_with_the_exchange(
    pool: asyncpg.Pool, database_url: str, journaled: JournaledExchange
) -> None:
    async with running(ReadTablesApart(pool, database_url)) as tables:
        await journaled.random_batches(1, 1)
        tables.notify()
        assert await tables.reached(journaled.state.seq, LONG_S)
        assert the_process()
    assert children_with("exchange.projections.tables_process") == []


async def test_tables_that_are_ahead_of_the_journal_end_it(
    pool: asyncpg.Pool, database_url: str, journaled: JournaledExchange
) -> None:
    await pool.execute("UPDATE projection_cursors SET seq = 1000000 WHERE name = 'postgres'")
    with pytest.raises(HeadLost):
        await ReadTablesApart(pool, database_url).run()


async def test_a_process_that_finds_no_database_says_so_in_a_line_and_waits_for_it(
    pool: asyncpg.Pool, journaled: JournaledExchange, capfd: pytest.CaptureFixture[str]
) -> None:
    """The database can go away between the exchange's last look and the process's first."""
    with capture_logs() as logs:
        async with running(ReadTablesApart(pool, "postgresql://127.0.0.1:1/none")):
            async with asyncio.timeout(LONG_S):
                while len(logs) < 2:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.01)
            assert the_process()
    assert {log["event"] for log in logs} == {"read_tables_stalled"}
    assert capfd.readouterr().err == ""


async def test_what_the_process_logs_is_in_the_log_of_the_exchange(
    pool: asyncpg.Pool, database_url: str, journaled: JournaledExchange
) -> None:
    said = (
        "import sys; sys.stdin.readline();"
        'print(\'{"type":"said","level":"warning","event":"read_tables_stalled","fields":{"seq":"3"}}\');'
        "sys.stdout.flush();"
        "sys.stdin.read()"
    )
    with capture_logs() as logs:
        tables = ReadTablesApart(pool, database_url, process=(sys.executable, "-c", said))
        async with running(tables):
            async with asyncio.timeout(LONG_S):
                while not any(log["event"] == "read_tables_stalled" for log in logs):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.01)
    [log] = [log for log in logs if log["event"] == "read_tables_stalled"]
    assert (log["log_level"], log["seq"]) == ("warning", "3")
