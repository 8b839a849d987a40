"""The vault's language: what its logs say, what its functions take, and what the operator signs. Pure.

Rolling hash of deposits: `hash(0) = keccak(abi.encode(chain id, vault))`, and each deposit n makes
`hash(n) = keccak(abi.encode(hash(n-1), n, account, token, amount))`.
Source: contracts/src/interfaces/IVault.sol, EIP-712.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from exchange.chain.errors import LogInvalid, RpcAnswerInvalid
from exchange.chain.rpc import Log
from exchange.core.units import MAX_ATOMS

DOMAIN_NAME = "Exchange Vault"
DOMAIN_VERSION = "1"

SIGNER_ROLE = 1
SENDER_ROLE = 2
GUARDIAN_ROLE = 3


def event_topic(signature: str) -> str:
    """First topic of an event's logs."""
    return "0x" + keccak(text=signature).hex()


def selector(signature: str) -> bytes:
    """First four bytes of a function's calldata."""
    return keccak(text=signature)[:4]


DEPOSITED = event_topic("Deposited(uint256,address,address,uint256,address,bytes32)")
PAID = event_topic("Paid(bytes32,address,address,uint256,address)")
PAYMENT_CLAIMABLE = event_topic("PaymentClaimable(bytes32,address,address,uint256,address)")
PAYMENT_SKIPPED = event_topic("PaymentSkipped(bytes32,uint8)")

_PAYMENT_TUPLE = "(bytes32,address,address,uint256,address,uint256,bytes)"
WITHDRAW = selector(f"withdraw({_PAYMENT_TUPLE}[],bytes[])")
PAUSE = selector("pause()")
UNPAUSE = selector("unpause()")
SET_OUTFLOW_LIMIT = selector("setOutflowLimit(address,uint256,uint64)")
PROPOSE_SETTLEMENT_MODULE = selector("proposeSettlementModule(address)")
ACTIVATE_SETTLEMENT_MODULE = selector("activateSettlementModule()")

DEPOSIT_COUNT_CALL = selector("depositCount()")
DEPOSIT_HASH_CALL = selector("depositHash()")
AUTHORITY_CALL = selector("authority()")
ACCOUNTED = selector("accounted(address)")
OUTFLOW = selector("outflow(address)")

_DOMAIN_TYPE = keccak(
    text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_PAYMENT_TYPE = keccak(
    text="Payment(bytes32 id,address account,address token,uint256 amount,"
    "address destination,uint256 deadline)"
)


_ADDRESS_PADDING = bytes(12)
_is_word = re.compile("0x[0-9a-f]{64}", re.ASCII).fullmatch
_is_address_word = re.compile("0x0{24}[0-9a-f]{40}", re.ASCII).fullmatch


class SkipReason(IntEnum):
    """Why the vault left a payment out, with its id unused."""

    NONE = 0
    BAD_SIGNATURE = 1
    EXPIRED = 2
    ALREADY_USED = 3
    INSUFFICIENT_BALANCE = 4
    OVER_LIMIT = 5
    NOT_ALLOWED_BY_MODULE = 6
    ZERO_AMOUNT = 7
    AMOUNT_TOO_LARGE = 8
    INVALID_ACCOUNT = 9
    INVALID_DESTINATION = 10


@dataclass(frozen=True, slots=True)
class Deposit:
    """A `Deposited` log. `owner` is the account that the depositor named, `sender` who brought the funds."""

    number: int
    owner: str
    token: str
    amount_atoms: int
    sender: str
    deposit_hash: bytes
    tx_hash: str
    log_index: int
    block_number: int
    block_hash: str


@dataclass(frozen=True, slots=True)
class Payment:
    """What the operator signs; `amount_atoms` is net of the fee, `deadline_s` the last second it may run."""

    withdrawal_id: str
    account: str
    token: str
    amount_atoms: int
    destination: str
    deadline_s: int


@dataclass(frozen=True, slots=True)
class PaymentMade:
    """A `Paid` or, when the transfer failed, a `PaymentClaimable` log. Either way the id is used for ever."""

    withdrawal_id: str
    account: str
    token: str
    amount_atoms: int
    destination: str
    claimable: bool

    def fulfils(self, payment: Payment) -> bool:
        """Whether this is exactly what was asked for."""
        return (
            self.withdrawal_id == payment.withdrawal_id
            and self.account == payment.account
            and self.token == payment.token
            and self.amount_atoms == payment.amount_atoms
            and self.destination == payment.destination
        )


@dataclass(frozen=True, slots=True)
class PaymentSkipped:
    """A `PaymentSkipped` log; `reason` may be a number that this version does not know."""

    withdrawal_id: str
    reason: int


def deposit_hash_origin(chain_id: int, vault: str) -> bytes:
    """The rolling hash before the first deposit."""
    return keccak(encode(["uint256", "address"], [chain_id, vault]))


def next_deposit_hash(previous: bytes, number: int, account: str, token: str, amount_atoms: int) -> bytes:
    """The rolling hash after one more deposit."""
    # As abi.encode has it; written out, because it runs for every deposit there ever was.
    return keccak(
        previous
        + number.to_bytes(32)
        + _ADDRESS_PADDING
        + bytes.fromhex(account[2:])
        + _ADDRESS_PADDING
        + bytes.fromhex(token[2:])
        + amount_atoms.to_bytes(32)
    )


def decode_deposit(log: Log) -> Deposit:
    """Raises LogInvalid."""
    topics, data = log.topics, log.data
    if len(topics) != 4 or topics[0] != DEPOSITED or len(data) != 96:
        raise LogInvalid(log.tx_hash, log.log_index, "wrong number of topics or of data bytes")
    _, number, owner, token = topics
    if not (_is_word(number) and _is_address_word(owner) and _is_address_word(token)):
        raise LogInvalid(log.tx_hash, log.log_index, "its topics are not a number and two addresses")
    amount = int.from_bytes(data[:32])
    if amount > MAX_ATOMS:
        raise LogInvalid(log.tx_hash, log.log_index, f"amount {amount} does not fit in 128 bits")
    if data[32:44] != _ADDRESS_PADDING:
        raise LogInvalid(log.tx_hash, log.log_index, "no address in the second word")
    return Deposit(
        number=int(number, 16),
        owner="0x" + owner[26:],
        token="0x" + token[26:],
        amount_atoms=amount,
        sender="0x" + data[44:64].hex(),
        deposit_hash=data[64:],
        tx_hash=log.tx_hash,
        log_index=log.log_index,
        block_number=log.block_number,
        block_hash=log.block_hash,
    )


def decode_payment(log: Log) -> PaymentMade | PaymentSkipped | None:
    """A payment's log, None for any other. Raises LogInvalid."""
    topic = log.topics[0] if log.topics else ""
    if topic in (PAID, PAYMENT_CLAIMABLE):
        (withdrawal_id, account, token), (amount, destination) = log_fields(
            log, topic, ["bytes32", "address", "address"], ["uint256", "address"]
        )
        claimable = topic == PAYMENT_CLAIMABLE
        return PaymentMade("0x" + withdrawal_id.hex(), account, token, amount, destination, claimable)
    if topic == PAYMENT_SKIPPED:
        (withdrawal_id,), (reason,) = log_fields(log, topic, ["bytes32"], ["uint8"])
        return PaymentSkipped("0x" + withdrawal_id.hex(), reason)
    return None


def payment_topics(withdrawal_id: str) -> list[str | list[str] | None]:
    """Log filter for the one log by which a withdrawal's id was used."""
    return [[PAID, PAYMENT_CLAIMABLE], withdrawal_id]


def withdraw_call(payments: Sequence[Payment], signatures: Sequence[bytes]) -> bytes:
    """Calldata of `withdraw`; no proofs, as long as the vault has no settlement module."""
    assert len(payments) == len(signatures)
    items = [
        (
            bytes.fromhex(payment.withdrawal_id[2:]),
            payment.account,
            payment.token,
            payment.amount_atoms,
            payment.destination,
            payment.deadline_s,
            b"",
        )
        for payment in payments
    ]
    return WITHDRAW + encode([f"{_PAYMENT_TUPLE}[]", "bytes[]"], [items, list(signatures)])


def used_call(withdrawal_id: str) -> bytes:
    """Calldata of `used`: whether a payment with this id ran."""
    return selector("used(bytes32)") + bytes.fromhex(withdrawal_id[2:])


def accounted_call(token: str) -> bytes:
    """Calldata of `accounted`: atoms of a token that the vault holds for accounts."""
    return ACCOUNTED + encode(["address"], [token])


def claimable_total_call(token: str) -> bytes:
    """Calldata of `claimableTotal`: atoms of a token that the vault owes to owners beside `accounted`."""
    return selector("claimableTotal(address)") + encode(["address"], [token])


def outflow_call(token: str) -> bytes:
    """Calldata of `outflow`: a token's limit (atoms, 0: none), its window (seconds), and the atoms in use."""
    return OUTFLOW + encode(["address"], [token])


def decode_word(answer: bytes) -> int:
    """A view's answer of one number or boolean. Raises RpcAnswerInvalid when it is not one word."""
    [word] = decode_words(answer, 1)
    return word


def decode_words(answer: bytes, count: int) -> list[int]:
    """A view's answer of several numbers. Raises RpcAnswerInvalid when it is not that many words."""
    if len(answer) != 32 * count:
        raise RpcAnswerInvalid("eth_call", f"{len(answer)} bytes where {count} words are due")
    return [int.from_bytes(answer[start : start + 32]) for start in range(0, len(answer), 32)]


def payment_digest(chain_id: int, vault: str, payment: Payment) -> bytes:
    """EIP-712 digest that a holder of the signer role signs for one payment."""
    domain = keccak(
        encode(
            ["bytes32", "bytes32", "bytes32", "uint256", "address"],
            [_DOMAIN_TYPE, keccak(text=DOMAIN_NAME), keccak(text=DOMAIN_VERSION), chain_id, vault],
        )
    )
    content = keccak(
        encode(
            ["bytes32", "bytes32", "address", "address", "uint256", "address", "uint256"],
            [
                _PAYMENT_TYPE,
                bytes.fromhex(payment.withdrawal_id[2:]),
                payment.account,
                payment.token,
                payment.amount_atoms,
                payment.destination,
                payment.deadline_s,
            ],
        )
    )
    return keccak(b"\x19\x01" + domain + content)


def log_fields(
    log: Log, topic: str, indexed: list[str], plain: list[str]
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Indexed and other fields of a log whose topic count and data must fit exactly. Raises LogInvalid."""
    if len(log.topics) != len(indexed) + 1 or log.topics[0] != topic or len(log.data) != 32 * len(plain):
        raise LogInvalid(log.tx_hash, log.log_index, "wrong number of topics or of data bytes")
    if not all(map(_is_word, log.topics)):
        raise LogInvalid(log.tx_hash, log.log_index, "its topics are not words")
    words = b"".join(bytes.fromhex(word[2:]) for word in log.topics[1:])
    try:
        return tuple(decode(indexed, words)), tuple(decode(plain, log.data))
    except (DecodingError, OverflowError) as error:
        raise LogInvalid(log.tx_hash, log.log_index, str(error)) from error
