"""Where a process spends its time, by looking now and then: cheap enough to leave its figures as they are.

What C code does counts for the Python line that called it, and what the loop itself does for the next line
that runs.
"""

import signal
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL_S = 0.002
SHOWN = 40


class Sampler:
    """Looks at the main thread each so many milliseconds of the process's own time."""

    def __init__(self) -> None:
        self._itself: Counter[str] = Counter()
        self._within: Counter[str] = Counter()
        self._samples = 0

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def stop(self) -> list[str]:
        """Lines of a report: shares in the function itself, and in all that it calls, the largest first."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        total = max(1, self._samples)
        lines = [f"{total:,} samples, each of {INTERVAL_S * 1e3:g} ms of processor time", "in itself:"]
        lines += [f"  {count / total:6.1%}  {name}" for name, count in self._itself.most_common(SHOWN)]
        lines.append("with all that it calls:")
        lines += [f"  {count / total:6.1%}  {name}" for name, count in self._within.most_common(SHOWN)]
        return lines

    def _look(self, _: int, frame: FrameType | None) -> None:
        self._samples += 1
        seen: set[str] = set()
        while frame is not None:
            code = frame.f_code
            name = f"{Path(code.co_filename).parent.name}/{Path(code.co_filename).name} {code.co_qualname}"
            if not seen:
                self._itself[name] += 1
            seen.add(name)
            frame = frame.f_back
        self._within.update(seen)
