"""Accounts: opaque integer ids; the owner's address and the sub-account number are attributes."""

from dataclasses import dataclass, field
from typing import Final, final

from mypy_extensions import mypyc_attr

from exchange.core.commands import TransferFunds
from exchange.core.orders import Order
from exchange.core.words import AccountState

CHAIN_ACCOUNT: Final = 1
"""Other side of deposits and payments: minus what the vault holds for the exchange."""
FEES_ACCOUNT: Final = 2
WITHDRAWALS_ACCOUNT: Final = 3
"""Withdrawals in flight: requested, neither settled nor refunded."""
SUSPENSE_ACCOUNT: Final = 4
"""Deposits that can not be credited to anyone yet."""

SYSTEM_ACCOUNTS = {
    CHAIN_ACCOUNT: "chain",
    FEES_ACCOUNT: "fees",
    WITHDRAWALS_ACCOUNT: "withdrawals",
    SUSPENSE_ACCOUNT: "suspense",
}
FIRST_USER_ACCOUNT: Final = 1_000

MAX_SUB_ACCOUNT: Final = 127
MAX_OPEN_ORDERS: Final = 1_000
"""Most open orders that an account's limit may allow; it also bounds the work of CancelAll."""

MAX_OPEN_WITHDRAWALS: Final = 20
"""Withdrawals in flight per account: each costs the exchange a transaction."""


@final
@mypyc_attr(acyclic=True)
@dataclass(slots=True)
class Balance:
    """Atoms of one asset in one account. Never negative, but for system accounts' `available_atoms`."""

    available_atoms: int = 0
    held_atoms: int = 0


@final
@dataclass(slots=True, eq=False)
class Account:
    """One account, a user's or the system's."""

    account_id: int
    owner: str
    sub_account: int
    balances: dict[int, Balance] = field(default_factory=dict)
    """By asset id."""
    orders: dict[int, Order] = field(default_factory=dict)
    """Open orders, in books or awaiting a trigger, by order id, which is the order of their acceptance."""
    max_open_orders: int = MAX_OPEN_ORDERS
    max_orders_per_market: int = MAX_OPEN_ORDERS
    fee_tier: int = 0
    client_orders: dict[str, Order] = field(default_factory=dict)
    """By client order id: open, or ended not long ago."""
    client_transfers: dict[str, TransferFunds] = field(default_factory=dict)
    cancel_all_ns: int = 0
    """When the dead man's switch fires; 0 for never."""
    open_withdrawals: int = 0
    state: AccountState = AccountState.ACTIVE
