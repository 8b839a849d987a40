"""Whether the vault holds, per listed asset, exactly what the ledger says; if not, nothing is signed.

The equation is that of `exchange.chain.books`. It is checked at two blocks, again and again:

- at the newest block that the deposit watcher has scanned. This one opens and closes signing from one pass to
  the next. It finds at once a journal that is empty, restored from a backup or of another vault, and that
  would credit and pay what was credited and paid before; payments by somebody else; a bug in either's sums;
- at the newest finalized block, which nothing can take back. This one is published, closes signing too, and
  when it differs at DIFFERING_BLOCKS of them in a row, it is told to `on_mismatch`, once, until all is well
  again: then it is no matter of timing any more, and a person has to look.

Before the chain has a finalized block with the vault in it there is only the first.

Of the payments in flight the vault is asked about those that it may have made (`used_ids`). Nothing is
compared before it was asked about all of them once, and when the books begin to differ it is asked about all
of them again, before the difference is believed. Both may take as long as they need: nothing is signed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
import structlog

from exchange.chain.backoff import repeat
from exchange.chain.booked_payments import BookedPayment, BookedPayments
from exchange.chain.books import (
    AssetBook,
    AssetPosition,
    Books,
    MadeAt,
    Outgoing,
    Reconciliation,
    compare,
    views,
)
from exchange.chain.deposit_rows import Block, DepositRows
from exchange.chain.deposits import DepositWatcher
from exchange.chain.errors import ChainMoved, WitnessDisagrees
from exchange.chain.halts import Alert, only_logged
from exchange.chain.life_cycle import PaymentState
from exchange.chain.rpc import Header, Rpc
from exchange.chain.used_ids import UsedIds
from exchange.chain.vault import claimable_total_call
from exchange.chain.witness import Witness
from exchange.core.accounts import CHAIN_ACCOUNT
from exchange.sequencer.committed import CommittedView

MAX_LAG_BLOCKS = 16
"""By how many blocks the watcher may be behind the head: it polls, blocks come all the time."""

DIFFERING_BLOCKS = 3
"""Finalized blocks in a row at which the books must differ before `on_mismatch` is told."""

DISAGREEMENTS_BEFORE_ALERT = 2
"""Passes that a second node must contradict before people are told: it may follow another newest block."""

PASS_TIMEOUT_S = 15.0
"""For each of the two comparisons, and for each LOOKED_UP_AT_ONCE payments when all are asked about."""

LOOKED_UP_AT_ONCE = 512

_WAITING = "the deposit watcher has not caught up with the chain"
_LOOKING_UP = "the vault is asked about each payment in flight"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FinalizedComparison:
    """What is published: a comparison at a finalized block, and when it was made.

    `claimable_atoms` is by token what the vault owes on chain, to owners whose payments could not be
    delivered; the ledger has settled them, and `accounted` does not count it.
    """

    reconciliation: Reconciliation
    block_time_s: int
    compared_at_ms: int
    claimable_atoms: dict[str, int]


@dataclass(frozen=True, slots=True)
class ReconcilerStatus:
    """`block_number` is of the last comparison, `mismatches` of both; `problem` is why nothing is signed."""

    agrees: bool
    block_number: int
    mismatches: tuple[AssetPosition, ...]
    fault: Exception | None
    problem: str | None


class Reconciler:
    """Compares again and again. One `run` task per vault and deployment.

    `on_mismatch` is awaited when the books differ for good; while it raises, it is told again each pass.
    With a `witness`, what the vault holds at both blocks counts only when that confirms it.
    """

    def __init__(
        self,
        rpc: Rpc,
        pool: asyncpg.Pool,
        committed: CommittedView,
        deposits: DepositWatcher,
        *,
        chain_id: int,
        vault: str,
        deploy_block: int = 1,
        poll_s: float = 2.0,
        on_mismatch: Callable[[Reconciliation], Awaitable[None]] | None = None,
        witness: Witness | None = None,
        alert: Alert = only_logged,
    ) -> None:
        self._rpc = rpc
        self._pool = pool
        self._rows = DepositRows(pool, chain_id, vault)
        self._payments = BookedPayments(pool, chain_id, vault)
        self._used = UsedIds(rpc, vault)
        self._committed = committed
        self._deposits = deposits
        self._chain_id = chain_id
        self._vault = vault
        self._deploy_block = deploy_block
        self._poll_s = poll_s
        self._on_mismatch = on_mismatch
        self._witness = witness
        self._alert = alert
        self._agreed = False
        self._waiting = True
        self._must_look_up = True
        self._believed: dict[str, int] = {}
        """Atoms by token that differ though the vault was asked about all payments."""
        self._at_tip: Reconciliation | None = None
        self._finalized: FinalizedComparison | None = None
        self._differing: list[int] = []
        self._told = False
        self._fault: Exception | None = None
        self._disagreements = 0

    @property
    def agrees(self) -> bool:
        """Whether the last pass was made, found no difference, and the watcher has had no trouble since."""
        return self._agreed and self._watcher_is_well

    @property
    def finalized(self) -> FinalizedComparison | None:
        """The last comparison at a finalized block, whatever it found; None before the first."""
        return self._finalized

    def status(self) -> ReconcilerStatus:
        mismatches = self._mismatches()
        number = 0 if self._at_tip is None else self._at_tip.block_number
        return ReconcilerStatus(self.agrees, number, mismatches, self._fault, self._problem(mismatches))

    def _mismatches(self) -> tuple[AssetPosition, ...]:
        """Those at the newest block; when there are none, those at the finalized one."""
        at_tip = [] if self._at_tip is None else self._at_tip.mismatches
        finalized = [] if self._finalized is None else self._finalized.reconciliation.mismatches
        return tuple(at_tip or finalized)

    def _problem(self, mismatches: tuple[AssetPosition, ...]) -> str | None:
        if self.agrees:
            return None
        if self._fault is not None:
            return str(self._fault)
        if not self._watcher_is_well:
            condition = self._deposits.status().condition
            return _WAITING if condition is None else f"crediting has stopped: {condition}"
        if self._must_look_up:
            return _LOOKING_UP
        if self._waiting:
            return _WAITING
        return "; ".join(map(str, mismatches))

    async def run(self) -> None:
        """Compares until cancelled."""
        await repeat(
            "reconciler", self.poll, self._pause, first_fault_pause_s=self._poll_s, on_fault=self._note_fault
        )

    async def poll(self) -> None:
        """One comparison at each block, as soon as the watcher has caught up.

        Raises ChainError, TimeoutError, and what `on_mismatch` raises.
        """
        agreed = False
        try:
            agreed = await self._compare()
        finally:  # also a pass that can not be made closes
            self._agreed = agreed
        self._fault = None
        self._disagreements = 0

    async def _compare(self) -> bool:
        found = await self._compare_at_tip()
        if found is not None and _differences(found) not in ({}, self._believed):
            self._agreed = False
            self._used.demand()
            self._must_look_up = True
            found = await self._compare_at_tip()
        self._waiting = found is None
        if found is None:
            return False
        before, self._at_tip = self._at_tip, found
        _tell("books_differ", before, found)
        async with asyncio.timeout(PASS_TIMEOUT_S):
            if not await self._compare_finalized() or found.mismatches:
                return False
            await self._confirm(found)
            return True

    async def _compare_at_tip(self) -> Reconciliation | None:
        """Once the vault was asked about all that it has to be. None while the watcher is not well."""
        is_looked_up = self._must_look_up
        if is_looked_up:
            await self._look_up()
        async with asyncio.timeout(PASS_TIMEOUT_S):
            found = await self._comparison_at_tip()
        if found is not None and (is_looked_up or not found.mismatches):
            self._must_look_up = False
            self._believed = _differences(found)
        return found

    async def _look_up(self) -> None:
        """Asks about all that is missing now. What was answered before a fault is not asked again."""
        assert not self._agreed
        tip = await self._rows.tip()
        if tip is None:
            return
        books = await committed_books(
            self._committed, self._payments, tip.number, chain_id=self._chain_id, vault=self._vault
        )
        missing = self._used.missing(books.in_flight)
        for start in range(0, len(missing), LOOKED_UP_AT_ONCE):
            async with asyncio.timeout(PASS_TIMEOUT_S):
                tip = await self._rows.tip() or tip  # a node may forget the state at an old one
                await self._used.ask(missing[start : start + LOOKED_UP_AT_ONCE], tip)

    async def _comparison_at_tip(self) -> Reconciliation | None:
        """None while the watcher is not where a comparison would mean something."""
        if not self._watcher_is_well:
            return None
        head = await self._rpc.head()
        found = await self._reconcile(None, self._used.at_tip)
        if found is None or found.block_number < head.number - MAX_LAG_BLOCKS:
            return None
        return found

    async def _compare_finalized(self) -> bool:
        """Whether the newest finalized block, if there is one, shows no difference.

        Compared once when all is well there, in each pass when it is not. What was found stands while the
        node knows of no finalized block, or only of an earlier one: finality does not go back.
        """
        header = await self._finalized_header()
        before = None if self._finalized is None else self._finalized.reconciliation
        if header is None or (before is not None and header.number < before.block_number):
            return not self._finalized_mismatches
        if before is None or before.block_hash != header.hash or before.mismatches:
            found = await self._reconcile(Block(header.number, header.hash), self._used.at)
            assert found is not None
            await self._confirm(found)
            tokens = [position.token for position in found.positions]
            claimable = await views(self._rpc, self._vault, map(claimable_total_call, tokens), header.hash)
            self._finalized = FinalizedComparison(
                reconciliation=found,
                block_time_s=header.time_s,
                compared_at_ms=time.time_ns() // 1_000_000,
                claimable_atoms=dict(zip(tokens, claimable, strict=True)),
            )
            _tell("books_differ_at_finalized_block", before, found)
            await self._count(found)
        return not self._finalized_mismatches

    async def _confirm(self, found: Reconciliation) -> None:
        """Raises WitnessDisagrees or WitnessSilent unless the second node says that the vault holds this."""
        if self._witness is not None:
            accounted = {position.token: position.accounted_atoms for position in found.positions}
            await self._witness.confirm_accounted(Block(found.block_number, found.block_hash), accounted)

    @property
    def _finalized_mismatches(self) -> list[AssetPosition]:
        return [] if self._finalized is None else self._finalized.reconciliation.mismatches

    async def _finalized_header(self) -> Header | None:
        """The newest finalized block that is scanned; None when the vault is not in it. Raises ChainMoved."""
        header, tip = await self._rpc.finalized(), await self._rows.tip()
        if header is not None and tip is not None and header.number > tip.number:
            header = await self._rpc.header(tip.number)
        if header is None or tip is None or header.number < self._deploy_block:
            return None
        scanned = await self._rows.block(header.number)
        if scanned is not None and scanned.hash != header.hash:
            raise ChainMoved(header.number)
        return header

    async def _count(self, found: Reconciliation) -> None:
        """Counts the finalized blocks at which the books differ, and tells when there are enough in a row."""
        if not found.mismatches:
            self._differing, self._told = [], False
            return
        if found.block_number not in self._differing:
            self._differing = [*self._differing, found.block_number][-DIFFERING_BLOCKS:]
        if len(self._differing) == DIFFERING_BLOCKS and not self._told and self._on_mismatch is not None:
            await self._on_mismatch(found)
            self._told = True

    async def _reconcile(self, block: Block | None, made: MadeAt) -> Reconciliation | None:
        return await reconcile(
            self._rpc,
            self._pool,
            self._committed,
            chain_id=self._chain_id,
            vault=self._vault,
            block=block,
            made=made,
        )

    @property
    def _watcher_is_well(self) -> bool:
        status = self._deposits.status()
        return status.caught_up and status.condition is None and status.fault is None

    async def _pause(self) -> None:
        await asyncio.sleep(self._poll_s / 10 if self._waiting else self._poll_s)

    def _note_fault(self, error: Exception) -> None:
        self._fault = error
        if isinstance(error, WitnessDisagrees):
            self._disagreements += 1
            if self._disagreements == DISAGREEMENTS_BEFORE_ALERT:
                self._alert("nodes_disagree", str(error))


def _tell(event: str, before: Reconciliation | None, found: Reconciliation) -> None:
    """Logs a difference when it is new or another one than before."""
    if found.mismatches and (before is None or found.mismatches != before.mismatches):
        log.error(
            event,
            block=found.block_number,
            seq=found.seq,
            differences={entry.symbol: entry.difference_atoms for entry in found.mismatches},
        )


def _differences(found: Reconciliation) -> dict[str, int]:
    return {entry.token: entry.difference_atoms for entry in found.mismatches}


async def reconcile(
    rpc: Rpc,
    pool: asyncpg.Pool,
    committed: CommittedView,
    *,
    chain_id: int,
    vault: str,
    block: Block | None = None,
    made: MadeAt | None = None,
) -> Reconciliation | None:
    """Compares at a block that the deposit watcher has scanned, the newest one when `block` is None.

    `made` gives the ids of what the vault has made of what is in flight; without it all is asked about.
    None when nothing is scanned yet. Raises ChainError.
    """
    deposits = DepositRows(pool, chain_id, vault)
    block = block or await deposits.tip()
    if block is None:
        return None
    books = await committed_books(
        committed, BookedPayments(pool, chain_id, vault), block.number, chain_id=chain_id, vault=vault
    )
    ids = None if made is None else await made(books.in_flight, block)
    return await compare(rpc, vault, deposits, books, block, ids)


async def committed_books(
    committed: CommittedView, payments: BookedPayments, block_number: int, *, chain_id: int, vault: str
) -> Books:
    """The books as of the committed view's seq, to be compared at a block.

    The ledger is read after the payments and all at once, so whatever moved before is either in it or known
    from them. A payment that ended while it was read here is looked up once more: its block is stored before
    the ledger hears of it.
    """
    stored = {payment.withdrawal_id: payment for payment in await payments.open()}
    stored |= {payment.withdrawal_id: payment for payment in await payments.settled_after(block_number)}

    seq = committed.seq
    credited = committed.last_deposit(chain_id, vault)
    in_flight = [payment for payment in stored.values() if committed.open_withdrawal(payment.withdrawal_id)]
    ended = [payment for payment in stored.values() if not committed.open_withdrawal(payment.withdrawal_id)]
    assets = tuple(
        AssetBook(
            asset_id=asset.asset_id,
            symbol=asset.symbol,
            token=asset.token,
            in_custody_atoms=-committed.balance(CHAIN_ACCOUNT, asset.asset_id).available_atoms,
        )
        for asset in committed.assets.values()
        if asset.listed and (asset.chain_id, asset.vault) == (chain_id, vault)
    )

    settled_later: list[Outgoing] = []
    for payment in ended:
        known = payment
        if payment.state is not PaymentState.SETTLED:
            known = await payments.get(payment.withdrawal_id) or payment
        if known.made_after(block_number):
            settled_later.append(_outgoing(known))
    return Books(seq, credited, assets, tuple(map(_outgoing, in_flight)), tuple(settled_later))


def _outgoing(payment: BookedPayment) -> Outgoing:
    return Outgoing(payment.withdrawal_id, payment.asset_id, payment.amount_atoms, payment.may_be_made)
