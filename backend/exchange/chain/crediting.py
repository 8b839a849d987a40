"""Brings confirmed deposits into the ledger: exactly once, in the vault's order, many at a time.

The ledger's own rule, one number after another per vault, makes crediting idempotent; where to go on comes
from the ledger, never from this module's memory. So after any interruption, and after an outcome that is
unknown, the ledger is read again: what it has is not submitted again, and if it is, it is refused.
"""

import asyncio
from collections.abc import Sequence

import structlog

from exchange.chain.deposit_rows import DepositRows
from exchange.chain.errors import ChainMoved, CreditRefused
from exchange.chain.vault import Deposit
from exchange.core.commands import CreditDeposit
from exchange.core.events import Rejected
from exchange.core.rejects import RejectReason
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import MAX_GROUP, Outcome, Overloaded, SubmitBatch

GROUPS_AT_ONCE = 10
"""Groups that the engine is given at once: enough to fill rows of the journal, not its inbox."""

MAX_TOLD = 16
"""Deposits that are logged one by one; of more, only how many there are."""

log = structlog.get_logger(__name__)


class Crediting:
    """Credits the deposits of one vault."""

    def __init__(
        self,
        rows: DepositRows,
        submit_batch: SubmitBatch,
        committed: CommittedView,
        chain_id: int,
        vault: str,
    ) -> None:
        self._rows = rows
        self._submit_batch = submit_batch
        self._committed = committed
        self._chain_id = chain_id
        self._vault = vault
        self._group_size = MAX_GROUP

    @property
    def last(self) -> int:
        """Number of the last credited deposit."""
        return self._committed.last_deposit(self._chain_id, self._vault)

    async def up_to(self, number: int) -> None:
        """Credits all stored deposits up to a number.

        Raises CreditRefused, ChainMoved when a row has gone, SequencerError.
        """
        await self._rows.mark_credited(self.last)
        while self.last < number:
            last = self.last
            deposits = await self._rows.between(last, number, GROUPS_AT_ONCE * self._group_size)
            if not deposits or deposits[0].number != last + 1:  # somebody took them away
                raise ChainMoved(deposits[0].block_number if deposits else 0)
            await self._credit(deposits)
            await self._rows.mark_credited(self.last)

    async def _credit(self, deposits: Sequence[Deposit]) -> None:
        """Hands in groups without waiting in between, so that they share commits; waits for all outcomes.

        What the engine has no room for is left for later, in smaller groups. Raises Overloaded when it has no
        room for a single one.
        """
        size = self._group_size
        if len(deposits) > size:  # all groups alike: a small one might find room where those before did not
            deposits = deposits[: len(deposits) // size * size]
        groups = [deposits[start : start + size] for start in range(0, len(deposits), size)]
        answers = await asyncio.gather(
            *(self._submit_batch([self._command(deposit) for deposit in group]) for group in groups),
            return_exceptions=True,
        )
        outcomes: list[Outcome] = []
        for group, answer in zip(groups, answers, strict=True):
            if isinstance(answer, BaseException):  # those behind it were refused, or are unknown too
                if not isinstance(answer, Overloaded) or (size == 1 and not outcomes):
                    raise answer
                self._group_size = max(1, size // 2)
                break
            for deposit, outcome in zip(group, answer, strict=True):
                _check(deposit, outcome)
            outcomes += answer
        else:
            self._group_size = min(MAX_GROUP, 2 * size)
        _tell(deposits[: len(outcomes)], outcomes)

    def _command(self, deposit: Deposit) -> CreditDeposit:
        return CreditDeposit(
            chain_id=self._chain_id,
            vault=self._vault,
            number=deposit.number,
            owner=deposit.owner,
            token=deposit.token,
            amount_atoms=deposit.amount_atoms,
            tx_hash=deposit.tx_hash,
            log_index=deposit.log_index,
            block_number=deposit.block_number,
        )


def _tell(deposits: Sequence[Deposit], outcomes: Sequence[Outcome]) -> None:
    if len(deposits) > MAX_TOLD:
        log.info("deposits_credited", first=deposits[0].number, last=deposits[-1].number)
        return
    for deposit, outcome in zip(deposits, outcomes, strict=True):
        log.info("deposit_credited", number=deposit.number, seq=outcome.seq)


def _check(deposit: Deposit, outcome: Outcome) -> None:
    refusal = next((event for event in outcome.events if isinstance(event, Rejected)), None)
    if refusal is not None and refusal.reason is not RejectReason.DEPOSIT_ALREADY_CREDITED:
        raise CreditRefused(deposit.number, refusal.reason)
