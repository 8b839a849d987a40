"""A process with an engine on the journal at `argv[1]`, started and ended as the command line does it.

It prints the seq of every command that it has acknowledged.
"""

import asyncio
import contextlib
import itertools
import sys

from tests.sequencer.engine import account_of

from exchange.cli import _run
from exchange.journal.log import JournalLog, ensure_genesis
from exchange.journal.recovery import recover
from exchange.parts import running
from exchange.sequencer.clock import Clock
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import EngineStopped, Sequencer
from exchange.stores.postgres import open_connection


async def serve(url: str) -> None:
    async with await JournalLog.claim(url) as log:
        connection = await open_connection(url)
        genesis_id = await ensure_genesis(connection)
        state = (await recover(connection, genesis_id, log.head)).state
        await connection.close()
        view = CommittedView.from_state(f"0x{genesis_id.hex()}", state)
        sequencer = Sequencer(state, view, log, Clock(state.time_ns), on_commit=lambda seq: None)
        async with running("engine", sequencer.run()):
            with contextlib.suppress(EngineStopped):
                for number in itertools.count():
                    outcome = await sequencer.submit(account_of(f"{log.epoch}-{number}"))
                    sys.stdout.write(f"{outcome.seq}\n")
                    sys.stdout.flush()
            await asyncio.Event().wait()


if __name__ == "__main__":
    _run(serve(sys.argv[1]))
