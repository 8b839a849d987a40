"""The engine alone: commands handed to a running sequencer in its own process, no HTTP and no followers.

The same as `bench-journal` measures, on the same server and with as many open orders as the rest of this run.
Words:

    start  loads the book
    run    durable commands/s, of the numbers of callers that were given the best

    python -m scripts.bench.load.direct SETTINGS
"""

import asyncio
import sys

import msgspec
import uvloop
from scripts.bench.children import Told, obey
from scripts.bench.engine import Feed, burst, paced, running_engine
from scripts.bench.journal import load
from scripts.bench.measure import Latencies


class Settings(msgspec.Struct):
    """Where its journal is, and what is in the book."""

    database_url: str
    open_orders: int
    seed: int


class Run(msgspec.Struct):
    """How much is handed in."""

    callers: list[int]
    commands: int
    """For each number of callers."""
    per_s: int
    paced_s: float


class Figures(msgspec.Struct):
    """What came of it."""

    per_s: float
    callers: int
    acks: Latencies


async def live(settings: Settings) -> None:
    """Lives as its parent says."""
    async with running_engine(settings.database_url) as engine:
        feeds: list[Feed] = []

        async def start() -> None:
            feeds.append(await load(engine, settings.open_orders, settings.seed))

        async def run(wanted: Run) -> Figures:
            [feed] = feeds
            await burst(engine, wanted.callers[0], feed, wanted.commands // 4)
            rates = [
                (await burst(engine, callers, feed, wanted.commands), callers) for callers in wanted.callers
            ]
            count = round(wanted.per_s * wanted.paced_s)
            acks = Latencies.of(await paced(engine, feed, count, wanted.per_s))
            return Figures(*max(rates), acks)

        await obey({"start": start, "run": Told(Run, run)})


def main() -> None:
    """In the loop that the exchange runs in."""
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live(settings))


if __name__ == "__main__":
    main()
