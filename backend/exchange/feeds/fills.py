"""An account's fills. Older ones are history, which is read elsewhere."""

from collections.abc import Callable

from exchange.core.events import Trade
from exchange.feeds.keys import TopicKey
from exchange.feeds.message_log import Memory, MessageLog
from exchange.feeds.topic import Outgoing
from exchange.feeds.updates import Fill, FillsData
from exchange.sequencer.committed import CommittedView


class FillsTopic(MessageLog):
    """The fills of one account."""

    def __init__(
        self,
        key: TopicKey,
        view: CommittedView,
        outgoing: Outgoing,
        settle: Callable[[], None],
        memory: Memory,
    ) -> None:
        super().__init__(key, view, outgoing, settle, memory)
        self._new: list[Fill] = []

    def fill(self, trade: Trade, *, is_maker: bool) -> None:
        self._new.append(Fill(trade, is_maker))

    def _take(self, time_ns: int) -> FillsData:
        data = FillsData(tuple(self._new))
        self._new.clear()
        return data

    def _state(self) -> FillsData:
        return FillsData(())
