"""The read tables in Postgres, following the journal.

Several batches are folded in memory and written by a handful of bulk statements in one transaction together
with the cursor, so every batch is in the tables exactly once whatever is killed when. The transaction does
not wait for the disk: losing the last of them loses the cursor's step with it, and the journal has it all.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import asyncpg
import structlog

from exchange.core.events import (
    Event,
    NonceUsed,
    OrderAccepted,
    OrderEnded,
    OrderRested,
    Rejected,
    Trade,
)
from exchange.core.markets import Market
from exchange.journal.errors import HeadLost
from exchange.journal.progress import Progress
from exchange.journal.rows import JournalRow
from exchange.journal.tail import Tail
from exchange.projections.accounts import AccountChanges
from exchange.projections.cursor import POSTGRES, move_cursor, read_cursor
from exchange.projections.deposits import NewDeposits
from exchange.projections.errors import CursorMoved
from exchange.projections.fills import NewFills
from exchange.projections.ledger_entries import NewEntries
from exchange.projections.orders import OrderChanges
from exchange.projections.place import Place
from exchange.projections.reference import ReferenceChanges, market_after, read_markets
from exchange.projections.transfers import NewTransfers
from exchange.projections.withdrawals import WithdrawalChanges
from exchange.stores.postgres import Connection

MAX_COMMANDS_PER_TRANSACTION = 2_000
"""About so many: a transaction of 500 costs the database for each of them half as much again."""
MAX_ROWS = 64
"""Of the journal, read at a time."""
TRANSACTION_TIMEOUT_S = 30.0
FIRST_RETRY_S = 0.1
LAST_RETRY_S = 10.0

_TABLES = (
    "assets, markets, accounts, fee_tiers, rate_classes, orders, fills, balances, ledger_entries, "
    "transfers, deposits, withdrawals"
)

log = structlog.get_logger()


class ReadTables(Protocol):
    """How far the read tables are, wherever they are kept up to date."""

    @property
    def seq(self) -> int: ...

    async def reached(self, seq: int, timeout_s: float) -> bool: ...


class _Changes:
    """What some batches of the journal do to all tables."""

    def __init__(self, markets: Mapping[int, Market]) -> None:
        self.markets = dict(markets)
        """As the events leave them."""
        self._references = ReferenceChanges()
        entries, orders, fills = NewEntries(self.markets), OrderChanges(), NewFills()
        self._changes = (
            entries,
            AccountChanges(),
            orders,
            fills,
            NewTransfers(),
            NewDeposits(),
            WithdrawalChanges(),
        )
        # Who is concerned by the events of everyday trading; of all others everybody is asked.
        self._everyday: dict[type[Event], tuple[Callable[[Event, Place], None], ...]] = {
            OrderAccepted: (entries.take, orders.take),
            OrderRested: (),
            Trade: (entries.take, orders.take, fills.take),
            OrderEnded: (entries.take, orders.take),
            NonceUsed: (),
            Rejected: (),
        }

    def take(self, seq: int, time_ns: int, events: Sequence[Event]) -> None:
        """The events of one command."""
        everyday = self._everyday
        for index, event in enumerate(events):
            concerned = everyday.get(type(event))
            if concerned is None:
                self._take_any(event, Place(seq, index, time_ns))
            elif concerned:
                place = Place(seq, index, time_ns)
                for take in concerned:
                    take(event, place)

    def _take_any(self, event: Event, place: Place) -> None:
        market = market_after(event, self.markets)
        if market is not None:
            self.markets[market.market_id] = market
            self._references.take_market(market)
        self._references.take(event)
        for changes in self._changes:
            changes.take(event, place)

    async def write(self, connection: Connection) -> None:
        """Everything, in the transaction of the connection."""
        await self._references.write(connection)
        for changes in self._changes:
            await changes.write(connection)


class PostgresProjection:
    """Keeps the read tables up to date. `seq` is how far they are; `on_progress` is told each time.

    Given a `rest_s`, it rests so long after what it has written, and as long as that took when nothing more
    was there: a few larger transactions cost much less than many small ones.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        tail: Tail,
        *,
        on_progress: Callable[[int], None] | None = None,
        rest_s: float = 0.0,
    ) -> None:
        self._pool = pool
        self._tail = tail
        self._on_progress = on_progress
        self._rest_s = rest_s
        self._progress = Progress()
        self._markets: dict[int, Market] = {}

    @property
    def seq(self) -> int:
        """Everything up to here is in the tables, committed."""
        return self._progress.seq

    async def reached(self, seq: int, timeout_s: float) -> bool:
        """Waits until the tables are at `seq` or later; False when that takes longer than `timeout_s`."""
        return await self._progress.reached(seq, timeout_s)

    async def run(self) -> None:
        """Follows the journal until cancelled, through every failure of the database.

        Raises HeadLost when the tables are ahead of the journal: then the journal has lost rows.
        """
        retry_s = FIRST_RETRY_S
        while True:
            try:
                await self.load()
                async for rows in self._tail.follow(self.seq, MAX_ROWS):
                    began_s = time.monotonic()
                    for chunk in in_chunks(rows, MAX_COMMANDS_PER_TRANSACTION):
                        await self.apply(chunk)
                    retry_s = FIRST_RETRY_S
                    if self._rest_s:
                        took_s = time.monotonic() - began_s if len(rows) < MAX_ROWS else 0.0
                        await asyncio.sleep(max(self._rest_s, took_s))
            except HeadLost:
                raise
            except CursorMoved as error:
                log.warning("read_tables_moved_by_another_process", seq=self.seq, error=str(error))
            except Exception as error:
                # Not only the database's errors: a row that does not fit must not take the engine down, and
                # stays visible here and as the lag until it is mended.
                log.warning("read_tables_stalled", seq=self.seq, retry_s=retry_s, error=repr(error))
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LAST_RETRY_S)

    async def load(self) -> None:
        """Reads where the tables are. Raises HeadLost."""
        async with (
            asyncio.timeout(TRANSACTION_TIMEOUT_S),
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            seq = await read_cursor(connection, POSTGRES)
            head_seq = await connection.fetchval("SELECT coalesce(max(seq_last), 0) FROM journal")
            self._markets = await read_markets(connection)
        if seq > head_seq:
            raise HeadLost("the read tables", seq, head_seq)
        self._set(seq)

    async def apply(self, rows: list[JournalRow]) -> None:
        """Writes the batches, which follow on `seq`, in one transaction. Raises CursorMoved."""
        assert rows[0].seq_first == self.seq + 1
        changes = _Changes(self._markets)
        for row in rows:
            seq, time_ns = row.seq_first, row.time_ns
            for events in row.events:
                changes.take(seq, time_ns, events)
                seq += 1
        seq = rows[-1].seq_last
        async with (
            asyncio.timeout(TRANSACTION_TIMEOUT_S),
            self._pool.acquire() as connection,
            connection.transaction(),
        ):
            await connection.execute("SET LOCAL synchronous_commit = off")
            await move_cursor(connection, POSTGRES, self.seq, seq)
            await changes.write(connection)
        self._markets = changes.markets
        self._set(seq)

    async def reset(self) -> None:
        """Empties the tables; `run` fills them again from the journal. Not while `run` runs."""
        async with (
            asyncio.timeout(TRANSACTION_TIMEOUT_S),
            self._pool.acquire() as connection,
            connection.transaction(),
        ):
            await connection.execute(f"TRUNCATE {_TABLES}")
            await connection.execute("UPDATE projection_cursors SET seq = 0 WHERE name = $1", POSTGRES)
        await self.load()

    def _set(self, seq: int) -> None:
        self._progress.set(seq)
        if self._on_progress is not None:
            self._on_progress(seq)


def in_chunks(rows: list[JournalRow], max_commands: int) -> Iterator[list[JournalRow]]:
    """The rows in lists of about `max_commands` commands, never splitting a row."""
    chunk: list[JournalRow] = []
    commands = 0
    for row in rows:
        chunk.append(row)
        commands += len(row.commands)
        if commands >= max_commands:
            yield chunk
            chunk, commands = [], 0
    if chunk:
        yield chunk
