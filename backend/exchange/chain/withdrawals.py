"""Withdrawals: from the journal's request to the vault's payment, once, whatever fails in between.

Theory of operation. Three parties know of a withdrawal: the ledger (in flight, until it is told otherwise),
the table `payments`, and the vault, which uses each id at most once and none after its deadline. The ledger
decides what is owed and what is final, the vault what was paid; the table remembers what was tried. Each
pass reads the journal, looks after the open transactions, then moves every open payment as far as it can:

    from               when                                                             to
    -                  the journal has WithdrawalRequested                              requested
    requested          the row equals what the ledger has in flight                     approved
    approved           deadline has room, id unused, books and vault agree, the vault
                       has the funds, a dry run does not revert: nonce, signed bytes
                       and hash are stored                                              signed
    approved           the vault used the id (by bytes that we do not know of)          mined
    approved           the vault would skip or revert it now                            approved, later
    signed             the node has the bytes, or says that the nonce is used           broadcast
    signed, broadcast  an attempt has a receipt                                         mined
    signed, broadcast  the nonce was used by a stranger's transaction, N blocks deep    approved
    signed, broadcast  a finalized block is past the deadline and the id used there,
                       by bytes that nobody looks after (those of a replaced key)       mined
    mined              the receipt is gone (reorganized)                                broadcast
    mined              N confirmations, skipped or reverted                             approved, later
    mined              N confirmations, paid or claimable: SettleWithdrawal submitted   (mined)
    any of these       a finalized block is past the deadline and the id unused there:
                       RefundWithdrawal submitted                                       (as it was)
    any of these       the journal has WithdrawalSettled or WithdrawalRefunded          settled, refunded

Why it pays once: the id is used at most once by the vault, so no number of transactions pays twice. Why it
never pays and refunds: one deadline per id is ever signed, and a refund waits for a finalized block beyond
it. Why a crash loses nothing: every step first stores what it is about to do, or can be done again; final
states come from the journal alone. An outcome that is unknown (a lost answer to a broadcast, a lost answer
of the engine) is never assumed: the same bytes are sent again, the same command refused as final.

What is signed goes on whatever the books say: its bytes may be in the node's pool and can not be taken
back, they were signed while books and vault agreed, the comparison counts what they pay as not settled yet,
and a nonce left unused would hold up all others. So neither rebroadcasts nor replacements with a higher fee
ask `may_sign`.

Transactions outlive their payments: a nonce once given out must be used, or all later ones wait for ever.
Bytes that come too late are sent all the same; the vault skips them.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import asyncpg
import structlog

from exchange.chain.backoff import repeat
from exchange.chain.errors import (
    CursorAheadOfJournal,
    LogInvalid,
    NonceGap,
    PaymentCondition,
    PaymentDiffersFromLedger,
    PaymentRefused,
    RpcAnswerInvalid,
    RpcError,
)
from exchange.chain.fees import first_fee
from exchange.chain.nonces import NonceRows, OpenTransaction
from exchange.chain.outcomes import MADE, NEVER_PAYABLE, outcome_of
from exchange.chain.payment_rows import (
    ChainOutcome,
    PaymentRows,
    PaymentState,
    PaymentStatus,
    StoredPayment,
    payment_status,
)
from exchange.chain.rpc import Header, Receipt, Rpc, together
from exchange.chain.signer import Sender, Signer
from exchange.chain.transactions import SendPolicy, Transactions
from exchange.chain.vault import (
    accounted_call,
    decode_word,
    decode_words,
    outflow_call,
    payment_topics,
    used_call,
    withdraw_call,
)
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
PAYMENT_GAS = 700_000
"""The vault hands 200,000 to a token and wants 100,000 in reserve; an ordinary payment uses about 130,000."""

SEARCH_BLOCKS = 5_000
SEARCHES_PER_PASS = 16

_OF_ONE_PAYMENT = (PaymentCondition, LogInvalid, RpcError, RpcAnswerInvalid)
"""What stops one payment, while those behind it go on. A node that does not answer stops the pass."""

_UNDER_WAY = (PaymentState.SIGNED, PaymentState.BROADCAST)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WithdrawalPolicy:
    """When to sign, settle and try again. `deadline_room_s`: nothing is signed closer to its deadline."""

    confirmations: int
    deadline_room_s: int = 60
    retry_s: float = 15.0
    retry_cap_s: float = 600.0
    send: SendPolicy = field(default_factory=SendPolicy)


@dataclass(frozen=True, slots=True)
class WithdrawalsStatus:
    """`conditions`: why single payments do not go on, by id. `fault`: what ended the last pass, if any."""

    cursor: int
    open_payments: int
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
        *,
        chain_id: int,
        vault: str,
        deploy_block: int,
        policy: WithdrawalPolicy,
        may_sign: Callable[[], bool],
        poll_s: float = 0.5,
        now: Callable[[], float] = time.time,
    ) -> None:
        assert policy.confirmations >= 1
        self._rpc = rpc
        self._rows = PaymentRows(pool, chain_id, vault)
        self._nonces = NonceRows(pool, chain_id, sender.address)
        self._transactions = Transactions(rpc, self._nonces, sender, vault, policy.send, now)
        self._submit = submit
        self._committed = committed
        self._tail = tail
        self._signer = signer
        self._sender = sender
        self._chain_id = chain_id
        self._vault = vault
        self._deploy_block = deploy_block
        self._policy = policy
        self._may_sign = may_sign
        self._poll_s = poll_s
        self._now = now
        self._started = False
        self._cursor = 0
        self._open_payments = 0
        self._conditions: dict[str, Exception] = {}
        self._fault: Exception | None = None
        self._retries: dict[str, int] = {}
        self._search_blocks = SEARCH_BLOCKS
        self._searched_down_to: dict[str, int] = {}
        self._nonce_lost_at: dict[int, int] = {}

    def status(self) -> WithdrawalsStatus:
        return WithdrawalsStatus(self._cursor, self._open_payments, dict(self._conditions), self._fault)

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
        conditions: dict[str, Exception] = {}
        await self._look_after_transactions(head, conditions)
        payments = await self._rows.open()
        if payments:
            finalized = await self._rpc.finalized()
            for payment in payments:
                try:
                    await self._advance(payment, head, finalized)
                except _OF_ONE_PAYMENT as condition:
                    conditions[payment.withdrawal_id] = condition
        self._open_payments = len(payments)
        self._note_conditions(conditions)
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
        on_chain = await self._rpc.transaction_count(self._sender.address)
        here = await self._nonces.next()
        if on_chain < here:
            if await self._nonces.count_from(on_chain) != here - on_chain:
                raise NonceGap(here, on_chain)
            reopened = await self._nonces.reopen_from(on_chain)
            log.info("nonces_open", first=on_chain, next=here, sent_again=reopened)
        elif 0 < here < on_chain:
            log.warning("nonces_used_elsewhere", expected=here, found=on_chain)
        self._started = True

    async def _read_journal(self) -> None:
        while rows := await self._tail.read(self._cursor, JOURNAL_ROWS_PER_READ):
            await self._rows.take_in(rows)
            self._cursor = rows[-1].seq_last

    # ------------------------------------------------------------------------------- transactions

    async def _look_after_transactions(self, head: Header, conditions: dict[str, Exception]) -> None:
        transactions = await self._nonces.open()
        if not transactions:
            return
        next_nonce = await self._rpc.transaction_count(self._sender.address)
        for transaction in transactions:
            try:
                await self._look_after(transaction, head, next_nonce)
            except _OF_ONE_PAYMENT as condition:
                conditions[transaction.withdrawal_id] = condition

    async def _look_after(self, transaction: OpenTransaction, head: Header, next_nonce: int) -> None:
        receipt = await self._transactions.find_receipt(transaction)
        if receipt is not None:
            self._nonce_lost_at.pop(transaction.nonce, None)
            payment = await self._rows.get(transaction.withdrawal_id)
            if payment is not None and payment.state in _UNDER_WAY:
                await self._mined(payment, receipt)  # while it raises, the transaction stays open
            if self._confirmed(receipt.block_number, head):
                await self._nonces.done(transaction.nonce)
        elif transaction.nonce < next_nonce:
            await self._note_lost_nonce(transaction, head)
        else:
            self._nonce_lost_at.pop(transaction.nonce, None)
            await self._transactions.push(transaction, head, lowest=transaction.nonce == next_nonce)

    async def _note_lost_nonce(self, transaction: OpenTransaction, head: Header) -> None:
        """The nonce is used, but by none of our attempts: the node lags, or somebody else has the key."""
        since = self._nonce_lost_at.setdefault(transaction.nonce, head.number)
        log.warning(
            "nonce_lost", nonce=transaction.nonce, since_block=since, withdrawal=transaction.withdrawal_id
        )
        if head.number - since >= self._policy.confirmations:
            await self._nonces.void(transaction)
            del self._nonce_lost_at[transaction.nonce]

    # ----------------------------------------------------------------------------------- payments

    async def _advance(self, payment: StoredPayment, head: Header, finalized: Header | None) -> None:
        requested = self._committed.open_withdrawal(payment.withdrawal_id)
        if requested is None:
            return  # final in the ledger: the journal's event, still to be read, says how
        if not payment.repeats(requested):
            raise PaymentDiffersFromLedger(payment.withdrawal_id)
        if finalized is not None and finalized.time_s > payment.deadline_s:
            if not await self._is_used(payment, finalized.hash):
                await self._refund(payment, finalized)
                return
            if payment.state in _UNDER_WAY:  # paid, but by nothing that is looked after any more
                await self._find_on_chain(payment, head)
                return
        if payment.state is PaymentState.REQUESTED:
            await self._rows.move(payment.withdrawal_id, (PaymentState.REQUESTED,), PaymentState.APPROVED)
            log.info("payment_approved", withdrawal=payment.withdrawal_id)
            await self._sign(payment, head)
        elif payment.state is PaymentState.APPROVED:
            await self._sign(payment, head)
        elif payment.state is PaymentState.MINED:
            await self._confirm(payment, head)

    async def _sign(self, payment: StoredPayment, head: Header) -> None:
        """Signs and sends if everything allows it, and else leaves the payment approved.

        Bytes that another copy of our tables signed are followed first, also while nothing may be signed:
        the books agree again only when all that was paid is known.
        """
        now_s = self._now()
        if now_s * 1_000 < payment.not_before_ms:
            return
        if await self._is_used(payment):
            await self._find_on_chain(payment, head)
            return
        if not self._may_sign():
            return
        if payment.deadline_s - max(head.time_s, now_s) < self._policy.deadline_room_s:
            return  # too late to be paid; it is refunded after its deadline
        obstacle = await self._obstacle(payment)
        if obstacle is not None:
            await self._try_later(payment, obstacle)
            return
        data = withdraw_call([payment.payment], [await self._signer.sign_payment(payment.payment)])
        try:
            await self._rpc.view(self._vault, data, sender=self._sender.address)
        except RpcError as error:
            await self._try_later(payment, f"the vault would revert: {error.message} {error.data}")
            return
        fee = first_fee(head.base_fee_wei, await self._rpc.priority_fee_wei(), self._policy.send.max_fee_wei)
        nonce = max(await self._nonces.next(), await self._rpc.transaction_count(self._sender.address))
        attempt = await self._transactions.sign(nonce, data, PAYMENT_GAS, fee)
        if not self._may_sign():  # it took a few requests to get here
            return
        if not await self._nonces.record(nonce, payment.withdrawal_id, data, PAYMENT_GAS, attempt):
            return
        log.info("payment_signed", withdrawal=payment.withdrawal_id, nonce=nonce, tx_hash=attempt.tx_hash)
        transaction = OpenTransaction(nonce, payment.withdrawal_id, data, PAYMENT_GAS, None, (attempt,))
        await self._transactions.push(transaction, head, lowest=False)

    async def _obstacle(self, payment: StoredPayment) -> str | None:
        """Why the vault would skip the payment now, as far as it is worth asking before gas is spent."""
        atoms = payment.payment.amount_atoms
        accounted, outflow = await together(
            self._rpc.view(self._vault, accounted_call(payment.token)),
            self._rpc.view(self._vault, outflow_call(payment.token)),
        )
        accounted_atoms = decode_word(accounted)
        if atoms > accounted_atoms:
            return f"the vault accounts for {accounted_atoms} atoms of the {atoms} to be paid"
        limit_atoms, _, in_use_atoms = decode_words(outflow, 3)
        if limit_atoms and in_use_atoms + atoms > limit_atoms:
            return f"{atoms} atoms do not fit into the outflow limit: {in_use_atoms} of {limit_atoms} in use"
        return None

    async def _is_used(self, payment: StoredPayment, block_hash: str | None = None) -> bool:
        answer = await self._rpc.view(self._vault, used_call(payment.withdrawal_id), block_hash)
        return decode_word(answer) != 0

    async def _find_on_chain(self, payment: StoredPayment, head: Header) -> None:
        """The id is used, though no transaction of ours is known to have done it: follow the one that did.

        Searches backwards, in ranges that the node takes, and goes on in the next pass if it takes many.
        """
        topics = payment_topics(payment.withdrawal_id)
        last = self._searched_down_to.pop(payment.withdrawal_id, head.number + 1) - 1
        for _ in range(SEARCHES_PER_PASS):
            if last < self._deploy_block:
                return  # from the head again: the payment was reorganized in between
            first = max(self._deploy_block, last - self._search_blocks + 1)
            try:
                found = await self._rpc.logs(self._vault, topics, first, last)
            except RpcError:
                if first == last:
                    self._search_blocks = SEARCH_BLOCKS
                    raise
                self._search_blocks = (last - first + 1) // 2
                continue
            self._search_blocks = min(SEARCH_BLOCKS, self._search_blocks + self._search_blocks // 8 + 1)
            for entry in found:
                receipt = await self._transactions.receipt(entry.tx_hash)
                if receipt is not None:
                    log.warning("payment_found", withdrawal=payment.withdrawal_id, tx_hash=entry.tx_hash)
                    await self._mined(payment, receipt)
                    return
            last = first - 1
        self._searched_down_to[payment.withdrawal_id] = last + 1

    async def _mined(self, payment: StoredPayment, receipt: Receipt) -> None:
        outcome, reason = outcome_of(payment, self._vault, receipt)
        await self._rows.mined(
            payment.withdrawal_id, receipt.tx_hash, receipt.block_number, receipt.block_hash, outcome
        )
        log.info(
            "payment_mined",
            withdrawal=payment.withdrawal_id,
            tx_hash=receipt.tx_hash,
            block=receipt.block_number,
            outcome=outcome,
            reason=reason,
        )

    async def _confirm(self, payment: StoredPayment, head: Header) -> None:
        assert payment.tx_hash is not None
        receipt = await self._transactions.receipt(payment.tx_hash)
        if receipt is None:
            log.warning("payment_reorganized", withdrawal=payment.withdrawal_id, tx_hash=payment.tx_hash)
            await self._nonces.unmined(payment.withdrawal_id)
            return
        outcome, reason = outcome_of(payment, self._vault, receipt)
        if (receipt.block_hash, outcome) != (payment.block_hash, payment.outcome):
            await self._mined(payment, receipt)
        if not self._confirmed(receipt.block_number, head):
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

    def _confirmed(self, block_number: int, head: Header) -> bool:
        return head.number - block_number + 1 >= self._policy.confirmations

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
        log.info(
            "payment_final", withdrawal=payment.withdrawal_id, command=type(command).__name__, seq=outcome.seq
        )
