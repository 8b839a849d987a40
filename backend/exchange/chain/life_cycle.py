"""The life of a withdrawal, as a table: which state follows which, and when. Nothing else may happen.

Every statement that changes a payment's state takes the states it may come from out of this table, so a
step that is not in it can not be made. docs/withdrawals.md shows the same table; a test compares them.

Why it pays once: the vault uses an id at most once, so no number of transactions pays twice. Why it never
pays and refunds: one deadline per id is ever signed, and a refund waits for a finalized block beyond it.
Why a crash loses nothing: every step first stores what it is about to do, or can be done again; the two
last states are written from the journal alone.
"""

from dataclasses import dataclass
from enum import StrEnum


class PaymentState(StrEnum):
    """Where a withdrawal stands on its way out."""

    REQUESTED = "requested"
    REVIEW = "review"
    REJECTED = "rejected"
    APPROVED = "approved"
    SIGNED = "signed"
    BROADCAST = "broadcast"
    MINED = "mined"
    SETTLED = "settled"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class Step:
    """From any of the states `before` to `after`, `when` something is so."""

    before: tuple[PaymentState, ...]
    when: str
    after: PaymentState


_S = PaymentState
_OPEN = (_S.REQUESTED, _S.REVIEW, _S.REJECTED, _S.APPROVED, _S.SIGNED, _S.BROADCAST, _S.MINED)

LIFE_CYCLE: tuple[Step, ...] = (
    Step((_S.REQUESTED,), "the row equals the ledger's, the risk step has no objection", _S.APPROVED),
    Step((_S.REQUESTED,), "the risk step wants a person to look at it", _S.REVIEW),
    Step((_S.REVIEW,), "an operator approves it", _S.APPROVED),
    Step((_S.REVIEW,), "an operator rejects it", _S.REJECTED),
    Step(
        (_S.APPROVED,),
        "nothing is against it: nonce, signed bytes and hash of its batch are stored",
        _S.SIGNED,
    ),
    Step((_S.SIGNED,), "the node has the bytes, or says that the nonce is used", _S.BROADCAST),
    Step(
        (_S.REQUESTED, _S.REVIEW, _S.REJECTED, _S.APPROVED),
        "the vault has used the id: by bytes that we have no record of",
        _S.MINED,
    ),
    Step((_S.SIGNED, _S.BROADCAST), "an attempt of its transaction has a receipt", _S.MINED),
    Step(
        (_S.SIGNED, _S.BROADCAST),
        "its nonce was used by something else: a stranger, or our own self-transfer",
        _S.APPROVED,
    ),
    Step((_S.MINED,), "the receipt is gone: reorganized away", _S.BROADCAST),
    Step((_S.MINED,), "the receipt is gone, and was not of ours: as it was decided", _S.APPROVED),
    Step((_S.MINED,), "the receipt is gone, and was not of ours: as it was decided", _S.REJECTED),
    Step((_S.MINED,), "the receipt is gone, and was not of ours: as nothing was decided", _S.REQUESTED),
    Step((_S.MINED,), "confirmed, but skipped by the vault or reverted: later again", _S.APPROVED),
    Step(_OPEN, "confirmed as paid or claimable, and the journal says so", _S.SETTLED),
    Step(_OPEN, "a finalized block is past the deadline, the id unused, the journal says so", _S.REFUNDED),
)

FINAL = (PaymentState.SETTLED, PaymentState.REFUNDED)
UNDER_WAY = (PaymentState.SIGNED, PaymentState.BROADCAST)
"""Bytes are signed that may be mined at any time."""

BEFORE_SIGNED = (
    PaymentState.REQUESTED,
    PaymentState.REVIEW,
    PaymentState.REJECTED,
    PaymentState.APPROVED,
)


def sources(after: PaymentState) -> list[PaymentState]:
    """The states from which a payment may come to `after`."""
    found = [before for step in LIFE_CYCLE if step.after is after for before in step.before]
    assert found
    return sorted(set(found))
