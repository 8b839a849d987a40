"""When a payment is looked at again: soon, or after pauses that grow with each attempt that failed."""

from collections.abc import Callable, Sequence

import structlog

from exchange.chain.life_cycle import PaymentState
from exchange.chain.payment_rows import PaymentRows, StoredPayment

log = structlog.get_logger(__name__)


class Pauses:
    """The pauses of one vault's payments: `retry_s`, doubled up to `retry_cap_s`."""

    def __init__(
        self, rows: PaymentRows, retry_s: float, retry_cap_s: float, now_ms: Callable[[], int]
    ) -> None:
        self._rows = rows
        self._retry_s = retry_s
        self._retry_cap_s = retry_cap_s
        self._now_ms = now_ms
        self._retries: dict[str, int] = {}

    async def put_off(self, ids: Sequence[str], at_most_s: float = 3_600.0) -> None:
        """Nothing to do for these at present: others get their turn first."""
        if ids:
            await self._rows.put_off(ids, self._now_ms() + int(1_000 * min(at_most_s, self._retry_s)))

    async def try_later(self, payment: StoredPayment, after: PaymentState, note: str) -> None:
        """This did not work out: longer each time, but not beyond the deadline, when it is to be refunded."""
        retry = self._retries.get(payment.withdrawal_id, 0)
        self._retries[payment.withdrawal_id] = retry + 1
        pause_s = min(self._retry_cap_s, self._retry_s * 2 ** min(retry, 16))
        not_before_ms = min(self._now_ms() + int(1_000 * pause_s), 1_000 * (payment.deadline_s + 1))
        await self._rows.postpone(payment.withdrawal_id, after, not_before_ms, note)
        log.warning("payment_postponed", withdrawal=payment.withdrawal_id, pause_s=pause_s, note=note)

    def forget(self, withdrawal_id: str) -> None:
        """It is final."""
        self._retries.pop(withdrawal_id, None)
