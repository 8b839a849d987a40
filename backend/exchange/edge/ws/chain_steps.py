"""Deposits and withdrawals of one owner, with the steps that they take on the chain.

The topic has what the ledger says of them. What the chain says (confirmations of a deposit, a payment that
was sent or mined) is in tables that other parts write, and is looked up about every second while somebody
is subscribed and something is under way. What has changed then goes to all of them, as an update from the
topic's seq to the same seq.

What the ledger has finished the chain has no say in any more: it is left out even where the tables, read a
moment ago, still had it.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from exchange.chain.deposits import PendingDeposit, owners_with_pending, pending_deposits
from exchange.chain.withdrawals import PaymentStatus, payment_status
from exchange.edge.dependencies import Edge
from exchange.edge.rest.deposits import MAX_PENDING_SHOWN, pending_item
from exchange.edge.rest.withdrawals import REFUNDED, payment_as_shown, reason_of_refund
from exchange.edge.ws.fan_out import FanOut, Piece, Subscription
from exchange.edge.ws.frames import Frames
from exchange.edge.ws.items import withdrawal_json
from exchange.edge.ws.messages import data_message
from exchange.edge.ws.requests import Subject
from exchange.feeds.topic import Topic
from exchange.feeds.updates import Update, WithdrawalChange, WithdrawalsData
from exchange.metrics import StreamCounters
from exchange.projections.withdrawals import withdrawal_of_owner

SQL_TIMEOUT_S = 5.0
Items = dict[str, dict[str, Any]]


class StepsFanOut(FanOut):
    """What deposits and withdrawals have in common."""

    def __init__(self, edge: Edge, topic: Topic, subject: Subject, counters: StreamCounters) -> None:
        super().__init__(edge, topic, subject, counters)
        self._owner = edge.view.owner(topic.key.account_id)
        self._told: Items = {}
        """The last that was said of what is under way, to all that are not behind."""
        self._looking = asyncio.Lock()

    def may_have_steps(self, depositors: Set[str]) -> bool:
        """Whether there is something to look up, where these owners have deposits on their way."""
        return bool(self._told) or self._has_steps(depositors)

    async def look_up(self) -> None:
        """Reads what the chain says, and tells all that are subscribed what has changed.

        Every second, and right before a subscription begins. Raises what the database raises.
        """
        async with self._looking, asyncio.timeout(SQL_TIMEOUT_S):
            await self._read()
            items = self._under_way()
            changed = [item for key, item in items.items() if self._told_of(key) != item]
            if changed and self:
                self._publish_steps(changed)
            self._told = items

    def begin(self, subscription: Subscription, resume_seq: int | None) -> tuple[bool, int, list[Frames]]:
        resumed, seq, first = super().begin(subscription, resume_seq)
        if resumed and subscription.seq == self.topic.seq:
            first += self._all_steps()
        return resumed, seq, first

    def _publish_steps(self, items: Sequence[dict[str, Any]]) -> None:
        frames = Frames([self._steps(items)])
        for subscription in self._subscriptions:
            reader = subscription.reader
            if not reader.writable:
                self._fall_behind(subscription, 1)
            elif subscription in reader.behind or subscription.seq != self.topic.seq:
                reader.fall_behind(subscription)  # it gets all steps when it catches up
            else:
                reader.send(frames)
                self._count([frames], 1)

    def _missed(self, seq: int) -> Piece | None:
        missed = super()._missed(seq)
        if missed is None or missed[1] < self.topic.seq:
            return missed
        return missed[0] + self._all_steps(), missed[1]

    def _whole(self) -> tuple[int, list[Frames]]:
        """Never kept for others: it is short, and the tables change without a seq."""
        snapshot = self.topic.snapshot()
        data = list(self._under_way().values())
        payload = data_message(self.subject, None, snapshot.seq, snapshot.time_ns, data)
        return snapshot.seq, [Frames([payload])]

    def _all_steps(self) -> list[Frames]:
        items = list(self._under_way().values())
        return [Frames([self._steps(items)])] if items else []

    def _steps(self, items: Sequence[dict[str, Any]]) -> bytes:
        seq = self.topic.seq
        return data_message(self.subject, seq, seq, self._edge.clock_ns(), items)

    def _told_of(self, key: str) -> dict[str, Any] | None:
        return self._told.get(key)

    @abstractmethod
    def _has_steps(self, depositors: Set[str]) -> bool: ...

    @abstractmethod
    async def _read(self) -> None:
        """Looks the steps up."""

    @abstractmethod
    def _under_way(self) -> Items:
        """What the ledger has not finished, with the steps as they were looked up."""


async def with_steps(edge: Edge, fan_outs: Iterable[FanOut]) -> list[StepsFanOut]:
    """Those of them for which there may be something to look up: one query, however many there are.

    Raises what the database raises.
    """
    followed = [fan_out for fan_out in fan_outs if fan_out and isinstance(fan_out, StepsFanOut)]
    depositors: set[str] = set()
    if any(isinstance(fan_out, DepositsFanOut) for fan_out in followed):
        async with asyncio.timeout(SQL_TIMEOUT_S):
            depositors = await owners_with_pending(edge.pool)
    return [fan_out for fan_out in followed if fan_out.may_have_steps(depositors)]


class DepositsFanOut(StepsFanOut):
    """Deposits: those under way are known from the chain alone."""

    def __init__(self, edge: Edge, topic: Topic, subject: Subject, counters: StreamCounters) -> None:
        super().__init__(edge, topic, subject, counters)
        self._pending: Sequence[PendingDeposit] = ()

    def _has_steps(self, depositors: Set[str]) -> bool:
        return self._owner in depositors

    async def _read(self) -> None:
        self._pending = await pending_deposits(self._edge.pool, self._owner)

    def _under_way(self) -> Items:
        view = self._edge.view
        routes = {
            (asset.chain_id, asset.vault, asset.token): asset for asset in view.asset_by_symbol.values()
        }
        items: Items = {}
        for deposit in self._pending:
            asset = routes.get((deposit.chain_id, deposit.vault, deposit.token))
            is_credited = deposit.number <= view.last_deposit(deposit.chain_id, deposit.vault)
            if asset is not None and not is_credited and len(items) < MAX_PENDING_SHOWN:
                key = f"{deposit.chain_id}:{deposit.vault}:{deposit.number}"
                items[key] = pending_item(self._edge, deposit, asset).model_dump()
        return items


class WithdrawalsFanOut(StepsFanOut):
    """Withdrawals: the ledger says which are under way, the payments how far they are."""

    def __init__(self, edge: Edge, topic: Topic, subject: Subject, counters: StreamCounters) -> None:
        super().__init__(edge, topic, subject, counters)
        self._payments: Mapping[str, PaymentStatus] = {}
        self._requested_ns: dict[str, int] = {}
        """Of those that were requested before anybody followed."""

    def _has_steps(self, depositors: Set[str]) -> bool:
        return bool(self._in_flight())

    async def _read(self) -> None:
        changes = self._in_flight()
        for change in changes:
            withdrawal_id = change.requested.withdrawal_id
            if change.requested_ns is None and withdrawal_id not in self._requested_ns:
                found = await withdrawal_of_owner(self._edge.pool, self._owner, withdrawal_id)
                if found.item is not None:  # else the read tables are behind, and it is looked up again
                    self._requested_ns[withdrawal_id] = found.item.time_ns
        self._payments = await payment_status(
            self._edge.pool, [change.requested.withdrawal_id for change in changes]
        )

    def _under_way(self) -> Items:
        return {change.requested.withdrawal_id: self._item(change) for change in self._in_flight()}

    def _told_of(self, key: str) -> dict[str, Any] | None:
        """Of a withdrawal that is new here the ledger has told already."""
        return super()._told_of(key) or next(
            (
                self._ledgers_item(change, self._edge.view.time_ns)
                for change in self._in_flight()
                if change.requested.withdrawal_id == key
            ),
            None,
        )

    def _message(self, update: Update) -> bytes:
        assert isinstance(update.data, WithdrawalsData)
        items = [self._ledgers_item(change, update.time_ns) for change in update.data.withdrawals]
        return data_message(self.subject, update.prev_seq, update.seq, update.time_ns, items)

    def _in_flight(self) -> tuple[WithdrawalChange, ...]:
        data = self.topic.snapshot().data
        assert isinstance(data, WithdrawalsData)
        return data.withdrawals

    def _item(self, change: WithdrawalChange) -> dict[str, Any]:
        item = self._ledgers_item(change, self._edge.view.time_ns)
        payment = self._payments.get(change.requested.withdrawal_id)
        if payment is not None:
            item["status"], item["reason"], item["tx_hash"] = payment_as_shown(payment)
        return item

    def _ledgers_item(self, change: WithdrawalChange, now_ns: int) -> dict[str, Any]:
        withdrawal_id = change.requested.withdrawal_id
        item = withdrawal_json(self._edge, change, self._requested_ns.get(withdrawal_id), now_ns)
        payment = self._payments.get(withdrawal_id)
        if item["status"] == REFUNDED and payment is not None:
            item["reason"] = reason_of_refund(payment)  # of the last look: it was rejected long before
        return item
