"""What a running exchange counts about itself, for Prometheus.

Whoever counts adds to plain integers; they are read, and everything else is worked out, when somebody asks.
There is no global registry: an exchange makes its own counters and hands them to those who fill them.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class StreamCounters:
    """What the WebSocket streams do. The sockets and feeds add to it in the loop's thread, nobody else.

    Channels by their public name without a market (`book`, `trades`, `orders`), reasons by their stable code:
    few different ones, never anything that a client has sent.
    """

    connections: int = 0
    """Open now."""
    connections_opened: int = 0
    subscriptions: Counter[str] = field(default_factory=Counter)
    """Live now, by channel."""
    messages_sent: Counter[str] = field(default_factory=Counter)
    """Handed to connections, by channel: one for each that receives it."""
    bytes_sent: int = 0
    """Of their payloads, before any compression."""
    conflated: Counter[str] = field(default_factory=Counter)
    """Updates that a slow reader was given as part of a later one, by channel."""
    cuts: Counter[str] = field(default_factory=Counter)
    """Connections and streams that were ended by the server, by reason."""


BATCH_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
"""Upper bounds, inclusive, of the buckets that batches are counted in, in commands."""


class CommitCounters:
    """What the engine has committed since this process began."""

    __slots__ = ("batches", "commands", "seq")

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.commands = 0
        self.batches = [0] * (len(BATCH_BOUNDS) + 1)
        """By size: each counts batches above the bound before it, the last those above all bounds."""

    def take(self, seq: int) -> None:
        """A batch that ends with `seq` was committed."""
        commands = seq - self.seq
        self.seq = seq
        self.commands += commands
        self.batches[bisect_left(BATCH_BOUNDS, commands)] += 1
