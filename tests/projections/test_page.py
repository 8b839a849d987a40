"""Pages of every listing: ranges of time, both directions, while rows are added; and how they are found."""

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from tests.projections.conftest import START_NS, JournaledExchange
from tests.projections.test_read_tables import caught_up
from tests.projections.traffic import FIRST_ACCOUNT

from exchange.projections.deposits import deposits_of
from exchange.projections.fills import fills_of
from exchange.projections.ledger_entries import entries_of
from exchange.projections.orders import orders_of
from exchange.projections.page import Key, Page, Selection, Span, read_page
from exchange.projections.postgres import PostgresProjection
from exchange.projections.transfers import transfers_of
from exchange.projections.withdrawals import withdrawals_of

Select = Callable[[int], Selection[Any]]
LISTINGS: list[Select] = [orders_of, fills_of, entries_of, deposits_of, withdrawals_of, transfers_of]


async def whole(pool: asyncpg.Pool, selection: Selection[Any], **span: Any) -> list[Any]:
    """All rows of a span, page by page."""
    rows: list[Any] = []
    after: Key | None = None
    while True:
        page = await read_page(pool, selection, Span(after=after, **span), limit=37)
        rows += page.items
        after = page.next_key
        if after is None:
            return rows


async def busiest(pool: asyncpg.Pool, select: Select) -> int:
    """The trader's account with the most rows of a listing."""
    account_id: int = await pool.fetchval(
        f"SELECT account_id FROM {select(0).table} WHERE account_id >= {FIRST_ACCOUNT}"
        " GROUP BY account_id ORDER BY count(*) DESC, account_id LIMIT 1"
    )
    return account_id


@pytest.mark.parametrize("select", LISTINGS, ids=lambda select: select.__name__)
async def test_a_range_of_time_gives_exactly_the_rows_in_it(
    pool: asyncpg.Pool, journaled: JournaledExchange, select: Select
) -> None:
    await journaled.random_batches(5, batches=60)
    await caught_up(pool, journaled)
    rng = random.Random(5)
    selection = select(await busiest(pool, select))
    rows = await whole(pool, selection, ascending=True)
    times = [getattr(row, selection.time) for row in rows]
    assert len(set(times)) > 1
    assert times == sorted(times)
    ends = [0, START_NS - 1, journaled.time_ns, journaled.time_ns + 1, 2**62]
    ends += [time_ns + change for time_ns in rng.sample(times, min(9, len(times))) for change in (0, 1)]
    for from_ns in [None, *ends]:
        for to_ns in [None, *ends]:
            wanted = [
                row
                for row, time_ns in zip(rows, times, strict=True)
                if (from_ns is None or from_ns <= time_ns) and (to_ns is None or time_ns < to_ns)
            ]
            ascending = rng.random() < 0.5
            found = await whole(pool, selection, from_ns=from_ns, to_ns=to_ns, ascending=ascending)
            assert found == (wanted if ascending else wanted[::-1])


async def test_a_range_of_time_of_an_account_without_rows_is_empty(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await caught_up(pool, journaled)
    for select in LISTINGS:
        page: Page[Any] = await read_page(pool, select(999_999), Span(from_ns=0, to_ns=2**62))
        assert (page.items, page.next_key) == ([], None)


@pytest.mark.parametrize("ascending", [False, True])
async def test_pages_are_whole_and_without_repetition_while_a_writer_goes_on(
    pool: asyncpg.Pool, journaled: JournaledExchange, ascending: bool
) -> None:
    await journaled.random_batches(8, batches=20)
    await caught_up(pool, journaled)
    at_start = {select: await whole(pool, select(FIRST_ACCOUNT), ascending=True) for select in LISTINGS}
    projecting = asyncio.create_task(PostgresProjection(pool, journaled.tail).run())
    try:
        for select in LISTINGS:
            selection = select(FIRST_ACCOUNT)
            keys: list[Key] = []
            after: Key | None = None
            while True:
                page = await read_page(pool, selection, Span(ascending=ascending, after=after), limit=3)
                keys += map(selection.key_of, page.items)
                after = page.next_key
                if after is None:
                    break
                await journaled.random_batches(len(keys), batches=1, commands=5)
            assert keys == sorted(set(keys), reverse=not ascending)
            before = {selection.key_of(row) for row in at_start[select]}
            assert before <= set(keys), "a row that was there from the beginning was left out"
    finally:
        projecting.cancel()
        await asyncio.gather(projecting, return_exceptions=True)


async def test_one_who_follows_sees_every_row_once(pool: asyncpg.Pool, journaled: JournaledExchange) -> None:
    selection = fills_of(FIRST_ACCOUNT)
    followed: list[int] = []
    for seed in range(12):
        await journaled.random_batches(seed, batches=3)
        await caught_up(pool, journaled)
        while True:
            after = (followed[-1],) if followed else None
            page = await read_page(pool, selection, Span(ascending=True, after=after), limit=5)
            followed += [row.trade_id for row in page.items]
            if page.next_key is None:
                break
    stored = await pool.fetch("SELECT trade_id FROM fills WHERE account_id = $1", FIRST_ACCOUNT)
    assert len(followed) > 20
    assert followed == sorted(row["trade_id"] for row in stored)


async def test_an_order_that_ends_between_two_pages_is_neither_lost_nor_repeated(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.random_batches(3, batches=30)
    await caught_up(pool, journaled)
    for status in ("all", "ended"):
        selection = orders_of(FIRST_ACCOUNT, status=status)  # type: ignore[arg-type]
        keys: list[Key] = []
        after: Key | None = None
        while True:
            page = await read_page(pool, selection, Span(after=after), limit=10)
            keys += map(selection.key_of, page.items)
            after = page.next_key
            if after is None:
                break
            await pool.execute(
                "UPDATE orders SET status = 'cancelled' WHERE order_id = "
                "(SELECT min(order_id) FROM orders WHERE status = 'open' AND account_id = $1)",
                FIRST_ACCOUNT,
            )
        assert keys == sorted(set(keys), reverse=True)
        assert len(keys) > 20


ROWS = 100_000


async def fill_tables(pool: asyncpg.Pool) -> None:
    """Many rows of many accounts, one each millisecond.

    The first 5,000 are all of account 1002, of the others each fiftieth is of account 1001, whose orders have
    ten fills each.
    """
    account = "CASE WHEN n <= 5000 THEN 1002 WHEN n % 50 = 0 THEN 1001 ELSE 2000 + n % 97 END"
    await pool.execute(
        f"""
        INSERT INTO fills SELECT {account}, n, n, 0, n * 1000000,
            CASE WHEN n % 50 = 0 THEN n - n % 500 ELSE n END, 1 + n % 20, 'maker', 'buy', 1, 1, 1, 1, 0
        FROM generate_series(1, {ROWS}::BIGINT) AS n
        """
    )
    await pool.execute(
        f"""
        INSERT INTO ledger_entries SELECT {account}, n, 0, 0, n * 1000000, 1, 1, 0, 1, 0, 'trade', n::TEXT
        FROM generate_series(1, {ROWS}::BIGINT) AS n
        """
    )
    await pool.execute(
        f"""
        INSERT INTO orders (order_id, account_id, market_id, side, order_type, time_in_force,
            self_trade_prevention, price_ticks, size_lots, remaining_lots, filled_quote_atoms, fee_atoms,
            status, created_ns, updated_seq, updated_ns)
        SELECT n, {account}, 1, 'buy', 'limit', 'gtc', 'cancel_newest', 1, 1, 1, 0, 0,
            CASE WHEN n % 1000 = 0 THEN 'open' ELSE 'cancelled' END, n * 1000000, n, n * 1000000
        FROM generate_series(1, {ROWS}::BIGINT) AS n
        """
    )
    for table in ("deposits", "withdrawals", "transfers"):
        columns = {
            "deposits": "1, 'v', n, {a}, 'o', 1, 't', 1, 'h', 0, 1, n, 0, n * 1000000",
            "withdrawals": "n::TEXT, {a}, 1, 1, 0, 'd', 1, 1, 'o', 1, 'v', 't', 'requested', NULL, NULL,"
            " n, 0, n * 1000000, n, n * 1000000",
            "transfers": "{a}, n, 0, n * 1000000, 'in', 1, 1, 1, 'c'",
        }[table].format(a=account)
        await pool.execute(
            f"INSERT INTO {table} SELECT {columns} FROM generate_series(1, {ROWS}::BIGINT) AS n"
        )
    await pool.execute("VACUUM ANALYZE fills, ledger_entries, orders, deposits, withdrawals, transfers")


class Explained:
    """A pool that keeps the plan of what it is asked, with what was read.

    The plan is the one for any parameters, which a prepared statement gets after some executions, or the one
    for these.
    """

    def __init__(self, pool: asyncpg.Pool, plan_for: str = "these") -> None:
        self._pool = pool
        self._mode = {"these": "force_custom_plan", "any": "force_generic_plan"}[plan_for]
        self.plan: dict[str, Any] = {}

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        literals = ", ".join(map(str, arguments))
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL plan_cache_mode = {self._mode}")
            await connection.execute(f"PREPARE explained AS {sql}")
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE explained ({literals})"
            self.plan = json.loads(await connection.fetchval(explain))[0]["Plan"]
            await connection.execute("DEALLOCATE explained")
        return await self._pool.fetch(sql, *arguments)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


def blocks_read(plan: dict[str, Any]) -> int:
    """8 KiB each."""
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.mark.parametrize("plan_for", ["these", "any"])
async def test_a_page_of_any_range_reads_little_more_than_its_rows(pool: asyncpg.Pool, plan_for: str) -> None:
    """Out of 100,000 rows, by the index of the key alone."""
    await fill_tables(pool)
    middle_ns = ROWS * 1_000_000 // 2
    later = Span(to_ns=middle_ns)
    for select in LISTINGS:
        for span in (
            Span(from_ns=middle_ns, to_ns=middle_ns + 5 * 10**9),
            Span(from_ns=middle_ns, to_ns=middle_ns + 5 * 10**9, ascending=True),
            later,
            Span(from_ns=middle_ns, ascending=True),
            Span(from_ns=ROWS * 10**6 + 1),
            Span(to_ns=1),
        ):
            explained = Explained(pool, plan_for)
            selection = select(1001)
            page = await read_page(explained, selection, span)  # type: ignore[arg-type]
            assert len(page.items) == (0 if span.to_ns == 1 or span.from_ns == ROWS * 10**6 + 1 else 50)
            scans = [node for node in nodes(explained.plan) if "Scan" in node["Node Type"]]
            scanned = [node for node in scans if node.get("Relation Name") == selection.table]
            assert scanned
            for node in scanned:
                assert "Index" in node["Node Type"], (selection.table, span, node["Node Type"])
                assert node.get("Rows Removed by Filter", 0) == 0, (selection.table, span)
            assert blocks_read(explained.plan) < 400, (selection.table, span)


@pytest.mark.parametrize("plan_for", ["these", "any"])
async def test_an_account_that_was_active_only_long_ago_is_found_at_once(
    pool: asyncpg.Pool, plan_for: str
) -> None:
    await fill_tables(pool)
    for select in LISTINGS:
        first = Span(from_ns=10**9, ascending=True)
        for span in (Span(), Span(after=(4_900, 0, 0)[: len(select(0).key)]), first):
            explained = Explained(pool, plan_for)
            page = await read_page(explained, select(1002), span)  # type: ignore[arg-type]
            assert len(page.items) == 50
            assert blocks_read(explained.plan) < 400, (select(0).table, span)


async def test_open_and_ended_orders_are_found_without_reading_the_others(pool: asyncpg.Pool) -> None:
    await fill_tables(pool)
    explained = Explained(pool)
    page = await read_page(explained, orders_of(1001, status="open"), limit=1_000)  # type: ignore[arg-type]
    assert len(page.items) == (ROWS - 5_000) // 1_000
    assert any(node.get("Index Name") == "orders_open" for node in nodes(explained.plan))
    page = await read_page(explained, orders_of(1001, status="ended"))  # type: ignore[arg-type]
    assert len(page.items) == 50
    assert sum(node.get("Rows Removed by Filter", 0) for node in nodes(explained.plan)) <= 5


@pytest.mark.parametrize("plan_for", ["these", "any"])
async def test_fills_of_an_order_are_looked_up(pool: asyncpg.Pool, plan_for: str) -> None:
    await fill_tables(pool)
    explained = Explained(pool, plan_for)
    expected = list(range(50_000, 50_500, 50))
    for span, ids in [
        (Span(), expected[::-1]),
        (Span(ascending=True), expected),
        (Span(after=(50_100,), ascending=True), expected[3:]),
        (Span(from_ns=50_060 * 10**6, to_ns=50_300 * 10**6, ascending=True), expected[2:6]),
    ]:
        page = await read_page(explained, fills_of(1001, order_id=50_000), span)  # type: ignore[arg-type]
        assert [row.trade_id for row in page.items] == ids
        assert page.next_key is None
        assert any(node.get("Index Name") == "fills_of_order" for node in nodes(explained.plan))
        assert blocks_read(explained.plan) < 150, span
    for account_id, order_id, market_id in [(1002, 50_000, None), (1001, 2**62, None), (1001, 50_000, 7)]:
        selection = fills_of(account_id, order_id=order_id, market_id=market_id)
        page = await read_page(explained, selection)  # type: ignore[arg-type]
        assert (page.items, page.next_key) == ([], None)
        assert blocks_read(explained.plan) < 50


@pytest.mark.parametrize("plan_for", ["these", "any"])
async def test_a_page_of_a_filter_that_nothing_meets_looks_at_so_many_rows_only(
    pool: asyncpg.Pool, plan_for: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.projections.page.MAX_LOOKED_AT", 200)
    await fill_tables(pool)
    await pool.execute("UPDATE fills SET account_id = 1001 WHERE trade_id > 5000")
    await pool.execute("UPDATE orders SET account_id = 1001 WHERE order_id > 5000")
    await pool.execute("VACUUM ANALYZE fills, orders")
    explained = Explained(pool, plan_for)
    selections: list[Selection[Any]] = [fills_of(1001, market_id=21)]
    selections += [orders_of(1001, market_id=2, status=status) for status in ("all", "ended")]  # type: ignore[arg-type]
    for selection in selections:
        for ascending in (False, True):
            page = await read_page(explained, selection, Span(ascending=ascending))  # type: ignore[arg-type]
            assert page.items == []
            assert page.next_key is not None
            assert sum(node.get("Rows Removed by Filter", 0) for node in nodes(explained.plan)) < 300
            assert blocks_read(explained.plan) < 1_000
    assert await whole(pool, orders_of(1001, market_id=2, status="open")) == []


@pytest.mark.parametrize("looked_at", [1, 2, 7, 36, 37, 38, 10**6])
async def test_filtered_pages_have_exactly_the_rows_that_meet_the_filter(
    pool: asyncpg.Pool, journaled: JournaledExchange, monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    monkeypatch.setattr("exchange.projections.page.MAX_LOOKED_AT", looked_at)
    await journaled.random_batches(5, batches=30)
    await caught_up(pool, journaled)
    for table in ("orders", "fills"):
        await pool.execute(f"UPDATE {table} SET market_id = 1 + order_id % 5")
    rng = random.Random(looked_at)
    account_id = await busiest(pool, fills_of)
    everything = {
        select: await whole(pool, select(account_id), ascending=True) for select in (orders_of, fills_of)
    }
    markets = sorted({row.market_id for row in everything[fills_of]})
    assert len(markets) > 3
    for _ in range(20):
        market_id = rng.choice([*markets, 999])
        ascending = rng.random() < 0.5
        select = rng.choice([orders_of, fills_of])
        selection = select(account_id, market_id=market_id)  # type: ignore[operator]
        times = [getattr(row, selection.time) for row in everything[select]]
        from_ns, to_ns = rng.choice([(None, None), (times[len(times) // 3], times[-1]), (None, times[1])])
        wanted = [
            row
            for row, time_ns in zip(everything[select], times, strict=True)
            if row.market_id == market_id
            and (from_ns is None or from_ns <= time_ns)
            and (to_ns is None or time_ns < to_ns)
        ]
        found = await whole(pool, selection, from_ns=from_ns, to_ns=to_ns, ascending=ascending)
        assert found == (wanted if ascending else wanted[::-1])
    for order_id in {row.order_id for row in everything[fills_of]}:
        wanted = [row for row in everything[fills_of] if row.order_id == order_id]
        assert await whole(pool, fills_of(account_id, order_id=order_id), ascending=True) == wanted
        assert await whole(pool, fills_of(account_id + 1, order_id=order_id)) == []
