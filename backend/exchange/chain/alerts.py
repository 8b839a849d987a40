"""Alerts: what a person must look at now. A line in the log, and a POST to the operator's webhook.

`send` never waits and never fails, whatever becomes of the webhook: alerts queue up to a bound, each is tried
a few times, and what can not be delivered is logged. An alert is no record: what lasts is in the tables.

    {"kind": "withdrawals_halted", "detail": "...", "time_ms": 1767225600000, "text": "..."}

`text` is what chat services show.
"""

import asyncio
import time
from dataclasses import dataclass

import aiohttp
import structlog

TIMEOUT_S = 5.0
TRIES = 5
FIRST_PAUSE_S = 1.0
MAX_WAITING = 100
MAX_DETAIL_CHARS = 2_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One alert under way."""

    kind: str
    detail: str
    time_ms: int

    def as_json(self) -> dict[str, str | int]:
        return {
            "kind": self.kind,
            "detail": self.detail,
            "time_ms": self.time_ms,
            "text": f"{self.kind}: {self.detail}",
        }


class Refused(Exception):
    """The webhook answered, and not with success."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"HTTP {status}")

    @property
    def is_final(self) -> bool:
        """Whether to send the same again is in vain."""
        return 400 <= self.status < 500 and self.status not in {408, 425, 429}


class Alerts:
    """Sends alerts. One `run` task delivers them to `url`, which may hold a secret: it is never logged.

    Without a URL alerts are only logged.
    """

    def __init__(
        self,
        url: str | None,
        *,
        timeout_s: float = TIMEOUT_S,
        tries: int = TRIES,
        first_pause_s: float = FIRST_PAUSE_S,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._tries = tries
        self._first_pause_s = first_pause_s
        self._waiting: asyncio.Queue[Message] = asyncio.Queue(max_waiting)

    def send(self, kind: str, detail: str) -> None:
        """Logs the alert and queues it for the webhook."""
        log.critical("alert", kind=kind, detail=detail)
        if self._url is None:
            return
        try:
            self._waiting.put_nowait(Message(kind, detail[:MAX_DETAIL_CHARS], time.time_ns() // 1_000_000))
        except asyncio.QueueFull:
            log.error("alert_not_delivered", kind=kind, cause="too many are waiting")  # noqa: TRY400

    async def run(self) -> None:
        """Delivers until cancelled, one alert after another."""
        while True:
            await self._deliver(await self._waiting.get())
            self._waiting.task_done()

    async def delivered(self) -> None:
        """Waits until nothing is under way any more."""
        await self._waiting.join()

    async def _deliver(self, message: Message) -> None:
        pause_s = self._first_pause_s
        for attempt in range(1, self._tries + 1):
            try:
                await self._post(message)
            except (aiohttp.ClientError, TimeoutError, OSError, Refused) as error:
                cause = str(error) if isinstance(error, Refused) else type(error).__name__
                final = attempt == self._tries or (isinstance(error, Refused) and error.is_final)
                if final:
                    log.error("alert_not_delivered", kind=message.kind, cause=cause)  # noqa: TRY400
                    return
                log.warning("alert_fault", kind=message.kind, cause=cause, pause_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s *= 2
            else:
                return

    async def _post(self, message: Message) -> None:
        assert self._url is not None
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(self._url, json=message.as_json(), allow_redirects=False) as response,
        ):
            if not 200 <= response.status < 300:
                raise Refused(response.status)
