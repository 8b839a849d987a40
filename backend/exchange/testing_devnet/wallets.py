"""Wallets that tests are given: a new key each, with money on chain and at the exchange."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct

from exchange.testing_devnet.chain import Amount, DevChain
from exchange.testing_devnet.errors import ApiRefused, NotCredited
from exchange.testing_devnet.json_http import call

CREDIT_S = 60.0
_POLL_S = 0.05


@dataclass
class FundedWallet:
    """A new key. `key` is its 32 secret bytes as 0x and hexadecimal digits, worthless anywhere else."""

    url: str
    chain: DevChain
    address: str
    key: str = field(repr=False)
    _token: str | None = field(default=None, repr=False)

    @classmethod
    def new(cls, url: str, chain: DevChain) -> "FundedWallet":
        account = Account.create()
        return cls(url, chain, str(account.address), "0x" + bytes(account.key).hex())

    @property
    def token(self) -> str:
        """Bearer token of a session of this wallet, which signs in when it is first asked for."""
        if self._token is None:
            issued = call("POST", f"{self.url}/v1/auth/nonce", {"address": self.address})
            signed = Account.sign_message(encode_defunct(text=issued["message"]), self.key)
            answer = {
                "message": issued["message"],
                "signature": "0x" + bytes(signed.signature).hex(),
                "pre_login_token": issued["pre_login_token"],
            }
            self._token = str(call("POST", f"{self.url}/v1/auth/login", answer)["token"])
        return self._token

    def call(self, method: str, path: str, body: object = None) -> Any:
        """A request of the API in this wallet's session, `path` beginning with /v1. Raises ApiRefused.

        Where the session is not known any more, because the devnet was put back to before it, in another.
        """
        try:
            return self._call(method, path, body)
        except ApiRefused as refused:
            if refused.code != "session_invalid":
                raise
        self._token = None
        return self._call(method, path, body)

    def _call(self, method: str, path: str, body: object) -> Any:
        return call(method, self.url + path, body, {"Authorization": f"Bearer {self.token}"})

    def balances(self) -> dict[str, Decimal]:
        """What the wallet's main account has at the exchange, what is held for orders included."""
        items = self.call("GET", "/v1/balances")["items"]
        return {item["asset"]: Decimal(item["total"]) for item in items}

    def deposit(self, asset: str, amount: Amount) -> None:
        """Makes the account richer, through the vault; credited when this returns. Raises NotCredited."""
        self.deposit_all({asset: amount})

    def deposit_all(self, amounts: Mapping[str, Amount]) -> None:
        """The same for several assets at once."""
        expected = {
            self.chain.deposit(self.address, symbol, amount): symbol for symbol, amount in amounts.items()
        }
        deadline = time.monotonic() + CREDIT_S
        while missing := expected.keys() - self._credited():
            if time.monotonic() > deadline:
                raise NotCredited(expected[missing.pop()])
            time.sleep(_POLL_S)

    def _credited(self) -> set[str]:
        """Hashes of the transactions of the newest deposits that were credited."""
        items = self.call("GET", "/v1/deposits")["items"]
        return {item["tx_hash"] for item in items if item["status"] == "credited"}

    def cancel_everything(self) -> None:
        """Ends all open orders of all the wallet's accounts."""
        for account in self.call("GET", "/v1/me")["sub_accounts"]:
            self.call("DELETE", f"/v1/orders?sub_account={account['sub_account']}")


WalletMaker = Callable[..., FundedWallet]
"""`exchange_wallet(at_exchange={"USDC": 10_000}, on_chain={"ETH": 1})`"""
