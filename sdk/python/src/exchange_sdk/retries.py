"""When to send again, and after how long."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and how long, a request is sent again by itself.

    Only what can not be done twice is: reads, cancellations, orders with a client_order_id (all that this
    package places), transfers with a client_transfer_id, the dead man's switch. Each time it is signed
    anew.
    """

    attempts: int = 5
    """In all, the first included; 1: never again."""
    first_delay_s: float = 0.1
    longest_delay_s: float = 5.0
    """Where the exchange asks for more than this, the error is raised at once, with its `retry_after_s`."""

    def delay_s(self, attempt: int, asked_s: float | None) -> float | None:
        """How long to wait after this attempt (1, 2, ...) failed; None: give up.

        Doubles each time, less a random part so that clients do not come back together, and is never less
        than what the exchange asked for.
        """
        if attempt >= self.attempts:
            return None
        if asked_s is not None and asked_s > self.longest_delay_s:
            return None
        backoff_s = min(self.longest_delay_s, self.first_delay_s * 2.0 ** (attempt - 1))
        return max(asked_s or 0.0, backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
