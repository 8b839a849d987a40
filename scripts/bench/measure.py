"""Numbers from clocks: percentiles, medians over rounds, the collector's pauses, memory."""

import gc
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Self

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def percentile(ordered: list[int] | list[float], share: float) -> float:
    """The value below which `share` (0..1) of the ascending values lie, by nearest rank."""
    assert ordered
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Rate:
    """Operations per second over several rounds."""

    middle: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, operations: int, seconds: Iterable[float]) -> Self:
        """From the seconds that each round of `operations` took."""
        rates = [operations / each for each in seconds]
        return cls(median(rates), min(rates), max(rates))

    def __str__(self) -> str:
        return f"{self.middle:>9,.0f} /s   ({self.lowest:,.0f} .. {self.highest:,.0f})"


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long requests took, in milliseconds."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    longest_ms: float

    @classmethod
    def of(cls, ordered_s: list[float]) -> Self:
        """From ascending seconds."""
        p50_s, p99_s, p999_s = (percentile(ordered_s, share) for share in (0.5, 0.99, 0.999))
        return cls(p50_s * 1e3, p99_s * 1e3, p999_s * 1e3, ordered_s[-1] * 1e3)

    def __str__(self) -> str:
        return (
            f"p50 {self.p50_ms:.2f} ms, p99 {self.p99_ms:.2f} ms, p99.9 {self.p999_ms:.2f} ms, "
            f"longest {self.longest_ms:.1f} ms"
        )


def resident_bytes() -> int:
    """Memory of this process that is in RAM. Source: proc(5), statm."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


class CollectorWatch:
    """How often the garbage collector ran while watched, and its longest pause."""

    def __init__(self) -> None:
        self.runs = 0
        self.longest_ns = 0
        self._started_ns = 0

    def _heed(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._started_ns = time.perf_counter_ns()
        else:
            self.runs += 1
            self.longest_ns = max(self.longest_ns, time.perf_counter_ns() - self._started_ns)

    def __enter__(self) -> Self:
        gc.callbacks.append(self._heed)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._heed)

    def __str__(self) -> str:
        return f"{self.runs} runs, longest pause {self.longest_ns / 1e6:.2f} ms"


class CpuShare:
    """How much of a core this thread got: far below 1, the machine was busy with others."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.thread_time()

    def __str__(self) -> str:
        wall, cpu = time.perf_counter() - self._wall, time.thread_time() - self._cpu
        return f"{cpu / wall:.0%} of a core"
