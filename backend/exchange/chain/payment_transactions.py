"""What becomes of the payments in a transaction, while the outbox looks after the transaction itself.

A transaction stays open until everything that it did is stored and confirmed, payment by payment: whatever
goes wrong with one of them is done again in the next pass, and does not hold up the others.
"""

from collections.abc import Callable

import structlog

from exchange.chain.errors import (
    LogInvalid,
    PaymentCondition,
    RpcAnswerInvalid,
    RpcError,
    RpcUnavailable,
)
from exchange.chain.life_cycle import UNDER_WAY, PaymentState
from exchange.chain.nonces import OpenTransaction
from exchange.chain.outbox import Fate, Outbox, Watched
from exchange.chain.outcomes import outcome_of
from exchange.chain.payment_rows import PaymentRows, StoredPayment
from exchange.chain.rpc import Header, Receipt

OF_ONE_PAYMENT = (PaymentCondition, LogInvalid, RpcError, RpcAnswerInvalid)
"""What stops one payment, while those behind it go on. A node that does not answer stops the pass."""

log = structlog.get_logger(__name__)


class PaymentTransactions:
    """The transactions of one vault's payments."""

    def __init__(
        self, outbox: Outbox, rows: PaymentRows, vault: str, is_frozen: Callable[[int], bool]
    ) -> None:
        self._outbox = outbox
        self._rows = rows
        self._vault = vault
        self._is_frozen = is_frozen
        self._receipts: dict[str, Receipt | None] = {}

    async def look_after(
        self, head: Header, is_confirmed: Callable[[Receipt], bool], conditions: dict[str, Exception]
    ) -> int:
        """One pass over all that are open; how many of them are not mined yet.

        What stops single payments goes into `conditions`, by their ids; what stops the key, by its address.
        A lost answer to a broadcast concerns that transaction alone. Raises RpcUnavailable.
        """
        self._receipts.clear()
        try:
            transactions, next_nonce = await self._outbox.healed(head)
        except (PaymentCondition, RpcError) as condition:
            conditions[self._outbox.address] = condition
            transactions, next_nonce = await self._outbox.rows.open(), await self._outbox.next_nonce()
        waiting = 0
        for transaction in transactions:
            payments = await self._rows.of_nonce(self._outbox.address, transaction.nonce)
            try:
                watched = await self._push(transaction, payments, head, next_nonce)
                waiting += watched.fate is Fate.WAITING
                await self._store(watched, payments, is_confirmed, conditions)
            except (*OF_ONE_PAYMENT, RpcUnavailable) as condition:
                conditions |= {payment.withdrawal_id: condition for payment in payments}
                waiting += 1
        return waiting

    async def mined(self, payment: StoredPayment, receipt: Receipt) -> None:
        """Stores what a mined transaction did with a payment. Raises PaymentDiffersOnChain, LogInvalid."""
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

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """A receipt on the present branch, asked for once a pass: the payments of a batch share it."""
        if tx_hash not in self._receipts:
            self._receipts[tx_hash] = await self._outbox.receipt(tx_hash)
        return self._receipts[tx_hash]

    async def reorganized(self, payment: StoredPayment) -> None:
        """The receipt of a mined payment is gone: what we sent is sent again, what we did not is not."""
        log.warning("payment_reorganized", withdrawal=payment.withdrawal_id, tx_hash=payment.tx_hash)
        last_try = await self._rows.last_try(payment.withdrawal_id)
        if last_try is not None and last_try[0] == self._outbox.address:
            await self._outbox.rows.reopen(last_try[1])
        after = PaymentState.BROADCAST if last_try is not None else payment.before_signed
        await self._rows.unmined(payment.withdrawal_id, after)

    async def _push(
        self, transaction: OpenTransaction, payments: list[StoredPayment], head: Header, next_nonce: int
    ) -> Watched:
        """Looks after it. It has lost its use when all its payments are too late, or one must not be made.

        The latter is so when an account is frozen: its money may not exist. The others in the batch start
        again. A settled payment keeps it of use: if its block was reorganized away, these bytes still pay it.
        """
        useless = bool(payments) and (
            all(
                payment.state is PaymentState.REFUNDED or head.time_s > payment.deadline_s
                for payment in payments
            )
            or any(self._is_frozen(payment.account_id) for payment in payments)
        )
        return await self._outbox.look_after(transaction, head, next_nonce, useless=useless)

    async def _store(
        self,
        watched: Watched,
        payments: list[StoredPayment],
        is_confirmed: Callable[[Receipt], bool],
        conditions: dict[str, Exception],
    ) -> None:
        transaction, receipt, attempt = watched.transaction, watched.receipt, watched.attempt
        if watched.fate is Fate.LOST:
            await self._start_again(payments, transaction)
            await self._outbox.close(transaction.nonce)
        elif receipt is None or attempt is None:
            if watched.is_broadcast:
                await self._rows.broadcast([payment.withdrawal_id for payment in payments])
        elif attempt.cancels:
            if is_confirmed(receipt):
                await self._start_again(payments, transaction)
                await self._outbox.close(transaction.nonce)
        elif await self._all_mined(payments, receipt, conditions) and is_confirmed(receipt):
            await self._outbox.close(transaction.nonce)

    async def _all_mined(
        self, payments: list[StoredPayment], receipt: Receipt, conditions: dict[str, Exception]
    ) -> bool:
        """Stores what a transaction did with each payment in it; whether that went well for all."""
        complete = True
        for payment in payments:
            if payment.state not in UNDER_WAY:
                continue
            try:
                await self.mined(payment, receipt)
            except OF_ONE_PAYMENT as condition:
                conditions[payment.withdrawal_id] = condition
                complete = False
        return complete

    async def _start_again(self, payments: list[StoredPayment], transaction: OpenTransaction) -> None:
        """Nothing of this transaction can pay them any more. Later tries of theirs are left alone."""
        this_try = (self._outbox.address, transaction.nonce)
        ids = [
            payment.withdrawal_id
            for payment in payments
            if payment.state in UNDER_WAY and await self._rows.last_try(payment.withdrawal_id) == this_try
        ]
        await self._rows.unsign(ids)
