"""The two keys of a withdrawal: the signer approves what is paid, the sender puts it on the chain.

Both are narrow on purpose. The signer sees a whole payment with the owner's request and builds its digest
itself, so it can apply limits of its own and can never be made to sign something else; the sender signs one
kind of transaction. Keys that live elsewhere (a hardware module, the policy signer) implement the same two
Protocols.
"""

from dataclasses import dataclass
from typing import Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import Hash32
from eth_utils.address import to_checksum_address

from exchange.chain.dev_keys import refuse_dev_key
from exchange.chain.payment_orders import PaymentOrder
from exchange.chain.vault import payment_digest


class Signer(Protocol):
    """Holder of the vault's signer role."""

    async def sign_order(self, order: PaymentOrder) -> bytes:
        """65 bytes r, s, v over the payment's EIP-712 digest for one chain and vault.

        The same order may be asked for again, and gives the same signature. Raises OrderInconsistent and
        SignerRefused, which concern this payment alone (PaymentCondition), and SignerUnavailable: nothing
        can be signed at present.
        """
        ...


@dataclass(frozen=True, slots=True)
class Transaction:
    """A call of the vault, EIP-1559 (type 2), without value."""

    nonce: int
    to: str
    data: bytes
    gas: int
    max_fee_wei: int
    priority_fee_wei: int


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """Bytes that any node takes, and the hash by which they are found again."""

    raw: bytes
    tx_hash: str


class Sender(Protocol):
    """Holder of the vault's sender role, who pays the gas."""

    @property
    def address(self) -> str:
        """Lower-case address."""
        ...

    async def sign_transaction(self, transaction: Transaction) -> SignedTransaction:
        """Signs for one chain. The same transaction gives the same bytes (RFC 6979)."""
        ...


def key_address(key: bytes) -> str:
    """Lower-case address of a secret key."""
    return str(Account.from_key(key).address).lower()


def _local_account(key: bytes, chain_id: int) -> LocalAccount:
    account: LocalAccount = Account.from_key(key)
    refuse_dev_key(account.address, chain_id)
    return account


class LocalSigner:
    """Signer with a key in this process's memory. Raises DevKeyRefused off the development chain."""

    def __init__(self, key: bytes, chain_id: int, vault: str) -> None:
        self._account = _local_account(key, chain_id)
        self._chain_id = chain_id
        self._vault = vault

    @property
    def address(self) -> str:
        return str(self._account.address).lower()

    async def sign_order(self, order: PaymentOrder) -> bytes:
        order.check()
        digest = payment_digest(self._chain_id, self._vault, order.payment)
        return bytes(self._account.unsafe_sign_hash(Hash32(digest)).signature)


class LocalSender:
    """Sender with a key in this process's memory. Raises DevKeyRefused off the development chain."""

    def __init__(self, key: bytes, chain_id: int) -> None:
        self._account = _local_account(key, chain_id)
        self._chain_id = chain_id

    @property
    def address(self) -> str:
        return str(self._account.address).lower()

    async def sign_transaction(self, transaction: Transaction) -> SignedTransaction:
        signed = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": self._chain_id,
                "nonce": transaction.nonce,
                "to": to_checksum_address(transaction.to),
                "data": transaction.data,
                "value": 0,
                "gas": transaction.gas,
                "maxFeePerGas": transaction.max_fee_wei,
                "maxPriorityFeePerGas": transaction.priority_fee_wei,
            }
        )
        return SignedTransaction(bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex())
