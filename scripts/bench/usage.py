"""What the processes of a run use: processor time and memory, as the kernel counts them. Source: proc(5)."""

import contextlib
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from scripts.bench.measure import PAGE_BYTES
from scripts.crash.processes import children

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int, others: Collection[int] = ()) -> float:
    """Seconds of processor time that the process and its children have had, in user and kernel mode.

    Those of its children that are among `others` are counted elsewhere.
    """
    own = sum(map(int, _stat(pid)[11:15]))  # those of children that have ended are in it
    for child in children(pid):
        if child in others:
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            own += sum(map(int, _stat(child)[11:15]))
    return own / TICKS_PER_S


def parent(pid: int) -> int:
    """The process's parent."""
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """What the kernel tells of a process, from its state on, which is the third field."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()


def child_of(pid: int, word: str) -> int:
    """The child of a process with this word in its command line. Raises LookupError."""
    for child in children(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if word in Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8", errors="replace"):
                return child
    raise LookupError(f"no child of {pid} is a {word}")


def resident_mib(pid: int) -> float:
    """Memory of the process that is in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * PAGE_BYTES / 2**20


def machine_busy_s() -> float:
    """Seconds that all processors together were not idle, whoever had them."""
    fields = [
        int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    ]
    user, nice, system, _, _, irq, soft_irq, steal = fields[:8]
    return (user + nice + system + irq + soft_irq + steal) / TICKS_PER_S


@dataclass(frozen=True, slots=True)
class Moment:
    """The counts at one moment, to be compared with those of a later one."""

    at_s: float
    cpu_s: Mapping[str, float]
    busy_s: float

    @classmethod
    def now(cls, pids: Mapping[str, int]) -> Self:
        """A child of one that is among them itself counts for itself alone."""
        all_pids = set(pids.values())
        each_s = {name: cpu_s(pid, all_pids) for name, pid in pids.items()}
        return cls(time.monotonic(), each_s, machine_busy_s())

    def until(self, later: Self) -> "Shares":
        seconds = later.at_s - self.at_s
        shares = {name: (later.cpu_s[name] - before) / seconds for name, before in self.cpu_s.items()}
        return Shares(seconds, shares, (later.busy_s - self.busy_s) / seconds)


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of one core each process had, on average, over so many seconds."""

    seconds: float
    of_a_core: Mapping[str, float]
    machine: float
    """All processes there are, whosever."""

    def __str__(self) -> str:
        each = ", ".join(f"{name} {share:.0%}" for name, share in self.of_a_core.items())
        strangers = max(0.0, self.machine - sum(self.of_a_core.values()))
        return f"{each}, everybody else {strangers:.0%}, of {os.cpu_count()} x 100%"
