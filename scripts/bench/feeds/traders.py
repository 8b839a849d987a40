"""The load: traders that place, cancel and trade over HTTP, in batches and on a schedule.

Each has a session and a connection of its own and one request under way. Of ten operations about six place an
order at one of a hundred levels a side (half of them within ten of the middle), three cancel one of the
trader's own, and one takes about three resting orders away. A batch is due at a fixed time, whether or not
its trader is ready, and its latency counts from then. Words:

    open   builds the book, as fast as it goes
    begin  starts the schedule when it does not run; counts from here on
    end    what was counted; the schedule goes on
    pause  stops the schedule, when all that was sent is answered

    python -m scripts.bench.feeds.traders SETTINGS
"""

import asyncio
import random
import sys
import time
from collections import deque
from typing import Any

import msgspec
import uvloop
from scripts.bench.children import obey
from scripts.bench.measure import Latencies
from scripts.bench.workload import (
    LEVELS_PER_SIDE,
    MAX_ADD_LOTS,
    MEAN_CROSSING_LOTS,
    MIDDLE_TICKS,
    TOUCH_LEVELS,
)

ANSWER_BYTES = 2**20
OPENING_BATCH = 50
CROSSING_SHARE = 0.1
CANCEL_SHARE = 1 / 3
"""Of the operations that do not cross, while there are as many orders open as there should be."""
ANSWER_TIMEOUT_S = 30.0


class Settings(msgspec.Struct):
    """How much is sent where."""

    port: int
    market: str
    tokens: list[str]
    per_s: int
    batch: int
    open_each: int
    seed: int


class Figures(msgspec.Struct):
    """What came of the load between `begin` and `end`. Operations of the batches that were answered."""

    seconds: float
    done: int
    refused: int
    """Cancels of orders that were filled meanwhile, nearly always; others are told by their codes."""
    codes: dict[str, int]
    trades: int
    acks: Latencies | None
    """From when a batch was due."""


class _Order(msgspec.Struct):
    order_id: str
    status: str


class _Problem(msgspec.Struct):
    code: str


class _Result(msgspec.Struct):
    status: int
    order: _Order | None = None
    fills: list[msgspec.Raw] = msgspec.field(default_factory=list)
    problem: _Problem | None = None


class _Answer(msgspec.Struct):
    results: list[_Result]


_decode_answer = msgspec.json.Decoder(_Answer).decode
_encode = msgspec.json.Encoder().encode


class RequestFailed(Exception):
    """A batch was not answered 200."""


class Trader:
    """One account: what it has open, and its connection."""

    def __init__(self, settings: Settings, token: str, draw: random.Random) -> None:
        self._market = settings.market
        self._open_each = settings.open_each
        self._draw = draw
        self._port = settings.port
        self._head = (
            "POST /v1/orders/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: "
        ).encode("ascii")
        self._writer: asyncio.StreamWriter | None = None
        self.open: deque[str] = deque()
        self.due: asyncio.Queue[float] = asyncio.Queue()
        """When each of the batches that wait is due."""

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port, limit=ANSWER_BYTES
        )

    def close(self) -> None:
        """Hangs up."""
        if self._writer is not None:
            self._writer.close()

    async def send(self, operations: list[dict[str, Any]]) -> list[_Result]:
        """One batch; what became of each operation. Raises RequestFailed."""
        body = _encode({"operations": operations})
        assert self._writer is not None
        self._writer.write(self._head + b"%d\r\n\r\n" % len(body) + body)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            content = await self._reader.readexactly(int(length))
        if not head.startswith(b"HTTP/1.1 200"):
            raise RequestFailed(f"{head[:40]!r} {content[:300]!r}")
        results = _decode_answer(content).results
        for result in results:
            if result.status == 201 and result.order is not None and result.order.status == "open":
                self.open.append(result.order.order_id)
        return results

    def opening(self, count: int) -> list[dict[str, Any]]:
        """Orders at any level."""
        return [self._place(self._draw.randrange(LEVELS_PER_SIDE)) for _ in range(count)]

    def mixed(self, count: int) -> list[dict[str, Any]]:
        """The next operations of the mix."""
        return [self._operation() for _ in range(count)]

    def _operation(self) -> dict[str, Any]:
        draw = self._draw.random
        if draw() < CROSSING_SHARE:
            return self._cross()
        fullness = len(self.open) / self._open_each
        if self.open and draw() < CANCEL_SHARE * fullness**2:
            return self._cancel()
        return self._place(self._draw.randrange(LEVELS_PER_SIDE if draw() < 0.5 else TOUCH_LEVELS))

    def _cancel(self) -> dict[str, Any]:
        self.open.rotate(self._draw.randrange(len(self.open)))
        return {"op": "cancel", "order_id": self.open.popleft()}

    def _place(self, distance: int) -> dict[str, Any]:
        is_buy = self._draw.random() < 0.5
        ticks = MIDDLE_TICKS + (-1 - distance if is_buy else 1 + distance)
        return self._order(is_buy, ticks, 1 + self._draw.randrange(MAX_ADD_LOTS), "gtc")

    def _cross(self) -> dict[str, Any]:
        is_buy = self._draw.random() < 0.5
        ticks = MIDDLE_TICKS + (LEVELS_PER_SIDE if is_buy else -LEVELS_PER_SIDE)
        return self._order(is_buy, ticks, 1 + self._draw.randrange(2 * MEAN_CROSSING_LOTS), "ioc")

    def _order(self, is_buy: bool, ticks: int, lots: int, time_in_force: str) -> dict[str, Any]:
        return {
            "op": "place",
            "market": self._market,
            "side": "buy" if is_buy else "sell",
            "type": "limit",
            "time_in_force": time_in_force,
            "price": f"{ticks // 100}.{ticks % 100:02}",
            "size": f"{lots / 10_000:.4f}",
        }


class Traders:
    """All of them, their schedule, and what came of it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.traders = [
            Trader(settings, token, random.Random(settings.seed * 1_000 + number))
            for number, token in enumerate(settings.tokens)
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._schedule: asyncio.Task[None] | None = None
        self._unanswered = 0
        self._quiet = asyncio.Event()
        self._counting_since = 0.0
        self._taken_s: list[float] = []
        self._done = self._refused = self._trades = 0
        self._codes: dict[str, int] = {}

    async def open(self) -> int:
        """Connects all and builds the book; how many orders are open."""

        async def opening(trader: Trader) -> None:
            await trader.connect()
            while len(trader.open) < self._settings.open_each:
                results = await trader.send(trader.opening(OPENING_BATCH))
                if results[0].problem is not None:
                    raise RequestFailed(results[0].problem.code)

        async with asyncio.TaskGroup() as group:
            for trader in self.traders:
                group.create_task(opening(trader))
        self._tasks = [asyncio.create_task(self._trade(trader)) for trader in self.traders]
        return sum(len(trader.open) for trader in self.traders)

    async def begin(self) -> None:
        if self._schedule is None:
            for trader in self.traders:  # the server has hung up on those that were idle for long
                trader.close()
                await trader.connect()
            self._schedule = asyncio.create_task(self._run_schedule())
        self._counting_since = time.perf_counter()
        self._taken_s.clear()
        self._done = self._refused = self._trades = 0
        self._codes = {}

    async def end(self) -> Figures:
        seconds = time.perf_counter() - self._counting_since
        acks = Latencies.of(sorted(self._taken_s)) if self._taken_s else None
        for task in self._tasks:
            if task.done():
                task.result()
        return Figures(seconds, self._done, self._refused, self._codes, self._trades, acks)

    async def pause(self) -> None:
        if self._schedule is not None:
            self._schedule.cancel()
            self._schedule = None
        while self._unanswered:
            self._quiet.clear()
            await self._quiet.wait()

    async def close(self) -> None:
        """Ends everything, wherever it is."""
        tasks = [*self._tasks, *([self._schedule] if self._schedule is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for trader in self.traders:
            trader.close()

    async def _run_schedule(self) -> None:
        """Deals batches to the traders in turn, each at its time."""
        settings = self._settings
        interval_s = settings.batch / settings.per_s
        due, number = time.perf_counter(), 0
        while True:
            while due <= time.perf_counter():
                self.traders[number % len(self.traders)].due.put_nowait(due)
                self._unanswered += 1
                number += 1
                due += interval_s
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _trade(self, trader: Trader) -> None:
        """Sends what is due, for ever."""
        while True:
            due = await trader.due.get()
            results = await trader.send(trader.mixed(self._settings.batch))
            self._taken_s.append(time.perf_counter() - due)
            self._unanswered -= 1
            self._quiet.set()
            for result in results:
                self._done += 1
                self._trades += len(result.fills)
                if result.problem is not None:
                    self._refused += 1
                    self._codes[result.problem.code] = self._codes.get(result.problem.code, 0) + 1


async def run(settings: Settings) -> None:
    """Lives as its parent says."""
    traders = Traders(settings)
    try:
        await obey({"open": traders.open, "begin": traders.begin, "end": traders.end, "pause": traders.pause})
    finally:
        await traders.close()


def main() -> None:
    """In uvloop, which takes less of the machine."""
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings))


if __name__ == "__main__":
    main()
