"""Everything that ever happened, page by page, against a real exchange."""

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from tests.edge.harness import served
from tests.edge.market_history import TradedMarket, traded_market
from tests.sdk.market import Market

from exchange.edge.app import create_app
from exchange.stores.clickhouse import ClickHouse
from exchange_sdk import Exchange, History
from exchange_sdk.errors import Invalid
from exchange_sdk.models import Fill

LISTINGS = ["orders", "fills", "ledger", "transfers", "deposits", "withdrawals"]


@pytest.fixture
async def client(market: Market) -> AsyncIterator[Exchange]:
    """Somebody to whom a lot has happened."""
    await market.quote()
    async with market.owner() as exchange:
        for number in range(12):
            await exchange.place("ETH-USDC", "buy", size="0.1", price=3000)
            placed = await exchange.place("ETH-USDC", "buy", size="0.1", price=2900)
            if number % 3 == 0:
                await exchange.cancel(placed)
            await exchange.transfer("USDC", number + 1, to=1)
        yield exchange


@pytest.mark.parametrize("name", LISTINGS)
async def test_pages_of_any_size_are_the_whole_listing_in_both_orders(client: Exchange, name: str) -> None:
    listing: Callable[..., History[Any]] = getattr(client, name)
    newest = await listing().all()
    assert len(newest) >= (2 if name == "deposits" else 0 if name == "withdrawals" else 12)
    assert [item async for item in listing()] == newest
    assert await listing(oldest_first=True).all() == newest[::-1]
    for size in (1, 5, 500):
        found = []
        async for page in listing(oldest_first=True).pages(size):
            assert len(page.items) <= size
            found.extend(page.items)
        assert found == newest[::-1]
    assert await listing().all(limit=3) == newest[:3]
    assert await listing().first() == (newest[0] if newest else None)
    assert await listing(until=0).all() == []


async def test_what_came_after_a_cursor_is_given_once(client: Exchange) -> None:
    history = client.fills(oldest_first=True)
    known = [fill async for fill in history]
    assert history.cursor is not None
    assert await client.fills(resume=history.cursor).all() == []
    await client.place("ETH-USDC", "buy", size="0.2", price=3000)
    later = client.fills(resume=history.cursor)
    assert [fill.size async for fill in later] == [Decimal("0.2")]
    assert await client.fills(resume=later.cursor).all() == []
    assert len(await client.fills().all()) == len(known) + 1


async def test_a_cursor_is_never_ahead_of_what_was_given(client: Exchange) -> None:
    everything = await client.fills(oldest_first=True).all()
    history = client.fills(oldest_first=True)
    seen: list[Fill] = []
    async for page in history.pages(5):
        seen.extend(page.items)
        if len(seen) == 10:
            break  # in the middle of the second page, as far as anybody knows
    assert await client.fills(resume=history.cursor).all() == everything[5:]
    history = client.fills(oldest_first=True)
    assert await history.all(limit=7) == everything[:7]
    assert await client.fills(resume=history.cursor).all() == everything[7:]


async def test_the_ledger_adds_up_to_the_balances(client: Exchange) -> None:
    balances = await client.balances()
    for asset, balance in balances.items():
        entries = [entry async for entry in client.ledger() if entry.asset == asset]
        assert sum(entry.available_change for entry in entries) == balance.available
        assert sum(entry.held_change for entry in entries) == balance.held


async def test_listings_can_be_narrowed(client: Exchange) -> None:
    order = (await client.orders(status="ended").all())[0]
    assert all(one.is_open for one in await client.orders(status="open").all())
    assert {fill.order_id for fill in await client.fills(order=order).all()} <= {order.order_id}
    assert await client.fills("WBTC-USDC").all() == []
    fills = await client.fills(oldest_first=True).all()
    at = fills[-1].time
    assert await client.fills(since=at, oldest_first=True).all() == [f for f in fills if f.time >= at]
    assert await client.orders(sub_account=1).all() == []
    with pytest.raises(Invalid, match="range_invalid"):
        await client.fills(since=2, until=1).all()
    with pytest.raises(TypeError, match="time zone"):
        client.fills(since=at.replace(tzinfo=None))


async def test_a_deposit_is_listed_with_what_the_chain_says(client: Exchange) -> None:
    deposits = await client.deposits().all()
    assert {(one.asset, one.amount, one.is_credited) for one in deposits} == {
        ("ETH", Decimal(10), True),
        ("USDC", Decimal(100_000), True),
    }


async def test_withdrawals_can_be_quoted(client: Exchange) -> None:
    quote = await client.withdrawal_quote("USDC", "2.5", destination="0x" + "11" * 20)
    assert (quote.amount, quote.receives + quote.fee) == (Decimal("2.5"), Decimal("2.5"))
    assert quote.to_sign is not None
    assert (await client.withdrawal_quote("USDC", 10**9)).refusals == ("insufficient_funds",)


@pytest.fixture
async def traded(
    database_url: str, pool: asyncpg.Pool, clickhouse: ClickHouse
) -> AsyncIterator[tuple[TradedMarket, Exchange]]:
    """A market with weeks of trades, and a client that needs no credential."""
    async with (
        traded_market(database_url, pool, clickhouse, 1) as market,
        served(create_app(market.exchange.edge, market.exchange.hub)) as url,
        Exchange(url) as exchange,
    ):
        yield market, exchange


async def test_trades_and_candles_are_iterated_whole(traded: tuple[TradedMarket, Exchange]) -> None:
    _, client = traded
    trades = await client.trades("ETH-USDC").all()
    assert len(trades) > 100
    pages = [page.items async for page in client.trades("ETH-USDC").pages(7)]
    assert [trade for page in pages for trade in page] == trades
    assert await client.trades("ETH-USDC", since=trades[50].time, until=trades[10].time).all() == [
        trade for trade in trades if trades[50].time_ms <= trade.time_ms < trades[10].time_ms
    ]
    for interval in ("1m", "1h", "1d"):
        candles = await client.candles("ETH-USDC", interval).all()
        assert sum(candle.volume for candle in candles) == sum(trade.size for trade in trades)
        assert sum(candle.trades for candle in candles) == len(trades)
        assert [c.open_ms for c in candles] == sorted({c.open_ms for c in candles})
        paged = [page.items async for page in client.candles("ETH-USDC", interval).pages(3)]
        assert [candle for page in paged for candle in page] == candles
        some = client.candles("ETH-USDC", interval, since=candles[1].open_ms, until=candles[-1].open_ms)
        assert await some.all() == candles[1:-1]
        assert await client.latest_candles("ETH-USDC", interval, 2) == candles[-2:]


async def test_candles_without_trades_are_there_when_asked_for(traded: tuple[TradedMarket, Exchange]) -> None:
    _, client = traded
    days = await client.candles("ETH-USDC", "1d").all()
    filled = await client.candles("ETH-USDC", "1d", since=days[0].open_ms, fill=True).all()
    assert len(filled) > len(days)
    assert [candle for candle in filled if candle.trades] == days
    assert {later.open_ms - one.open_ms for one, later in pairwise(filled)} == {86_400_000}
    paged = client.candles("ETH-USDC", "1d", since=days[0].open_ms, fill=True).pages(4)
    assert [candle async for page in paged for candle in page.items] == filled


async def test_tickers_have_the_best_prices(traded: tuple[TradedMarket, Exchange]) -> None:
    _, client = traded
    ticker = await client.ticker("ETH-USDC")
    newest = await client.trades("ETH-USDC").first()
    assert newest is not None
    assert ticker.last == newest.price
    assert (await client.tickers())["ETH-USDC"].last == ticker.last
