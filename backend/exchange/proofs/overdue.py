"""Whether proofs are overdue: none was made for two intervals, though something may be there to prove.

That is so, too, whenever the books are not known to agree. That they are not is usual for a
moment, at every start too, so it counts only when it has lasted.
"""

from exchange.proofs.errors import ProofOverdue

OVERDUE_INTERVALS = 2
OVERDUE_GRACE_S = 600.0


class OverdueWatch:
    """`every_s` is how often proofs are made, `started_s` since when somebody could have made one."""

    def __init__(self, every_s: int, started_s: float) -> None:
        self._every_s = every_s
        self._started_s = started_s
        self._open_since_s: float | None = None
        self.problem: ProofOverdue | None = None

    def look(self, now_s: float, newest_s: float | None, is_open: bool) -> ProofOverdue | None:
        """Looks again: the newest proof's time, and whether something may be unproven.

        Answers with the problem when it is new; it stays in `problem` until it is over.
        """
        if not is_open:
            self._open_since_s = None
        elif self._open_since_s is None:
            self._open_since_s = now_s
        late_s = now_s - (self._started_s if newest_s is None else newest_s)
        if late_s <= OVERDUE_INTERVALS * self._every_s or self._open_since_s is None:
            self.problem = None
            return None
        if self.problem is not None or now_s - self._open_since_s < OVERDUE_GRACE_S:
            return None
        self.problem = ProofOverdue(int(late_s // 3_600))
        return self.problem
