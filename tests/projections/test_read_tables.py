"""The read tables against the core's own state."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest
from tests.projections.conftest import JournaledExchange
from tests.projections.traffic import ACCOUNTS, FIRST_ACCOUNT, USDC, deposit, owner, place

from exchange.core.accounts import SYSTEM_ACCOUNTS
from exchange.core.events import DepositCredited, OrderAccepted, OrderEnded, Trade, WithdrawalRequested
from exchange.core.words import EndReason, Side
from exchange.journal.errors import HeadLost
from exchange.journal.log import JournalLog
from exchange.journal.tail import Tail
from exchange.projections import (
    accounts,
    balances,
    cursor,
    deposits,
    fills,
    ledger_entries,
    orders,
    reference,
    transfers,
    withdrawals,
)
from exchange.projections.errors import CursorMoved, ReadTablesBroken
from exchange.projections.page import Span, read_page
from exchange.projections.postgres import PostgresProjection

TABLES = [
    *("orders", "fills", "balances", "ledger_entries", "deposits", "withdrawals"),
    *("assets", "markets", "accounts", "fee_tiers", "rate_classes", "transfers", "projection_cursors"),
]


@asynccontextmanager
async def running(projection: PostgresProjection) -> AsyncIterator[PostgresProjection]:
    task = asyncio.create_task(projection.run())
    try:
        yield projection
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def caught_up(pool: asyncpg.Pool, journaled: JournaledExchange) -> None:
    async with running(PostgresProjection(pool, journaled.tail)) as projection:
        assert await projection.reached(journaled.state.seq, 20)


async def dump(pool: asyncpg.Pool) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: sorted(tuple(row) for row in await pool.fetch(f"SELECT t::TEXT FROM {table} AS t"))
        for table in TABLES
    }


async def check_against_core(pool: asyncpg.Pool, journaled: JournaledExchange) -> None:
    state = journaled.state
    stored = {
        (row["account_id"], row["asset_id"]): (row["available_atoms"], row["held_atoms"])
        for row in await pool.fetch("SELECT * FROM balances")
    }
    expected = {
        (account_id, asset_id): (balance.available_atoms, balance.held_atoms)
        for account_id, account in state.accounts.items()
        for asset_id, balance in account.balances.items()
    }
    assert {key: value for key, value in stored.items() if any(value)} == {
        key: value for key, value in expected.items() if any(value)
    }
    open_orders = await pool.fetch("SELECT order_id, remaining_lots FROM orders WHERE status = 'open'")
    assert {row["order_id"]: row["remaining_lots"] for row in open_orders} == {
        order_id: order.remaining_lots for order_id, order in state.orders.items()
    }
    unbalanced = await pool.fetch(
        "SELECT seq, event_index, asset_id FROM ledger_entries GROUP BY seq, event_index, asset_id"
        " HAVING sum(available_delta_atoms + held_delta_atoms) <> 0"
    )
    assert unbalanced == []
    drifted = await pool.fetch(
        "SELECT account_id, asset_id FROM balances AS b NATURAL JOIN"
        " (SELECT account_id, asset_id, sum(available_delta_atoms) AS a, sum(held_delta_atoms) AS h"
        "  FROM ledger_entries GROUP BY account_id, asset_id) AS e"
        " WHERE b.available_atoms <> e.a OR b.held_atoms <> e.h"
    )
    assert drifted == []
    assert await pool.fetchval("SELECT count(*) FROM fills") == 2 * len(journaled.trades)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_tables_equal_the_core_after_random_traffic(
    pool: asyncpg.Pool, journaled: JournaledExchange, seed: int
) -> None:
    await journaled.random_batches(seed, batches=40)
    assert len(journaled.trades) > 50
    await caught_up(pool, journaled)
    await check_against_core(pool, journaled)


async def test_the_tables_follow_while_the_journal_grows(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    async with running(PostgresProjection(pool, journaled.tail)) as projection:
        for seed in range(10):
            await journaled.random_batches(seed, batches=3)
            assert await projection.reached(journaled.state.seq, 10)
            await check_against_core(pool, journaled)


async def test_stopping_anywhere_and_starting_again_changes_nothing(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.random_batches(7, batches=30)
    for rows_at_once in (1, 2, 3, 5):
        # A fresh projection each time knows only what the tables say, markets included.
        projection = PostgresProjection(pool, journaled.tail)
        await projection.load()
        await projection.apply(await journaled.tail.read(projection.seq, rows_at_once))
    await caught_up(pool, journaled)
    in_pieces = await dump(pool)
    projection = PostgresProjection(pool, journaled.tail)
    await projection.reset()
    assert projection.seq == 0
    assert await pool.fetchval("SELECT count(*) FROM orders") == 0
    await caught_up(pool, journaled)
    assert await dump(pool) == in_pieces
    await check_against_core(pool, journaled)


async def test_a_failure_between_any_two_statements_leaves_nothing_half_written(
    pool: asyncpg.Pool, journaled: JournaledExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journaled.random_batches(11, batches=10)
    projection = PostgresProjection(pool, journaled.tail)
    await projection.load()
    before = await dump(pool)
    rows = await journaled.tail.read(0, 100)
    writers = [
        reference.ReferenceChanges,
        accounts.AccountChanges,
        orders.OrderChanges,
        fills.NewFills,
        transfers.NewTransfers,
        ledger_entries.NewEntries,
        deposits.NewDeposits,
        withdrawals.WithdrawalChanges,
    ]
    for writer in writers:

        async def fail(*_: object) -> None:
            raise ConnectionResetError

        with monkeypatch.context() as patch:
            patch.setattr(writer, "write", fail)
            with pytest.raises(ConnectionResetError):
                await projection.apply(rows)
        assert projection.seq == 0
        assert await dump(pool) == before
    await projection.apply(rows)
    await check_against_core(pool, journaled)


async def test_it_goes_on_after_its_connections_were_cut(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    async with running(PostgresProjection(pool, journaled.tail)) as projection:
        assert await projection.reached(journaled.state.seq, 10)
        for seed in range(3):
            await pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND query NOT LIKE '%genesis%' AND query NOT LIKE '%INSERT INTO journal%'"
                " AND query NOT LIKE '%writer%'"
            )
            await journaled.random_batches(seed, batches=4)
            assert await projection.reached(journaled.state.seq, 20)
    await check_against_core(pool, journaled)


async def test_two_followers_of_one_journal_do_not_write_anything_twice(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.random_batches(5, batches=5)
    first, second = (PostgresProjection(pool, journaled.tail) for _ in range(2))
    await first.load()
    await second.load()
    rows = await journaled.tail.read(0, 100)
    await first.apply(rows)
    with pytest.raises(CursorMoved):
        await second.apply(rows)
    async with running(first), running(second):
        await journaled.random_batches(6, batches=20)
        assert await first.reached(journaled.state.seq, 20)
        assert await second.reached(journaled.state.seq, 20)
    await check_against_core(pool, journaled)


async def test_tables_ahead_of_the_journal_are_refused(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await caught_up(pool, journaled)
    assert await cursor.read_cursors(pool) == {"clickhouse": 0, "postgres": journaled.state.seq}
    await pool.execute("UPDATE projection_cursors SET seq = 10 + seq WHERE name = 'postgres'")
    with pytest.raises(HeadLost):
        await PostgresProjection(pool, journaled.tail).run()


async def test_an_order_that_the_table_does_not_know_stalls_and_never_half_applies(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.batch(place(FIRST_ACCOUNT, Side.BUY, 200_000, 10))
    await caught_up(pool, journaled)
    await pool.execute("DELETE FROM orders")
    before = await dump(pool)
    await journaled.batch(place(FIRST_ACCOUNT + 1, Side.SELL, 200_000, 4))
    projection = PostgresProjection(pool, journaled.tail)
    await projection.load()
    with pytest.raises(ReadTablesBroken):
        await projection.apply(await journaled.tail.read(projection.seq))
    assert await dump(pool) == before


async def test_waiting_for_a_seq_ends_when_it_is_not_reached_in_time(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    projection = PostgresProjection(pool, journaled.tail)
    assert not await projection.reached(1, 0.01)


async def test_a_users_balance_can_not_become_negative_or_too_large_but_the_systems_is_signed(
    pool: asyncpg.Pool,
) -> None:
    insert = "INSERT INTO balances VALUES ($1, 1, $2, $3, 1)"
    for available, held in ((-1, 0), (0, -1), (2**128, 0), (2**127, 2**127)):
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute(insert, FIRST_ACCOUNT, available, held)
    await pool.execute(insert, FIRST_ACCOUNT, 2**128 - 2, 1)
    for account_id in SYSTEM_ACCOUNTS:
        await pool.execute(insert, account_id, -(2**128), 0)


# -- reads -----------------------------------------------------------------------------------------------


async def test_an_orders_life_is_told_with_fills_fee_and_roles(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    maker, taker = FIRST_ACCOUNT, FIRST_ACCOUNT + 1
    [[accepted, *_]] = await journaled.batch(place(maker, Side.SELL, 200_000, 10, client_order_id="mine"))
    [events] = await journaled.batch(place(taker, Side.BUY, 200_100, 4))
    await caught_up(pool, journaled)
    assert isinstance(accepted, OrderAccepted)
    [trade] = [event for event in events if isinstance(event, Trade)]

    found = await orders.order_by_id(pool, accepted.order_id)
    assert found.seq == journaled.state.seq
    order = found.item
    assert order is not None
    assert (order.status, order.remaining_lots, order.size_lots, order.client_order_id) == (
        "open",
        6,
        10,
        "mine",
    )
    assert (order.filled_quote_atoms, order.fee_atoms) == (trade.quote_atoms, trade.maker_fee_atoms)
    assert order.updated_seq == journaled.state.seq
    assert (await orders.order_by_id(pool, 999_999)).item is None

    taken = (await read_page(pool, orders.orders_of(taker))).items[0]
    assert (taken.status, taken.remaining_lots, taken.fee_atoms) == ("filled", 0, trade.taker_fee_atoms)
    assert (await read_page(pool, orders.orders_of(taker, status="open"))).items == []

    [sold] = (await read_page(pool, fills.fills_of(maker))).items
    [bought] = (await read_page(pool, fills.fills_of(taker, market_id=1, order_id=taken.order_id))).items
    assert (sold.role, sold.side, sold.fee_atoms) == ("maker", "sell", trade.maker_fee_atoms)
    assert (bought.role, bought.side, bought.fee_atoms) == ("taker", "buy", trade.taker_fee_atoms)
    assert sold.trade_id == bought.trade_id == trade.trade_id
    assert (await read_page(pool, fills.fills_of(taker, market_id=2))).items == []


async def test_every_reason_for_which_an_order_ends_fits_the_table(pool: asyncpg.Pool) -> None:
    for order_id, reason in enumerate(EndReason, start=1):
        remaining = 0 if reason is EndReason.FILLED else 1
        await pool.execute(
            "INSERT INTO orders VALUES ($1, 1000, 1, 'buy', 'limit', 'gtc', 'cancel_newest',"
            " 1, 1, $2, 0, 0, $3, NULL, 1, $1, 1, 0, NULL, 0, 0, FALSE)",
            order_id,
            remaining,
            reason.value,
        )


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_pages_put_together_are_the_whole_listing_newest_first(
    pool: asyncpg.Pool, journaled: JournaledExchange, limit: int
) -> None:
    await journaled.random_batches(21, batches=20)
    await caught_up(pool, journaled)
    account_id = FIRST_ACCOUNT
    listings = [
        (orders.orders_of, "orders", ("order_id",)),
        (fills.fills_of, "fills", ("trade_id",)),
        (ledger_entries.entries_of, "ledger_entries", ("seq", "event_index", "entry_index")),
        (deposits.deposits_of, "deposits", ("seq", "event_index")),
        (withdrawals.withdrawals_of, "withdrawals", ("seq", "event_index")),
        (transfers.transfers_of, "transfers", ("seq", "event_index")),
    ]
    for select, table, key in listings:
        keys: list[tuple[int, ...]] = []
        before = None
        while True:
            page = await read_page(pool, select(account_id), Span(after=before), limit=limit)
            assert len(page.items) <= limit
            assert page.seq == journaled.state.seq
            keys.extend(tuple(getattr(row, name) for name in key) for row in page.items)
            before = page.next_key
            if before is None:
                break
        assert keys == sorted(set(keys), reverse=True)
        assert len(keys) == await pool.fetchval(
            f"SELECT count(*) FROM {table} WHERE account_id = $1", account_id
        )


async def test_a_page_is_not_shifted_by_newer_rows(pool: asyncpg.Pool, journaled: JournaledExchange) -> None:
    async def place_one() -> None:
        await journaled.batch(place(FIRST_ACCOUNT, Side.BUY, 100_000, 1))

    for _ in range(4):
        await place_one()
    await caught_up(pool, journaled)
    first = await read_page(pool, orders.orders_of(FIRST_ACCOUNT), limit=2)
    await place_one()
    await caught_up(pool, journaled)
    second = await read_page(pool, orders.orders_of(FIRST_ACCOUNT), Span(after=first.next_key), limit=2)
    ids = [row.order_id for row in first.items + second.items]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 4
    assert second.next_key is None


async def test_an_empty_listing_still_says_as_of_which_seq(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await caught_up(pool, journaled)
    page = await read_page(pool, orders.orders_of(999_999))
    assert (page.items, page.seq, page.next_key) == ([], journaled.state.seq, None)
    found = await withdrawals.withdrawal_of_owner(pool, owner(0), "0x00")
    assert (found.item, found.seq) == (None, journaled.state.seq)


async def test_open_orders_are_filtered_by_market(pool: asyncpg.Pool, journaled: JournaledExchange) -> None:
    await journaled.batch(place(FIRST_ACCOUNT, Side.BUY, 100_000, 1))
    await caught_up(pool, journaled)
    assert (
        len((await read_page(pool, orders.orders_of(FIRST_ACCOUNT, status="open", market_id=1))).items) == 1
    )
    assert (await read_page(pool, orders.orders_of(FIRST_ACCOUNT, status="open", market_id=2))).items == []


async def test_balances_are_those_of_the_account_alone(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.random_batches(31, batches=5)
    await caught_up(pool, journaled)
    for account_id in range(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS):
        page = await balances.balances_of_account(pool, account_id)
        held = journaled.state.accounts[account_id].balances
        assert [row.asset_id for row in page.items] == sorted(held, reverse=True)
        for row in page.items:
            assert row.available_atoms == held[row.asset_id].available_atoms
            assert row.held_atoms == held[row.asset_id].held_atoms


async def test_ledger_entries_carry_reason_and_balance_after(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    account_id = FIRST_ACCOUNT
    before = journaled.state.accounts[account_id].balances[2].available_atoms
    [[accepted, *_]] = await journaled.batch(place(account_id, Side.BUY, 100_000, 1))
    await caught_up(pool, journaled)
    assert isinstance(accepted, OrderAccepted)
    entry = (await read_page(pool, ledger_entries.entries_of(account_id), limit=1)).items[0]
    assert (entry.kind, entry.reference) == ("order_hold", str(accepted.order_id))
    assert (entry.available_delta_atoms, entry.held_delta_atoms) == (
        -accepted.hold_atoms,
        accepted.hold_atoms,
    )
    assert (entry.available_atoms, entry.held_atoms) == (before - accepted.hold_atoms, accepted.hold_atoms)
    first = (await read_page(pool, ledger_entries.entries_of(account_id))).items[-1]
    assert (first.kind, first.reference.split(":")[2]) == ("deposit", "1")


async def test_deposits_of_unlisted_assets_are_the_suspense_accounts(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    journaled.deposits += 1
    unlisted = deposit(journaled.deposits, owner(0), "0x" + "99" * 20, 2**128 - 1)
    [events] = await journaled.batch(unlisted)
    await caught_up(pool, journaled)
    credited = events[-1]
    assert isinstance(credited, DepositCredited)
    assert credited.account_id not in range(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS)
    assert credited.asset_id not in {
        row.asset_id for row in (await read_page(pool, deposits.deposits_of(FIRST_ACCOUNT))).items
    }
    [row] = (await read_page(pool, deposits.deposits_of(credited.account_id))).items
    assert (row.amount_atoms, row.tx_hash, row.number) == (2**128 - 1, unlisted.tx_hash, unlisted.number)
    assert not (await reference.read_assets(pool))[credited.asset_id].listed


async def test_no_number_of_huge_junk_deposits_stops_the_tables(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    """The vault bounds each account's deposits of a token, not their sum: suspense has no upper bound."""
    for number in range(5):
        journaled.deposits += 1
        await journaled.batch(deposit(journaled.deposits, owner(number), "0x" + "99" * 20, 2**128 - 1))
    await caught_up(pool, journaled)
    rows = await pool.fetch(
        "SELECT available_atoms FROM balances WHERE asset_id = $1 ORDER BY available_atoms",
        max(journaled.state.assets),
    )
    assert [row[0] for row in rows] == [-5 * (2**128 - 1), 5 * (2**128 - 1)]


async def test_assets_and_markets_read_back_as_the_core_has_them(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await caught_up(pool, journaled)
    assert await reference.read_assets(pool) == journaled.state.assets
    assert await reference.read_markets(pool) == journaled.state.markets


async def test_withdrawals_are_told_from_request_to_end(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.random_batches(41, batches=60)
    await caught_up(pool, journaled)
    requested = [
        event for _, events in journaled.events for event in events if isinstance(event, WithdrawalRequested)
    ]
    statuses = set()
    for event in requested:
        row = (await withdrawals.withdrawal_of_owner(pool, event.owner, event.withdrawal_id)).item
        assert row is not None
        assert (row.amount_atoms, row.nonce, row.token) == (event.amount_atoms, event.nonce, event.token)
        assert (row.status == "requested") == (event.withdrawal_id in journaled.state.withdrawals)
        statuses.add(row.status)
        other = await withdrawals.withdrawal_of_owner(pool, owner(99), event.withdrawal_id)
        assert other.item is None
    assert statuses == {"requested", "paid", "claimable", "refunded"}
    page = await read_page(pool, withdrawals.withdrawals_of(FIRST_ACCOUNT, asset_id=2), limit=1_000)
    assert all(row.asset_id == 2 and row.token == USDC for row in page.items)


async def test_ended_orders_are_in_the_table_with_their_reason(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.random_batches(51, batches=20)
    await caught_up(pool, journaled)
    ended = {
        event.order_id: (event.reason.value, event.remaining_lots)
        for _, events in journaled.events
        for event in events
        if isinstance(event, OrderEnded)
    }
    records = await pool.fetch("SELECT order_id, status, remaining_lots FROM orders WHERE status <> 'open'")
    assert {row["order_id"]: (row["status"], row["remaining_lots"]) for row in records} == ended


async def test_a_new_database_is_at_seq_zero(database_url: str, pool: asyncpg.Pool) -> None:
    async with await JournalLog.claim(database_url):
        projection = PostgresProjection(pool, Tail(pool))
        await projection.load()
        assert projection.seq == 0
        assert (await read_page(pool, orders.orders_of(FIRST_ACCOUNT))).seq == 0
