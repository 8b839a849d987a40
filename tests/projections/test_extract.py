"""Extracts: a whole selection as of one seq, however the tables go on between two of its pages."""

import asyncio
from typing import Any

import asyncpg
import pytest
from tests.projections.conftest import JournaledExchange
from tests.projections.test_page import LISTINGS, Select, busiest, whole
from tests.projections.test_read_tables import caught_up
from tests.projections.traffic import FIRST_ACCOUNT

from exchange.core.commands import SettleWithdrawal, Tick
from exchange.projections import extract
from exchange.projections.errors import ReadTablesWentBack
from exchange.projections.extract import Extract
from exchange.projections.fills import fills_of
from exchange.projections.orders import orders_of
from exchange.projections.postgres import PostgresProjection


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "PAGE_ROWS", 2)


async def rows_of(begun: Extract[Any]) -> list[Any]:
    return [row async for page in begun.pages() for row in page]


@pytest.mark.parametrize("select", LISTINGS, ids=lambda select: select.__name__)
async def test_an_extract_is_as_of_its_seq_while_the_tables_go_on(
    pool: asyncpg.Pool, journaled: JournaledExchange, select: Select
) -> None:
    await journaled.random_batches(31, batches=60)
    await caught_up(pool, journaled)
    selection = select(await busiest(pool, select))
    expected = await whole(pool, selection, ascending=True)
    begun: Extract[Any] = await Extract.begin(pool, selection, from_ns=None, to_ns=None)
    assert begun.seq == journaled.state.seq
    found: list[Any] = []
    async for page in begun.pages():
        found += page
        if len(found) <= 16:
            await journaled.random_batches(len(found), batches=5)
            await journaled.batch(
                Tick(),
                *(
                    SettleWithdrawal(each, "0x" + "ee" * 32, 9, "paid")
                    for each in journaled.state.withdrawals
                ),
            )
            await caught_up(pool, journaled)
    assert len(found) > 2
    assert found == expected
    now = await whole(pool, selection, ascending=True)
    if selection.changing is not None:
        assert now[: len(found)] != found, "nothing has changed meanwhile, so nothing was tested"


async def test_an_extract_of_a_range_has_the_rows_of_that_range(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.random_batches(32, batches=40)
    await caught_up(pool, journaled)
    for select in LISTINGS:
        selection = select(await busiest(pool, select))
        rows = await whole(pool, selection, ascending=True)
        times = [getattr(row, selection.time) for row in rows]
        for from_ns, to_ns in (
            (times[0] + 1, None),
            (None, times[-1]),
            (times[0] + 1, times[-1]),
            (2**62, None),
        ):
            begun: Extract[Any] = await Extract.begin(pool, selection, from_ns=from_ns, to_ns=to_ns)
            assert await rows_of(begun) == [
                row
                for row, time_ns in zip(rows, times, strict=True)
                if (from_ns is None or from_ns <= time_ns) and (to_ns is None or time_ns < to_ns)
            ]


async def test_an_extract_holds_no_connection_between_two_pages(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.random_batches(33, batches=20)
    await caught_up(pool, journaled)
    begun = await Extract.begin(pool, orders_of(FIRST_ACCOUNT), from_ns=None, to_ns=None)
    pages = 0
    async for _ in begun.pages():
        pages += 1
        assert pool.get_idle_size() == pool.get_size()
        transactions = await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND (state <> 'idle' OR backend_xmin IS NOT NULL)"
            " AND backend_type = 'client backend'"
        )
        assert transactions == 0
    assert pages > 3


async def test_tables_that_are_built_anew_meanwhile_end_an_extract_with_an_error(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.random_batches(34, batches=20)
    await caught_up(pool, journaled)
    begun = await Extract.begin(pool, fills_of(FIRST_ACCOUNT), from_ns=None, to_ns=None)
    pages = begun.pages()
    assert len(await anext(pages)) == 2
    await PostgresProjection(pool, journaled.tail).reset()
    with pytest.raises(ReadTablesWentBack) as raised:
        await anext(pages)
    assert (raised.value.seq, raised.value.found) == (journaled.state.seq, 0)


async def test_tables_that_were_built_anew_meanwhile_give_the_same_rows(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.random_batches(35, batches=20)
    await caught_up(pool, journaled)
    expected = await whole(pool, orders_of(FIRST_ACCOUNT), ascending=True)
    begun = await Extract.begin(pool, orders_of(FIRST_ACCOUNT), from_ns=None, to_ns=None)
    found: list[Any] = []
    async for page in begun.pages():
        if not found:
            await PostgresProjection(pool, journaled.tail).reset()
            await journaled.random_batches(36, batches=10)
            async with asyncio.timeout(20):
                await caught_up(pool, journaled)
        found += page
    assert found == expected


async def test_an_extract_of_nothing_has_no_page(pool: asyncpg.Pool, journaled: JournaledExchange) -> None:
    await caught_up(pool, journaled)
    begun = await Extract.begin(pool, fills_of(999_999), from_ns=None, to_ns=None)
    assert (begun.seq, await rows_of(begun)) == (journaled.state.seq, [])


async def test_an_extract_by_a_filter_has_all_that_meet_it(
    pool: asyncpg.Pool, journaled: JournaledExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.projections.page.MAX_LOOKED_AT", 3)
    await journaled.random_batches(37, batches=20)
    await caught_up(pool, journaled)
    for table in ("orders", "fills"):
        await pool.execute(f"UPDATE {table} SET market_id = 1 + order_id % 5")
    for select in (orders_of, fills_of):
        everything = await whole(pool, select(FIRST_ACCOUNT), ascending=True)
        for market_id in (1, 4, 9):
            selection = select(FIRST_ACCOUNT, market_id=market_id)
            begun = await Extract.begin(pool, selection, from_ns=None, to_ns=None)
            assert await rows_of(begun) == [row for row in everything if row.market_id == market_id]
            assert all(row.market_id == market_id for row in begun.changing.values())
