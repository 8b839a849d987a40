"""Where a worker can be made to die: before, after and amid the steps of a withdrawal's life.

The product knows nothing of this. In the process that shall die, the methods by which the worker reaches the
database, the node, the signer and the engine are wrapped; `Trigger` counts the armed points that are passed
and ends the process at one of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import wraps
from random import Random
from typing import Any

from scripts.chain_drill.node import BadNode

from exchange.chain.nonces import Attempt, Call, NonceRows, Purpose
from exchange.chain.payment_orders import PaymentOrder
from exchange.chain.payment_rows import PaymentRows
from exchange.chain.signer import Sender, SignedTransaction, Signer, Transaction
from exchange.chain.vault import used_call
from exchange.core.commands import Command, RefundWithdrawal, SettleWithdrawal
from exchange.core.events import WithdrawalRefunded, WithdrawalRequested, WithdrawalSettled
from exchange.journal.rows import JournalRow
from exchange.sequencer.sequencer import Outcome, Submit


class Step(StrEnum):
    """What a worker does, in the order of a withdrawal's life, and then what it does in trouble."""

    CLAIM_KEY = "claim the sender's key"
    TAKE_IN_REQUEST = "take in the request"
    ASK_USED = "ask whether the id is used"
    APPROVE = "approve"
    HOLD = "hold for a person"
    WAIT = "wait for room in a limit"
    PUT_OFF = "put off what can not go on"
    SIGN_PAYMENT = "have the payment signed"
    DRY_RUN = "dry run"
    SIGN_TRANSACTION = "sign the transaction"
    STORE_SIGNED = "store the payments as signed, not committed yet"
    RECORD = "record nonce and bytes"
    SEND = "send the bytes"
    NOTE_BROADCAST = "note the broadcast"
    STORE_BROADCAST = "store the payments as broadcast"
    SEE_RECEIPT = "see the receipt"
    STORE_MINED = "store as mined"
    CLOSE = "close the transaction"
    SETTLE = "settle in the ledger"
    TAKE_IN_SETTLEMENT = "take in the settlement"
    SEND_AGAIN = "send the same bytes again"
    REOPEN_ALL = "open what the chain lacks"
    RECORD_REPLACEMENT = "record a replacement"
    SEND_REPLACEMENT = "send a replacement"
    RECORD_CANCELLATION = "record a cancellation"
    SEND_CANCELLATION = "send a cancellation"
    START_AGAIN = "start payments again"
    REOPEN = "open a reorganized transaction"
    STORE_UNMINED = "store as not mined any more"
    POSTPONE = "postpone"
    REFUND = "refund in the ledger"
    TAKE_IN_REFUND = "take in the refund"
    SEARCH_LOGS = "search the chain for a payment"
    FILL_NONCE = "fill a nonce that is nobody's"


def before(step: Step) -> str:
    """The point just before a step."""
    return f"before: {step}"


def after(step: Step) -> str:
    """The point just after a step, its outcome still unused."""
    return f"after: {step}"


def during(step: Step) -> str:
    """Some time between the two, while the node, the database or the engine is at it."""
    return f"during: {step}"


LONG = (
    Step.TAKE_IN_REQUEST,
    Step.RECORD,
    Step.SEND,
    Step.STORE_MINED,
    Step.SETTLE,
    Step.TAKE_IN_SETTLEMENT,
    Step.SEND_AGAIN,
    Step.REFUND,
    Step.TAKE_IN_REFUND,
)
"""Steps in the midst of which a worker dies, too."""
MIDST_S = 0.002
"""Within which it then dies: about as long as such a step takes."""


def points_of(step: Step) -> tuple[str, ...]:
    """The points around a step. To see a receipt is only told from other questions by its answer."""
    if step is Step.SEE_RECEIPT:
        return (after(step),)
    return (before(step), during(step), after(step)) if step in LONG else (before(step), after(step))


POINTS = tuple(point for step in Step for point in points_of(step))


class Trigger:
    """Calls `die` with the name of the `nth` armed point that is passed."""

    def __init__(self, armed: frozenset[str], nth: int, die: Callable[[str], None], random: Random) -> None:
        self._armed = armed
        self._left = nth
        self._die = die
        self._random = random

    def reach(self, point: str) -> None:
        if point in self._armed:
            self._left -= 1
            if self._left == 0:
                self._die(point)

    async def around(self, step: Step | None, work: Awaitable[Any]) -> Any:
        """Does the work between its points; None for work that is no step."""
        if step is None:
            return await work
        self.reach(before(step))
        midst = asyncio.get_running_loop().call_later(
            self._random.uniform(0.0, MIDST_S), self.reach, during(step)
        )
        try:
            result = await work
        finally:
            midst.cancel()
        self.reach(after(step))
        return result


# ------------------------------------------------------------------------------------------- tables


class SentBytes:
    """Which step it is to send some bytes: those that this process signed are known, once."""

    def __init__(self) -> None:
        self._first: dict[bytes, Step] = {}

    def signed(self, attempt: Attempt, step: Step) -> None:
        self._first[attempt.raw] = step

    def sending(self, raw: bytes) -> Step:
        return self._first.pop(raw, Step.SEND_AGAIN)


def wrap_tables(trigger: Trigger, sent: SentBytes) -> None:
    """Puts points around all that the worker writes, for the rest of this process."""
    for name, step_of in _nonce_steps(sent).items():
        setattr(NonceRows, name, _wrapped(getattr(NonceRows, name), trigger, step_of))
    for name, step_of in _PAYMENT_STEPS.items():
        setattr(PaymentRows, name, _wrapped(getattr(PaymentRows, name), trigger, step_of))


StepOf = Callable[..., Step | None]


def _wrapped(
    method: Callable[..., Awaitable[Any]], trigger: Trigger, step_of: StepOf
) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def wrapper(rows: Any, *arguments: Any, **named: Any) -> Any:
        return await trigger.around(step_of(*arguments, **named), method(rows, *arguments, **named))

    return wrapper


def _always(step: Step) -> StepOf:
    return lambda *_, **__: step


def _nonce_steps(sent: SentBytes) -> dict[str, StepOf]:
    def record(nonce: int, call: Call, attempt: Attempt, *_: Any) -> Step:
        sent.signed(attempt, Step.SEND)
        return Step.FILL_NONCE if call.purpose is Purpose.DEAD_NONCE else Step.RECORD

    def add_attempt(nonce: int, attempt: Attempt) -> Step:
        sent.signed(attempt, Step.SEND_CANCELLATION if attempt.cancels else Step.SEND_REPLACEMENT)
        return Step.RECORD_CANCELLATION if attempt.cancels else Step.RECORD_REPLACEMENT

    return {
        "claim": _always(Step.CLAIM_KEY),
        "record": record,
        "add_attempt": add_attempt,
        "broadcast": _always(Step.NOTE_BROADCAST),
        "done": _always(Step.CLOSE),
        "reopen": _always(Step.REOPEN),
        "reopen_from": _always(Step.REOPEN_ALL),
    }


def _take_in(rows: list[JournalRow]) -> Step | None:
    events = [event for row in rows for events in row.events for event in events]
    for kind, step in (
        (WithdrawalRefunded, Step.TAKE_IN_REFUND),
        (WithdrawalSettled, Step.TAKE_IN_SETTLEMENT),
        (WithdrawalRequested, Step.TAKE_IN_REQUEST),
    ):
        if any(isinstance(event, kind) for event in events):
            return step
    return None


_PAYMENT_STEPS: dict[str, StepOf] = {
    "take_in": _take_in,
    "approve": _always(Step.APPROVE),
    "hold": _always(Step.HOLD),
    "wait": _always(Step.WAIT),
    "put_off": _always(Step.PUT_OFF),
    "sign": _always(Step.STORE_SIGNED),
    "broadcast": _always(Step.STORE_BROADCAST),
    "mined": _always(Step.STORE_MINED),
    "unmined": _always(Step.STORE_UNMINED),
    "unsign": lambda ids: Step.START_AGAIN if list(ids) else None,
    "postpone": _always(Step.POSTPONE),
}


# -------------------------------------------------------------------------- node, keys and engine

_USED = "0x" + used_call("0x" + "00" * 32)[:4].hex()


class DeadlyNode(BadNode):
    """The node, with points around the worker's requests. `trigger` and `sent` are set before the first."""

    trigger: Trigger
    sent: SentBytes

    async def call(self, method: str, *params: Any) -> Any:
        answer = await self.trigger.around(self._step(method, params), super().call(method, *params))
        if method == "eth_getTransactionReceipt" and answer is not None:
            self.trigger.reach(after(Step.SEE_RECEIPT))
        return answer

    def _step(self, method: str, params: tuple[Any, ...]) -> Step | None:
        if method == "eth_sendRawTransaction":
            return self.sent.sending(bytes.fromhex(params[0][2:]))
        if method == "eth_getLogs":
            return Step.SEARCH_LOGS
        if method == "eth_call":
            if "from" in params[0]:
                return Step.DRY_RUN
            return Step.ASK_USED if params[0]["data"].startswith(_USED) else None
        return None


class DeadlySigner:
    """A signer, with points around it."""

    def __init__(self, signer: Signer, trigger: Trigger) -> None:
        self._signer = signer
        self._trigger = trigger

    async def sign_order(self, order: PaymentOrder) -> bytes:
        signature: bytes = await self._trigger.around(Step.SIGN_PAYMENT, self._signer.sign_order(order))
        return signature


class DeadlySender:
    """A sender, with points around it."""

    def __init__(self, sender: Sender, trigger: Trigger) -> None:
        self._sender = sender
        self._trigger = trigger

    @property
    def address(self) -> str:
        return self._sender.address

    async def sign_transaction(self, transaction: Transaction) -> SignedTransaction:
        signed: SignedTransaction = await self._trigger.around(
            Step.SIGN_TRANSACTION, self._sender.sign_transaction(transaction)
        )
        return signed


def deadly_submit(submit: Submit, trigger: Trigger) -> Submit:
    """The engine's `submit`, with points around what the worker tells the ledger."""
    steps: dict[type[Command], Step] = {
        SettleWithdrawal: Step.SETTLE,
        RefundWithdrawal: Step.REFUND,
    }

    async def wrapper(command: Command) -> Outcome:
        outcome: Outcome = await trigger.around(steps.get(type(command)), submit(command))
        return outcome

    return wrapper
