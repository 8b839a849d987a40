"""Takes up what operators ask for and hands it to the engine: one request after another, each at most once.

A request is noted as taken before its command is submitted. One that was under way when the process ended is
not submitted again, for something else may have been decided since: it ends as interrupted, and whoever asked
looks, and asks again. One that nobody took up for a minute has expired.
"""

import asyncio

import asyncpg
import structlog

from exchange.core.events import Rejected
from exchange.operator.requests import Answer, OperatorRequest, OperatorRequests
from exchange.sequencer.sequencer import CommandNotEncodable, Overloaded, Submit
from exchange.stores.errors import OUTAGES

POLL_S = 1.0
OUTAGE_PAUSE_S = 5.0

log = structlog.get_logger(__name__)


class OperatorInbox:
    """One `run` task per deployment."""

    def __init__(self, pool: asyncpg.Pool, submit: Submit, *, poll_s: float = POLL_S) -> None:
        self._requests = OperatorRequests(pool)
        self._submit = submit
        self._poll_s = poll_s
        self._cleared = False

    async def run(self) -> None:
        """Works until cancelled, through every outage of the database. Raises EngineStopped."""
        while True:
            try:
                await self.take_up()
            except OUTAGES as error:
                self._cleared = False  # one may be taken, with its outcome not noted
                log.warning("operator_requests_fault", error=repr(error))
                await asyncio.sleep(OUTAGE_PAUSE_S)
            else:
                await asyncio.sleep(self._poll_s)

    async def take_up(self) -> int:
        """Does all that is asked for; how many requests. Raises asyncpg's errors, OSError, EngineStopped."""
        if not self._cleared:
            interrupted = await self._requests.interrupt()
            if interrupted:
                log.warning("operator_requests_interrupted", count=interrupted)
            self._cleared = True
        expired = await self._requests.expire()
        if expired:
            log.warning("operator_requests_expired", count=expired)
        count = 0
        while (request := await self._requests.take()) is not None:
            answer = await self._do(request)
            await self._requests.done(request.id, answer)
            log.warning(
                "operator_request",
                id=request.id,
                command=repr(request.command),
                by=request.requested_by,
                seq=answer.seq,
                refusal=answer.refusal,
            )
            count += 1
        return count

    async def _do(self, request: OperatorRequest) -> Answer:
        try:
            outcome = await self._submit(request.command)
        except (Overloaded, CommandNotEncodable) as error:
            return Answer(None, str(error))  # it was not taken in
        refusal = next((event.reason for event in outcome.events if isinstance(event, Rejected)), None)
        return Answer(outcome.seq, refusal)
