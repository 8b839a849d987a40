"""Gets one key's transactions mined: nonces, broadcast, rebroadcast, fee bumps, and the watch over receipts.

Every attempt's bytes are stored before they are sent, so a send whose answer is lost is simply done again
with the same bytes. What the node says to that is one of four things:

    taken, or "already known"      it is in the pool
    "nonce too low"                this or an earlier attempt is mined already: the receipt will say
    another refusal                the node is asked again later
    no answer                      unknown: the same bytes again, never a new nonce

A transaction without receipt is sent again from time to time (pools forget), and, if its nonce is the
lowest open one, replaced by one with higher fees. One that has lost its use is replaced by a transfer of
nothing to oneself: cheap, and the nonce does not hold up the others. All attempts are watched, for any of
them may be mined.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

import asyncpg
import structlog

from exchange.chain.errors import FeeAboveCap, NonceGap, NonceUnclear, RpcError, SenderOutOfGas
from exchange.chain.fees import GasFee, bumped_fee, first_fee
from exchange.chain.halts import Alert, only_logged
from exchange.chain.nonces import Attempt, Call, NonceRows, OpenTransaction, Purpose
from exchange.chain.rpc import Header, Receipt, Rpc
from exchange.chain.signer import Sender, Transaction

if TYPE_CHECKING:
    from exchange.chain.nonces import Also

log = structlog.get_logger(__name__)

TRANSFER_GAS = 21_000
"""What a transfer of nothing to an address without code costs."""

MAX_GAP = 64
"""How many missing nonces in a row are filled at start; more means that something else is wrong."""

_KNOWN = ("already known", "already imported", "alreadyknown", "known transaction")
_NONCE_USED = ("nonce too low", "nonce is too low", "oldnonce")


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """How transactions are pushed. Fees are wei per gas.

    `max_in_flight`: open transactions of the key at once; nodes keep only so many of one account.
    `low_gas_calls`: an alert when the key can not pay for so many more transactions of `usual_gas`.
    `confirmations`: how deep a stranger's use of a nonce, or our own, must lie to count.
    """

    rebroadcast_s: float = 15.0
    bump_after_s: float = 60.0
    max_attempts: int = 8
    max_fee_wei: int = 500_000_000_000
    max_in_flight: int = 16
    low_gas_calls: int = 50
    usual_gas: int = 700_000
    confirmations: int = 3


class Fate(Enum):
    """What has become of an open transaction."""

    WAITING = auto()
    MINED = auto()
    """One of its attempts is in a block."""
    LOST = auto()
    """The nonce is used by something else, deep enough to stay so: none of its bytes can ever be mined."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A new transaction. `is_broadcast`: the node has it; else it is sent again later."""

    nonce: int
    tx_hash: str
    is_broadcast: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """An open transaction as of now; the receipt and its attempt when it is mined."""

    transaction: OpenTransaction
    fate: Fate
    receipt: Receipt | None = None
    attempt: Attempt | None = None
    is_broadcast: bool = True
    """Whether the node has had it, newly sent or before."""


@dataclass(frozen=True, slots=True)
class GasStatus:
    """What the key can still pay for. `is_low` is an alert, not a stop."""

    balance_wei: int
    is_low: bool


class Outbox:
    """One key's transactions on one chain. The only writer of that key; one owner, no concurrent calls.

    `epoch` is the engine's: a later engine takes the key over, an earlier one can not take it back.
    """

    def __init__(
        self,
        rpc: Rpc,
        pool: asyncpg.Pool,
        sender: Sender,
        *,
        chain_id: int,
        policy: SendPolicy,
        epoch: int | None = None,
        alert: Alert = only_logged,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.rows = NonceRows(pool, chain_id, sender.address)
        self._rpc = rpc
        self._sender = sender
        self._policy = policy
        self._epoch = epoch
        self._alert = alert
        self._now = now
        self._refused_ms: dict[int, int] = {}
        self._lost_since: dict[int, int] = {}
        self._gas: GasStatus | None = None

    @property
    def address(self) -> str:
        return self._sender.address

    @property
    def gas(self) -> GasStatus | None:
        """The key's means as of the last submission; None before the first."""
        return self._gas

    # ---------------------------------------------------------------------------------------- start

    async def prepare(self) -> None:
        """Claims the key and compares its nonces with the chain; to be called before anything else.

        What the chain lacks is sent again at once, the node's pool may have forgotten it. Raises what `heal`
        raises.
        """
        await self.rows.claim(self._epoch)
        on_chain, here = await self.next_nonce(), await self.rows.next()
        if on_chain < here:
            await self.heal(on_chain, here, await self._rpc.head())

    async def heal(self, next_nonce: int, lowest_open: int, head: Header) -> bool:
        """Makes the nonces from the chain's next one on usable again, if any lies free below the open ones.

        A reorganization may have taken away what used them, after it counted as done. What was ours is sent
        again; what was a stranger's, or given out and lost, is filled with a transfer to oneself: whatever
        had it, at most one of the two can be mined. A node that merely lags is told bytes that it refuses.
        Whether anything was to be done. Raises NonceGap for too many of them, FeeAboveCap.
        """
        if next_nonce >= lowest_open:
            return False
        missing = sorted(set(range(next_nonce, lowest_open)) - set(await self.rows.given_out(next_nonce)))
        if len(missing) > MAX_GAP:
            raise NonceGap(lowest_open, next_nonce)
        if missing:
            fee = await self._first_fee(head)
            for nonce in missing:
                call = Call(Purpose.DEAD_NONCE, self.address, b"", TRANSFER_GAS)
                await self.rows.record(nonce, call, await self._sign(nonce, call, fee, cancels=True))
                log.warning("nonce_filled", nonce=nonce)
        reopened = await self.rows.reopen_from(next_nonce, lowest_open - 1)
        log.warning("nonces_free_again", first=next_nonce, next=lowest_open, sent_again=reopened)
        return True

    # ------------------------------------------------------------------------------------ new calls

    async def has_room(self) -> bool:
        """Whether another transaction may be under way."""
        return len(await self.rows.open()) < self._policy.max_in_flight

    async def submit(
        self,
        call: Call,
        head: Header,
        also: "Also | None" = None,
    ) -> Submitted | None:
        """Signs, stores and sends a call under the next nonce; None when `also` refused.

        `also` writes what goes with it in the same database transaction. Raises FeeAboveCap, SenderOutOfGas,
        NonceUnclear, SenderTaken; RpcUnavailable and RpcError may come before anything is stored, or after,
        when the transaction is under way all the same (`look_after` goes on with it).
        """
        fee = await self.afford(call.gas, head)
        nonce = await self._new_nonce(head)
        attempt = await self._sign(nonce, call, fee)
        if not await self.rows.record(nonce, call, attempt, also):
            return None
        log.info("transaction_signed", purpose=call.purpose, nonce=nonce, tx_hash=attempt.tx_hash)
        return Submitted(nonce, attempt.tx_hash, await self._send(nonce, attempt))

    async def _first_fee(self, head: Header) -> GasFee:
        return first_fee(head.base_fee_wei, await self._rpc.priority_fee_wei(), self._policy.max_fee_wei)

    async def afford(self, gas: int, head: Header) -> GasFee:
        """The fee at which a call would be sent now. Raises FeeAboveCap, SenderOutOfGas.

        What the pool would refuse is not signed: its nonce would be stuck until somebody sends money.
        """
        fee = await self._first_fee(head)
        balance_wei = await self._rpc.balance(self.address)
        self._note_gas(balance_wei, fee)
        if balance_wei < gas * fee.max_fee_wei:
            raise SenderOutOfGas(self.address, balance_wei, gas * fee.max_fee_wei)
        return fee

    def _note_gas(self, balance_wei: int, fee: GasFee) -> None:
        low_wei = self._policy.usual_gas * fee.max_fee_wei * self._policy.low_gas_calls
        was_low = self._gas is not None and self._gas.is_low
        self._gas = GasStatus(balance_wei, balance_wei < low_wei)
        if self._gas.is_low and not was_low:
            self._alert("sender_low_on_gas", f"{self.address} has {balance_wei} wei, less than {low_wei}")

    async def _new_nonce(self, head: Header) -> int:
        """The next nonce. One beyond ours was used by somebody else with the key, or a node is wrong.

        That is only believed when a confirmed block says so too: one given out too high is stuck for ever.
        Raises NonceUnclear.
        """
        given_out, on_chain = await self.rows.next(), await self.next_nonce()
        if on_chain <= given_out:
            return given_out
        confirmed_number = max(0, head.number - self._policy.confirmations + 1)
        confirmed = await self._rpc.transaction_count(self.address, confirmed_number)
        if confirmed != on_chain:
            raise NonceUnclear(on_chain, confirmed)
        log.warning("nonces_used_elsewhere", expected=given_out, found=on_chain)
        return on_chain

    async def _sign(self, nonce: int, call: Call, fee: GasFee, *, cancels: bool = False) -> Attempt:
        if cancels:
            call = Call(call.purpose, self.address, b"", TRANSFER_GAS)
        signed = await self._sender.sign_transaction(
            Transaction(nonce, call.target, call.data, call.gas, fee.max_fee_wei, fee.priority_fee_wei)
        )
        return Attempt(signed.tx_hash, signed.raw, fee, self._now_ms(), cancels)

    # ------------------------------------------------------------------------------------ under way

    async def next_nonce(self) -> int:
        """The key's lowest unused nonce on the chain."""
        return await self._rpc.transaction_count(self.address)

    async def healed(self, head: Header) -> tuple[list[OpenTransaction], int]:
        """The open transactions, and the chain's next nonce, once nothing lies free below them.

        Raises what `heal` raises, RpcUnavailable.
        """
        next_nonce, transactions = await self.next_nonce(), await self.rows.open()
        lowest_open = transactions[0].nonce if transactions else await self.rows.next()
        if await self.heal(next_nonce, lowest_open, head):
            transactions = await self.rows.open()
        return transactions, next_nonce

    async def look_after(
        self, transaction: OpenTransaction, head: Header, next_nonce: int, *, useless: bool = False
    ) -> Watched:
        """Looks for a receipt, and pushes what has none; `useless` transactions are cancelled.

        Nothing is closed here: when all that hangs on a mined or lost transaction is stored, `close` does.
        Raises RpcError, RpcUnavailable, RpcAnswerInvalid.
        """
        for attempt in reversed(transaction.attempts):
            receipt = await self.receipt(attempt.tx_hash)
            if receipt is not None:
                self._lost_since.pop(transaction.nonce, None)
                return Watched(transaction, Fate.MINED, receipt, attempt)
        if transaction.nonce < next_nonce:
            return Watched(transaction, self._used_by_another(transaction, head))
        self._lost_since.pop(transaction.nonce, None)
        is_broadcast = await self._push(
            transaction, head, lowest=transaction.nonce == next_nonce, useless=useless
        )
        return Watched(transaction, Fate.WAITING, is_broadcast=is_broadcast)

    async def tend(self, head: Header) -> list[Watched]:
        """Looks after all open transactions of a key whose transactions have nothing hanging on them.

        Those that are mined and confirmed, or lost, are closed; the answer has them all the same.
        """
        transactions, next_nonce = await self.healed(head)
        watched = [await self.look_after(transaction, head, next_nonce) for transaction in transactions]
        for one in watched:
            confirmed = one.receipt is not None and self.is_confirmed(one.receipt.block_number, head)
            if confirmed or one.fate is Fate.LOST:
                await self.close(one.transaction.nonce)
        return watched

    async def close(self, nonce: int) -> None:
        """The nonce is used for good and everything that hung on it is stored."""
        self._lost_since.pop(nonce, None)
        self._refused_ms.pop(nonce, None)
        await self.rows.done(nonce)

    def is_confirmed(self, block_number: int, head: Header) -> bool:
        return head.number - block_number + 1 >= self._policy.confirmations

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """A receipt, if its block is on the present branch."""
        receipt = await self._rpc.receipt(tx_hash)
        if receipt is None:
            return None
        header = await self._rpc.header(receipt.block_number)
        return receipt if header is not None and header.hash == receipt.block_hash else None

    def _used_by_another(self, transaction: OpenTransaction, head: Header) -> Fate:
        """The nonce is used, but by none of our attempts: the node lags, or somebody else has the key."""
        since = self._lost_since.setdefault(transaction.nonce, head.number)
        log.warning("nonce_lost", nonce=transaction.nonce, since_block=since)
        return Fate.LOST if head.number - since >= self._policy.confirmations else Fate.WAITING

    async def _push(self, transaction: OpenTransaction, head: Header, *, lowest: bool, useless: bool) -> bool:
        """Sends a transaction that has no receipt, if it is time, with a higher fee if it waits too long.

        Whether the node has had it.
        """
        newest = transaction.attempts[-1]
        now_ms = self._now_ms()
        waiting_s = (now_ms - newest.signed_ms) / 1_000
        sent_ms = transaction.broadcast_ms or self._refused_ms.get(transaction.nonce)
        waits_too_long = lowest and waiting_s >= self._policy.bump_after_s and sent_ms is not None
        if waits_too_long or (useless and not transaction.is_cancelled):
            replacement = await self._replacement(transaction, head, cancels=useless)
            if replacement is not None:
                return await self._send(transaction.nonce, replacement)
        if sent_ms is None or now_ms - sent_ms >= self._policy.rebroadcast_s * 1_000:
            return await self._send(transaction.nonce, newest)
        return transaction.broadcast_ms is not None

    async def _replacement(
        self, transaction: OpenTransaction, head: Header, *, cancels: bool
    ) -> Attempt | None:
        cancels = cancels or transaction.is_cancelled
        newest = transaction.attempts[-1]
        enough = newest.fee.max_fee_wei >= head.base_fee_wei + newest.fee.priority_fee_wei
        is_news = cancels and not transaction.is_cancelled
        if len(transaction.attempts) >= self._policy.max_attempts and enough and not is_news:
            return None  # it only has to wait its turn; one that is too cheap for the blocks goes on rising
        try:
            fee = bumped_fee(newest.fee, head.base_fee_wei, self._policy.max_fee_wei)
        except FeeAboveCap as error:
            log.warning("fee_cap_reached", nonce=transaction.nonce, tx_hash=newest.tx_hash, reason=str(error))
            return None
        attempt = await self._sign(transaction.nonce, transaction.call, fee, cancels=cancels)
        await self.rows.add_attempt(transaction.nonce, attempt)
        log.warning(
            "transaction_cancelled" if cancels else "transaction_replaced",
            nonce=transaction.nonce,
            tx_hash=attempt.tx_hash,
            max_fee_wei=fee.max_fee_wei,
        )
        return attempt

    async def _send(self, nonce: int, attempt: Attempt) -> bool:
        """Whether the node has it now. Raises RpcUnavailable when that is unknown."""
        try:
            await self._rpc.send_raw(attempt.raw)
        except RpcError as error:
            message = error.message.lower()
            if any(words in message for words in _NONCE_USED):
                log.info("nonce_used", nonce=nonce, tx_hash=attempt.tx_hash)
            elif not any(words in message for words in _KNOWN):
                self._refused_ms[nonce] = self._now_ms()
                log.warning("broadcast_refused", nonce=nonce, tx_hash=attempt.tx_hash, reason=error.message)
                return False
        self._refused_ms.pop(nonce, None)
        await self.rows.broadcast(nonce, self._now_ms())
        log.info("broadcast", nonce=nonce, tx_hash=attempt.tx_hash)
        return True

    def _now_ms(self) -> int:
        return int(self._now() * 1_000)
