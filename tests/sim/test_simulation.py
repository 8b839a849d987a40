"""The simulator: nothing is wrong in its worlds, they repeat exactly, and a planted fault is found."""

import os
import subprocess
import sys

import pytest
from tests.sim import exchange_process
from tests.sim import run as simulation
from tests.sim.faults import EVERY

from exchange.journal.log import JournalLog
from exchange.journal.recovery import Recovered

COMMANDS = 120


@pytest.mark.parametrize("seed", range(301, 305))
def test_every_promise_is_kept_in_a_simulated_world(seed: int) -> None:
    report = simulation.run(seed, COMMANDS)
    assert report.failure == ""
    assert report.acknowledged > 0
    assert sum(report.fired.values()) > 0


def test_the_same_seed_is_the_same_world_whatever_the_hash_seed() -> None:
    code = "from tests.sim.run import run; print(run(7, 80).trace_hash)"
    traces = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        ).stdout
        for hash_seed in ("0", "1")
    }
    assert len(traces) == 1


def test_another_seed_is_another_world() -> None:
    assert simulation.run(7, 40).trace_hash != simulation.run(8, 40).trace_hash


def test_every_fault_is_one_that_can_be_asked_for() -> None:
    assert len(EVERY) == len(set(EVERY))


def test_an_engine_that_answers_without_committing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: now and then the batch is taken for committed and is not in the journal."""
    real = JournalLog.append
    appended = 0

    async def forgetful(log: JournalLog, *batch: object) -> None:
        nonlocal appended
        appended += 1
        if appended % 10:
            await real(log, *batch)  # type: ignore[arg-type]

    monkeypatch.setattr(JournalLog, "append", forgetful)
    assert simulation.run(7, COMMANDS).failure


def test_an_engine_that_forgets_over_a_restart_which_nonces_were_used_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A planted fault: keys are recovered, and what they have signed is not."""
    real = exchange_process.recover

    async def forgetful(*journal: object) -> Recovered:
        recovered = await real(*journal)  # type: ignore[arg-type]
        for agent in recovered.state.agents.values():
            agent.nonces.clear()
        return recovered

    assert simulation.run(3, COMMANDS).failure == ""
    monkeypatch.setattr(exchange_process, "recover", forgetful)
    assert "nonces of the journal" in simulation.run(3, COMMANDS).failure
