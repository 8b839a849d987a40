"""What processes use, as the kernel counts it."""

import os
import subprocess
import sys
import time

import pytest
from scripts.bench.usage import Moment, child_of, cpu_s, parent, resident_mib


def test_work_is_counted_for_the_process_that_does_it() -> None:
    before = Moment.now({"us": os.getpid()})
    until_s = time.process_time() + 0.2
    while time.process_time() < until_s:
        pass
    shares = before.until(Moment.now({"us": os.getpid()}))
    assert shares.of_a_core["us"] * shares.seconds >= 0.15
    assert shares.machine * shares.seconds >= 0.15


def test_the_work_of_children_is_counted_while_they_live_and_afterwards() -> None:
    work = "import time\nwhile time.process_time() < 0.2: pass\nprint(); input()"
    before_s = cpu_s(os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert parent(process.pid) == os.getpid()
        assert cpu_s(os.getpid()) - before_s >= 0.15
        process.communicate(b"\n")
    assert cpu_s(os.getpid()) - before_s >= 0.15


def test_a_child_that_is_asked_for_itself_counts_for_itself_alone() -> None:
    work = "import time\nwhile time.process_time() < 0.3: pass\nprint(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", work, "the-worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        worker = child_of(os.getpid(), "the-worker")
        assert worker == process.pid
        now = Moment.now({"us": os.getpid(), "worker": worker})
        assert now.cpu_s["worker"] >= 0.25
        assert cpu_s(os.getpid()) >= now.cpu_s["us"] + 0.25
        process.communicate(b"\n")
    with pytest.raises(LookupError):
        child_of(os.getpid(), "the-worker")


def test_resident_memory_of_a_process_is_that_of_proc() -> None:
    assert 1 < resident_mib(os.getpid()) < 10_000
