"""What can go wrong, how often in this run, and the count of what did.

Every run draws its own rates: some runs are calm, some have one kind of trouble, some all of it. A fault is
counted when it has had its effect, not when it was planned.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection
from random import Random

PROCESS = (
    "crash",
    "crash_in_commit",
    "crash_at_start",
    "graceful_stop",
    "freeze",
    "two_engines",
    "clock_step",
)
COMMIT = ("commit_lost", "commit_ambiguous", "commit_refused", "commit_late", "commit_late_fenced")
DATABASE = (
    "connection_torn",
    "answer_lost",
    "statement_refused",
    "database_stall",
    "database_crash",
    "machine_crash",
)
DISK = ("lost_last_row", "damaged_row", "torn_row", "lost_head", "lost_rows_and_head")
FOLLOWERS = ("projection_stall", "standby_crash", "snapshot_crash", "snapshot_damaged", "clickhouse_failed",
             "clickhouse_ambiguous", "clickhouse_lost")  # fmt: skip
CLIENTS = ("request_lost", "request_doubled", "reply_lost", "reply_late", "resent_late", "replayed")
CHAIN = (
    "reorg",
    "reorg_of_deposit",
    "rpc_silent",
    "rpc_refused",
    "rpc_lagging",
    "log_withheld",
    "delivery_doubled",
    "delivery_late",
)

EVERY = (*PROCESS, *COMMIT, *DATABASE, *DISK, *FOLLOWERS, *CLIENTS, *CHAIN)
"""Every fault that there is. All must have fired over the seeds that are run in CI."""

CALM_SHARE = 0.05
OFTEN = 10.0


class Trace:
    """The run in order, as one hash: two runs of a seed are the same when their hashes are."""

    def __init__(self, now_ns: Callable[[], int], show: Callable[[str], None] | None = None) -> None:
        self._digest = hashlib.sha256()
        self._now_ns = now_ns
        self._show = show

    def note(self, *what: object) -> None:
        line = f"{self._now_ns()} {' '.join(map(str, what))}"
        self._digest.update(line.encode())
        if self._show is not None:
            self._show(line)

    def hash(self) -> str:
        return self._digest.hexdigest()


class Faults:
    """The rates of one run, and what has fired. After `stop` nothing more goes wrong."""

    def __init__(self, random: Random, trace: Trace, only: Collection[str] | None = None) -> None:
        """`only`: nothing else goes wrong, and that often."""
        self._random = random
        self._trace = trace
        self.fired: Counter[str] = Counter()
        self.active = False
        calm = random.random() < CALM_SHARE
        self._weight = {name: 0.0 if calm else random.choice((0.0, 0.0, 0.5, 1.0, 2.0)) for name in EVERY}
        if only is not None:
            self._weight = {name: OFTEN if name in only else 0.0 for name in EVERY}

    def start(self) -> None:
        self.active = True

    def stop(self) -> None:
        self.active = False

    def happens(self, name: str, rate: float) -> bool:
        """Whether to do it now; `rate` is the chance in a run where this fault has its ordinary weight."""
        return self.active and self._random.random() < rate * self._weight[name]

    def wanted(self, name: str) -> bool:
        """Whether this run has the fault at all."""
        return self._weight[name] > 0

    def wait_s(self, name: str, mean_s: float) -> float:
        """Time to the next one, for a wanted fault that comes by itself."""
        return self._random.expovariate(self._weight[name] / mean_s)

    def note(self, name: str, *what: object) -> None:
        """It had its effect."""
        assert name in EVERY, name
        self.fired[name] += 1
        self._trace.note("fault", name, *what)
