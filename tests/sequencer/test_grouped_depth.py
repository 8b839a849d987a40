"""Depth by steps of price: exact, whole groups only, and never more levels read than allowed."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.core.words import Side
from exchange.edge.rest.markets import MAX_DEPTH, MAX_GROUPED_LEVELS
from exchange.sequencer.depth import DepthSide, GroupTooWide

LEVELS = st.dictionaries(st.integers(1, 2_000), st.integers(1, 2**63), max_size=60)


def side_of(side: Side, levels: dict[int, int]) -> DepthSide:
    depth = DepthSide(side)
    for price_ticks, size_lots in levels.items():
        depth.add(price_ticks, size_lots)
    return depth


@given(levels=LEVELS, step=st.integers(1, 3_000), groups=st.integers(1, 70), side=st.sampled_from(Side))
def test_groups_are_the_sums_of_their_levels_bids_rounded_down_and_asks_up(levels, step, groups, side):
    expected: Counter[int] = Counter()
    for price, size in levels.items():
        expected[price // step * step if side is Side.BUY else -(-price // step) * step] += size
    best_first = sorted(expected.items(), reverse=side is Side.BUY)
    assert side_of(side, levels).grouped(step, groups, 60) == best_first[:groups]


@given(levels=LEVELS, side=st.sampled_from(Side))
def test_groups_of_one_tick_are_the_levels_themselves(levels, side):
    depth = side_of(side, levels)
    assert depth.grouped(1, 1_000, 1_000) == depth.best(1_000)


@given(levels=LEVELS, step=st.integers(1, 300), most=st.integers(1, 60), side=st.sampled_from(Side))
def test_only_whole_groups_of_the_levels_that_may_be_read_are_given(levels, step, most, side):
    depth = side_of(side, dict.fromkeys(levels, 1))  # a group's size is the number of its levels
    whole = depth.grouped(step, 100, 60)
    if whole and whole[0][1] > most:
        with pytest.raises(GroupTooWide) as caught:
            depth.grouped(step, 100, most)
        assert (caught.value.price_ticks, caught.value.max_levels) == (whole[0][0], most)
        return
    found = depth.grouped(step, 100, most)
    assert found == whole[: len(found)]
    read = sum(size for _, size in found)
    assert read <= most
    assert len(found) == len(whole) or read + whole[len(found)][1] > most


@pytest.mark.parametrize("side", list(Side))
def test_of_a_hundred_thousand_levels_no_more_are_read_than_allowed(side):
    levels = dict.fromkeys(range(1_000_000, 1_100_000), 1)
    depth = side_of(side, levels)
    most = MAX_GROUPED_LEVELS
    assert most - 100 <= sum(size for _, size in depth.grouped(100, MAX_DEPTH, most)) <= most
    assert len(depth.grouped(10, MAX_DEPTH, most)) == min(MAX_DEPTH, most // 10)
    with pytest.raises(GroupTooWide):
        depth.grouped(10**9, 1, most)
