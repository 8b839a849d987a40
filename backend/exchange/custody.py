"""Wiring of everything that touches the chain: one vault's workers, and what they say of themselves.

Nothing here decides anything. The workers' tasks are started by `exchange.main`, in the order of `works`.
"""

import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from exchange.chain.alerts import Alerts
from exchange.chain.allow_list import AllowList
from exchange.chain.arrivals import ArrivalWatcher
from exchange.chain.books import Reconciliation
from exchange.chain.deposits import DepositWatcher
from exchange.chain.displacement import Safeguard
from exchange.chain.forwarders import Forwarders
from exchange.chain.gas_price import GasPrices
from exchange.chain.halts import Alert, HaltKind, Halts
from exchange.chain.outbox import Outbox, SendPolicy
from exchange.chain.reconcile import Reconciler
from exchange.chain.remote_signer import RemoteSigner
from exchange.chain.risk import RiskStep
from exchange.chain.roles import RoleWatch
from exchange.chain.rpc import Rpc
from exchange.chain.signer import LocalSender, LocalSigner
from exchange.chain.withdrawals import WithdrawalPolicy, WithdrawalWorker
from exchange.chain.witness import Witness
from exchange.config import LocalKey, Settings
from exchange.edge.dependencies import DepositAddressing
from exchange.edge.readiness import HealthPart
from exchange.journal.tail import Tail
from exchange.proofs.publisher import ProofPublisher, ProofSource, RootContract
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Sequencer


@dataclass(frozen=True, slots=True)
class Custody:
    """The workers of one vault."""

    alerts: Alerts
    halts: Halts
    deposits: DepositWatcher
    reconciler: Reconciler
    withdrawals: WithdrawalWorker
    roles: RoleWatch
    gas_prices: GasPrices
    proofs: ProofPublisher
    arrivals: ArrivalWatcher | None
    """None when the deployment has no personal deposit addresses."""

    @property
    def deposit_addressing(self) -> DepositAddressing | None:
        """What the API needs of the personal deposit addresses."""
        arrivals = self.arrivals
        if arrivals is None:
            return None
        return DepositAddressing(arrivals.forwarders, lambda: arrivals.minima, lambda: arrivals.is_checked)

    def withdrawals_halted(self) -> bool:
        """Whether nothing is signed at present."""
        return self.halts.halted or not self.reconciler.agrees

    def works(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """What runs as long as the exchange does, by name."""
        works = [
            ("alerts", self.alerts.run()),
            ("halts", self.halts.run()),
            ("deposit watcher", self.deposits.run()),
            ("reconciler", self.reconciler.run()),
            ("withdrawal worker", self.withdrawals.run()),
            ("roles", self.roles.run()),
            ("gas price", self.gas_prices.run()),
            ("proofs", self.proofs.run()),
        ]
        if self.arrivals is not None:
            works.append(("deposit addresses", self.arrivals.run()))
        return works

    def health_parts(self) -> tuple[HealthPart, ...]:
        """What each worker says of itself; trading goes on without all of them."""
        parts = [
            HealthPart("deposits", required=False, check=self._crediting),
            HealthPart("withdrawals", required=False, check=self._paying),
            HealthPart("roles", required=False, check=self._authorized),
            HealthPart("sender gas", required=False, check=self._fuelled),
            HealthPart("halts", required=False, check=self._halted),
            HealthPart("books", required=False, check=self._agreeing),
            HealthPart("proofs", required=False, check=self._proving),
        ]
        if self.arrivals is not None:
            parts.append(HealthPart("deposit addresses", required=False, check=self._sweeping))
        return tuple(parts)

    async def _crediting(self) -> str | Exception | None:
        return self.deposits.status().problem

    async def _paying(self) -> str | Exception | None:
        status = self.withdrawals.status()
        if status.fault is not None:
            return status.fault
        return f"{len(status.conditions)} payments are stopped" if status.conditions else None

    async def _authorized(self) -> str | Exception | None:
        return self.roles.problem

    async def _fuelled(self) -> str | None:
        gas = self.withdrawals.status().gas
        return "low: send it native coins" if gas is not None and gas.is_low else None

    async def _halted(self) -> str | None:
        return self.halts.problem

    async def _agreeing(self) -> str | Exception | None:
        status = self.reconciler.status()
        if status.agrees:
            return None
        if status.mismatches:
            return f"vault and ledger differ in {', '.join(entry.symbol for entry in status.mismatches)}"
        return status.fault or f"not compared: {status.problem}"

    async def _proving(self) -> Exception | None:
        return self.proofs.problem

    async def _sweeping(self) -> str | Exception | None:
        assert self.arrivals is not None
        status = self.arrivals.status()
        if status.fault is not None:
            return status.fault
        if status.condition is not None:
            return f"{status.waiting} arrivals wait: nothing can be sent"
        return "sweeper gas is low: send it native coins" if status.gas and status.gas.is_low else None


def make_custody(
    settings: Settings,
    stack: contextlib.AsyncExitStack,
    rpc: Rpc,
    pool: asyncpg.Pool,
    sequencer: Sequencer,
    tail: Tail,
    epoch: int,
) -> Custody:
    """The workers, none of them started. What must be closed is closed with the stack.

    `epoch` is the engine's: whoever starts later takes over the journal and the sending keys.
    """
    committed = sequencer.committed
    alerts = Alerts(settings.alert_url)
    witness = _witness(settings, stack)
    halts = Halts(pool, alerts.send)
    deposits = DepositWatcher(
        rpc,
        pool,
        sequencer.submit_batch,
        committed,
        chain_id=settings.chain_id,
        vault=settings.vault,
        deploy_block=settings.vault_block,
        finality=settings.finality,
        on_displaced=Safeguard(halts, alerts.send, committed, sequencer.submit),
        witness=witness,
        alert=alerts.send,
    )

    async def halt(found: Reconciliation) -> None:
        if await tail.is_overtaken(committed.seq, epoch):
            return  # this engine was replaced: its ledger stands still, the books of the other do not
        detail = f"at block {found.block_number}: {'; '.join(map(str, found.mismatches))}"
        await halts.raise_(HaltKind.BOOKS_DIFFER, detail, settings.chain_id, settings.vault)

    reconciler = Reconciler(
        rpc,
        pool,
        committed,
        deposits,
        chain_id=settings.chain_id,
        vault=settings.vault,
        deploy_block=settings.vault_block,
        on_mismatch=halt,
        witness=witness,
        alert=alerts.send,
    )
    signer = _signer(settings, stack)
    sender = LocalSender(settings.sender_key, settings.chain_id)
    withdrawals = WithdrawalWorker(
        rpc,
        pool,
        sequencer.submit,
        committed,
        tail,
        signer,
        sender,
        RiskStep(
            pool,
            settings.risk,
            AllowList(pool, settings.address_delay_s),
            lambda asset_id: committed.assets[asset_id].symbol,
            chain_id=settings.chain_id,
            vault=settings.vault,
        ),
        chain_id=settings.chain_id,
        vault=settings.vault,
        deploy_block=settings.vault_block,
        policy=WithdrawalPolicy(finality=settings.finality),
        may_sign=lambda: reconciler.agrees and not halts.halted,
        epoch=epoch,
        alert=alerts.send,
    )
    return Custody(
        alerts=alerts,
        halts=halts,
        deposits=deposits,
        reconciler=reconciler,
        withdrawals=withdrawals,
        roles=RoleWatch(rpc, settings.vault, signer=signer.address, sender=sender.address),
        gas_prices=GasPrices(rpc),
        proofs=_proofs(settings, rpc, pool, committed, reconciler, alerts, epoch),
        arrivals=_arrivals(settings, rpc, pool, committed, epoch, alerts.send),
    )


def _witness(settings: Settings, stack: contextlib.AsyncExitStack) -> Witness | None:
    """The second node's word, if there is one; its client is closed with the stack."""
    if settings.witness_rpc_url is None:
        return None
    rpc = Rpc(settings.witness_rpc_url)
    stack.push_async_callback(rpc.close)
    return Witness(rpc, chain_id=settings.chain_id, vault=settings.vault)


def _signer(settings: Settings, stack: contextlib.AsyncExitStack) -> LocalSigner | RemoteSigner:
    """The key in this process, or the client of a policy signer, closed with the stack."""
    if isinstance(settings.signer, LocalKey):
        return LocalSigner(settings.signer.key, settings.chain_id, settings.vault)
    signer = RemoteSigner(settings.signer, settings.chain_id, settings.vault)
    stack.push_async_callback(signer.close)
    return signer


def _proofs(
    settings: Settings,
    rpc: Rpc,
    pool: asyncpg.Pool,
    committed: CommittedView,
    reconciler: Reconciler,
    alerts: Alerts,
    epoch: int,
) -> ProofPublisher:
    """The maker of proofs of balances; without a contract they are served and not published."""
    contract = None
    if settings.balance_roots is not None and settings.publisher_key is not None:
        sender = LocalSender(settings.publisher_key, settings.chain_id)
        outbox = Outbox(
            rpc,
            pool,
            sender,
            chain_id=settings.chain_id,
            policy=SendPolicy(),
            epoch=epoch,
            alert=alerts.send,
        )
        contract = RootContract(settings.balance_roots, outbox)
    return ProofPublisher(
        rpc,
        pool,
        ProofSource(
            settings.database_url,
            settings.rpc_url,
            committed.genesis_id,
            settings.chain_id,
            settings.vault,
        ),
        contract,
        comparison=lambda: reconciler.finalized,
        agrees=lambda: reconciler.agrees,
        policy=replace(settings.proofs, finality=settings.finality),
        alert=alerts.send,
    )


def _arrivals(
    settings: Settings, rpc: Rpc, pool: asyncpg.Pool, committed: CommittedView, epoch: int, alert: Alert
) -> ArrivalWatcher | None:
    """The watcher of personal deposit addresses; without a sweeper's key it only watches."""
    if settings.deposit_addresses is None:
        return None
    assert settings.forwarder_code
    outbox = None
    if settings.sweeper_key is not None:
        sweeper = LocalSender(settings.sweeper_key, settings.chain_id)
        outbox = Outbox(
            rpc, pool, sweeper, chain_id=settings.chain_id, policy=SendPolicy(), epoch=epoch, alert=alert
        )
    route = (settings.chain_id, settings.vault)
    return ArrivalWatcher(
        rpc,
        pool,
        Forwarders(settings.forwarder_code, registry=settings.deposit_addresses, vault=settings.vault),
        lambda: [
            asset.token
            for asset in committed.assets.values()
            if asset.listed and (asset.chain_id, asset.vault) == route
        ],
        outbox,
        chain_id=settings.chain_id,
    )
