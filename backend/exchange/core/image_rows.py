"""The rows of a state's image: what is written down of each thing, in which order and of which type.

Append-only, see `image`: the order of the fields is the order of the bytes. Commands and events in it are
written as in the journal. Orders, assets, markets and agents have the fields of their classes.
"""

import msgspec

from exchange.core.commands import PlaceOrder, TransferFunds
from exchange.core.events import WithdrawalRequested
from exchange.core.words import (
    AccountState,
    AgentScope,
    MarketState,
    OrderType,
    RateClass,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerKind,
)


class Row(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True, gc=False):
    """An array of exactly these fields."""


class AssetRow(Row, frozen=True):
    """An Asset."""

    asset_id: int
    symbol: str
    decimals: int
    chain_id: int
    vault: str
    token: str
    withdrawal_fee_atoms: int
    min_withdrawal_atoms: int
    listed: bool


class OrderRow(Row, frozen=True):
    """An open Order, with the id of its account."""

    order_id: int
    account_id: int
    market_id: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    self_trade_prevention: SelfTradePrevention
    price_ticks: int
    size_lots: int
    remaining_lots: int
    held_atoms: int
    maker_fee_bps: int
    taker_fee_bps: int
    client_order_id: str | None
    created_ns: int
    good_till_ns: int
    trigger: TriggerKind | None
    trigger_ticks: int
    quote_atoms: int
    awaiting_trigger: bool
    queued_seq: int
    fee_numerator: int
    fee_charged_atoms: int


class MarketRow(Row, frozen=True):
    """A Market, without its book."""

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
    state: MarketState
    price_band_bps: int
    market_band_bps: int
    fee_tiers: tuple[tuple[int, int], ...]


class BookRow(Row, frozen=True):
    """A book; its orders by side, the worst price first, and at one price in the order of their queue."""

    market_id: int
    last_ticks: int
    high_ticks: int
    low_ticks: int
    lowest_taker_bps: int
    highest_rebate_bps: int
    bids: list[OrderRow]
    asks: list[OrderRow]
    rises: list[OrderRow]
    falls: list[OrderRow]


class ClientOrderRow(Row, frozen=True):
    """A client order id and what is remembered under it: the order's state, and the request for it."""

    client_order_id: str
    order_id: int
    size_lots: int
    remaining_lots: int
    ended: str
    command: PlaceOrder


class AccountRow(Row, frozen=True):
    """An account. `balances` are (asset id, available, held) where there is anything."""

    account_id: int
    owner: str
    sub_account: int
    max_open_orders: int
    max_orders_per_market: int
    cancel_all_ns: int
    balances: list[tuple[int, int, int]]
    client_orders: list[ClientOrderRow]
    client_transfers: list[TransferFunds]
    state: AccountState = AccountState.ACTIVE


class AgentRow(Row, frozen=True):
    """An Agent, of its nonces those that are not too old to be used."""

    key: str
    owner: str
    name: str
    scopes: tuple[AgentScope, ...]
    market_ids: tuple[int, ...]
    sub_accounts: tuple[int, ...]
    expires_ns: int
    ip_ranges: tuple[str, ...]
    nonce: int
    approved_ns: int
    revoked_ns: int
    nonces: list[int]


class StateRow(Row, frozen=True):
    """The whole State."""

    seq: int
    time_ns: int
    rules_version: int
    next_account_id: int
    next_trade_id: int
    assets: list[AssetRow]
    markets: list[MarketRow]
    books: list[BookRow]
    accounts: list[AccountRow]
    fee_tiers: list[tuple[str, int]]
    ended_client_orders: list[tuple[int, int, str]]
    made_transfers: list[tuple[int, int, str]]
    met_markets: list[int]
    last_deposits: list[tuple[int, str, int]]
    withdrawals: list[WithdrawalRequested]
    final_withdrawals: list[tuple[int, str, str]]
    """(deadline_s, withdrawal id, status)"""
    agents: list[AgentRow] = []
    rate_classes: list[tuple[str, RateClass]] = []
