"""The process that keeps the read tables up to date.

A process of its own, because what the tables take of a processor is then none of the engine's, whose process
has one thread for everything. It reads the journal like any follower, and ends when its parent does: then
stdin is closed. At a lower priority: who is answered goes before who reads what has been answered.

    python -m exchange.projections.tables_process
"""

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Never

import msgspec
import structlog

from exchange.journal.child import PARENT_GONE, lower_priority
from exchange.journal.tail import Tail
from exchange.projections.postgres import PostgresProjection
from exchange.projections.tables_messages import Message, Progress, Said, Started, Waiting, encode_message
from exchange.stores.postgres import open_pool

NICENESS = 5
YOUNG = 50_000
"""New containers that start a collection: a transaction makes as many, and few of them are in cycles."""
MAX_FIELD_CHARS = 2_000
STDIN, STDOUT = 0, 1
CONNECTIONS = 2
REST_S = 0.01
"""Whoever reads what they have just written waits so much longer, or as long as writing took, at most."""


def say(message: Message) -> None:
    """To the parent."""
    os.write(STDOUT, encode_message(message) + b"\n")


def relay(_: object, level: str, event: structlog.typing.EventDict) -> Never:
    """What is logged goes to the parent, whose log it is."""
    fields = {name: str(value)[:MAX_FIELD_CHARS] for name, value in event.items() if name != "event"}
    say(Said(level, str(event["event"]), fields))
    raise structlog.DropEvent


def heed_parent(woken: Callable[[], None]) -> None:
    """Reads what the parent says, for ever; ends with it.

    Between two statements or within one: a transaction is whole or not at all.
    """
    while os.read(STDIN, 4_096):
        woken()
    os._exit(PARENT_GONE)


async def follow(started: Started) -> None:
    """Keeps the tables up to date, also when the database comes later than we do. Raises HeadLost."""
    loop = asyncio.get_running_loop()
    pool = await open_pool(started.database_url, 0, CONNECTIONS)
    tail = Tail(pool, on_wait=lambda: say(Waiting()))
    threading.Thread(
        target=heed_parent, args=(lambda: loop.call_soon_threadsafe(tail.notify),), daemon=True
    ).start()
    await PostgresProjection(pool, tail, on_progress=lambda seq: say(Progress(seq)), rest_s=REST_S).run()


def main() -> None:
    """Until its parent ends."""
    lower_priority(NICENESS)
    structlog.configure(processors=[relay])
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)  # who needs a connection tells of it
    started = msgspec.json.decode(sys.stdin.buffer.readline(), type=Started)
    gc.freeze()
    gc.set_threshold(YOUNG)
    asyncio.run(follow(started))


if __name__ == "__main__":
    main()
