"""Asks a node for the vault's deposit logs, range by range, in ranges as large as the node likes.

While one range is stored, the next one is already under way. A range that the node refuses (too many logs,
too many blocks) or does not answer in time is halved; each one that goes well lets them grow again.
"""

import asyncio

from exchange.chain.errors import LogNotAsked, RpcError
from exchange.chain.rpc import Log, Rpc
from exchange.chain.vault import DEPOSITED

MAX_RANGE_BLOCKS = 5_000


class DepositLogs:
    """The logs of one vault."""

    def __init__(self, rpc: Rpc, vault: str) -> None:
        self._rpc = rpc
        self._vault = vault
        self._range_blocks = MAX_RANGE_BLOCKS
        self._asked_blocks = MAX_RANGE_BLOCKS
        self._ahead: tuple[int, int, asyncio.Task[list[Log]]] | None = None

    async def read(self, first: int, last: int) -> tuple[list[Log], int]:
        """Logs from `first` on, oldest first, and up to which block: `last` at most.

        Raises LogNotAsked, RpcError when the node refuses a single block, RpcUnavailable.
        """
        last = min(last, first + self._range_blocks - 1)
        self._asked_blocks = last - first + 1
        while True:
            ahead, self._ahead = self._ahead, None
            try:
                if ahead is not None and ahead[0] == first and ahead[1] <= last:
                    last = ahead[1]
                    found = await ahead[2]
                else:
                    if ahead is not None:
                        ahead[2].cancel()
                    found = await self._logs(first, last)
            except RpcError:
                if first == last:
                    raise
                self._range_blocks = (last - first + 1) // 2
                last = first + self._range_blocks - 1
            else:
                break
        for log in found:
            is_deposit = log.topics[:1] == (DEPOSITED,)
            if log.address != self._vault or not is_deposit or not first <= log.block_number <= last:
                raise LogNotAsked(log.address, log.block_number)
        self._range_blocks = min(MAX_RANGE_BLOCKS, self._range_blocks + self._range_blocks // 8 + 1)
        return found, last

    def shrink(self) -> None:
        """Makes the next ranges smaller than the last one: something about it took too long."""
        self._range_blocks = max(1, min(self._range_blocks, self._asked_blocks) // 2)

    def read_ahead(self, first: int, last: int) -> None:
        """Begins to read from `first` on, up to `last` at most; what `read` is asked for next."""
        last = min(last, first + self._range_blocks - 1)
        if first > last:
            return
        self.forget_ahead()
        task = asyncio.create_task(self._logs(first, last))
        task.add_done_callback(_heard)
        self._ahead = (first, last, task)

    def forget_ahead(self) -> None:
        """Ends what was begun and not asked for."""
        if self._ahead is not None:
            self._ahead[2].cancel()
            self._ahead = None

    async def _logs(self, first: int, last: int) -> list[Log]:
        return await self._rpc.logs(self._vault, [DEPOSITED], first, last)


def _heard(task: "asyncio.Task[list[Log]]") -> None:
    """Nobody may come to ask for it; then its failure is no news."""
    if not task.cancelled():
        task.exception()
