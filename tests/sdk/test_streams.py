"""Subscriptions: what they give, what they say of themselves, and what they are refused."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from decimal import Decimal

import msgspec
import pytest
from tests.sdk.chaos_proxy import ChaosProxy, chaos_proxy
from tests.sdk.market import Market
from tests.sdk.watching import as_text, until

from exchange.edge.ws import limits
from exchange.feeds import trades as feed
from exchange_sdk import Exchange, Place, Wallet
from exchange_sdk.book import LevelText
from exchange_sdk.errors import (
    Invalid,
    NoCredential,
    NotFound,
    NotLive,
    StreamClosed,
    Unavailable,
    UnknownMarket,
    Unreachable,
    WrongDeployment,
)
from exchange_sdk.notices import Gap, Live, Stale
from exchange_sdk.stream import Stream

MARKET = "ETH-USDC"
QUICK = {"first_delay_s": 0.01, "longest_delay_s": 0.05}


@pytest.fixture
async def proxy(market: Market) -> AsyncIterator[ChaosProxy]:
    async with chaos_proxy(market.url) as found:
        yield found


@pytest.fixture
async def stream(market: Market, proxy: ChaosProxy) -> AsyncIterator[Stream]:
    """Of a client without a key, through the proxy, which quotes a market before it."""
    await market.quote()
    async with Exchange(proxy.url) as exchange, exchange.stream(**QUICK) as stream:
        yield stream


async def take(market: Market, size: str = "1") -> None:
    """Somebody buys at 3000."""
    async with market.owner(await market.wallet(USDC=100_000)) as taker:
        await taker.place(MARKET, "buy", size=size, price=3000)


def connections(market: Market) -> int:
    return market.running.streams.connections


def subscriptions(market: Market) -> int:
    return sum(market.running.streams.subscriptions.values())


# ---- what they give


async def test_a_book_is_there_when_it_was_awaited_and_follows_the_market(market: Market, stream: Stream):
    book = await stream.book(MARKET)
    assert as_text(book) == ([("2990", "5")], [("3000", "5"), ("3010", "5")])
    assert (book.mid, book.spread, book.market) == (Decimal(2995), Decimal(10), MARKET)
    changes = aiter(book)
    assert await anext(changes) is book
    await take(market)
    assert await anext(changes) is book
    assert book.asks(1) == [(Decimal(3000), Decimal(4))]
    assert book.size_at(Decimal(3000)) == 4


async def test_best_prices_come_newest_first_and_only_the_newest(market: Market, stream: Stream):
    best = await stream.bbo(MARKET)
    assert best.value.mid == Decimal(2995)
    for _ in range(3):
        await take(market)
    await until(lambda: best.value.ask == (Decimal(3000), Decimal(2)), "the newest is there")
    assert (await anext(best)).ask == (Decimal(3000), Decimal(2))


async def test_trades_are_those_since_and_with_recent_those_before_too(market: Market, stream: Stream):
    await take(market, "0.5")
    trades = await stream.trades(MARKET)
    both = await stream.trades(MARKET, recent=True)
    await take(market, "0.25")
    assert [(await anext(trades)).size] == [Decimal("0.25")]
    async with chaos_proxy(market.url) as other, Exchange(other.url) as exchange, exchange.stream() as fresh:
        recent = await fresh.trades(MARKET, recent=True)
        assert [(await anext(recent)).size for _ in range(2)] == [Decimal("0.5"), Decimal("0.25")]
    assert (await anext(both)).size == Decimal("0.25"), "one that joins a live subscription begins with it"


async def test_candles_and_ticker_are_those_of_the_http_api(market_with_history: Market):
    market = market_with_history
    await market.quote()
    await take(market)
    async with Exchange(market.url) as exchange, exchange.stream() as stream:
        candles, ticker = stream.candles(MARKET, "1h"), await stream.ticker(MARKET)
        candle = await anext(candles)
        assert (candle.open, candle.volume, candle.closed) == (Decimal(3000), Decimal(1), False)
        assert ticker.value.last == Decimal(3000)
        await take(market, "2")
        while candle.volume != 3:
            candle = await anext(candles)
        await until(lambda: ticker.value.volume == 3, "the ticker has both trades")


async def test_what_is_ones_own_is_told_as_it_happens(market: Market, proxy: ChaosProxy):
    await market.quote()
    wallet = await market.wallet(ETH=10, USDC=100_000)
    async with Exchange(proxy.url, wallet=wallet) as exchange, exchange.stream() as stream:
        orders, fills, balances = await stream.orders(), await stream.fills(), await stream.balances()
        assert {balance.asset for balance in balances.by_asset.values()} == {"ETH", "USDC"}
        assert balances["WBTC"].total == 0
        placed = await exchange.place(MARKET, "buy", size=6, price=3000)
        assert await anext(orders) == placed.order
        assert await anext(fills) == placed.fills[0]
        assert orders.open == {placed.order_id: placed.order}
        await exchange.cancel(placed.order)
        assert (await anext(orders)).status == "cancelled"
        assert orders.open == {}
        await until(lambda: balances["USDC"].held == 0, "the balance is free again")
        assert balances["ETH"].total == 15
        assert balances["USDC"].total == balances["USDC"].available == Decimal(100_000 - 15_000 - 15)


async def test_balances_that_are_iterated_begin_with_all_and_go_on_with_what_changed(market: Market):
    await market.quote()
    async with market.owner() as exchange, exchange.stream() as stream:
        balances = stream.balances()
        assert {(await anext(balances)).asset for _ in range(2)} == {"ETH", "USDC"}
        await exchange.place(MARKET, "buy", size=1, price=2000)
        assert await anext(balances) == balances["USDC"]


async def test_two_who_follow_the_same_share_one_subscription_and_the_last_one_ends_it(
    market: Market, stream: Stream
):
    first, second = await stream.book(MARKET), await stream.book(MARKET)
    assert subscriptions(market) == 1
    assert await anext(second) is second, "it begins with what is there"
    await first.close()
    await take(market)
    await until(lambda: second.size_at(Decimal(3000)) == 4, "the other one goes on")
    assert not first.is_live
    await second.close()
    await until(lambda: subscriptions(market) == 0, "it was ended at the exchange")
    assert await stream.book(MARKET), "it can be begun again"


async def test_a_subscription_is_over_at_the_end_of_its_block(market: Market, stream: Stream):
    async with stream.trades(MARKET) as trades:
        assert trades.is_live
    assert [trade async for trade in trades] == []
    await until(lambda: subscriptions(market) == 0, "it was ended at the exchange")


async def test_a_block_that_could_not_begin_leaves_no_subscription_behind(market: Market, proxy: ChaosProxy):
    async with Exchange(proxy.url) as exchange, exchange.stream(**QUICK) as stream:
        proxy.hold_answers()
        stream.begin_timeout_s = 0.5
        with pytest.raises(Unreachable, match="did not begin"):
            async with stream.book(MARKET):
                raise AssertionError
        proxy.let_answers()
        await until(lambda: not stream._topics and subscriptions(market) == 0, "nobody follows it")


async def test_an_iteration_that_was_left_goes_on_where_it_was(market: Market, stream: Stream):
    trades = await stream.trades(MARKET)
    for size in ("0.1", "0.2", "0.3"):
        await take(market, size)
    async for trade in trades:
        assert trade.size == Decimal("0.1")
        break
    async for trade in trades:
        assert trade.size == Decimal("0.2")
        break


async def test_more_subscriptions_than_may_be_asked_for_at_once_are_asked_for_little_by_little(
    market: Market, stream: Stream
):
    async with Exchange(market.url, wallet=await market.wallet(ETH=1)) as exchange, exchange.stream() as own:
        names = [own.book, own.bbo, own.trades]
        wanted = [subscribe(symbol) for subscribe in names for symbol in (MARKET, "WBTC-USDC")]
        for _ in range(25):
            for subscription in [await each for each in wanted]:
                await subscription.close()
            wanted = [subscribe(symbol) for subscribe in names for symbol in (MARKET, "WBTC-USDC")]
        assert own.connects == 1
        assert market.running.streams.cuts == {}


# ---- what they are refused


async def test_a_market_that_is_not_there_is_refused_by_its_name(stream: Stream):
    book = stream.book("DOGE-USDC")
    with pytest.raises(UnknownMarket) as refused:
        await book
    assert refused.value.field == "market"
    with pytest.raises(UnknownMarket):
        await anext(book)
    with pytest.raises(UnknownMarket):
        book.require_live()
    assert not book.is_live
    assert (await stream.book(MARKET)).is_live, "others are not concerned"


async def test_an_interval_that_is_not_there_is_refused(stream: Stream):
    with pytest.raises(Invalid):
        await stream.candles(MARKET, "7m")  # type: ignore[arg-type]


async def test_a_sub_account_that_is_not_there_is_refused(market: Market):
    async with market.owner() as exchange, exchange.stream() as stream:
        with pytest.raises(NotFound):
            await stream.orders(sub_account=5)


async def test_what_is_private_needs_a_key(stream: Stream):
    for subscribe in (stream.orders, stream.fills, stream.balances, stream.deposits, stream.withdrawals):
        with pytest.raises(NoCredential):
            subscribe()
    with pytest.raises(NoCredential):
        await stream.trading.cancel_all()


async def test_candles_without_clickhouse_are_unavailable_from_the_start(stream: Stream):
    with pytest.raises(Unavailable):
        await stream.candles(MARKET)


async def test_nothing_can_be_subscribed_to_before_or_after(market: Market):
    async with Exchange(market.url) as exchange:
        stream = exchange.stream()
        with pytest.raises(StreamClosed):
            stream.book(MARKET)
        async with stream:
            pass
        with pytest.raises(StreamClosed):
            stream.book(MARKET)
        with pytest.raises(StreamClosed):
            async with stream:
                pass


async def test_an_exchange_that_is_not_there_is_unreachable(proxy: ChaosProxy):
    proxy.refuses = True
    async with Exchange(proxy.url) as exchange:
        with pytest.raises(Unreachable):
            async with exchange.stream(timeout_s=0.3, **QUICK):
                pass


async def test_iterations_end_with_the_stream(market: Market, proxy: ChaosProxy):
    await market.quote()
    async with Exchange(proxy.url) as exchange:
        async with exchange.stream() as stream:
            trades = await stream.trades(MARKET)
            await take(market)
            await until(lambda: trades.seq == market.running.view.seq or trades._inbox.waiting, "it came")
        assert [trade.size async for trade in trades] == [1], "what waits can still be read"
        with pytest.raises(NotLive):
            trades.require_live()
        await until(lambda: connections(market) == 0, "the connection is closed")


# ---- what they say of themselves


async def test_a_lost_connection_makes_them_stale_and_live_again(
    market: Market, proxy: ChaosProxy, stream: Stream
):
    book = await stream.book(MARKET)
    assert (book.is_live, book.stale_since_ms, book.stale_reason) == (True, None, None)
    async with aclosing(book.with_notices()) as events:
        assert await anext(events) is book
        proxy.refuses = True
        proxy.cut()
        stale = await anext(events)
        assert isinstance(stale, Stale)
        assert not book.is_live
        assert book.stale_since_ms == stale.since_ms
        assert not stream.is_connected
        assert stream.silent_s is None
        with pytest.raises(NotLive) as not_live:
            book.require_live()
        assert not_live.value.since_ms == stale.since_ms
        assert as_text(book)[0] == [("2990", "5")], "what was known can still be asked for"
        await take(market)
        proxy.refuses = False
        live = await anext(events)
        assert isinstance(live, Live)
        assert live.resumed
        assert await anext(events) is book
        assert book.require_live().size_at(Decimal(3000)) == 4
        assert stream.connects == 2


async def test_a_book_that_goes_on_is_current_once_what_was_missed_is_there(
    market: Market, proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "HEARTBEAT_S", 1_000.0)
    await market.quote()
    async with Exchange(proxy.url) as exchange, exchange.stream(silence_s=60.0, **QUICK) as quiet:
        book = await quiet.book(MARKET)
        assert book.is_current
        await take_nothing(market)
        proxy.cut()
        await until(lambda: quiet.connects > 1 and book.is_live, "it goes on")
        assert not book.is_current, "nobody has said yet that nothing is on its way"
        await take(market)
        await until(lambda: book.is_current, "what comes is as new as the connection")


async def test_a_connection_over_which_nothing_comes_any_more_is_given_up(
    market: Market, proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.05)
    async with Exchange(proxy.url) as exchange, exchange.stream(silence_s=0.5, **QUICK) as stream:
        bbo = await stream.bbo(MARKET)
        proxy.hold_answers()
        await until(lambda: not bbo.is_live, "the silence was noticed")
        assert "nothing came for 0.5 s" in (bbo.stale_reason or "")
        proxy.cut()
        proxy.let_answers()
        await until(lambda: bbo.is_live, "it is connected again")


async def test_heartbeats_keep_a_quiet_connection_and_say_how_old_things_are(
    market: Market, proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.05)
    async with Exchange(proxy.url) as exchange, exchange.stream(silence_s=1.0, **QUICK) as stream:
        bbo = await stream.bbo(MARKET)
        await take_nothing(market)
        await until(lambda: bbo.seq == market.running.view.seq, "a heartbeat says that it is as new")
        assert stream.silent_s is not None
        assert stream.silent_s < 1.0
        assert stream.connects == 1


async def take_nothing(market: Market) -> None:
    """Something is committed that concerns no market."""
    await market.wallet(ETH=1)


async def test_a_program_that_was_busy_for_long_does_not_take_its_connection_for_dead(
    market: Market, proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.05)
    async with Exchange(proxy.url) as exchange, exchange.stream(silence_s=0.5, **QUICK) as stream:
        await stream.bbo(MARKET)
        for _ in range(3):
            time.sleep(0.7)  # noqa: ASYNC251 - that is what such programs do
            await asyncio.sleep(0)
        assert stream.connects == 1


async def test_a_book_that_differs_from_the_exchanges_is_found_and_begun_anew(market: Market, stream: Stream):
    book = await stream.book(MARKET)
    async with aclosing(book.with_notices()) as events:
        assert await anext(events) is book
        wrong: tuple[LevelText, ...] = (("2990", "0"), ("2991", "7"))
        book.book._bids.apply(wrong)
        await take(market)
        stale, live = await anext(events), await anext(events)
        assert isinstance(stale, Stale)
        assert "checksum" in stale.reason
        assert isinstance(live, Live)
        assert not live.resumed
        assert await anext(events) is book
    assert as_text(book) == ([("2990", "5")], [("3000", "4"), ("3010", "5")])
    assert stream.connects == 1


async def test_a_hole_is_found_and_what_is_missing_is_asked_for(market: Market, stream: Stream):
    trades = await stream.trades(MARKET)
    await take(market, "0.1")
    assert (await anext(trades)).size == Decimal("0.1")
    topic = trades._topic
    assert topic.seq is not None
    topic.seq -= 1  # as if the newest message had not come
    async with aclosing(trades.with_notices()) as events:
        await take(market, "0.2")
        stale, live, trade = await anext(events), await anext(events), await anext(events)
    assert isinstance(stale, Stale)
    assert "missing" in stale.reason
    assert isinstance(live, Live)
    assert live.resumed
    assert (trade.size, topic.resumed) == (Decimal("0.2"), 1)  # type: ignore[union-attr]


async def test_more_trades_than_are_remembered_leave_a_gap_that_is_told(
    market: Market, proxy: ChaosProxy, stream: Stream, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(feed, "KEPT_TRADES", 55)
    trades = await stream.trades(MARKET)
    await take(market, "0.1")
    assert (await anext(trades)).size == Decimal("0.1")
    proxy.refuses = True
    proxy.cut()
    async with market.owner(await market.wallet(USDC=1_000_000)) as taker:
        for _ in range(60):
            await taker.place(MARKET, "buy", size="0.01", price=3000)
    proxy.refuses = False
    async with aclosing(trades.with_notices()) as events:
        told = [await anext(events) for _ in range(3)]
        assert [type(event) for event in told] == [Stale, Gap, Live]
        assert isinstance(told[1], Gap)
        assert told[1].missed is None
        assert (await anext(events)).trade_id == "12"  # type: ignore[union-attr]


async def test_another_exchange_at_the_same_address_ends_the_stream(
    market: Market, proxy: ChaosProxy, stream: Stream
):
    book = await stream.book(MARKET)
    deployment = await stream.http.deployment()
    stream.http._deployment = msgspec.structs.replace(deployment, genesis_id="0x" + "99" * 32)
    proxy.cut()
    with pytest.raises(WrongDeployment):
        async for _ in book:
            pass
    with pytest.raises(StreamClosed):
        stream.book(MARKET)


# ---- slow readers


async def test_a_reader_that_never_reads_costs_a_bounded_memory(market: Market):
    wallet = Wallet.generate()
    for token, atoms in (("ETH", 10**24), ("USDC", 10**15)):
        asset = market.running.view.asset_by_symbol[token]
        await market.running.deposit(wallet.address.lower(), asset.token, atoms)
    async with Exchange(market.url, wallet=wallet) as exchange, exchange.stream() as stream:
        trades, orders, fills = await stream.trades(MARKET), await stream.orders(), await stream.fills()
        other = await market.wallet(ETH=1_000, USDC=10_000_000)
        async with market.owner(other) as taker:
            for _ in range(15):
                sells = [Place(market=MARKET, side="sell", size="0.001", price=3000) for _ in range(100)]
                assert all(result.ok for result in await exchange.batch(sells))
                buys = [Place(market=MARKET, side="buy", size="0.001", price=3000) for _ in range(100)]
                assert all(result.ok for result in await taker.batch(buys))
        await until(lambda: not orders.open, "the state is as new as the stream, read or not")
        await until(lambda: trades._inbox._dropped == 500, "public updates come at a pace of their own")
        assert trades._inbox.waiting == 1_000
        assert 1_000 <= orders._inbox.waiting <= 1_100
        assert orders.is_behind
        assert fills.is_behind
        assert orders.is_live
        first = await anext(trades.with_notices())
        assert first == Gap(missed=500, reason="the reader was too slow")
        ids = [(await anext(fills)).trade_id for _ in range(1_500)]
        assert ids == [str(number) for number in range(1, 1_501)], "nothing of one's own is left out"
        ended = [order.order_id async for order in _until_ended(orders, 1_500)]
        assert len(set(ended)) == 1_500
        assert stream.connects == 1


async def _until_ended(orders: AsyncIterator[object], wanted: int) -> AsyncIterator[object]:
    async for order in orders:
        if not order.is_open:  # type: ignore[attr-defined]
            yield order
            wanted -= 1
            if not wanted:
                return
