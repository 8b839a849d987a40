"""A running engine for the benchmarks: the real sequencer on a real journal, and two ways to load it.

`burst` has many callers, each sending its next command when the last is answered: the most that gets through.
`paced` sends on a fixed schedule from a thread of its own, and counts the time from when a command was due to
its acknowledgement: a stalled engine is not spared by callers that wait for it.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from scripts.bench.orders import Cancel, Drawn, Orders, Place, Resting, distance_of, draw_resting
from scripts.bench.workload import TOUCH_LEVELS

from exchange.core.commands import CancelOrder, Command, PlaceOrder
from exchange.core.events import Rejected, Trade
from exchange.core.state import State
from exchange.core.words import OrderType, Side, TimeInForce
from exchange.journal.log import JournalLog, ensure_genesis
from exchange.journal.recovery import recover
from exchange.sequencer import garbage
from exchange.sequencer.clock import Clock
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Outcome, Sequencer
from exchange.stores.postgres import open_connection

REQUEST_LIFE_NS = 55_000_000_000
MAX_GATHERED = 5_000
"""Commands that are handed in at once when nobody measures: less than the inbox takes."""


class RefusedCommand(Exception):
    """The engine refused a command of the workload: the figures would mean nothing."""


class Engine:
    """A running sequencer."""

    def __init__(self, sequencer: Sequencer, state: State) -> None:
        self._sequencer = sequencer
        self.state = state

    @property
    def committed(self) -> CommittedView:
        return self._sequencer.committed

    async def submit(self, command: Command) -> Outcome:
        """Hands in one command and waits until it is durable. Raises RefusedCommand."""
        outcome = await self._sequencer.submit(command)
        if isinstance(outcome.events[0], Rejected):
            raise RefusedCommand(f"{command} was refused: {outcome.events[0].reason}")
        return outcome

    async def submit_batch(self, commands: Sequence[Command]) -> list[Outcome]:
        """Hands in some commands as one group and waits until they are durable."""
        return await self._sequencer.submit_batch(commands)

    async def submit_all(self, commands: list[Command]) -> list[Outcome]:
        """Hands in any number of commands, in their order."""
        outcomes: list[Outcome] = []
        for start in range(0, len(commands), MAX_GATHERED):
            outcomes += await asyncio.gather(*map(self.submit, commands[start : start + MAX_GATHERED]))
        return outcomes


class Request(NamedTuple):
    """A command of the load, and what it was drawn as."""

    command: PlaceOrder | CancelOrder
    drawn: Drawn


class Feed:
    """The mixed load as commands of many traders with an account each; each is told its outcome.

    What is drawn at one time is sent in any order: the engine takes cancels before what came in earlier.
    """

    def __init__(self, state: State, seed: int) -> None:
        """Goes on from a state in which nothing is under way, with all its accounts."""
        self._account_ids = sorted({account.account_id for account in state.account_by_owner.values()})
        self._traders = {account_id: number for number, account_id in enumerate(self._account_ids)}
        self._turn = 0
        far: list[list[list[int]]] = [[[]] for _ in self._traders]
        near_lots = [0, 0]
        for order in state.orders.values():
            is_buy = order.side is Side.BUY
            if distance_of(is_buy, order.price_ticks) >= TOUCH_LEVELS:
                far[self._traders[order.account.account_id]][0].append(order.order_id)
            else:
                near_lots[not is_buy] += order.remaining_lots
        self._orders = Orders(far, near_lots, seed)

    def mixed(self, count: int) -> list[Request]:
        """The next requests, to be sent while they live; cancels only of what was acknowledged before."""
        expires_ns = time.time_ns() + REQUEST_LIFE_NS
        return [self._next(expires_ns) for _ in range(count)]

    def done(self, request: Request, outcome: Outcome) -> None:
        """The request was acknowledged."""
        drawn = request.drawn
        if isinstance(drawn, Place):
            filled_lots = 0
            if drawn.crosses:
                filled_lots = sum(event.size_lots for event in outcome.events if type(event) is Trade)
            self._orders.taken(self._traders[request.command.account_id], drawn, outcome.seq, filled_lots)

    def _next(self, expires_ns: int) -> Request:
        """Of each trader in turn."""
        trader = self._turn = (self._turn + 1) % len(self._account_ids)
        drawn, account_id = self._orders.next(trader), self._account_ids[trader]
        if isinstance(drawn, Cancel):
            return Request(CancelOrder(account_id, drawn.order_id), drawn)
        return Request(place_command(account_id, drawn, f"feed-{drawn.number}", expires_ns), drawn)


def place_command(
    account_id: int, order: Place | Resting, client_order_id: str | None, expires_ns: int
) -> PlaceOrder:
    """The command that places an order of the load."""
    return PlaceOrder(
        account_id,
        1,
        Side.BUY if order.is_buy else Side.SELL,
        OrderType.LIMIT,
        TimeInForce.IOC if isinstance(order, Place) and order.crosses else TimeInForce.GTC,
        order.price_ticks,
        order.lots,
        client_order_id,
        expires_ns,
    )


async def fill_book(
    engine: Engine, accounts: list[list[int]], count: int, seed: int
) -> tuple[list[list[list[int]]], list[int]]:
    """Lets so many orders rest, of all accounts in turn; what `Orders` begins with."""
    draw = random.Random(seed)
    flat = [(trader, number) for trader, own in enumerate(accounts) for number in range(len(own))]
    far: list[list[list[int]]] = [[[] for _ in own] for own in accounts]
    near_lots = [0, 0]
    for start in range(0, count, MAX_GATHERED):
        expires_ns = time.time_ns() + REQUEST_LIFE_NS
        whose = [flat[index % len(flat)] for index in range(start, min(count, start + MAX_GATHERED))]
        orders = [draw_resting(draw, trader, evenly=True) for trader, _ in whose]
        outcomes = await engine.submit_all(
            [
                place_command(accounts[trader][number], order, None, expires_ns)
                for (trader, number), order in zip(whose, orders, strict=True)
            ]
        )
        for outcome, order, (trader, number) in zip(outcomes, orders, whose, strict=True):
            if order.is_far:
                far[trader][number].append(outcome.seq)
            else:
                near_lots[not order.is_buy] += order.lots
    return far, near_lots


@asynccontextmanager
async def running_engine(url: str) -> AsyncIterator[Engine]:
    """An engine recovered from the journal at `url`, wired as in the exchange."""
    garbage.take_over()
    async with await JournalLog.claim(url) as log:
        connection = await open_connection(url)
        try:
            genesis_id = await ensure_genesis(connection)
            state = (await recover(connection, genesis_id, log.head)).state
        finally:
            await connection.close()
        view = CommittedView.from_state(f"0x{genesis_id.hex()}", state)
        garbage.freeze_loaded()
        sequencer = Sequencer(
            state,
            view,
            log,
            Clock(state.time_ns),
            on_commit=lambda _: None,
            on_idle=garbage.IdleCollector().when_idle,
        )
        task = asyncio.create_task(sequencer.run())
        try:
            yield Engine(sequencer, state)
        finally:
            task.cancel()
            await asyncio.wait([task])


async def burst(engine: Engine, callers: int, feed: Feed, count: int) -> float:
    """Durable commands per second with this many callers at once."""
    requests = feed.mixed(count)
    waiting: Iterator[Request] = iter(requests)
    done: list[tuple[Request, Outcome]] = []

    async def caller() -> None:
        for request in waiting:
            outcome = await engine.submit(request.command)
            done.append((request, outcome))

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    seconds = time.perf_counter() - started
    for request, outcome in done:
        feed.done(request, outcome)
    return count / seconds


async def paced(engine: Engine, feed: Feed, count: int, per_s: int) -> list[float]:
    """Ascending seconds from when each command was due to its acknowledgement."""
    loop = asyncio.get_running_loop()
    requests = feed.mixed(count)
    taken_s: list[float] = []
    tasks: set[asyncio.Task[None]] = set()
    failures: list[BaseException] = []

    async def send(request: Request, due: float) -> None:
        outcome = await engine.submit(request.command)
        taken_s.append(time.perf_counter() - due)
        feed.done(request, outcome)

    def ended(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            failures.append(error)

    def arrive(request: Request, due: float) -> None:
        task = loop.create_task(send(request, due))
        tasks.add(task)
        task.add_done_callback(ended)

    def pace() -> None:
        started = time.perf_counter()
        for index, request in enumerate(requests):
            due = started + index / per_s
            while (early := due - time.perf_counter()) > 0:
                time.sleep(early)
            loop.call_soon_threadsafe(arrive, request, due)

    await asyncio.to_thread(pace)
    while tasks:
        await asyncio.wait(tasks)
    if failures:
        raise failures[0]
    return sorted(taken_s)
