"""Trades, candles and tickers that move with trades and the clock, against a computation from all trades."""

import asyncio
import random

import pytest
from tests.feeds.follower import Follower
from tests.feeds.venue import SECOND_NS, FedExchange, candles_of, ticker_of

from exchange.feeds import feeds as feeds_module
from exchange.feeds.errors import FeedUnavailable
from exchange.feeds.feeds import Feeds
from exchange.feeds.keys import Channel, TopicKey
from exchange.feeds.trades import RecentTrades, TradesTopic
from exchange.feeds.updates import CandlesData, TickerData
from exchange.projections.candles import INTERVALS_S

INTERVALS = sorted(INTERVALS_S)
TICKER = TopicKey(Channel.TICKER, 1)
TRADES = TopicKey(Channel.TRADES, 1)


def candles_key(interval: str) -> TopicKey:
    return TopicKey(Channel.CANDLES, 1, interval)


class Audience:
    """Followers of some topics, some of which stall now and then; fed as the hub would."""

    def __init__(self, venue: FedExchange, chance: random.Random) -> None:
        self.venue = venue
        self.chance = chance
        self.followers: list[Follower] = []

    async def join(self, key: TopicKey) -> Follower:
        follower = Follower(await self.venue.feeds.open(key))
        follower.begin()
        self.followers.append(follower)
        return follower

    def stall_some(self) -> None:
        for follower in self.followers:
            if not follower.stalled:
                follower.stalled = self.chance.random() < 0.2
            elif self.chance.random() < 0.3:
                follower.catch_up()

    def flush(self) -> None:
        for topic, updates in self.venue.feeds.advance():
            for update in updates:
                for follower in self.followers:
                    if follower.topic is topic:
                        follower.offer(update)


@pytest.mark.parametrize("seed", range(6))
async def test_live_candles_are_those_of_all_trades(seed: int) -> None:
    venue, chance = FedExchange(seed), random.Random(seed)
    venue.run(20)
    audience = Audience(venue, chance)
    for step in range(250):
        venue.run(chance.randrange(25))
        venue.pass_time(chance.choice([0, 0, 0, 1, 40, 400, 5_000, 90_000]))
        if step % 10 == 0:
            venue.history.lag = chance.randrange(20)
            await audience.join(candles_key(chance.choice(INTERVALS)))
        audience.stall_some()
        if chance.random() < 0.6:
            audience.flush()
            for follower in audience.followers:
                if not follower.stalled:
                    check_candles(venue, follower)
    assert sum(len(follower.received) for follower in audience.followers) > 500


def check_candles(venue: FedExchange, follower: Follower) -> None:
    interval = follower.topic.key.interval
    expected = {row.open_ms: row for row in candles_of(venue.of_market(1), interval)}
    assert follower.candles.keys() <= expected.keys()
    assert not expected or max(expected) in follower.candles, "the newest is always told"
    for open_ms, live in follower.candles.items():
        assert live.candle == expected[open_ms]
        end_ns = open_ms * 1_000_000 + INTERVALS_S[interval] * SECOND_NS
        assert live.closed == (end_ns <= venue.traffic.time_ns)


async def test_a_candle_is_closed_once_its_interval_is_over_and_never_changes_after() -> None:
    venue = FedExchange(4)
    follower = Follower(await venue.feeds.open(candles_key("1m")))
    follower.begin()
    closed: dict[int, object] = {}
    for _ in range(300):
        venue.run(10)
        for _, updates in venue.feeds.advance():
            for update in updates:
                follower.offer(update)
                assert isinstance(update.data, CandlesData)
                for live in update.data.candles:
                    before = closed.get(live.candle.open_ms)
                    assert before in (None, live)
                    if live.closed:
                        closed[live.candle.open_ms] = live
    assert len(closed) > 20


async def test_time_alone_closes_a_candle_for_whoever_listens_and_whoever_was_away() -> None:
    venue = FedExchange(4)
    topic = await venue.feeds.open(candles_key("1m"))
    while not venue.of_market(1):
        venue.run(10)
    venue.feeds.advance()
    listens, away = Follower(topic), Follower(topic)
    listens.begin()
    away.begin()
    away.stalled = True
    venue.pass_time(60)
    [(_, [update])] = venue.feeds.advance()
    listens.offer(update)
    assert (update.prev_seq, update.seq) == (venue.view.seq, venue.view.seq)
    assert update.time_ns == venue.traffic.time_ns
    assert venue.feeds.advance() == [], "it is told once"
    away.catch_up()
    assert away.candles == listens.candles
    assert list(away.candles.values())[-1].closed


async def test_who_missed_that_a_candle_closed_hears_of_it_with_the_next_one() -> None:
    venue = FedExchange(4)
    topic = await venue.feeds.open(candles_key("1m"))
    while not venue.of_market(1):
        venue.run(10)
    venue.feeds.advance()
    deaf = Follower(topic)
    deaf.begin()
    venue.pass_time(60)
    assert venue.feeds.advance()
    count = len(venue.of_market(1))
    while len(venue.of_market(1)) == count:
        venue.run(1)
    for _, updates in venue.feeds.advance():
        for update in updates:
            deaf.offer(update)
    check_candles(venue, deaf)


def ahead(venue: FedExchange) -> None:
    """ClickHouse has trades of commands that are not released yet."""
    while len(venue.committed_trades()) < len(venue.trades) + 20:
        venue.traffic.step()
    venue.history.is_ahead = True


@pytest.mark.parametrize("key", [TICKER, candles_key("1h")], ids=["ticker", "candles"])
async def test_a_stream_for_which_clickhouse_is_ahead_of_the_view_begins_when_that_has_come_as_far(
    key: TopicKey,
) -> None:
    """Else it would say less in its seq than it has."""
    venue = FedExchange(4)
    venue.run(200)
    ahead(venue)
    opening = asyncio.create_task(venue.feeds.open(key))
    for _ in range(10):
        await asyncio.sleep(0)
        venue.feeds.advance()
    assert venue.history.reads
    assert not opening.done()
    venue.release(venue.feeds)
    follower = Follower(await opening)
    follower.begin()
    assert follower.seq == venue.view.seq
    check_ticker(venue, follower) if key is TICKER else check_candles(venue, follower)
    venue.history.is_ahead = False
    venue.run(50)
    for _, updates in venue.feeds.advance():
        for update in updates:
            follower.offer(update)
    check_ticker(venue, follower) if key is TICKER else check_candles(venue, follower)


@pytest.mark.parametrize("key", [TICKER, candles_key("1h")], ids=["ticker", "candles"])
async def test_a_view_that_stays_behind_clickhouse_begins_no_stream(
    monkeypatch: pytest.MonkeyPatch, key: TopicKey
) -> None:
    monkeypatch.setattr(feeds_module, "RELEASE_TIMEOUT_S", 0.01)
    venue = FedExchange(4)
    venue.run(200)
    ahead(venue)
    with pytest.raises(FeedUnavailable, match="is ahead"):
        await venue.feeds.open(key)
    venue.release(venue.feeds)
    assert await venue.feeds.open(key)


async def test_trades_that_clickhouse_had_before_the_view_are_told_once_they_are_released() -> None:
    venue = FedExchange(4)
    venue.run(200)
    released = venue.of_market(1)
    ahead(venue)
    follower = Follower(await venue.feeds.open(TRADES))
    follower.begin()
    assert follower.trades == released[-50:]
    venue.release(venue.feeds)
    for _, updates in venue.feeds.advance():
        for update in updates:
            follower.offer(update)
    assert follower.trades == [*released[-50:], *venue.of_market(1)[len(released) :]]


@pytest.mark.parametrize("key", [TICKER, candles_key("1h"), TRADES], ids=["ticker", "candles", "trades"])
async def test_a_stream_has_no_gap_when_much_happens_while_clickhouse_is_read(key: TopicKey) -> None:
    venue = FedExchange(4)
    venue.feeds._recent = RecentTrades(venue.view.seq, capacity=20)
    venue.run(300)
    venue.feeds.drain()
    venue.history.lag = 0

    def much_happens() -> None:
        count = len(venue.of_market(1))
        while len(venue.of_market(1)) < count + 60:
            venue.run(20)
        venue.feeds.drain()

    venue.history.meanwhile = much_happens
    if key is not TRADES:
        with pytest.raises(FeedUnavailable):
            await venue.feeds.open(key)
        return
    follower = Follower(await venue.feeds.open(key))
    follower.begin()
    assert follower.trades == venue.of_market(1)[-len(follower.trades) :]
    assert follower.trades


@pytest.mark.parametrize("seed", range(6))
async def test_a_live_ticker_is_that_of_all_trades(seed: int) -> None:
    venue, chance = FedExchange(seed), random.Random(seed)
    venue.run(20)
    audience = Audience(venue, chance)
    for step in range(250):
        venue.run(chance.randrange(25))
        venue.pass_time(chance.choice([0, 0, 0, 1, 40, 600, 8_000, 90_000]))
        if step % 25 == 0:
            venue.history.lag = chance.randrange(20)
            await audience.join(TICKER)
            for follower in audience.followers[:-1]:
                if chance.random() < 0.1:
                    follower.begin()
        audience.stall_some()
        if chance.random() < 0.6:
            audience.flush()
            for follower in audience.followers:
                if not follower.stalled:
                    check_ticker(venue, follower)
    assert sum(len(follower.received) for follower in audience.followers) > 500


@pytest.mark.parametrize("seed", range(10))
async def test_a_ticker_that_begins_late_is_that_of_all_trades(seed: int) -> None:
    venue, chance = FedExchange(seed), random.Random(seed)
    venue.run(20)
    for _ in range(30):
        venue.run(chance.randrange(25))
        venue.pass_time(chance.choice([0, 40, 8_000, 90_000]))
    venue.history.lag = chance.randrange(20)
    follower = Follower(await venue.feeds.open(TICKER))
    follower.begin()
    check_ticker(venue, follower)


def check_ticker(venue: FedExchange, follower: Follower) -> None:
    told = follower.ticker
    assert told is not None
    expected = ticker_of(venue.of_market(1), venue.traffic.time_ns)
    assert (told.row is None) == (expected is None)
    if told.row is not None and expected is not None:
        assert (told.open_ms, told.close_ms) == (expected.open_ms, expected.close_ms)
        for name in TICKER_FIELDS:
            assert getattr(told.row, name) == getattr(expected, name), name
    bids, asks = venue.view.depth(1, 1)
    assert (told.bid, told.ask) == (bids[0] if bids else None, asks[0] if asks else None)


TICKER_FIELDS = (
    *("open_ms", "close_ms", "open_ticks", "high_ticks", "low_ticks", "close_ticks"),
    *("base_atoms", "quote_atoms", "trades"),
)


async def test_a_tickers_window_slides_without_a_trade() -> None:
    venue = FedExchange(4)
    follower = Follower(await venue.feeds.open(TICKER))
    follower.begin()
    venue.run(500)
    for _, [update] in venue.feeds.advance():
        follower.offer(update)
    venue.pass_time(86_400)
    [(_, [update])] = venue.feeds.advance()
    assert update.prev_seq == update.seq == venue.view.seq
    assert isinstance(update.data, TickerData)
    row = update.data.row
    assert row is not None
    assert row.open_ticks == row.high_ticks == row.low_ticks == row.close_ticks
    assert (row.base_atoms, row.trades) == (0, 0)
    assert follower.topic.since(update.seq) == [update], "whoever was away at that time gets it"


@pytest.mark.parametrize("seed", range(4))
async def test_trades_are_told_each_once_in_their_order(seed: int) -> None:
    venue, chance = FedExchange(seed), random.Random(seed)
    venue.run(20)
    audience = Audience(venue, chance)
    for step in range(250):
        venue.run(chance.randrange(25))
        if step % 25 == 0:
            venue.history.lag = chance.randrange(20)
            await audience.join(TRADES)
        audience.stall_some()
        if chance.random() < 0.6:
            audience.flush()
            expected = venue.of_market(1)
            for follower in audience.followers:
                if not follower.stalled:
                    assert follower.trades == expected[-len(follower.trades) or len(expected) :]
                    assert len(follower.trades) >= min(50, len(expected))
    assert all(follower.snapshots == 1 for follower in audience.followers)


async def test_who_missed_more_than_a_thousand_trades_gets_a_snapshot() -> None:
    venue = FedExchange(4)
    topic = await venue.feeds.open(TRADES)
    began = topic.seq
    while len(venue.of_market(1)) < 1_000:
        venue.run(5)
        venue.feeds.advance()
    assert topic.since(began) is not None
    while len(venue.of_market(1)) <= 1_300:
        venue.run(5)
        venue.feeds.advance()
    assert topic.since(began) is None
    trades = venue.of_market(1)
    cursor = trades[-900].seq
    [merged] = topic.since(cursor) or []
    assert merged.data.trades == tuple(trade for trade in trades if trade.seq > cursor)  # type: ignore[union-attr]


@pytest.mark.parametrize("key", [TICKER, candles_key("1h")], ids=["ticker", "candles"])
async def test_once_live_a_stream_needs_clickhouse_no_more(key: TopicKey) -> None:
    venue = FedExchange(4)
    venue.run(300)
    venue.history.is_away = True
    with pytest.raises(FeedUnavailable):
        await venue.feeds.open(key)
    venue.history.is_away = False
    follower = Follower(await venue.feeds.open(key))
    follower.begin()
    venue.history.is_away = True
    venue.run(500)
    for _, [update] in venue.feeds.advance():
        follower.offer(update)
    check_ticker(venue, follower) if key is TICKER else check_candles(venue, follower)
    assert await venue.feeds.open(key) is follower.topic


@pytest.mark.parametrize("key", [TICKER, candles_key("1h")], ids=["ticker", "candles"])
async def test_a_stream_does_not_begin_with_a_gap(key: TopicKey) -> None:
    """ClickHouse is behind what is remembered: between the two there may be trades."""
    venue = FedExchange(4)
    venue.feeds._recent = RecentTrades(venue.view.seq, capacity=20)
    while len(venue.trades) < 60:
        venue.run(10)
    venue.feeds.drain()
    venue.history.lag = venue.view.seq - venue.trades[8].seq
    with pytest.raises(FeedUnavailable):
        await venue.feeds.open(key)
    venue.history.lag = venue.view.seq - venue.trades[-20].seq
    assert await venue.feeds.open(key)


async def test_trades_begin_with_those_in_memory_when_clickhouse_is_away() -> None:
    venue = FedExchange(4)
    venue.run(300)
    venue.history.is_away = True
    topic = await venue.feeds.open(TRADES)
    assert topic.snapshot().data.trades == tuple(venue.of_market(1)[-50:])  # type: ignore[union-attr]


@pytest.mark.parametrize("key", [TICKER, candles_key("1h"), TRADES], ids=["ticker", "candles", "trades"])
async def test_many_who_ask_at_once_share_one_read(key: TopicKey) -> None:
    venue = FedExchange(4)
    venue.run(300)
    topics = await asyncio.gather(*(venue.feeds.open(key) for _ in range(50)))
    assert len(set(topics)) == 1
    assert (topics[0].subscribers, venue.history.reads) == (50, 1)


def restarted(venue: FedExchange) -> Feeds:
    """Feeds that remember nothing of what was before."""
    venue.feeds = Feeds(venue.view, venue.history, lambda: venue.traffic.time_ns)
    return venue.feeds


@pytest.mark.parametrize("commands", [0, 30, 90])
async def test_trades_that_began_without_a_past_get_it_once_clickhouse_is_back(
    monkeypatch: pytest.MonkeyPatch, commands: int
) -> None:
    monkeypatch.setattr(feeds_module, "PAST_RETRY_S", 0.0)
    venue = FedExchange(4)
    venue.run(500)
    feeds = restarted(venue)
    began = venue.view.seq
    venue.history.is_away = True
    early = Follower(await feeds.open(TRADES))
    early.begin()
    assert early.trades == []
    venue.run(commands)
    for _, updates in feeds.advance():
        for update in updates:
            early.offer(update)
    since = [trade for trade in venue.of_market(1) if trade.seq > began]
    assert len(since) < 50
    assert early.trades == since
    venue.history.is_away = False
    again = Follower(await feeds.open(TRADES))
    assert again.topic is early.topic
    again.begin()
    assert again.trades[-50:] == venue.of_market(1)[-50:]
    reads = venue.history.reads
    assert await feeds.open(TRADES) is again.topic
    assert venue.history.reads == reads
    venue.run(200)
    for _, updates in feeds.advance():
        for update in updates:
            early.offer(update)
            again.offer(update)
    assert early.trades == [trade for trade in venue.of_market(1) if trade.seq > began]
    [merged] = again.topic.since(began) or []
    assert merged.data.trades == tuple(early.trades)  # type: ignore[union-attr]
    again.begin()
    assert again.trades == venue.of_market(1)[-50:]


async def test_who_comes_soon_after_a_failed_read_does_not_wait_for_another() -> None:
    venue = FedExchange(4)
    venue.run(300)
    feeds = restarted(venue)
    venue.history.is_away = True
    topic = await feeds.open(TRADES)
    venue.history.is_stuck = True
    assert await feeds.open(TRADES) is topic
    assert venue.history.reads == 1


async def test_trades_need_no_older_ones_once_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds_module, "PAST_RETRY_S", 0.0)
    venue = FedExchange(4)
    feeds = restarted(venue)
    venue.history.is_away = True
    topic = await feeds.open(TRADES)
    while len(venue.of_market(1)) < 60:
        venue.run(10)
    feeds.advance()
    venue.history.is_away = False
    assert await feeds.open(TRADES) is topic
    assert venue.history.reads == 1


async def test_a_stream_of_trades_that_ends_while_its_past_is_read_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feeds_module, "PAST_RETRY_S", 0.0)
    venue = FedExchange(4)
    venue.run(300)
    feeds = restarted(venue)
    venue.history.is_away = True
    topic = await feeds.open(TRADES)
    feeds.close(topic)
    venue.history.is_away = False

    def it_expires() -> None:
        feeds.expire(0.0)
        feeds.expire(1_000.0)

    venue.history.meanwhile = it_expires
    follower = Follower(await feeds.open(TRADES))
    assert follower.topic is not topic
    follower.begin()
    assert follower.trades == venue.of_market(1)[-50:]


async def test_a_clickhouse_that_never_answers_keeps_nobody_waiting_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feeds_module, "BEGIN_TIMEOUT_S", 0.01)
    monkeypatch.setattr(feeds_module, "PAST_TIMEOUT_S", 0.01)
    venue = FedExchange(4)
    venue.run(300)
    venue.history.is_stuck = True
    opened = [venue.feeds.open(key) for key in (TICKER, TICKER, candles_key("1m"), TRADES, TRADES)]
    *unavailable, one, same = await asyncio.gather(*opened, return_exceptions=True)
    assert [type(error) for error in unavailable] == [FeedUnavailable] * 3
    assert one is same
    assert isinstance(one, TradesTopic)
    assert one.snapshot().data.trades == tuple(venue.of_market(1)[-50:])  # type: ignore[union-attr]


async def test_a_market_in_which_nothing_happens_is_told_of_only_when_a_minute_is_over() -> None:
    venue = FedExchange(4)
    venue.run(100)
    keys = [TICKER, TRADES, candles_key("1m"), TopicKey(Channel.BOOK, 1), TopicKey(Channel.BBO, 1)]
    for key in keys:
        await venue.feeds.open(key)
    began_ns = venue.traffic.time_ns
    told = []
    while venue.traffic.time_ns < began_ns + 300 * SECOND_NS:
        venue.pass_time(1)
        told += [topic.key for topic, _ in venue.feeds.advance()]
    assert told.count(TICKER) == 5
    assert told.count(candles_key("1m")) == 1
    assert len(told) == 6
