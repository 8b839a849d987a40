"""The deposit watcher: from the vault's logs to credited balances, through reorganizations and lies.

Theory of operation. Polling is the truth. Each pass

1. finds where the stored blocks and the node's part, at whatever depth, and forgets what lies after
   (`branch`);
2. scans from there to the head. Near the head every block's hash is stored and must name its predecessor's,
   and every log must carry the hash of its block; further back only the last block of each range. Numbers
   must follow each other without gap, and each rolling hash must be what we compute (`deposit_sequence`);
3. compares with the ledger: is a credited deposit not in the chain any more, nothing is credited
   (ReorgedAfterCredit), and `on_displaced` is told, which halts and freezes (`displacement`). It heals by
   itself only when the chain holds the very same deposit again; halt and frost stay;
4. at the newest block that counts as final (`finality`) asks the vault itself, by block hash, for its
   number of deposits and rolling hash. Only when both equal ours are the deposits up to there credited
   (`crediting`).

So a node that drops, invents or alters logs stops the crediting (a DepositCondition, visible in `status`
until a pass succeeds): what is credited is what the vault says that it has. The chain's id is asked for at
the start, after every fault and now and then, for another node may answer by then; the rolling hash begins
with it, so logs of another chain never fit.

But what the vault says is heard from the same node. One that invents logs and the vault's answers alike, on
the true blocks or on a branch of its own, is believed. So where the node is not one's own, a second one is
asked before anything is credited (`witness`).
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg
import structlog

from exchange.chain.backoff import repeat
from exchange.chain.branch import Branch
from exchange.chain.crediting import MAX_TOLD, Crediting
from exchange.chain.crediting_alarm import CreditingAlarm
from exchange.chain.deposit_logs import DepositLogs
from exchange.chain.deposit_rows import (
    Block,
    DepositRows,
    PendingDeposit,
    Rolled,
    owners_with_pending,
    pending_deposits,
)
from exchange.chain.deposit_sequence import Continued, continued, stored_range
from exchange.chain.displacement import Displacements, OnDisplaced
from exchange.chain.errors import (
    ChainMoved,
    DepositCondition,
    DepositGap,
    DepositsDisagree,
    FinalizedWentBack,
    ReorgedAfterCredit,
    RpcUnavailable,
)
from exchange.chain.finality import MAX_CONFIRMATIONS, Finality
from exchange.chain.halts import Alert, only_logged
from exchange.chain.rpc import Header, Rpc, together
from exchange.chain.vault import (
    DEPOSIT_COUNT_CALL,
    DEPOSIT_HASH_CALL,
    Deposit,
    decode_deposit,
    decode_word,
)
from exchange.chain.witness import Witness
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import SubmitBatch

__all__ = ["DepositWatcher", "PendingDeposit", "WatcherStatus", "owners_with_pending", "pending_deposits"]

CLOSE_RANGE_BLOCKS = 64
CHECK_CHAIN_S = 60.0
STALE_HEAD_S = 300.0
"""Age of the newest block from which on the node is said to be behind, or its chain to stand still."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WatcherStatus:
    """Where the watcher stands. `condition` is why nothing is credited, `fault` what went wrong last.

    Both are None when the last pass succeeded. `caught_up`: it had scanned all blocks that there were.
    `stale_s`: the age of the newest block when that is too high, else None; crediting goes on all the same.
    """

    head_number: int
    scanned_number: int
    finality: Finality
    caught_up: bool
    condition: DepositCondition | None
    fault: Exception | None
    stale_s: int | None

    @property
    def problem(self) -> str | Exception | None:
        """What is wrong, None when nothing is; in words where a person has to know more than its name."""
        if isinstance(self.condition, ReorgedAfterCredit):
            return str(self.condition)
        if self.condition is not None or self.fault is not None:
            return self.condition or self.fault
        return None if self.stale_s is None else f"the newest block is {self.stale_s} s old"


class DepositWatcher:
    """Watches one vault. One `run` task per vault and deployment.

    `on_displaced` is told of credited deposits that the chain no longer has; while it raises, it is told
    again. With a `witness` nothing is credited that it does not confirm.
    """

    def __init__(
        self,
        rpc: Rpc,
        pool: asyncpg.Pool,
        submit_batch: SubmitBatch,
        committed: CommittedView,
        *,
        chain_id: int,
        vault: str,
        deploy_block: int,
        finality: Finality,
        on_displaced: OnDisplaced,
        witness: Witness | None = None,
        alert: Alert = only_logged,
        poll_s: float = 1.0,
        stale_head_s: float = STALE_HEAD_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._rpc = rpc
        self._rows = DepositRows(pool, chain_id, vault)
        self._branch = Branch(
            rpc, self._rows, chain_id=chain_id, deploy_block=deploy_block, look_again_s=poll_s
        )
        self._logs = DepositLogs(rpc, vault)
        self._crediting = Crediting(self._rows, submit_batch, committed, chain_id, vault)
        self._chain_id = chain_id
        self._vault = vault
        self._deploy_block = deploy_block
        self._finality = finality
        self._displacements = Displacements(self._rows, committed, on_displaced, chain_id, vault)
        self._witness = witness
        self._alert = alert
        self._alarm = CreditingAlarm(alert, now)
        self._poll_s = poll_s
        self._stale_head_s = stale_head_s
        self._now = now
        self._after_fault = True
        self._chain_checked_at_s = 0.0
        self._finalized: Block | None = None
        self._caught_up = False
        self._checked_horizon: str | None = None
        self._head_number = 0
        self._scanned_number = 0
        self._condition: DepositCondition | None = None
        self._fault: Exception | None = None
        self._stale_s: int | None = None

    @property
    def head_number(self) -> int:
        """The newest block of the chain at the last pass; 0 before the first."""
        return self._head_number

    def status(self) -> WatcherStatus:
        return WatcherStatus(
            self._head_number,
            self._scanned_number,
            self._finality,
            self._caught_up,
            self._condition,
            self._fault,
            self._stale_s,
        )

    async def run(self) -> None:
        """Watches until cancelled."""
        try:
            await repeat(
                "deposits",
                self._step,
                self._pause,
                first_fault_pause_s=self._poll_s,
                on_fault=self._note_fault,
            )
        finally:
            self._logs.forget_ahead()

    async def poll(self) -> None:
        """Scans to the head and credits what is confirmed.

        Raises DepositCondition when nothing may be credited, other ChainErrors for faults of the node.
        """
        await self._step()
        while not self._caught_up:
            await self._step()

    async def _step(self) -> None:
        after_fault, self._after_fault = self._after_fault, True  # until this one is through
        if after_fault:
            self._logs.forget_ahead()
        await self._check_chain(at_once=after_fault)
        self._caught_up = await self._pass()
        self._after_fault = False
        self._alarm.look()

    async def _pause(self) -> None:
        if self._caught_up:
            await asyncio.sleep(self._poll_s)

    async def _pass(self) -> bool:
        """One range of blocks, or the credits when all blocks are scanned. Whether it caught up."""
        # In this order: blocks come meanwhile, and what is finalized must not seem to be beyond the head.
        finalized = await self._rpc.finalized() if self._finality.is_finalized else None
        head = await self._rpc.head()
        confirmed_number = self._finality.newest_confirmed(head, finalized)
        self._head_number = head.number
        self._alarm.confirmed(confirmed_number)
        self._note_age(head)
        tip = await self._shared_tip(head)
        if tip is None:
            return True
        if tip.number < head.number:
            try:
                tip = await self._scan(tip, head, confirmed_number)
            except RpcUnavailable:
                self._logs.shrink()
                raise
        if tip.number < head.number:
            self._alarm.scanned()
            return False
        await self._compare_with_ledger(tip)
        if finalized is not None:
            await self._note_finalized(finalized)
        await self._credit(confirmed_number)
        self._condition = None
        self._fault = None
        self._alarm.credited(confirmed_number)
        return True

    # ------------------------------------------------------------------------------- the node's health

    async def _check_chain(self, *, at_once: bool) -> None:
        """At once, or now and then: another node may answer by now. Raises WrongChain."""
        now_s = asyncio.get_running_loop().time()
        if at_once or now_s - self._chain_checked_at_s >= CHECK_CHAIN_S:
            await self._rpc.check_chain(self._chain_id)
            self._chain_checked_at_s = now_s

    def _note_age(self, head: Header) -> None:
        age_s = int(self._now() - head.time_s)
        was_stale = self._stale_s is not None
        self._stale_s = age_s if age_s > self._stale_head_s else None
        if self._stale_s is not None and not was_stale:
            self._alert("chain_stale", f"the newest block, {head.number}, is {age_s} s old")

    def _note_fault(self, error: Exception) -> None:
        self._fault = error
        if isinstance(error, DepositCondition):
            self._condition = error
        self._alarm.failed(error)

    # ---------------------------------------------------------------------------------- 1. the branch

    async def _shared_tip(self, head: Header) -> Block | None:
        """The newest stored block on the node's branch, rolled back to if needed; None to wait."""
        tip = await self._rows.tip()
        if tip is None:
            await self._rows.mark_credited(self._crediting.last)  # from now on pending ones are shown
            return await self._branch.before_deployment()
        parts = await self._branch.parts_from(tip, head)
        if parts is None:
            return None
        if parts:
            self._caught_up = False  # whoever compares books must not do so with half a branch
            self._checked_horizon = None
            self._logs.forget_ahead()
            tip = await self._branch.roll_back(tip, head, self._crediting.last)
        return tip

    # ------------------------------------------------------------------------------------ 2. the scan

    async def _scan(self, tip: Block, head: Header, confirmed_number: int) -> Block:
        """Stores the next range of blocks with its deposits; answers with the new tip."""
        first = tip.number + 1
        unconfirmed = min(head.number - confirmed_number, MAX_CONFIRMATIONS)
        close_from = head.number - unconfirmed - CLOSE_RANGE_BLOCKS
        close = first >= close_from
        if close:
            logs, last = await self._logs.read(first, min(head.number, first + CLOSE_RANGE_BLOCKS - 1))
        else:
            logs, last = await self._logs.read(first, close_from - 1)
            self._logs.read_ahead(last + 1, close_from - 1)
        headers = await self._headers(tip, range(first, last + 1) if close else range(last, last + 1))
        hashes = {number: header.hash for number, header in headers.items()}
        for entry in logs:  # further back at least those of one block must agree
            if hashes.setdefault(entry.block_number, entry.block_hash) != entry.block_hash:
                raise ChainMoved(entry.block_number)
        new_tip = Block(last, headers[last].hash)
        found = await self._check_sequence([decode_deposit(entry) for entry in logs], new_tip)
        await self._rows.append(list(headers.values()), found.new, found.again)
        self._scanned_number = last
        _tell_seen(found.new)
        return new_tip

    async def _headers(self, tip: Block, numbers: range) -> dict[int, Header]:
        """Headers in a row, each of which must name its predecessor as far as that is known."""
        headers: dict[int, Header] = {}
        before = tip
        for number, header in (await self._rpc.headers(numbers)).items():
            if header is None or header.number != number:
                raise ChainMoved(number)
            if before.number == number - 1 and header.parent_hash != before.hash:
                raise ChainMoved(number)
            headers[number] = header
            before = Block(number, header.hash)
        return headers

    async def _check_sequence(self, deposits: list[Deposit], new_tip: Block) -> Continued:
        """The deposits must continue the stored ones, number by number and hash by hash."""
        last = await self._rows.last()
        if not deposits:
            return Continued([], [], last, replaced=None)
        stored = await self._rows.hashes(*stored_range(last, deposits))
        try:
            found = continued(last, stored, deposits)
        except DepositGap:
            # A log is kept from us, now or in blocks that count as scanned: ask for all of them again.
            await self._rows.forget_uncredited(self._crediting.last)
            raise
        if found.replaced is not None:
            await self._compare_with_vault(new_tip, found.last)
            await self._displacements.tell(found.replaced)  # those before it are all there, the vault says
            raise ReorgedAfterCredit(found.replaced, replaced=True)
        return found

    # ---------------------------------------------------------------------------------- 3. the ledger

    async def _compare_with_ledger(self, tip: Block) -> None:
        """The chain must have all that is credited. Raises ReorgedAfterCredit, DepositsDisagree,
        ChainMoved."""
        standing = await self._rows.standing()
        if standing.tip != tip and tip.number >= self._deploy_block:
            raise ChainMoved(tip.number)  # another process scans too; one of them will be ended soon
        self._scanned_number = tip.number
        if standing.last.number >= self._crediting.last:
            self._displacements.forget_lost()
            return
        await self._compare_with_vault(tip, standing.last)  # perhaps its logs are only kept from us
        first = standing.last.number + 1
        await self._displacements.tell(first)
        raise ReorgedAfterCredit(first)

    # ---------------------------------------------------------------------------------- 4. the credit

    async def _note_finalized(self, finalized: Header) -> None:
        """What is finalized once must stay so. Raises FinalizedWentBack."""
        before = self._finalized
        if before is not None and before.hash != finalized.hash:
            if finalized.number <= before.number:
                raise FinalizedWentBack(before.number, finalized.number)
            header = await self._rpc.header(before.number)
            if header is None or header.hash != before.hash:
                raise FinalizedWentBack(before.number, finalized.number)
        self._finalized = Block(finalized.number, finalized.hash)

    async def _credit(self, confirmed_number: int) -> None:
        if confirmed_number < self._deploy_block:
            return
        horizon = await self._horizon(confirmed_number)
        if horizon.hash == self._checked_horizon:
            return
        confirmed = await self._rows.last_at(horizon.number)
        await self._compare_with_vault(horizon, confirmed)
        if self._witness is not None:
            await self._witness.confirm_deposits(horizon, confirmed)
        await self._crediting.up_to(confirmed.number)
        self._checked_horizon = horizon.hash

    async def _horizon(self, number: int) -> Block:
        """The block up to which is credited; asked for when it was not kept. Raises ChainMoved.

        What it holds is compared with the vault in any case; here, that it is an ancestor of what is stored.
        """
        stored = await self._rows.at_or_after(number)
        if stored is None:
            raise ChainMoved(number)
        if stored.number > number:
            first, last = await together(self._rpc.header(number), self._rpc.header(stored.number))
            if first is None or last is None or last.hash != stored.hash:
                raise ChainMoved(number)
            stored = Block(first.number, first.hash)
        if self._finality.is_finalized and self._finalized is not None and stored != self._finalized:
            raise ChainMoved(number)
        return stored

    async def _compare_with_vault(self, horizon: Block, confirmed: Rolled) -> None:
        count, rolled = await together(
            self._rpc.view(self._vault, DEPOSIT_COUNT_CALL, horizon.hash),
            self._rpc.view(self._vault, DEPOSIT_HASH_CALL, horizon.hash),
        )
        ours = (confirmed.number, confirmed.deposit_hash)
        vaults = (decode_word(count), rolled)
        if ours == vaults:
            return
        # The node kept a log from us: the next pass asks again for everything that is not credited.
        await self._rows.forget_uncredited(self._crediting.last)
        raise DepositsDisagree(horizon.number, ours, vaults)


def _tell_seen(deposits: list[Deposit]) -> None:
    if len(deposits) > MAX_TOLD:
        log.info("deposits_seen", first=deposits[0].number, last=deposits[-1].number)
        return
    for deposit in deposits:
        log.info(
            "deposit_seen",
            number=deposit.number,
            owner=deposit.owner,
            token=deposit.token,
            amount_atoms=deposit.amount_atoms,
            block=deposit.block_number,
        )
