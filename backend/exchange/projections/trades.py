"""Table `trades` in ClickHouse: every trade of every market."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, Union, get_args

import msgspec

from exchange.core.events import Event, Trade
from exchange.journal.rows import StoredEvents
from exchange.projections.candles import INTERVALS_S, SECONDS_KEPT_S
from exchange.projections.page import MAX_LIMIT, Key, Page
from exchange.stores.clickhouse import ClickHouse, Row

MAX_TRADE_ID = 2**64 - 1
MAX_TIME_NS = 2**64 - 1
INSERT_TIMEOUT_S = 60.0
COUNT_TIMEOUT_S = 60.0
TABLES = ("account_volumes_daily", "candles", "candles_1s", "trades")
_CANDLES_S = [seconds for seconds in INTERVALS_S.values() if seconds > 1]

_PUBLIC = "market_id, trade_id, seq, time_ns, price_ticks, size_lots, base_atoms, quote_atoms, taker_side"
_COLUMNS = (*_PUBLIC.split(", "), "maker_account_id", "taker_account_id")
_TYPES = (
    "UInt32",
    *["UInt64"] * 5,
    *["UInt128"] * 2,
    "Enum8('buy' = 1, 'sell' = 2)",
    *["UInt64"] * 2,
)


class TradeRow(msgspec.Struct, frozen=True, gc=False):
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
    """What tells lost or doubled trades: their number, the sum of their ids, and how many each view has.

    `in_seconds` is by how many more than `trades` the candles of one second have, of the time for which they
    are kept. `in_candles` are the numbers in candles of a minute and longer, by interval. `in_volumes` counts
    each trade for both its accounts.
    """

    trades: int
    ids: int
    in_seconds: int
    in_candles: dict[int, int]
    in_volumes: int

    @classmethod
    def whole(cls, trades: int, ids: int) -> Self:
        """What they are when nothing is missing and nothing doubled."""
        in_candles = {interval_s: trades for interval_s in _CANDLES_S if trades}
        return cls(trades, ids, 0, in_candles, 2 * trades)


class TradeCounts(NamedTuple):
    """What tells most losses at little cost: how many trades there are, and in the tables made of them.

    A server that comes back without its newest rows may have lost them in any one table.
    """

    trades: int
    in_days: int
    in_volumes: int

    @classmethod
    def whole(cls, trades: int) -> Self:
        """What they are when nothing is missing and nothing doubled."""
        return cls(trades, trades, 2 * trades)


async def trades_page(
    clickhouse: ClickHouse,
    seq: int,
    market_id: int,
    *,
    before: Key | None = None,
    from_ms: int | None = None,
    to_ms: int | None = None,
    limit: int = 50,
) -> Page[TradeRow]:
    """The market's trades of the times [from_ms, to_ms), the newest first. Key: (trade_id,).

    `seq` is the projection's, read before the call: the page has at least everything up to it. Raises
    ClickHouseError.
    """
    assert 1 <= limit <= MAX_LIMIT
    assert before is None or len(before) == 1
    rows = await clickhouse.query(
        f"SELECT {_PUBLIC} FROM trades"  # noqa: S608
        " WHERE market_id = {market:UInt32} AND trade_id < {before:UInt64}"
        " AND time_ns >= {first:UInt64} AND time_ns < {end:UInt64}"
        " ORDER BY market_id DESC, trade_id DESC LIMIT {limit:UInt32}",
        {
            "market": market_id,
            "before": MAX_TRADE_ID if before is None else before[0],
            "first": _time_ns(from_ms, 0),
            "end": _time_ns(to_ms, MAX_TIME_NS),
            "limit": limit + 1,
        },
    )
    items = [TradeRow(*row) for row in rows]
    if len(items) <= limit:
        return Page(seq, items, None)
    return Page(seq, items[:limit], (items[limit - 1].trade_id,))


def _time_ns(time_ms: int | None, default: int) -> int:
    return default if time_ms is None else min(max(time_ms * 1_000_000, 0), MAX_TIME_NS)


async def last_price_before(clickhouse: ClickHouse, market_id: int, time_ns: int) -> tuple[int, int] | None:
    """Price in ticks and id of the market's last trade before a time. Raises ClickHouseError."""
    rows = await clickhouse.query(
        "SELECT price_ticks, trade_id FROM trades"
        " WHERE market_id = {market:UInt32} AND time_ns < {time:UInt64}"
        " ORDER BY market_id DESC, trade_id DESC LIMIT 1",
        {"market": market_id, "time": time_ns},
    )
    return (rows[0][0], rows[0][1]) if rows else None


class StoredTrade(msgspec.Struct, frozen=True, array_like=True, tag="Trade", gc=False):
    """The event `Trade` as far as it is kept here; what follows these fields in it is passed over."""

    trade_id: int
    market_id: int
    maker_order_id: int
    taker_order_id: int
    maker_account_id: int
    taker_account_id: int
    taker_side: str
    price_ticks: int
    size_lots: int
    base_atoms: int
    quote_atoms: int


_OTHERS = [
    msgspec.defstruct(event.__name__, [], frozen=True, array_like=True, tag=True, gc=False)
    for event in get_args(Event)
    if event is not Trade
]
# Of all other events nothing is decoded; one that this version does not know is refused as everywhere.
_EVENTS = msgspec.json.Decoder(list[list[Union[StoredTrade, *_OTHERS]]])  # type: ignore[valid-type]
_ANY_TRADE = b'["Trade",'
"""What no row without a trade has in it: in a text the quotation marks would be escaped."""


@dataclass(frozen=True, slots=True)
class RowOfTrades:
    """The trades of one row of the journal, each with the seq of its command."""

    seq_first: int
    seq_last: int
    time_ns: int
    trades: list[tuple[int, StoredTrade]]

    @property
    def ids(self) -> list[int]:
        """The trades' ids."""
        return [trade.trade_id for _, trade in self.trades]


def trades_of(row: StoredEvents) -> RowOfTrades:
    """Finds the trades of a row of the journal. Raises msgspec.DecodeError."""
    trades: list[tuple[int, StoredTrade]] = []
    if _ANY_TRADE in row.events:
        commands = _EVENTS.decode(row.events)
        trades = [
            (seq, event)
            for seq, events in enumerate(commands, row.seq_first)
            for event in events
            if type(event) is StoredTrade
        ]
    return RowOfTrades(row.seq_first, row.seq_last, row.time_ns, trades)


def trade_columns(rows: Sequence[RowOfTrades]) -> list[Sequence[object]]:
    """The table's columns; always the same for the same stretch of the journal."""
    seqs = [seq for row in rows for seq, _ in row.trades]
    times = [row.time_ns for row in rows for _ in row.trades]
    trades = [trade for row in rows for _, trade in row.trades]
    return [
        [trade.market_id for trade in trades],
        [trade.trade_id for trade in trades],
        seqs,
        times,
        [trade.price_ticks for trade in trades],
        [trade.size_lots for trade in trades],
        [trade.base_atoms for trade in trades],
        [trade.quote_atoms for trade in trades],
        [trade.taker_side for trade in trades],
        [trade.maker_account_id for trade in trades],
        [trade.taker_account_id for trade in trades],
    ]


async def insert_trades(clickhouse: ClickHouse, columns: Sequence[Sequence[object]], token: str) -> None:
    """Inserts a block, once however often it is repeated. Raises ClickHouseError."""
    await clickhouse.insert_columns(
        "trades", _COLUMNS, columns, types=_TYPES, token=token, timeout_s=INSERT_TIMEOUT_S
    )


async def trade_totals(clickhouse: ClickHouse) -> TradeTotals:
    """What is in ClickHouse now. Raises ClickHouseError."""
    [(trades, ids)] = await _count(clickhouse, "SELECT count(), sum(toUInt128(trade_id)) FROM trades")
    in_candles = await _count(clickhouse, "SELECT interval_s, sum(trades) FROM candles GROUP BY interval_s")
    [(in_volumes,)] = await _count(clickhouse, "SELECT sum(trades) FROM account_volumes_daily")
    return TradeTotals(trades, ids, await _seconds_over(clickhouse), dict(in_candles), in_volumes)


async def trade_counts(clickhouse: ClickHouse) -> TradeCounts:
    """What is in ClickHouse now, so far as it is counted fast. Raises ClickHouseError."""
    [counts] = await _count(
        clickhouse,
        "SELECT (SELECT count() FROM trades),"
        " (SELECT sum(trades) FROM candles WHERE interval_s = 86400),"
        " (SELECT sum(trades) FROM account_volumes_daily)",
    )
    return TradeCounts(*counts)


async def _seconds_over(clickhouse: ClickHouse) -> int:
    """By how many trades more than there are the candles of one second have, as long as they are kept.

    By ClickHouse's own clock, which is the one that they expire by.
    """
    [(now_s,)] = await _count(clickhouse, "SELECT toUnixTimestamp(now())")
    kept = {"since": now_s - SECONDS_KEPT_S}
    [(in_seconds,)] = await _count(
        clickhouse, "SELECT sum(trades) FROM candles_1s WHERE open_s >= {since:Int64}", kept
    )
    [(trades,)] = await _count(
        clickhouse, "SELECT count() FROM trades WHERE time_ns >= {since:UInt64} * 1000000000", kept
    )
    return int(in_seconds) - int(trades)


async def _count(clickhouse: ClickHouse, sql: str, parameters: dict[str, int] | None = None) -> list[Row]:
    return await clickhouse.query(sql, parameters, timeout_s=COUNT_TIMEOUT_S, for_writer=True)


async def empty_trades(clickhouse: ClickHouse) -> None:
    """Removes all trades and what was made of them, the trades last. Raises ClickHouseError."""
    for table in TABLES:
        await clickhouse.truncate(table, timeout_s=INSERT_TIMEOUT_S)
