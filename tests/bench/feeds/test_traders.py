"""The traders of the feeds benchmark, on a real exchange: what they send is taken, and is the mix it says."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import asyncpg
import pytest
from scripts.bench.feeds.traders import RequestFailed, Settings, Traders
from tests.edge.harness import Exchange, running_exchange, served

from exchange.edge.app import create_app

TRADERS = 4
OPEN_EACH = 50
RICH_ETH_ATOMS = 10**6 * 10**18
RICH_USDC_ATOMS = 10**10 * 10**6


@pytest.fixture
async def exchange(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Exchange]:
    async with running_exchange(database_url, pool) as running:
        yield running


async def settings(exchange: Exchange, url: str) -> Settings:
    tokens = [(await exchange.trader(ETH=RICH_ETH_ATOMS, USDC=RICH_USDC_ATOMS)).token for _ in range(TRADERS)]
    port = urlsplit(url).port
    assert port is not None
    return Settings(port, "ETH-USDC", tokens, per_s=2_000, batch=20, open_each=OPEN_EACH, seed=3)


async def test_the_book_is_built_and_then_traded_on_by_everybody(exchange: Exchange) -> None:
    async with served(create_app(exchange.edge)) as url, AsyncExitStack() as stack:
        traders = Traders(await settings(exchange, url))
        stack.push_async_callback(traders.close)
        assert await traders.open() == TRADERS * OPEN_EACH
        bids, asks = exchange.view.depth(1, 500)
        assert len(bids) > 30
        assert len(asks) > 30
        before_seq = exchange.view.seq
        await traders.begin()
        await exchange.until(lambda: exchange.view.seq > before_seq + 1_000)
        figures = await traders.end()
        await traders.pause()
        still_seq = exchange.view.seq
        assert figures.done > 0
        assert figures.trades > 0
        assert figures.acks is not None
        assert set(figures.codes) <= {"unknown_order"}
        assert figures.refused < figures.done / 4
        after = await traders.end()
        assert exchange.view.seq == still_seq, "when the traders have paused, nothing is under way"
        assert after.done >= figures.done


async def test_of_ten_operations_six_place_three_cancel_and_one_crosses(exchange: Exchange) -> None:
    async with served(create_app(exchange.edge)) as url, AsyncExitStack() as stack:
        traders = Traders(await settings(exchange, url))
        stack.push_async_callback(traders.close)
        await traders.open()
        trader = traders.traders[0]
        drawn: Counter[str] = Counter()
        for _ in range(200):
            operations = trader.mixed(10)
            drawn.update(each["op"] + each.get("time_in_force", "") for each in operations)
            trader.open.extend(map(str, range(len([each for each in operations if each["op"] == "cancel"]))))
        assert 1_000 < drawn["placegtc"] < 1_400
        assert 450 < drawn["cancel"] < 750
        assert 140 < drawn["placeioc"] < 260


async def test_a_refused_batch_ends_the_trader_that_sent_it(exchange: Exchange) -> None:
    async with served(create_app(exchange.edge)) as url, AsyncExitStack() as stack:
        refused = await settings(exchange, url)
        refused.tokens[0] = "no-session"
        traders = Traders(refused)
        stack.push_async_callback(traders.close)
        with pytest.raises(ExceptionGroup) as raised:
            await traders.open()
        assert isinstance(raised.value.exceptions[0], RequestFailed)
