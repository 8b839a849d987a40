"""A stream of takers: market orders at random times, of random sizes, that leave the book standing. No I/O.

Times between orders are exponential, so that orders are a Poisson process. The same seed gives the same
stream for the same books.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from bots.quoting import BPS, ONE, ZERO, Funds, Unreasonable, lean
from exchange_sdk.models import Level, Market, Side

_MICRO = 10**6


@dataclass(frozen=True, slots=True)
class Flow:
    """How much is taken."""

    per_s: Decimal = Decimal("0.5")
    """Orders a second, on average."""
    mean_share: Decimal = Decimal("0.01")
    """What an order takes on average, as a share of one side of the book within reach."""
    most_share: Decimal = Decimal("0.25")
    """The most that it takes."""
    reach_bps: Decimal = Decimal(50)
    """How far from the best price an order may trade."""
    lean_share: Decimal = Decimal("0.4")
    """How much holdings that are one-sided sway the choice between buying and selling, 0 to 0.5."""

    def __post_init__(self) -> None:
        if self.per_s <= 0 or self.reach_bps <= 0:
            raise Unreasonable("rate and reach must be above zero")
        if not ZERO < self.mean_share <= self.most_share < ONE:
            raise Unreasonable("an order takes a share of the book above 0 and below 1")
        if not ZERO <= self.lean_share <= Decimal("0.5"):
            raise Unreasonable("holdings sway the choice by 0 to 0.5")


@dataclass(frozen=True, slots=True)
class Take:
    """A market order, and the worst price it may trade at."""

    side: Side
    size: Decimal
    worst_price: Decimal


class Takers:
    """Draws the orders."""

    def __init__(self, flow: Flow, seed: int) -> None:
        self._flow = flow
        self._random = random.Random(seed)  # noqa: S311 - a market's noise, no secret

    def wait_s(self) -> float:
        """Seconds until the next order."""
        return self._random.expovariate(float(self._flow.per_s))

    def take(self, market: Market, bids: Sequence[Level], asks: Sequence[Level], funds: Funds) -> Take | None:
        """The next order on this book; None when it is too thin, or nothing is left to trade with."""
        draw, size_draw = self._random.random(), self._random.expovariate(1.0)
        if not bids or not asks:
            return None
        price = (bids[0].price + asks[0].price) / 2
        buys = Decimal(draw) < Decimal("0.5") - self._flow.lean_share * lean(price, funds)
        levels, side = (asks, "buy") if buys else (bids, "sell")
        reach = ONE + self._flow.reach_bps / BPS if buys else ONE - self._flow.reach_bps / BPS
        worst = market.round_price(levels[0].price * reach, "down" if buys else "up")
        within = [level for level in levels if (level.price <= worst if buys else level.price >= worst)]
        if len(within) < 2:
            return None  # the last price of a side is left to it
        reachable = sum((level.size for level in within), ZERO)
        drawn = reachable * self._flow.mean_share * Decimal(int(size_draw * _MICRO)) / _MICRO
        fee = ONE + Decimal(max(market.taker_fee_bps, 0)) / BPS
        limits = (
            drawn,
            reachable * self._flow.most_share,
            funds.quote / (worst * fee) if buys else funds.base,
        )
        size = market.round_size(max(min(limits), ZERO))
        return Take("buy" if side == "buy" else "sell", size, worst) if size > 0 else None
