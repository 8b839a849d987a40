"""Private streams against an obvious reading of the journal, command by command."""

import random
from collections.abc import Iterator

import pytest
from tests.core.venue import address
from tests.feeds.follower import Follower
from tests.feeds.venue import FedExchange

from exchange.core.events import (
    DepositCredited,
    Event,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderRested,
    OrderTriggered,
    SelfTradePrevented,
    Trade,
    WithdrawalRefunded,
    WithdrawalRequested,
    WithdrawalSettled,
)
from exchange.feeds import feeds as feeds_module
from exchange.feeds import message_log
from exchange.feeds.keys import PRIVATE_CHANNELS, Channel, TopicKey
from exchange.feeds.message_log import Memory
from exchange.feeds.updates import (
    AssetBalance,
    BalancesData,
    DepositsData,
    FillsData,
    OrdersData,
    Update,
    WithdrawalsData,
)
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.open_orders import OpenOrder

ALICE = 1_000
PEOPLE = range(1_000, 1_004)
LOGS = sorted(PRIVATE_CHANNELS - {Channel.BALANCES})


def commands(venue: FedExchange, after_seq: int) -> Iterator[tuple[int, int, list[Event]]]:
    """(seq, time_ns, events) of each command."""
    for seq, (time_ns, _, events) in enumerate(venue.traffic.log, start=1):
        if seq > after_seq:
            yield seq, time_ns, events


def touched_orders(event: Event, account_id: int) -> set[int]:
    """Which of the account's orders an event is about."""
    match event:
        case Trade() | SelfTradePrevented():
            both = {
                event.maker_order_id: event.maker_account_id,
                event.taker_order_id: event.taker_account_id,
            }
            return {order_id for order_id, of in both.items() if of == account_id}
        case OrderAccepted() | OrderAmended() | OrderRested() | OrderTriggered() | OrderEnded():
            return {event.order_id} if event.account_id == account_id else set()
        case _:
            return set()


class OrdersByCommand:
    """What each command did to an account's orders, with a view of its own that moves by one command."""

    def __init__(self, venue: FedExchange, account_id: int) -> None:
        self.sizes: dict[int, int] = {}
        self.quote_atoms: dict[tuple[int, int], int] = {}
        """What buys by amount may cost, by the command that accepted them and their id."""
        view = CommittedView("0x")
        self.changes: dict[int, tuple[int, set[int], dict[int, OpenOrder]]] = {}
        for seq, time_ns, events in commands(venue, 0):
            view.advance(seq, time_ns, [events])
            for event in events:
                self._take_size(event)
                if isinstance(event, OrderAccepted):
                    self.quote_atoms[seq, event.order_id] = event.quote_atoms
            touched = set().union(*(touched_orders(event, account_id) for event in events))
            if touched:
                after = {order.order_id: order for order in view.open_orders(account_id)}
                self.changes[seq] = (time_ns, touched, after)

    def _take_size(self, event: Event) -> None:
        match event:
            case OrderAccepted() | OrderAmended():
                self.sizes[event.order_id] = event.size_lots
            case SelfTradePrevented():
                self.sizes[event.maker_order_id] -= event.size_lots
                self.sizes[event.taker_order_id] -= event.size_lots
            case _:
                pass


@pytest.mark.parametrize("seed", range(6))
async def test_orders_are_told_command_by_command(seed: int) -> None:
    venue = FedExchange(seed)
    venue.run(300)
    topic = await venue.feeds.open(TopicKey(Channel.ORDERS, account_id=ALICE))
    follower = Follower(topic)
    follower.begin()
    follower.check_orders(venue.view)
    began = venue.view.seq
    for _ in range(40):
        venue.run(30)
        for _, updates in venue.feeds.drain():
            for update in updates:
                follower.offer(update)
        follower.check_orders(venue.view)
    assert topic._accepted == topic._changed == {}  # type: ignore[attr-defined]
    reference = OrdersByCommand(venue, ALICE)
    expected = {seq: change for seq, change in reference.changes.items() if seq > began}
    told = follower.received[1:]
    assert [update.seq for update in told] == list(expected)
    assert len(told) > 100
    for update in told:
        time_ns, touched, after = expected[update.seq]
        assert update.time_ns == time_ns
        assert isinstance(update.data, OrdersData)
        assert {change.order.order_id for change in update.data.orders} == touched
        for change in update.data.orders:
            order_id = change.order.order_id
            assert change.time_ns == time_ns
            assert change.quote_atoms == reference.quote_atoms.get((update.seq, order_id), 0)
            if change.ended is None:
                assert after[order_id] == change.order
            else:
                assert order_id not in after
                assert change.order.remaining_lots == change.ended.remaining_lots
                assert change.order.size_lots == reference.sizes[order_id]


@pytest.mark.parametrize("seed", range(4))
async def test_fills_deposits_and_withdrawals_are_told_each_once(seed: int) -> None:
    venue = FedExchange(seed)
    venue.run(200)
    view = venue.view
    keys = [
        TopicKey(channel, account_id=account_id)
        for channel in (Channel.FILLS, Channel.DEPOSITS, Channel.WITHDRAWALS)
        for account_id in PEOPLE
    ]
    followers = {key: Follower(await venue.feeds.open(key)) for key in keys}
    for follower in followers.values():
        follower.begin()
    began = view.seq
    for _ in range(40):
        venue.run(50)
        for topic, updates in venue.feeds.drain():
            for update in updates:
                followers[topic.key].offer(update)
    events = [event for _, _, of_command in commands(venue, began) for event in of_command]
    for key, follower in followers.items():
        match key.channel:
            case Channel.FILLS:
                expected = [
                    (trade.trade_id, trade.maker_account_id == key.account_id)
                    for trade in events
                    if isinstance(trade, Trade)
                    if key.account_id in (trade.maker_account_id, trade.taker_account_id)
                ]
                assert [(fill.trade.trade_id, fill.is_maker) for fill in follower.fills] == expected
                assert len(expected) > 50
            case Channel.DEPOSITS:
                credited = [e for e in events if isinstance(e, DepositCredited)]
                assert follower.deposits == [e for e in credited if e.account_id == key.account_id]
                assert follower.deposits
            case _:
                check_withdrawals(follower, events, view)
                check_times(follower, venue, began)


def check_withdrawals(follower: Follower, events: list[Event], view: CommittedView) -> None:
    owner = view.owner(follower.topic.key.account_id)
    in_flight = {request.withdrawal_id: request for request in view.open_withdrawals(owner)}
    assert {
        withdrawal_id: change.requested
        for withdrawal_id, change in follower.withdrawals.items()
        if change.ended is None
    } == in_flight
    ended = {
        event.withdrawal_id: event
        for event in events
        if isinstance(event, WithdrawalSettled | WithdrawalRefunded) and view.owner(event.account_id) == owner
    }
    told = [each for update in follower.received[1:] for each in withdrawals_of(update.data)]
    assert {each.requested.withdrawal_id: each.ended for each in told if each.ended is not None} == ended
    requested = [e for e in events if isinstance(e, WithdrawalRequested) and e.owner == owner]
    assert [each.requested for each in told if each.ended is None] == requested


def check_times(follower: Follower, venue: FedExchange, began: int) -> None:
    """Each knows when it was requested, unless that was before anybody followed."""
    told = {update.seq: update for update in follower.received[1:]}
    requested_ns: dict[str, int] = {}
    for seq, time_ns, events in commands(venue, began):
        for event in events:
            if isinstance(event, WithdrawalRequested):
                requested_ns[event.withdrawal_id] = time_ns
        for change in withdrawals_of(told[seq].data) if seq in told else ():
            assert change.requested_ns == requested_ns.get(change.requested.withdrawal_id)


def withdrawals_of(data: object) -> tuple:  # type: ignore[type-arg]
    assert isinstance(data, WithdrawalsData)
    return data.withdrawals


@pytest.mark.parametrize("seed", range(4))
async def test_balances_are_those_of_the_view_after_every_drain(seed: int) -> None:
    venue, chance = FedExchange(seed), random.Random(seed)
    followers = {}
    for account_id in PEOPLE:
        topic = await venue.feeds.open(TopicKey(Channel.BALANCES, account_id=account_id))
        followers[topic] = Follower(topic)
        followers[topic].begin()
    for _ in range(100):
        venue.run(chance.randrange(1, 30))
        for topic, updates in venue.feeds.drain():
            assert len(updates) == 1, "balances are told by their newest state only"
            assert balances_of(updates[0]), "and only when there is something to tell"
            followers[topic].offer(updates[0])
        for follower in followers.values():
            if follower.stalled and chance.random() < 0.3:
                follower.catch_up()
            if not follower.stalled:
                follower.check_balances(venue.view)
                follower.stalled = chance.random() < 0.2
    assert all(follower.snapshots == 1 for follower in followers.values())


async def test_from_any_cursor_the_balances_that_changed_since_are_told_and_no_others() -> None:
    venue = FedExchange(3)
    topic = await venue.feeds.open(TopicKey(Channel.BALANCES, account_id=ALICE))
    began, changed = topic.seq, []
    while len(changed) < 200:
        venue.run(1)
        for _, [update] in venue.feeds.drain():
            changed.append((update.seq, {balance.asset_id for balance in balances_of(update)}))
    for cursor in range(began, venue.view.seq):
        expected = set().union(*(assets for seq, assets in changed if seq > cursor))
        updates = topic.since(cursor) or []
        assert {balance.asset_id for update in updates for balance in balances_of(update)} == expected


def balances_of(update: Update) -> tuple[AssetBalance, ...]:
    assert isinstance(update.data, BalancesData)
    return update.data.balances


@pytest.mark.parametrize("channel", LOGS)
async def test_whoever_resumes_has_what_whoever_never_left_has(channel: Channel) -> None:
    venue, chance = FedExchange(7), random.Random(7)
    topic = await venue.feeds.open(TopicKey(channel, account_id=ALICE))
    steady, restless = Follower(topic), Follower(topic)
    steady.begin()
    restless.begin()
    for _ in range(400):
        venue.run(chance.randrange(1, 30))
        for _, updates in venue.feeds.drain():
            for update in updates:
                steady.offer(update)
                restless.offer(update)
        if restless.stalled and chance.random() < 0.2:
            restless.catch_up()
        elif not restless.stalled:
            restless.stalled = chance.random() < 0.2
    restless.catch_up()
    assert restless.received == steady.received
    assert (restless.snapshots, restless.seq) == (1, steady.seq)
    assert len(steady.received) > 5


@pytest.mark.parametrize("channel", sorted(PRIVATE_CHANNELS))
async def test_a_stream_can_be_resumed_for_a_while_after_its_last_subscriber_has_gone(
    channel: Channel,
) -> None:
    venue = FedExchange(5)
    key = TopicKey(channel, account_id=ALICE)
    topic = await venue.feeds.open(key)
    seq = topic.snapshot().seq
    venue.feeds.close(topic)
    venue.feeds.expire(1_000.0)
    venue.run(2_000)
    venue.feeds.expire(1_000.0 + feeds_module.PRIVATE_KEPT_S - 1)
    again = await venue.feeds.open(key)
    assert again is topic
    updates = again.since(seq)
    assert updates
    assert updates[-1].seq == again.seq
    venue.feeds.close(again)
    venue.feeds.expire(2_000.0)
    venue.feeds.expire(2_000.0 + feeds_module.PRIVATE_KEPT_S)
    other = await venue.feeds.open(key)
    assert other is not topic
    assert other.since(seq) is None


async def test_a_private_stream_that_is_not_followed_costs_nothing_to_keep_folding() -> None:
    venue = FedExchange(5)
    topic = await venue.feeds.open(TopicKey(Channel.ORDERS, account_id=ALICE))
    venue.feeds.close(topic)
    venue.feeds.expire(0.0)
    venue.feeds.expire(1e9)
    venue.run(200)
    assert venue.feeds.drain() == []


async def test_a_log_remembers_a_thousand_messages_and_says_so_when_asked_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(message_log, "KEPT_MESSAGES", 50)
    venue = FedExchange(5)
    topic = await venue.feeds.open(TopicKey(Channel.ORDERS, account_id=ALICE))
    began, seqs = topic.seq, []
    for _ in range(30):
        venue.run(30)
        for _, updates in venue.feeds.drain():
            seqs += [update.seq for update in updates]
    assert len(seqs) > 100
    assert topic.since(began) is None
    assert topic.since(seqs[-52]) is None
    updates = topic.since(seqs[-51])
    assert updates is not None
    assert [update.seq for update in updates] == seqs[-50:]


async def test_all_logs_together_are_bounded_and_those_that_have_most_lose_first() -> None:
    venue = FedExchange(5)
    memory = Memory(capacity=200)
    venue.feeds._accounts._memory = memory
    topics = [
        await venue.feeds.open(TopicKey(channel, account_id=account_id))
        for account_id in PEOPLE
        for channel in LOGS
    ]
    messages = 0
    for _ in range(60):
        venue.run(20)
        messages += sum(len(updates) for _, updates in venue.feeds.drain())
        assert memory.messages <= 200
        assert memory.messages == sum(len(topic._messages) for topic in topics)  # type: ignore[attr-defined]
    assert messages > 500
    for topic in topics:
        assert topic.since(topic.seq) == []
        venue.feeds.close(topic)
    venue.feeds.expire(0.0)
    venue.feeds.expire(1e9)
    assert memory.messages == 0


async def test_a_snapshot_of_what_is_history_is_empty() -> None:
    venue = FedExchange(5)
    venue.run(500)
    for channel, empty in ((Channel.FILLS, FillsData(())), (Channel.DEPOSITS, DepositsData(()))):
        topic = await venue.feeds.open(TopicKey(channel, account_id=ALICE))
        venue.run(100)
        assert topic.snapshot().data == empty
        assert topic.seq > 0


async def test_the_owner_of_a_sub_account_gets_its_withdrawals_with_those_of_the_main_one() -> None:
    venue = FedExchange(5)
    topic = await venue.feeds.open(TopicKey(Channel.WITHDRAWALS, account_id=ALICE))
    follower = Follower(topic)
    follower.begin()
    venue.run(6_000)
    for _, updates in venue.feeds.drain():
        for update in updates:
            follower.offer(update)
    accounts = {each.requested.account_id for each in follower.withdrawals.values()}
    owned = {account_id for _, account_id in venue.view.sub_accounts(address("alice"))}
    assert accounts <= owned
    assert len(accounts) > 1
