"""`exchange rebuild candles`: trades, candles and volumes in ClickHouse, filled again from the journal.

With an exchange running it does the work, told so by the database; else this process does it. Which of the
two may change in between, and either may be killed: what is begun goes on with whoever comes next, once.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

import asyncpg
from rich.console import Console

from exchange.examine import DEFAULT_FOLDER, folder_url
from exchange.journal.tail import Tail
from exchange.parts import CannotRun, running
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.rebuild import (
    Filled,
    Rebuild,
    RebuildWatch,
    all_have_gone,
    be_the_only_one,
    begin_rebuild,
    read_filled,
    read_rebuild,
)
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.errors import ClickHouseError
from exchange.stores.postgres import open_connection, open_pool, reaching_the_database

POLL_S = 0.2
LINE_EVERY_S = 2.0
RATE_OVER_S = 5.0


class CannotRebuild(CannotRun):
    """Nothing was begun, or it can not go on from here; the message says what to do."""


async def rebuild_candles(
    database_url: str | None, clickhouse: str | None, data_dir: Path | None, cluster: str | None = None
) -> None:
    """Rebuilds, shows how far it is, and prints what there is at the end.

    Raises CannotRebuild, CannotExamine, StoreError, and HeadLost of a journal that has lost rows.
    """
    started_at = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        if data_dir is not None or database_url is None:
            folder = data_dir or DEFAULT_FOLDER
            database_url = await folder_url(folder, stack)
            clickhouse, cluster = str(folder / "clickhouse"), None
        with reaching_the_database():
            connection = await open_connection(database_url)
        stack.callback(connection.terminate)
        with reaching_the_database():
            if await connection.fetchval("SELECT to_regclass('clickhouse_rebuilds') IS NULL"):
                raise CannotRebuild(
                    "the database is not that of this version: start the exchange once, "
                    "which brings it up to date"
                )
            fill = partial(_fill, database_url, clickhouse, cluster, stack)
            rebuild = await _rebuild(connection, fill)
    assert rebuild.finished_ms is not None
    Console(highlight=False, soft_wrap=True).print(
        f"rebuilt: trades={rebuild.trades} candles={rebuild.candles} seq={rebuild.seq}"
        f" seconds={time.monotonic() - started_at:.2f}"
    )


async def _rebuild(connection: asyncpg.Connection, fill: Callable[[], Awaitable[None]]) -> Rebuild:
    """Begins one, or goes on with one, and sees it through."""
    is_ours = await be_the_only_one(connection)
    if is_ours:  # first of all: what can not be reached must not be forgotten
        await fill()
    rebuild, found = await begin_rebuild(connection)
    with _shown(rebuild, found, is_ours) as show:
        while rebuild.finished_ms is None:
            show(await read_filled(connection))
            await asyncio.sleep(POLL_S)
            if not is_ours and await all_have_gone(connection):
                is_ours = True  # whoever did it has gone
                await fill()
            rebuild = await read_rebuild(connection, rebuild.id)
    return rebuild


async def _fill(url: str, where: str | None, cluster: str | None, stack: contextlib.AsyncExitStack) -> None:
    """Does the work in this process, as long as the stack. Raises CannotRebuild."""
    if where is None:
        raise CannotRebuild(
            "no exchange is running that could do it: set EXCHANGE_CLICKHOUSE to the server's address or the "
            "folder, as for `exchange serve`"
        )
    clickhouse = ClickHouse.at(where, cluster)
    stack.push_async_callback(clickhouse.close)
    try:
        await clickhouse.connect()
    except ClickHouseError as error:
        raise CannotRebuild(
            f"ClickHouse can not be opened, and nothing was changed ({error}); start it, correct "
            "EXCHANGE_CLICKHOUSE, or stop what else has its folder open"
        ) from error
    pool = await open_pool(url, max_size=3)
    stack.push_async_callback(pool.close)
    projection = ClickHouseProjection(pool, Tail(pool), clickhouse)
    await stack.enter_async_context(running("trades", projection.run()))
    await stack.enter_async_context(running("rebuilds", RebuildWatch(pool, clickhouse, poll_s=POLL_S).run()))


# ---- what is shown


class Show(Protocol):
    """Is told how far it is."""

    def __call__(self, filled: Filled) -> None: ...


@contextlib.contextmanager
def _shown(rebuild: Rebuild, found: bool, is_ours: bool) -> Iterator[Show]:
    """One line that changes, or on what is no terminal a line now and then."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    what = "an interrupted rebuild goes on" if found else "rebuilding"
    who = "here" if is_ours else "in the running exchange"
    console.print(f"{what} {who}, up to seq {rebuild.target_seq:,}", style="dim")
    pace = _Pace()
    printed_at = time.monotonic()
    with console.status("") as status:

        def show(filled: Filled) -> None:
            nonlocal printed_at
            share = min(100, 100 * filled.seq // max(1, rebuild.target_seq))
            line = (
                f"seq {filled.seq:,} of {rebuild.target_seq:,}, {share} %, {filled.trades:,} trades, "
                f"{pace.per_s(filled.trades):,.0f}/s"
            )
            if console.is_terminal:
                status.update(line)
            elif time.monotonic() - printed_at >= LINE_EVERY_S:
                printed_at = time.monotonic()
                console.print(f"  {line}", style="dim")

        yield show


class _Pace:
    """Trades a second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def per_s(self, trades: int) -> float:
        now = time.monotonic()
        if self._seen and trades < self._seen[-1][1]:
            self._seen.clear()  # it starts over
        self._seen.append((now, trades))
        while now - self._seen[0][0] > RATE_OVER_S:
            self._seen.pop(0)
        began_at, began = self._seen[0]
        return (trades - began) / (now - began_at) if now > began_at else 0.0
