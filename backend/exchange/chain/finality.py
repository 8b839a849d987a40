"""When a block counts as final: so many confirmations, or what the chain itself calls finalized. Pure."""

from dataclasses import dataclass
from typing import Self

from exchange.chain.errors import ConfirmationsOutOfRange, FinalizedAheadOfHead
from exchange.chain.rpc import Header

MAX_CONFIRMATIONS = 512
FINALIZED = "finalized"


@dataclass(frozen=True, slots=True)
class Finality:
    """`confirmations`: how many a block needs, 1 in the newest block; None for the chain's own `finalized`.

    Raises ConfirmationsOutOfRange.
    """

    confirmations: int | None

    def __post_init__(self) -> None:
        if self.confirmations is not None and not 1 <= self.confirmations <= MAX_CONFIRMATIONS:
            raise ConfirmationsOutOfRange(self.confirmations, MAX_CONFIRMATIONS)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "finalized" or a number. Raises ValueError for anything else, ConfirmationsOutOfRange."""
        if text == FINALIZED:
            return cls(None)
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"neither {FINALIZED!r} nor a whole number: {text!r}")
        return cls(int(text[:9]))  # longer ones are out of range whatever follows

    @property
    def is_finalized(self) -> bool:
        """Whether the chain decides: then `newest_confirmed` wants its finalized header."""
        return self.confirmations is None

    def newest_confirmed(self, head: Header, finalized: Header | None) -> int:
        """Number of the newest block that counts, below 1 while there is none.

        `finalized` is only looked at when the chain decides; None while it has finalized nothing.
        Raises FinalizedAheadOfHead: the two answers can not be of one chain.
        """
        if self.confirmations is not None:
            return head.number - self.confirmations + 1
        if finalized is None:
            return 0
        if finalized.number > head.number:
            raise FinalizedAheadOfHead(finalized.number, head.number)
        return finalized.number

    def __str__(self) -> str:
        return FINALIZED if self.confirmations is None else str(self.confirmations)
