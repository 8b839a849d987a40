"""The same commands give the same events, byte for byte, in any process."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from tests.core.test_naive_reference import make_command, stage

from exchange.core.apply import apply
from exchange.core.commands import CancelAll
from exchange.core.state import State
from exchange.journal.rows import encode_payload

ROOT = Path(__file__).parents[2]


def recorded(seed: int, count: int) -> tuple[list[tuple[int, object]], bytes]:
    """(time and command) of each step of a random day, and the digest of all its events."""
    venue, naive = stage()
    venue.checking = False
    random = Random(seed)
    for _ in range(count):
        wait_s, command = make_command(random.choice, naive)
        venue.pass_time(wait_s)
        naive.apply(venue.time_ns, command)
        venue.do(command)
    steps = [(time_ns, command) for time_ns, command, _ in venue.log]
    return steps, hashlib.sha256(encode_payload([events for _, _, events in venue.log])).digest()


def digest_of_a_day(seed: int = 7, count: int = 1_000) -> str:
    return recorded(seed, count)[1].hex()


def test_replaying_the_commands_gives_the_same_events() -> None:
    steps, digest = recorded(seed=3, count=1_500)
    state = State()
    events = [
        apply(state, seq, time_ns, command)  # type: ignore[arg-type]
        for seq, (time_ns, command) in enumerate(steps, start=1)
    ]
    assert hashlib.sha256(encode_payload(events)).digest() == digest


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_another_process_with_another_hash_seed_gives_the_same_events(hash_seed: str) -> None:
    program = "from tests.core.test_determinism import digest_of_a_day; print(digest_of_a_day())"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert answer.stdout.strip() == digest_of_a_day()


def test_a_gap_in_the_sequence_or_a_step_back_in_time_is_a_bug() -> None:
    state = State()
    apply(state, 1, 100, CancelAll(1_000, None))
    for seq, time_ns in ((1, 100), (3, 100), (2, 99)):
        with pytest.raises(AssertionError):
            apply(state, seq, time_ns, CancelAll(1_000, None))
