"""Trades and candles in ClickHouse, following the journal.

Exactly once across two databases, for each block of trades:
  record  the block's stretch of the journal is committed in Postgres
  insert  into ClickHouse under the block's token; views make the candles of it
  mark    the block and the cursor, in one transaction in Postgres
A crash between any two leaves an unmarked block, which is made again from the journal and repeated.
ClickHouse may lose what it has not written to disk, or all of it, so at every start its totals are compared
with those recorded, and on a mismatch all is filled again from the journal. Nobody waits for any of it.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import asyncpg
import structlog

from exchange.journal.errors import HeadLost
from exchange.journal.progress import Progress
from exchange.journal.tail import Tail
from exchange.projections.blocks import (
    Block,
    forget_blocks,
    last_block,
    mark_inserted,
    next_block,
    record_block,
)
from exchange.projections.cursor import CLICKHOUSE, move_cursor, read_cursor
from exchange.projections.errors import CursorMoved, TradesLost
from exchange.projections.trades import (
    RowOfTrades,
    TradeCounts,
    TradeTotals,
    empty_trades,
    insert_trades,
    trade_columns,
    trade_counts,
    trade_totals,
    trades_of,
)
from exchange.stores.clickhouse import ClickHouse

ROWS_PER_READ = 128
MAX_ROWS_PER_BLOCK = 4_096
MAX_TRADES_PER_BLOCK = 50_000
"""About so many; a block of 50,000 costs ClickHouse less than half of what five of 10,000 do."""
TRADES_PER_PIECE = 2_000
"""Made into columns in one turn of the loop, which takes some 2 ms."""
INSERT_INTERVAL_S = 0.2
"""At least so far apart are two blocks when not catching up: many small ones cost ClickHouse dearly."""
COUNT_INTERVAL_S = 10.0
POSTGRES_TIMEOUT_S = 30.0
FIRST_RETRY_S = 0.1
LAST_RETRY_S = 30.0

log = structlog.get_logger()


class ClickHouseProjection:
    """Keeps trades and candles up to date. `seq` is how far they are."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        tail: Tail,
        clickhouse: ClickHouse,
        *,
        insert_interval_s: float = INSERT_INTERVAL_S,
    ) -> None:
        self._pool = pool
        self._tail = tail
        self._clickhouse = clickhouse
        self._insert_interval_s = insert_interval_s
        self._progress = Progress()
        self._last: Block | None = None
        self._count_at_s = 0.0
        self._inserting = asyncio.Lock()
        self.fillings = 0
        """How often it was emptied. When that has changed during a read, what was read is worth nothing."""
        self.time_ns = 0
        """Time of the last batch applied here: all trades from before are in ClickHouse. 0: not known."""

    @property
    def seq(self) -> int:
        """Everything up to here is in ClickHouse."""
        return self._progress.seq

    async def reached(self, seq: int, timeout_s: float) -> bool:
        """Waits until trades and candles are at `seq` or later; False when that takes too long."""
        return await self._progress.reached(seq, timeout_s)

    async def run(self) -> None:
        """Follows the journal until cancelled, through every failure of either database.

        Raises HeadLost when ClickHouse is ahead of the journal: then the journal has lost rows.
        """
        retry_s = FIRST_RETRY_S
        while True:
            try:
                await self.load()
                async with aclosing(self._followed()) as followed:
                    async for rows in followed:
                        for chunk in in_blocks(rows, MAX_TRADES_PER_BLOCK):
                            await self.apply(chunk)
                        retry_s = FIRST_RETRY_S
            except HeadLost:
                raise
            except CursorMoved as error:
                log.warning("clickhouse_moved_by_another_process", seq=self.seq, error=str(error))
            except Exception as error:
                log.warning("clickhouse_stalled", seq=self.seq, retry_s=retry_s, error=repr(error))
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LAST_RETRY_S)

    async def load(self) -> None:
        """Finishes an interrupted block, compares totals, and starts over when they differ.

        Raises HeadLost, CursorMoved, ClickHouseError.
        """
        await self._clickhouse.migrate()
        async with asyncio.timeout(POSTGRES_TIMEOUT_S), self._pool.acquire() as connection:
            cursor_seq = await read_cursor(connection, CLICKHOUSE)
            last = await last_block(connection)
            head_seq = await connection.fetchval("SELECT coalesce(max(seq_last), 0) FROM journal")
        ahead = max(cursor_seq, 0 if last is None else last.seq_last)
        if ahead > head_seq:
            raise HeadLost("ClickHouse", ahead, head_seq)
        if last is not None and not last.inserted:
            await self._insert(last, await self._stretch(last), cursor_seq)
            cursor_seq = last.seq_last
        found = await trade_totals(self._clickhouse)
        expected = _totals_after(last)
        if found != expected:
            await self._require_last(last)
            log.warning("clickhouse_rebuild", expected=str(expected), found=str(found))
            await self.reset()
            return
        if self._last is not None and (last is None or last.generation != self._last.generation):
            self._begin_filling()  # which somebody else has done
        self._last = last
        self._progress.set(cursor_seq)

    async def apply(self, rows: list[RowOfTrades]) -> None:
        """Brings the batches, which follow on `seq`, into ClickHouse. Raises CursorMoved, ClickHouseError."""
        assert rows[0].seq_first == self.seq + 1
        seq_after, seq_last = self.seq, rows[-1].seq_last
        ids = [trade_id for row in rows for trade_id in row.ids]
        if ids:
            block = next_block(self._last, seq_after, seq_last, ids)
            async with asyncio.timeout(POSTGRES_TIMEOUT_S), self._pool.acquire() as connection:
                await record_block(connection, block, seq_after)
            async with self._inserting:
                await self._insert(block, rows, seq_after)
                self._last = block
        else:
            async with asyncio.timeout(POSTGRES_TIMEOUT_S), self._pool.acquire() as connection:
                await move_cursor(connection, CLICKHOUSE, seq_after, seq_last)
        self.time_ns = rows[-1].time_ns
        self._progress.set(seq_last)

    async def reset(self) -> None:
        """Empties ClickHouse; `run` fills it again from the journal. Not while `run` runs."""
        self._begin_filling()  # first of all: whoever reads meanwhile must not take it for complete
        async with asyncio.timeout(POSTGRES_TIMEOUT_S), self._pool.acquire() as connection:
            await forget_blocks(connection)
        await empty_trades(self._clickhouse)

    async def require_whole(self) -> None:
        """Counts what is in ClickHouse: a server may have lost some and be back before anybody noticed.

        What was read before, with the same number of `fillings`, was whole. Raises TradesLost, also in the
        midst of a block that got no answer; ClickHouseError.
        """
        async with self._inserting:
            expected = TradeCounts.whole(0 if self._last is None else self._last.trades_total)
            found = await trade_counts(self._clickhouse)
        if found != expected:
            self._count_at_s = 0.0  # whoever asked, it is looked into now
            raise TradesLost(expected, found)

    def _begin_filling(self) -> None:
        self.fillings += 1
        self.time_ns = 0
        self._last = None
        self._progress.set(0)

    async def _followed(self) -> AsyncGenerator[list[RowOfTrades]]:
        """What follows on `seq`, in order, for ever. While catching up, the next is read during an insert.

        Raises CursorMoved when there is nothing new and somebody else has moved the cursor: back to the
        beginning, to have everything filled again, or ahead. Raises TradesLost when ClickHouse has forgotten
        some while no call failed.
        """
        rows, is_behind = await self._read(self.seq)
        while True:
            await self._count_now_and_then()
            if is_behind:
                ahead = asyncio.create_task(self._read(rows[-1].seq_last))
                try:
                    yield rows
                    rows, is_behind = await ahead
                finally:
                    ahead.cancel()
                continue
            if rows:
                yield rows
                await asyncio.sleep(self._insert_interval_s)
            else:
                await self._require_cursor()
            rows, is_behind = await self._read(self.seq)

    async def _read(self, seq: int) -> tuple[list[RowOfTrades], bool]:
        """The next rows after `seq`, and whether there may be more; none when there are none for a while.

        About as many as a block may have: rows of few trades would make small blocks, which cost far more.
        """
        rows: list[RowOfTrades] = []
        trades = 0
        while trades < MAX_TRADES_PER_BLOCK and len(rows) < MAX_ROWS_PER_BLOCK:
            read = self._tail.read_events if rows else self._tail.next_events
            found = await read(seq, ROWS_PER_READ)
            for row in found:
                rows.append(trades_of(row))
                trades += len(rows[-1].trades)
                await asyncio.sleep(
                    0
                )  # a long stretch must not keep the engine, on the same loop, from its work
            if len(found) < ROWS_PER_READ:
                return rows, False
            seq = found[-1].seq_last
        return rows, True

    async def _require_cursor(self) -> None:
        async with asyncio.timeout(POSTGRES_TIMEOUT_S):
            cursor_seq = await read_cursor(self._pool, CLICKHOUSE)
        if cursor_seq != self.seq:
            raise CursorMoved(CLICKHOUSE, self.seq)

    async def _count_now_and_then(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._count_at_s:
            self._count_at_s = loop.time() + COUNT_INTERVAL_S
            await self._require_cursor()  # when somebody else inserts too, the counts tell nothing
            await self.require_whole()

    async def _require_last(self, block: Block | None) -> None:
        """Totals that were counted while another process added a block say nothing. Raises CursorMoved."""
        async with asyncio.timeout(POSTGRES_TIMEOUT_S), self._pool.acquire() as connection:
            last = await last_block(connection)
        if (last and last.token) != (block and block.token):
            raise CursorMoved(CLICKHOUSE, 0 if block is None else block.seq_last)

    async def _insert(self, block: Block, rows: list[RowOfTrades], cursor_seq: int) -> None:
        columns = await columns_in_pieces(rows)
        assert len(columns[0]) == block.trades
        await insert_trades(self._clickhouse, columns, block.token)
        async with asyncio.timeout(POSTGRES_TIMEOUT_S), self._pool.acquire() as connection:
            await mark_inserted(connection, block, cursor_seq)

    async def _stretch(self, block: Block) -> list[RowOfTrades]:
        """The journal's rows of a recorded block; its ends are ends of rows."""
        rows: list[RowOfTrades] = []
        seq = block.seq_after
        while seq < block.seq_last:
            read = await self._tail.read_events(seq, ROWS_PER_READ)
            rows.extend(trades_of(row) for row in read if row.seq_last <= block.seq_last)
            seq = read[-1].seq_last
        return rows


def in_blocks(rows: list[RowOfTrades], max_trades: int) -> Iterator[list[RowOfTrades]]:
    """The rows in lists of about `max_trades` trades, never splitting a row."""
    chunk: list[RowOfTrades] = []
    trades = 0
    for row in rows:
        chunk.append(row)
        trades += len(row.trades)
        if trades >= max_trades:
            yield chunk
            chunk, trades = [], 0
    if chunk:
        yield chunk


async def columns_in_pieces(rows: list[RowOfTrades]) -> list[list[object]]:
    """What `trade_columns` gives, of which no turn of the engine's loop makes more than a piece."""
    columns: list[list[object]] = [[] for _ in trade_columns([])]
    for piece in in_blocks(rows, TRADES_PER_PIECE):
        for column, more in zip(columns, trade_columns(piece), strict=True):
            column.extend(more)
        await asyncio.sleep(0)
    return columns


def _totals_after(block: Block | None) -> TradeTotals:
    if block is None:
        return TradeTotals.whole(0, 0)
    return TradeTotals.whole(block.trades_total, block.ids_total)
