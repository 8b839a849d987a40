"""Accounts: opaque integer ids; the owner's address and the sub-account number are attributes."""

from dataclasses import dataclass, field

from exchange.core.orders import Order

CHAIN_ACCOUNT = 1
"""Other side of deposits and payments: minus what the vault holds for the exchange."""
FEES_ACCOUNT = 2
WITHDRAWALS_ACCOUNT = 3
"""Withdrawals in flight: requested, neither settled nor refunded."""
SUSPENSE_ACCOUNT = 4
"""Deposits that can not be credited to anyone yet."""

SYSTEM_ACCOUNTS = {
    CHAIN_ACCOUNT: "chain",
    FEES_ACCOUNT: "fees",
    WITHDRAWALS_ACCOUNT: "withdrawals",
    SUSPENSE_ACCOUNT: "suspense",
}
FIRST_USER_ACCOUNT = 1_000

MAX_SUB_ACCOUNT = 127
MAX_OPEN_ORDERS = 1_000
"""Open orders per account; it also bounds the work of CancelAll."""


MAX_OPEN_WITHDRAWALS = 20
"""Withdrawals in flight per account: each costs the exchange a transaction."""


@dataclass(slots=True)
class ClientOrder:
    """What is remembered under a client order id. `ended` is empty while the order is open."""

    content: tuple[object, ...]
    order_id: int
    size_lots: int
    remaining_lots: int
    ended: str


@dataclass(slots=True)
class Balance:
    """Atoms of one asset in one account. Never negative, but for system accounts' `available_atoms`."""

    available_atoms: int = 0
    held_atoms: int = 0


@dataclass(slots=True, eq=False)
class Account:
    """One account, a user's or the system's: balances by asset id, open orders by order id."""

    account_id: int
    owner: str
    sub_account: int
    balances: dict[int, Balance] = field(default_factory=dict)
    open_orders: dict[int, Order] = field(default_factory=dict)
    client_orders: dict[str, ClientOrder] = field(default_factory=dict)
    open_withdrawals: int = 0
