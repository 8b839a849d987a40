import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sequencer.engine import HandClock

from exchange.sequencer.clock import MAX_STEP_NS, Clock, ClockStepped, steady_ns


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(-MAX_STEP_NS, MAX_STEP_NS)), max_size=30))
def test_time_never_goes_back_and_follows_the_wall_within_the_allowed_step(
    steps: list[tuple[int, int]],
) -> None:
    clock = HandClock()
    last = 0
    for passed_ns, drift_ns in steps:
        clock.pass_time(passed_ns)
        clock.wall_ns += drift_ns
        now = clock.now_ns()
        assert now >= max(last, clock.wall_ns)
        last = now


@pytest.mark.parametrize("step_ns", [MAX_STEP_NS, -MAX_STEP_NS])
def test_a_step_of_a_second_is_tolerated(step_ns: int) -> None:
    clock = HandClock()
    before = clock.now_ns()
    clock.wall_ns += step_ns
    assert clock.now_ns() >= before


@pytest.mark.parametrize("step_ns", [MAX_STEP_NS + 1, -MAX_STEP_NS - 1, 10**18])
def test_a_larger_step_either_way_is_refused_with_its_size(step_ns: int) -> None:
    clock = HandClock()
    clock.now_ns()
    clock.wall_ns += step_ns
    with pytest.raises(ClockStepped) as caught:
        clock.now_ns()
    assert caught.value.step_ns == step_ns


def test_time_spent_asleep_is_no_step() -> None:
    clock = HandClock()
    clock.pass_time(3_600 * 10**9)
    assert clock.now_ns() == clock.wall_ns


def test_a_clock_behind_the_journal_is_refused_at_the_start() -> None:
    HandClock(last_ns=5_000_000_000, wall_ns=4_000_000_000)
    with pytest.raises(ClockStepped):
        HandClock(last_ns=5_000_000_001, wall_ns=4_000_000_000)


def test_a_new_engine_never_stamps_before_the_last_batch_of_the_old_one() -> None:
    clock = HandClock(last_ns=5_000_000_000, wall_ns=4_500_000_000)
    assert clock.now_ns() == 5_000_000_000
    clock.pass_time(400_000_000)
    assert clock.now_ns() == 5_000_000_000
    clock.pass_time(200_000_000)
    assert clock.now_ns() == 5_100_000_000


def test_slow_drift_below_the_limit_is_not_summed_up() -> None:
    """Slewing by the system's time service is followed, however long it goes on."""
    clock = HandClock()
    for _ in range(100):
        clock.pass_time(10**9)
        clock.wall_ns += 500_000
        clock.now_ns()
    assert clock.now_ns() == clock.wall_ns


def test_the_systems_own_clocks_work_together() -> None:
    clock = Clock(0)
    first, second = clock.now_ns(), clock.now_ns()
    assert 0 <= second - first < 10**9
    assert abs(first - time.time_ns()) < 10**9
    assert steady_ns() <= steady_ns()
