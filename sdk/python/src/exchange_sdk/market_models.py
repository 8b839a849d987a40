"""The exchange, its markets, and what happens in them."""

from datetime import datetime
from decimal import Decimal

from exchange_sdk.numbers import Number, Rounding, half_way, round_to
from exchange_sdk.words import Level, Model, Side, utc


class ServerTime(Model, frozen=True):
    """The exchange's clock.

    `decided_until_ms`: what could be taken until before then and is not there as of `seq` never will be.
    """

    seq: int
    time_ms: int
    decided_until_ms: int | None = None


class Deployment(Model, frozen=True):
    """Which exchange this is: what every signature is bound to."""

    seq: int
    genesis_id: str
    chain_id: int
    vault: str
    confirmations: int | None
    withdrawals_halted: bool
    host: str
    rpc_url: str | None = None
    """A node of the chain that wallets may use."""
    faucet: bool = False
    """Whether there are test funds to be had."""


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
        return half_way(self.bids[0].price, self.asks[0].price)


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
