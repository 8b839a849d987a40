"""What is answered while ClickHouse is emptied and filled again, as an operator may have it done."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest
from tests.edge.market_history import MARKET, TradedMarket, traded_market

from exchange.projections import clickhouse as projection_module
from exchange.projections.blocks import forget_blocks
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.stores.clickhouse import ClickHouse

PATHS = {
    "trades": f"{MARKET}/trades?limit=500&to={{to_ms}}",
    "candles": f"{MARKET}/candles?limit=1000&to={{to_ms}}",
    "filled candles": f"{MARKET}/candles?interval=1h&limit=1000&fill=true&to={{to_ms}}",
    "ticker": f"{MARKET}/ticker",
    "tickers": "/v1/tickers",
    "bars": "/v1/udf/history?symbol=ETH-USDC&resolution=1&countback=1000&to={to_s}",
    "no bars": "/v1/udf/history?symbol=ETH-USDC&resolution=1&from={to_s}&to={to_s}",
}


@pytest.fixture
async def market(
    database_url: str, pool: asyncpg.Pool, clickhouse: ClickHouse
) -> AsyncIterator[TradedMarket]:
    async with traded_market(database_url, pool, clickhouse, 1, bursts=20) as market:
        market.wall.now_ns += 600 * 10**9
        await market.burst(random.Random(1))
        await market.caught_up()
        yield market


def projection_of(market: TradedMarket) -> ClickHouseProjection:
    assert market.exchange.edge.market_data is not None
    return market.exchange.edge.market_data.projection


def path_of(market: TradedMarket, name: str) -> str:
    to_s = market.wall.now_ms // 60_000 * 60
    return PATHS[name].format(to_s=to_s, to_ms=to_s * 1_000)


async def emptied(market: TradedMarket) -> None:
    """As `exchange rebuild candles` has it done."""
    projection = projection_of(market)
    filling = projection.fillings
    async with market.exchange.edge.pool.acquire() as connection:
        await forget_blocks(connection)
    async with asyncio.timeout(20):
        while projection.fillings == filling:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)


async def filled_again(market: TradedMarket) -> None:
    await emptied(market)
    await market.caught_up()


@pytest.fixture
def during_the_next_query(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], Awaitable[None]]], None]:
    """Has something happen while a query for a reader waits for its turn."""
    query = clickhouse.query
    due: list[Callable[[], Awaitable[None]]] = []

    async def late(*asked: Any, for_writer: bool = False, **more: Any) -> Any:
        if due and not for_writer:
            await due.pop()()
        return await query(*asked, for_writer=for_writer, **more)

    monkeypatch.setattr(clickhouse, "query", late)
    return due.append


def check_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "unavailable"
    assert "max-age" not in answer.headers["cache-control"]


@pytest.mark.parametrize("name", PATHS)
async def test_what_was_read_while_clickhouse_was_emptied_is_not_answered_even_when_all_is_there_again(
    market: TradedMarket, name: str, during_the_next_query: Callable[..., None]
) -> None:
    path = path_of(market, name)
    during_the_next_query(lambda: filled_again(market))
    check_refused(await market.client.get(path))
    assert (await market.client.get(path)).status_code == 200


@pytest.mark.parametrize("name", PATHS)
async def test_an_emptied_clickhouse_claims_nothing_until_it_is_filled(
    market: TradedMarket,
    name: str,
    during_the_next_query: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, seq = path_of(market, name), projection_of(market).seq
    goes_on, insert_trades = asyncio.Event(), projection_module.insert_trades

    async def insert_later(*block: Any) -> None:
        await goes_on.wait()
        await insert_trades(*block)

    with monkeypatch.context() as patch:
        patch.setattr(projection_module, "insert_trades", insert_later)
        during_the_next_query(lambda: emptied(market))
        check_refused(await market.client.get(path))
        answer = await market.client.get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, no-cache", "may change"
        assert answer.json().get("seq", 0) < seq
        goes_on.set()
        await market.caught_up()
    again = await market.client.get(path)
    assert again.json().get("seq", seq) >= seq
    if "items" in again.json() and "to=" in path:
        assert again.json()["items"]
