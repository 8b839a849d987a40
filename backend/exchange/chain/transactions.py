"""Gets signed transactions mined: broadcast, rebroadcast, fee bump, and the watch over their receipts.

Every attempt's bytes are stored before they are sent, so a send whose answer is lost is simply done again
with the same bytes. What the node says to that is one of four things:

    taken, or "already known"      it is in the pool
    "nonce too low"                this or an earlier attempt is mined already: the receipt will say
    another refusal                the node is asked again later
    no answer                      unknown: the same bytes again, never a new nonce

A transaction without receipt is sent again from time to time (pools forget), and, if its nonce is the
lowest open one, replaced by one with higher fees. All attempts are watched, for any of them may be mined.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from exchange.chain.errors import FeeAboveCap, RpcError
from exchange.chain.fees import GasFee, bumped_fee
from exchange.chain.nonces import Attempt, NonceRows, OpenTransaction
from exchange.chain.rpc import Header, Receipt, Rpc
from exchange.chain.signer import Sender, Transaction

log = structlog.get_logger(__name__)

_KNOWN = ("already known", "already imported", "alreadyknown", "known transaction")
_NONCE_USED = ("nonce too low", "nonce is too low", "oldnonce")


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """How transactions are pushed. Fees are wei per gas."""

    rebroadcast_s: float = 15.0
    bump_after_s: float = 60.0
    max_attempts: int = 8
    max_fee_wei: int = 500_000_000_000


class Transactions:
    """The sender's open transactions."""

    def __init__(
        self,
        rpc: Rpc,
        nonces: NonceRows,
        sender: Sender,
        vault: str,
        policy: SendPolicy,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._rpc = rpc
        self._nonces = nonces
        self._sender = sender
        self._vault = vault
        self._policy = policy
        self._now = now
        self._refused_ms: dict[int, int] = {}

    async def sign(self, nonce: int, data: bytes, gas: int, fee: GasFee) -> Attempt:
        """Bytes of a call of the vault; nothing is stored or sent."""
        signed = await self._sender.sign_transaction(
            Transaction(nonce, self._vault, data, gas, fee.max_fee_wei, fee.priority_fee_wei)
        )
        return Attempt(signed.tx_hash, signed.raw, fee, self._now_ms())

    async def find_receipt(self, transaction: OpenTransaction) -> Receipt | None:
        """The receipt of whichever attempt is mined on the present branch."""
        for attempt in reversed(transaction.attempts):
            receipt = await self.receipt(attempt.tx_hash)
            if receipt is not None:
                return receipt
        return None

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """A receipt, if its block is on the present branch."""
        receipt = await self._rpc.receipt(tx_hash)
        if receipt is None:
            return None
        header = await self._rpc.header(receipt.block_number)
        return receipt if header is not None and header.hash == receipt.block_hash else None

    async def push(self, transaction: OpenTransaction, head: Header, *, lowest: bool) -> None:
        """Sends a transaction that has no receipt, if it is time, with a higher fee if it waits too long.

        Raises RpcUnavailable when it is unknown whether the node has it.
        """
        newest = transaction.attempts[-1]
        now_ms = self._now_ms()
        waiting_s = (now_ms - newest.signed_ms) / 1_000
        sent_ms = transaction.broadcast_ms or self._refused_ms.get(transaction.nonce)
        if lowest and waiting_s >= self._policy.bump_after_s and sent_ms is not None:
            replacement = await self._replacement(transaction, head)
            if replacement is not None:
                await self._send(transaction, replacement)
                return
        if sent_ms is None or now_ms - sent_ms >= self._policy.rebroadcast_s * 1_000:
            await self._send(transaction, newest)

    async def _replacement(self, transaction: OpenTransaction, head: Header) -> Attempt | None:
        if len(transaction.attempts) >= self._policy.max_attempts:
            return None
        newest = transaction.attempts[-1]
        try:
            fee = bumped_fee(newest.fee, head.base_fee_wei, self._policy.max_fee_wei)
        except FeeAboveCap as error:
            log.warning("fee_cap_reached", nonce=transaction.nonce, tx_hash=newest.tx_hash, reason=str(error))
            return None
        attempt = await self.sign(transaction.nonce, transaction.data, transaction.gas, fee)
        await self._nonces.add_attempt(transaction, attempt)
        log.warning(
            "transaction_replaced",
            nonce=transaction.nonce,
            tx_hash=attempt.tx_hash,
            max_fee_wei=fee.max_fee_wei,
        )
        return attempt

    async def _send(self, transaction: OpenTransaction, attempt: Attempt) -> None:
        try:
            await self._rpc.send_raw(attempt.raw)
        except RpcError as error:
            message = error.message.lower()
            if any(words in message for words in _NONCE_USED):
                log.info("nonce_used", nonce=transaction.nonce, tx_hash=attempt.tx_hash)
            elif not any(words in message for words in _KNOWN):
                self._refused_ms[transaction.nonce] = self._now_ms()
                log.warning(
                    "broadcast_refused",
                    nonce=transaction.nonce,
                    tx_hash=attempt.tx_hash,
                    reason=error.message,
                )
                return
        self._refused_ms.pop(transaction.nonce, None)
        await self._nonces.broadcast(transaction, self._now_ms())
        log.info("broadcast", nonce=transaction.nonce, tx_hash=attempt.tx_hash)

    def _now_ms(self) -> int:
        return int(self._now() * 1_000)
