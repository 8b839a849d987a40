"""Trade on the exchange from Python.

    async with Exchange("http://localhost:8000", key=AgentKey.load("maker.key")) as exchange:
        placed = await exchange.place("ETH-USDC", "buy", size="0.5", price="2980")

`Exchange` is for asyncio, `SyncExchange` the same without. Errors are in `exchange_sdk.errors`, values in
`exchange_sdk.models`.
"""

from exchange_sdk.client import Exchange
from exchange_sdk.errors import ExchangeError, OutcomeUnknown, Refused
from exchange_sdk.history import History
from exchange_sdk.orders import Amend, Cancel, Place
from exchange_sdk.retries import Retries
from exchange_sdk.signing import AgentKey
from exchange_sdk.sync import SyncExchange
from exchange_sdk.version import __version__
from exchange_sdk.wallet import Wallet

__all__ = [
    "AgentKey",
    "Amend",
    "Cancel",
    "Exchange",
    "ExchangeError",
    "History",
    "OutcomeUnknown",
    "Place",
    "Refused",
    "Retries",
    "SyncExchange",
    "Wallet",
    "__version__",
]
