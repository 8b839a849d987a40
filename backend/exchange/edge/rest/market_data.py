"""Trades and candles of a market, from ClickHouse.

They follow the journal at their own pace and nothing else waits for them; their `seq` says how far they
are, and `min_seq` waits for them.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from exchange.core.markets import Market
from exchange.core.units import format_atoms
from exchange.edge.dependencies import Edge, MarketData, edge_of
from exchange.edge.errors import unavailable
from exchange.edge.reads import (
    PageAnswer,
    PageQuery,
    ReadQuery,
    SeqAnswer,
    WholeNumber,
    decode_cursor,
    encode_cursor,
    require_projected,
)
from exchange.edge.rest.markets import market_of
from exchange.edge.times import TimeRange
from exchange.edge.values import AmountText, IdText, Symbol, TimeMs, time_ms
from exchange.projections.candles import CandleRow, candles
from exchange.projections.trades import TradeRow, trades_page
from exchange.stores.errors import ClickHouseError

router = APIRouter(tags=["market data"])
_LISTING = "trades"
MAX_CANDLES = 1_000
NOT_AVAILABLE = "market data is not available now; trading goes on"


class TradeItem(BaseModel):
    """One trade. `taker_side` is the side of the order that took."""

    trade_id: IdText
    price: AmountText
    size: AmountText
    amount: AmountText = Field(description="price x size, in the quote asset.")
    taker_side: str = Field(examples=["buy"])
    time_ms: TimeMs


class TradesAnswer(PageAnswer):
    """Trades, newest first."""

    market: Symbol
    items: list[TradeItem]


class CandlesQuery(ReadQuery, TimeRange):
    """Which candles: those that begin in [from, to)."""

    interval: Literal["1m"] = "1m"
    limit: Annotated[WholeNumber, Field(ge=1, le=MAX_CANDLES)] = Field(
        default=500, description="The newest so many."
    )


class CandleItem(BaseModel):
    """Trades in [open_ms, open_ms + interval)."""

    open_ms: TimeMs
    open: AmountText
    high: AmountText
    low: AmountText
    close: AmountText
    volume: AmountText = Field(description="In the base asset.")
    quote_volume: AmountText
    trades: int = Field(examples=[12])


class CandlesAnswer(SeqAnswer):
    """Candles, oldest first; intervals without a trade have none, and the last may still grow."""

    market: Symbol
    interval: str = Field(examples=["1m"])
    items: list[CandleItem]


@router.get("/v1/markets/{market}/trades")
async def get_trades(request: Request, market: str, query: Annotated[PageQuery, Query()]) -> TradesAnswer:
    """The market's trades, newest first."""
    edge = edge_of(request)
    found = market_of(edge, market)
    before = decode_cursor(query.cursor, _LISTING, 1)
    data = await _market_data(edge, query.min_seq)
    try:
        page = await trades_page(
            data.clickhouse, data.projection.seq, found.market_id, before=before, limit=query.limit
        )
    except (ClickHouseError, TimeoutError) as error:
        raise unavailable(detail=NOT_AVAILABLE) from error
    return TradesAnswer(
        seq=page.seq,
        market=found.symbol,
        items=[_trade(found, row) for row in page.items],
        next_cursor=encode_cursor(_LISTING, page.next_key),
    )


@router.get("/v1/markets/{market}/candles")
async def get_candles(
    request: Request, market: str, query: Annotated[CandlesQuery, Query()]
) -> CandlesAnswer:
    """The market's candles, oldest first."""
    edge = edge_of(request)
    found = market_of(edge, market)
    data = await _market_data(edge, query.min_seq)
    try:
        read = await candles(
            data.clickhouse,
            data.projection.seq,
            found.market_id,
            query.interval,
            from_ms=query.from_ms,
            to_ms=query.to_ms,
            limit=query.limit,
        )
    except (ClickHouseError, TimeoutError) as error:
        raise unavailable(detail=NOT_AVAILABLE) from error
    return CandlesAnswer(
        seq=read.seq,
        market=found.symbol,
        interval=query.interval,
        items=[_candle(found, row) for row in read.items],
    )


async def _market_data(edge: Edge, min_seq: int | None) -> MarketData:
    if edge.market_data is None:
        raise unavailable(detail=NOT_AVAILABLE)
    if min_seq is not None:
        await require_projected(edge, edge.market_data.projection, min_seq)
    return edge.market_data


def _trade(market: Market, row: TradeRow) -> TradeItem:
    return TradeItem(
        trade_id=str(row.trade_id),
        price=market.format_price(row.price_ticks),
        size=market.format_size(row.size_lots),
        amount=format_atoms(row.quote_atoms, market.quote_decimals),
        taker_side=row.taker_side,
        time_ms=time_ms(row.time_ns),
    )


def _candle(market: Market, row: CandleRow) -> CandleItem:
    return CandleItem(
        open_ms=row.open_ms,
        open=market.format_price(row.open_ticks),
        high=market.format_price(row.high_ticks),
        low=market.format_price(row.low_ticks),
        close=market.format_price(row.close_ticks),
        volume=format_atoms(row.base_atoms, market.base_decimals),
        quote_volume=format_atoms(row.quote_atoms, market.quote_decimals),
        trades=row.trades,
    )
