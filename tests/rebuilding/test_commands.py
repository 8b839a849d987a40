"""`exchange rebuild candles` as an operator meets it: processes, killed and run again, what they print."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from tests.fixtures.clickhouse_server import ClickHouseServer, clickhouse_server
from tests.projections.conftest import JournaledExchange, journaled
from tests.projections.following import check, expected_candles
from tests.projections.following import running as following

from exchange.projections.candles import candles
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.rebuild import RebuildWatch
from exchange.projections.trades import TradeTotals, trade_totals
from exchange.stores.clickhouse import ClickHouse

__all__ = ["journaled"]  # a fixture

EXCHANGE = str(Path(sys.executable).with_name("exchange"))
TIMEOUT_S = 90
REBUILT = re.compile(r"rebuilt: trades=(\d+) candles=(\d+) seq=(\d+) seconds=\d+\.\d\d")


SMALL_BLOCKS = """
from exchange.projections import clickhouse
clickhouse.MAX_ROWS_PER_BLOCK = 64
clickhouse.ROWS_PER_READ = 64
from exchange.cli import main
main()
"""
"""The command, of which a short journal takes some time."""


async def start_slowly(url: str, clickhouse: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, "EXCHANGE_DATABASE_URL": url, "EXCHANGE_CLICKHOUSE": clickhouse}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", SMALL_BLOCKS, "rebuild", "candles", env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def start(
    *arguments: str, url: str | None = None, clickhouse: str | None = None, cwd: Path | None = None
) -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EXCHANGE_")}
    environment |= {"EXCHANGE_DATABASE_URL": url} if url is not None else {}
    environment |= {"EXCHANGE_CLICKHOUSE": clickhouse} if clickhouse is not None else {}
    return await asyncio.create_subprocess_exec(
        EXCHANGE, "rebuild", *arguments, env=environment, cwd=cwd,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """(exit code, last line of stdout, all of stderr in one line)."""
    async with asyncio.timeout(TIMEOUT_S):
        output, errors = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in errors, errors.decode()
    lines = output.decode().strip().splitlines()
    return process.returncode, lines[-1] if lines else "", " ".join(errors.decode().split())


async def run(
    *arguments: str, url: str | None = None, clickhouse: str | None = None, cwd: Path | None = None
) -> tuple[int, str, str]:
    return await ended(await start(*arguments, url=url, clickhouse=clickhouse, cwd=cwd))


def candles_of(time_ns: int) -> list[tuple[int, int]]:
    """Those of a minute and longer that a trade is in; weeks begin on Mondays."""
    days = 3 * 86_400
    return [
        (seconds, (time_ns // 10**9 + (days if seconds == 604_800 else 0)) // seconds)
        for seconds in (60, 300, 900, 1_800, 3_600, 14_400, 86_400, 604_800)
    ]


def rebuilt(line: str, exchange: JournaledExchange) -> int:
    """The seq of a closing line that counts every trade."""
    found = REBUILT.fullmatch(line)
    assert found is not None, line
    assert int(found[1]) == len(exchange.trades)
    assert int(found[2]) == len({opens for time_ns, _ in exchange.trades for opens in candles_of(time_ns)})
    return int(found[3])


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ClickHouseServer]:
    """A ClickHouse behind a URL."""
    async with clickhouse_server(tmp_path / "server") as started:
        await started.start()
        yield started


@contextlib.asynccontextmanager
async def client(server: ClickHouseServer) -> AsyncIterator[ClickHouse]:
    opened = await ClickHouse.open(url=server.url)
    yield opened
    await opened.close()


async def blocks(pool: asyncpg.Pool) -> int:
    """The number of the last block that was recorded, as it is counted from a rebuild's beginning."""
    return int(await pool.fetchval("SELECT coalesce(max(number), 0) FROM clickhouse_blocks"))


@pytest.mark.timeout(300)
async def test_killed_again_and_again_it_goes_on_and_every_trade_is_there_once(
    pool: asyncpg.Pool, database_url: str, journaled: JournaledExchange, server: ClickHouseServer
) -> None:
    await journaled.random_batches(21, batches=500, commands=6)
    code, line, _ = await ended(await start_slowly(database_url, server.url))
    assert (code, rebuilt(line, journaled)) == (0, journaled.state.seq)
    whole = await blocks(pool)
    assert whole >= 6

    for kill_at in range(1, whole, whole // 3):
        process = await start_slowly(database_url, server.url)
        async with asyncio.timeout(TIMEOUT_S):
            while not await is_at(pool, kill_at):
                assert process.returncode is None, await ended(process)
        server.stop_answering()  # it can not go on from where it is now
        process.send_signal(signal.SIGKILL)
        await process.wait()
        server.go_on()
        assert await pool.fetchval("SELECT count(*) FROM clickhouse_rebuilds WHERE finished_ms IS NULL") == 1
        assert await blocks(pool) < whole, "killed in the middle"

    code, line, messages = await run("candles", url=database_url, clickhouse=server.url)
    assert (code, rebuilt(line, journaled)) == (0, journaled.state.seq)
    assert "an interrupted rebuild goes on here" in messages
    assert await pool.fetchval("SELECT count(*) FROM clickhouse_rebuilds") == 2
    async with client(server) as clickhouse:
        await check(journaled, clickhouse)


async def is_at(pool: asyncpg.Pool, number: int) -> bool:
    """Whether the rebuild that is under way has come to this block."""
    under_way = await pool.fetchval("SELECT TRUE FROM clickhouse_rebuilds WHERE finished_ms IS NULL")
    return bool(under_way) and await blocks(pool) >= number


async def test_a_folder_is_filled_here_when_nobody_has_it_open(
    database_url: str, journaled: JournaledExchange, tmp_path: Path
) -> None:
    await journaled.random_batches(22, batches=20)
    folder = tmp_path / "chdb"
    for _ in range(2):
        code, line, messages = await run("candles", url=database_url, clickhouse=str(folder / "data"))
        assert (code, rebuilt(line, journaled)) == (0, journaled.state.seq)
        assert "rebuilding here" in messages
    async with clickhouse_server(folder) as server:
        await server.start()
        async with client(server) as clickhouse:
            await check(journaled, clickhouse)
            refused = await run("candles", url=database_url, clickhouse=str(folder / "data"))
        assert refused[0] == 1
        assert "ClickHouse can not be opened, and nothing was changed" in refused[2]


@pytest.mark.timeout(300)
async def test_a_running_exchange_does_it_and_trading_goes_on(
    pool: asyncpg.Pool, database_url: str, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    await journaled.random_batches(23, batches=200)
    projection = ClickHouseProjection(pool, journaled.tail, clickhouse, insert_interval_s=0.0)
    watch = asyncio.create_task(RebuildWatch(pool, clickhouse, poll_s=0.05).run())
    try:
        async with following(projection):
            assert await projection.reached(journaled.state.seq, 30)
            generation = await pool.fetchval("SELECT max(generation) FROM clickhouse_blocks")
            target_seq = journaled.state.seq
            command = asyncio.create_task(run("candles", url=database_url))
            seed = 0
            while not command.done():
                seed += 1
                await journaled.random_batches(seed, batches=1)
            code, line, messages = await command
            found = REBUILT.fullmatch(line)
            assert code == 0, messages
            assert found is not None
            assert int(found[3]) >= target_seq
            assert "rebuilding in the running exchange" in messages
            assert await pool.fetchval("SELECT max(generation) FROM clickhouse_blocks") != generation
            assert await projection.reached(journaled.state.seq, 30)
            ids = [trade.trade_id for _, trade in journaled.trades]
            assert await trade_totals(clickhouse) == TradeTotals.whole(len(ids), sum(ids))
            read = await candles(clickhouse, 0, 1, "1m", limit=1_000)
            assert read.items == expected_candles(journaled, "1m")[-1_000:]
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def test_an_exchange_that_stands_idle_notices(
    pool: asyncpg.Pool, database_url: str, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    await journaled.random_batches(24, batches=30)
    projection = ClickHouseProjection(pool, journaled.tail, clickhouse, insert_interval_s=0.0)
    watch = asyncio.create_task(RebuildWatch(pool, clickhouse, poll_s=0.05).run())
    try:
        async with following(projection):
            assert await projection.reached(journaled.state.seq, 30)
            code, line, _ = await run("candles", url=database_url)
            assert (code, rebuilt(line, journaled)) == (0, journaled.state.seq)
            await check(journaled, clickhouse)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


@pytest.mark.timeout(300)
async def test_when_the_exchange_ends_meanwhile_the_command_goes_on_by_itself(
    pool: asyncpg.Pool, database_url: str, journaled: JournaledExchange, server: ClickHouseServer
) -> None:
    await journaled.random_batches(25, batches=30)
    async with client(server) as clickhouse:
        projection = ClickHouseProjection(pool, journaled.tail, clickhouse, insert_interval_s=0.0)
        watch = asyncio.create_task(RebuildWatch(pool, clickhouse, poll_s=0.05).run())
        async with following(projection):
            assert await projection.reached(journaled.state.seq, 30)
            server.stop_answering()
            command = await start("candles", url=database_url, clickhouse=server.url)
            async with asyncio.timeout(TIMEOUT_S):
                while not await pool.fetchval("SELECT count(*) FROM clickhouse_rebuilds"):
                    assert command.returncode is None
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        server.go_on()
        code, line, messages = await ended(command)
        assert (code, rebuilt(line, journaled)) == (0, journaled.state.seq)
        assert "rebuilding in the running exchange" in messages
        await check(journaled, clickhouse)


async def test_an_empty_journal_is_rebuilt_to_nothing(
    pool: asyncpg.Pool, database_url: str, server: ClickHouseServer
) -> None:
    code, line, _ = await run("candles", url=database_url, clickhouse=server.url)
    assert code == 0
    assert line.startswith("rebuilt: trades=0 candles=0 seq=0 ")


async def test_what_is_missing_is_said_in_one_line_and_nothing_is_changed(
    pool: asyncpg.Pool, database_url: str, tmp_path: Path
) -> None:
    await pool.execute("UPDATE projection_cursors SET seq = 7 WHERE name = 'clickhouse'")
    for clickhouse, message in (
        (None, "no exchange is running that could do it: set EXCHANGE_CLICKHOUSE"),
        ("http://127.0.0.1:9/", "ClickHouse can not be opened, and nothing was changed"),
    ):
        code, _, errors = await run("candles", url=database_url, clickhouse=clickhouse)
        assert code == 1
        assert errors.startswith("error:")
        assert message in errors
    cursor = await pool.fetchval("SELECT seq FROM projection_cursors WHERE name = 'clickhouse'")
    assert cursor == 7
    assert await pool.fetchval("SELECT count(*) FROM clickhouse_rebuilds") == 0

    await pool.execute("DROP TABLE clickhouse_rebuilds")
    code, _, errors = await run("candles", url=database_url)
    assert (code, "start the exchange once" in errors) == (1, True)
    code, _, errors = await run("candles", cwd=tmp_path)
    assert (code, "there is no devnet in .data" in errors) == (1, True)
    assert not (tmp_path / ".data").exists(), "and none is made"


async def test_what_else_could_be_rebuilt_is_told() -> None:
    code, _, errors = await run("balances")
    assert (code, "No such command 'balances'" in errors) == (2, True)
    code, line, errors = await run()
    assert code == 2
    assert "candles" in line + errors
