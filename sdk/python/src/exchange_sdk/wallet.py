"""The owner's key: it signs in, approves agents, and signs withdrawals. It never leaves this process."""

from pathlib import Path
from typing import Any, Self

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from eth_utils.exceptions import ValidationError


class Wallet:
    """An Ethereum key in this process."""

    __slots__ = ("_account",)

    def __init__(self, account: LocalAccount) -> None:
        """`account`: a key of eth_account."""
        if not isinstance(account, LocalAccount):
            raise TypeError(f"account must be a key of eth_account, not {type(account).__name__}")
        self._account = account

    @classmethod
    def generate(cls) -> Self:
        """A new wallet."""
        return cls(Account.create())

    @classmethod
    def from_key(cls, private_key: str | bytes) -> Self:
        """From a private key: 32 bytes or their hex digits. Raises ValueError, which does not show it."""
        secret = private_key
        if isinstance(secret, str):
            digits = secret.strip().removeprefix("0x")
            try:
                secret = bytes.fromhex(digits)
            except ValueError:
                secret = b""
        if not isinstance(secret, bytes) or len(secret) != 32:
            raise ValueError("a private key is 32 bytes, or their 64 hex digits") from None
        try:
            return cls(Account.from_key(secret))
        except ValidationError:  # which shows the key
            raise ValueError("these 32 bytes are no secp256k1 key") from None

    @classmethod
    def from_keystore(cls, path: str | Path, password: str) -> Self:
        """From an encrypted keystore file, as geth writes them. Raises OSError, ValueError."""
        text = Path(path).read_text("utf-8")
        try:
            return cls(Account.from_key(Account.decrypt(text, password)))
        except (KeyError, TypeError, AttributeError, NotImplementedError) as error:
            raise ValueError(f"{path} is no keystore: {error!r}") from error

    @property
    def address(self) -> str:
        """With the EIP-55 checksum."""
        return str(self._account.address)

    @property
    def account(self) -> LocalAccount:
        """The key itself, for web3."""
        return self._account

    def sign_text(self, text: str) -> str:
        """A personal message (EIP-191), as 0x-hex: r, s, v."""
        return "0x" + self._account.sign_message(encode_defunct(text=text)).signature.hex()

    def sign_typed(self, typed_data: dict[str, Any]) -> str:
        """Typed data (EIP-712: domain, types, primaryType, message), as 0x-hex: r, s, v."""
        return "0x" + self._account.sign_typed_data(full_message=typed_data).signature.hex()

    def __repr__(self) -> str:
        return f"Wallet({self.address})"

    def __reduce__(self) -> str:
        raise TypeError("a Wallet is not pickled: its key would be in the copy")
