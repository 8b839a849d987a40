"""What can be subscribed to: a channel, and of what."""

from enum import StrEnum
from typing import NamedTuple


class Channel(StrEnum):
    """The kinds of streams."""

    BOOK = "book"
    BBO = "bbo"
    TRADES = "trades"
    TICKER = "ticker"
    CANDLES = "candles"
    ORDERS = "orders"
    FILLS = "fills"
    BALANCES = "balances"
    DEPOSITS = "deposits"
    WITHDRAWALS = "withdrawals"


PRIVATE_CHANNELS = frozenset(
    {Channel.ORDERS, Channel.FILLS, Channel.BALANCES, Channel.DEPOSITS, Channel.WITHDRAWALS}
)
"""Of an account; all others are of a market."""


class TopicKey(NamedTuple):
    """Names one stream: public ones by market (candles by interval too), private ones by account.

    Deposits and withdrawals are the owner's, and go by the owner's main account.
    """

    channel: Channel
    market_id: int = 0
    interval: str = ""
    account_id: int = 0

    @property
    def is_private(self) -> bool:
        return self.channel in PRIVATE_CHANNELS
