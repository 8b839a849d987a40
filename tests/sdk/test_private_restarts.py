"""Deposits and withdrawals over a restart of the exchange: what was missed is read from the histories."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from tests.edge.harness import USDC
from tests.sdk.chaos_proxy import ChaosProxy, chaos_proxy
from tests.sdk.test_stream_restarts import QUICK, Generations, read_all
from tests.sdk.watching import until

from exchange.core.commands import SettleWithdrawal
from exchange_sdk import Exchange, Wallet
from exchange_sdk.errors import Problem, Unavailable
from exchange_sdk.models import Deposit, Withdrawal
from exchange_sdk.notices import Live, Stale


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


async def start_again(generations: Generations, proxy: ChaosProxy) -> None:
    """The next exchange; clients can not reach it yet."""
    deposits = generations.running.deposits
    proxy.refuses = True
    await generations.stop()
    await generations.start(proxy)
    generations.running.deposits = deposits


async def settle(generations: Generations, withdrawal_id: str) -> None:
    outcome = await generations.running.sequencer.submit(
        SettleWithdrawal(withdrawal_id, f"0x{1:064x}", 7, "paid")
    )
    assert type(outcome.events[0]).__name__ == "WithdrawalSettled"


async def test_what_was_credited_and_settled_meanwhile_is_told_once(
    generations: Generations, proxy: ChaosProxy
):
    trader = await generations.running.trader(USDC=10**9)
    deposits: list[Deposit] = []
    withdrawals: list[Withdrawal] = []
    async with Exchange(proxy.url, wallet=Wallet(trader.key)) as exchange, exchange.stream(**QUICK) as stream:
        feeds = await stream.deposits(), await stream.withdrawals()
        tasks = [
            asyncio.create_task(read_all(feed, into))
            for feed, into in zip(feeds, (deposits, withdrawals), strict=True)
        ]
        await generations.running.deposit(trader.owner, USDC, 1_000_000)
        under_way = await withdraw(exchange, 1)
        await until(lambda: len(deposits) == len(withdrawals) == 1, "both were told")

        await start_again(generations, proxy)
        for _ in range(2):
            await generations.running.deposit(trader.owner, USDC, 2_000_000)
        await settle(generations, under_way)
        async with Exchange(generations.url, wallet=Wallet(trader.key)) as direct:
            meanwhile = await withdraw(direct, 2)
            await settle(generations, meanwhile)
            still = await withdraw(direct, 3)
        proxy.refuses = False
        await until(lambda: len(deposits) == 3, "what was credited meanwhile was told")
        await generations.running.deposit(trader.owner, USDC, 3_000_000)
        await until(lambda: len(deposits) == 4, "what came after was told")
        await until(lambda: len(withdrawals) == 4, "what was settled meanwhile was told")
        await settle(generations, still)
        await until(lambda: len(withdrawals) == 5, "what came after was told")

        numbers = [int(deposit.number) for deposit in deposits]
        assert numbers == sorted(set(numbers)), "each once, in order"
        assert all(deposit.is_credited for deposit in deposits)
        told = [(item.withdrawal_id, item.status) for item in withdrawals]
        assert told[0] == (under_way, "requested")
        assert sorted(told[1:3]) == sorted([(under_way, "settled"), (meanwhile, "settled")])
        assert told[3:] == [(still, "requested"), (still, "settled")]
        assert [feed.recoveries for feed in feeds] == [1, 1]
        assert feeds[1].under_way == []
        for task in tasks:
            task.cancel()


async def withdraw(exchange: Exchange, amount: int) -> str:
    """Asks for a withdrawal; its id."""
    return (await exchange.withdraw("USDC", amount, wait=False)).withdrawal_id


async def test_live_is_told_after_what_was_missed(generations: Generations, proxy: ChaosProxy):
    trader = await generations.running.trader(USDC=10**9)
    async with Exchange(proxy.url, wallet=Wallet(trader.key)) as exchange, exchange.stream(**QUICK) as stream:
        feed = await stream.deposits()
        await start_again(generations, proxy)
        await generations.running.deposit(trader.owner, USDC, 2_000_000)
        proxy.refuses = False
        told: list[Any] = []
        async for event in feed.with_notices():
            told.append(event)
            if isinstance(event, Live):
                break
        assert [type(event) for event in told] == [Stale, Deposit, Live]
        assert not told[-1].resumed


async def test_histories_that_can_not_be_read_are_read_later(generations: Generations, proxy: ChaosProxy):
    trader = await generations.running.trader(USDC=10**9)
    async with Exchange(proxy.url, wallet=Wallet(trader.key)) as exchange, exchange.stream(**QUICK) as stream:
        feed = await stream.deposits()
        get, refused = exchange._http.get, []

        async def unavailable(path: str, *arguments: Any, **options: Any) -> Any:
            if path == "/v1/deposits" and len(refused) < 3:
                refused.append(path)
                raise Unavailable(Problem(code="unavailable"))
            return await get(path, *arguments, **options)

        exchange._http.get = unavailable  # type: ignore[method-assign]
        await start_again(generations, proxy)
        await generations.running.deposit(trader.owner, USDC, 2_000_000)
        proxy.refuses = False
        assert (await anext(feed)).is_credited
        assert len(refused) == 3
