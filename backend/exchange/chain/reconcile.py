"""Whether the vault holds, per listed asset, exactly what the ledger says; if not, nothing is signed.

Between ledger and vault there are two kinds of difference that are no error: a deposit that only one of them
has yet, and a payment that the vault has made and the ledger has still in flight (or, the vault being asked
about a block of a moment ago, the other way round). So at one block

    accounted = in custody by the ledger + deposits not credited yet - payments made but not settled

where `in custody` is minus the balance of the ledger's chain account, that is credited deposits less settled
payments. What this finds: a journal that is empty, restored from a backup or of another vault, and that would
credit and pay what was credited and paid before; payments by somebody else; a bug in either's arithmetic.

Unlisted assets are left out: anybody can deposit worthless tokens, and they can not be withdrawn.
"""

import asyncio
from dataclasses import dataclass

import asyncpg
import structlog

from exchange.chain.backoff import repeat
from exchange.chain.deposit_rows import DepositRows
from exchange.chain.deposits import DepositWatcher
from exchange.chain.payment_rows import ChainOutcome, PaymentRows, PaymentState, StoredPayment
from exchange.chain.rpc import Rpc, together
from exchange.chain.vault import accounted_call, decode_word, used_call
from exchange.core.accounts import CHAIN_ACCOUNT
from exchange.sequencer.committed import CommittedView

MAX_LAG_BLOCKS = 16
"""By how many blocks the watcher may be behind the head: it polls, blocks come all the time."""

PASS_TIMEOUT_S = 30.0
VIEWS_AT_ONCE = 64

_WAITING = "the deposit watcher has not caught up with the chain"
_MADE = (ChainOutcome.PAID, ChainOutcome.CLAIMABLE)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AssetPosition:
    """One asset at one block, all in atoms; `accounted_atoms` is the vault's word, the rest is ours.

    `uncredited_atoms` and `unsettled_atoms` are negative for what the ledger has and that block has not yet.
    """

    symbol: str
    token: str
    accounted_atoms: int
    in_custody_atoms: int
    uncredited_atoms: int
    unsettled_atoms: int

    @property
    def difference_atoms(self) -> int:
        """What the vault has more than it should; 0 when all is well."""
        return self.accounted_atoms - (self.in_custody_atoms + self.uncredited_atoms - self.unsettled_atoms)

    def __str__(self) -> str:
        how = "more" if self.difference_atoms > 0 else "less"
        return f"the vault holds {abs(self.difference_atoms)} atoms of {self.symbol} {how} than the books say"


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All listed assets of a vault at one block and one journal seq."""

    block_number: int
    seq: int
    positions: tuple[AssetPosition, ...]

    @property
    def mismatches(self) -> list[AssetPosition]:
        return [position for position in self.positions if position.difference_atoms != 0]


@dataclass(frozen=True, slots=True)
class ReconcilerStatus:
    """`block_number` and `mismatches` are of the last comparison; `problem` is why nothing is signed."""

    agrees: bool
    block_number: int
    mismatches: tuple[AssetPosition, ...]
    fault: Exception | None
    problem: str | None


class Reconciler:
    """Compares again and again. One `run` task per vault and deployment."""

    def __init__(
        self,
        rpc: Rpc,
        pool: asyncpg.Pool,
        committed: CommittedView,
        deposits: DepositWatcher,
        *,
        chain_id: int,
        vault: str,
        poll_s: float = 2.0,
    ) -> None:
        self._rpc = rpc
        self._pool = pool
        self._committed = committed
        self._deposits = deposits
        self._chain_id = chain_id
        self._vault = vault
        self._poll_s = poll_s
        self._agreed = False
        self._waiting = True
        self._last: Reconciliation | None = None
        self._fault: Exception | None = None

    @property
    def agrees(self) -> bool:
        """Whether the last pass was made, found no difference, and the watcher has had no trouble since."""
        return self._agreed and self._watcher_is_well

    def status(self) -> ReconcilerStatus:
        mismatches = () if self._last is None else tuple(self._last.mismatches)
        number = 0 if self._last is None else self._last.block_number
        return ReconcilerStatus(self.agrees, number, mismatches, self._fault, self._problem(mismatches))

    def _problem(self, mismatches: tuple[AssetPosition, ...]) -> str | None:
        if self.agrees:
            return None
        if self._fault is not None:
            return str(self._fault)
        if self._waiting or not self._watcher_is_well:
            return _WAITING
        return "; ".join(map(str, mismatches))

    async def run(self) -> None:
        """Compares until cancelled."""
        await repeat(
            "reconciler", self.poll, self._pause, first_fault_pause_s=self._poll_s, on_fault=self._note_fault
        )

    async def poll(self) -> None:
        """One comparison, as soon as the watcher has caught up. Raises ChainError, TimeoutError."""
        agreed = False
        try:
            async with asyncio.timeout(PASS_TIMEOUT_S):
                agreed = await self._compare()
        finally:  # also a pass that can not be made closes
            self._agreed = agreed
        self._fault = None

    async def _compare(self) -> bool:
        found = await self._comparison()
        self._waiting = found is None
        if found is None:
            return False
        before, self._last = self._last, found
        if found.mismatches and (before is None or found.mismatches != before.mismatches):
            log.error(
                "books_differ",
                block=found.block_number,
                seq=found.seq,
                differences={entry.symbol: entry.difference_atoms for entry in found.mismatches},
            )
        return not found.mismatches

    async def _comparison(self) -> Reconciliation | None:
        """None while the watcher is not where a comparison would mean something."""
        if not self._watcher_is_well:
            return None
        head = await self._rpc.head()
        found = await reconcile(
            self._rpc, self._pool, self._committed, chain_id=self._chain_id, vault=self._vault
        )
        if found is None or found.block_number < head.number - MAX_LAG_BLOCKS:
            return None
        return found

    @property
    def _watcher_is_well(self) -> bool:
        status = self._deposits.status()
        return status.caught_up and status.condition is None and status.fault is None

    async def _pause(self) -> None:
        await asyncio.sleep(self._poll_s / 10 if self._waiting else self._poll_s)

    def _note_fault(self, error: Exception) -> None:
        self._fault = error


async def reconcile(
    rpc: Rpc, pool: asyncpg.Pool, committed: CommittedView, *, chain_id: int, vault: str
) -> Reconciliation | None:
    """Compares at the newest block that the deposit watcher has scanned; None before its first pass.

    The ledger is read last and all at once, so whatever moved before is either in it or looked up against
    it. What remains is a payment that is settled while it is read here: such a difference is gone in the
    next comparison. Raises ChainError.
    """
    deposits = DepositRows(pool, chain_id, vault)
    payments = PaymentRows(pool, chain_id, vault)
    tip = await deposits.tip()
    if tip is None:
        return None
    on_chain = (await deposits.last_at(tip.number)).number
    stored = {payment.withdrawal_id: payment for payment in await payments.open()}
    stored |= {payment.withdrawal_id: payment for payment in await payments.settled_after(tip.number)}

    seq = committed.seq
    credited = committed.last_deposit(chain_id, vault)
    in_flight = [payment for payment in stored.values() if committed.open_withdrawal(payment.withdrawal_id)]
    settled_later = [
        payment
        for payment in stored.values()
        if not committed.open_withdrawal(payment.withdrawal_id) and _made_after(payment, tip.number)
    ]
    assets = [
        asset
        for asset in committed.assets.values()
        if asset.listed and (asset.chain_id, asset.vault) == (chain_id, vault)
    ]
    custody = {
        asset.asset_id: -committed.balance(CHAIN_ACCOUNT, asset.asset_id).available_atoms for asset in assets
    }

    uncredited = await _deposited(deposits, credited, on_chain)
    for token, atoms in (await _deposited(deposits, on_chain, credited)).items():
        uncredited[token] = uncredited.get(token, 0) - atoms
    used = await _views(rpc, vault, [used_call(payment.withdrawal_id) for payment in in_flight], tip.hash)
    unsettled: dict[int, int] = {}
    for payment, is_used in zip(in_flight, used, strict=True):
        if is_used:
            unsettled[payment.asset_id] = unsettled.get(payment.asset_id, 0) + payment.payment.amount_atoms
    for payment in settled_later:
        unsettled[payment.asset_id] = unsettled.get(payment.asset_id, 0) - payment.payment.amount_atoms
    accounted = await _views(rpc, vault, [accounted_call(asset.token) for asset in assets], tip.hash)
    positions = [
        AssetPosition(
            symbol=asset.symbol,
            token=asset.token,
            accounted_atoms=accounted_atoms,
            in_custody_atoms=custody[asset.asset_id],
            uncredited_atoms=uncredited.get(asset.token, 0),
            unsettled_atoms=unsettled.get(asset.asset_id, 0),
        )
        for asset, accounted_atoms in zip(assets, accounted, strict=True)
    ]
    return Reconciliation(tip.number, seq, tuple(positions))


def _made_after(payment: StoredPayment, block_number: int) -> bool:
    """Whether the vault made it in a later block, as far as stored."""
    return (
        payment.state in (PaymentState.MINED, PaymentState.SETTLED)
        and payment.outcome in _MADE
        and payment.block_number is not None
        and payment.block_number > block_number
    )


async def _deposited(deposits: DepositRows, after: int, up_to: int) -> dict[str, int]:
    """Atoms by token of the deposits after a number and up to another; none when that is lower."""
    atoms: dict[str, int] = {}
    while rows := await deposits.between(after, up_to):
        after = rows[-1].number
        for deposit in rows:
            atoms[deposit.token] = atoms.get(deposit.token, 0) + deposit.amount_atoms
    return atoms


async def _views(rpc: Rpc, vault: str, calls: list[bytes], block_hash: str) -> list[int]:
    """One word for each call, asked for in parallel but not without bound."""
    words: list[int] = []
    for start in range(0, len(calls), VIEWS_AT_ONCE):
        some = calls[start : start + VIEWS_AT_ONCE]
        words += map(decode_word, await together(*(rpc.view(vault, call, block_hash) for call in some)))
    return words
