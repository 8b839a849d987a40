"""What gas costs now, for quotes and fees: the newest block's base fee and the node's priority fee.

Payments never use this: they ask the node when they are signed (`exchange.chain.fees`). A sample that is too
old is none at all.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from exchange.chain.backoff import repeat
from exchange.chain.rpc import Rpc

POLL_S = 5.0
MAX_AGE_S = 60.0
GAS_PER_PAYMENT = 130_000
"""Gas of one payment in a transaction of its own: measured 105,000 to 130,500. In a batch it is less."""


@dataclass(frozen=True, slots=True)
class GasPrice:
    """Wei per gas as of a block."""

    base_fee_wei: int
    priority_fee_wei: int
    block_number: int

    @property
    def wei(self) -> int:
        """What a unit of gas costs."""
        return self.base_fee_wei + self.priority_fee_wei

    @property
    def payment_wei(self) -> int:
        """What one payment costs, about."""
        return GAS_PER_PAYMENT * self.wei


class GasPrices:
    """Samples one node. `latest` is what is known; None before the first sample and when the last is old."""

    def __init__(
        self,
        rpc: Rpc,
        *,
        poll_s: float = POLL_S,
        max_age_s: float = MAX_AGE_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rpc = rpc
        self._poll_s = poll_s
        self._max_age_s = max_age_s
        self._now_s = now_s
        self._sample: GasPrice | None = None
        self._sampled_s = 0.0

    @property
    def latest(self) -> GasPrice | None:
        return self._sample if self._now_s() - self._sampled_s <= self._max_age_s else None

    @property
    def payment_wei(self) -> int | None:
        """What one payment costs, about, if that is known."""
        latest = self.latest
        return None if latest is None else latest.payment_wei

    async def run(self) -> None:
        """Samples until cancelled."""
        await repeat(
            "gas_price", self.sample, lambda: asyncio.sleep(self._poll_s), first_fault_pause_s=self._poll_s
        )

    async def sample(self) -> None:
        """Asks once. Raises RpcUnavailable, RpcError, RpcAnswerInvalid."""
        asked_s = self._now_s()
        head = await self._rpc.head()
        priority_fee_wei = await self._rpc.priority_fee_wei()
        self._sample = GasPrice(head.base_fee_wei, priority_fee_wei, head.number)
        self._sampled_s = asked_s
