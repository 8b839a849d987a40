"""Any subscribers that come, stall, leave and resume, amid any traffic and any pace of flushing.

What a subscriber has put together equals the view, or a computation from all that happened, whenever
it is not behind.
"""

import asyncio
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.feeds.follower import Follower
from tests.feeds.test_live import check_candles, check_ticker
from tests.feeds.venue import FedExchange

from exchange.feeds.errors import FeedUnavailable
from exchange.feeds.keys import PRIVATE_CHANNELS, Channel, TopicKey
from exchange.feeds.message_log import MessageLog
from exchange.feeds.updates import BboData, Update

KEYS = [
    *(TopicKey(channel, market) for market in (1, 2) for channel in (Channel.BOOK, Channel.BBO)),
    *(TopicKey(channel, 1) for channel in (Channel.TRADES, Channel.TICKER)),
    *(TopicKey(Channel.CANDLES, 1, interval) for interval in ("1s", "1m", "1h")),
    *(TopicKey(channel, account_id=1_000) for channel in sorted(PRIVATE_CHANNELS)),
    *(TopicKey(channel, account_id=1_001) for channel in sorted(PRIVATE_CHANNELS)),
]
LEAVING_S = 60.0


class Streams(RuleBasedStateMachine):
    """The hub's part, played by chance."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.venue = FedExchange(1)
        self.feeds = self.venue.feeds
        self.now_s = 0.0
        self.here: list[Follower] = []
        self.away: list[Follower] = []
        self.messages: dict[TopicKey, list[Update]] = {}
        """All that private logs ever said, while they were alive."""

    def teardown(self) -> None:
        self.loop.close()

    # ---- the exchange

    @rule(commands=st.integers(1, 60))
    def trade(self, commands: int) -> None:
        self.venue.run(commands)

    @rule(seconds=st.sampled_from([1, 30, 600, 7_200, 90_000]))
    def pass_time(self, seconds: int) -> None:
        self.venue.pass_time(seconds)

    @rule(lag=st.integers(0, 30), is_away=st.booleans())
    def move_clickhouse(self, lag: int, is_away: bool) -> None:
        self.venue.history.lag, self.venue.history.is_away = lag, is_away

    # ---- subscribers

    @rule(key=st.sampled_from(KEYS))
    def come(self, key: TopicKey) -> None:
        try:
            topic = self.loop.run_until_complete(self.feeds.open(key))
        except FeedUnavailable:
            return
        self.messages.setdefault(key, [])
        follower = Follower(topic)
        follower.begin()
        self.here.append(follower)

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def stall(self, data: Any) -> None:
        data.draw(st.sampled_from(self.here)).stalled = True

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def catch_up(self, data: Any) -> None:
        data.draw(st.sampled_from(self.here)).catch_up()

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        follower = data.draw(st.sampled_from(self.here))
        self.here.remove(follower)
        self.away.append(follower)
        self.feeds.close(follower.topic)

    @precondition(lambda self: self.away)
    @rule(data=st.data())
    def resume(self, data: Any) -> None:
        follower = data.draw(st.sampled_from(self.away))
        try:
            topic = self.loop.run_until_complete(self.feeds.open(follower.topic.key))
        except FeedUnavailable:
            return
        self.away.remove(follower)
        self.here.append(follower)
        follower.topic = topic
        follower.catch_up()

    # ---- the hub

    @rule()
    def drain(self) -> None:
        self._give(self.feeds.drain())

    @rule()
    def flush(self) -> None:
        self._give(self.feeds.advance())
        for follower in self.here:
            if not follower.stalled:
                assert follower.seq == follower.topic.seq
                self._check(follower)

    @rule(seconds=st.sampled_from([1.0, LEAVING_S, 200.0]))
    def expire(self, seconds: float) -> None:
        self._give(self.feeds.advance())
        self.now_s += seconds
        self.feeds.expire(self.now_s)

    def _give(self, handed: list[tuple[Any, list[Update]]]) -> None:
        for topic, updates in handed:
            for update in updates:
                if isinstance(topic, MessageLog):
                    self.messages[topic.key].append(update)
                for follower in self.here:
                    if follower.topic is topic:
                        follower.offer(update)

    def _check(self, follower: Follower) -> None:
        view, key = self.venue.view, follower.topic.key
        match key.channel:
            case Channel.BOOK:
                follower.check_book(view)
            case Channel.BBO:
                bids, asks = view.depth(key.market_id, 1)
                assert follower.best == BboData(bids[0] if bids else None, asks[0] if asks else None)
            case Channel.TRADES:
                trades = self.venue.of_market(1)
                assert follower.trades == trades[len(trades) - len(follower.trades) :]
            case Channel.CANDLES:
                check_candles(self.venue, follower)
            case Channel.TICKER:
                check_ticker(self.venue, follower)
            case Channel.ORDERS:
                follower.check_orders(view)
            case Channel.BALANCES:
                follower.check_balances(view)
            case Channel.WITHDRAWALS:
                in_flight = {
                    withdrawal_id
                    for withdrawal_id, change in follower.withdrawals.items()
                    if change.ended is None
                }
                owned = view.open_withdrawals(view.owner(key.account_id))
                assert in_flight == {request.withdrawal_id for request in owned}
            case _:
                pass
        if isinstance(follower.topic, MessageLog):
            self._check_messages(follower)

    def _check_messages(self, follower: Follower) -> None:
        """It has every message since its last snapshot, each once."""
        starts = [at for at, update in enumerate(follower.received) if update.prev_seq is None]
        since = follower.received[starts[-1]]
        told = follower.received[starts[-1] + 1 :]
        said = [update for update in self.messages[follower.topic.key] if update.seq > since.seq]
        assert told == said

    @invariant()
    def what_is_remembered_is_counted(self) -> None:
        logs = [topic for topic in self.feeds._topics.values() if isinstance(topic, MessageLog)]
        assert self.feeds._accounts._memory.messages == sum(len(log._messages) for log in logs)


TestStreams = Streams.TestCase
TestStreams.settings = settings(
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
