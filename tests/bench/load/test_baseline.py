"""The baseline keeps its books: what it is compared by has to be an exchange."""

import asyncpg
import pytest
from fastapi import HTTPException
from scripts.bench.load import baseline_tables as sql
from scripts.bench.load.baseline import (
    RICH_BASE_ATOMS,
    RICH_QUOTE_ATOMS,
    PlaceOrder,
    Settings,
    cancel,
    faults_of,
    place,
    prepare,
)
from scripts.bench.load.clients import Totals
from scripts.bench.server import another_database

from exchange.stores.postgres import open_connection

MAKER, TAKER = 0, 1


def order(side: str, price: str, size: str, time_in_force: str = "gtc", number: int = 0) -> PlaceOrder:
    return PlaceOrder(
        market="ETH-USDC",
        side=side,
        price=price,
        size=size,
        time_in_force=time_in_force,
        client_order_id=f"load-{number}",
    )


@pytest.fixture
async def settings(database_url: str, tmp_path) -> Settings:
    url = await another_database(database_url, "baseline")
    chosen = Settings(url, str(tmp_path / "loaded"), traders=2, sub_accounts=1, open_orders=0, seed=1)
    await prepare(chosen)
    return chosen


@pytest.fixture
async def connection(settings: Settings):
    opened = await open_connection(settings.database_url)
    yield opened
    await opened.close()


async def balance(connection: asyncpg.Connection, account: int, asset: str) -> tuple[int, int]:
    return tuple(
        await connection.fetchrow(
            "SELECT available, held FROM balances WHERE account_id = $1 AND asset = $2", account, asset
        )
    )


async def test_a_crossing_order_takes_the_best_makers_first_and_pays(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    for number, (price, size) in enumerate((("3001", "0.0010"), ("3000", "0.0010"), ("3002", "0.0010"))):
        await place(connection, MAKER, order("sell", price, size, number=number))
    taken = await place(connection, TAKER, order("buy", "3001", "0.0015", number=3))
    assert taken["order"]["filled"] == "0.0015"
    trades = await connection.fetch("SELECT price_ticks, size_lots FROM trades ORDER BY trade_id")
    assert [tuple(trade) for trade in trades] == [(300_000, 10), (300_100, 5)]
    quote = 300_000 * 10 + 300_100 * 5
    fees = await connection.fetchrow(
        "SELECT sum(maker_fee_atoms) AS maker, sum(taker_fee_atoms) AS taker FROM trades"
    )
    assert await balance(connection, TAKER, "ETH") == (RICH_BASE_ATOMS + 15 * 10**14, 0)
    assert await balance(connection, TAKER, "USDC") == (RICH_QUOTE_ATOMS - quote - fees["taker"], 0)
    assert await balance(connection, MAKER, "ETH") == (RICH_BASE_ATOMS - 30 * 10**14, 15 * 10**14)
    assert await balance(connection, MAKER, "USDC") == (RICH_QUOTE_ATOMS + quote - fees["maker"], 0)
    assert await faults_of(settings, Totals(4, 0, 4, 0, 0, 0)) == []


async def test_what_rests_is_held_and_comes_back_with_its_cancel(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    placed = await place(connection, MAKER, order("buy", "2999.50", "0.0020"))
    available, held = await balance(connection, MAKER, "USDC")
    assert held > 299_950 * 20
    assert available + held == RICH_QUOTE_ATOMS
    order_id = int(placed["order"]["order_id"])
    with pytest.raises(HTTPException):
        await cancel(connection, frozenset({TAKER}), order_id)
    await cancel(connection, frozenset({MAKER}), order_id)
    assert await balance(connection, MAKER, "USDC") == (RICH_QUOTE_ATOMS, 0)
    with pytest.raises(HTTPException):
        await cancel(connection, frozenset({MAKER}), order_id)
    assert await connection.fetch(sql.BEST_BIDS, 1, 10) == []


async def test_the_rest_of_an_immediate_order_is_gone_and_holds_nothing(
    connection: asyncpg.Connection,
) -> None:
    await place(connection, MAKER, order("buy", "3000", "0.0010", number=0))
    taken = await place(connection, TAKER, order("sell", "2999", "0.0030", "ioc", number=1))
    assert taken["order"]["filled"] == "0.0010"
    assert await balance(connection, TAKER, "ETH") == (RICH_BASE_ATOMS - 10 * 10**14, 0)
    assert (await balance(connection, MAKER, "USDC"))[1] == 0
    statuses = await connection.fetch("SELECT status FROM orders ORDER BY order_id")
    assert [each["status"] for each in statuses] == ["filled", "cancelled"]


async def test_who_has_not_enough_gets_nothing_done(connection: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await place(connection, MAKER, order("sell", "3000", str(RICH_BASE_ATOMS // 10**18 + 1)))
    assert await connection.fetchval("SELECT count(*) FROM orders") == 0


async def test_an_order_that_is_missing_and_money_that_is_are_found(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    await place(connection, MAKER, order("sell", "3000", "0.0010"))
    assert await faults_of(settings, Totals(2, 0, 2, 0, 0, 0))
    await connection.execute("UPDATE balances SET available = available + 1 WHERE account_id = 0")
    assert len(await faults_of(settings, Totals(1, 0, 1, 0, 0, 0))) == 1
