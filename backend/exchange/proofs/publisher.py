"""Once a day: builds a proof of what is owed, and puts its root on the chain.

A proof is due when a UTC day (or whatever `every_s` says) has begun since the last one, something happened
since, and vault and ledger agreed at a finalized block: that block is the proof's. It is built by a process
of its own (`build_process`) and stored whole. What nobody can be told to trust is not published: a build that
finds sums or vault to differ fails, alerts, and is tried again. A vault that held less than what is owed,
because of deposits and payments of the last minutes, is waited for for a while: readers could not tell it
from one that lacks the money. When none is made for two intervals, that is told (`overdue`).

A root is on its way to the chain as a table:

    built           no transaction with it yet
    sent            one is signed, stored with its nonce, and looked after by the outbox    (from built)
    published       the contract has it, in a block that counts as final                    (from built, sent)
    unpublishable   the contract has another root of its seq, or one of a later seq or
                    block, or its block is too old                                          (from built, sent)

and back from sent to built when its transaction is final and has not published it. Every pass looks at the
contract first, so a lost answer, a crash, a restored database or a second sender publish nothing twice: the
contract takes no seq that is not higher than its last. Roots go out in their order, one at a time; one that
can not go any more is told and does not keep the others. None is made about an earlier block than the last,
ours or the contract's, for that one could never go.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import asyncpg
import msgspec
import structlog

from exchange.chain.backoff import repeat
from exchange.chain.balance_roots import BLOCK_TOO_OLD, publish_call
from exchange.chain.books import Reconciliation
from exchange.chain.errors import RpcError
from exchange.chain.finality import Finality
from exchange.chain.halts import Alert, only_logged
from exchange.chain.nonces import Call, Purpose
from exchange.chain.outbox import Outbox
from exchange.chain.reconcile import FinalizedComparison
from exchange.chain.rpc import Header, Rpc
from exchange.journal.child import ChildFailed, ask
from exchange.proofs.build import BuildAnswer, BuildRequest, ProofBuilt, SeemsShort, seems_short
from exchange.proofs.build_process import ChildRequest
from exchange.proofs.errors import (
    BlockPassed,
    BuildFailed,
    ForeignRoot,
    ProofError,
    ProofsLost,
    PublishRefused,
    RootDiffers,
    RootsAhead,
    RootTooOld,
)
from exchange.proofs.overdue import OverdueWatch
from exchange.proofs.roots import PlacedRoot, first_root_from, newest_root, root_at
from exchange.proofs.rows import (
    ProofState,
    StoredProof,
    attempts_of,
    mark_published,
    mark_sent,
    mark_unpublishable,
    mark_unsent,
    newest_proof,
    oldest_waiting,
)

PROCESS = (sys.executable, "-m", "exchange.proofs.build_process")
BUILD_TIMEOUT_S = 3_600.0
FIRST_RETRY_S = 30.0
LAST_RETRY_S = 1_800.0
PUBLISH_GAS = 250_000
DAY_S = 86_400
LEAST_HELD_BPS = 9_900
"""Of what is owed; the reader's tool calls less a lack of money."""
PATIENCE_S = 6 * 3_600
"""How long a proof waits at most until the vault holds that, and a quarter of an interval at most."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProofPolicy:
    """How often a proof is made, of how many the trees are kept, and when its root counts as published."""

    every_s: int = DAY_S
    kept: int = 31
    finality: Finality = field(default_factory=lambda: Finality(3))


@dataclass(frozen=True, slots=True)
class ProofSource:
    """What a proof is of, and where its process finds database and node. Not printable: it may hold keys."""

    database_url: str
    rpc_url: str
    genesis_id: str
    chain_id: int
    vault: str

    def __repr__(self) -> str:
        return f"ProofSource(chain_id={self.chain_id}, vault={self.vault!r})"


@dataclass(frozen=True, slots=True)
class RootContract:
    """The contract that roots are put into, and the sender who may."""

    address: str
    outbox: Outbox


class ProofPublisher:
    """Makes proofs and publishes them. One `run` task per deployment.

    `comparison` is the last one at a finalized block, and `agrees` whether vault and ledger do now. Without
    a contract proofs are made and served, and stay unpublished.
    """

    def __init__(
        self,
        rpc: Rpc,
        pool: asyncpg.Pool,
        source: ProofSource,
        contract: RootContract | None,
        *,
        comparison: Callable[[], FinalizedComparison | None],
        agrees: Callable[[], bool],
        policy: ProofPolicy | None = None,
        alert: Alert = only_logged,
        poll_s: float = 5.0,
        process: tuple[str, ...] = PROCESS,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._rpc = rpc
        self._pool = pool
        self._source = source
        self._contract = contract
        self._comparison = comparison
        self._agrees = agrees
        self._policy = policy or ProofPolicy()
        self._alert = alert
        self._poll_s = poll_s
        self._process = process
        self._now_s = now_s
        self._not_before_s = 0.0
        self._retry_s = FIRST_RETRY_S
        self._is_prepared = False
        self._build_fault: BuildFailed | None = None
        self._root_fault: ProofError | None = None
        self._told: set[tuple[type[ProofError], int]] = set()
        self._overdue = OverdueWatch(self._policy.every_s, now_s())
        self._short_since_s: float | None = None
        self._fault: Exception | None = None

    @property
    def problem(self) -> Exception | None:
        """What is wrong; None when all is well."""
        return self._build_fault or self._root_fault or self._fault or self._overdue.problem

    async def run(self) -> None:
        """Makes and publishes proofs until cancelled."""
        await repeat(
            "proofs", self.poll, self._pause, first_fault_pause_s=self._poll_s, on_fault=self._note_fault
        )

    async def poll(self) -> None:
        """One pass: a proof if it is due, and the next step of the oldest that is not on the chain.

        Raises ChainError, ProofError (but BuildFailed, which is told by `problem`), the database's errors.
        """
        newest = await newest_proof(self._pool)
        overdue = self._overdue.look(
            self._now_s(), None if newest is None else newest.built_ms / 1_000, self._may_be_unproven(newest)
        )
        if overdue is not None:
            self._alert("proof_overdue", str(overdue))
        await self._build_if_due(newest)
        if self._contract is not None:
            await self._publish(self._contract)
        self._fault = None

    async def _pause(self) -> None:
        await asyncio.sleep(self._poll_s)

    def _note_fault(self, error: Exception) -> None:
        self._fault = error

    # ---- building

    def _may_be_unproven(self, newest: StoredProof | None) -> bool:
        """Whether something happened since the newest proof, as far as is known."""
        found = self._comparison()
        if not self._agrees() or found is None:
            return True
        at = found.reconciliation
        has_anything = any(position.in_custody_atoms for position in at.positions)
        return has_anything if newest is None else at.seq > newest.seq

    async def _build_if_due(self, newest: StoredProof | None) -> None:
        request = await self._due(newest)
        if request is None:
            return
        try:
            built = await self._build(request)
        except BuildFailed as error:
            if self._build_fault is None or self._build_fault.problem != error.problem:
                self._alert("proof_not_built", error.problem)
            self._build_fault = error
            self._not_before_s = self._now_s() + self._retry_s
            self._retry_s = min(2 * self._retry_s, LAST_RETRY_S)
            return
        self._build_fault = None
        self._retry_s = FIRST_RETRY_S
        if isinstance(built, SeemsShort):  # since the comparison; the next one will say the same
            log.info("proof_waits_for_vault", asset=built.symbol)
        if isinstance(built, ProofBuilt):
            log.info(
                "proof_built",
                number=built.number,
                seq=built.seq,
                root=built.root,
                leaves=built.leaves,
                seconds=round(built.seconds, 3),
            )

    async def _due(self, newest: StoredProof | None) -> BuildRequest | None:
        """What to build now, if anything."""
        now_s = self._now_s()
        found = self._comparison()
        if now_s < self._not_before_s or found is None or not self._agrees():
            return None
        at = found.reconciliation
        if newest is not None:
            is_of_this_period = (
                newest.built_ms // 1_000 // self._policy.every_s == now_s // self._policy.every_s
            )
            if is_of_this_period or at.seq <= newest.seq or at.block_number < newest.block_number:
                return None
        if at.mismatches or not any(position.in_custody_atoms for position in at.positions):
            return None
        least_held_bps = self._least_held_bps(at, now_s)
        if seems_short(at.positions, least_held_bps) or await self._is_behind_contract(at, newest):
            return None
        return BuildRequest(
            genesis_id=self._source.genesis_id,
            chain_id=self._source.chain_id,
            vault=self._source.vault,
            block_number=at.block_number,
            block_hash=at.block_hash,
            block_time_s=found.block_time_s,
            kept=self._policy.kept,
            least_held_bps=least_held_bps,
        )

    def _least_held_bps(self, at: Reconciliation, now_s: float) -> int:
        """What part of what is owed the vault must hold for a proof now; nothing after a while without it."""
        if seems_short(at.positions, LEAST_HELD_BPS) is None:
            self._short_since_s = None
            return LEAST_HELD_BPS
        if self._short_since_s is None:
            self._short_since_s = now_s
        is_patient = now_s - self._short_since_s < min(PATIENCE_S, self._policy.every_s // 4)
        return LEAST_HELD_BPS if is_patient else 0

    async def _is_behind_contract(self, at: Reconciliation, newest: StoredProof | None) -> bool:
        """Whether the contract has a root about a later block than the one that a proof could be about."""
        if self._contract is None:
            return False
        on_chain = await newest_root(self._rpc, self._contract.address)
        if on_chain is None or on_chain.block_number <= at.block_number:
            return False
        if newest is None or newest.root != on_chain.root:
            self._complain(ForeignRoot(on_chain.seq, on_chain.block_number))
        return True

    async def _build(self, request: BuildRequest) -> BuildAnswer:
        sent = ChildRequest(self._source.database_url, self._source.rpc_url, request)
        try:
            answered = await ask(self._process, msgspec.json.encode(sent) + b"\n", BUILD_TIMEOUT_S)
        except ChildFailed as error:
            raise BuildFailed(error.problem) from error
        try:
            built: BuildAnswer = msgspec.json.decode(answered.answer, type=BuildAnswer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BuildFailed(f"its process gave no answer: {error}") from error
        if answered.said:
            log.warning("proof_process_warns", said=answered.said)
        return built

    # ---- publishing

    async def _publish(self, contract: RootContract) -> None:
        if not self._is_prepared:
            await contract.outbox.prepare()
            await self._compare_with_chain(contract)
            self._is_prepared = True
        head = await self._rpc.head()
        await contract.outbox.tend(head)
        proof = await oldest_waiting(self._pool)
        if proof is None:
            return
        confirmed = await self._confirmed(head)
        found = None
        if confirmed is not None:
            found = await first_root_from(self._rpc, contract.address, proof.seq, confirmed.hash)
        if found is not None:
            await self._settle(contract, proof, found)
        elif confirmed is not None and (by := await self._passed_by(contract, proof, confirmed.hash)):
            self._complain(BlockPassed(proof.number, proof.block_number, by), proof.number)
            await mark_unpublishable(self._pool, proof.number)
        elif await first_root_from(self._rpc, contract.address, proof.seq, None) is not None:
            return  # not deep enough yet, whoever sent it
        elif await self._passed_by(contract, proof, None) is not None:
            return
        elif proof.state is ProofState.BUILT:
            await self._send(contract, proof, head)
        elif proof.nonce not in {transaction.nonce for transaction in await contract.outbox.rows.open()}:
            log.warning("root_not_published", number=proof.number, nonce=proof.nonce)
            await mark_unsent(self._pool, proof.number)

    async def _compare_with_chain(self, contract: RootContract) -> None:
        """At the start: whether the chain knows more roots than we do, or others."""
        newest = await newest_proof(self._pool)
        on_chain = await newest_root(self._rpc, contract.address)
        self._root_fault = None
        if on_chain is not None and (newest is None or on_chain.seq > newest.seq):
            self._complain(ProofsLost(0 if newest is None else newest.seq, on_chain.seq))
        elif newest is not None and newest.chain_index is not None and newest.contract == contract.address:
            published = await root_at(self._rpc, contract.address, newest.chain_index)
            if published is None or published.root != newest.root:
                self._complain(RootDiffers(newest.number, newest.chain_index))

    async def _confirmed(self, head: Header) -> Header | None:
        """The newest block that is deep enough."""
        finality = self._policy.finality
        finalized = await self._rpc.finalized() if finality.is_finalized else None
        number = finality.newest_confirmed(head, finalized)
        return None if number < 1 else await self._rpc.header(number)

    async def _passed_by(
        self, contract: RootContract, proof: StoredProof, block_hash: str | None
    ) -> int | None:
        """The later block that the contract has a root about already, as of a block (None: the newest)."""
        newest = await newest_root(self._rpc, contract.address, block_hash)
        is_passed = newest is not None and newest.block_number > proof.block_number
        return newest.block_number if newest is not None and is_passed else None

    async def _settle(self, contract: RootContract, proof: StoredProof, found: PlacedRoot) -> None:
        """The contract's list has come to this seq: with this root, or for ever without it."""
        if found.published.seq == proof.seq and found.published.root == proof.root:
            tx_hash = await self._transaction_of(proof)
            await mark_published(self._pool, proof.number, contract.address, found.index, tx_hash)
            log.info("root_published", number=proof.number, index=found.index, tx_hash=tx_hash)
            self._root_fault = None
            self._told.clear()
            return
        if found.published.seq == proof.seq:
            self._complain(RootDiffers(proof.number, found.index), proof.number)
        else:
            self._complain(RootsAhead(proof.number, proof.seq, found.published.seq), proof.number)
        await mark_unpublishable(self._pool, proof.number)

    async def _send(self, contract: RootContract, proof: StoredProof, head: Header) -> None:
        data = publish_call(proof.root, proof.seq, proof.block_number)
        outbox = contract.outbox
        try:  # rather than pay for a transaction that fails
            await self._rpc.view(contract.address, data, sender=outbox.address)
        except RpcError as error:
            if error.data.startswith(f"0x{BLOCK_TOO_OLD.hex()}"):
                self._complain(RootTooOld(proof.number, proof.block_number), proof.number)
                await mark_unpublishable(self._pool, proof.number)
                return
            refused = PublishRefused(proof.number, error.message)
            self._complain(refused, proof.number)
            raise refused from error
        if await outbox.has_room():
            await outbox.submit(
                Call(Purpose.BALANCE_ROOT, contract.address, data, PUBLISH_GAS),
                head,
                lambda connection, nonce: mark_sent(connection, proof.number, outbox.address, nonce),
            )

    async def _transaction_of(self, proof: StoredProof) -> str | None:
        """The transaction that published it; None when somebody else's did, or its record is lost."""
        for tx_hash in await attempts_of(self._pool, proof):
            receipt = await self._rpc.receipt(tx_hash)
            if receipt is not None and receipt.succeeded and receipt.logs:
                return tx_hash
        return None

    def _complain(self, error: ProofError, number: int = 0) -> None:
        """Tells it, of each proof once until a root is published again; 0: it concerns none of them."""
        if (type(error), number) not in self._told:
            self._told.add((type(error), number))
            self._alert("balance_roots", str(error))
        self._root_fault = error
