"""Sends what is approved: batch after batch, as many transactions as may be under way at once.

Whatever forbids a payment is asked twice: before anything is signed, and in the database transaction that
gives its nonce out, for between the two lie a few requests.
"""

from collections.abc import Callable

import asyncpg
import structlog

from exchange.chain.batches import Batch, BatchMaker
from exchange.chain.errors import FeeAboveCap, NonceUnclear, SenderOutOfGas
from exchange.chain.life_cycle import UNDER_WAY, PaymentState
from exchange.chain.outbox import Outbox
from exchange.chain.pauses import Pauses
from exchange.chain.payment_rows import PaymentRows, StoredPayment
from exchange.chain.payment_transactions import OF_ONE_PAYMENT
from exchange.chain.rpc import Header

_OF_THE_KEY = (FeeAboveCap, SenderOutOfGas, NonceUnclear)
"""What lets nothing be sent with this key at present."""

GATE_S = 1.0
"""While nothing may be signed, a payment that is ready makes room for others for so long."""

log = structlog.get_logger(__name__)


class PaymentSending:
    """Signs and sends one vault's payments.

    `may_sign` is about all of them, `is_frozen` about one account. `max_in_flight`: transactions that may be
    open and not mined; `max_batch`: payments in one.
    """

    def __init__(
        self,
        rows: PaymentRows,
        outbox: Outbox,
        batches: BatchMaker,
        pauses: Pauses,
        *,
        may_sign: Callable[[], bool],
        is_frozen: Callable[[int], bool],
        max_in_flight: int,
        max_batch: int,
    ) -> None:
        self._rows = rows
        self._outbox = outbox
        self._batches = batches
        self._pauses = pauses
        self._may_sign = may_sign
        self._is_frozen = is_frozen
        self._max_in_flight = max_in_flight
        self._max_batch = max_batch
        self._refused: dict[str, Exception] = {}

    def refused(self, is_open: Callable[[str], object]) -> dict[str, Exception]:
        """What the signer would not sign, or had no answer to, by id; forgets what is not open any more."""
        self._refused = {key: value for key, value in self._refused.items() if is_open(key)}
        return dict(self._refused)

    async def send(
        self,
        ready: list[StoredPayment],
        under_way: list[StoredPayment],
        waiting: int,
        head: Header,
        conditions: dict[str, Exception],
    ) -> None:
        """Sends of the ready payments what it can. `waiting`: how many transactions are not mined yet.

        What is not sent now is ready again in the next pass, but while nothing may be signed it makes room
        for those that were not looked at yet. Raises RpcUnavailable: whether the last one is sent is unknown.
        """
        if not self._may_sign():
            await self._pauses.put_off([payment.withdrawal_id for payment in ready], GATE_S)
            return
        ready = sorted(ready, key=lambda payment: payment.requested_seq)
        room = self._max_in_flight - waiting
        pending = [payment for payment in under_way if payment.state in UNDER_WAY]
        for start in range(0, len(ready), self._max_batch):
            if room <= 0 or not self._may_sign():
                return
            some = ready[start : start + self._max_batch]
            try:
                await self._outbox.afford(self._batches.gas(len(some)), head)
                batch = await self._batches.make(some, pending)
                await self._put_aside(batch)
                if batch.items and not await self._submit(batch, head):
                    return
            except _OF_THE_KEY as condition:
                conditions |= {payment.withdrawal_id: condition for payment in ready[start:]}
                return
            except OF_ONE_PAYMENT as condition:
                conditions |= {payment.withdrawal_id: condition for payment in some}
                await self._pauses.put_off([payment.withdrawal_id for payment in some])
                room -= 1  # it may be under way all the same
                continue
            pending += [payment for payment, _ in batch.items]
            room -= bool(batch.items)
            if batch.signer_failed:
                return

    async def _put_aside(self, batch: Batch) -> None:
        """What can not go out now, for later."""
        for payment, condition in batch.conditions:
            self._refused[payment.withdrawal_id] = condition
            await self._pauses.try_later(payment, PaymentState.APPROVED, str(condition))
        for payment, obstacle in batch.obstacles:
            await self._pauses.try_later(payment, PaymentState.APPROVED, obstacle)

    async def _submit(self, batch: Batch, head: Header) -> bool:
        """Signs and sends a batch; False when something forbids it since it was made."""
        ids = batch.ids

        async def sign(connection: "asyncpg.pool.PoolConnectionProxy", nonce: int) -> bool:
            if not self._may_sign() or any(self._is_frozen(item.account_id) for item, _ in batch.items):
                return False
            return await self._rows.sign(connection, ids, self._outbox.address, nonce)

        submitted = await self._outbox.submit(self._batches.call(batch), head, sign)
        if submitted is None:
            return False
        for withdrawal_id in ids:
            self._refused.pop(withdrawal_id, None)
        log.info("payments_signed", count=len(ids), nonce=submitted.nonce, tx_hash=submitted.tx_hash)
        if submitted.is_broadcast:
            await self._rows.broadcast(ids)
        return True
