"""The development keys: public knowledge, worthless, and refused wherever money is real.

They derive from the mnemonic that every Ethereum development node uses, at m/44'/60'/0'/0/i.
"""

from functools import cache
from typing import Final

from eth_account import Account
from eth_account.signers.local import LocalAccount

from exchange.chain.errors import DevKeyRefused

DEV_CHAIN_ID: Final = 31337
MNEMONIC: Final = "test test test test test test test test test test test junk"

USER_KEYS: Final = range(10)
DEPLOYER_KEY: Final = 10
SIGNER_KEY: Final = 11
SENDER_KEY: Final = 12
ADMIN_KEY: Final = 13
SWEEPER_KEY: Final = 14
PUBLISHER_KEY: Final = 15
GUARDIAN_KEY: Final = 16
MAKER_KEY: Final = 17
TAKER_KEY: Final = 18
"""Those of the bots that trade on a devnet."""
FAUCET_KEY: Final = 19
KEY_COUNT: Final = 20


@cache
def dev_account(index: int) -> LocalAccount:
    """The development key of that index."""
    assert 0 <= index < KEY_COUNT
    Account.enable_unaudited_hdwallet_features()
    account: LocalAccount = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
    return account


def dev_address(index: int) -> str:
    """Lower-case address of a development key."""
    return str(dev_account(index).address).lower()


def dev_key(index: int) -> bytes:
    """The 32 secret bytes of a development key, for chain 31337 only."""
    return bytes(dev_account(index).key)


def refuse_dev_key(address: str, chain_id: int) -> None:
    """To be called by whatever takes a key into use. Raises DevKeyRefused outside the development chain."""
    if chain_id == DEV_CHAIN_ID:
        return
    if address.lower() in {dev_address(index) for index in range(KEY_COUNT)}:
        raise DevKeyRefused(address.lower(), chain_id)
