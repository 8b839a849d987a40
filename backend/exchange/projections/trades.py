"""Table `trades` in ClickHouse: every trade of every market."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exchange.core.events import Trade
from exchange.journal.rows import JournalRow
from exchange.projections.page import MAX_LIMIT, Key, Page
from exchange.stores.clickhouse import ClickHouse

MAX_TRADE_ID = 2**64 - 1
INSERT_TIMEOUT_S = 60.0
COUNT_TIMEOUT_S = 60.0

_COLUMNS = (
    "market_id",
    "trade_id",
    "seq",
    "time_ns",
    "price_ticks",
    "size_lots",
    "base_atoms",
    "quote_atoms",
    "taker_side",
)


@dataclass(frozen=True, slots=True)
class TradeRow:
    """A trade as the public sees it; the columns of the table in their order."""

    market_id: int
    trade_id: int
    seq: int
    time_ns: int
    price_ticks: int
    size_lots: int
    base_atoms: int
    quote_atoms: int
    taker_side: str


@dataclass(frozen=True, slots=True)
class TradeTotals:
    """What tells lost or doubled trades: their number, the sum of their ids, their number in candles."""

    trades: int
    ids: int
    in_candles: int


async def trades_page(
    clickhouse: ClickHouse, seq: int, market_id: int, *, before: Key | None = None, limit: int = 50
) -> Page[TradeRow]:
    """The market's trades, the newest first. Key: (trade_id,).

    `seq` is the projection's, read before the call: the page has at least everything up to it. Raises
    ClickHouseError.
    """
    assert 1 <= limit <= MAX_LIMIT
    assert before is None or len(before) == 1
    rows = await clickhouse.query(
        f"SELECT {', '.join(_COLUMNS)} FROM trades"  # noqa: S608
        " WHERE market_id = {market:UInt32} AND trade_id < {before:UInt64}"
        " ORDER BY market_id DESC, trade_id DESC LIMIT {limit:UInt32}",
        {
            "market": market_id,
            "before": MAX_TRADE_ID if before is None else before[0],
            "limit": limit + 1,
        },
    )
    items = [TradeRow(*row) for row in rows]
    if len(items) <= limit:
        return Page(seq, items, None)
    return Page(seq, items[:limit], (items[limit - 1].trade_id,))


def trade_rows(rows: Iterable[JournalRow]) -> list[tuple[object, ...]]:
    """The table's rows of the journal's; always the same for the same stretch."""
    return [
        (
            event.market_id,
            event.trade_id,
            row.seq_first + offset,
            row.time_ns,
            event.price_ticks,
            event.size_lots,
            event.base_atoms,
            event.quote_atoms,
            event.taker_side.value,
        )
        for row in rows
        for offset, events in enumerate(row.events)
        for event in events
        if isinstance(event, Trade)
    ]


async def insert_trades(clickhouse: ClickHouse, rows: Sequence[tuple[object, ...]], token: str) -> None:
    """Inserts a block, once however often it is repeated. Raises ClickHouseError."""
    await clickhouse.insert("trades", _COLUMNS, rows, token=token, timeout_s=INSERT_TIMEOUT_S)


async def trade_totals(clickhouse: ClickHouse) -> TradeTotals:
    """What is in ClickHouse now. Raises ClickHouseError."""
    [(trades, ids)] = await clickhouse.query(
        "SELECT count(), sum(toUInt128(trade_id)) FROM trades", timeout_s=COUNT_TIMEOUT_S
    )
    [(in_candles,)] = await clickhouse.query("SELECT sum(trades) FROM candles_1m", timeout_s=COUNT_TIMEOUT_S)
    return TradeTotals(trades, ids, in_candles)


async def empty_trades(clickhouse: ClickHouse) -> None:
    """Removes all trades and candles. Raises ClickHouseError."""
    await clickhouse.command("TRUNCATE TABLE candles_1m", timeout_s=INSERT_TIMEOUT_S)
    await clickhouse.command("TRUNCATE TABLE trades", timeout_s=INSERT_TIMEOUT_S)
