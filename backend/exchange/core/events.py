"""Everything that the core says happened. Frozen, tagged, journaled beside the commands.

An event is identified by (seq, index): the command's sequence number and its place among that command's
events. Together the events of the journal determine every balance and every order without running the
core: `movements` gives the ledger's side; `OrderAccepted`, `OrderRested`, `Trade` and `OrderEnded` the
orders'.
Fields are append-only, as for commands.
"""

from typing import Literal

import msgspec

from exchange.core.orders import (
    EndReason,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from exchange.core.rejects import RejectReason


class _Event(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    pass


class Rejected(_Event, frozen=True):
    """The command changed nothing."""

    reason: RejectReason


class AssetListed(_Event, frozen=True):
    """An asset exists; `listed` is False for one that is only known from a deposit of it."""

    asset_id: int
    symbol: str
    decimals: int
    chain_id: int
    vault: str
    token: str
    withdrawal_fee_atoms: int
    min_withdrawal_atoms: int
    listed: bool


class MarketOpened(_Event, frozen=True):
    """A market and all its numbers; `unit_atoms` is what one lot costs at a price of one tick."""

    market_id: int
    symbol: str
    base_asset_id: int
    quote_asset_id: int
    tick_mantissa: int
    tick_decimals: int
    lot_atoms: int
    unit_atoms: int
    base_decimals: int
    quote_decimals: int
    maker_fee_bps: int
    taker_fee_bps: int


class AccountOpened(_Event, frozen=True):
    """A new account, with nothing in it."""

    account_id: int
    owner: str
    sub_account: int


class AccountKnown(_Event, frozen=True):
    """Answer to OpenAccount for an account that exists already."""

    account_id: int


class DepositCredited(_Event, frozen=True):
    """`account_id` is the owner's account, or the suspense account for what can not be credited."""

    account_id: int
    asset_id: int
    amount_atoms: int
    chain_id: int
    vault: str
    number: int
    owner: str
    token: str
    tx_hash: str
    log_index: int
    block_number: int


class OrderAccepted(_Event, frozen=True):
    """The order is valid and paid for: `hold_atoms` of `hold_asset_id` moved from available to held."""

    order_id: int
    account_id: int
    market_id: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    self_trade_prevention: SelfTradePrevention
    price_ticks: int
    size_lots: int
    hold_asset_id: int
    hold_atoms: int
    maker_fee_bps: int
    taker_fee_bps: int
    client_order_id: str | None


class OrderKnown(_Event, frozen=True):
    """The same order was sent before under this client order id; its present state. Nothing changed.

    `status` is "open" or the reason for which the order ended.
    """

    order_id: int
    account_id: int
    market_id: int
    status: str
    size_lots: int
    remaining_lots: int


class OrderRested(_Event, frozen=True):
    """What was left of the order is now in the book, last in the queue of its price."""

    order_id: int
    account_id: int
    market_id: int
    side: Side
    price_ticks: int
    remaining_lots: int


class Trade(_Event, frozen=True):
    """One fill, at the maker's price. `base_atoms` for `quote_atoms`; both fees are in quote.

    The buyer's hold shrinks by `quote_atoms` + the buyer's fee + `buyer_released_atoms`; the last is the
    price improvement and unneeded fee reserve, available again at once.
    """

    trade_id: int
    market_id: int
    maker_order_id: int
    taker_order_id: int
    maker_account_id: int
    taker_account_id: int
    taker_side: Side
    price_ticks: int
    size_lots: int
    base_atoms: int
    quote_atoms: int
    maker_fee_atoms: int
    taker_fee_atoms: int
    buyer_released_atoms: int
    maker_remaining_lots: int
    taker_remaining_lots: int


class OrderEnded(_Event, frozen=True):
    """The order is no longer open and holds nothing; `released_atoms` went back to available."""

    order_id: int
    account_id: int
    market_id: int
    side: Side
    price_ticks: int
    reason: EndReason
    remaining_lots: int
    released_asset_id: int
    released_atoms: int
    was_resting: bool


class AllCancelled(_Event, frozen=True):
    """CancelAll is done; `count` OrderEnded events stand before this one."""

    account_id: int
    market_id: int | None
    count: int


class WithdrawalRequested(_Event, frozen=True):
    """`amount_atoms` left the account; the vault may pay `amount_atoms - fee_atoms` until `deadline_s`."""

    withdrawal_id: str
    account_id: int
    asset_id: int
    amount_atoms: int
    fee_atoms: int
    destination: str
    nonce: int
    deadline_s: int
    owner: str
    chain_id: int
    vault: str
    token: str


class WithdrawalSettled(_Event, frozen=True):
    """`amount_atoms - fee_atoms` left the vault, or is the owner's to claim from it."""

    withdrawal_id: str
    account_id: int
    asset_id: int
    amount_atoms: int
    fee_atoms: int
    tx_hash: str
    block_number: int
    outcome: Literal["paid", "claimable"]


class WithdrawalRefunded(_Event, frozen=True):
    """The whole `amount_atoms`, fee included, is available to the account again."""

    withdrawal_id: str
    account_id: int
    asset_id: int
    amount_atoms: int
    block_number: int


Event = (
    Rejected
    | AssetListed
    | MarketOpened
    | AccountOpened
    | AccountKnown
    | DepositCredited
    | OrderAccepted
    | OrderKnown
    | OrderRested
    | Trade
    | OrderEnded
    | AllCancelled
    | WithdrawalRequested
    | WithdrawalSettled
    | WithdrawalRefunded
)


def rejected(reason: RejectReason) -> list[Event]:
    """The whole answer to a command that changed nothing."""
    return [Rejected(reason)]
