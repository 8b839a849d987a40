"""Where the exchange spends its time under load: py-spy looks at it from outside, a hundred times a second.

The stacks are kept as they are (`profile-<way>.txt`, one a line with its count, as flame graph viewers read
them). What C code does counts for the Python line that called it, what the loop itself does for `Runner.run`.
"""

import asyncio
import sys
from collections import Counter
from pathlib import Path

from scripts.bench.load.results import Cost

PER_S = 100
SHOWN = 30
MAIN_THREAD = "<module>"


class Profile:
    """One recording, under way."""

    def __init__(self, process: asyncio.subprocess.Process, path: Path) -> None:
        self._process = process
        self._path = path

    @classmethod
    async def start(cls, pid: int, seconds: float, path: Path) -> "Profile":
        """Looks at the process for so many seconds."""
        program = Path(sys.executable).with_name("py-spy")
        arguments = [
            "record",
            "--pid",
            str(pid),
            "--duration",
            str(max(1, int(seconds))),
            "--rate",
            str(PER_S),
        ]
        process = await asyncio.create_subprocess_exec(
            str(program),
            *arguments,
            *("--format", "raw", "--output", str(path)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        return cls(process, path)

    async def costs(self) -> list[Cost]:
        """Waits for its end; the functions that took most. Raises RuntimeError with py-spy's last words."""
        _, told = await self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"py-spy: {told.decode(errors='replace')[-500:]}")
        return costs_of((await asyncio.to_thread(self._path.read_text)).splitlines())


def costs_of(lines: list[str]) -> list[Cost]:
    """What took most, in itself or with what it calls, of stacks with their counts: the main thread's."""
    itself: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = [frame.rpartition(":")[0] + ")" for frame in stack.split(";")]
        if MAIN_THREAD not in frames[0] and not any(MAIN_THREAD in frame for frame in frames[:4]):
            continue
        itself[frames[-1]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
    total = max(1, itself.total())
    names = {name for counts in (itself, within) for name, _ in counts.most_common(SHOWN)}
    costs = [Cost(name, itself[name] / total, within[name] / total) for name in names]
    return sorted(costs, key=lambda cost: (-cost.itself, -cost.within))
