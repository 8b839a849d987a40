"""A process that runs a sequencer on the journal at `argv[1]` and prints every acknowledged command.

Started by the kill test and ended by SIGKILL, never by itself.
"""

import asyncio
import sys

import asyncpg
from tests.sequencer.engine import account_of

from exchange.core.events import AccountOpened
from exchange.journal.log import JournalLog
from exchange.journal.recovery import replay
from exchange.sequencer.clock import Clock
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Sequencer


async def main(url: str, life: str) -> None:
    log = await JournalLog.claim(url)
    connection = await asyncpg.connect(url)
    genesis_id = await connection.fetchval("SELECT genesis_id FROM genesis")
    view = CommittedView("0x" + genesis_id.hex())
    state = await replay(
        connection, genesis_id, log.head, lambda row: view.advance(row.seq_last, row.time_ns, row.events)
    )
    await connection.close()
    sequencer = Sequencer(state, view, log, Clock(state.time_ns), on_commit=lambda seq: None)

    async def client(number: int) -> None:
        turn = 0
        while True:
            turn += 1
            name = f"{life}-{number}-{turn}"
            outcome = await sequencer.submit(account_of(name))
            (event,) = outcome.events
            assert isinstance(event, AccountOpened)
            sys.stdout.write(f"{outcome.seq} {event.owner}\n")
            sys.stdout.flush()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sequencer.run())
        for number in range(20):
            tasks.create_task(client(number))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
