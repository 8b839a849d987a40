"""Quotes in layers around a price, leaned against what is held already. No I/O, no clock, Decimal only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from exchange_sdk.models import Market, Side

BPS = Decimal(10_000)
ZERO = Decimal(0)
ONE = Decimal(1)
MOST_LAYERS = 1_000


class Unreasonable(ValueError):
    """Parameters that make no sense; the message says which."""


@dataclass(frozen=True, slots=True)
class Quote:
    """An order that shall stand in the book."""

    side: Side
    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True)
class Funds:
    """What a market's quotes may use: whole holdings, whatever orders hold of them included."""

    base: Decimal
    quote: Decimal


@dataclass(frozen=True, slots=True)
class Layers:
    """How quotes lie around the price. Widths are in basis points of it."""

    count: int = 5
    half_spread_bps: Decimal = Decimal(5)
    """From the price to the first layer."""
    step_bps: Decimal = Decimal(5)
    """From each layer to the next."""
    share: Decimal = Decimal("0.002")
    """Worth of the first layer, as a share of what the funds are worth."""
    growth: Decimal = Decimal("1.4")
    """Each layer is so much larger than the one before."""
    skew_bps: Decimal = Decimal(20)
    """How far the whole lot moves, at most, when everything is held in one of the two assets."""
    reserve: Decimal = Decimal("0.1")
    """The share of the funds that no quote uses: fees, and room to move orders one after the other."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise Unreasonable("at least one layer is needed")
        if self.count > MOST_LAYERS:
            raise Unreasonable(f"more than {MOST_LAYERS} layers are too many")
        if self.half_spread_bps <= 0 or self.step_bps < 0 or self.share <= 0 or self.growth <= 0:
            raise Unreasonable("widths, share and growth must be above zero")
        if not ZERO <= self.reserve < ONE or self.skew_bps < 0:
            raise Unreasonable("the reserve is a share below 1, the skew not below zero")


def lean(price: Decimal, funds: Funds, target_share: Decimal = Decimal("0.5")) -> Decimal:
    """How one-sided holdings are: 1 when all is base, -1 when all is quote, 0 at the target share of base.

    `target_share` is that of the base in the worth of both, above 0 and below 1.
    """
    base_worth = funds.base * price
    worth = base_worth + funds.quote
    if worth <= 0:
        return ZERO
    share = base_worth / worth
    if share >= target_share:
        return (share - target_share) / (ONE - target_share)
    return (share - target_share) / target_share


def layered(
    market: Market,
    price: Decimal,
    funds: Funds,
    layers: Layers,
    target_share: Decimal = Decimal("0.5"),
) -> list[Quote]:
    """Bids and asks around the price, best first, in whole ticks and lots, and never more than the funds.

    With too much base the whole lot lies lower and its bids get smaller, with too little the other way round.
    """
    held = lean(price, funds, target_share)
    middle = price * (ONE - held * layers.skew_bps / BPS)
    bids: list[Quote] = []
    asks: list[Quote] = []
    amount = layers.share * (funds.base * price + funds.quote)
    for layer in range(layers.count):
        away = (layers.half_spread_bps + layer * layers.step_bps) / BPS
        bid = market.round_price(middle * (ONE - away), "down")
        ask = market.round_price(middle * (ONE + away), "up")
        bids.append(Quote("buy", bid, market.round_size(amount * min(ONE, ONE - held) / price)))
        asks.append(Quote("sell", ask, market.round_size(amount * min(ONE, ONE + held) / price)))
        amount *= layers.growth
    spendable = ONE - layers.reserve
    fee = ONE + Decimal(max(market.maker_fee_bps, market.taker_fee_bps, 0)) / BPS
    return [
        *affordable(market, _distinct(bids), funds.quote * spendable / fee),
        *affordable(market, _distinct(asks), funds.base * spendable),
    ]


def affordable(market: Market, quotes: Iterable[Quote], funds: Decimal) -> list[Quote]:
    """As many of them as the funds pay for, the last perhaps smaller: quote for bids, base for asks."""
    taken: list[Quote] = []
    left = funds
    for quote in quotes:
        if quote.price <= 0:
            continue
        unit = quote.price if quote.side == "buy" else ONE
        size = min(quote.size, market.round_size(max(left, ZERO) / unit))
        if size > 0:
            taken.append(Quote(quote.side, quote.price, size))
            left -= size * unit
        if size < quote.size:
            break
    return taken


def _distinct(quotes: Sequence[Quote]) -> list[Quote]:
    """Without quotes at a price that another has already: on a coarse tick layers can fall together."""
    by_price = {quote.price: quote for quote in reversed(quotes)}
    return [quote for quote in quotes if by_price[quote.price] is quote]
