"""Streams that begin with what the real ClickHouse has, while the projection follows and traffic goes on."""

import asyncio
from typing import Any

import asyncpg
import pytest
from tests.feeds.follower import Follower
from tests.projections.conftest import JournaledExchange
from tests.projections.following import expected_candles, running
from tests.projections.following import follower as projection_of

from exchange.feeds import feeds as feeds_module
from exchange.feeds import history as history_module
from exchange.feeds.errors import FeedUnavailable
from exchange.feeds.feeds import Feeds
from exchange.feeds.history import ClickHouseHistory
from exchange.feeds.keys import Channel, TopicKey
from exchange.feeds.updates import PublicTrade, TickerData
from exchange.projections.candles import INTERVALS_S, candles
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.tickers import tickers
from exchange.projections.trades import trades_page
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.row import Committed
from exchange.stores.clickhouse import MAX_WAITING, READERS, ClickHouse

CANDLES = [TopicKey(Channel.CANDLES, 1, interval) for interval in INTERVALS_S]
TICKER, TRADES = TopicKey(Channel.TICKER, 1), TopicKey(Channel.TRADES, 1)


PATIENCE_S = 30.0


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream may begin late here: users have to be told soon, tests need not be."""
    monkeypatch.setattr(history_module, "FOLLOW_TIMEOUT_S", PATIENCE_S)
    for name in ("PAST_TIMEOUT_S", "RELEASE_TIMEOUT_S", "BEGIN_TIMEOUT_S"):
        monkeypatch.setattr(feeds_module, name, PATIENCE_S)


class FedJournal:
    """Releases what the journaled exchange has done to a view, and to feeds on it."""

    def __init__(
        self, journaled: JournaledExchange, clickhouse: ClickHouse, projection: ClickHouseProjection
    ) -> None:
        self.journaled = journaled
        self.view = CommittedView("0x" + "11" * 32)
        self._feeds: Feeds | None = None
        self.release()
        history = ClickHouseHistory(clickhouse, projection)
        self._feeds = self.feeds = Feeds(self.view, history, lambda: journaled.time_ns)

    def release(self) -> None:
        done = self.journaled.events
        while (seq := self.view.seq) < len(done):
            time_ns = done[seq][0]
            events = []
            for at_ns, of_command in done[seq:]:
                if at_ns != time_ns:
                    break
                events.append(of_command)
            self.view.advance(seq + len(events), time_ns, events)
            if self._feeds is not None:
                self._feeds.committed(Committed(seq + 1, self.view.seq, time_ns, events))


@pytest.mark.parametrize("seed", [1, 2])
async def test_streams_that_begin_with_clickhouse_go_on_as_clickhouse_does(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse, seed: int
) -> None:
    async with running(projection_of(pool, journaled, clickhouse)) as projection:
        await journaled.random_batches(seed, batches=20)
        exchange = FedJournal(journaled, clickhouse, projection)
        followers: dict[TopicKey, Follower] = {}
        for key in (*CANDLES, TICKER, TRADES):
            await journaled.random_batches(seed, batches=3)
            exchange.release()
            followers[key] = Follower(await exchange.feeds.open(key))
            followers[key].begin()
        for _ in range(4):
            await journaled.random_batches(seed, batches=5)
            exchange.release()
            for topic, updates in exchange.feeds.advance():
                for update in updates:
                    followers[topic.key].offer(update)
            assert await projection.reached(exchange.view.seq, 20)
            await check(exchange, clickhouse, followers)


async def check(exchange: FedJournal, clickhouse: ClickHouse, followers: dict[TopicKey, Follower]) -> None:
    seq = exchange.view.seq
    for key in CANDLES:
        told = followers[key].candles
        rows = (await candles(clickhouse, seq, 1, key.interval, limit=1_000)).items
        if key.interval == "1s":  # it forgets those at once: the traffic is older than they are kept
            rows = expected_candles(exchange.journaled, "1s")
        expected = {row.open_ms: row for row in rows if row.open_ms >= min(told)}
        assert {open_ms: live.candle for open_ms, live in told.items()} == expected
    ticker = followers[TICKER].ticker
    assert isinstance(ticker, TickerData)
    found = await tickers(clickhouse, seq, [1], exchange.journaled.time_ns // 1_000_000)
    assert ticker.row == found.items[1]
    page = await trades_page(clickhouse, seq, 1, limit=1_000)
    told_trades = followers[TRADES].trades
    newest = page.items[: len(told_trades)][::-1]
    assert [as_tuple(trade) for trade in told_trades] == [as_tuple(row) for row in newest]
    assert len(told_trades) > 50


def as_tuple(trade: object) -> tuple[object, ...]:
    return tuple(getattr(trade, name) for name in PublicTrade.__struct_fields__)


async def test_a_clickhouse_that_is_behind_or_being_emptied_begins_no_stream(
    pool: asyncpg.Pool,
    journaled: JournaledExchange,
    clickhouse: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history_module, "FOLLOW_TIMEOUT_S", 0.05)
    await journaled.random_batches(3, batches=10)
    projection = projection_of(pool, journaled, clickhouse)
    exchange = FedJournal(journaled, clickhouse, projection)
    for key in (CANDLES[0], TICKER):
        with pytest.raises(FeedUnavailable, match="too far behind"):
            await exchange.feeds.open(key)
    assert (await exchange.feeds.open(TRADES)).snapshot().seq == exchange.view.seq
    async with running(projection):
        assert await projection.reached(exchange.view.seq, 20)
        for key in (CANDLES[0], TICKER):
            assert await exchange.feeds.open(key)


@pytest.mark.parametrize("key", [CANDLES[1], TICKER], ids=["candles", "ticker"])
async def test_trades_of_commits_whose_answer_is_late_are_in_no_snapshot_of_an_earlier_seq(
    pool: asyncpg.Pool,
    journaled: JournaledExchange,
    clickhouse: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
    key: TopicKey,
) -> None:
    async with running(projection_of(pool, journaled, clickhouse)) as projection:
        await journaled.random_batches(3, batches=10)
        exchange = FedJournal(journaled, clickhouse, projection)
        await journaled.random_batches(3, batches=10)  # committed, but not released
        assert await projection.reached(journaled.state.seq, 20)
        reached = exchange.view.reached

        async def answered(seq: int, timeout_s: float) -> bool:
            exchange.release()
            return await reached(seq, timeout_s)

        monkeypatch.setattr(exchange.view, "reached", answered)
        snapshot = (await exchange.feeds.open(key)).snapshot()
        last = [trade for _, trade in journaled.trades if trade.market_id == 1][-1]
        row = snapshot.data.row if key is TICKER else snapshot.data.candles[-1].candle  # type: ignore[union-attr]
        assert row.last_trade_id == last.trade_id  # type: ignore[union-attr]
        assert snapshot.seq == journaled.state.seq


async def test_a_crowd_that_comes_at_once_begins_with_the_trades_in_clickhouse(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    """More than may wait for ClickHouse."""
    async with running(projection_of(pool, journaled, clickhouse)) as projection:
        await journaled.random_batches(3, batches=20)
        exchange = FedJournal(journaled, clickhouse, projection)
        opened = [exchange.feeds.open(TRADES) for _ in range(READERS * MAX_WAITING + 10)]
        [topic] = set(await asyncio.gather(*opened))
        page = await trades_page(clickhouse, exchange.view.seq, 1, limit=50)
        found = [as_tuple(trade) for trade in topic.snapshot().data.trades]  # type: ignore[union-attr]
        assert found == [as_tuple(row) for row in page.items[::-1]]
        assert found


@pytest.mark.parametrize("key", [CANDLES[1], TICKER], ids=["candles", "ticker"])
async def test_what_was_read_while_clickhouse_was_emptied_begins_no_stream(
    pool: asyncpg.Pool,
    journaled: JournaledExchange,
    clickhouse: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
    key: TopicKey,
) -> None:
    """Even when all is there again before the answer is."""
    await journaled.random_batches(3, batches=10)
    projection = projection_of(pool, journaled, clickhouse)
    async with running(projection):
        assert await projection.reached(journaled.state.seq, 20)
    exchange = FedJournal(journaled, clickhouse, projection)
    query = clickhouse.query

    async def late(*asked: Any, **more: Any) -> Any:
        found = await query(*asked, **more)
        monkeypatch.undo()
        await projection.reset()
        async with running(projection):
            assert await projection.reached(journaled.state.seq, 20)
        return found

    monkeypatch.setattr(clickhouse, "query", late)
    with pytest.raises(FeedUnavailable, match="filled again"):
        await exchange.feeds.open(key)
    assert await exchange.feeds.open(key)


async def test_a_clickhouse_that_is_gone_begins_no_stream_and_ends_none(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    await journaled.random_batches(3, batches=10)
    async with running(projection_of(pool, journaled, clickhouse)) as projection:
        exchange = FedJournal(journaled, clickhouse, projection)
        topic = await exchange.feeds.open(TICKER)
        gone = ClickHouse(url="http://127.0.0.1:9/")
        exchange.feeds._history = ClickHouseHistory(gone, projection)
        for key in CANDLES[:2]:
            with pytest.raises(FeedUnavailable, match="does not answer"):
                await exchange.feeds.open(key)
        await gone.close()
        await journaled.random_batches(4, batches=10)
        exchange.release()
        assert [handed for handed, _ in exchange.feeds.advance()] == [topic]
        assert await exchange.feeds.open(TICKER) is topic


async def test_a_reader_that_gives_up_leaves_the_stream_to_the_others(
    pool: asyncpg.Pool, journaled: JournaledExchange, clickhouse: ClickHouse
) -> None:
    async with running(projection_of(pool, journaled, clickhouse)) as projection:
        exchange = FedJournal(journaled, clickhouse, projection)
        gives_up = asyncio.create_task(exchange.feeds.open(TICKER))
        stays = asyncio.create_task(exchange.feeds.open(TICKER))
        await asyncio.sleep(0)
        gives_up.cancel()
        topic = await stays
        assert gives_up.cancelled()
        assert topic.subscribers == 1
