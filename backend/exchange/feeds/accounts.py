"""All private streams: which events concern which of the accounts that somebody follows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from exchange.core.events import (
    DepositCredited,
    Event,
    FundsTransferred,
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
from exchange.core.movements import movements
from exchange.feeds.balances import BalancesTopic
from exchange.feeds.deposits import DepositsTopic
from exchange.feeds.fills import FillsTopic
from exchange.feeds.keys import Channel, TopicKey
from exchange.feeds.message_log import Memory, MessageLog
from exchange.feeds.orders import OrdersTopic
from exchange.feeds.topic import Outgoing, Topic
from exchange.feeds.withdrawals import WithdrawalsTopic
from exchange.sequencer.committed import CommittedView

_Fold = Callable[[Any], None]


@dataclass(slots=True)
class _Followed:
    """The topics of one account."""

    orders: OrdersTopic | None = None
    fills: FillsTopic | None = None
    balances: BalancesTopic | None = None
    deposits: DepositsTopic | None = None

    def __bool__(self) -> bool:
        return any((self.orders, self.fills, self.balances, self.deposits))


class AccountTopics:
    """The private topics, and the events that they are made of."""

    def __init__(self, view: CommittedView, memory: Memory) -> None:
        self._view = view
        self._memory = memory
        self._followed: dict[int, _Followed] = {}
        self._withdrawals: dict[str, WithdrawalsTopic] = {}
        """By owner."""
        self._changed: dict[MessageLog, None] = {}
        """By the command that is being taken in."""
        self._moved: dict[BalancesTopic, None] = {}
        """Since the last settlement."""
        self._time_ns = 0
        self._folds: dict[type[Event], _Fold] = {
            OrderAccepted: self._accept,
            OrderTriggered: self._trigger,
            OrderAmended: self._amend,
            OrderRested: self._rest,
            Trade: self._trade,
            SelfTradePrevented: self._prevent,
            OrderEnded: self._end,
            DepositCredited: self._credit,
            FundsTransferred: self._move,
            WithdrawalRequested: self._request,
            WithdrawalSettled: self._finish,
            WithdrawalRefunded: self._finish,
        }

    def __bool__(self) -> bool:
        return bool(self._followed or self._withdrawals)

    def make(self, key: TopicKey, outgoing: Outgoing, settle: Callable[[], None]) -> Topic:
        """A new topic, as of the view's seq, up to which everything must have been taken in."""
        view, memory = self._view, self._memory
        if key.channel is Channel.WITHDRAWALS:
            withdrawals = WithdrawalsTopic(key, view, outgoing, settle, memory)
            self._withdrawals[withdrawals.owner] = withdrawals
            return withdrawals
        followed = self._followed.setdefault(key.account_id, _Followed())
        match key.channel:
            case Channel.ORDERS:
                followed.orders = OrdersTopic(key, view, outgoing, settle, memory)
                return followed.orders
            case Channel.FILLS:
                followed.fills = FillsTopic(key, view, outgoing, settle, memory)
                return followed.fills
            case Channel.BALANCES:
                followed.balances = BalancesTopic(key, view, outgoing, settle)
                return followed.balances
            case Channel.DEPOSITS:
                followed.deposits = DepositsTopic(key, view, outgoing, settle, memory)
                return followed.deposits
            case _:
                raise AssertionError(f"{key.channel} is of no account")

    def remove(self, topic: Topic) -> None:
        """The topic ends."""
        if isinstance(topic, MessageLog):
            self._memory.leave(topic)
        if isinstance(topic, WithdrawalsTopic):
            del self._withdrawals[topic.owner]
            return
        account_id = topic.key.account_id
        followed = self._followed[account_id]
        match topic:
            case OrdersTopic():
                followed.orders = None
            case FillsTopic():
                followed.fills = None
            case BalancesTopic():
                followed.balances = None
            case DepositsTopic():
                followed.deposits = None
        if not followed:
            del self._followed[account_id]

    def take(self, seq: int, time_ns: int, events: Sequence[Event]) -> None:
        """Takes in one command: one update for each message log that it concerns."""
        self._time_ns = time_ns
        folds = self._folds
        for event in events:
            fold = folds.get(type(event))
            if fold is not None:
                fold(event)
        if self._changed:
            for topic in self._changed:
                topic.flush(seq, time_ns)
            self._changed.clear()

    def settle(self) -> None:
        """One update for all balances that moved, as of the view's seq."""
        for topic in self._moved:
            topic.flush(self._view.seq, self._view.time_ns)
        self._moved.clear()

    # ---- the events

    def _accept(self, event: OrderAccepted) -> None:
        followed = self._followed.get(event.account_id)
        if followed is None:
            return
        if (orders := followed.orders) is not None:
            orders.accept(event, self._time_ns)
            self._changed[orders] = None
        self._touch(followed, event.hold_asset_id)

    def _trigger(self, event: OrderTriggered) -> None:
        if (orders := self._orders(event.account_id)) is not None:
            orders.trigger(event)

    def _amend(self, event: OrderAmended) -> None:
        if (orders := self._orders(event.account_id)) is not None:
            orders.amend(event)
        self._move(event)

    def _rest(self, event: OrderRested) -> None:
        if (orders := self._orders(event.account_id)) is not None:
            orders.rest(event)

    def _trade(self, trade: Trade) -> None:
        for account_id, is_maker in ((trade.maker_account_id, True), (trade.taker_account_id, False)):
            followed = self._followed.get(account_id)
            if followed is None:
                continue
            if (orders := followed.orders) is not None:
                orders.fill_maker(trade) if is_maker else orders.fill_taker(trade)
                self._changed[orders] = None
            if (fills := followed.fills) is not None:
                fills.fill(trade, is_maker=is_maker)
                self._changed[fills] = None
            if followed.balances is not None:
                market = self._view.markets[trade.market_id]
                self._touch(followed, market.base_asset_id)
                self._touch(followed, market.quote_asset_id)

    def _prevent(self, event: SelfTradePrevented) -> None:
        if (orders := self._orders(event.maker_account_id)) is not None:
            orders.prevent_maker(event)
        if (orders := self._orders(event.taker_account_id)) is not None:
            orders.prevent_taker(event)
        self._move(event)

    def _end(self, event: OrderEnded) -> None:
        followed = self._followed.get(event.account_id)
        if followed is None:
            return
        if (orders := followed.orders) is not None:
            orders.end(event)
            self._changed[orders] = None
        if event.released_atoms:
            self._touch(followed, event.released_asset_id)

    def _credit(self, event: DepositCredited) -> None:
        followed = self._followed.get(event.account_id)
        if followed is None:
            return
        if (deposits := followed.deposits) is not None:
            deposits.credit(event)
            self._changed[deposits] = None
        self._touch(followed, event.asset_id)

    def _request(self, event: WithdrawalRequested) -> None:
        topic = self._withdrawals.get(event.owner)
        if topic is not None:
            topic.request(event, self._time_ns)
            self._changed[topic] = None
        self._move(event)

    def _finish(self, event: WithdrawalSettled | WithdrawalRefunded) -> None:
        topic = self._withdrawals.get(self._view.owner(event.account_id)) if self._withdrawals else None
        if topic is not None:
            topic.end(event)
            self._changed[topic] = None
        self._move(event)

    def _move(self, event: Event) -> None:
        for account_id, asset_id, _, _ in movements(event, self._view.markets):
            followed = self._followed.get(account_id)
            if followed is not None:
                self._touch(followed, asset_id)

    def _touch(self, followed: _Followed, asset_id: int) -> None:
        if (balances := followed.balances) is not None:
            balances.touch(asset_id)
            self._moved[balances] = None

    def _orders(self, account_id: int) -> OrdersTopic | None:
        """The account's orders, when they are followed: they change now."""
        followed = self._followed.get(account_id)
        if followed is None or followed.orders is None:
            return None
        self._changed[followed.orders] = None
        return followed.orders
