"""Withdrawals as owners ask for them: signed typed data, whose digest is the id."""

from random import Random

from eth_hash.auto import keccak
from eth_typing import Hash32
from scripts.chain_drill.compare import Asked

from exchange.chain.dev_keys import dev_account, dev_address
from exchange.core.commands import RequestWithdrawal
from exchange.gateway.typed_data import TypedDataDomain, WithdrawalMessage


class Owners:
    """The development users of one world, with the account that each has in it."""

    def __init__(
        self,
        domain: TypedDataDomain,
        account_ids: dict[int, int],
        assets: dict[str, tuple[int, str]],
        fees_atoms: dict[str, int],
        random: Random,
    ) -> None:
        """`account_ids` by index of the development key; `assets`: (id, token) by symbol."""
        self._domain = domain
        self._account_ids = account_ids
        self._assets = assets
        self._fees_atoms = fees_atoms
        self._random = random
        self._nonce = 0

    def request(self, symbol: str, amount_atoms: int, deadline_s: int) -> tuple[Asked, RequestWithdrawal]:
        """A signed withdrawal of some owner, to an address that nothing else goes to."""
        random = self._random
        self._nonce += 1
        index = random.choice(list(self._account_ids))
        asset_id, token = self._assets[symbol]
        fee_atoms = self._fees_atoms[symbol]
        message = WithdrawalMessage(
            account=dev_address(index),
            sub_account=0,
            token=token,
            amount_atoms=amount_atoms,
            max_fee_atoms=fee_atoms + random.randrange(100),
            destination="0x" + keccak(random.randbytes(32))[12:].hex(),
            nonce=self._nonce,
            deadline_s=deadline_s,
        )
        digest = self._domain.digest(message)
        signature = dev_account(index).unsafe_sign_hash(Hash32(digest)).signature
        withdrawal_id = "0x" + digest.hex()
        command = RequestWithdrawal(
            withdrawal_id=withdrawal_id,
            account_id=self._account_ids[index],
            asset_id=asset_id,
            amount_atoms=amount_atoms,
            max_fee_atoms=message.max_fee_atoms,
            destination=message.destination,
            nonce=message.nonce,
            deadline_s=deadline_s,
            signature="0x" + bytes(signature).hex(),
        )
        asked = Asked(withdrawal_id, message.account, token, amount_atoms, fee_atoms, message.destination)
        return asked, command
