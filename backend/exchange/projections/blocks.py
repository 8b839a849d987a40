"""Table `clickhouse_blocks`: which stretch of the journal each block of trades in ClickHouse holds.

A block is recorded here, and committed, before it is inserted; it is made again from the same stretch of the
journal, unchanged, and repeated under the same token until it is marked as inserted. Only the newest block
can be unmarked. A generation is one filling of ClickHouse from nothing; its random number keeps the tokens of
an earlier one from being mistaken for it.
"""

import secrets
from dataclasses import dataclass

from exchange.projections.cursor import CLICKHOUSE, move_cursor
from exchange.projections.errors import CursorMoved
from exchange.stores.postgres import Connection

KEPT_BLOCKS = 1_000
"""Older ones are of no use: only the newest can be repeated, and it carries the totals."""

_COLUMNS = "generation, number, seq_after, seq_last, trades, trades_total, ids_total, inserted"


@dataclass(frozen=True, slots=True)
class Block:
    """The trades of the journal in (seq_after, seq_last]. The totals are those of ClickHouse after it."""

    generation: int
    number: int
    seq_after: int
    seq_last: int
    trades: int
    trades_total: int
    ids_total: int
    inserted: bool

    @property
    def token(self) -> str:
        """What ClickHouse knows the block by."""
        return f"{self.generation}-{self.number}"


def next_block(last: Block | None, seq_after: int, seq_last: int, trade_ids: list[int]) -> Block:
    """The block that follows on `last`, or the first of a new generation."""
    return Block(
        generation=secrets.randbits(62) if last is None else last.generation,
        number=1 if last is None else last.number + 1,
        seq_after=seq_after,
        seq_last=seq_last,
        trades=len(trade_ids),
        trades_total=len(trade_ids) + (0 if last is None else last.trades_total),
        ids_total=sum(trade_ids) + (0 if last is None else last.ids_total),
        inserted=False,
    )


async def last_block(connection: Connection) -> Block | None:
    """The newest block, inserted or not."""
    record = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM clickhouse_blocks ORDER BY seq_last DESC LIMIT 1"  # noqa: S608
    )
    return None if record is None else Block(*record)


async def record_block(connection: Connection, block: Block, cursor_seq: int) -> None:
    """Writes the block down. Raises CursorMoved when the cursor is no longer at `cursor_seq`."""
    async with connection.transaction():
        # Locks the cursor's row, so that two followers do not record two blocks of the same stretch.
        await move_cursor(connection, CLICKHOUSE, cursor_seq, cursor_seq)
        if await connection.fetchval("SELECT TRUE FROM clickhouse_blocks WHERE NOT inserted"):
            raise CursorMoved(CLICKHOUSE, cursor_seq)
        await connection.execute(
            f"INSERT INTO clickhouse_blocks ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, FALSE)",  # noqa: S608
            block.generation,
            block.number,
            block.seq_after,
            block.seq_last,
            block.trades,
            block.trades_total,
            block.ids_total,
        )
        await connection.execute(
            "DELETE FROM clickhouse_blocks WHERE generation = $1 AND number <= $2",
            block.generation,
            block.number - KEPT_BLOCKS,
        )


async def mark_inserted(connection: Connection, block: Block, cursor_seq: int) -> None:
    """The block is in ClickHouse: moves the cursor behind it. Raises CursorMoved."""
    async with connection.transaction():
        await move_cursor(connection, CLICKHOUSE, cursor_seq, block.seq_last)
        await connection.execute(
            "UPDATE clickhouse_blocks SET inserted = TRUE WHERE generation = $1 AND number = $2",
            block.generation,
            block.number,
        )


async def forget_blocks(connection: Connection) -> None:
    """Back to the journal's beginning, before ClickHouse is emptied and filled again."""
    async with connection.transaction():
        await connection.execute("UPDATE projection_cursors SET seq = 0 WHERE name = $1", CLICKHOUSE)
        await connection.execute("DELETE FROM clickhouse_blocks")
