"""Another book's quotes as ours: a little wider, a share of the size, as far as the funds go. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from bots.quoting import BPS, ONE, ZERO, Funds, Quote, Unreasonable, affordable
from exchange_sdk.models import Level, Market


@dataclass(frozen=True, slots=True)
class OtherBook:
    """The other book at one moment, the best price first on both sides."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    @property
    def is_usable(self) -> bool:
        """Whether it has two sides that are apart; a book that is crossed is a feed in trouble."""
        return bool(self.bids and self.asks) and self.bids[0].price < self.asks[0].price


@dataclass(frozen=True, slots=True)
class Margin:
    """What is kept between the other book and ours."""

    bps: Decimal = Decimal(10)
    """How much worse our prices are: what trading there costs, and something for it."""
    size_share: Decimal = Decimal("0.5")
    """How much of the size there is offered here."""
    levels: int = 5
    """How many prices a side."""
    reserve: Decimal = Decimal("0.1")
    """The share of the funds that no quote uses."""

    def __post_init__(self) -> None:
        if self.bps < 0 or self.size_share <= 0 or self.levels < 1 or not ZERO <= self.reserve < ONE:
            raise Unreasonable(
                "a margin not below zero, a share above it, a level at least, a reserve below 1"
            )


def mirrored(market: Market, book: OtherBook, funds: Funds, margin: Margin) -> list[Quote]:
    """Bids and asks after the other book, best first; nothing after a book that is not usable.

    Prices are rounded away from the other side; levels that fall together on our tick are put together.
    """
    if not book.is_usable:
        return []
    fee = ONE + Decimal(max(market.maker_fee_bps, market.taker_fee_bps, 0)) / BPS
    spendable = ONE - margin.reserve
    bids = _levels(market, "buy", book.bids, margin)
    asks = _levels(market, "sell", book.asks, margin)
    return [
        *affordable(market, bids, funds.quote * spendable / fee),
        *affordable(market, asks, funds.base * spendable),
    ]


def _levels(market: Market, side: str, levels: Sequence[Level], margin: Margin) -> list[Quote]:
    sizes: dict[Decimal, Decimal] = {}
    for level in levels:
        if side == "buy":
            price = market.round_price(level.price * (ONE - margin.bps / BPS), "down")
        else:
            price = market.round_price(level.price * (ONE + margin.bps / BPS), "up")
        if price not in sizes and len(sizes) == margin.levels:
            break
        sizes[price] = sizes.get(price, ZERO) + level.size * margin.size_share
    return [
        Quote("buy" if side == "buy" else "sell", price, market.round_size(size))
        for price, size in sizes.items()
    ]
