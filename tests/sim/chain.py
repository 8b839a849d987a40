"""A blockchain with one vault: blocks, deposits, payments, a pool of transactions, and reorganizations.

Every block keeps the vault's state as of it, so a reorganization is to drop blocks and mine others; most of
what was in them goes back to where it came from and is mined again later, in another order. The rules of the
vault are those of the contract as far as the exchange can see them: deposits numbered with a rolling hash,
an id paid at most once and none after its deadline.
"""

import hashlib
from dataclasses import dataclass, field, replace
from random import Random

import msgspec
from eth_abi.abi import decode, encode
from tests.sim.loop import SimLoop

from exchange.chain.payment_orders import PaymentOrder
from exchange.chain.signer import SignedTransaction, Transaction
from exchange.chain.vault import (
    DEPOSITED,
    PAID,
    PAYMENT_CLAIMABLE,
    PAYMENT_SKIPPED,
    WITHDRAW,
    Payment,
    SkipReason,
    deposit_hash_origin,
    next_deposit_hash,
)

CHAIN_ID = 31337
VAULT = "0x" + "fa" * 20
SENDER = "0x" + "5e" * 20
DEPLOY_BLOCK = 1
FINALITY = 4
"""A block with so many confirmations (1: it is the newest) stays for ever."""
BASE_FEE_WEI = 1_000_000_000
PRIORITY_FEE_WEI = 100_000_000

COMES_BACK = 0.75
"""How likely what fell out of the chain is mined again: pools forget, and senders change their mind."""

_PAYMENTS = ["(bytes32,address,address,uint256,address,uint256,bytes)[]", "bytes[]"]


@dataclass(frozen=True, slots=True)
class DepositMade:
    """Somebody sent funds to the vault; the transaction is the same in whatever block it ends up."""

    owner: str
    token: str
    amount_atoms: int
    tx_hash: str


@dataclass(frozen=True, slots=True)
class SentTransaction:
    """A transaction of the exchange, as its bytes say."""

    nonce: int
    data: bytes
    max_fee_wei: int
    priority_fee_wei: int
    tx_hash: str


@dataclass(frozen=True, slots=True)
class ChainLog:
    topics: tuple[str, ...]
    data: bytes
    tx_hash: str
    log_index: int


@dataclass(slots=True)
class VaultState:
    """The vault after some block. `paid`: what each used id paid, with True when it became claimable."""

    deposits: int
    deposit_hash: bytes
    accounted: dict[str, int]
    paid: dict[str, tuple[Payment, bool]]
    next_nonce: int

    def copy(self) -> "VaultState":
        return replace(self, accounted=dict(self.accounted), paid=dict(self.paid))


@dataclass(slots=True)
class Block:
    """One block, with all that is needed to undo it."""

    number: int
    hash: str
    parent_hash: str
    time_s: int
    state: VaultState
    logs: list[ChainLog] = field(default_factory=list)
    deposits: list[DepositMade] = field(default_factory=list)
    transactions: list[SentTransaction] = field(default_factory=list)


def word(value: int | str | bytes) -> str:
    """A topic: a number, an address or an id as 32 bytes of hex."""
    if isinstance(value, int):
        return f"0x{value:064x}"
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return "0x" + value[2:].rjust(64, "0")


class SimChain:
    """The chain as it is, whatever a node says about it."""

    def __init__(self, loop: SimLoop, random: Random) -> None:
        self._loop = loop
        self._random = random
        self._made = 0
        self.waiting: list[DepositMade] = []
        self.pool: dict[int, SentTransaction] = {}
        origin = VaultState(0, deposit_hash_origin(CHAIN_ID, VAULT), {}, {}, 0)
        self.blocks = [Block(0, self._new_hash(), "0x" + "00" * 32, self._time_s(), origin)]

    @property
    def head(self) -> Block:
        return self.blocks[-1]

    @property
    def finalized(self) -> Block:
        return self.blocks[max(0, len(self.blocks) - FINALITY)]

    def _time_s(self) -> int:
        return self._loop.now_ns() // 1_000_000_000

    def _new_hash(self) -> str:
        self._made += 1
        return "0x" + hashlib.sha256(f"block {self._made}".encode()).hexdigest()

    # ---- what people do

    def deposit(self, owner: str, token: str, amount_atoms: int) -> DepositMade:
        self._made += 1
        made = DepositMade(
            owner, token, amount_atoms, "0x" + hashlib.sha256(f"tx {self._made}".encode()).hexdigest()
        )
        self.waiting.append(made)
        return made

    def mine(self, *, everything: bool = False) -> Block:
        """One more block with some of what waits, in some order."""
        before = self.head
        state = before.state.copy()
        time_s = max(self._time_s(), before.time_s)
        block = Block(before.number + 1, self._new_hash(), before.hash, time_s, state)
        self._random.shuffle(self.waiting)
        count = len(self.waiting) if everything else self._random.randint(0, len(self.waiting))
        for made in self.waiting[:count]:
            self._deposit(block, made)
        del self.waiting[:count]
        while (sent := self.pool.get(state.next_nonce)) is not None:
            if not everything and self._random.random() < 0.2:
                break
            del self.pool[state.next_nonce]
            self._execute(block, sent)
        self.blocks.append(block)
        return block

    def reorganize(self, depth: int) -> list[DepositMade]:
        """The last blocks never happened; others take their place. Answers with the deposits that fell
        out.
        """
        depth = min(depth, FINALITY - 1, len(self.blocks) - 1 - DEPLOY_BLOCK)
        if depth <= 0:
            return []
        dropped = self.blocks[-depth:]
        del self.blocks[-depth:]
        fallen = [made for block in dropped for made in block.deposits]
        self.waiting += [made for made in fallen if self._random.random() < COMES_BACK]
        for block in dropped:
            for sent in block.transactions:
                if self._random.random() < COMES_BACK:
                    self.pool.setdefault(sent.nonce, sent)
        for _ in range(depth + self._random.randint(0, 1)):
            self.mine()
        return fallen

    # ---- the vault

    def _deposit(self, block: Block, made: DepositMade) -> None:
        state = block.state
        state.deposits += 1
        state.accounted[made.token] = state.accounted.get(made.token, 0) + made.amount_atoms
        state.deposit_hash = next_deposit_hash(
            state.deposit_hash, state.deposits, made.owner, made.token, made.amount_atoms
        )
        block.deposits.append(made)
        data = encode(["uint256", "address", "bytes32"], [made.amount_atoms, made.owner, state.deposit_hash])
        topics = (DEPOSITED, word(state.deposits), word(made.owner), word(made.token))
        block.logs.append(ChainLog(topics, data, made.tx_hash, len(block.logs)))

    def _execute(self, block: Block, sent: SentTransaction) -> None:
        block.state.next_nonce = sent.nonce + 1
        block.transactions.append(sent)
        for payment in payments_of(sent.data):
            reason = skipped(block.state, payment, block.time_s)
            if reason is not SkipReason.NONE:
                log = ((PAYMENT_SKIPPED, payment.withdrawal_id), encode(["uint8"], [reason]))
            else:
                claimable = self._random.random() < 0.1
                block.state.accounted[payment.token] -= payment.amount_atoms
                block.state.paid[payment.withdrawal_id] = (payment, claimable)
                topic = PAYMENT_CLAIMABLE if claimable else PAID
                topics = (topic, payment.withdrawal_id, word(payment.account), word(payment.token))
                log = (topics, encode(["uint256", "address"], [payment.amount_atoms, payment.destination]))
            block.logs.append(ChainLog(*log, sent.tx_hash, len(block.logs)))


def payments_of(data: bytes) -> list[Payment]:
    """The payments in a call of `withdraw`; none in a transfer to oneself."""
    if not data:
        return []
    assert data[:4] == WITHDRAW
    items, _ = decode(_PAYMENTS, data[4:])
    return [
        Payment(
            "0x" + item[0].hex(),
            item[1],
            item[2],
            amount_atoms=item[3],
            destination=item[4],
            deadline_s=item[5],
        )
        for item in items
    ]


def skipped(state: VaultState, payment: Payment, time_s: int) -> SkipReason:
    """Why the vault would leave the payment out; NONE when it would not."""
    if payment.withdrawal_id in state.paid:
        return SkipReason.ALREADY_USED
    if time_s > payment.deadline_s:
        return SkipReason.EXPIRED
    if payment.amount_atoms > state.accounted.get(payment.token, 0):
        return SkipReason.INSUFFICIENT_BALANCE
    return SkipReason.NONE


class SimSigner:
    """Signs every payment with the same bytes: the simulated vault believes them."""

    async def sign_order(self, order: PaymentOrder) -> bytes:
        order.check()
        return bytes(65)


class SimSender:
    """Signs transactions: the same transaction gives the same bytes."""

    address = SENDER

    async def sign_transaction(self, transaction: Transaction) -> SignedTransaction:
        raw = msgspec.json.encode(
            [transaction.nonce, transaction.data, transaction.max_fee_wei, transaction.priority_fee_wei]
        )
        return SignedTransaction(raw, sent_transaction(raw).tx_hash)


def sent_transaction(raw: bytes) -> SentTransaction:
    """A transaction from its bytes."""
    nonce, data, max_fee_wei, priority_fee_wei = msgspec.json.decode(raw, type=tuple[int, bytes, int, int])
    return SentTransaction(nonce, data, max_fee_wei, priority_fee_wei, "0x" + hashlib.sha256(raw).hexdigest())
