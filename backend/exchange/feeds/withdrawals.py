"""The ledger's side of an owner's withdrawals: requested, settled, refunded."""

from collections.abc import Callable

from exchange.core.events import WithdrawalRefunded, WithdrawalRequested, WithdrawalSettled
from exchange.feeds.keys import TopicKey
from exchange.feeds.message_log import Memory, MessageLog
from exchange.feeds.topic import Outgoing
from exchange.feeds.updates import WithdrawalChange, WithdrawalsData
from exchange.sequencer.committed import CommittedView


class WithdrawalsTopic(MessageLog):
    """The withdrawals of one owner, from all accounts."""

    def __init__(
        self,
        key: TopicKey,
        view: CommittedView,
        outgoing: Outgoing,
        settle: Callable[[], None],
        memory: Memory,
    ) -> None:
        super().__init__(key, view, outgoing, settle, memory)
        self.owner = view.owner(key.account_id)
        self._in_flight = {
            request.withdrawal_id: WithdrawalChange(request, None, None)
            for request in view.open_withdrawals(self.owner)
        }
        self._changed: dict[str, WithdrawalChange] = {}

    def request(self, event: WithdrawalRequested, time_ns: int) -> None:
        change = WithdrawalChange(event, time_ns, None)
        self._in_flight[event.withdrawal_id] = self._changed[event.withdrawal_id] = change

    def end(self, event: WithdrawalSettled | WithdrawalRefunded) -> None:
        begun = self._in_flight.pop(event.withdrawal_id)
        self._changed[event.withdrawal_id] = WithdrawalChange(begun.requested, begun.requested_ns, event)

    def _take(self, time_ns: int) -> WithdrawalsData:
        data = WithdrawalsData(tuple(self._changed.values()))
        self._changed.clear()
        return data

    def _state(self) -> WithdrawalsData:
        return WithdrawalsData(tuple(self._in_flight.values()))
