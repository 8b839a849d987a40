"""Whether the vault holds, per asset, exactly what the ledger says: compared at one block of the chain.

Between ledger and vault there are two kinds of difference that are no error: a deposit that the vault has and
the ledger does not have yet, and a payment that the vault has made and the ledger has still in flight. So

    accounted = in custody by the ledger + deposits not credited yet - payments made but not settled

where `in custody` is minus the balance of the ledger's chain account, that is credited deposits less settled
payments.
"""

from dataclasses import dataclass

import asyncpg

from exchange.chain.deposit_rows import DepositRows
from exchange.chain.payment_rows import PaymentRows
from exchange.chain.rpc import Rpc
from exchange.chain.vault import accounted_call, decode_word, used_call
from exchange.core.accounts import CHAIN_ACCOUNT
from exchange.sequencer.committed import CommittedView


@dataclass(frozen=True, slots=True)
class AssetPosition:
    """One asset at one block, all in atoms; `accounted_atoms` is the vault's word, the rest is ours."""

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


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All assets of a vault at one block and one journal seq."""

    block_number: int
    seq: int
    positions: tuple[AssetPosition, ...]

    @property
    def mismatches(self) -> list[AssetPosition]:
        return [position for position in self.positions if position.difference_atoms != 0]


async def reconcile(
    rpc: Rpc, pool: asyncpg.Pool, committed: CommittedView, *, chain_id: int, vault: str
) -> Reconciliation | None:
    """Compares at the newest block that the deposit watcher has scanned; None before its first pass.

    The ledger is read last and all at once, so whatever moved before is either in it or looked up against
    it. Only a watcher that stalls while payments go on can make a difference that is none: believe one that
    is still there a few blocks later. Raises ChainError.
    """
    deposits = DepositRows(pool, chain_id, vault)
    tip = await deposits.tip()
    if tip is None:
        return None
    up_to = (await deposits.last_at(tip.number)).number
    open_payments = await PaymentRows(pool, chain_id, vault).open()

    seq = committed.seq
    last_deposit = committed.last_deposit(chain_id, vault)
    in_flight = [payment for payment in open_payments if committed.open_withdrawal(payment.withdrawal_id)]
    assets = [
        asset for asset in committed.assets.values() if (asset.chain_id, asset.vault) == (chain_id, vault)
    ]
    custody = {
        asset.asset_id: -committed.balance(CHAIN_ACCOUNT, asset.asset_id).available_atoms for asset in assets
    }

    uncredited: dict[str, int] = {}
    up_to = (await deposits.last_at(tip.number)).number
    while rows := await deposits.between(last_deposit, up_to):
        last_deposit = rows[-1].number
        for deposit in rows:
            uncredited[deposit.token] = uncredited.get(deposit.token, 0) + deposit.amount_atoms
    unsettled: dict[int, int] = {}
    for payment in in_flight:
        if decode_word(await rpc.view(vault, used_call(payment.withdrawal_id), tip.hash)):
            net_atoms = payment.amount_atoms - payment.fee_atoms
            unsettled[payment.asset_id] = unsettled.get(payment.asset_id, 0) + net_atoms
    positions = [
        AssetPosition(
            symbol=asset.symbol,
            token=asset.token,
            accounted_atoms=decode_word(await rpc.view(vault, accounted_call(asset.token), tip.hash)),
            in_custody_atoms=custody[asset.asset_id],
            uncredited_atoms=uncredited.get(asset.token, 0),
            unsettled_atoms=unsettled.get(asset.asset_id, 0),
        )
        for asset in assets
    ]
    return Reconciliation(tip.number, seq, tuple(positions))
