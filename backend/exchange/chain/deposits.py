"""The deposit watcher: from the vault's logs to credited balances, through reorganizations and lies.

Theory of operation. Polling is the truth. Each pass

1. compares the newest block it has stored (the tip) with the node's block of that number. Another hash, or
   a successor that names another parent, means a reorganization: everything after the newest block that
   both still share is forgotten, at whatever depth that lies;
2. scans from there to the head. Near the head every block's hash is stored and must name its predecessor's;
   further back only the last block of each range. Every log must carry the hash of its block on the same
   branch. Numbers must follow each other without gap, and each rolling hash must be what we compute;
3. at the newest block with enough confirmations asks the vault itself, by block hash, for its number of
   deposits and rolling hash. Only when both equal ours are the deposits up to there credited, in order.

So a node that drops, invents or alters a log stops the crediting (a DepositCondition, visible in `status`
until a pass succeeds), but can not cause a wrong credit. A reorganization deeper than the confirmations may
remove a deposit that is credited: it is marked displaced, and nothing is credited while there is one
(ReorgedAfterCredit). It heals by itself only when the chain holds the very same deposit again.

The core's own rule, one number after another per vault, makes crediting idempotent; where to go on after a
restart comes from the ledger, never from this module's tables.
"""

import asyncio
from dataclasses import dataclass

import asyncpg
import structlog

from exchange.chain.backoff import repeat
from exchange.chain.deposit_rows import (
    CLOSE_BLOCKS,
    Block,
    DepositRows,
    PendingDeposit,
    Rolled,
    pending_deposits,
)
from exchange.chain.errors import (
    ChainMoved,
    ConfirmationsOutOfRange,
    CreditRefused,
    DepositCondition,
    DepositGap,
    DepositHashMismatch,
    DepositsDisagree,
    ReorgedAfterCredit,
    RpcError,
    RpcUnavailable,
)
from exchange.chain.rpc import Header, Log, Rpc, together
from exchange.chain.vault import (
    DEPOSIT_COUNT_CALL,
    DEPOSIT_HASH_CALL,
    DEPOSITED,
    Deposit,
    decode_deposit,
    decode_word,
    next_deposit_hash,
)
from exchange.core.commands import CreditDeposit
from exchange.core.events import Rejected
from exchange.core.rejects import RejectReason
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Submit

__all__ = ["MAX_CONFIRMATIONS", "DepositWatcher", "PendingDeposit", "WatcherStatus", "pending_deposits"]

CLOSE_RANGE_BLOCKS = 64
MAX_RANGE_BLOCKS = 5_000
MAX_CONFIRMATIONS = CLOSE_BLOCKS // 2
"""Hashes of all blocks are kept for twice as many."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WatcherStatus:
    """Where the watcher stands. `condition` is why nothing is credited, `fault` what went wrong last.

    Both are None when the last pass succeeded. `caught_up`: it had scanned all blocks that there were.
    """

    head_number: int
    scanned_number: int
    confirmations: int
    caught_up: bool
    condition: DepositCondition | None
    fault: Exception | None


class DepositWatcher:
    """Watches one vault. One `run` task per vault and deployment.

    A deposit is credited when it has `confirmations` (1: as soon as it is in the newest block), at most
    MAX_CONFIRMATIONS. Raises ConfirmationsOutOfRange.
    """

    def __init__(
        self,
        rpc: Rpc,
        pool: asyncpg.Pool,
        submit: Submit,
        committed: CommittedView,
        *,
        chain_id: int,
        vault: str,
        deploy_block: int,
        confirmations: int,
        poll_s: float = 1.0,
    ) -> None:
        if not 1 <= confirmations <= MAX_CONFIRMATIONS:
            raise ConfirmationsOutOfRange(confirmations, MAX_CONFIRMATIONS)
        assert deploy_block >= 1
        self._rpc = rpc
        self._rows = DepositRows(pool, chain_id, vault)
        self._submit = submit
        self._committed = committed
        self._chain_id = chain_id
        self._vault = vault
        self._deploy_block = deploy_block
        self._confirmations = confirmations
        self._poll_s = poll_s
        self._range_blocks = MAX_RANGE_BLOCKS
        self._checked_chain = False
        self._caught_up = False
        self._checked_horizon: str | None = None
        self._head_number = 0
        self._scanned_number = 0
        self._condition: DepositCondition | None = None
        self._fault: Exception | None = None

    @property
    def head_number(self) -> int:
        """The newest block of the chain at the last pass; 0 before the first."""
        return self._head_number

    def status(self) -> WatcherStatus:
        return WatcherStatus(
            self._head_number,
            self._scanned_number,
            self._confirmations,
            self._caught_up,
            self._condition,
            self._fault,
        )

    async def run(self) -> None:
        """Watches until cancelled."""
        await repeat(
            "deposits", self._step, self._pause, first_fault_pause_s=self._poll_s, on_fault=self._note_fault
        )

    async def poll(self) -> None:
        """Scans to the head and credits what is confirmed.

        Raises DepositCondition when nothing may be credited, other ChainErrors for faults of the node.
        """
        await self._step()
        while not self._caught_up:
            await self._step()

    async def _step(self) -> None:
        self._caught_up = await self._pass()

    async def _pause(self) -> None:
        if self._caught_up:
            await asyncio.sleep(self._poll_s)

    async def _pass(self) -> bool:
        """One range of blocks, or the credits when all blocks are scanned. Whether it caught up."""
        if not self._checked_chain:
            await self._rpc.check_chain(self._chain_id)
            self._checked_chain = True
        head = await self._rpc.head()
        self._head_number = head.number
        tip = await self._shared_tip(head)
        if tip is None:
            return True
        if tip.number < head.number:
            try:
                tip = await self._scan(tip, head)
            except RpcUnavailable:
                self._range_blocks = max(1, min(self._range_blocks, head.number - tip.number) // 2)
                raise
        if tip.number < head.number:
            return False
        await self._credit(tip)
        self._condition = None
        self._fault = None
        return True

    def _note_fault(self, error: Exception) -> None:
        self._fault = error
        if isinstance(error, DepositCondition):
            self._condition = error
            log.error("crediting_stopped", condition=str(error), kind=type(error).__name__)

    @property
    def _credited(self) -> int:
        return self._committed.last_deposit(self._chain_id, self._vault)

    # ---------------------------------------------------------------------------- 1. the branch

    async def _shared_tip(self, head: Header) -> Block | None:
        """The newest stored block on the node's branch, rolled back to if needed; None to wait.

        A node that is behind what we know of the same branch merely lags.
        """
        tip = await self._rows.tip()
        if tip is None:
            return await self._before_deployment()
        if head.number < tip.number:
            stored = await self._rows.block(head.number)
            if stored is not None and stored.hash == head.hash:
                return None
        elif head.number == tip.number:
            if head.hash == tip.hash:
                return tip
        elif head.number == tip.number + 1:
            if head.parent_hash == tip.hash:
                return tip
        elif await self._is_shared(tip):
            return tip
        return await self._roll_back(await self._rows.blocks(min(tip.number, head.number)))

    async def _before_deployment(self) -> Block:
        header = await self._rpc.header(self._deploy_block - 1)
        if header is None:
            raise ChainMoved(self._deploy_block - 1)
        return Block(header.number, header.hash)

    async def _is_shared(self, block: Block) -> bool:
        header = await self._rpc.header(block.number)
        return header is not None and header.hash == block.hash

    async def _roll_back(self, stored: list[Block]) -> Block:
        low, high = 0, len(stored)  # the first `low` are shared, those from `high` on are not
        while low < high:
            middle = (low + high) // 2
            if await self._is_shared(stored[middle]):
                low = middle + 1
            else:
                high = middle
        ancestor = stored[low - 1] if low else await self._before_deployment()
        result = await self._rows.roll_back(ancestor.number, self._credited)
        self._checked_horizon = None
        log.warning(
            "chain_reorganized", ancestor=ancestor.number, dropped=result.dropped, displaced=result.displaced
        )
        return ancestor

    # ------------------------------------------------------------------------------ 2. the scan

    async def _scan(self, tip: Block, head: Header) -> Block:
        """Stores the next range of blocks with its deposits; answers with the new tip."""
        first = tip.number + 1
        close_from = head.number - self._confirmations - CLOSE_RANGE_BLOCKS
        close = first >= close_from
        if close:
            last = min(head.number, first + min(self._range_blocks, CLOSE_RANGE_BLOCKS) - 1)
        else:
            last = min(close_from - 1, first + self._range_blocks - 1)
        logs, last = await self._logs(first, last)
        wanted = set(range(first, last + 1)) if close else {last, *(entry.block_number for entry in logs)}
        headers: dict[int, Header] = {}
        for number, header in sorted((await self._rpc.headers(wanted)).items()):
            if header is None or header.number != number:
                raise ChainMoved(number)
            headers[number] = header
        hashes = {tip.number: tip.hash} | {number: header.hash for number, header in headers.items()}
        for number, header in headers.items():
            if header.parent_hash != hashes.get(number - 1, header.parent_hash):
                raise ChainMoved(number)
        for entry in logs:
            if entry.block_hash != hashes[entry.block_number]:
                raise ChainMoved(entry.block_number)
        deposits = [decode_deposit(entry) for entry in logs]
        await self._check_sequence(deposits)
        kept = list(headers.values()) if close else [headers[last]]
        await self._rows.append(kept, deposits)
        self._range_blocks = min(MAX_RANGE_BLOCKS, self._range_blocks + self._range_blocks // 8 + 1)
        self._scanned_number = last
        for deposit in deposits:
            log.info(
                "deposit_seen",
                number=deposit.number,
                owner=deposit.owner,
                token=deposit.token,
                amount_atoms=deposit.amount_atoms,
                block=deposit.block_number,
            )
        return Block(last, headers[last].hash)

    async def _logs(self, first: int, last: int) -> tuple[list[Log], int]:
        """Logs from `first` on, and up to which block: `last`, or less when the node refuses so many."""
        while True:
            try:
                found = await self._rpc.logs(self._vault, [DEPOSITED], first, last)
            except RpcError:
                if first == last:
                    raise
                self._range_blocks = (last - first + 1) // 2
                last = first + self._range_blocks - 1
            else:
                break
        for entry in found:
            if entry.address != self._vault or not first <= entry.block_number <= last:
                raise ChainMoved(entry.block_number)
        return found, last

    async def _check_sequence(self, deposits: list[Deposit]) -> None:
        """The deposits must continue the stored ones, number by number and hash by hash."""
        if not deposits:
            return
        last = await self._rows.last()
        known = await self._rows.hashes(deposits[0].number, deposits[-1].number)
        for deposit in deposits:
            stored_hash = known.get(deposit.number)
            if stored_hash is not None and stored_hash != deposit.deposit_hash:
                raise ReorgedAfterCredit(deposit.number)  # uncredited rows went with their blocks
            if deposit.number <= last.number:
                continue  # scanned once more
            if deposit.number != last.number + 1:
                # A log is kept from us, now or in blocks that count as scanned: ask for all of them again.
                await self._rows.forget_uncredited(self._credited)
                raise DepositGap(last.number + 1, deposit.number)
            expected = next_deposit_hash(
                last.deposit_hash, deposit.number, deposit.owner, deposit.token, deposit.amount_atoms
            )
            if expected != deposit.deposit_hash:
                raise DepositHashMismatch(deposit.number, expected, deposit.deposit_hash)
            last = Rolled(deposit.number, expected)

    # ---------------------------------------------------------------------------- 3. the credit

    async def _credit(self, tip: Block) -> None:
        last = await self._rows.last()
        if last.number < self._credited:
            raise ReorgedAfterCredit(last.number + 1)
        self._scanned_number = tip.number
        horizon_number = tip.number - self._confirmations + 1
        if horizon_number < self._deploy_block:
            return
        horizon = await self._rows.block(horizon_number)
        if horizon is None:  # the head leapt while a long scan ran: the next pass stores it
            raise ChainMoved(horizon_number)
        if horizon.hash == self._checked_horizon:
            return
        confirmed = await self._rows.last_at(horizon.number)
        await self._compare_with_vault(horizon, confirmed)
        await self._rows.mark_credited(self._credited)
        while self._credited < confirmed.number:
            deposits = await self._rows.between(self._credited, confirmed.number)
            if not deposits:  # somebody took them away since they were counted
                raise ChainMoved(horizon.number)
            for deposit in deposits:
                await self._credit_one(deposit)
            await self._rows.mark_credited(self._credited)
        self._checked_horizon = horizon.hash

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
        await self._rows.forget_uncredited(self._credited)
        raise DepositsDisagree(horizon.number, ours, vaults)

    async def _credit_one(self, deposit: Deposit) -> None:
        outcome = await self._submit(
            CreditDeposit(
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
        )
        refusal = next((event for event in outcome.events if isinstance(event, Rejected)), None)
        if refusal is not None and refusal.reason is not RejectReason.DEPOSIT_ALREADY_CREDITED:
            raise CreditRefused(deposit.number, refusal.reason)
        log.info("deposit_credited", number=deposit.number, seq=outcome.seq, again=refusal is not None)
