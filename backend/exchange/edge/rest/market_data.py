"""Trades and candles of a market, from ClickHouse."""

from functools import partial
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from exchange.core.markets import Market
from exchange.core.units import format_atoms
from exchange.edge.caching import FINAL, NOT_MODIFIED, REVALIDATE, Prepared, answered_with, prepared
from exchange.edge.cross_origin import PublicRead
from exchange.edge.dependencies import edge_of
from exchange.edge.market_reads import is_final, limit_reads, reading_clickhouse, require_market_data
from exchange.edge.reads import (
    Flag,
    PageAnswer,
    PageQuery,
    ReadQuery,
    SeqAnswer,
    WholeNumber,
    decode_cursor,
    encode_cursor,
)
from exchange.edge.rest.markets import market_of
from exchange.edge.times import TimeRange
from exchange.edge.values import AmountText, IdText, Symbol, TimeMs, time_ms
from exchange.feeds.updates import PublicTrade
from exchange.projections.candles import CandleRow, candles, last_close_ms, open_s
from exchange.projections.trades import TradeRow, trades_page

router = APIRouter(tags=["market data"], route_class=PublicRead, dependencies=[Depends(limit_reads)])
_LISTING = "trades"
MAX_CANDLES = 1_000

Interval = Literal["1s", "1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"]
"""The intervals of `projections.candles`, which a test compares."""


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


class TradesQuery(PageQuery, TimeRange):
    """Which trades: those in [from, to)."""


class CandlesQuery(ReadQuery, TimeRange):
    """Which candles: those that begin in [from, to).

    With `from` alone the oldest of them, else the newest.
    """

    interval: Interval = "1m"
    limit: Annotated[WholeNumber, Field(ge=1, le=MAX_CANDLES)] = Field(
        default=500, description="Candles in the answer, at most."
    )
    fill: Flag = Field(
        default=False,
        description="Also intervals without a trade, with the close before them as all four prices.",
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
    """Candles, oldest first; the last may still grow."""

    market: Symbol
    interval: str = Field(examples=["1m"])
    items: list[CandleItem]


@router.get("/v1/markets/{market}/trades", response_model=TradesAnswer, responses=NOT_MODIFIED)
async def get_trades(request: Request, market: str, query: Annotated[TradesQuery, Query()]) -> Response:
    """The market's trades, newest first."""
    edge = edge_of(request)
    found = market_of(edge, market)
    before = decode_cursor(query.cursor, _LISTING, 1)
    data = await require_market_data(edge, query.min_seq)
    as_of = data.as_of

    async def make() -> Prepared:
        with reading_clickhouse(data, as_of):
            page = await trades_page(
                data.clickhouse,
                as_of.seq,
                found.market_id,
                before=before,
                from_ms=query.from_ms,
                to_ms=query.to_ms,
                limit=query.limit,
            )
        content = _content(
            next_cursor=encode_cursor(_LISTING, page.next_key),
            market=found.symbol,
            items=msgspec.Raw(await data.answers.json_list(page.items, partial(trade_json, found))),
        )
        return prepared(content, page.seq)

    question = (as_of, "trades", found.market_id, before, query.from_ms, query.to_ms, query.limit)
    return answered_with(request, await data.answers.answer(question, make))


@router.get("/v1/markets/{market}/candles", response_model=CandlesAnswer, responses=NOT_MODIFIED)
async def get_candles(request: Request, market: str, query: Annotated[CandlesQuery, Query()]) -> Response:
    """The market's candles, oldest first."""
    edge = edge_of(request)
    found = market_of(edge, market)
    data = await require_market_data(edge, query.min_seq)
    as_of, now_ms, interval = data.as_of, time_ms(edge.clock_ns()), query.interval

    async def make() -> Prepared:
        closed = query.to_ms is not None and is_final(data, last_close_ms(interval, query.to_ms))
        with reading_clickhouse(data, as_of):
            read = await candles(
                data.clickhouse,
                as_of.seq,
                found.market_id,
                interval,
                from_ms=query.from_ms,
                to_ms=query.to_ms,
                limit=query.limit,
                fill=query.fill,
                oldest=query.from_ms is not None and query.to_ms is None,
                now_ms=now_ms,
            )
        content = _content(
            market=found.symbol,
            interval=interval,
            items=msgspec.Raw(await data.answers.json_list(read.items, partial(candle_json, found))),
        )
        return prepared(content, read.seq, FINAL if closed else REVALIDATE)

    asked = (found.market_id, interval, query.from_ms, query.to_ms, query.limit, query.fill)
    question = (as_of, "candles", asked, open_s(interval, now_ms // 1_000))
    return answered_with(request, await data.answers.answer(question, make))


def _content(**fields: object) -> bytes:
    return msgspec.json.encode(fields)


def trade_json(market: Market, row: TradeRow | PublicTrade) -> dict[str, object]:
    """A TradeItem. A thousand models would take the loop several times as long."""
    return {
        "trade_id": str(row.trade_id),
        "price": market.format_price(row.price_ticks),
        "size": market.format_size(row.size_lots),
        "amount": format_atoms(row.quote_atoms, market.quote_decimals),
        "taker_side": row.taker_side,
        "time_ms": time_ms(row.time_ns),
    }


def candle_json(market: Market, row: CandleRow) -> dict[str, object]:
    """A CandleItem."""
    return {
        "open_ms": row.open_ms,
        "open": market.format_price(row.open_ticks),
        "high": market.format_price(row.high_ticks),
        "low": market.format_price(row.low_ticks),
        "close": market.format_price(row.close_ticks),
        "volume": format_atoms(row.base_atoms, market.base_decimals),
        "quote_volume": format_atoms(row.quote_atoms, market.quote_decimals),
        "trades": row.trades,
    }
