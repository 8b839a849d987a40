"""The words of orders, markets, accounts and agents that commands, events, the state and the API share.

Not compiled: an enum gains nothing by it and would lose its docstring, which the API's documentation shows.
"""

from enum import StrEnum


class Side(StrEnum):
    """Which side of the book: a buy gives quote for base."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """Whether the order may rest at its price."""

    LIMIT = "limit"
    MARKET = "market"
    """Takes what is there at the worst price or better, never rests."""


class TimeInForce(StrEnum):
    """How long, and on which condition, the order stands."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"
    GTT = "gtt"
    """Good till a time, which comes with the order."""


class TriggerKind(StrEnum):
    """On which move of the last price a waiting order begins to trade."""

    STOP = "stop"
    """A buy when the price rises to the trigger, a sell when it falls to it."""
    TAKE_PROFIT = "take_profit"
    """A buy when the price falls to the trigger, a sell when it rises to it."""


class SelfTradePrevention(StrEnum):
    """What gives way when an owner's order meets an order of the same owner. The taker's mode rules."""

    CANCEL_NEWEST = "cancel_newest"
    CANCEL_OLDEST = "cancel_oldest"
    CANCEL_BOTH = "cancel_both"
    DECREMENT = "decrement"
    """Both lose the smaller of the two sizes; no trade, no fee."""


class EndReason(StrEnum):
    """Why an order is no longer open."""

    FILLED = "filled"
    CANCELLED = "cancelled"
    UNFILLED = "unfilled"
    """The rest of an order that may not rest (IOC, market), or a triggered FOK that could not be filled."""
    SELF_TRADE = "self_trade"
    WORK_LIMIT = "work_limit"
    EXPIRED = "expired"
    CANCEL_ALL_AFTER = "cancel_all_after"
    """The owner's dead man's switch was not renewed."""
    POST_ONLY_WOULD_CROSS = "post_only_would_cross"
    """A triggered post-only order that would have taken liquidity."""
    ACCOUNT_FROZEN = "account_frozen"
    """The operator froze its account."""


class MarketState(StrEnum):
    """What may be done in a market."""

    PRE_OPEN = "pre_open"
    """Makers build the book: limit orders that rest and cross nothing; no trades."""
    OPEN = "open"
    POST_ONLY = "post_only"
    """Only post-only orders are taken; nothing trades."""
    CANCEL_ONLY = "cancel_only"
    HALTED = "halted"
    """Nothing is taken, cancels included; what owners asked for before (expiry, switches) still happens."""


class AccountState(StrEnum):
    """What an account may do."""

    ACTIVE = "active"
    CANCEL_ONLY = "cancel_only"
    """It takes on nothing new; what it has goes on, and its money may leave."""
    FROZEN = "frozen"
    """It has no open orders, and nothing moves but what the chain decides."""


class AgentScope(StrEnum):
    """What a key may do that an owner has approved. One does not imply the other."""

    READ = "read"
    TRADE = "trade"


class RateClass(StrEnum):
    """How much an owner may ask for in a time; the edges know the numbers."""

    STANDARD = "standard"
    MARKET_MAKER = "market_maker"
