"""Table `clickhouse_rebuilds`: ClickHouse filled again from the journal because an operator asked for it.

Beginning one forgets every block and sets the cursor to the journal's beginning, in the transaction that
notes it. From then on it is the projection's work, which starts over wherever it runs; the rebuild is
finished when the cursor is where the journal's head was at its beginning. So it may be interrupted anywhere,
by whatever process, and goes on with whichever comes next.
"""

import asyncio
import time
from dataclasses import dataclass

import asyncpg
import structlog

from exchange.projections.blocks import forget_blocks, last_block
from exchange.projections.cursor import CLICKHOUSE, read_cursor
from exchange.stores.clickhouse import ClickHouse
from exchange.stores.errors import OUTAGES, ClickHouseError
from exchange.stores.postgres import Connection

POLL_S = 0.5
COUNT_TIMEOUT_S = 60.0
OUTAGE_PAUSE_S = 5.0
TIMEOUT_S = 30.0
_LOCK = 0x65786362  # any number that nothing else in the database locks

_COLUMNS = "id, begun_ms, target_seq, finished_ms, seq, trades, candles"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rebuild:
    """One rebuild. From `finished_ms` on, None until it is finished: up to where, and what was there then."""

    id: int
    begun_ms: int
    target_seq: int
    finished_ms: int | None
    seq: int | None
    trades: int | None
    candles: int | None


@dataclass(frozen=True, slots=True)
class Filled:
    """How far the filling of ClickHouse is."""

    seq: int
    trades: int


async def begin_rebuild(connection: Connection) -> tuple[Rebuild, bool]:
    """Begins one and empties nothing yet, or finds the one that is not finished; whether it was found."""
    async with connection.transaction():
        await connection.execute("LOCK TABLE clickhouse_rebuilds IN SHARE ROW EXCLUSIVE MODE")
        record = await connection.fetchrow(
            f"SELECT {_COLUMNS} FROM clickhouse_rebuilds WHERE finished_ms IS NULL"  # noqa: S608
        )
        if record is not None:
            return Rebuild(*record), True
        await forget_blocks(connection)
        record = await connection.fetchrow(
            "INSERT INTO clickhouse_rebuilds (begun_ms, target_seq)"  # noqa: S608
            " VALUES ($1, (SELECT coalesce(max(seq_last), 0) FROM journal))"
            f" RETURNING {_COLUMNS}",
            time.time_ns() // 1_000_000,
        )
        assert record is not None
        return Rebuild(*record), False


async def read_rebuild(connection: Connection, rebuild_id: int) -> Rebuild:
    """One that was begun."""
    record = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM clickhouse_rebuilds WHERE id = $1",  # noqa: S608
        rebuild_id,
    )
    assert record is not None
    return Rebuild(*record)


async def read_filled(connection: Connection) -> Filled:
    """How far the filling is now; the last block may not be in ClickHouse yet."""
    seq = await read_cursor(connection, CLICKHOUSE)
    last = await last_block(connection)
    return Filled(seq, 0 if last is None else last.trades_total)


async def be_the_only_one(connection: Connection) -> bool:
    """Whether no process fills ClickHouse; then this one may, for as long as the connection lives."""
    free: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK)
    return free


async def all_have_gone(connection: Connection) -> bool:
    """As `be_the_only_one`, when another process did it: it may only have lost its connection for a while."""
    if not await be_the_only_one(connection):
        return False
    await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    await asyncio.sleep(2 * OUTAGE_PAUSE_S)
    return await be_the_only_one(connection)


class RebuildWatch:
    """Runs beside a projection: lets others know of it, and finishes the rebuilds that it has done."""

    def __init__(self, pool: asyncpg.Pool, clickhouse: ClickHouse, *, poll_s: float = POLL_S) -> None:
        self._pool = pool
        self._clickhouse = clickhouse
        self._poll_s = poll_s

    async def run(self) -> None:
        """Watches until cancelled, through every outage of either database."""
        while True:
            try:
                async with self._pool.acquire() as connection:
                    await self._watch(connection)
            except OUTAGES as error:
                log.warning("clickhouse_rebuilds_not_watched", error=repr(error))
            await asyncio.sleep(OUTAGE_PAUSE_S)

    async def _watch(self, connection: Connection) -> None:
        told = False
        while True:
            async with asyncio.timeout(TIMEOUT_S):
                if not told:  # goes with the connection
                    told = await connection.fetchval("SELECT pg_try_advisory_lock_shared($1)", _LOCK)
                rebuild = await self._done(connection)
            try:
                if rebuild is not None:
                    await self._finish(connection, rebuild)
            except ClickHouseError as error:  # the connection is kept: without it nobody would know of us
                log.warning("clickhouse_rebuild_not_finished", error=repr(error))
                await asyncio.sleep(OUTAGE_PAUSE_S)
            await asyncio.sleep(self._poll_s)

    async def _done(self, connection: Connection) -> int | None:
        """The id of a rebuild that has only to be finished."""
        rebuild_id: int | None = await connection.fetchval(
            "SELECT r.id FROM clickhouse_rebuilds AS r, projection_cursors AS c"
            " WHERE r.finished_ms IS NULL AND c.name = $1 AND c.seq >= r.target_seq",
            CLICKHOUSE,
        )
        return rebuild_id

    async def _finish(self, connection: Connection, rebuild_id: int) -> None:
        filled = await read_filled(connection)
        candles = await _count_candles(self._clickhouse)
        await connection.execute(
            "UPDATE clickhouse_rebuilds SET finished_ms = greatest(begun_ms, $2), seq = $3, trades = $4,"
            " candles = $5 WHERE id = $1 AND finished_ms IS NULL",
            rebuild_id,
            time.time_ns() // 1_000_000,
            filled.seq,
            filled.trades,
            candles,
        )
        log.info("clickhouse_rebuilt", seq=filled.seq, trades=filled.trades, candles=candles)


async def _count_candles(clickhouse: ClickHouse) -> int:
    """Of all intervals but a second, whose candles expire, and of all markets. Raises ClickHouseError.

    Market by market, in turn with the blocks that are inserted: of all at once there may be too many to count
    in time, and a crowd that reads may leave no room on the other threads.
    """
    count = 0
    markets = await clickhouse.query(
        "SELECT DISTINCT market_id FROM candles", timeout_s=COUNT_TIMEOUT_S, for_writer=True
    )
    for (market_id,) in markets:
        [(of_market,)] = await clickhouse.query(
            "SELECT count() FROM"
            " (SELECT 1 FROM candles WHERE market_id = {market:UInt32} GROUP BY interval_s, open_s)",
            {"market": market_id},
            timeout_s=COUNT_TIMEOUT_S,
            for_writer=True,
        )
        count += of_market
    return count
