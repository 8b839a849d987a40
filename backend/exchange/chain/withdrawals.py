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
    PaymentCondition,
    PaymentDiffersFromLedger,
    PaymentRefused,
)
from exchange.chain.finality import Finality
from exchange.chain.halts import Alert, only_logged
from exchange.chain.life_cycle import UNDER_WAY, PaymentState
from exchange.chain.outbox import GasStatus, Outbox, SendPolicy
from exchange.chain.outcomes import MADE, NEVER_PAYABLE, outcome_of
from exchange.chain.pauses import Pauses
from exchange.chain.payment_orders import PaymentOrder, owner_request
from exchange.chain.payment_rows import (
    ChainOutcome,
    PaymentRows,
    PaymentStatus,
    StoredPayment,
    payment_status,
)
from exchange.chain.payment_search import PaymentSearch
from exchange.chain.payment_sending import PaymentSending
from exchange.chain.payment_transactions import OF_ONE_PAYMENT, PaymentTransactions
from exchange.chain.risk import RiskStep, Verdict
from exchange.chain.rpc import Header, Receipt, Rpc, together
from exchange.chain.signer import Sender, Signer
from exchange.chain.vault import decode_word, used_call
from exchange.core.commands import Command, RefundWithdrawal, SettleWithdrawal
from exchange.core.events import Rejected
from exchange.core.rejects import RejectReason
from exchange.core.words import AccountState
from exchange.journal.errors import Fenced
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

DUE_PER_PASS = 256
"""How many payments that are not signed are looked at in one pass; the others wait for theirs."""

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
        epoch: int | None = None,
        alert: Alert = only_logged,
        poll_s: float = 0.5,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._rpc = rpc
        self._rows = PaymentRows(pool, chain_id, vault)
        send = replace(policy.send, confirmations=policy.finality.confirmations or policy.send.confirmations)
        self._epoch = epoch
        self._alert = alert
        self._outbox = Outbox(
            rpc, pool, sender, chain_id=chain_id, policy=send, epoch=epoch, alert=alert, now=now
        )
        self._transactions = PaymentTransactions(self._outbox, self._rows, vault, self._is_frozen)
        self._pauses = Pauses(self._rows, policy.retry_s, policy.retry_cap_s, self._now_ms)
        self._sending = PaymentSending(
            self._rows,
            self._outbox,
            BatchMaker(rpc, vault, sender.address, self._signature),
            self._pauses,
            may_sign=may_sign,
            is_frozen=self._is_frozen,
            max_in_flight=policy.send.max_in_flight,
            max_batch=policy.max_batch,
        )
        self._search = PaymentSearch(rpc, vault, deploy_block)
        self._risk = risk
        self._submit = submit
        self._committed = committed
        self._tail = tail
        self._signer = signer
        self._chain_id = chain_id
        self._vault = vault
        self._policy = policy
        self._poll_s = poll_s
        self._now = now
        self._started = False
        self._cursor = 0
        self._open_payments = 0
        self._in_review = 0
        self._conditions: dict[str, Exception] = {}
        self._fault: Exception | None = None
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
        """One pass over what is under way, and over a bounded number of what is due."""
        if not self._started:
            await self.prepare()
        await self._read_journal()
        head = await self._rpc.head()
        finality = self._policy.finality
        finalized = await self._rpc.finalized() if finality.is_finalized else None
        self._newest_confirmed = finality.newest_confirmed(head, finalized)
        self._search.start_pass()
        conditions: dict[str, Exception] = {}
        waiting = await self._transactions.look_after(head, self._is_confirmed, conditions)
        under_way = await self._rows.under_way()
        due = await self._rows.due(self._now_ms(), DUE_PER_PASS)
        final = await self._final(finalized) if under_way or due else None
        for payment in under_way:
            try:
                await self._advance_signed(payment, head, final)
            except OF_ONE_PAYMENT as condition:
                conditions[payment.withdrawal_id] = condition
        ready = await self._advance_due(due, head, final, conditions)
        await self._sending.send(ready, under_way, waiting, head, conditions)
        self._open_payments, self._in_review = await self._rows.counts()
        self._note_conditions(self._sending.refused(self._committed.open_withdrawal) | conditions)
        self._fault = None

    async def _final(self, finalized: Header | None) -> Header | None:
        """The newest block that a refund may rest on: what the chain calls final, and confirmed here as well.

        A node that calls a block final which is not would have us give back what is still paid.
        """
        if finalized is None:
            finalized = await self._rpc.finalized()
        if finalized is None or finalized.number <= self._newest_confirmed:
            return finalized
        return await self._rpc.header(self._newest_confirmed)

    def _note_conditions(self, conditions: dict[str, Exception]) -> None:
        for withdrawal_id, condition in conditions.items():
            if str(self._conditions.get(withdrawal_id)) != str(condition):
                log.error("payment_stopped", withdrawal=withdrawal_id, condition=str(condition))
        self._conditions = conditions

    # ------------------------------------------------------------------------------ start, journal

    async def prepare(self) -> None:
        """Compares with the journal and the chain before anything is done; the first pass does it by itself.

        Called before `run` it lets a start be refused. Raises WrongChain, CursorAheadOfJournal; Fenced and
        SenderTaken when a later engine has started meanwhile.
        """
        await self._rpc.check_chain(self._chain_id)
        self._cursor = await self._rows.cursor()
        if self._cursor > self._committed.seq:
            if await self._tail.read(self._cursor - 1, 1):  # the rows are there: somebody else writes them
                raise Fenced(self._epoch or 0, self._committed.seq + 1)
            raise CursorAheadOfJournal(self._cursor, self._committed.seq)
        try:
            await self._outbox.prepare()
        except PaymentCondition as condition:  # seen again in each pass; trading does not wait for it
            log.warning("sender_stopped", sender=self._outbox.address, condition=str(condition))
        self._started = True

    async def _read_journal(self) -> None:
        """Up to where it was when the pass began: a busy exchange never stops writing."""
        goal = self._committed.seq
        while self._cursor < goal and (rows := await self._tail.read(self._cursor, JOURNAL_ROWS_PER_READ)):
            await self._rows.take_in(rows)
            self._cursor = rows[-1].seq_last

    # ----------------------------------------------------------------------------------- payments

    def _is_owed(self, payment: StoredPayment) -> bool:
        """Whether the ledger has it in flight, just as it is stored. Raises PaymentDiffersFromLedger."""
        requested = self._committed.open_withdrawal(payment.withdrawal_id)
        if requested is None:
            return False  # final in the ledger: the journal's event, still to be read, says how
        if not payment.repeats(requested):
            raise PaymentDiffersFromLedger(payment.withdrawal_id)
        return True

    async def _advance_signed(self, payment: StoredPayment, head: Header, final: Header | None) -> None:
        """Confirmations, settlement, refund of a payment whose bytes are out."""
        if not self._is_owed(payment):
            return
        if final is not None and final.time_s > payment.deadline_s:
            if not await self._is_used(payment, final.hash):
                await self._refund(payment, final)
                return
            if payment.state in UNDER_WAY:  # paid, but by nothing that is looked after any more
                await self._find_on_chain(payment, head)
                return
        if payment.state is PaymentState.MINED:
            await self._confirm(payment)

    async def _advance_due(
        self, due: list[StoredPayment], head: Header, final: Header | None, conditions: dict[str, Exception]
    ) -> list[StoredPayment]:
        """Takes payments that are not signed as far as they go without that; those that are ready for it.

        Bytes that another copy of our tables signed are looked for first, also while nothing may be signed:
        the books agree again only when all that was paid is known. The others are put off for a while, so
        that those behind them get their turn.
        """
        self._risk.start_pass()
        ready: list[StoredPayment] = []
        others: list[str] = []
        for payment, is_used in zip(due, await self._are_used(due), strict=True):
            try:
                if await self._is_ready(payment, head, final, is_used=is_used):
                    ready.append(payment)
                    continue
            except OF_ONE_PAYMENT as condition:
                conditions[payment.withdrawal_id] = condition
            others.append(payment.withdrawal_id)
        await self._pauses.put_off(others)
        return ready

    async def _is_ready(
        self, payment: StoredPayment, head: Header, final: Header | None, *, is_used: bool
    ) -> bool:
        """Whether a payment may be signed as far as it alone is concerned."""
        if not self._is_owed(payment):
            return False
        if is_used:
            await self._find_on_chain(payment, head)
            return False
        if final is not None and final.time_s > payment.deadline_s:
            if not await self._is_used(payment, final.hash):
                await self._refund(payment, final)
            return False
        if self._is_frozen(payment.account_id):
            return False  # its money may not exist: it waits, and comes back after its deadline
        if payment.state is PaymentState.REQUESTED and not await self._judge(payment):
            return False
        if payment.state in (PaymentState.REVIEW, PaymentState.REJECTED):
            return False
        # too late to be paid: it is refunded after its deadline
        return payment.deadline_s - max(head.time_s, self._now()) >= self._policy.deadline_room_s

    def _is_frozen(self, account_id: int) -> bool:
        return self._committed.account_state(account_id) is AccountState.FROZEN

    async def _judge(self, payment: StoredPayment) -> bool:
        """Asks the risk step and stores its verdict; whether the payment is approved now."""
        now_ms = self._now_ms()
        judgement = await self._risk.judge(payment, now_ms)
        if judgement.verdict is Verdict.WAIT:
            await self._rows.wait(payment.withdrawal_id, judgement.reason)
            return False
        if judgement.verdict is Verdict.REVIEW:
            if await self._rows.hold(payment.withdrawal_id, judgement.reason):
                self._alert("withdrawal_in_review", f"withdrawal {payment.withdrawal_id}: {judgement.reason}")
            return False
        approved = await self._rows.approve(payment.withdrawal_id, now_ms)
        log.info("payment_approved", withdrawal=payment.withdrawal_id)
        return approved

    async def _signature(self, payment: StoredPayment) -> bytes:
        request = await owner_request(
            self._tail, self._committed.sub_account, payment.requested_seq, payment.withdrawal_id
        )
        return await self._signer.sign_order(PaymentOrder(payment.payment, request))

    async def _are_used(self, payments: list[StoredPayment]) -> list[bool]:
        """Which ids the vault has used, as of the newest block; asked in parallel."""
        answers = await together(
            *(self._rpc.view(self._vault, used_call(payment.withdrawal_id)) for payment in payments)
        )
        return [decode_word(answer) != 0 for answer in answers]

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
                payment.withdrawal_id,
                payment.before_signed,
                payment.deadline_s * 1_000,
                f"never payable: {reason}",
            )
        else:
            await self._pauses.try_later(payment, payment.before_signed, f"{outcome}, reason {reason}")

    def _now_ms(self) -> int:
        return int(self._now() * 1_000)

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
        self._pauses.forget(payment.withdrawal_id)
        log.info(
            "payment_final", withdrawal=payment.withdrawal_id, command=type(command).__name__, seq=outcome.seq
        )
