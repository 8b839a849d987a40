"""Assets and markets: the numbers that make every notional exact.

A market fixes a tick (quote per one base) and a lot (base atoms). One tick times one lot must be a whole
number of quote atoms, `unit_atoms`; then `price_ticks * size_lots * unit_atoms` is the exact notional of
any fill and nothing is ever rounded.
"""

from dataclasses import dataclass
from typing import Final

from exchange.core.units import format_atoms
from exchange.core.words import MarketState

NATIVE_TOKEN: Final = "0x" + "00" * 20
"""The token address that stands for the chain's own coin."""

MAX_DECIMALS: Final = 36

DEFAULT_MARKET_BAND_BPS: Final = 500
"""How far from the reference price a market order without a worst price may go."""

MAX_FEE_TIERS: Final = 16


@dataclass(slots=True)
class Asset:
    """One asset and its route to a chain. An unlisted asset only ever has suspense balances."""

    asset_id: int
    symbol: str
    decimals: int
    chain_id: int
    vault: str
    token: str
    withdrawal_fee_atoms: int
    min_withdrawal_atoms: int
    listed: bool


@dataclass(slots=True)
class Market:
    """One spot market. `tick` is `tick_mantissa / 10**tick_decimals` quote per base.

    `maker_fee_bps` and `taker_fee_bps` are the rates of fee tier 0, `fee_tiers` those of tier 1, 2, ...; a
    negative maker rate is a rebate.
    """

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
    state: MarketState = MarketState.OPEN
    price_band_bps: int = 0
    market_band_bps: int = DEFAULT_MARKET_BAND_BPS
    fee_tiers: tuple[tuple[int, int], ...] = ()

    def rates_bps(self, tier: int) -> tuple[int, int]:
        """(maker, taker) of a fee tier; a tier beyond the table has the last rates there are."""
        if tier == 0 or not self.fee_tiers:
            return self.maker_fee_bps, self.taker_fee_bps
        return self.fee_tiers[min(tier, len(self.fee_tiers)) - 1]

    def notional_atoms(self, price_ticks: int, size_lots: int) -> int:
        """Exact quote atoms of a size at a price."""
        return price_ticks * size_lots * self.unit_atoms

    def base_atoms(self, size_lots: int) -> int:
        return size_lots * self.lot_atoms

    @property
    def tick(self) -> str:
        """The tick as a decimal string, quote per base."""
        return format_atoms(self.tick_mantissa, self.tick_decimals)

    @property
    def lot(self) -> str:
        """The lot as a decimal string, in base."""
        return format_atoms(self.lot_atoms, self.base_decimals)

    def format_price(self, price_ticks: int) -> str:
        return format_atoms(price_ticks * self.tick_mantissa, self.tick_decimals)

    def format_size(self, size_lots: int) -> str:
        return format_atoms(size_lots * self.lot_atoms, self.base_decimals)


def exact_unit_atoms(
    tick_mantissa: int, tick_decimals: int, lot_atoms: int, base_decimals: int, quote_decimals: int
) -> int | None:
    """Quote atoms of one tick times one lot, or None when that is not a whole positive number."""
    numerator: int = tick_mantissa * lot_atoms * 10**quote_decimals
    denominator: int = 10 ** (tick_decimals + base_decimals)
    unit_atoms, remainder = divmod(numerator, denominator)
    if remainder or unit_atoms < 1:
        return None
    return unit_atoms
