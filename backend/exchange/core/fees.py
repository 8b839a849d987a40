"""Fees: in quote atoms, cumulative per order, rounded up once in all.

An order that filled for notionals n1, n2, ... at rates r1, r2, ... (bps) has paid
`div_ceil(n1*r1 + n2*r2 + ..., 10_000)` in total, however many fills it took.
"""

from exchange.core.orders import Order
from exchange.core.units import BPS_PER_ONE, div_ceil


def next_fee_atoms(order: Order, notional_atoms: int, rate_bps: int) -> int:
    """What the order owes for one more fill."""
    total = div_ceil(order.fee_numerator + notional_atoms * rate_bps, BPS_PER_ONE)
    return total - order.fee_charged_atoms


def charge(order: Order, notional_atoms: int, rate_bps: int, fee_atoms: int) -> None:
    """Records a fee found by `next_fee_atoms` as charged."""
    order.fee_numerator += notional_atoms * rate_bps
    order.fee_charged_atoms += fee_atoms
    assert order.fee_charged_atoms == div_ceil(order.fee_numerator, BPS_PER_ONE)


def reserve_atoms(order: Order, remaining_notional_atoms: int) -> int:
    """Largest fee that the order can still be charged for a remaining notional."""
    rate_bps = max(order.maker_fee_bps, order.taker_fee_bps)
    worst = div_ceil(order.fee_numerator + remaining_notional_atoms * rate_bps, BPS_PER_ONE)
    return worst - order.fee_charged_atoms
