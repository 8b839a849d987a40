"""The clients: one process that trades for many, as fast as it is answered or at a fixed pace.

Words:

    run   one measurement: connections that always have so many requests under way, or requests that are due
          at fixed times, whoever is late; what came of it
    tell  writes down what every request was answered

    python -m scripts.bench.load.clients SETTINGS
"""

import asyncio
import gc
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Literal

import msgspec
import uvloop
from scripts.bench.children import Told, obey
from scripts.bench.load.connections import (
    BatchHttp,
    Broken,
    Connection,
    EmptyHttp,
    SingleHttp,
    Stream,
    connect,
    now,
)
from scripts.bench.load.traders import Loaded
from scripts.bench.load.wires import Answer, Credential, Deployment, Key, Nobody, Token
from scripts.bench.orders import Cancel, Drawn, Orders

UNANSWERED, REFUSED = -1, 0
EMPTY_PATHS = {"empty": b"/v1/bench/empty", "empty_signed": b"/v1/bench/signed"}
"""Routes that the exchange has only here: they do nothing."""
DRAIN_TIMEOUT_S = 60.0
TURN_S = 0.001
"""How often the pace looks at its clock."""

Way = Literal["http_single", "http_batch", "ws", "empty", "empty_signed"]
Identity = Literal["key", "token", "nobody"]


class Settings(msgspec.Struct):
    """Who trades, with what to begin with. `loaded`: a file with a `Loaded`."""

    loaded: str
    seed: int


class Run(msgspec.Struct):
    """One measurement: of a server, one way of talking to it."""

    port: int
    way: Way
    identity: Identity
    deployment: Deployment
    connections: int
    window: int
    """Requests under way on each connection."""
    batch: int
    """Operations in a request, where there may be more than one."""
    seconds: float
    warm_up_s: float
    per_s: int = 0
    """Operations that are due in a second; 0: as many as are answered."""
    series: bool = False
    """Whether latencies are told second by second."""


class Second(msgspec.Struct):
    """One second of a measurement: operations answered, and latencies of its requests."""

    operations: int
    p50_ms: float
    p99_ms: float
    longest_ms: float


class Figures(msgspec.Struct):
    """What came of it. Operations: placements and cancels."""

    seconds: float
    operations: int
    """That were done: not refused."""
    placed: int
    cancelled: int
    refusals: dict[str, int]
    """By code; these are not among the others."""
    whole: int
    """Operations that were answered from the first to the last, warm-up and all."""
    latencies_ms: dict[str, float]
    """By name of the percentile, of requests, from when they were due."""
    curve_ms: list[float]
    """A hundred points, evenly over the logarithm of the share that took longer, down to one in 10,000."""
    client_of_a_core: float
    series: list[Second]

    @property
    def per_s(self) -> float:
        return self.operations / self.seconds


class Totals(msgspec.Struct):
    """What requests were answered, and how many there were."""

    placements: int
    cancels: int
    placed: int
    cancelled: int
    refused: int
    unanswered: int


class Measuring:
    """The work of all connections of one measurement."""

    def __init__(self, run: Run, orders: Orders, answers: "Answers") -> None:
        self._run = run
        self._orders = orders
        self._answers = answers
        self.connections: list[Connection] = []
        self.error: Exception | None = None
        self.ended = asyncio.Event()
        self.running = True
        self._counting = False
        self._due: deque[float] = deque()
        self._arrivals = 0
        self._turn = 0
        self._taken_s = array("d")
        self._ends_s = array("d")
        self._operations = self._whole = 0

    # ---- for the connections

    def due(self) -> float | None:
        if self._run.per_s:
            return self._due.popleft() if self._due else None
        return now() if self.running else None

    def draw(self, trader: int) -> Drawn:
        return self._orders.next(trader)

    def answered(self, trader: int, drawn: Drawn, answer: Answer) -> None:
        self._answers.take(drawn, answer)
        if answer.order is not None and not isinstance(drawn, Cancel):
            self._orders.taken(trader, drawn, answer.order_id, answer.filled_lots if drawn.crosses else 0)

    def acknowledged(self, due: float, operations: int) -> None:
        self._whole += operations
        if self._counting:
            ended = now()
            self._taken_s.append(ended - due)
            self._ends_s.append(ended)
            self._operations += operations

    def broke(self, error: Exception) -> None:
        self.error = self.error or error
        self.running = False
        self.ended.set()

    # ---- for the clients

    async def measure(self) -> Figures:
        """Warms up, counts, and waits until everything is answered. Raises what broke a connection."""
        run = self._run
        for connection in self.connections:
            connection.pump()
        pace = Pace(run.per_s // self._per_request, self._arrived) if run.per_s else None
        try:
            await self._wait(run.warm_up_s)
            began, cpu_s = now(), time.process_time()
            before = self._answers.counts()
            self._counting = True
            await self._wait(run.seconds)
            self._counting = False
            seconds, cpu_s = now() - began, time.process_time() - cpu_s
            counts = self._answers.counts() - before
        finally:
            self.running = False
            if pace is not None:
                pace.stop()
        await self._drain(pace)
        for connection in self.connections:
            connection.close()
        return self._figures(began, seconds, cpu_s, counts)

    @property
    def _per_request(self) -> int:
        return self._run.batch if self._run.way == "http_batch" else 1

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            return
        assert self.error is not None
        raise self.error

    async def _drain(self, pace: "Pace | None") -> None:
        """Until everything that was due is sent, and all that was sent is answered."""
        deadline = now() + DRAIN_TIMEOUT_S
        while (
            (pace is not None and pace.told > self._arrivals)
            or self._due
            or any(connection.waiting for connection in self.connections)
        ):
            if self.error is not None:
                raise self.error
            if now() > deadline:
                raise Broken("requests are still unanswered long after the last was sent")
            await asyncio.sleep(0.01)

    def _arrived(self, dues: list[float]) -> None:
        """Requests are due: each goes to the next connection that has room, or waits for one."""
        self._due.extend(dues)
        self._arrivals += len(dues)
        connections = self.connections
        for _ in range(min(len(dues), len(connections))):
            if not self._due:
                return
            self._turn = (self._turn + 1) % len(connections)
            connection = connections[self._turn]
            if len(connection.waiting) < connection.window:
                self._send_one(connection)
        for connection in connections:
            if not self._due:
                return
            connection.pump()

    def _send_one(self, connection: Connection) -> None:
        """Lets it send no more than one, so that all have their turn."""
        window, connection.window = connection.window, len(connection.waiting) + 1
        connection.pump()
        connection.window = window

    def _figures(self, began: float, seconds: float, cpu_s: float, counts: Counter[str]) -> Figures:
        ordered = sorted(self._taken_s)
        if not ordered:
            raise Broken("nothing was answered while it was measured")
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
        latencies = {name: _at(ordered, share) * 1e3 for name, share in shares.items()}
        latencies["longest"] = ordered[-1] * 1e3
        curve = [_at(ordered, 1 - 10 ** (-4 * step / 99)) * 1e3 for step in range(100)]
        placed, cancelled = counts.pop("placed", 0), counts.pop("cancelled", 0)
        return Figures(
            seconds,
            placed + cancelled if self._run.way in {"http_single", "http_batch", "ws"} else self._operations,
            placed,
            cancelled,
            dict(+counts),
            self._whole,
            latencies,
            curve,
            cpu_s / seconds,
            self._series(began, seconds) if self._run.series else [],
        )

    def _series(self, began: float, seconds: float) -> list[Second]:
        taken: list[list[float]] = [[] for _ in range(int(seconds) + 1)]
        for ended, taken_s in zip(self._ends_s, self._taken_s, strict=True):
            taken[int(ended - began)].append(taken_s)
        per_request = self._per_request
        return [
            Second(len(each) * per_request, _at(each, 0.5) * 1e3, _at(each, 0.99) * 1e3, each[-1] * 1e3)
            for each in map(sorted, taken)
            if each
        ]


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Answers:
    """Every request's answer, by its number, to be compared with the journal."""

    def __init__(self) -> None:
        self._order_ids = array("q")
        """Of each placement, by its number."""
        self._cancelled = array("q")
        """Order ids of the cancels that were done."""
        self._counts: Counter[str] = Counter()

    def take(self, drawn: Drawn, answer: Answer) -> None:
        refusal = answer.refusal
        if refusal is not None:
            self._counts[refusal] += 1
        if isinstance(drawn, Cancel):
            if refusal is None:
                self._counts["cancelled"] += 1
                self._cancelled.append(drawn.order_id)
            return
        ids = self._order_ids
        while len(ids) <= drawn.number:
            ids.append(UNANSWERED)
        if ids[drawn.number] != UNANSWERED:
            raise Broken(f"request {drawn.number} was answered twice")
        ids[drawn.number] = REFUSED if refusal is not None else answer.order_id
        if refusal is None:
            self._counts["placed"] += 1

    def counts(self) -> Counter[str]:
        """Placed, cancelled, and refusals by code."""
        return self._counts.copy()

    def write(self, folder: Path, orders: Orders) -> Totals:
        """Into two files of 64-bit numbers: order ids by number of the request; ids of cancelled orders."""
        while len(self._order_ids) < orders.placements:
            self._order_ids.append(UNANSWERED)
        with (folder / "placed").open("wb") as file:
            self._order_ids.tofile(file)
        with (folder / "cancelled").open("wb") as file:
            self._cancelled.tofile(file)
        placed, cancelled = self._counts["placed"], self._counts["cancelled"]
        refused = self._counts.total() - placed - cancelled
        return Totals(
            orders.placements, orders.cancels, placed, cancelled, refused, self._order_ids.count(UNANSWERED)
        )


class Pace:
    """A thread that tells the loop what is due, to within a fraction of a millisecond."""

    def __init__(self, per_s: int, arrived: Callable[[list[float]], None]) -> None:
        self._per_s = per_s
        self._arrived = arrived
        self._loop = asyncio.get_running_loop()
        self.told = 0
        """How many requests the loop was told of, or soon will be."""
        self._stopped = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        began, number = now(), 0
        while not self._stopped.is_set():
            due = began + number / self._per_s
            early = due - now()
            if early > 0:
                time.sleep(max(early, TURN_S))
            dues: list[float] = []
            while due <= now():
                dues.append(due)
                number += 1
                due = began + number / self._per_s
            if dues:
                self.told = number
                self._loop.call_soon_threadsafe(self._arrived, dues)


class Clients:
    """The process, as its parent plays on it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded = msgspec.json.decode(Path(settings.loaded).read_bytes(), type=Loaded)
        far = [trader.far for trader in self._loaded.traders]
        self._orders = Orders(far, self._loaded.near_lots, settings.seed)
        self._answers = Answers()

    async def run(self, run: Run) -> Figures:
        """One measurement."""
        measuring = Measuring(run, self._orders, self._answers)
        traders = self._loaded.traders
        host = run.deployment.host.encode("ascii")
        for number in range(run.connections):
            trader = number % len(traders)
            make = self._maker(run, trader, host, measuring)
            measuring.connections.append(await connect(run.port, make))
        return await measuring.measure()

    async def tell(self) -> Totals:
        """Writes down beside what was loaded what every request was answered."""
        return self._answers.write(Path(self._settings.loaded).parent, self._orders)

    def _maker(self, run: Run, trader: int, host: bytes, work: Measuring) -> Callable[[], Connection]:
        who = self._loaded.traders[trader]
        if run.way == "ws":
            spoken = Key(who, run.deployment) if run.identity == "key" else who.token
            return lambda: Stream(run.port, spoken, trader, run.window, work)
        credential: Credential
        match run.identity:
            case "key":
                credential = Key(who, run.deployment)
            case "token":
                credential = Token(who)
            case "nobody":
                credential = Nobody()
        if run.way in {"empty", "empty_signed"}:
            path = EMPTY_PATHS[run.way]
            return lambda: EmptyHttp(host, credential, trader, work, path)
        if run.way == "http_batch":
            return lambda: BatchHttp(host, credential, trader, work, run.batch)
        return lambda: SingleHttp(host, credential, trader, work)


async def live(settings: Settings) -> None:
    """Lives as its parent says."""
    clients = Clients(settings)
    await obey({"run": Told(Run, clients.run), "tell": clients.tell})


def main() -> None:
    """In uvloop, without a collector: what is made here is in no cycle."""
    gc.disable()
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live(settings))


if __name__ == "__main__":
    main()
