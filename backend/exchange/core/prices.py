"""Reference price and the bands around it: how far from the market an order may be priced."""

from exchange.core.book import Book
from exchange.core.markets import Market
from exchange.core.units import BPS_PER_ONE, MAX_PRICE_TICKS, div_ceil
from exchange.core.words import Side


def reference_ticks(book: Book) -> int | None:
    """The last price, brought between the best quotes where these have moved away from it.

    Without a trade yet, the middle of the quotes or the one there is; None when there is nothing at all.
    """
    bid, ask = book.bids.best_ticks(), book.asks.best_ticks()
    if book.last_ticks:
        reference = book.last_ticks
        if ask is not None:
            reference = min(reference, ask)
        if bid is not None:
            reference = max(reference, bid)
        return reference
    if bid is not None and ask is not None:
        return (bid + ask) // 2
    return ask if bid is None else bid


def worst_ticks(side: Side, reference: int, band_bps: int) -> int:
    """The last price inside a band around the reference, on the side that is worse for the order."""
    if side is Side.BUY:
        return min(reference * (BPS_PER_ONE + band_bps) // BPS_PER_ONE, MAX_PRICE_TICKS)
    return max(div_ceil(reference * (BPS_PER_ONE - band_bps), BPS_PER_ONE), 1)


def is_outside_band(market: Market, side: Side, price_ticks: int, reference: int | None) -> bool:
    """Whether a price gives away more than the market's band allows. Without a reference there is no band."""
    if market.price_band_bps == 0 or reference is None:
        return False
    worst = worst_ticks(side, reference, market.price_band_bps)
    return price_ticks > worst if side is Side.BUY else price_ticks < worst
