"""Gas fees: headroom, replacement and the cap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.chain.errors import FeeAboveCap
from exchange.chain.fees import GasFee, bumped_fee, first_fee

GWEI = 10**9


def test_the_first_fee_leaves_headroom_for_a_doubled_base_fee():
    assert first_fee(10 * GWEI, 2 * GWEI, 500 * GWEI) == GasFee(22 * GWEI, 2 * GWEI)


def test_the_headroom_shrinks_before_the_cap_is_exceeded():
    assert first_fee(10 * GWEI, 2 * GWEI, 15 * GWEI) == GasFee(15 * GWEI, 2 * GWEI)
    with pytest.raises(FeeAboveCap):
        first_fee(10 * GWEI, 2 * GWEI, 12 * GWEI - 1)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_replacement_raises_both_fees_by_an_eighth_and_stays_under_the_cap(base_fee, priority, extra):
    fee = GasFee(priority + extra, priority)
    try:
        bumped = bumped_fee(fee, base_fee, 10**12)
    except FeeAboveCap:
        assert fee.max_fee_wei * 9 > 10**12 * 8
        return
    assert bumped.max_fee_wei <= 10**12
    assert bumped.max_fee_wei * 8 >= fee.max_fee_wei * 9
    assert bumped.priority_fee_wei * 8 >= fee.priority_fee_wei * 9
    assert bumped.priority_fee_wei > fee.priority_fee_wei
