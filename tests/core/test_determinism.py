"""The same commands give the same events and the same state, byte for byte, in any process."""

import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.core.random_commands import RandomCommands
from tests.core.strategies import COMMANDS, EVENTS
from tests.core.venue import SECOND

from exchange.core.apply import apply
from exchange.core.commands import CancelAll, Command, ListAsset, PlaceOrder, TransferFunds
from exchange.core.events import Event, Rejected
from exchange.core.image import state_hash
from exchange.core.state import State
from exchange.core.words import EndReason
from exchange.journal.rows import encode_payload

ROOT = Path(__file__).parents[2]


class Day(RandomCommands):
    """A random day of all commands, in which people now and then send again what they sent before."""

    def _command(self) -> Command:
        if self.random.randrange(20):
            return super()._command()
        kind = self.random.choice((PlaceOrder, TransferFunds))
        sent = [command for _, command, _ in self.log[-200:] if isinstance(command, kind)]
        expires_ns = self.time_ns + 30 * SECOND
        return replace(self.random.choice(sent), expires_ns=expires_ns) if sent else CancelAll(1_000, None)


@cache
def day(seed: int = 7, count: int = 4_000) -> Day:
    made = Day(seed)
    made.open()
    made.steps(count)
    return made


def digest(events: list[list[Event]], state: State) -> str:
    return hashlib.sha256(encode_payload(events) + state_hash(state)).hexdigest()


def digest_of_a_day() -> str:
    made = day()
    return digest([events for _, _, events in made.log], made.state)


def test_the_day_has_every_command_taken_and_every_event_and_end_in_it() -> None:
    """What is not in it would not be tested by what follows."""
    log = day().log
    taken = {type(command) for _, command, events in log if not isinstance(events[0], Rejected)}
    assert {kind.__name__ for kind in COMMANDS} - {kind.__name__ for kind in taken} == set()
    happened = {type(event) for _, _, events in log for event in events}
    assert {kind.__name__ for kind in EVENTS} - {kind.__name__ for kind in happened} == set()
    ends = {getattr(event, "reason", None) for _, _, events in log for event in events}
    assert set(EndReason) - ends == {EndReason.WORK_LIMIT}


def test_replaying_the_commands_gives_the_same_events_and_state() -> None:
    log = day().log
    state = State()
    events = [apply(state, seq, time_ns, command) for seq, (time_ns, command, _) in enumerate(log, start=1)]
    assert digest(events, state) == digest_of_a_day()


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_another_process_with_another_hash_seed_gives_the_same_events_and_state(hash_seed: str) -> None:
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


def test_a_command_that_nobody_handles_is_a_bug() -> None:
    class Unheard(ListAsset, frozen=True):
        pass

    with pytest.raises(KeyError):
        apply(State(), 1, 100, Unheard("A", 0, 1, "0xv", "0xt"))
