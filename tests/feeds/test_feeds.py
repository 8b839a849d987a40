"""What holds for all streams: what is remembered and for how long, and what happens after an error."""

import random
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from tests.feeds.follower import Follower
from tests.feeds.venue import FedExchange

from exchange.feeds import feeds as feeds_module
from exchange.feeds.errors import FeedsOverrun, FeedUnavailable, FoldFailed
from exchange.feeds.feeds import Feeds
from exchange.feeds.keys import PRIVATE_CHANNELS, Channel, TopicKey
from exchange.sequencer.row import Committed

ALICE = 1_000
ALL = [
    TopicKey(channel, account_id=ALICE)
    if channel in PRIVATE_CHANNELS
    else TopicKey(channel, 1, "1m" if channel is Channel.CANDLES else "")
    for channel in Channel
]


def by_channel(key: TopicKey) -> str:
    return key.channel


@pytest.mark.parametrize("seed", range(3))
async def test_in_every_stream_each_update_continues_the_one_before(seed: int) -> None:
    """However drains, flushes, snapshots and catching up follow each other; nothing is handed out twice."""
    venue, chance = FedExchange(seed), random.Random(seed)
    venue.run(100)
    seqs = {}
    for key in ALL:
        topic = await venue.feeds.open(key)
        seqs[topic] = topic.snapshot().seq
    told = dict.fromkeys(seqs, 0)
    for _ in range(400):
        venue.run(chance.randrange(10))
        venue.pass_time(chance.choice([0, 0, 0, 30]))
        for topic in chance.sample(sorted(seqs, key=lambda topic: topic.key), 3):
            chance.choice([topic.snapshot, lambda topic=topic: topic.since(0)])()
        handed = venue.feeds.advance() if chance.random() < 0.5 else venue.feeds.drain()
        for topic, updates in handed:
            for update in updates:
                assert update.prev_seq == seqs[topic]
                assert update.seq >= update.prev_seq
                seqs[topic] = update.seq
                told[topic] += 1
            assert topic.seq == seqs[topic]
    venue.feeds.advance()
    assert all(topic.since(topic.seq) is not None for topic in seqs)
    assert min(told.values()) >= 1
    assert sum(told.values()) > 1_000


@pytest.mark.parametrize("key", ALL, ids=by_channel)
async def test_who_comes_to_a_stream_that_others_follow_disturbs_none_of_them(key: TopicKey) -> None:
    venue = FedExchange(1)
    topic = await venue.feeds.open(key)
    first = Follower(topic)
    first.begin()
    for _ in range(40):
        venue.run(25)
        again = await venue.feeds.open(key)
        assert again is topic
        newcomer = Follower(again)
        newcomer.begin()
        for _, updates in venue.feeds.advance():
            for update in updates:
                first.offer(update)
                newcomer.offer(update)
        assert first.seq == newcomer.seq == topic.seq
    assert first.snapshots == 1


@pytest.mark.parametrize("key", ALL, ids=by_channel)
async def test_a_topic_is_kept_for_a_while_and_then_it_is_gone(key: TopicKey) -> None:
    venue = FedExchange(1)
    kept_s = feeds_module.PRIVATE_KEPT_S if key.is_private else feeds_module.PUBLIC_KEPT_S
    topic = await venue.feeds.open(key)
    assert await venue.feeds.open(key) is topic
    venue.feeds.close(topic)
    venue.feeds.expire(0.0)
    venue.feeds.expire(10 * kept_s)
    assert await venue.feeds.open(key) is topic, "somebody was there all the time"
    venue.feeds.close(topic)
    venue.feeds.close(topic)
    venue.feeds.expire(1_000.0)
    venue.feeds.expire(1_000.0 + kept_s - 1)
    assert await venue.feeds.open(key) is topic
    venue.feeds.close(topic)
    venue.feeds.expire(2_000.0)
    venue.feeds.expire(2_000.0 + kept_s)
    assert await venue.feeds.open(key) is not topic


async def test_when_all_have_gone_nothing_is_left() -> None:
    venue = FedExchange(1)
    for key in ALL:
        venue.feeds.close(await venue.feeds.open(key))
    venue.run(200)
    venue.feeds.advance()
    venue.feeds.expire(0.0)
    venue.feeds.expire(1e6)
    venue.run(200)
    assert venue.feeds.advance() == []
    assert not venue.feeds._topics
    assert not venue.feeds._markets
    assert not venue.feeds._accounts
    with pytest.raises(AssertionError):
        venue.view.take_touched(1)  # nobody watches


async def test_of_topics_without_subscribers_there_are_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds_module, "MAX_IDLE", 3)
    venue = FedExchange(1)
    topics = [await venue.feeds.open(key) for key in ALL]
    for topic in topics:
        venue.feeds.close(topic)
    kept = [topic for topic in topics if await venue.feeds.open(topic.key) is topic]
    assert kept == topics[-3:]


async def test_batches_that_nobody_drains_are_dropped_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feeds_module, "MAX_QUEUED", 10)
    venue = FedExchange(1)
    topic = await venue.feeds.open(TopicKey(Channel.ORDERS, account_id=ALICE))
    while not venue.feeds._overrun:
        venue.run(10)
        assert len(venue.feeds._queue) <= 10
    with pytest.raises(FeedsOverrun):
        venue.feeds.drain()
    with pytest.raises(FeedsOverrun):
        topic.snapshot()
    venue.feeds.reset()
    follower = Follower(await venue.feeds.open(topic.key))
    follower.begin()
    follower.check_orders(venue.view)


def commit_what_fails(venue: FedExchange) -> None:
    """The next time that somebody takes it in."""

    def fail_once(_: object) -> None:
        del venue.feeds._accounts._folds[type(None)]
        raise ZeroDivisionError

    venue.feeds.committed(Committed(1, 1, 0, [[None]]))  # type: ignore[list-item]
    venue.feeds._accounts._folds[type(None)] = fail_once


FOLLOWED = TopicKey(Channel.BOOK, 1), TopicKey(Channel.ORDERS, account_id=ALICE)
NOT_FOLLOWED = [key for key in ALL if key not in FOLLOWED]


async def all_that_takes_in(venue: FedExchange) -> list[Callable[[], Awaitable[object]]]:
    """Whatever needs everything that was committed."""
    topics = [await venue.feeds.open(key) for key in FOLLOWED]

    def later(call: Callable[..., object], *given: object) -> Callable[[], Awaitable[object]]:
        async def run() -> object:
            return call(*given)

        return run

    return [
        later(venue.feeds.drain),
        later(venue.feeds.advance),
        *(later(topic.snapshot) for topic in topics),
        *(later(topic.since, 0) for topic in topics),
        *(partial(venue.feeds.open, key) for key in NOT_FOLLOWED),
    ]


@pytest.mark.parametrize("first", range(6 + len(NOT_FOLLOWED)))
async def test_whoever_meets_a_failure_all_have_to_begin_anew(first: int) -> None:
    """The rest of the batch is lost: nobody is given what follows it as if nothing were missing."""
    venue = FedExchange(1)
    asked = await all_that_takes_in(venue)
    commit_what_fails(venue)
    venue.run(100)
    venue.feeds.woken.clear()
    with pytest.raises(ZeroDivisionError):
        await asked[first]()
    assert venue.feeds.woken.is_set(), "the hub hears of it"
    venue.run(100)
    for ask in [*asked, *(partial(venue.feeds.open, key) for key in FOLLOWED)]:
        with pytest.raises(FoldFailed) as caught:
            await ask()
        assert type(caught.value.__cause__) is ZeroDivisionError
    venue.feeds.reset()
    assert venue.feeds.drain() == []
    for key in ALL:
        assert (await venue.feeds.open(key)).snapshot().seq == venue.view.seq


async def test_a_flush_that_fails_is_a_failure_too() -> None:
    venue = FedExchange(1)
    topic = await venue.feeds.open(TopicKey(Channel.BOOK, 1))
    topic.change = lambda *_: 1 // 0  # type: ignore[attr-defined]
    depth = venue.view.depth(1, None)
    while venue.view.depth(1, None) == depth:
        venue.run(1)
    with pytest.raises(ZeroDivisionError):
        topic.since(topic.seq)
    del topic.change  # type: ignore[attr-defined]
    with pytest.raises(FoldFailed):  # what the view said had changed is gone
        venue.feeds.drain()


async def test_after_a_failure_all_streams_begin_anew_from_the_view() -> None:
    venue = FedExchange(1)
    old = [await venue.feeds.open(key) for key in ALL]
    venue.run(300)
    commit_what_fails(venue)
    with pytest.raises(ZeroDivisionError):
        venue.feeds.drain()
    venue.feeds.reset()
    with pytest.raises(AssertionError):
        venue.view.take_touched(1)  # nobody watches
    venue.feeds.expire(0.0)
    assert venue.feeds.advance() == []
    followers = {}
    for key in ALL:
        follower = Follower(await venue.feeds.open(key))
        assert follower.topic not in old
        follower.begin()
        followers[key] = follower
    for _ in range(30):
        venue.run(30)
        for topic, updates in venue.feeds.advance():
            for update in updates:
                followers[topic.key].offer(update)
        by_name = {key.channel: follower for key, follower in followers.items()}
        by_name[Channel.BOOK].check_book(venue.view)
        by_name[Channel.ORDERS].check_orders(venue.view)
        by_name[Channel.BALANCES].check_balances(venue.view)
    assert len({topic.key for topic in old}) == len(ALL)


@pytest.mark.parametrize("key", ALL, ids=by_channel)
async def test_without_clickhouse_only_candles_and_tickers_are_unavailable(key: TopicKey) -> None:
    venue = FedExchange(1)
    feeds = Feeds(venue.view, None, lambda: venue.traffic.time_ns)
    if key.channel in {Channel.CANDLES, Channel.TICKER}:
        with pytest.raises(FeedUnavailable) as caught:
            await feeds.open(key)
        assert caught.value.key == key
    else:
        assert (await feeds.open(key)).snapshot().key == key
