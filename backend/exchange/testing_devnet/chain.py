"""The devnet's chain as tests use it: coins out of nothing, blocks and time on demand.

Everything is sent by an address that nobody has the key of: the node lets it send without one. So a test may
use any key, a development key included, and its transactions are counted as if we were not there.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from eth_abi.abi import encode

from exchange.chain.token_calls import balance_of, mint
from exchange.chain.vault import selector
from exchange.core.markets import NATIVE_TOKEN
from exchange.testing_devnet.errors import RpcFailed
from exchange.testing_devnet.json_http import rpc

FAUCET: Final = "0x" + "fa" * 20
_PLENTY_WEI = 10**27
_GAS = 500_000
_UNLIMITED = 2**256 - 1

Amount = str | int | Decimal
"""Whole units of an asset, never a float: "0.5", 2, Decimal("0.1")."""


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset of the exchange; `token` is the zero address for the chain's coin."""

    symbol: str
    decimals: int
    token: str

    def atoms(self, amount: Amount) -> int:
        """The amount in the asset's smallest unit. Raises ValueError when it is no whole number of them."""
        if isinstance(amount, float):
            raise TypeError(f"a float is no amount: {amount!r}")  # what the annotation can not keep out
        atoms = Decimal(amount).scaleb(self.decimals)
        if atoms != atoms.to_integral_value() or atoms < 0:
            raise ValueError(f"{amount} {self.symbol}: not a whole number of 10^-{self.decimals}")
        return int(atoms)


class DevChain:
    """One running anvil. `confirmations` is how many blocks a deposit needs, its own included."""

    def __init__(self, url: str, vault: str, assets: Mapping[str, Asset], confirmations: int) -> None:
        self.url = url
        self.vault = vault
        self.assets = dict(assets)
        self._confirmations = confirmations
        self.rpc("anvil_setBalance", FAUCET, hex(_PLENTY_WEI))
        self.rpc("anvil_impersonateAccount", FAUCET)

    def rpc(self, method: str, *parameters: object) -> Any:
        """Any call of the node's. Raises RpcFailed."""
        return rpc(self.url, method, *parameters)

    def mine(self, blocks: int = 1) -> None:
        """Mines blocks now, besides those that come by themselves. The chain's clock does not move."""
        self.rpc("anvil_mine", hex(blocks), "0x0")

    def advance_time(self, seconds: int) -> None:
        """Moves the chain's clock on, for good, and mines a block with the new time.

        Only the chain's: the exchange has the clock of the machine, see docs/testing-your-bot.md.
        """
        self.rpc("evm_increaseTime", seconds)
        self.rpc("evm_mine")

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """No blocks come by themselves meanwhile: what is sent waits. `mine` still makes some."""
        every_s = self.rpc("anvil_getIntervalMining")
        self.rpc("evm_setIntervalMining", 0)
        try:
            yield
        finally:
            self.rpc("evm_setIntervalMining", every_s)

    @property
    def time_s(self) -> int:
        """Time of the newest block."""
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def balance(self, address: str, symbol: str) -> Decimal:
        """What an address has on chain."""
        asset = self.assets[symbol]
        if asset.token == NATIVE_TOKEN:
            atoms = int(self.rpc("eth_getBalance", address, "latest"), 16)
        else:
            call = {"to": asset.token, "data": "0x" + balance_of(address).hex()}
            atoms = int(self.rpc("eth_call", call, "latest"), 16)
        return Decimal(atoms).scaleb(-asset.decimals)

    def give(self, address: str, symbol: str, amount: Amount) -> None:
        """Makes it so much richer on chain; mined when this returns."""
        asset = self.assets[symbol]
        atoms = asset.atoms(amount)
        if asset.token == NATIVE_TOKEN:
            self._mined([self._send(address, b"", atoms)])
        else:
            self._mined([self._mint(asset, address, atoms)])

    def deposit(self, address: str, symbol: str, amount: Amount) -> str:
        """Puts new coins into the vault for that address, and mines the blocks that its credit needs.

        The hash of the transaction. The exchange credits it shortly after.
        """
        asset = self.assets[symbol]
        atoms = asset.atoms(amount)
        if asset.token == NATIVE_TOKEN:
            data = selector("depositNative(address)") + encode(["address"], [address])
            sent = [self._send(self.vault, data, atoms)]
        else:
            approve = encode(["address", "uint256"], [self.vault, _UNLIMITED])
            deposit = encode(["address", "address", "uint256"], [address, asset.token, atoms])
            sent = [
                self._mint(asset, FAUCET, atoms),
                self._send(asset.token, selector("approve(address,uint256)") + approve),
                self._send(self.vault, selector("deposit(address,address,uint256)") + deposit),
            ]
        self._mined(sent)
        self.mine(self._confirmations)
        return sent[-1]

    def _mint(self, asset: Asset, address: str, atoms: int) -> str:
        return self._send(asset.token, mint(address, atoms))

    def _send(self, to: str, data: bytes, value: int = 0) -> str:
        transaction = {"from": FAUCET, "to": to, "value": hex(value), "gas": hex(_GAS)}
        return str(self.rpc("eth_sendTransaction", transaction | {"data": "0x" + data.hex()}))

    def _mined(self, hashes: list[str]) -> None:
        """Mines until they all are. Raises RpcFailed when one was reverted."""
        for tx_hash in hashes:
            while (receipt := self.rpc("eth_getTransactionReceipt", tx_hash)) is None:
                self.mine()
            if int(receipt["status"], 16) != 1:
                raise RpcFailed("eth_sendTransaction", f"{tx_hash} was reverted")
