"""What the exchange answers, as typed values. Prices, sizes and amounts are exact Decimals; times are
milliseconds since 1970, and a `datetime` in UTC beside them. Fields that a newer exchange adds are passed
over.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec

from exchange_sdk.errors import ExchangeError, Problem, error_of
from exchange_sdk.numbers import Number, Rounding, round_to

Side = Literal["buy", "sell"]
OrderType = Literal["limit", "market"]
TimeInForce = Literal["gtc", "gtt", "post_only", "ioc", "fok"]
SelfTradePrevention = Literal["cancel_newest", "cancel_oldest", "cancel_both", "decrement"]
TriggerType = Literal["stop", "take_profit"]
Scope = Literal["read", "trade"]
Interval = Literal["1s", "1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"]
OrderStatus = Literal["open", "ended", "all"]
"""Which orders to list."""


def utc(time_ms: int) -> datetime:
    """The time as a datetime in UTC."""
    return datetime.fromtimestamp(time_ms // 1_000, UTC).replace(microsecond=time_ms % 1_000 * 1_000)


class Model(msgspec.Struct, frozen=True):
    """A value that does not change."""


class Level(NamedTuple):
    """One price of a book."""

    price: Decimal
    size: Decimal


# ---- the exchange ------------------------------------------------------------------------------------


class ServerTime(Model, frozen=True):
    """The exchange's clock."""

    seq: int
    time_ms: int


class Deployment(Model, frozen=True):
    """Which exchange this is: what every signature is bound to."""

    seq: int
    genesis_id: str
    chain_id: int
    vault: str
    confirmations: int | None
    withdrawals_halted: bool
    host: str


class Asset(Model, frozen=True):
    """Something that can be held."""

    symbol: str
    decimals: int
    chain_id: int
    vault: str
    token: str
    withdrawal_fee: Decimal
    min_withdrawal: Decimal


class FeeTier(Model, frozen=True):
    """Fees in hundredths of a percent; a negative one is paid to you."""

    tier: int
    maker_fee_bps: int
    taker_fee_bps: int


class Market(Model, frozen=True):
    """A market, and the rounding that its prices and sizes need."""

    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    state: str
    last_price: Decimal | None
    price_band_bps: int
    market_band_bps: int
    maker_fee_bps: int
    taker_fee_bps: int
    fee_tiers: tuple[FeeTier, ...]

    def round_price(self, price: Number, rounding: Rounding = "nearest") -> Decimal:
        """The price as a whole number of ticks."""
        return round_to(price, self.tick, rounding)

    def round_size(self, size: Number, rounding: Rounding = "down") -> Decimal:
        """The size as a whole number of lots; down, so that it never costs more than there is."""
        return round_to(size, self.lot, rounding)


class Book(Model, frozen=True):
    """The open orders of a market by price, best first."""

    seq: int
    market: str
    time_ms: int
    group: Decimal | None
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    @property
    def time(self) -> datetime:
        return utc(self.time_ms)

    @property
    def best_bid(self) -> Level | None:
        return self.bids[0] if self.bids else None

    @property
    def best_ask(self) -> Level | None:
        return self.asks[0] if self.asks else None

    @property
    def mid(self) -> Decimal | None:
        """Half way between the best prices, exactly; None while a side is empty."""
        if not self.bids or not self.asks:
            return None
        return (self.bids[0].price + self.asks[0].price) / 2


class Ticker(Model, frozen=True):
    """The last 24 hours of a market, and its best prices."""

    market: str
    last: Decimal | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    change: Decimal | None
    change_bps: int | None
    volume: Decimal
    quote_volume: Decimal
    trades: int
    bid: Level | None
    ask: Level | None
    open_ms: int
    close_ms: int
    seq: int | None = None


class Trade(Model, frozen=True):
    """A trade of a market."""

    trade_id: str
    price: Decimal
    size: Decimal
    amount: Decimal
    taker_side: Side
    time_ms: int

    @property
    def time(self) -> datetime:
        return utc(self.time_ms)


class Candle(Model, frozen=True):
    """The trades of one interval."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    closed: bool | None = None
    """Of streams: whether nothing can come into it any more."""

    @property
    def time(self) -> datetime:
        """When the interval begins."""
        return utc(self.open_ms)


# ---- orders ------------------------------------------------------------------------------------------


class Trigger(Model, frozen=True):
    """At which last price an order begins to count."""

    type: TriggerType
    price: Decimal
    met: bool


class Order(Model, frozen=True):
    """An order of yours."""

    order_id: str
    sub_account: int
    market: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price: Decimal | None
    size: Decimal
    amount: Decimal | None
    filled: Decimal
    remaining: Decimal
    status: str
    trigger: Trigger | None
    good_till_ms: int | None
    self_trade_prevention: str
    created_ms: int | None
    ended_ms: int | None = None
    client_order_id: str | None = None

    @property
    def is_open(self) -> bool:
        """In the book, or waiting for its trigger."""
        return self.status == "open"

    @property
    def is_filled(self) -> bool:
        """Wholly."""
        return self.status == "filled"

    @property
    def created(self) -> datetime | None:
        return None if self.created_ms is None else utc(self.created_ms)


class Fill(Model, frozen=True):
    """Your side of a trade."""

    trade_id: str
    order_id: str
    market: str
    side: Side
    role: str
    price: Decimal
    size: Decimal
    amount: Decimal
    fee: Decimal
    fee_asset: str
    time_ms: int

    @property
    def time(self) -> datetime:
        return utc(self.time_ms)


class Placed(Model, frozen=True):
    """An order that was taken, or changed, and what it filled at once."""

    seq: int
    order: Order
    fills: tuple[Fill, ...]

    @property
    def order_id(self) -> str:
        return self.order.order_id

    @property
    def status(self) -> str:
        return self.order.status


class CancelledAll(Model, frozen=True):
    """The orders that were cancelled."""

    seq: int
    count: int
    order_ids: tuple[str, ...]


class BatchResult(Model, frozen=True):
    """What became of one operation of a batch."""

    status: int
    order: Order | None = None
    fills: tuple[Fill, ...] | None = None
    problem: Problem | None = None

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.problem is None

    @property
    def error(self) -> ExchangeError | None:
        """What the single request would have raised."""
        return None if self.problem is None else error_of(self.problem)

    def unwrap(self) -> Order:
        """The order; raises what the single request would have raised."""
        if self.problem is not None:
            raise error_of(self.problem)
        assert self.order is not None
        return self.order


class DeadMansSwitch(Model, frozen=True):
    """When all open orders of an account are cancelled, unless it is set again; None: it is off."""

    seq: int
    sub_account: int
    cancel_all_at_ms: int | None


# ---- accounts ----------------------------------------------------------------------------------------


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

    @property
    def is_active(self) -> bool:
        return self.state == "active"


class Limit(Model, frozen=True):
    """A budget of requests: `burst` at once, and `per_s` more each second."""

    name: str
    scope: str
    burst: int
    per_s: float
    remaining: float
    full_in_ms: int | None = None


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
    base_fee_wei: int
    priority_fee_wei: int
    cost_wei: int
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
