"""What the drill does to an exchange, and how often it really did: what never happened proves nothing."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum


class Fault(StrEnum):
    """One kind of trouble, named as it is printed."""

    # ---- what becomes of deposits
    REORG = "reorganization of less than N blocks"
    REORG_PAST_N = "reorganization of N blocks or more"
    DEPOSIT_KEPT = "deposit in the same block again"
    DEPOSIT_MOVED = "deposit moved to another block"
    DEPOSIT_DROPPED = "deposit dropped for good"
    DEPOSIT_DUPLICATED = "deposit sent twice"
    CREDIT_DISPLACED = "credited deposits taken from the chain"
    WATCHER_RESTARTED = "watcher started anew"
    ENGINE_RESTARTED = "engine recovered from its journal"
    LOGS_HIDDEN = "node kept a log back"
    LOG_FORGED = "node altered a log"
    NODE_BEHIND = "node answered from an older block"
    ANSWER_LOST = "node's answer lost"
    REQUEST_LOST = "request lost on its way"
    CHAIN_RESTARTED = "chain stopped and started"
    CHAIN_KILLED = "chain killed, its last blocks lost"
    # ---- what becomes of payments
    SEND_ANSWER_LOST = "transaction accepted, its answer lost"
    NODE_HUNG = "node hung beyond the timeout"
    TRANSACTION_DROPPED = "transaction dropped from the pool"
    TRANSACTION_STUCK = "transaction stuck until it was replaced"
    FEE_SPIKE = "base fee spiked, pool evicted"
    FEE_ABOVE_CAP = "base fee above what may be paid"
    PAYMENT_REORGED = "mined payment reorganized away"
    SETTLED_REORGED = "settled payment reorganized away"
    PAYMENT_CLAIMABLE = "receiver refused the transfer"
    PAYMENT_SKIPPED = "payment mined after its deadline"
    SEEN_LATE = "payment made in time, seen after its deadline"
    CANCELLED = "late transaction cancelled"
    REVIEWED = "withdrawal held for a person, approved or rejected"
    NONCE_STOLEN = "nonce used by somebody else"
    TABLES_LOST = "payment tables lost"
    TAKEN_OVER = "second worker took over from a live one"
    KILLED_AT_REST = "worker killed with nothing to do"


OF_DEPOSITS = (
    Fault.REORG,
    Fault.REORG_PAST_N,
    Fault.DEPOSIT_KEPT,
    Fault.DEPOSIT_MOVED,
    Fault.DEPOSIT_DROPPED,
    Fault.DEPOSIT_DUPLICATED,
    Fault.CREDIT_DISPLACED,
    Fault.WATCHER_RESTARTED,
    Fault.ENGINE_RESTARTED,
    Fault.LOGS_HIDDEN,
    Fault.LOG_FORGED,
    Fault.NODE_BEHIND,
    Fault.ANSWER_LOST,
    Fault.REQUEST_LOST,
    Fault.CHAIN_RESTARTED,
    Fault.CHAIN_KILLED,
)
OF_PAYMENTS = (
    Fault.ANSWER_LOST,
    Fault.REQUEST_LOST,
    Fault.CHAIN_KILLED,
    Fault.SEND_ANSWER_LOST,
    Fault.NODE_HUNG,
    Fault.TRANSACTION_DROPPED,
    Fault.TRANSACTION_STUCK,
    Fault.FEE_SPIKE,
    Fault.FEE_ABOVE_CAP,
    Fault.PAYMENT_REORGED,
    Fault.SETTLED_REORGED,
    Fault.PAYMENT_CLAIMABLE,
    Fault.PAYMENT_SKIPPED,
    Fault.SEEN_LATE,
    Fault.CANCELLED,
    Fault.REVIEWED,
    Fault.NONCE_STOLEN,
    Fault.TABLES_LOST,
    Fault.TAKEN_OVER,
    Fault.KILLED_AT_REST,
)


class Injected:
    """Counts faults as they happen, of one part of the drill."""

    def __init__(self) -> None:
        self._counts: Counter[Fault] = Counter()

    def note(self, fault: Fault, times: int = 1) -> None:
        self._counts[fault] += times

    def __getitem__(self, fault: Fault) -> int:
        return self._counts[fault]

    def never(self, wanted: Iterable[Fault]) -> list[Fault]:
        """Those of the wanted ones that did not happen once."""
        return [fault for fault in wanted if not self._counts[fault]]

    def lines(self, wanted: Iterable[Fault]) -> list[str]:
        """A readable line for each."""
        return [f"{self._counts[fault]:>7}  {fault}" for fault in wanted]
