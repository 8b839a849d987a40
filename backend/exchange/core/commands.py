"""Everything that can be asked of the core. Frozen, tagged, journaled as JSON arrays.

Fields are append-only: a new field goes last and has a default, so that an old journal still decodes.
Addresses are lower-case 0x-hex, hashes and ids too; times are integer nanoseconds (`_ns`) or seconds (`_s`).
"""

from typing import Literal

import msgspec

from exchange.core.markets import DEFAULT_MARKET_BAND_BPS
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


class _Command(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False, forbid_unknown_fields=True):
    pass


class ListAsset(_Command, frozen=True):
    """Operator: an asset and the vault and token through which it comes and goes."""

    symbol: str
    decimals: int
    chain_id: int
    vault: str
    token: str
    withdrawal_fee_atoms: int = 0
    min_withdrawal_atoms: int = 1


class OpenMarket(_Command, frozen=True):
    """Operator: a spot market. Refused when tick x lot is not a whole number of quote atoms."""

    symbol: str
    base: str
    quote: str
    tick_mantissa: int
    tick_decimals: int
    lot_atoms: int
    maker_fee_bps: int
    taker_fee_bps: int
    state: MarketState = MarketState.OPEN
    price_band_bps: int = 0
    market_band_bps: int = DEFAULT_MARKET_BAND_BPS


class SetMarketState(_Command, frozen=True):
    """Operator: what may be done in a market from now on."""

    market_id: int
    state: MarketState


class SetFees(_Command, frozen=True):
    """Operator: a market's rates by fee tier, (maker bps, taker bps) each, the first for tier 0.

    A negative maker rate is a rebate. Orders already accepted keep their rates.
    """

    market_id: int
    tiers: tuple[tuple[int, int], ...]


class SetFeeTier(_Command, frozen=True):
    """The tier that an owner's volume of the last 30 days has earned; all the owner's accounts share it."""

    owner: str
    tier: int


class SetPriceBands(_Command, frozen=True):
    """Operator: how far from the reference price an order may be priced (0: no band), and how far a market
    order without a worst price may go.
    """

    market_id: int
    price_band_bps: int
    market_band_bps: int


class SetAccountLimits(_Command, frozen=True):
    """Operator: how many orders an account may have open, in all and in one market."""

    account_id: int
    max_open_orders: int
    max_orders_per_market: int


class SetRules(_Command, frozen=True):
    """Switches on the next version of the rules. What was journaled before keeps the rules of its time."""

    version: int


class OpenAccount(_Command, frozen=True):
    """An account for an owner's wallet address; answering with the present one when it exists."""

    owner: str
    sub_account: int = 0


class CreditDeposit(_Command, frozen=True):
    """The vault's deposit `number` is confirmed. Numbers run 1, 2, 3, ... per (chain, vault)."""

    chain_id: int
    vault: str
    number: int
    owner: str
    token: str
    amount_atoms: int
    tx_hash: str
    log_index: int
    block_number: int


class PlaceOrder(_Command, frozen=True):
    """An order. `price_ticks` is the limit, or the worst price of a market order (0: the default band).

    `good_till_ns` goes with GTT only. With a `trigger` the order waits, paid for, until the last price gets
    to `trigger_ticks`. `quote_atoms` instead of a size (then 0) makes a market buy by amount, fee included.
    """

    account_id: int
    market_id: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price_ticks: int
    size_lots: int
    client_order_id: str | None
    expires_ns: int
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.CANCEL_NEWEST
    good_till_ns: int = 0
    trigger: TriggerKind | None = None
    trigger_ticks: int = 0
    quote_atoms: int = 0


class AmendOrder(_Command, frozen=True):
    """Another price or total size for an open order, `size_lots` counting what is filled already.

    A smaller size at the same price keeps its place; any other change goes to the end of the queue, and may
    trade at once.
    """

    account_id: int
    order_id: int
    price_ticks: int
    size_lots: int
    expires_ns: int


class CancelOrder(_Command, frozen=True):
    """Ends one of the account's own open orders; somebody else's is unknown."""

    account_id: int
    order_id: int


class CancelClientOrder(_Command, frozen=True):
    """Ends the account's open order of this client order id, which its sender need not have seen accepted.

    No markets: in whichever it is; in any but these it is unknown, as for who may only trade in some.
    """

    account_id: int
    client_order_id: str
    market_ids: tuple[int, ...] = ()


class CancelAll(_Command, frozen=True):
    """Cancels the account's open orders, of one market or of all (None), of one side or both (None)."""

    account_id: int
    market_id: int | None
    side: Side | None = None


class CancelAllAfter(_Command, frozen=True):
    """Dead man's switch: all the account's orders are cancelled at `fires_ns` unless it is set again.

    0 switches it off.
    """

    account_id: int
    fires_ns: int


class Tick(_Command, frozen=True):
    """The engine's own: does a bounded part of the work that is due.

    Orders that have expired, a dead man's switch that was not renewed, or one order whose trigger was met.
    """


class TransferFunds(_Command, frozen=True):
    """Between two accounts of one owner. The receiving sub-account is opened when it is new."""

    account_id: int
    to_sub_account: int
    asset_id: int
    amount_atoms: int
    client_transfer_id: str
    expires_ns: int


class RequestWithdrawal(_Command, frozen=True):
    """The owner's signed request; `withdrawal_id` is the EIP-712 digest the owner signed.

    `deadline_s` is the last second at which the vault may pay it, the only deadline ever signed.
    """

    withdrawal_id: str
    account_id: int
    asset_id: int
    amount_atoms: int
    max_fee_atoms: int
    destination: str
    nonce: int
    deadline_s: int
    signature: str


class SettleWithdrawal(_Command, frozen=True):
    """The vault's payment is confirmed on chain: paid, or set aside as claimable by the owner."""

    withdrawal_id: str
    tx_hash: str
    block_number: int
    outcome: Literal["paid", "claimable"]


class RefundWithdrawal(_Command, frozen=True):
    """A finalized block is past the deadline and the vault has not used the id: it can never pay."""

    withdrawal_id: str
    block_number: int
    block_time_s: int


class SetAccountState(_Command, frozen=True):
    """Operator: what an account may do from now on. Freezing it also ends all its open orders.

    For this one account: an owner's other accounts have states of their own.
    """

    account_id: int
    state: AccountState


class SetWithdrawalTerms(_Command, frozen=True):
    """Operator: what withdrawing a listed asset costs, and the least that may be paid out.

    Withdrawals in flight keep the fee that they were requested at.
    """

    asset_id: int
    fee_atoms: int
    min_atoms: int


class ApproveAgent(_Command, frozen=True):
    """The owner's signed approval of a key that may act for the owner until `expires_ns`, in these bounds.

    No markets: every market; no sub-accounts: all of the owner's; no ranges: from anywhere. Of the owner's
    signature over it the core knows nothing; `deadline_s`, until which it may be handed in, goes with it.
    """

    owner: str
    key: str
    """0x and 64 hex digits: an Ed25519 key; 0x and 40: the address of a secp256k1 key. Lower case."""
    name: str
    scopes: tuple[AgentScope, ...]
    market_ids: tuple[int, ...]
    sub_accounts: tuple[int, ...]
    expires_ns: int
    ip_ranges: tuple[str, ...]
    nonce: int
    deadline_s: int
    signature: str


class RevokeAgent(_Command, frozen=True):
    """Ends one of the owner's keys, for ever; somebody else's is unknown."""

    owner: str
    key: str


class UseNonce(_Command, frozen=True):
    """A request signed by an agent's key is taken: no other with this nonce ever will be.

    The nonce is the time of signing in MICROSECONDS since the epoch. The request's commands follow only when
    this is not refused.
    """

    key: str
    nonce: int


class SetRateClass(_Command, frozen=True):
    """Operator: how much an owner may ask for in a time."""

    owner: str
    rate_class: RateClass


Command = (
    ListAsset
    | OpenMarket
    | SetMarketState
    | SetFees
    | SetFeeTier
    | SetPriceBands
    | SetAccountLimits
    | SetRules
    | OpenAccount
    | CreditDeposit
    | PlaceOrder
    | AmendOrder
    | CancelOrder
    | CancelClientOrder
    | CancelAll
    | CancelAllAfter
    | Tick
    | TransferFunds
    | RequestWithdrawal
    | SettleWithdrawal
    | RefundWithdrawal
    | SetAccountState
    | SetWithdrawalTerms
    | ApproveAgent
    | RevokeAgent
    | UseNonce
    | SetRateClass
)
