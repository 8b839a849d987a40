"""Accounts, keys, and what comes and goes."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from exchange_sdk.words import Model, utc


class Balance(Model, frozen=True):
    """What an account has of one asset. `held` is what open orders may cost."""

    asset: str
    available: Decimal
    held: Decimal
    total: Decimal


class SubAccount(Model, frozen=True):
    """One of your accounts."""

    sub_account: int
    account_id: str
    max_open_orders: int
    max_orders_per_market: int
    cancel_all_at_ms: int | None
    state: str


class Me(Model, frozen=True):
    """The owner, and its accounts."""

    seq: int
    address: str
    account_id: str
    fee_tier: int
    sub_accounts: tuple[SubAccount, ...]
    session_expires_at_ms: int


class Agent(Model, frozen=True):
    """A key that the owner has approved."""

    key: str
    kind: str
    name: str
    scopes: tuple[str, ...]
    markets: tuple[str, ...]
    sub_accounts: tuple[int, ...]
    ip_ranges: tuple[str, ...]
    expires_at_ms: int
    approved_at_ms: int
    revoked_at_ms: int | None
    state: str
    nonce: str
    """Of the approval."""

    @property
    def is_active(self) -> bool:
        return self.state == "active"


class Limit(Model, frozen=True):
    """A budget of requests: `burst` at once, and `per_s` more each second."""

    name: str
    scope: str
    burst: int
    per_s: int
    remaining: int
    full_in_ms: int


class WhoAmI(Model, frozen=True):
    """Who asks, for whom, and what it may."""

    seq: int
    kind: Literal["session", "agent"]
    address: str
    account_id: str
    expires_at_ms: int
    scopes: tuple[str, ...]
    agent: Agent | None
    rate_class: str
    limits: tuple[Limit, ...]


class LedgerEntry(Model, frozen=True):
    """A movement of a balance, and the balance after it."""

    entry_id: str
    kind: str
    reference: str
    asset: str
    available_change: Decimal
    held_change: Decimal
    available: Decimal
    held: Decimal
    time_ms: int

    @property
    def time(self) -> datetime:
        return utc(self.time_ms)


class Transfer(Model, frozen=True):
    """Between your own accounts."""

    client_transfer_id: str
    from_sub_account: int
    to_sub_account: int
    asset: str
    amount: Decimal
    time_ms: int | None


class Deposit(Model, frozen=True):
    """What came from the chain; it counts when it is `credited`."""

    number: str
    asset: str
    amount: Decimal
    status: str
    confirmations: int
    required_confirmations: int | None
    tx_hash: str
    log_index: int
    block_number: int
    time_ms: int

    @property
    def is_credited(self) -> bool:
        return self.status == "credited"


class Withdrawal(Model, frozen=True):
    """What goes to the chain; final when it is `settled` or `refunded`."""

    withdrawal_id: str
    asset: str
    amount: Decimal
    fee: Decimal
    destination: str
    nonce: str
    deadline_s: int
    status: str
    reason: str | None
    outcome: str | None
    tx_hash: str | None
    requested_ms: int
    updated_ms: int

    @property
    def is_final(self) -> bool:
        return self.status in {"settled", "refunded"}


class SweptAsset(Model, frozen=True):
    """What a deposit address takes; less than `minimum` waits there."""

    asset: str
    minimum: Decimal


class Arrival(Model, frozen=True):
    """What has arrived at a deposit address and is not in the vault yet."""

    asset: str
    amount: Decimal
    status: str
    block_number: int
    first_seen_ms: int


class DepositAddress(Model, frozen=True):
    """An address of your own: what is sent to it is yours."""

    seq: int
    address: str
    chain_id: int
    assets: tuple[SweptAsset, ...]
    arrivals: tuple[Arrival, ...]


class NetworkCost(Model, frozen=True):
    """What the chain asks for a payment now."""

    gas: int
    base_fee_wei: Decimal
    priority_fee_wei: Decimal
    cost_wei: Decimal
    block_number: int


class DestinationState(Model, frozen=True):
    """Whether withdrawals may go there."""

    address: str
    status: str
    active_at_ms: int | None


class WithdrawalQuote(Model, frozen=True):
    """What a withdrawal would cost now. `refusals`: codes for which it would be refused."""

    seq: int
    asset: str
    amount: Decimal
    fee: Decimal
    receives: Decimal
    minimum: Decimal
    max_fee: Decimal
    available: Decimal
    refusals: tuple[str, ...]
    network: NetworkCost | None
    confirmations: int | None
    reviewed: bool
    review_reason: str | None
    halted: bool
    destination: DestinationState | None
    to_sign: dict[str, Any] | None


class WithdrawalAddress(Model, frozen=True):
    """An address that withdrawals may go to, from `active_at_ms` on."""

    address: str
    label: str
    added_ms: int
    active_at_ms: int
