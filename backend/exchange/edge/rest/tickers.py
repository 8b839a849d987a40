"""Tickers: the last 24 hours of each market, beside its best prices."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from exchange.core.markets import Market
from exchange.core.units import BPS_PER_ONE, format_atoms
from exchange.edge.caching import NOT_MODIFIED, answered
from exchange.edge.cross_origin import PublicRead
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.market_reads import limit_reads, reading_clickhouse, require_market_data
from exchange.edge.reads import ReadQuery, SeqAnswer
from exchange.edge.rest.markets import Level, market_of
from exchange.edge.values import AmountText, Symbol, TimeMs, time_ms
from exchange.projections.tickers import TickerRow, Tickers, tickers, window_ms

router = APIRouter(tags=["market data"], route_class=PublicRead, dependencies=[Depends(limit_reads)])


class TickerItem(BaseModel):
    """The trades of [open_ms, close_ms), the 1,440 whole minutes that end with the present one.

    Prices are null before the market's first trade. `bid` and `ask` are the best of the book, null when that
    side is empty; they may be newer than the rest.
    """

    market: Symbol
    last: AmountText | None = Field(description="Price of the last trade.")
    open: AmountText | None = Field(
        description="Price of the last trade before the window; of the first in it when none was before."
    )
    high: AmountText | None
    low: AmountText | None
    change: AmountText | None = Field(description="last - open", examples=["-12.5"])
    change_bps: int | None = Field(
        description="`change` in hundredths of a percent of `open`, rounded to the nearest.", examples=[-42]
    )
    volume: AmountText = Field(description="In the base asset.")
    quote_volume: AmountText
    trades: int = Field(examples=[12])
    bid: Level | None
    ask: Level | None
    open_ms: TimeMs
    close_ms: TimeMs


class TickerAnswer(SeqAnswer, TickerItem):
    """One market's ticker."""


class TickersAnswer(SeqAnswer):
    """The tickers of all markets."""

    items: list[TickerItem]


@router.get("/v1/markets/{market}/ticker", response_model=TickerAnswer, responses=NOT_MODIFIED)
async def get_ticker(request: Request, market: str, query: Annotated[ReadQuery, Query()]) -> Response:
    """The market's last 24 hours and best prices."""
    edge = edge_of(request)
    found = market_of(edge, market)
    read = await _read(edge, query.min_seq, [found.market_id])
    item = _item(edge, found, read.items.get(found.market_id))
    return answered(request, TickerAnswer(seq=read.seq, **dict(item)))


@router.get("/v1/tickers", response_model=TickersAnswer, responses=NOT_MODIFIED)
async def get_tickers(request: Request, query: Annotated[ReadQuery, Query()]) -> Response:
    """The last 24 hours and best prices of all markets."""
    edge = edge_of(request)
    read = await _read(edge, query.min_seq, list(edge.view.markets))
    items = [_item(edge, market, read.items.get(market.market_id)) for market in edge.view.markets.values()]
    return answered(request, TickersAnswer(seq=read.seq, items=items))


def ticker_item(
    market: Market,
    row: TickerRow | None,
    window: tuple[int, int],
    best: tuple[tuple[int, int] | None, tuple[int, int] | None],
) -> TickerItem:
    """The public form of a market's window and of its best bid and ask, (price_ticks, size_lots) each."""
    bid, ask = (None if each is None else _level(market, each) for each in best)
    if row is None:
        return TickerItem(
            market=market.symbol,
            last=None,
            open=None,
            high=None,
            low=None,
            change=None,
            change_bps=None,
            volume="0",
            quote_volume="0",
            trades=0,
            bid=bid,
            ask=ask,
            open_ms=window[0],
            close_ms=window[1],
        )
    return TickerItem(
        market=market.symbol,
        last=market.format_price(row.close_ticks),
        open=market.format_price(row.open_ticks),
        high=market.format_price(row.high_ticks),
        low=market.format_price(row.low_ticks),
        change=market.format_price(row.close_ticks - row.open_ticks),
        change_bps=change_bps(row.open_ticks, row.close_ticks),
        volume=format_atoms(row.base_atoms, market.base_decimals),
        quote_volume=format_atoms(row.quote_atoms, market.quote_decimals),
        trades=row.trades,
        bid=bid,
        ask=ask,
        open_ms=row.open_ms,
        close_ms=row.close_ms,
    )


def change_bps(open_ticks: int, last_ticks: int) -> int:
    """How far `last` is from `open`, in basis points of `open`, to the nearest, halves away from zero."""
    change_ticks = last_ticks - open_ticks
    bps = (2 * abs(change_ticks) * BPS_PER_ONE + open_ticks) // (2 * open_ticks)
    return bps if change_ticks >= 0 else -bps


async def _read(edge: Edge, min_seq: int | None, market_ids: list[int]) -> Tickers:
    data = await require_market_data(edge, min_seq)
    as_of = data.as_of
    with reading_clickhouse(data, as_of):
        return await tickers(data.clickhouse, as_of.seq, market_ids, time_ms(edge.clock_ns()))


def _item(edge: Edge, market: Market, row: TickerRow | None) -> TickerItem:
    bids, asks = edge.view.depth(market.market_id, 1)
    best = (bids[0] if bids else None, asks[0] if asks else None)
    return ticker_item(market, row, window_ms(time_ms(edge.clock_ns())), best)


def _level(market: Market, level: tuple[int, int]) -> tuple[str, str]:
    return market.format_price(level[0]), market.format_size(level[1])
