"""A thread with a client of its own to ClickHouse: what is called on it runs one after the other.

The client blocks, and may not be used by two threads at once.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from math import ceil
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError as DriverError
from urllib3 import Timeout

from exchange.stores.clickhouse_schema import Layout
from exchange.stores.errors import ClickHouseError

CONNECT_TIMEOUT_S = 5.0
GRACE_S = 1.0
"""By which the driver waits longer for a server than the caller, who knows better what was waited for."""

FAILURES = (DriverError, OSError, RuntimeError)
"""What the driver and chDB raise."""

_DRAINED = "nothing is left"
_DRAIN = f"SELECT '{_DRAINED}'"
_opening = Lock()
"""chDB is opened by one thread at a time."""

Result = TypeVar("Result")


class Lane:
    """Connects with its first call, and with each call after that until it can."""

    def __init__(self, path: Path | None, url: str | None, layout: Layout) -> None:
        self._path = path
        self._url = url
        self._layout = layout
        self._client: Any = None
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="clickhouse")
        self.waiting = 0
        """Calls that wait, the one that runs included; kept by the caller."""
        self.fault: ClickHouseError | None = None
        """Why it got no answer the last time; kept by the caller."""

    @property
    def is_connected(self) -> bool:
        return self._client is not None

    def reluctance(self) -> tuple[bool, int, bool]:
        """Less is better for who has a choice; where one finds out whether it works again none else waits."""
        is_faulty = self.fault is not None
        return (is_faulty and self.waiting > 0, self.waiting, is_faulty)

    def run(self, call: Callable[[Any], Result], timeout_s: float) -> Result:
        """Runs a call with the client; on the lane's thread only. Raises FAILURES."""
        if self._client is None:
            self._client = self._connect(timeout_s)
        if self._url is not None:
            self._client.timeout = Timeout(connect=CONNECT_TIMEOUT_S, read=timeout_s + GRACE_S)
            return call(self._client)
        try:
            return call(self._client)
        except Exception:
            self._drain()
            raise

    def close(self) -> None:
        """Ends the client, if there is one; on the lane's thread only."""
        if self._client is not None:
            self._client.close()

    def _connect(self, timeout_s: float) -> Any:
        if self._path is None:
            return _client(
                self._layout,
                dsn=self._url,
                connect_timeout=CONNECT_TIMEOUT_S,
                send_receive_timeout=ceil(timeout_s + GRACE_S),
            )
        with _opening:
            self._path.mkdir(parents=True, exist_ok=True)
            return _client(self._layout, interface="chdb", path=str(self._path))

    def _drain(self) -> None:
        """Takes out what a failed query left behind.

        chDB 4.4 gives the rows that a query had produced before it failed (an error midway, the time limit)
        in front of the next query's result.
        """
        for _ in range(3):
            with suppress(*FAILURES):
                if self._client.query(_DRAIN).result_rows == [(_DRAINED,)]:
                    return


def _client(layout: Layout, **where: Any) -> Any:
    first = clickhouse_connect.get_client(**where)
    try:
        first.command(layout.create_database())
        return clickhouse_connect.get_client(**where, database=layout.database)
    finally:
        first.close()
