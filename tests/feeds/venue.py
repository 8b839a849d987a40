"""An exchange in memory with feeds on it: the real core, the real committed view, batches as released."""

from tests.core.random_commands import RandomCommands

from exchange.feeds.feeds import Feeds
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.row import Committed


class FedExchange:
    """Random traffic of every kind, released to a view and its feeds batch by batch."""

    def __init__(self, seed: int) -> None:
        self.traffic = RandomCommands(seed)
        self.traffic.open()
        self.view = CommittedView("0x" + "11" * 32)
        self._released = 0
        for _ in self.unreleased():
            pass
        self.feeds = Feeds(self.view)

    def unreleased(self) -> list[Committed]:
        """Batches of what was done since the last call, one for each time; the view has them then."""
        log = self.traffic.log
        batches = []
        while self._released < len(log):
            first, time_ns = self._released, log[self._released][0]
            events = []
            while self._released < len(log) and log[self._released][0] == time_ns:
                events.append(log[self._released][2])
                self._released += 1
            self.view.advance(self._released, time_ns, events)
            batches.append(Committed(first + 1, self._released, time_ns, events))
        return batches

    def run(self, commands: int) -> None:
        """Traffic, released."""
        self.traffic.steps(commands)
        for batch in self.unreleased():
            self.feeds.committed(batch)
