"""Deposits that are credited. Those on their way are not in the journal, and so not here."""

from collections.abc import Callable

from exchange.core.events import DepositCredited
from exchange.feeds.keys import TopicKey
from exchange.feeds.message_log import Memory, MessageLog
from exchange.feeds.topic import Outgoing
from exchange.feeds.updates import DepositsData
from exchange.sequencer.committed import CommittedView


class DepositsTopic(MessageLog):
    """The credits of one owner, all of which go to the main account."""

    def __init__(
        self,
        key: TopicKey,
        view: CommittedView,
        outgoing: Outgoing,
        settle: Callable[[], None],
        memory: Memory,
    ) -> None:
        super().__init__(key, view, outgoing, settle, memory)
        self._new: list[DepositCredited] = []

    def credit(self, event: DepositCredited) -> None:
        self._new.append(event)

    def _take(self, time_ns: int) -> DepositsData:
        data = DepositsData(tuple(self._new))
        self._new.clear()
        return data

    def _state(self) -> DepositsData:
        return DepositsData(())
