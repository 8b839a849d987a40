"""The exchange starts again, and forgets what it remembered for streams: nothing of one's own is lost or
doubled."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
from tests.edge.harness import Exchange as Running
from tests.edge.harness import running_exchange, served
from tests.sdk.chaos_proxy import ChaosProxy, chaos_proxy
from tests.sdk.watching import require_nothing_after_its_end, until
from tests.streams.serving import MARKET, PLENTY
from tests.streams.trading import Trading

from exchange.edge.app import create_app
from exchange.edge.ws import limits
from exchange_sdk import Exchange, Wallet
from exchange_sdk.models import Fill, Order
from exchange_sdk.subscriptions import Subscription


class Generations:
    """One exchange after the other on the same journal, reached through the same proxy."""

    def __init__(self, database_url: str, pool: asyncpg.Pool) -> None:
        self._database_url = database_url
        self._pool = pool
        self._stack = AsyncExitStack()
        self.running: Running
        self.url = ""

    async def start(self, proxy: ChaosProxy | None = None) -> None:
        enter = self._stack.enter_async_context
        self.running = await enter(running_exchange(self._database_url, self._pool))
        self.url = await enter(served(create_app(self.running.edge, self.running.hub)))
        if proxy is not None:
            proxy.upstream_url = self.url

    async def stop(self) -> None:
        await self._stack.aclose()

    async def trade(self, account_ids: list[int], rng: random.Random, bursts: int) -> None:
        trading = Trading(self.running.view, MARKET, account_ids, rng)
        for _ in range(bursts):
            await self.running.edge.submit_batch(trading.burst())


@pytest.fixture
async def generations(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Generations]:
    found = Generations(database_url, pool)
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def proxy(generations: Generations) -> AsyncIterator[ChaosProxy]:
    async with chaos_proxy(generations.url) as found:
        yield found


QUICK = {"silence_s": 2.0, "first_delay_s": 0.01, "longest_delay_s": 0.1}


async def read_all(subscription: Subscription[Any], into: list[Any]) -> None:
    async for item in subscription:
        into.append(item)  # noqa: PERF401 - at once, not at the end


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_over_restarts_every_fill_and_every_order_is_told_to_its_end_once(
    seed: int, generations: Generations, proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.05)
    rng = random.Random(seed)
    traders = [await generations.running.trader(**PLENTY) for _ in range(2)]
    account_ids = [trader.account_id for trader in traders]
    wallet = Wallet(traders[0].key)
    fills: list[Fill] = []
    changes: list[Order] = []
    async with Exchange(proxy.url, wallet=wallet) as exchange, exchange.stream(**QUICK) as stream:
        await generations.trade(account_ids, rng, 3)
        assert await generations.running.projection.reached(generations.running.view.seq, 20)
        ended_before = {order.order_id async for order in exchange.orders(status="ended")}
        before = {fill.trade_id async for fill in exchange.fills()}
        my_orders, my_fills, book = await stream.orders(), await stream.fills(), await stream.book(MARKET)
        reading = (read_all(my_fills, fills), read_all(my_orders, changes))
        tasks = [asyncio.create_task(each) for each in reading]
        for _ in range(3):
            await generations.trade(account_ids, rng, rng.choice([0, 5]))
            if rng.random() < 0.5:
                await until(lambda: generations.running.view.seq == my_orders.seq, "a heartbeat was heard")
            proxy.refuses = True
            await generations.stop()
            await generations.start(proxy)
            await generations.trade(account_ids, rng, rng.choice([0, 10, 30]))
            connects = stream.connects
            proxy.refuses = False
            await until(lambda connects=connects: stream.connects > connects, "it is connected again")
            await generations.trade(account_ids, rng, 5)

        seq = generations.running.view.seq
        assert await generations.running.projection.reached(seq, 20)
        every_fill = [fill.trade_id async for fill in exchange.fills(oldest_first=True)]
        expected = [trade_id for trade_id in every_fill if trade_id not in before]
        await until(
            lambda: [fill.trade_id for fill in fills] == expected, "each fill was told once, in order"
        )
        every_order = {order.order_id: order async for order in exchange.orders(status="all")}
        open_now = {order_id for order_id, order in every_order.items() if order.is_open}
        await until(lambda: set(my_orders.open) == open_now, "the open orders are right")
        ended = every_order.keys() - open_now - ended_before

        def told_ends() -> set[str]:
            return {order.order_id for order in changes if not order.is_open}

        await until(lambda: told_ends() == ended, "every order was told to its end")
        require_nothing_after_its_end(changes)
        for order in changes:
            if not order.is_open:
                assert order == every_order[order.order_id], "as the history has it"
        book_now = await exchange.book(MARKET, depth=500)
        await until(lambda: tuple(book.bids()) == book_now.bids, "the book is right")
        assert tuple(book.asks()) == book_now.asks
        for task in tasks:
            task.cancel()
