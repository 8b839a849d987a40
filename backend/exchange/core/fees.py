"""Fees: in quote atoms, cumulative per order, rounded up once in all.

An order that filled for notionals n1, n2, ... at rates r1, r2, ... (bps) has paid
`div_ceil(n1*r1 + n2*r2 + ..., 10_000)` in total, however many fills it took. A negative rate is a rebate, and
the same formula rounds it down.
"""

from exchange.core.orders import Order
from exchange.core.units import BPS_PER_ONE


def charge(order: Order, notional_atoms: int, rate_bps: int) -> int:
    """Records one more fill and returns what the order owes for it; negative for a rebate."""
    numerator = order.fee_numerator + notional_atoms * rate_bps
    total_atoms = -(-numerator // BPS_PER_ONE)  # div_ceil without the call: twice a fill
    fee_atoms = total_atoms - order.fee_charged_atoms
    order.fee_numerator = numerator
    order.fee_charged_atoms = total_atoms
    return fee_atoms


def reserve_atoms(order: Order, remaining_notional_atoms: int) -> int:
    """Largest fee that the order can still be charged for a remaining notional."""
    rate_bps = order.taker_fee_bps
    if order.maker_fee_bps > rate_bps:  # noqa: PLR1730 - a call of max() costs as much as all the rest
        rate_bps = order.maker_fee_bps
    numerator = order.fee_numerator + remaining_notional_atoms * rate_bps
    return -(-numerator // BPS_PER_ONE) - order.fee_charged_atoms  # div_ceil without the call


def spendable_atoms(amount_atoms: int, rate_bps: int) -> int:
    """Largest notional that an amount pays for together with its fee."""
    return amount_atoms * BPS_PER_ONE // (BPS_PER_ONE + rate_bps)
