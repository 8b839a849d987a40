"""Withdrawals: from the journal's request to the vault's payment, once, whatever fails in between.

Theory of operation. Three parties know of a withdrawal: the ledger (in flight, until it is told otherwise),
the table `payments`, and the vault, which uses each id at most once and none after its deadline. The ledger
decides what is owed and what is final, the vault what was paid; the table remembers what was tried. The
states and the steps between them are a table of their own: `life_cycle`. Each pass

1. reads the journal: new requests, and what has become final;
2. looks after the open transactions (`outbox`): receipts, rebroadcasts, higher fees;
3. takes every open payment as far as it can: risk step, confirmations, settlement, refund;
4. sends what is approved, several payments in a transaction (`batches`).

An outcome that is unknown (a lost answer to a broadcast, a lost answer of the engine) is never assumed: the
same bytes are sent again, the same command refused as final.

What is signed goes on whatever the books say: its bytes may be in the node's pool and can not be taken
back, they were signed while books and vault agreed, the comparison counts what they pay as not settled yet,
and a nonce left unused would hold up all others. So neither rebroadcasts nor replacements with a higher fee
ask `may_sign`.

Transactions outlive their payments: a nonce once given out must be used, or all later ones wait for ever.
When all payments in one are too late, its nonce is used up by a transfer to oneself.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import asyncpg
import structlog

from exchange.chain.backoff import repeat
from exchange.chain.batches import BatchMaker
from exchange.chain.errors import (
    CursorAheadOfJournal,
    PaymentDiffersFromLedger,
    PaymentRefused,
)
from exchange.chain.finality import Finality
from exchange.chain.life_cycle import UNDER_WAY, PaymentState
from exchange.chain.outbox import GasStatus, Outbox, SendPolicy
from exchange.chain.outcomes import MADE, NEVER_PAYABLE, outcome_of
from exchange.chain.payment_orders import PaymentOrder, owner_request
from exchange.chain.payment_rows import (
    ChainOutcome,
    PaymentRows,
    PaymentStatus,
    StoredPayment,
    payment_status,
)
from exchange.chain.payment_search import PaymentSearch
from exchange.chain.payment_transactions import OF_ONE_PAYMENT, PaymentTransactions
from exchange.chain.risk import RiskStep, Verdict
from exchange.chain.rpc import Header, Receipt, Rpc
from exchange.chain.signer import Sender, Signer
from exchange.chain.vault import decode_word, used_call
from exchange.core.commands import Command, RefundWithdrawal, SettleWithdrawal
from exchange.core.events import Rejected
from exchange.core.rejects import RejectReason
from exchange.journal.tail import Tail
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Submit

__all__ = [
    "ChainOutcome",
    "PaymentState",
    "PaymentStatus",
    "WithdrawalPolicy",
    "WithdrawalWorker",
    "WithdrawalsStatus",
    "payment_status",
]

JOURNAL_ROWS_PER_READ = 64

_BEFORE_SIGNED = (
    PaymentState.REQUESTED,
    PaymentState.REVIEW,
    PaymentState.REJECTED,
    PaymentState.APPROVED,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WithdrawalPolicy:
    """When to sign, settle and try again. `deadline_room_s`: nothing is signed closer to its deadline.

    `finality` says when a payment counts as made. Where the chain's own word is waited for, a nonce that a
    stranger used counts as lost after `send.confirmations` all the same: that decides about our bytes only.
    """

    finality: Finality
    deadline_room_s: int = 60
    retry_s: float = 15.0
    retry_cap_s: float = 600.0
    max_batch: int = 16
    send: SendPolicy = field(default_factory=SendPolicy)


@dataclass(frozen=True, slots=True)
class WithdrawalsStatus:
    """`conditions`: why single payments do not go on, by id. `fault`: what ended the last pass, if any.

    `in_review`: how many wait for a person. `gas`: what the sender can still pay for, None if not known yet.
    """

    cursor: int
    open_payments: int
    in_review: int
    gas: GasStatus | None
    conditions: dict[str, Exception]
    fault: Exception | None


class WithdrawalWorker:
    """Pays one vault's withdrawals. One `run` task per vault and deployment."""

    def __init__(
        self,
        rpc: Rpc,
        pool: asyncpg.Pool,
        submit: Submit,
        committed: CommittedView,
        tail: Tail,
        signer: Signer,
        sender: Sender,
        risk: RiskStep,
        *,
        chain_id: int,
        vault: str,
        deploy_block: int,
        policy: WithdrawalPolicy,
        may_sign: Callable[[], bool],
        poll_s: float = 0.5,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._rpc = rpc
        self._rows = PaymentRows(pool, chain_id, vault)
        send = replace(policy.send, confirmations=policy.finality.confirmations or policy.send.confirmations)
        self._outbox = Outbox(rpc, pool, sender, chain_id=chain_id, policy=send, now=now)
        self._transactions = PaymentTransactions(self._outbox, self._rows, vault)
        self._batches = BatchMaker(rpc, vault, sender.address, self._signature)
        self._search = PaymentSearch(rpc, vault, deploy_block)
        self._risk = risk
        self._submit = submit
        self._committed = committed
        self._tail = tail
        self._signer = signer
        self._chain_id = chain_id
        self._vault = vault
        self._policy = policy
        self._may_sign = may_sign
        self._poll_s = poll_s
        self._now = now
        self._started = False
        self._cursor = 0
        self._open_payments = 0
        self._in_review = 0
        self._conditions: dict[str, Exception] = {}
        self._fault: Exception | None = None
        self._retries: dict[str, int] = {}
        self._refused: dict[str, Exception] = {}
        """What the signer will not sign, asked again at growing intervals, and visible all the while."""
        self._checked_s: dict[str, float] = {}
        self._newest_confirmed = 0

    def status(self) -> WithdrawalsStatus:
        return WithdrawalsStatus(
            self._cursor,
            self._open_payments,
            self._in_review,
            self._outbox.gas,
            dict(self._conditions),
            self._fault,
        )

    async def run(self) -> None:
        """Works until cancelled."""

        def note(fault: Exception) -> None:
            self._fault = fault

        await repeat(
            "withdrawals",
            self.poll,
            lambda: asyncio.sleep(self._poll_s),
            first_fault_pause_s=self._poll_s,
            on_fault=note,
        )

    async def poll(self) -> None:
        """One pass over everything that is open."""
        if not self._started:
            await self.prepare()
        await self._read_journal()
        head = await self._rpc.head()
        finality = self._policy.finality
        finalized = await self._rpc.finalized() if finality.is_finalized else None
        self._newest_confirmed = finality.newest_confirmed(head, finalized)
        conditions: dict[str, Exception] = {}
        await self._transactions.look_after(head, self._is_confirmed, conditions)
        payments = await self._rows.open()
        if payments and finalized is None:
            finalized = await self._rpc.finalized()
        ready: list[StoredPayment] = []
        for payment in payments:
            try:
                if await self._advance(payment, head, finalized):
                    ready.append(payment)
            except OF_ONE_PAYMENT as condition:
                conditions[payment.withdrawal_id] = condition
        await self._send_out(ready, head, conditions)
        self._open_payments = len(payments)
        self._in_review = sum(payment.state is PaymentState.REVIEW for payment in payments)
        open_ids = {payment.withdrawal_id for payment in payments}
        self._refused = {key: value for key, value in self._refused.items() if key in open_ids}
        self._note_conditions(self._refused | conditions)
        self._fault = None

    def _note_conditions(self, conditions: dict[str, Exception]) -> None:
        for withdrawal_id, condition in conditions.items():
            if str(self._conditions.get(withdrawal_id)) != str(condition):
                log.error("payment_stopped", withdrawal=withdrawal_id, condition=str(condition))
        self._conditions = conditions

    # ------------------------------------------------------------------------------ start, journal

    async def prepare(self) -> None:
        """Compares with the journal and the chain before anything is done; the first pass does it by itself.

        Called before `run` it lets a start be refused. Raises WrongChain, CursorAheadOfJournal, NonceGap.
        """
        await self._rpc.check_chain(self._chain_id)
        self._cursor = await self._rows.cursor()
        if self._cursor > self._committed.seq:
            raise CursorAheadOfJournal(self._cursor, self._committed.seq)
        await self._outbox.prepare()
        self._started = True

    async def _read_journal(self) -> None:
        while rows := await self._tail.read(self._cursor, JOURNAL_ROWS_PER_READ):
            await self._rows.take_in(rows)
            self._cursor = rows[-1].seq_last

    # ----------------------------------------------------------------------------------- payments

    async def _advance(self, payment: StoredPayment, head: Header, finalized: Header | None) -> bool:
        """Takes a payment as far as it goes without sending anything; whether it is ready to be sent."""
        requested = self._committed.open_withdrawal(payment.withdrawal_id)
        if requested is None:
            return False  # final in the ledger: the journal's event, still to be read, says how
        if not payment.repeats(requested):
            raise PaymentDiffersFromLedger(payment.withdrawal_id)
        if finalized is not None and finalized.time_s > payment.deadline_s:
            if not await self._is_used(payment, finalized.hash):
                await self._refund(payment, finalized)
                return False
            if payment.state in UNDER_WAY:  # paid, but by nothing that is looked after any more
                await self._find_on_chain(payment, head)
                return False
        if payment.state is PaymentState.MINED:
            await self._confirm(payment)
        if payment.state not in _BEFORE_SIGNED:
            return False
        return await self._is_ready(payment, head)

    async def _is_ready(self, payment: StoredPayment, head: Header) -> bool:
        """Whether a payment may be signed as far as it alone is concerned.

        Bytes that another copy of our tables signed are followed first, also while nothing may be signed:
        the books agree again only when all that was paid is known. While it waits, that is asked now and
        then.
        """
        now_s = self._now()
        if now_s - self._checked_s.get(payment.withdrawal_id, 0.0) >= self._policy.retry_s:
            if await self._is_used(payment):
                await self._find_on_chain(payment, head)
                return False
            self._checked_s[payment.withdrawal_id] = now_s
        if now_s * 1_000 < payment.not_before_ms:
            return False
        if payment.state is PaymentState.REQUESTED and not await self._judge(payment):
            return False
        if payment.state in (PaymentState.REVIEW, PaymentState.REJECTED):
            return False
        # too late to be paid: it is refunded after its deadline
        return payment.deadline_s - max(head.time_s, now_s) >= self._policy.deadline_room_s

    async def _judge(self, payment: StoredPayment) -> bool:
        """Asks the risk step and stores its verdict; whether the payment is approved now."""
        now_ms = int(self._now() * 1_000)
        judgement = await self._risk.judge(payment, now_ms)
        if judgement.verdict is Verdict.WAIT:
            await self._rows.wait(
                payment.withdrawal_id, now_ms + int(1_000 * self._policy.retry_s), judgement.reason
            )
            return False
        if judgement.verdict is Verdict.REVIEW:
            if await self._rows.hold(payment.withdrawal_id, judgement.reason):
                log.warning("payment_in_review", withdrawal=payment.withdrawal_id, reason=judgement.reason)
            return False
        approved = await self._rows.approve(payment.withdrawal_id, now_ms)
        log.info("payment_approved", withdrawal=payment.withdrawal_id)
        return approved

    async def _send_out(
        self, ready: list[StoredPayment], head: Header, conditions: dict[str, Exception]
    ) -> None:
        """Signs and sends the ready payments in batches, as many as may be under way at once."""
        if not ready or not self._may_sign():
            return
        room = self._policy.send.max_in_flight - len(await self._outbox.rows.open())
        for start in range(0, len(ready), self._policy.max_batch):
            if room <= 0:
                return
            batch = await self._batches.make(ready[start : start + self._policy.max_batch])
            for payment, condition in batch.conditions:
                self._refused[payment.withdrawal_id] = condition
                await self._try_later(payment, str(condition))
            for payment, obstacle in batch.obstacles:
                await self._try_later(payment, obstacle)
            if not batch.items:
                continue
            if not self._may_sign():  # it took a few requests to get here
                return
            ids = batch.ids

            async def sign(connection: "asyncpg.pool.PoolConnectionProxy", nonce: int) -> bool:
                return await self._rows.sign(connection, ids, self._outbox.address, nonce)  # noqa: B023

            try:
                submitted = await self._outbox.submit(self._batches.call(batch), head, sign)
            except OF_ONE_PAYMENT as condition:
                conditions |= dict.fromkeys(ids, condition)
                continue
            for withdrawal_id in ids:
                self._refused.pop(withdrawal_id, None)
            if submitted is not None:
                log.info("payments_signed", count=len(ids), nonce=submitted.nonce, tx_hash=submitted.tx_hash)
                if submitted.is_broadcast:
                    await self._rows.broadcast(ids)
                room -= 1

    async def _signature(self, payment: StoredPayment) -> bytes:
        request = await owner_request(
            self._tail, self._committed.sub_account, payment.requested_seq, payment.withdrawal_id
        )
        return await self._signer.sign_order(PaymentOrder(payment.payment, request))

    async def _is_used(self, payment: StoredPayment, block_hash: str | None = None) -> bool:
        answer = await self._rpc.view(self._vault, used_call(payment.withdrawal_id), block_hash)
        return decode_word(answer) != 0

    async def _find_on_chain(self, payment: StoredPayment, head: Header) -> None:
        """The id is used, though no transaction of ours is known to have done it: follow the one that did."""
        for tx_hash in await self._search.transactions(payment.withdrawal_id, head):
            receipt = await self._transactions.receipt(tx_hash)
            if receipt is not None:
                log.warning("payment_found", withdrawal=payment.withdrawal_id, tx_hash=tx_hash)
                await self._transactions.mined(payment, receipt)
                return

    async def _confirm(self, payment: StoredPayment) -> None:
        assert payment.tx_hash is not None
        receipt = await self._transactions.receipt(payment.tx_hash)
        if receipt is None:
            await self._transactions.reorganized(payment)
            return
        outcome, reason = outcome_of(payment, self._vault, receipt)
        if (receipt.block_hash, outcome) != (payment.block_hash, payment.outcome):
            await self._transactions.mined(payment, receipt)
        if not self._is_confirmed(receipt):
            return
        if outcome in MADE:
            await self._settle(payment, receipt, outcome)
        elif reason in NEVER_PAYABLE:
            await self._rows.postpone(
                payment.withdrawal_id, payment.deadline_s * 1_000, f"never payable: {reason}"
            )
        else:
            await self._try_later(payment, f"{outcome}, reason {reason}")

    async def _try_later(self, payment: StoredPayment, note: str) -> None:
        retry = self._retries.get(payment.withdrawal_id, 0)
        self._retries[payment.withdrawal_id] = retry + 1
        pause_s = min(self._policy.retry_cap_s, self._policy.retry_s * 2 ** min(retry, 16))
        await self._rows.postpone(payment.withdrawal_id, int((self._now() + pause_s) * 1_000), note)
        log.warning("payment_postponed", withdrawal=payment.withdrawal_id, pause_s=pause_s, note=note)

    def _is_confirmed(self, receipt: Receipt) -> bool:
        return receipt.block_number <= self._newest_confirmed

    # ------------------------------------------------------------------------------------- ledger

    async def _settle(self, payment: StoredPayment, receipt: Receipt, outcome: ChainOutcome) -> None:
        await self._tell(
            payment,
            SettleWithdrawal(
                withdrawal_id=payment.withdrawal_id,
                tx_hash=receipt.tx_hash,
                block_number=receipt.block_number,
                outcome="paid" if outcome is ChainOutcome.PAID else "claimable",
            ),
        )

    async def _refund(self, payment: StoredPayment, finalized: Header) -> None:
        await self._tell(
            payment,
            RefundWithdrawal(
                withdrawal_id=payment.withdrawal_id,
                block_number=finalized.number,
                block_time_s=finalized.time_s,
            ),
        )

    async def _tell(self, payment: StoredPayment, command: Command) -> None:
        """Submits what is final on chain; the table follows when the event comes through the journal."""
        outcome = await self._submit(command)
        refusal = next((event for event in outcome.events if isinstance(event, Rejected)), None)
        if refusal is not None and refusal.reason is not RejectReason.WITHDRAWAL_ALREADY_FINAL:
            raise PaymentRefused(payment.withdrawal_id, refusal.reason)
        self._retries.pop(payment.withdrawal_id, None)
        self._checked_s.pop(payment.withdrawal_id, None)
        log.info(
            "payment_final", withdrawal=payment.withdrawal_id, command=type(command).__name__, seq=outcome.seq
        )
