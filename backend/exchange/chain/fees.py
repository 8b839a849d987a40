"""What a transaction offers for its gas (EIP-1559), and how a stuck one offers more."""

from dataclasses import dataclass

from exchange.chain.errors import FeeAboveCap
from exchange.core.units import div_ceil


@dataclass(frozen=True, slots=True)
class GasFee:
    """Wei per gas: at most `max_fee_wei` in all, of which `priority_fee_wei` to the block's producer."""

    max_fee_wei: int
    priority_fee_wei: int


def first_fee(base_fee_wei: int, priority_fee_wei: int, cap_wei: int) -> GasFee:
    """Twice the base fee, good for about six full blocks in a row. Raises FeeAboveCap.

    The headroom shrinks before the cap is exceeded; a base fee with which nothing is left is refused.
    """
    if base_fee_wei + priority_fee_wei > cap_wei:
        raise FeeAboveCap(base_fee_wei + priority_fee_wei, cap_wei)
    return GasFee(min(2 * base_fee_wei + priority_fee_wei, cap_wei), priority_fee_wei)


def bumped_fee(fee: GasFee, base_fee_wei: int, cap_wei: int) -> GasFee:
    """Both fees raised by 12.5 %, and to today's first fee if that is more. Raises FeeAboveCap.

    Nodes take a replacement only when both fees are at least 10 % higher.
    """
    priority_fee_wei = div_ceil(fee.priority_fee_wei * 9, 8) or 1
    max_fee_wei = max(div_ceil(fee.max_fee_wei * 9, 8), 2 * base_fee_wei + priority_fee_wei)
    if max_fee_wei > cap_wei:
        max_fee_wei = cap_wei
        if max_fee_wei < div_ceil(fee.max_fee_wei * 9, 8):
            raise FeeAboveCap(div_ceil(fee.max_fee_wei * 9, 8), cap_wei)
    return GasFee(max_fee_wei, priority_fee_wei)
