"""The points at which a worker is made to die."""

from random import Random

import pytest
from scripts.chain_drill.faults import OF_DEPOSITS, OF_PAYMENTS, Fault, Injected
from scripts.chain_drill.points import LONG, POINTS, SentBytes, Step, Trigger, after, before, during
from scripts.chain_drill.scenarios import SCENARIOS

from exchange.chain.fees import GasFee
from exchange.chain.nonces import Attempt


class Died(BaseException):
    pass


def trigger(nth: int, *armed: str) -> Trigger:
    def die(point: str) -> None:
        raise Died(point)

    return Trigger(frozenset(armed), nth, die, Random(1))


async def test_a_worker_dies_at_the_nth_armed_point_that_it_passes():
    deadly = trigger(3, before(Step.APPROVE), after(Step.APPROVE))
    done = []

    async def work() -> None:
        done.append(True)

    await deadly.around(Step.SETTLE, work())
    await deadly.around(Step.APPROVE, work())
    second = work()
    with pytest.raises(Died, match=before(Step.APPROVE)):
        await deadly.around(Step.APPROVE, second)
    assert len(done) == 2
    second.close()


async def test_the_point_after_a_step_comes_when_the_step_is_done():
    deadly = trigger(1, after(Step.SETTLE))
    done = []

    async def work() -> None:
        done.append(True)

    with pytest.raises(Died):
        await deadly.around(Step.SETTLE, work())
    assert done == [True]


def test_each_step_has_its_points_once():
    assert len(POINTS) == len(set(POINTS))
    assert {during(step) for step in LONG} <= set(POINTS)
    assert all(before(step) in POINTS or step is Step.SEE_RECEIPT for step in Step)


def test_bytes_are_new_once_and_then_the_same_again():
    sent = SentBytes()
    sent.signed(Attempt("0x01", b"raw", GasFee(2, 1), 0), Step.SEND_REPLACEMENT)
    assert sent.sending(b"raw") is Step.SEND_REPLACEMENT
    assert sent.sending(b"raw") is Step.SEND_AGAIN
    assert sent.sending(b"of a former life") is Step.SEND_AGAIN


def test_a_fault_that_never_happened_is_told():
    injected = Injected()
    injected.note(Fault.REORG, 2)
    injected.note(Fault.NODE_HUNG, 0)
    assert injected.never([Fault.REORG, Fault.NODE_HUNG]) == [Fault.NODE_HUNG]
    assert injected[Fault.REORG] == 2


def test_every_fault_is_wanted_and_every_scenario_brings_one_that_is():
    assert set(OF_DEPOSITS) | set(OF_PAYMENTS) == set(Fault)
    assert {scenario.brings for scenario in SCENARIOS} <= set(OF_PAYMENTS)
