"""Trades, tickers and candles over a socket, as REST has them."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.edge.harness import running_exchange, served
from tests.edge_ws.speaking import Streams

from exchange.edge.app import create_app
from exchange.feeds import feeds as feeds_module
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.errors import ClickHouseBusy

MARKET = "ETH-USDC"


@pytest.fixture
async def charted(database_url: str, pool: asyncpg.Pool, clickhouse: ClickHouse) -> AsyncIterator[Streams]:
    async with (
        running_exchange(database_url, pool, clickhouse) as exchange,
        served(create_app(exchange.edge, exchange.hub)) as url,
    ):
        yield Streams(exchange, url)


async def trade(streams: Streams, buyer, seller, price: str, size: str) -> int:
    """One trade; its seq."""
    await buyer.order(price=price, size=size)
    answer = await seller.order(side="sell", price=price, size=size, time_in_force="ioc")
    assert answer.json()["fills"], answer.text
    seq: int = answer.json()["seq"]
    return seq


async def test_trades_tickers_and_candles_go_on_from_what_rest_has(charted):
    buyer = await charted.exchange.trader(USDC=10**12)
    seller = await charted.exchange.trader(ETH=10**20)
    seq = await trade(charted, buyer, seller, "3000", "1")
    async with charted.client() as client:
        rest = (await buyer.get(f"/v1/markets/{MARKET}/trades", min_seq=seq)).json()["items"]
        assert (await client.subscribe(channel="trades", market=MARKET))["data"] == rest
        candles = await client.subscribe(channel="candles", market=MARKET, interval="1w")
        assert candles["interval"] == "1w"
        ticker = await client.subscribe(channel="ticker", market=MARKET)
        rest = (await buyer.get(f"/v1/markets/{MARKET}/ticker", min_seq=seq)).json()
        assert ticker["data"] == {name: value for name, value in rest.items() if name != "seq"}
        best = await client.subscribe(channel="bbo", market=MARKET)
        assert best["data"] == {"bid": None, "ask": None}

        seq = await trade(charted, buyer, seller, "3010", "0.5")
        latest: dict[str, dict] = {}
        while min(latest.get(name, {}).get("seq", 0) for name in ("trades", "candles", "ticker")) < seq:
            message = await client.receive()
            latest[message["channel"]] = message
    rest = (await buyer.get(f"/v1/markets/{MARKET}/trades", min_seq=seq)).json()["items"]
    assert latest["trades"]["data"] == rest[:1]
    rest = (await buyer.get(f"/v1/markets/{MARKET}/candles", interval="1w", min_seq=seq)).json()["items"]
    assert latest["candles"]["data"] == [rest[-1] | {"closed": False}]
    rest = (await buyer.get(f"/v1/markets/{MARKET}/ticker", min_seq=seq)).json()
    assert latest["ticker"]["data"] == {name: value for name, value in rest.items() if name != "seq"}


async def test_trades_from_before_a_restart_are_told_as_soon_as_clickhouse_is_back(charted, monkeypatch):
    """Also while the snapshot without them is kept for others."""
    monkeypatch.setattr(feeds_module, "PAST_RETRY_S", 0.0)
    exchange = charted.exchange
    buyer, seller = await exchange.trader(USDC=10**12), await exchange.trader(ETH=10**20)
    seq = await trade(charted, buyer, seller, "3000", "1")
    rest = (await buyer.get(f"/v1/markets/{MARKET}/trades", min_seq=seq)).json()["items"]
    exchange.feeds.reset()  # no trade in memory, as after a start

    async def busy(*_, **__):
        raise ClickHouseBusy(1)

    async with charted.client() as early, charted.client() as late:
        with monkeypatch.context() as away:
            away.setattr(exchange.edge.market_data.clickhouse, "query", busy)
            assert (await early.subscribe(channel="trades", market=MARKET))["data"] == []
        assert (await late.subscribe(channel="trades", market=MARKET))["data"] == rest


async def test_without_clickhouse_candles_can_not_begin_and_all_else_can(streams):
    async with streams.client() as client:
        await client.refused("unavailable", op="subscribe", channel="candles", market=MARKET, interval="1m")
        await client.refused("unavailable", op="subscribe", channel="ticker", market=MARKET)
        await client.subscribe(channel="book", market=MARKET)
        await client.subscribe(channel="bbo", market=MARKET)
