"""How far a follower of the journal has come, and waiting for it."""

import asyncio


class Progress:
    """The seq up to which a follower has dealt with the journal."""

    def __init__(self) -> None:
        self.seq = 0
        self._moved = asyncio.Event()

    def set(self, seq: int) -> None:
        """Records the position (lower again after a reset) and wakes everybody who waits."""
        self.seq = seq
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def reached(self, seq: int, timeout_s: float) -> bool:
        """Waits until the follower is at `seq` or later; False when that takes longer than `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.seq < seq:
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True
