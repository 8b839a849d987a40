from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.edge.harness import Exchange, problem, running_exchange

from exchange.edge.times import MAX_TIME_MS
from exchange.stores.clickhouse import ClickHouse

USDC_ATOMS = 10**6


@pytest.fixture
async def with_market_data(
    database_url: str, pool: asyncpg.Pool, clickhouse: ClickHouse
) -> AsyncIterator[Exchange]:
    async with running_exchange(database_url, pool, clickhouse) as running:
        market_data = running.edge.market_data
        assert market_data is not None
        assert await market_data.projection.reached(running.view.seq, 60)
        yield running


async def test_trades_and_candles_follow_the_fills(with_market_data):
    exchange = with_market_data
    seller = await exchange.trader(ETH=10**18)
    buyer = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    for price, size in (("3000", "0.2"), ("2990", "0.3"), ("3010", "0.1")):
        await seller.order(side="sell", price=price, size=size)
        answer = (await buyer.order(price=price, size=size)).json()
    seq = answer["seq"]
    first = (
        await exchange.client.get("/v1/markets/ETH-USDC/trades", params={"limit": 2, "min_seq": seq})
    ).json()
    assert first["seq"] >= seq
    assert [(item["price"], item["size"], item["amount"]) for item in first["items"]] == [
        ("3010", "0.1", "301"),
        ("2990", "0.3", "897"),
    ]
    assert first["items"][0]["taker_side"] == "buy"
    assert first["items"][0]["trade_id"] == answer["fills"][0]["trade_id"]
    second = (
        await exchange.client.get(
            "/v1/markets/ETH-USDC/trades", params={"limit": 2, "cursor": first["next_cursor"]}
        )
    ).json()
    assert [item["price"] for item in second["items"]] == ["3000"]
    candles = (await exchange.client.get("/v1/markets/ETH-USDC/candles", params={"min_seq": seq})).json()
    volume = sum(float(item["volume"]) for item in candles["items"])
    assert volume == pytest.approx(0.6)
    assert candles["items"][0]["open"] == "3000"
    assert candles["items"][-1]["close"] == "3010"
    assert sum(item["trades"] for item in candles["items"]) == 3
    assert all(item["open_ms"] % 60_000 == 0 for item in candles["items"])


async def test_extreme_candle_ranges_are_empty_not_errors(with_market_data):
    for params in ({"from": MAX_TIME_MS}, {"to": "0"}, {"from": "0", "to": "0"}):
        response = await with_market_data.client.get("/v1/markets/ETH-USDC/candles", params=params)
        assert (response.status_code, response.json()["items"]) == (200, []), response.text


async def test_without_clickhouse_market_data_is_unavailable_and_trading_goes_on(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    for noun in ("trades", "candles"):
        problem(await exchange.client.get(f"/v1/markets/ETH-USDC/{noun}"), 503, "unavailable")
    assert (await trader.order()).status_code == 201
