"""Everything that the core says happened. Frozen, tagged, journaled beside the commands.

An event is identified by (seq, index): the command's sequence number and its place among that command's
events. Together the events of the journal determine every balance and every order without running the
core: `movements` gives the ledger's side; `OrderAccepted`, `OrderTriggered`, `OrderAmended`, `OrderRested`,
`Trade`, `SelfTradePrevented` and `OrderEnded` the orders'.
Fields are append-only, as for commands.
"""

from typing import Literal

import msgspec

from exchange.core.markets import DEFAULT_MARKET_BAND_BPS
from exchange.core.rejects import RejectReason
from exchange.core.words import (
    AccountState,
    AgentScope,
    EndReason,
    MarketState,
    OrderType,
    RateClass,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerKind,
)


class _Event(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False, forbid_unknown_fields=True):
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
    state: MarketState = MarketState.OPEN
    price_band_bps: int = 0
    market_band_bps: int = DEFAULT_MARKET_BAND_BPS
    fee_tiers: tuple[tuple[int, int], ...] = ()


class MarketStateSet(_Event, frozen=True):
    """What may be done in the market from now on."""

    market_id: int
    state: MarketState


class FeesSet(_Event, frozen=True):
    """The market's rates for orders accepted from now on; `fee_tiers` are those of tier 1, 2, ..."""

    market_id: int
    maker_fee_bps: int
    taker_fee_bps: int
    fee_tiers: tuple[tuple[int, int], ...]


class FeeTierSet(_Event, frozen=True):
    """The owner's tier, for orders accepted from now on."""

    owner: str
    tier: int


class PriceBandsSet(_Event, frozen=True):
    """The market's bands from now on."""

    market_id: int
    price_band_bps: int
    market_band_bps: int


class AccountLimitsSet(_Event, frozen=True):
    """The account's limits from now on."""

    account_id: int
    max_open_orders: int
    max_orders_per_market: int


class RulesSet(_Event, frozen=True):
    """The rules that every later command is applied under."""

    version: int


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
    """The order is valid and paid for: `hold_atoms` of `hold_asset_id` moved from available to held.

    With a `trigger` it waits in no book. The size of a market buy by amount (`quote_atoms`) is what the
    amount buys.
    """

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
    good_till_ns: int = 0
    trigger: TriggerKind | None = None
    trigger_ticks: int = 0
    quote_atoms: int = 0


class OrderTriggered(_Event, frozen=True):
    """The last price got to the order's trigger: it trades, rests or ends from here on like a new one."""

    order_id: int
    account_id: int
    market_id: int
    last_ticks: int


class OrderAmended(_Event, frozen=True):
    """The order has another price or size. `hold_change_atoms` more (or less) is held for it.

    When `kept_priority` is False the order has left the book, if it was there: `OrderRested` or `OrderEnded`
    follow, trades perhaps before them. An order that awaits its trigger goes on waiting.
    """

    order_id: int
    account_id: int
    market_id: int
    side: Side
    price_ticks: int
    """The new price."""
    size_lots: int
    remaining_lots: int
    hold_asset_id: int
    hold_change_atoms: int
    kept_priority: bool


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


class SelfTradePrevented(_Event, frozen=True):
    """An owner's two orders met and both lost `size_lots`, in size and in what remains, without a trade.

    What was held for them is available again: quote for the buy, base for the sell.
    """

    market_id: int
    maker_order_id: int
    taker_order_id: int
    maker_account_id: int
    taker_account_id: int
    taker_side: Side
    price_ticks: int
    size_lots: int
    maker_released_atoms: int
    taker_released_atoms: int
    maker_remaining_lots: int
    taker_remaining_lots: int


class OrderEnded(_Event, frozen=True):
    """The order is no longer open and holds nothing; `released_atoms` went back to available.

    `was_resting` says whether it stood in the book until now.
    """

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
    side: Side | None = None


class CancelAllAfterSet(_Event, frozen=True):
    """The account's dead man's switch fires at `fires_ns`; 0: never."""

    account_id: int
    fires_ns: int


class CancelAllAfterFired(_Event, frozen=True):
    """The switch was not renewed in time; `count` OrderEnded events stand before this one."""

    account_id: int
    count: int


class Ticked(_Event, frozen=True):
    """A Tick is done; the events of its work stand before this one."""

    expired: int
    """Orders that have expired."""


class FundsTransferred(_Event, frozen=True):
    """Available funds went from one account of an owner to another."""

    from_account_id: int
    to_account_id: int
    asset_id: int
    amount_atoms: int
    client_transfer_id: str


class TransferKnown(_Event, frozen=True):
    """The same transfer was made before under this id. Nothing changed."""

    from_account_id: int
    to_account_id: int
    asset_id: int
    amount_atoms: int
    client_transfer_id: str


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


class AccountStateSet(_Event, frozen=True):
    """What the account may do from now on. When it is frozen, the `OrderEnded` of each of its open orders
    stand before this event.
    """

    account_id: int
    state: AccountState


class WithdrawalTermsSet(_Event, frozen=True):
    """The asset's terms for withdrawals requested from now on."""

    asset_id: int
    withdrawal_fee_atoms: int
    min_withdrawal_atoms: int


class AgentApproved(_Event, frozen=True):
    """The key may act for the owner from now on, until `expires_ns` and within these bounds."""

    owner: str
    key: str
    name: str
    scopes: tuple[AgentScope, ...]
    market_ids: tuple[int, ...]
    sub_accounts: tuple[int, ...]
    expires_ns: int
    ip_ranges: tuple[str, ...]
    nonce: int


class AgentKnown(_Event, frozen=True):
    """The same approval was taken before, or the key was revoked before. Nothing changed."""

    key: str


class AgentRevoked(_Event, frozen=True):
    """The key may do nothing from now on, and never will again."""

    owner: str
    key: str


class NonceUsed(_Event, frozen=True):
    """The commands of the request that was signed with it follow."""

    key: str
    nonce: int


class RateClassSet(_Event, frozen=True):
    """The owner's class from now on."""

    owner: str
    rate_class: RateClass


Event = (
    Rejected
    | AssetListed
    | MarketOpened
    | MarketStateSet
    | FeesSet
    | FeeTierSet
    | PriceBandsSet
    | AccountLimitsSet
    | RulesSet
    | AccountOpened
    | AccountKnown
    | DepositCredited
    | OrderAccepted
    | OrderTriggered
    | OrderAmended
    | OrderKnown
    | OrderRested
    | Trade
    | SelfTradePrevented
    | OrderEnded
    | AllCancelled
    | CancelAllAfterSet
    | CancelAllAfterFired
    | Ticked
    | FundsTransferred
    | TransferKnown
    | WithdrawalRequested
    | WithdrawalSettled
    | WithdrawalRefunded
    | AccountStateSet
    | WithdrawalTermsSet
    | AgentApproved
    | AgentKnown
    | AgentRevoked
    | NonceUsed
    | RateClassSet
)


def rejected(reason: RejectReason) -> list[Event]:
    """The whole answer to a command that changed nothing."""
    return [Rejected(reason)]
