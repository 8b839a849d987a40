"""The drill as a whole: it can fail, its plans repeat, and it leaves nothing behind however it ends."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
import scripts.crash.__main__ as crash
from scripts.crash.compare import lost
from scripts.crash.drill import Figures, Plan
from scripts.crash.processes import descendants, is_running
from scripts.crash.venue import Target, VenueFailed

ROOT = Path(__file__).parents[2]
DRILL_S = 200
START_S = 60
END_S = 40

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of mode 0700 with a short name: Postgres' socket will be in it."""
    made = Path(tempfile.mkdtemp(prefix="drill-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@contextmanager
def drill(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A drill that keeps its own folder within this one."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.crash", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_the_engine(process: subprocess.Popen[str], folder: Path) -> set[int]:
    """Waits until the exchange serves; every process of the drill."""
    deadline = time.monotonic() + START_S
    while not any("started" in log.read_text() for log in folder.glob("*/engine.log")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return set(descendants(process.pid))


def wait_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + END_S
    while left := [pid for pid in pids if is_running(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_a_database_that_acknowledges_too_early_is_caught(folder: Path) -> None:
    with drill(folder, "--cycles", "1", "--seed", "1", "--unsafe") as process:
        output, _ = process.communicate(timeout=DRILL_S)
    assert process.returncode == 1, output
    last_line = output.splitlines()[-1]
    figures = re.fullmatch(
        r"crash: cycles=1 acked=\d+ lost=(\d+) duplicated=\d+ restart_p99_s=\d+\.\d\d", last_line
    )
    assert figures is not None, output
    assert int(figures[1]) > 0
    assert "is not in the journal" in output
    assert "SEED=1" in output
    assert "kept " in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_drill_leaves_no_process_and_no_folder(folder: Path, number: signal.Signals) -> None:
    with drill(folder, "--cycles", "9") as process:
        started = wait_for_the_engine(process, folder)
        assert len(started) >= 3
        process.send_signal(number)
        output, _ = process.communicate(timeout=END_S)
    assert process.returncode == 130, output
    assert "had to end" not in output
    wait_gone(started)
    assert list(folder.iterdir()) == []


def test_the_processes_of_a_killed_drill_end(folder: Path) -> None:
    with drill(folder, "--cycles", "9") as process:
        started = wait_for_the_engine(process, folder)
        process.kill()
        process.wait(END_S)
        wait_gone(started)


class BrokenVenue:
    """An exchange that starts, and does not come back."""

    def __init__(self, folder: Path) -> None:
        self.is_stopped = False

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self.is_stopped = True

    def unexpected_end(self) -> str:
        return "its last words"


class BrokenDrill:
    def __init__(self, venue: BrokenVenue, seed: int) -> None:
        self.figures = Figures()

    async def prepare(self) -> None: ...

    async def cycle(self, number: int) -> str:
        if number == 1:
            raise ExceptionGroup("clients", [ExceptionGroup("more", [VenueFailed("it did not come back")])])
        self.figures.cycles += 1
        return "one"


async def test_an_exchange_that_does_not_come_back_ends_the_drill_with_the_cycles_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(crash, "Venue", BrokenVenue)
    monkeypatch.setattr(crash, "Drill", BrokenDrill)
    figures = await crash.drill(tmp_path, 5, 70, unsafe=False)
    assert not figures.good
    assert "cycles=1 " in figures.last_line()
    output = capsys.readouterr().out
    assert "seed=71  FAILED" in output
    assert "VenueFailed: it did not come back\nits last words" in output


def test_three_cycles_in_a_row_kill_everything_once() -> None:
    plans = [Plan.draw(seed, Random(seed)) for seed in (7, 8, 9)]
    assert {plan.target for plan in plans} == set(Target)


def test_a_seed_draws_the_same_plan_again() -> None:
    plans = [Plan.draw(seed, Random(seed)) for seed in range(200)]
    assert plans == [Plan.draw(seed, Random(seed)) for seed in range(200)]
    assert any(plan.second_target is not None for plan in plans)
    assert len({plan.load_s for plan in plans}) == 200


def test_the_last_line_counts_each_finding_once_and_gives_the_99th_percentile() -> None:
    figures = Figures(cycles=3, acknowledged=10, restarts_s=[1.0, 3.0, 2.0])
    assert figures.good
    assert figures.last_line() == "crash: cycles=3 acked=10 lost=0 duplicated=0 restart_p99_s=3.00"
    figures.add([lost("order 1: open"), lost("order 1: filled"), lost("order 2")])
    assert not figures.good
    assert "lost=2" in figures.last_line()
    figures.restarts_s = [float(number) for number in range(1, 201)]
    assert figures.restart_p99_s == 198.0
