"""When people are told that nothing is credited. Pure.

Not at once: one node of several lies or lags now and then. They are told

- when a DepositCondition is found in PASSES_BEFORE_ALERT passes, without a pass in between that credits;
- when for STOPPED_S no pass has credited up to the newest block that any pass has seen to be final. So also
  of a node that never answers, and of one that has success in between, but only as far as it was anyway.

They are told once, until such a pass.
"""

from collections.abc import Callable

from exchange.chain.errors import DepositCondition
from exchange.chain.halts import Alert

PASSES_BEFORE_ALERT = 2
STOPPED_S = 300.0


class CreditingAlarm:
    """The alarm of one watcher. `now` is in seconds."""

    def __init__(self, alert: Alert, now: Callable[[], float]) -> None:
        self._alert = alert
        self._now = now
        self._well_at_s = now()
        self._never_credited = True
        self._confirmed_number = 0
        self._conditions = 0
        self._told = False
        self._last: Exception | None = None

    def confirmed(self, number: int) -> None:
        """A pass has learned which block is the newest final one."""
        self._confirmed_number = max(self._confirmed_number, number)

    def scanned(self) -> None:
        """A pass has stored a range of blocks: on the way through a long history, all is well."""
        if self._never_credited:
            self._well_at_s = self._now()

    def credited(self, number: int) -> None:
        """A pass has credited all that there is up to a final block."""
        self._never_credited = False
        self._conditions = 0
        if number >= self._confirmed_number:
            self._well_at_s = self._now()
            self._told = False
        self.look()

    def failed(self, error: Exception) -> None:
        """A pass has failed."""
        self._last = error
        if isinstance(error, DepositCondition):
            self._conditions += 1
            if self._conditions == PASSES_BEFORE_ALERT:
                self._tell(str(error))
        self.look()

    def look(self) -> None:
        """Tells when it has been too long."""
        stopped_s = self._now() - self._well_at_s
        if stopped_s <= STOPPED_S:
            return
        self._confirmed_number = 0  # whoever spoke of that block may not have it
        self._tell(f"nothing was credited for {stopped_s:.0f} s; last fault: {self._last or 'none'}")

    def _tell(self, detail: str) -> None:
        if not self._told:
            self._told = True
            self._alert("crediting_stopped", detail)
