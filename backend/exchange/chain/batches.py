"""Which approved withdrawals go out in the next transaction, and the bytes of its call.

Everything that would make the vault skip an item is asked before gas is spent on it: the id, the funds and
the outflow limit, the last two with what the items before it take. Then each item is signed, and the whole
call is tried on the node without being sent. When that reverts, each item is tried alone, so that one bad
item does not hold up the others.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from exchange.chain.errors import ChainError, PaymentCondition, RpcError, SignerUnavailable
from exchange.chain.nonces import Call, Purpose
from exchange.chain.payment_rows import StoredPayment
from exchange.chain.rpc import Rpc, together
from exchange.chain.vault import accounted_call, decode_word, decode_words, outflow_call, withdraw_call

BATCH_GAS = 300_000
ITEM_GAS = 400_000
"""The dearest item: a token that uses all of its 200,000, and then the claim. The vault also wants about
300,000 in hand before it begins one. An ordinary payment uses about 130,000; what is not used is not paid.
"""

REVERTED = 3
"""What nodes answer, beside the data of the revert."""

SignPayment = Callable[[StoredPayment], Awaitable[bytes]]


@dataclass(slots=True)
class Batch:
    """What can go out now, and why the rest can not: `obstacles` is for later, `conditions` for a person.

    `signer_failed`: it gave no answer, so nothing more is to be asked of it in this pass.
    """

    items: list[tuple[StoredPayment, bytes]] = field(default_factory=list)
    obstacles: list[tuple[StoredPayment, str]] = field(default_factory=list)
    conditions: list[tuple[StoredPayment, ChainError]] = field(default_factory=list)
    signer_failed: bool = False

    @property
    def ids(self) -> list[str]:
        return [payment.withdrawal_id for payment, _ in self.items]


class BatchMaker:
    """Makes batches for one vault and one sender."""

    def __init__(self, rpc: Rpc, vault: str, sender: str, sign: SignPayment) -> None:
        self._rpc = rpc
        self._vault = vault
        self._sender = sender
        self._sign = sign

    async def make(self, payments: Sequence[StoredPayment], under_way: Sequence[StoredPayment]) -> Batch:
        """Of these, in this order, beside those whose bytes are not mined yet.

        A payment for which the signer has no answer is put off like one that it refuses: it may be this one
        that it chokes on, and those behind it get their turn. Raises RpcUnavailable, RpcError,
        RpcAnswerInvalid.
        """
        batch = Batch()
        for payment in await self._coverable(payments, under_way, batch):
            try:
                batch.items.append((payment, await self._sign(payment)))
            except PaymentCondition as condition:
                batch.conditions.append((payment, condition))
            except SignerUnavailable as fault:
                batch.conditions.append((payment, fault))
                batch.signer_failed = True
                break
        if batch.items and await self._revert_of(batch.items) is not None:
            good = []
            for item in batch.items:
                reason = await self._revert_of([item])
                if reason is None:
                    good.append(item)
                else:
                    batch.obstacles.append((item[0], reason))
            # all of them good alone, and not together: the first alone, the rest in later batches
            batch.items = good if len(good) < len(batch.items) else good[:1]
        return batch

    def call(self, batch: Batch) -> Call:
        """The vault's `withdraw` with all items of a batch."""
        return Call(Purpose.PAYMENTS, self._vault, _data(batch.items), self.gas(len(batch.items)))

    @staticmethod
    def gas(count: int) -> int:
        """Gas limit of a call with so many items."""
        return BATCH_GAS + ITEM_GAS * count

    async def _coverable(
        self, payments: Sequence[StoredPayment], under_way: Sequence[StoredPayment], batch: Batch
    ) -> list[StoredPayment]:
        """Those that the vault would not skip for want of funds or of room in an outflow limit."""
        tokens = list(dict.fromkeys(payment.token for payment in payments))
        answers = await together(
            *(self._rpc.view(self._vault, accounted_call(token)) for token in tokens),
            *(self._rpc.view(self._vault, outflow_call(token)) for token in tokens),
        )
        accounted = {token: decode_word(answers[i]) for i, token in enumerate(tokens)}
        outflow = {token: decode_words(answers[len(tokens) + i], 3) for i, token in enumerate(tokens)}
        for payment in under_way:
            if payment.token in accounted:
                accounted[payment.token] -= payment.payment.amount_atoms
                outflow[payment.token][2] += payment.payment.amount_atoms
        found = []
        for payment in payments:
            token, atoms = payment.token, payment.payment.amount_atoms
            limit_atoms, _, in_use_atoms = outflow[token]
            if atoms > accounted[token]:
                obstacle = f"the vault accounts for {accounted[token]} atoms of the {atoms} to be paid"
            elif limit_atoms and in_use_atoms + atoms > limit_atoms:
                obstacle = (
                    f"{atoms} atoms do not fit into the outflow limit: {in_use_atoms} of {limit_atoms} in use"
                )
            else:
                accounted[token] -= atoms
                outflow[token][2] += atoms
                found.append(payment)
                continue
            batch.obstacles.append((payment, obstacle))
        return found

    async def _revert_of(self, items: Sequence[tuple[StoredPayment, bytes]]) -> str | None:
        """Why the call would revert now; None when it would not. Raises RpcError for any other refusal."""
        try:
            await self._rpc.view(self._vault, _data(items), sender=self._sender)
        except RpcError as error:
            if not (error.code == REVERTED or error.data or "revert" in error.message.lower()):
                raise
            return f"the vault would revert: {error.message} {error.data}"
        return None


def _data(items: Sequence[tuple[StoredPayment, bytes]]) -> bytes:
    return withdraw_call([payment.payment for payment, _ in items], [signature for _, signature in items])
