"""A wallet extension for tests: announced as EIP-6963 has it, its key here, its signatures real.

It agrees to everything unless `refuses` is set; then it answers as a wallet does whose person pressed no.
"""

import json
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from playwright.sync_api import BrowserContext

from exchange.testing_devnet.errors import RpcFailed
from exchange.testing_devnet.json_http import rpc

NAME = "Test Wallet"
USER_REFUSED = 4001
UNSUPPORTED = 4200
_ASK = "askTestWallet"

_PROVIDER = """
(() => {
  const listeners = new Map();
  const provider = Object.freeze({
    async request({ method, params = [] }) {
      const { result, error } = await window.ASK(method, params);
      if (error) throw Object.assign(new Error(error.message), { code: error.code });
      return result;
    },
    on(name, listener) {
      if (!listeners.has(name)) listeners.set(name, new Set());
      listeners.get(name).add(listener);
    },
    removeListener(name, listener) { listeners.get(name)?.delete(listener); },
  });
  const info = Object.freeze({
    uuid: "5b2b51f6-7d9c-4a40-9a43-16d1b2d3c0de", name: "NAME", rdns: "org.example.testwallet",
    icon: "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=",
  });
  const announce = () => window.dispatchEvent(
    new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) }));
  window.addEventListener("eip6963:requestProvider", announce);
  announce();
})();
"""


class InjectedWallet:
    """A new key. `asked` has the methods that pages called, in order."""

    def __init__(self, rpc_url: str) -> None:
        self._account = Account.create()
        self._rpc_url = rpc_url
        self.refuses = False
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return str(self._account.address)

    def install(self, context: BrowserContext) -> None:
        """In all pages that are opened from now on."""
        context.expose_binding(_ASK, lambda _, method, params: self._answer(method, params))
        context.add_init_script(_PROVIDER.replace("ASK", _ASK).replace("NAME", NAME))

    def _answer(self, method: str, params: list[Any]) -> dict[str, Any]:
        self.asked.append(method)
        needs_consent = method.startswith(("eth_send", "eth_sign", "personal_", "eth_request"))
        if self.refuses and needs_consent:
            return {"error": {"code": USER_REFUSED, "message": "User rejected the request."}}
        try:
            return {"result": self._done(method, params)}
        except RpcFailed as failed:
            return {"error": {"code": UNSUPPORTED, "message": str(failed)}}

    def _done(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_requestAccounts" | "eth_accounts":
                return [self.address]
            case "wallet_switchEthereumChain" | "wallet_addEthereumChain":
                return None
            case "personal_sign":
                message = encode_defunct(hexstr=params[0])
                return "0x" + bytes(self._account.sign_message(message).signature).hex()
            case "eth_signTypedData_v4":
                message = encode_typed_data(full_message=json.loads(params[1]))
                return "0x" + bytes(self._account.sign_message(message).signature).hex()
            case "eth_sendTransaction":
                return self._send(params[0])
            case _:
                return rpc(self._rpc_url, method, *params)

    def _send(self, asked: dict[str, Any]) -> Any:
        gas_price = int(rpc(self._rpc_url, "eth_gasPrice"), 16)
        transaction = {
            "to": asked["to"],
            "value": int(asked.get("value", "0x0"), 16),
            "data": asked.get("data", "0x"),
            "nonce": int(rpc(self._rpc_url, "eth_getTransactionCount", self.address, "pending"), 16),
            "gas": int(rpc(self._rpc_url, "eth_estimateGas", asked), 16) * 2,
            "maxFeePerGas": gas_price * 2,
            "maxPriorityFeePerGas": gas_price // 2,
            "chainId": int(rpc(self._rpc_url, "eth_chainId"), 16),
        }
        signed = self._account.sign_transaction(transaction)
        return rpc(self._rpc_url, "eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())
