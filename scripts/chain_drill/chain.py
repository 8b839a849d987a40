"""The drill's own chain: a real anvil that mines when it is told to, and fails when it is told to."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scripts.crash.ports import free_port

from exchange.chain.devchain import Anvil, find_anvil
from exchange.chain.errors import PortTaken, RpcError
from exchange.chain.rpc import Header, Rpc
from exchange.config import REPOSITORY

ARTIFACTS = REPOSITORY / "build" / "contracts"
SAVE_INTERVAL_S = 1
SAVED_AFTER_S = 1.2
"""Longer than the interval at which anvil writes its state, so that all blocks until now are in the file."""
GWEI = 10**9


class DrillChain:
    """One chain on one port, its state in a folder. Blocks come by `mine` only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._anvil: Anvil | None = None
        self._rpc: Rpc | None = None
        self._watch: asyncio.Task[int] | None = None

    async def __aenter__(self) -> Self:
        while True:
            anvil = Anvil(
                find_anvil(REPOSITORY),
                free_port(),
                self._folder / "chain.json",
                save_interval_s=SAVE_INTERVAL_S,
            )
            try:
                await anvil.start()
            except PortTaken:  # somebody was faster
                continue
            break
        self._anvil = anvil
        self._rpc = Rpc(anvil.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.rpc.close()
        await self.anvil.stop()

    @property
    def anvil(self) -> Anvil:
        assert self._anvil is not None
        return self._anvil

    @property
    def rpc(self) -> Rpc:
        """The drill's own line to the node: nothing is ever lost on it."""
        assert self._rpc is not None
        return self._rpc

    @property
    def url(self) -> str:
        return self.anvil.url

    async def call(self, method: str, *params: Any) -> Any:
        return await self.rpc.call(method, *params)

    # ---- blocks

    async def stop_automine(self) -> None:
        """From now on blocks come by `mine` only. A start forgets it."""
        await self.call("evm_setAutomine", False)

    async def mine(self, count: int = 1) -> None:
        for _ in range(count):
            await self.call("evm_mine")

    async def head(self) -> Header:
        return await self.rpc.head()

    async def snapshot(self) -> str:
        """To come back to by `revert`, once."""
        return str(await self.call("evm_snapshot"))

    async def revert(self, snapshot: str) -> None:
        """Takes back all blocks since."""
        assert await self.call("evm_revert", snapshot) is True

    async def reorganize(self, depth: int) -> None:
        """Replaces so many newest blocks by empty ones. What was in them is gone, out of the pool too.

        For a few blocks: from 500 on anvil's chain comes out without its contracts, and says nothing.
        """
        assert depth < 100
        await self.call("anvil_reorg", depth, [])

    async def later(self, seconds: int) -> None:
        """The next block, and all after it, come so much later."""
        await self.call("evm_increaseTime", seconds)

    async def base_fee(self, wei: int) -> None:
        """Of the next block."""
        await self.call("anvil_setNextBlockBaseFeePerGas", hex(wei))

    # ---- pool

    async def pooled(self, sender: str) -> list[dict[str, Any]]:
        """A sender's transactions in the pool, lowest nonce first."""
        content = await self.call("txpool_content")
        found: dict[int, dict[str, Any]] = {}
        for kind in ("queued", "pending"):
            for address, by_nonce in content[kind].items():
                if address.lower() == sender:
                    found |= {int(entry["nonce"], 16): entry for entry in by_nonce.values()}
        return [found[nonce] for nonce in sorted(found)]

    async def hand_in(self, raw: bytes) -> None:
        """Signed bytes into the pool, if the node takes them."""
        with contextlib.suppress(RpcError):
            await self.rpc.send_raw(raw)

    async def drop(self, tx_hash: str) -> bool:
        """Takes a transaction out of the pool; whether it was there."""
        try:
            return await self.call("anvil_dropTransaction", tx_hash) is not None
        except RpcError:
            return False

    # ---- the process

    async def restart(self) -> None:
        """Stops and starts; the state is kept, the pool and its mood are not."""
        await self.anvil.stop()
        await self._start_again()

    async def kill(self) -> None:
        """SIGKILL and a new start: back to what was saved last, with an empty pool."""
        os.kill(self.anvil.pid, signal.SIGKILL)
        await self.anvil.wait()
        await self.anvil.stop()
        await self._start_again()

    async def _start_again(self) -> None:
        await self.rpc.close()
        await self.anvil.start()
        await self.stop_automine()

    async def hang(self, seconds: float) -> None:
        """The process stands still: what is sent to it meanwhile is done afterwards."""
        os.kill(self.anvil.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(self.anvil.pid, signal.SIGCONT)
