"""kill -9 at any moment: every acknowledged command is in the journal, exactly once."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from random import Random

from tests.journal.scribe import recover

from exchange.core.commands import OpenAccount
from exchange.core.events import AccountOpened

ROOT = Path(__file__).parents[2]
LIVES = 5


async def live_and_die(url: str, life: str, after_lines: int, then_s: float) -> list[tuple[int, str]]:
    """Runs a writer until it has acknowledged some commands, a little longer, and kills it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.sequencer.writer_process", url, life,
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, limit=2**24,
    )  # fmt: skip
    assert process.stdout is not None
    acknowledged = bytearray()
    try:
        async with asyncio.timeout(30):
            while acknowledged.count(b"\n") < after_lines:
                part = await process.stdout.read(2**16)
                assert part, "the writer ended by itself"
                acknowledged += part
        await asyncio.sleep(then_s)  # the random moment; nothing waits for it
    finally:
        process.send_signal(signal.SIGKILL)
    async with asyncio.timeout(30):
        acknowledged += await process.stdout.read()
        await process.wait()
    whole_lines = acknowledged.decode().rpartition("\n")[0].splitlines()
    return [(int(seq), owner) for seq, owner in (line.split() for line in whole_lines)]


async def test_every_acknowledged_command_is_recovered_exactly_once(database_url: str) -> None:
    random = Random()
    seed = random.randrange(2**32)
    random.seed(seed)
    acknowledged: list[tuple[int, str]] = []
    for life in range(LIVES):
        acknowledged += await live_and_die(
            database_url, f"l{life}", after_lines=random.randrange(1, 400), then_s=random.random() / 20
        )
        state, rows = await recover(database_url)
        journaled = {
            row.seq_first + index: command for row in rows for index, command in enumerate(row.commands)
        }
        opened = {
            row.seq_first + index: event
            for row in rows
            for index, events in enumerate(row.events)
            for event in events
        }
        assert len(acknowledged) == len(set(acknowledged))
        for seq, owner in acknowledged:
            command, event = journaled[seq], opened[seq]
            assert isinstance(command, OpenAccount), f"seed {seed}"
            assert isinstance(event, AccountOpened), f"seed {seed}"
            assert command.owner == event.owner == owner, f"seed {seed}"
        assert list(journaled) == list(range(1, state.seq + 1)), f"seed {seed}"
        owners = [command.owner for command in journaled.values() if isinstance(command, OpenAccount)]
        assert len(owners) == len(set(owners)), f"nothing is journaled twice; seed {seed}"
    assert len(acknowledged) > LIVES
