"""When people are told that nothing is credited: not for one lie, but also when it comes now and then."""

import pytest
from tests.chain.conftest import Witness

from exchange.chain.crediting_alarm import STOPPED_S, CreditingAlarm
from exchange.chain.errors import DepositGap, RpcUnavailable

GAP = DepositGap(3, 5)
SILENT = RpcUnavailable("eth_chainId", "test")


class Time:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def alarm(witness: Witness, time: Time) -> CreditingAlarm:
    return CreditingAlarm(witness.alert, time)


def test_a_condition_alerts_when_it_is_found_twice_in_a_row_and_once_until_all_is_well(alarm, witness):
    alarm.failed(GAP)
    assert witness.alerts == []
    for _ in range(3):
        alarm.failed(GAP)
    assert witness.alerts == [("crediting_stopped", str(GAP))]
    alarm.credited(10)
    for _ in range(2):
        alarm.failed(GAP)
    assert len(witness.alerts) == 2


def test_a_node_that_does_not_answer_alerts_after_minutes_and_once(alarm, witness, time):
    alarm.credited(10)
    for _ in range(3):
        alarm.failed(SILENT)
        time.now_s += STOPPED_S / 3
    assert witness.alerts == []
    time.now_s += 1
    for _ in range(3):
        alarm.failed(SILENT)
    assert witness.alerts == [("crediting_stopped", f"nothing was credited for 301 s; last fault: {SILENT}")]


def test_a_node_that_succeeds_only_where_everything_is_credited_already_alerts_after_minutes(
    alarm, witness, time
):
    """It shows its old head in every second pass, and a new one with logs that do not fit in between."""
    alarm.credited(10)
    for _ in range(20):
        alarm.confirmed(12)
        alarm.failed(GAP)
        alarm.confirmed(10)
        alarm.credited(10)
        time.now_s += STOPPED_S / 10
    assert len(witness.alerts) == 1
    assert witness.alerts[0][1].endswith(str(GAP))


def test_a_node_that_fails_now_and_then_alerts_nobody(alarm, witness, time):
    for number in range(10, 30):
        for error in (GAP, SILENT, SILENT):
            alarm.confirmed(number)
            alarm.failed(error)
        alarm.confirmed(number)
        alarm.credited(number)
        time.now_s += STOPPED_S / 2
    assert witness.alerts == []


def test_a_head_that_was_never_there_is_told_of_once_and_then_forgotten(alarm, witness, time):
    alarm.confirmed(10**9)
    for number in range(10, 20):
        alarm.confirmed(number)
        alarm.credited(number)
        time.now_s += STOPPED_S / 4
    assert len(witness.alerts) == 1
    for _ in range(2):
        alarm.failed(GAP)
    assert len(witness.alerts) == 2


def test_a_long_history_is_no_reason_for_alarm_but_standing_still_in_it_is(alarm, witness, time):
    for _ in range(5):
        alarm.confirmed(1_000)
        alarm.scanned()
        time.now_s += STOPPED_S - 1
    assert witness.alerts == []
    time.now_s += 2
    alarm.failed(SILENT)
    assert len(witness.alerts) == 1


def test_after_the_first_credit_scanning_alone_is_not_enough(alarm, witness, time):
    alarm.credited(10)
    for _ in range(3):
        time.now_s += STOPPED_S / 2
        alarm.scanned()
        alarm.failed(SILENT)
    assert len(witness.alerts) == 1


def test_a_pass_that_waits_for_the_node_does_not_count_as_credit(alarm, witness, time):
    alarm.credited(10)
    time.now_s += STOPPED_S + 1
    alarm.look()
    assert witness.alerts == [("crediting_stopped", "nothing was credited for 301 s; last fault: none")]
