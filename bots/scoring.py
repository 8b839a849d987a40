"""The logarithmic market scoring rule, for one asset whose price has a floor and a cap. No I/O, Decimal only.

A market maker that never runs out of quotes and can lose no more than a known amount. With x of the base sold
so far, it has asked for C(x) - C(0) in all, where

    C(x) = floor * x + (cap - floor) * b * ln(1 + exp((x + x0) / b))

so its price, the slope of C, is floor + (cap - floor) / (1 + exp(-(x + x0) / b)): always between the two, and
the higher the more it has sold. b is its depth, in units of base. x0 puts the first price where it is wanted.

Whatever the base is worth in the end, between floor and cap, the maker loses at most (cap - floor) * b * ln(1
/ p), where p is how far the first price is from the floor or the cap, whichever is nearer, as a share of
their distance: that is what C falls short of the dearest claim, however much was sold. An ask is at least
what C rises by when the order is filled, a bid at most what C falls by, fees included, so trading at them
never adds to the loss; nor does trading at a part of them, because C is convex. Only fees are rounded up, to
an atom a fill.

Source: R. Hanson, Logarithmic market scoring rules for modular combinatorial information aggregation, 2003.
"""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal, localcontext

from bots.quoting import BPS, ONE, ZERO, Funds, Quote, Unreasonable, affordable
from exchange_sdk.models import Market

_PRECISION = 60
"""Digits that are computed with: far more than those of prices, so that rounding to ticks decides."""
_FINE = Decimal("1e-30")


@dataclass(frozen=True, slots=True)
class ScoringRule:
    """One maker's rule. `depth` in base, prices in quote."""

    floor: Decimal
    cap: Decimal
    first_price: Decimal
    depth: Decimal

    def __post_init__(self) -> None:
        if not ZERO <= self.floor < self.first_price < self.cap:
            raise Unreasonable("the first price must be between the floor, not below zero, and the cap")
        if self.depth <= 0:
            raise Unreasonable("the depth must be above zero")

    @property
    def worst_loss(self) -> Decimal:
        """The most that can be lost, in quote, whatever happens and whatever the base is worth in the end."""
        with localcontext(Context(prec=_PRECISION)):
            share = (self.first_price - self.floor) / (self.cap - self.floor)
            return -(self.cap - self.floor) * self.depth * min(share, ONE - share).ln()

    def cost(self, sold: Decimal) -> Decimal:
        """C: what must have been taken in, above C(0), when so much has been sold (below zero: bought)."""
        with localcontext(Context(prec=_PRECISION)):
            x = (sold + self._offset) / self.depth
            # ln(1 + e^x), by the side on which the exponential is small
            soft = max(x, ZERO) + (ONE + (-abs(x)).exp()).ln()
            return self.floor * sold + (self.cap - self.floor) * self.depth * soft

    def price(self, sold: Decimal) -> Decimal:
        """What the next bit costs."""
        with localcontext(Context(prec=_PRECISION)):
            small = (-abs(x := (sold + self._offset) / self.depth)).exp()
            share = (ONE if x >= 0 else small) / (ONE + small)
            return self.floor + (self.cap - self.floor) * share

    def quotes(
        self, market: Market, sold: Decimal, size: Decimal, layers: int, funds: Funds, reserve: Decimal
    ) -> list[Quote]:
        """Asks for what it would sell next and bids for what it would take back, `layers` times `size` each.

        Best first, in whole ticks, rounded in the maker's favour; the maker's fee is in the prices.
        """
        with localcontext(Context(prec=_PRECISION)):
            asks, bids = [], []
            fee = Decimal(max(market.maker_fee_bps, 0)) / BPS
            for layer in range(layers):
                near, far = sold + layer * size, sold + (layer + 1) * size
                ask = (self.cost(far) - self.cost(near)) / size / (ONE - fee)
                ask = market.round_price(ask.quantize(_FINE, ROUND_UP), "up")
                asks.append(Quote("sell", ask, size))
                near, far = sold - layer * size, sold - (layer + 1) * size
                bid = (self.cost(near) - self.cost(far)) / size / (ONE + fee)
                bid = market.round_price(bid.quantize(_FINE, ROUND_DOWN), "down")
                bids.append(Quote("buy", bid, size))
            spendable = ONE - reserve
            return [
                *affordable(market, bids, funds.quote * spendable / (ONE + fee)),
                *affordable(market, asks, funds.base * spendable),
            ]

    @property
    def _offset(self) -> Decimal:
        share = (self.first_price - self.floor) / (self.cap - self.floor)
        return self.depth * (share / (ONE - share)).ln()
