"""What a run found, as it is written to load.json and told in load.md."""

import msgspec
from scripts.bench.load import direct
from scripts.bench.load.clients import Figures
from scripts.bench.load.watching import Look
from scripts.bench.usage import Shares

WAYS = {"http_single": "HTTP, one by one", "http_batch": "HTTP, in batches", "ws": "WebSocket"}


class Cost(msgspec.Struct):
    """A function's share of the samples of the exchange's main thread."""

    name: str
    itself: float
    within: float
    """With all that it calls."""


class Measured(msgspec.Struct):
    """One way of sending orders, at one pace."""

    figures: Figures
    of_a_core: dict[str, float]
    """What each process had of a core, on average, warm-up included."""
    others: float
    """What processes that are none of ours had."""
    us_per_operation: dict[str, float]
    """Processor time of each process for one operation."""
    behind_s: dict[str, float]
    """By how much each projection was behind at the end."""
    caught_up_s: float = 0.0
    """How long they took to be up to date again."""
    costs: list[Cost] = []

    @classmethod
    def of(cls, figures: Figures, shares: Shares, look: Look | None) -> "Measured":
        per_operation_s = shares.seconds / max(1, figures.whole)
        return cls(
            figures,
            dict(shares.of_a_core),
            max(0.0, shares.machine - sum(shares.of_a_core.values())),
            {name: share * per_operation_s * 1e6 for name, share in shares.of_a_core.items()},
            {} if look is None else look.lag_s,
        )


class Sustained(msgspec.Struct):
    """A long time at one pace."""

    per_s: int
    measured: Measured
    looks: list[Look]


class Streams(msgspec.Struct):
    """What the subscribers have read meanwhile."""

    subscribers: int
    messages: int
    gaps: int
    later_snapshots: int
    p50_ms: float
    p99_ms: float
    """Of updates of a book: from the commit of the newest command in it until it was read."""


class Checked(msgspec.Struct):
    """What was compared after the load."""

    placed: int
    cancelled: int
    refused: int
    commands: int
    """In the journal, the Ticks of the engine and the nonces of signed requests among them."""
    open_orders: int
    """At the end."""
    faults: list[str]


class Machine(msgspec.Struct):
    """What it ran on."""

    at: str
    processor: str
    cores: int
    python: str
    core: str
    """Whether the engine's core is compiled."""
    load_before: float
    """The mean number of processes that wanted to run in the last minute."""


class Results(msgspec.Struct):
    """Everything."""

    machine: Machine
    seconds: float
    open_orders: int
    per_s: int
    connections: dict[str, str]
    """For each way: how many, with how much under way."""
    saturated: dict[str, Measured] = {}
    paced: dict[str, Measured] = {}
    empty: dict[str, Measured] = {}
    baseline: Measured | None = None
    baseline_paced: Measured | None = None
    engine: direct.Figures | None = None
    sustained: Sustained | None = None
    streams: Streams | None = None
    checked: Checked | None = None
    faults: list[str] = []
    """Of everything else."""

    def line(self) -> str:
        """The last line of a run."""
        assert self.baseline is not None
        ws, batch, single = (self.saturated[way].figures.per_s for way in ("ws", "http_batch", "http_single"))
        acks, baseline = self.paced["ws"].figures.latencies_ms, self.baseline.figures.per_s
        return (
            f"bench: ws={ws:.0f} http_batch={batch:.0f} http_single={single:.0f}"
            f" ack_p50_ms={acks['p50']:.2f} ack_p99_ms={acks['p99']:.2f}"
            f" baseline={baseline:.0f} ratio={ws / baseline:.1f}"
        )

    def all_faults(self) -> list[str]:
        """Whatever makes the run fail."""
        return [*self.faults, *(self.checked.faults if self.checked is not None else [])]
