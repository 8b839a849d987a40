"""The ClickHouse store on chDB."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exchange.stores import clickhouse as module
from exchange.stores import clickhouse_lane as lane_module
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.clickhouse_lane import Lane
from exchange.stores.errors import ClickHouseBusy, ClickHouseError, ClickHouseTimeout

BIG = 2**128 - 1


async def make_table(clickhouse: ClickHouse) -> None:
    await clickhouse.command(
        "CREATE TABLE t (n UInt128, name String) ENGINE = MergeTree ORDER BY n"
        " SETTINGS non_replicated_deduplication_window = 100"
    )


async def test_large_integers_and_strange_names_survive(clickhouse: ClickHouse) -> None:
    await make_table(clickhouse)
    name = "a'b\\c\n\"); DROP TABLE t; -- ü"
    await clickhouse.insert("t", ["n", "name"], [(BIG, name), (0, "")], token="1")
    found = await clickhouse.query("SELECT n, name FROM t WHERE name = {name:String}", {"name": name})
    assert found == [(BIG, name)]
    assert await clickhouse.query("SELECT n FROM t WHERE n >= {n:UInt128}", {"n": BIG}) == [(BIG,)]


async def test_a_block_is_kept_once_per_token(clickhouse: ClickHouse) -> None:
    await make_table(clickhouse)
    for token in ("1", "1", "2", "1", "2"):
        await clickhouse.insert("t", ["n", "name"], [(5, "same")], token=token)
    assert await clickhouse.query("SELECT count() FROM t") == [(2,)]


async def test_a_bad_statement_is_an_error_and_the_next_one_works(clickhouse: ClickHouse) -> None:
    with pytest.raises(ClickHouseError, match="nowhere"):
        await clickhouse.query("SELECT * FROM nowhere")
    with pytest.raises(ClickHouseError):
        await clickhouse.query("SELECT {n:UInt8}", {"n": "not a number"})
    assert await clickhouse.query("SELECT 1") == [(1,)]


async def test_a_call_without_an_answer_in_time_fails_and_the_next_one_works(clickhouse: ClickHouse) -> None:
    with pytest.raises(ClickHouseTimeout, match="a query"):
        await clickhouse.query("SELECT sleep(1)", timeout_s=0.2)
    assert await clickhouse.query("SELECT 1") == [(1,)]


async def test_who_reads_does_not_wait_for_what_is_inserted(clickhouse: ClickHouse) -> None:
    inserted = threading.Event()
    inserting = asyncio.create_task(
        clickhouse._call("a long insert", clickhouse._writer, 60, lambda _: inserted.wait(60))
    )
    await asyncio.sleep(0)
    for _ in range(5):
        assert await clickhouse.query("SELECT 1") == [(1,)]
    assert not inserting.done()
    inserted.set()
    assert await inserting


async def test_a_crowd_that_reads_keeps_nobody_from_writing(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 4)
    await make_table(clickhouse)
    let_go = threading.Event()
    slow = [
        asyncio.create_task(clickhouse._call("a slow query", lane, 60, lambda _: let_go.wait(60)))
        for lane in clickhouse._readers
    ]
    await asyncio.sleep(0)
    crowd = [asyncio.create_task(clickhouse.query("SELECT 1")) for _ in range(20)]
    await asyncio.sleep(0)
    with pytest.raises(ClickHouseBusy):
        await clickhouse.query("SELECT 1")
    await clickhouse.insert("t", ["n", "name"], [(1, "")], token="1")
    assert await clickhouse.query("SELECT count() FROM t", for_writer=True) == [(1,)]
    let_go.set()
    await asyncio.gather(*slow, *crowd, return_exceptions=True)
    assert await clickhouse.query("SELECT 1") == [(1,)]


async def test_a_read_without_an_answer_in_time_fails_no_other_and_no_insert(clickhouse: ClickHouse) -> None:
    await make_table(clickhouse)
    with pytest.raises(ClickHouseTimeout):
        await clickhouse.query("SELECT sleep(1)", timeout_s=0.2)
    asked = [asyncio.create_task(clickhouse.query("SELECT 1")) for _ in range(6)]
    await clickhouse.insert("t", ["n", "name"], [(1, "")], token="1")
    assert await asyncio.gather(*asked) == [[(1,)]] * 6


async def test_a_call_that_has_waited_too_long_for_others_says_nothing_of_the_server(
    clickhouse: ClickHouse,
) -> None:
    let_go = threading.Event()
    slow = [
        asyncio.create_task(clickhouse._call("a slow query", lane, 60, lambda _: let_go.wait(60)))
        for lane in clickhouse._readers
    ]
    await asyncio.sleep(0)
    with pytest.raises(ClickHouseBusy):
        await clickhouse.query("SELECT 1", timeout_s=0.1)
    assert all(lane.fault is None for lane in clickhouse._readers)
    let_go.set()
    assert await asyncio.gather(*slow) == [True, True]


async def test_a_query_that_fails_midway_leaves_nothing_for_the_next_one(clickhouse: ClickHouse) -> None:
    for _ in range(3):
        with pytest.raises(ClickHouseError, match="throwIf"):
            await clickhouse.query(
                "SELECT throwIf(number = 5) FROM numbers(600) SETTINGS max_block_size = 1, max_threads = 1"
            )
        assert await clickhouse.query("SELECT 1") == [(1,)]


async def test_a_slow_query_is_ended_by_the_engine_too(clickhouse: ClickHouse) -> None:
    with pytest.raises(ClickHouseError):
        await clickhouse.query(
            "SELECT sleepEachRow(0.1) FROM numbers(600) SETTINGS max_block_size = 1", timeout_s=1.0
        )
    assert await clickhouse.query("SELECT 1", timeout_s=10) == [(1,)]


async def test_too_many_waiting_calls_are_refused(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 4)
    results = await asyncio.gather(*(clickhouse.query("SELECT 1") for _ in range(9)), return_exceptions=True)
    assert [result for result in results if not isinstance(result, ClickHouseBusy)] == [[(1,)]] * 8
    assert await clickhouse.query("SELECT 1") == [(1,)]


async def test_migrations_are_applied_once_and_a_new_one_on_top(
    clickhouse: ClickHouse, tmp_path: Path
) -> None:
    (tmp_path / "0001_a.sql").write_text(
        "CREATE TABLE a (n UInt8) ENGINE = MergeTree ORDER BY n;\nINSERT INTO a VALUES (1);\n"
    )
    await clickhouse.migrate(tmp_path)
    await clickhouse.migrate(tmp_path)
    (tmp_path / "0002_b.sql").write_text("INSERT INTO a VALUES (2);\n")
    await clickhouse.migrate(tmp_path)
    assert await clickhouse.query("SELECT n FROM a ORDER BY n") == [(1,), (2,)]
    names = await clickhouse.query("SELECT name FROM migrations WHERE name IN ('0001_a.sql', '0002_b.sql')")
    assert len(names) == 2


async def test_a_folder_without_migrations_is_told(clickhouse: ClickHouse, tmp_path: Path) -> None:
    with pytest.raises(ClickHouseError, match="no migrations"):
        await clickhouse.migrate(tmp_path)


async def test_a_second_folder_in_one_process_is_refused(clickhouse: ClickHouse, tmp_path: Path) -> None:
    with pytest.raises(ClickHouseError, match="different path"):
        await ClickHouse.open(path=tmp_path / "other")
    assert await clickhouse.query("SELECT 1") == [(1,)]


async def test_a_server_that_is_not_there_is_an_error(clickhouse: ClickHouse) -> None:
    with pytest.raises(ClickHouseError):
        await ClickHouse.open(url="http://localhost:9/")


async def test_it_connects_with_the_first_call_that_finds_it(
    clickhouse_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not there yet")

    lazy = ClickHouse(path=clickhouse_folder, database="late")
    with monkeypatch.context() as patch:
        patch.setattr(Lane, "_connect", refuse)
        with pytest.raises(ClickHouseError):
            await lazy.query("SELECT 1")
        assert lazy.fault is not None
        with pytest.raises(ClickHouseError):
            await lazy.ping()
    await lazy.ping()
    assert lazy.fault is None
    assert await lazy.query("SELECT currentDatabase()") == [("late",)]
    await lazy.command("DROP DATABASE late SYNC")
    await lazy.close()


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """The URL of a server that takes connections and never answers."""

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await reader.read()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def test_while_a_server_is_silent_one_call_a_thread_finds_out_and_the_others_fail_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane_module, "GRACE_S", 0.1)
    async with silent_server() as url:
        clickhouse = ClickHouse(url=url)
        with pytest.raises(ClickHouseTimeout):
            await clickhouse.query("SELECT 1", timeout_s=0.2)
        with pytest.raises(ClickHouseTimeout):
            await clickhouse.query("SELECT 1", timeout_s=0.2)
        assert isinstance(clickhouse.fault, ClickHouseTimeout)
        asked = [asyncio.create_task(clickhouse.query("SELECT 1", timeout_s=2)) for _ in range(2)]
        await asyncio.sleep(0)
        for _ in range(3):
            with pytest.raises(ClickHouseBusy):
                await clickhouse.query("SELECT 1")
            with pytest.raises(ClickHouseTimeout):
                await clickhouse.ping()
        assert not any(each.done() for each in asked), "they alone wait, one on each thread"
        for each in asked:
            with pytest.raises(ClickHouseTimeout):
                await each
        assert isinstance(clickhouse.fault, ClickHouseTimeout)
    await clickhouse.close()


async def test_one_that_was_never_connected_to_is_closed_at_once() -> None:
    clickhouse = ClickHouse(url="http://localhost:9/")
    await clickhouse.close()
