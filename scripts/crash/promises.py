"""What the drill asked for and what it was told: every answer is a promise that must outlive any kill.

A request without an answer, or with one that says "outcome unknown", may have taken effect or not; it is sent
again after the restart under the same client order id, and then has an answer.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Outcome(Enum):
    """What a client knows of its request."""

    UNKNOWN = "unknown"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"


@dataclass(slots=True)
class Placement:
    """One order. Price in ticks, size in lots. `answers` are all acknowledgements, the first answer first."""

    account_id: int
    client_order_id: str
    side: str
    time_in_force: str
    price_ticks: int
    size_lots: int
    outcome: Outcome = Outcome.UNKNOWN
    answers: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    sent_s: float = 0.0
    """When it was sent last, on the steady clock."""
    good_till_ms: int = 0

    @property
    def order_id(self) -> int:
        """Id of an acknowledged order."""
        return int(self.answers[0]["order"]["order_id"])

    def acknowledge(self, answer: dict[str, Any]) -> None:
        self.answers.append(answer)
        self.outcome = Outcome.ACKNOWLEDGED

    def refuse(self, code: str) -> None:
        self.refusals.append(code)
        if self.outcome is Outcome.UNKNOWN:
            self.outcome = Outcome.REFUSED


@dataclass(slots=True)
class Cancellation:
    """The cancel of one order. `seq` is that of the acknowledgement, 0 where none is told (in a batch)."""

    account_id: int
    order_id: int
    outcome: Outcome = Outcome.UNKNOWN
    seq: int = 0


@dataclass(slots=True)
class Batch:
    """Orders and cancels that were sent as one request, and are to be found in one row of the journal."""

    account_id: int
    placements: list[Placement]
    cancellations: list[Cancellation]

    @property
    def is_unknown(self) -> bool:
        return all(placement.outcome is Outcome.UNKNOWN for placement in self.placements)


@dataclass(slots=True)
class MassCancellation:
    """An acknowledged cancel of all of an account's orders, and which those were."""

    account_id: int
    seq: int
    order_ids: list[int]


@dataclass(slots=True)
class Promises:
    """All of one cycle."""

    placements: list[Placement] = field(default_factory=list)
    cancellations: list[Cancellation] = field(default_factory=list)
    mass_cancellations: list[MassCancellation] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    """Of the same placements and cancellations."""
    oddities: list[str] = field(default_factory=list)
    """Answers that no client should ever get."""

    @property
    def acknowledged_orders(self) -> int:
        return sum(placement.outcome is Outcome.ACKNOWLEDGED for placement in self.placements)

    @property
    def acknowledged_cancels(self) -> int:
        single = sum(cancel.outcome is Outcome.ACKNOWLEDGED for cancel in self.cancellations)
        return single + sum(len(cancel.order_ids) for cancel in self.mass_cancellations)

    @property
    def unknown(self) -> list[Placement]:
        """Orders of which the client does not know whether they exist."""
        return [placement for placement in self.placements if placement.outcome is Outcome.UNKNOWN]
