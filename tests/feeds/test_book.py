import random

import pytest
from tests.feeds.follower import Follower
from tests.feeds.venue import FedExchange

from exchange.feeds import book as book_module
from exchange.feeds.book import BookTopic
from exchange.feeds.keys import Channel, TopicKey
from exchange.feeds.updates import BboData, BookData

BOOK = TopicKey(Channel.BOOK, 1)


@pytest.mark.parametrize("seed", range(5))
async def test_a_book_put_together_from_updates_is_the_books_at_the_same_seq(seed: int) -> None:
    venue = FedExchange(seed)
    topic = await venue.feeds.open(BOOK)
    steady = Follower(topic)
    steady.begin()
    for _ in range(100):
        venue.run(20)
        for handed, updates in venue.feeds.advance():
            assert handed is topic
            for update in updates:
                steady.offer(update)
        assert steady.seq == topic.seq
        steady.check_book(venue.view)
    assert steady.snapshots == 1
    assert sum(isinstance(u.data, BookData) for u in steady.received) > 50


@pytest.mark.parametrize("seed", range(5))
async def test_a_book_is_right_after_any_stall_and_for_whoever_comes_amid_a_flush(seed: int) -> None:
    venue, chance = FedExchange(seed), random.Random(seed)
    topic = await venue.feeds.open(BOOK)
    followers: list[Follower] = []
    for _ in range(150):
        venue.run(chance.randrange(30))
        if chance.random() < 0.2:
            newcomer = Follower(topic)
            newcomer.begin()
            followers.append(newcomer)
        for follower in followers:
            if chance.random() < 0.2:
                follower.stalled = True
            elif follower.stalled and chance.random() < 0.2:
                follower.catch_up()
        if chance.random() < 0.7:
            for _, updates in venue.feeds.advance():
                for update in updates:
                    for follower in followers:
                        follower.offer(update)
            for follower in followers:
                if not follower.stalled:
                    assert follower.seq == topic.seq
                    follower.check_book(venue.view)
    assert len(followers) > 10
    assert all(follower.snapshots == 1 for follower in followers)


async def test_every_update_continues_the_one_before() -> None:
    venue = FedExchange(3)
    topic = await venue.feeds.open(BOOK)
    seq = topic.snapshot().seq
    for _ in range(50):
        venue.run(10)
        for _, updates in venue.feeds.advance():
            for update in updates:
                assert update.prev_seq == seq
                assert update.seq > seq
                seq = update.seq
    assert seq == topic.seq > 100


async def test_a_cursor_too_old_or_from_another_world_gets_nothing_but_a_snapshot() -> None:
    venue = FedExchange(1)
    topic = await venue.feeds.open(BOOK)
    began = topic.seq
    venue.run(100)
    assert topic.since(began - 1) is None
    assert topic.since(venue.view.seq + 1) is None
    assert topic.since(venue.view.seq) == []
    assert topic.since(began) is not None


async def test_the_best_levels_are_told_only_when_they_change() -> None:
    venue = FedExchange(2)
    topic = await venue.feeds.open(TopicKey(Channel.BBO, 1))
    follower = Follower(topic)
    follower.begin()
    for _ in range(300):
        venue.run(3)
        for _, updates in venue.feeds.advance():
            [update] = updates
            assert update.data != follower.best
            follower.offer(update)
        bids, asks = venue.view.depth(1, 1)
        assert follower.best == BboData(bids[0] if bids else None, asks[0] if asks else None)
    assert len(follower.received) > 30
    [merged] = topic.since(0) or []
    assert (merged.prev_seq, merged.seq, merged.data) == (0, topic.seq, follower.best)


@pytest.mark.parametrize(("name", "bound"), [("KEPT_UPDATES", 5), ("KEPT_PRICES", 30), ("KEPT_PRICES", 0)])
async def test_only_so_much_is_remembered_and_who_needs_more_gets_the_whole_book(
    monkeypatch: pytest.MonkeyPatch, name: str, bound: int
) -> None:
    monkeypatch.setattr(book_module, name, bound)
    venue = FedExchange(1)
    topic = await venue.feeds.open(BOOK)
    steady, slow = Follower(topic), Follower(topic)
    steady.begin()
    slow.begin()
    for step in range(200):
        venue.run(10)
        for _, updates in venue.feeds.advance():
            for update in updates:
                steady.offer(update)
        assert isinstance(topic, BookTopic)
        remembered = [len(topic._steps), sum(step.prices for step in topic._steps)]
        assert remembered[0 if name == "KEPT_UPDATES" else 1] <= bound
        if step % 20 == 0:
            slow.catch_up()
            slow.check_book(venue.view)
        steady.check_book(venue.view)
    assert steady.snapshots == 1
    assert slow.snapshots > 2


async def test_what_touched_many_prices_is_not_put_together_again_for_each_who_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(book_module, "MERGED_PRICES", 4)
    venue = FedExchange(3)
    topic = await venue.feeds.open(BOOK)
    slow = Follower(topic)
    slow.begin()
    merged = 0
    for _ in range(200):
        cursor = topic.seq
        for _ in range(2):
            venue.run(5)
            venue.feeds.advance()
        assert isinstance(topic, BookTopic)
        for update in topic.since(cursor) or []:
            assert isinstance(update.data, BookData)
            if update is not topic._last:  # which was made for all, however long it is
                assert len(update.data.bids) + len(update.data.asks) <= 4
                merged += 1
        slow.catch_up()
        slow.check_book(venue.view)
    assert merged > 5
    assert slow.snapshots > 5
