"""Exports: a whole history as one CSV file that streams, true as of one seq.

Theory of operation. A page of rows is read, turned into text and sent, and only when the client has taken
it is the next one read. In between nothing is held but that page, so a reader that stalls costs no database
connection; the connection's write timeout ends it (`edge.http_protocol`), an export as a whole has a time
limit, and none outlives its session or key. How many run is bounded, for each owner and in all, and few read
from the database at a time.

What goes wrong before the first byte is a problem like any other. Afterwards the connection is closed before
the file's end is sent, which every HTTP/1.1 client reports; the file never ends cleanly unless it is whole.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from exchange.edge.cross_origin import SEQ_HEADER
from exchange.edge.csv_table import MEDIA_TYPE, CsvTable
from exchange.edge.errors import unavailable
from exchange.edge.identity import require_still
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.sampled_warnings import SampledWarnings
from exchange.gateway.callers import Caller
from exchange.gateway.refusals import GatewayRefusal
from exchange.stores.errors import OUTAGES

RETRY_AFTER_S = 10
Row = TypeVar("Row")
_CUT_SHORT = (GatewayRefusal, *OUTAGES)
"""What ends an export that has begun: its session or key, its time limit, the database. All else is a bug."""

CSV_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "All of it as CSV, oldest first. A file whose transfer was cut off is not whole.",
        "content": {"text/csv": {"schema": {"type": "string"}}},
        "headers": {
            SEQ_HEADER: {
                "description": "The sequence number as of which the file is true.",
                "schema": {"type": "string", "pattern": "^[0-9]+$"},
            },
            "Content-Disposition": {
                "description": "A name for the file, with the same number.",
                "schema": {"type": "string"},
            },
        },
    }
}
"""`responses` of every export's route."""


class Exports:
    """Which exports run, and the bounds on them."""

    def __init__(
        self, *, per_owner: int = 2, in_all: int = 64, reading: int = 2, timeout_s: float = 3_600
    ) -> None:
        self.timeout_s = timeout_s
        self.warnings = SampledWarnings()
        self.reading = asyncio.Semaphore(reading)
        """Held while a page is read: exports leave most of the database's connections to others."""
        self._per_owner = per_owner
        self._in_all = in_all
        self._running: Counter[str] = Counter()

    @property
    def running(self) -> int:
        """How many run now."""
        return self._running.total()

    @contextmanager
    def one_of(self, owner: str) -> Iterator[None]:
        """Counts one as running. Raises Problem (too_many_exports, unavailable)."""
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        if self._running[owner] >= self._per_owner:
            raise Problem(
                EdgeCode.TOO_MANY_EXPORTS, f"you may have {self._per_owner} at a time", headers=headers
            )
        if self.running >= self._in_all:
            raise unavailable(detail="too many exports at this moment")
        self._running[owner] += 1
        try:
            yield
        finally:
            self._running[owner] -= 1
            if not self._running[owner]:
                del self._running[owner]


@dataclass(frozen=True, slots=True)
class Opened(Generic[Row]):
    """An export that can begin: its seq, its rows, and what is shown of a row."""

    seq: int
    pages: AsyncGenerator[list[Row], None]
    item: Callable[[Row], Mapping[str, Any]]


class CsvExport(Response, Generic[Row]):
    """The answer of an export's route. `open` is called when there is room for one more."""

    def __init__(
        self, name: str, caller: Caller, table: CsvTable, open_rows: Callable[[], Awaitable[Opened[Row]]]
    ) -> None:
        super().__init__()
        self._name = name
        self._caller = caller
        self._table = table
        self._open_rows = open_rows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exports: Exports = scope["app"].state.exports
        with exports.one_of(self._caller.owner):
            until_s = asyncio.get_running_loop().time() + exports.timeout_s
            async with asyncio.timeout_at(until_s), exports.reading:
                opened = await self._open_rows()
                rows = await anext(opened.pages, None)
            await send(self._start(opened.seq))
            try:
                async with (
                    asyncio.timeout_at(until_s),
                    aclosing(opened.pages),
                    asyncio.TaskGroup() as tasks,
                ):
                    gone = tasks.create_task(_disconnect(receive))
                    await self._send_rows(Request(scope), opened, rows, gone, send)
                    gone.cancel()
            except* _CUT_SHORT as cut:
                # No answer can say so any more. Returned from, the connection is closed, for it is not whole.
                causes = [repr(cause) for cause in cut.exceptions]
                exports.warnings.warn("export_cut_short", self._name, error=", ".join(causes))

    async def _send_rows(
        self,
        request: Request,
        opened: Opened[Row],
        rows: list[Row] | None,
        gone: asyncio.Task[None],
        send: Send,
    ) -> None:
        """Sends header, rows and the end, unless the client goes away before.

        Raises GatewayRefusal when the session or the key ends meanwhile.
        """
        exports: Exports = request.app.state.exports
        lines = self._table.header()
        while rows is not None and not gone.done():
            lines += self._table.lines(map(opened.item, rows))
            await send({"type": "http.response.body", "body": lines, "more_body": True})
            lines = b""
            await require_still(request, self._caller)
            async with exports.reading:
                rows = await anext(opened.pages, None)
        if not gone.done():
            await send({"type": "http.response.body", "body": lines, "more_body": False})

    def _start(self, seq: int) -> dict[str, Any]:
        headers = {
            "content-type": MEDIA_TYPE,
            "content-disposition": f'attachment; filename="{self._name}-seq{seq}.csv"',
            SEQ_HEADER.lower(): str(seq),
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        return {"type": "http.response.start", "status": 200, "headers": raw}


async def _disconnect(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
