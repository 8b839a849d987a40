"""When each command was committed, by the machine's steady clock, in a file that all processes map.

CLOCK_MONOTONIC is the same in every process of a machine, so a reader can say how old an update is.
"""

import mmap
from array import array
from pathlib import Path
from typing import Self

ITEM_BYTES = 8


class CommitTimes:
    """Nanoseconds by seq; 0 where nothing is known. The file is sparse: what is not written takes no room."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.by_seq = memoryview(self._map).cast("q")

    @classmethod
    def create(cls, path: Path, capacity: int) -> Self:
        """For seqs below `capacity`."""
        with path.open("wb") as file:
            file.truncate(capacity * ITEM_BYTES)
        return cls(path)

    def set(self, seq_first: int, seq_last: int, time_ns: int) -> None:
        """These were committed together."""
        count = seq_last - seq_first + 1
        self.by_seq[seq_first : seq_last + 1] = memoryview(array("q", [time_ns]) * count)
