"""What an owner signs, as EIP-712 typed data: a withdrawal, whose digest is its id, an address that
withdrawals may go to, and an agent that may act for the owner.

The domain holds this deployment's genesis id as salt, the chain and the vault, so a signature is good for
one deployment only. The type hashes and the domain separator are made once. Source: EIP-712.
"""

from dataclasses import dataclass

from eth_hash.auto import keccak

from exchange.gateway.addresses import checksummed

DOMAIN_NAME = "Exchange"
DOMAIN_VERSION = "1"

DOMAIN_FIELDS = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
)
WITHDRAWAL_FIELDS = (
    ("account", "address"),
    ("subAccount", "uint8"),
    ("token", "address"),
    ("amount", "uint256"),
    ("maxFee", "uint256"),
    ("destination", "address"),
    ("nonce", "uint256"),
    ("deadline", "uint256"),
)
WITHDRAWAL_ADDRESS_FIELDS = (
    ("account", "address"),
    ("destination", "address"),
    ("nonce", "uint256"),
    ("deadline", "uint256"),
)
AGENT_APPROVAL_FIELDS = (
    ("account", "address"),
    ("key", "string"),
    ("name", "string"),
    ("scopes", "string[]"),
    ("markets", "string[]"),
    ("subAccounts", "uint8[]"),
    ("expires", "uint64"),
    ("ipRanges", "string[]"),
    ("nonce", "uint256"),
    ("deadline", "uint256"),
)


def _type_hash(name: str, fields: tuple[tuple[str, str], ...]) -> bytes:
    return keccak(f"{name}({','.join(f'{kind} {field}' for field, kind in fields)})".encode())


_DOMAIN_TYPE_HASH = _type_hash("EIP712Domain", DOMAIN_FIELDS)
_WITHDRAWAL_TYPE_HASH = _type_hash("Withdrawal", WITHDRAWAL_FIELDS)
_WITHDRAWAL_ADDRESS_TYPE_HASH = _type_hash("WithdrawalAddress", WITHDRAWAL_ADDRESS_FIELDS)
_AGENT_APPROVAL_TYPE_HASH = _type_hash("AgentApproval", AGENT_APPROVAL_FIELDS)
_NAME_HASH = keccak(DOMAIN_NAME.encode())
_VERSION_HASH = keccak(DOMAIN_VERSION.encode())


@dataclass(frozen=True, slots=True)
class WithdrawalMessage:
    """What the owner signs: lower-case addresses, amounts in atoms, `amount_atoms` before the fee."""

    account: str
    sub_account: int
    token: str
    amount_atoms: int
    max_fee_atoms: int
    destination: str
    nonce: int
    deadline_s: int


@dataclass(frozen=True, slots=True)
class WithdrawalAddressMessage:
    """What the owner signs to let withdrawals go to a destination: lower-case addresses."""

    account: str
    destination: str
    nonce: int
    deadline_s: int


@dataclass(frozen=True, slots=True)
class AgentApprovalMessage:
    """What the owner signs to let a key act: `account` is the owner in lower case, `key` the key's text.

    No markets: every market; no sub-accounts: all of the owner's; no ranges: from anywhere.
    """

    account: str
    key: str
    name: str
    scopes: tuple[str, ...]
    markets: tuple[str, ...]
    sub_accounts: tuple[int, ...]
    expires_s: int
    ip_ranges: tuple[str, ...]
    nonce: int
    deadline_s: int


class TypedDataDomain:
    """The EIP-712 domain of all that one deployment's owners sign: withdrawals, addresses, agents."""

    def __init__(self, genesis_id: str, chain_id: int, vault: str) -> None:
        """`genesis_id` is 0x and 64 hex digits, `vault` a lower-case address."""
        self.genesis_id = genesis_id
        self.chain_id = chain_id
        self.vault = vault
        salt = bytes.fromhex(genesis_id[2:])
        assert len(salt) == 32
        self._separator = keccak(
            _DOMAIN_TYPE_HASH + _NAME_HASH + _VERSION_HASH + _word(chain_id) + _address_word(vault) + salt
        )

    def digest(self, message: WithdrawalMessage) -> bytes:
        """The 32 bytes that the owner signs. Every number must fit in 256 bits."""
        struct_hash = keccak(
            _WITHDRAWAL_TYPE_HASH
            + _address_word(message.account)
            + _word(message.sub_account)
            + _address_word(message.token)
            + _word(message.amount_atoms)
            + _word(message.max_fee_atoms)
            + _address_word(message.destination)
            + _word(message.nonce)
            + _word(message.deadline_s)
        )
        return keccak(b"\x19\x01" + self._separator + struct_hash)

    def address_digest(self, message: WithdrawalAddressMessage) -> bytes:
        """The 32 bytes that the owner signs to add a destination. Every number must fit in 256 bits."""
        struct_hash = keccak(
            _WITHDRAWAL_ADDRESS_TYPE_HASH
            + _address_word(message.account)
            + _address_word(message.destination)
            + _word(message.nonce)
            + _word(message.deadline_s)
        )
        return keccak(b"\x19\x01" + self._separator + struct_hash)

    def agent_digest(self, message: AgentApprovalMessage) -> bytes:
        """The 32 bytes that the owner signs to approve an agent. Texts must be encodable as UTF-8."""
        struct_hash = keccak(
            _AGENT_APPROVAL_TYPE_HASH
            + _address_word(message.account)
            + keccak(message.key.encode())
            + keccak(message.name.encode())
            + _texts_word(message.scopes)
            + _texts_word(message.markets)
            + keccak(b"".join(map(_word, message.sub_accounts)))
            + _word(message.expires_s)
            + _texts_word(message.ip_ranges)
            + _word(message.nonce)
            + _word(message.deadline_s)
        )
        return keccak(b"\x19\x01" + self._separator + struct_hash)

    def as_typed_data(self) -> dict[str, object]:
        """Domain and types of a withdrawal as wallets take them (`eth_signTypedData_v4`)."""
        return self._typed_data("Withdrawal", WITHDRAWAL_FIELDS)

    def typed_withdrawal(self, message: WithdrawalMessage) -> dict[str, object]:
        """A whole message as `eth_signTypedData_v4` takes it: numbers as digits, addresses checksummed."""
        described = self.as_typed_data()
        return {
            "domain": described["domain"],
            "primaryType": described["primary_type"],
            "types": described["types"],
            "message": {
                "account": checksummed(message.account),
                "subAccount": message.sub_account,
                "token": checksummed(message.token),
                "amount": str(message.amount_atoms),
                "maxFee": str(message.max_fee_atoms),
                "destination": checksummed(message.destination),
                "nonce": str(message.nonce),
                "deadline": message.deadline_s,
            },
        }

    def address_typed_data(self) -> dict[str, object]:
        """Domain and types of an added destination as wallets take them."""
        return self._typed_data("WithdrawalAddress", WITHDRAWAL_ADDRESS_FIELDS)

    def agent_typed_data(self) -> dict[str, object]:
        """Domain and types of an agent's approval as wallets take them."""
        return self._typed_data("AgentApproval", AGENT_APPROVAL_FIELDS)

    def _typed_data(self, primary_type: str, fields: tuple[tuple[str, str], ...]) -> dict[str, object]:
        return {
            "domain": {
                "name": DOMAIN_NAME,
                "version": DOMAIN_VERSION,
                "chainId": self.chain_id,
                "verifyingContract": checksummed(self.vault),
                "salt": self.genesis_id,
            },
            "primary_type": primary_type,
            "types": {
                "EIP712Domain": [{"name": name, "type": kind} for name, kind in DOMAIN_FIELDS],
                primary_type: [{"name": name, "type": kind} for name, kind in fields],
            },
        }


def _word(number: int) -> bytes:
    return number.to_bytes(32)


def _texts_word(texts: tuple[str, ...]) -> bytes:
    return keccak(b"".join(keccak(text.encode()) for text in texts))


def _address_word(address: str) -> bytes:
    return bytes(12) + bytes.fromhex(address[2:])
