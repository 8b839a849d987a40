"""Market data in the form that stock charting front ends read: TradingView's UDF protocol.

Times are whole seconds, prices and volumes JSON numbers, written with all their digits; errors are
`{"s": "error", "errmsg": ...}`. The protocol has no place for a `seq`: the header X-Seq tells it. Unknown
parameters are ignored here, because front ends send some that the protocol does not have. The bars are the
candles of `/v1/markets/{market}/candles`.
Source: "UDF" in the documentation of TradingView's Advanced Charts.
"""

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from starlette.responses import PlainTextResponse, Response

from exchange.core.markets import Market
from exchange.core.units import format_atoms, parse_decimal
from exchange.edge.caching import FINAL, NOT_MODIFIED, REVALIDATE, Prepared, answered, answered_with, prepared
from exchange.edge.cross_origin import SEQ_HEADER, PublicRead
from exchange.edge.dependencies import Edge, MarketData, edge_of
from exchange.edge.errors import PROBLEM_FORM
from exchange.edge.market_reads import is_final, limit_reads, reading_clickhouse, require_market_data
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.reads import WholeNumber
from exchange.edge.rest.udf_shapes import (
    EXCHANGE,
    INTERVAL_OF,
    KIND,
    UDF_PROBLEMS,
    Resolution,
    UdfBars,
    UdfConfig,
    UdfFound,
    UdfNoData,
    UdfProblem,
    UdfSymbol,
)
from exchange.edge.values import time_ms
from exchange.gateway.fields import parse_market
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.projections.candles import CandleRow, candles, last_close_ms, open_s
from exchange.projections.page import MAX_LIMIT

MAX_BARS: Final = MAX_LIMIT
"""Bars in one answer: one query's. Front ends are told of it as `limitedServerResponse`, the newest first."""
MAX_FOUND: Final = 100

_UNIX_TIME = re.compile(r"-?[0-9]{1,11}", re.ASCII)


class UdfRead(PublicRead):
    """A route whose problems have the protocol's form, and whose answers say their `seq` in a header."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def in_form(request: Request) -> Response:
            request.scope[PROBLEM_FORM] = udf_problem
            response = await handler(request)
            response.headers.setdefault(SEQ_HEADER, str(edge_of(request).view.seq))
            return response

        return in_form


router = APIRouter(prefix="/v1/udf", tags=["charts"], route_class=UdfRead, responses=UDF_PROBLEMS)


def _unix_time(value: object) -> object:
    if isinstance(value, str) and _UNIX_TIME.fullmatch(value) is None:
        raise ValueError("must be whole seconds since 1970 in plain digits")
    return value


UnixTime = Annotated[
    int,
    BeforeValidator(_unix_time),
    WithJsonSchema({"type": "string", "pattern": f"^{_UNIX_TIME.pattern}$"}),
]


class SymbolQuery(BaseModel):
    """Which symbol."""

    symbol: str = Field(max_length=100, examples=["ETH-USDC"])


class SearchQuery(BaseModel):
    """What symbols to look for."""

    query: str = Field(default="", max_length=100, description="Part of a name, in any case.")
    type: str = Field(default="", max_length=100)
    exchange: str = Field(default="", max_length=100)
    limit: Annotated[WholeNumber, Field(ge=1, le=MAX_FOUND)] = Field(default=30)


class HistoryQuery(SymbolQuery):
    """Which bars: `countback` of them before `to`, or those of [from, to); at most the newest 1,000."""

    resolution: Resolution
    from_s: UnixTime | None = Field(
        default=None, alias="from", description="First bar; without meaning when there is a `countback`."
    )
    to_s: UnixTime = Field(alias="to", description="Bars begin before this time.", examples=["1795946400"])
    countback: Annotated[WholeNumber, Field(ge=1)] | None = Field(
        default=None, description="So many bars, however long ago they were."
    )


@router.get("/config", response_model=UdfConfig, responses=NOT_MODIFIED)
async def udf_config(request: Request) -> Response:
    """What this data feed can do."""
    return answered(request, UdfConfig())


@router.get("/time", response_class=PlainTextResponse)
async def udf_time(request: Request) -> PlainTextResponse:
    """The server's time in whole seconds."""
    return PlainTextResponse(str(edge_of(request).clock_ns() // 10**9))


@router.get("/symbols", response_model=UdfSymbol, responses=NOT_MODIFIED)
async def udf_symbols(request: Request, query: Annotated[SymbolQuery, Query()]) -> Response:
    """One market as charts know it; the price's step is `minmov / pricescale`."""
    edge = edge_of(request)
    return answered(request, _symbol(edge, _market_of(edge, query.symbol)))


@router.get("/search", response_model=list[UdfFound], responses=NOT_MODIFIED)
async def udf_search(request: Request, query: Annotated[SearchQuery, Query()]) -> Response:
    """Markets of which the name has a text in it."""
    edge = edge_of(request)
    text = query.query.upper().removeprefix(f"{EXCHANGE}:".upper())
    kinds_fit = query.type in {"", KIND} and query.exchange in {"", EXCHANGE}
    found = [
        _found(edge, market)
        for market in edge.view.markets.values()
        if kinds_fit and text in f"{market.symbol} {_description(edge, market)}".upper()
    ]
    content = msgspec.json.encode([item.model_dump() for item in found[: query.limit]])
    return answered_with(request, prepared(content))


@router.get(
    "/history",
    response_model=UdfBars | UdfNoData,
    responses=NOT_MODIFIED,
    dependencies=[Depends(limit_reads)],
)
async def udf_history(request: Request, query: Annotated[HistoryQuery, Query()]) -> Response:
    """Bars of a market, oldest first."""
    edge = edge_of(request)
    market = _market_of(edge, query.symbol)
    _check_range(query)
    data = await require_market_data(edge, None)
    as_of, now_ms = data.as_of, time_ms(edge.clock_ns())
    interval, to_ms = INTERVAL_OF[query.resolution], query.to_s * 1_000
    from_ms = None if query.countback is not None or query.from_s is None else query.from_s * 1_000
    limit = min(query.countback or MAX_BARS, MAX_BARS)

    async def make() -> Prepared:
        closed = is_final(data, last_close_ms(interval, to_ms))
        with reading_clickhouse(data, as_of):
            read = await candles(
                data.clickhouse,
                as_of.seq,
                market.market_id,
                interval,
                from_ms=from_ms,
                to_ms=to_ms,
                limit=limit,
                now_ms=now_ms,
            )
            if read.items:
                body = await _bars(data, market, read.items)
            else:
                body = await _no_data(data, as_of.seq, market, interval, from_ms, now_ms)
        return prepared(body, cache_control=FINAL if closed else REVALIDATE)

    asked = (market.market_id, interval, limit, from_ms, last_close_ms(interval, to_ms))
    question = (as_of, "bars", asked, open_s(interval, now_ms // 1_000))
    response = answered_with(request, await data.answers.answer(question, make))
    response.headers[SEQ_HEADER] = str(as_of.seq)
    return response


def udf_problem(problem: Problem, _: str) -> Response:
    """A problem in the protocol's form, which has no place for a request id."""
    told = UdfProblem(errmsg=problem.detail, code=problem.code.value)
    return Response(
        told.model_dump_json(),
        status_code=problem.status,
        media_type="application/json",
        headers=problem.headers,
    )


def _market_of(edge: Edge, symbol: str) -> Market:
    """Charts put the exchange's name before a symbol when they know it."""
    return parse_market(symbol.removeprefix(f"{EXCHANGE}:"), edge.view.market_by_symbol, "symbol")


def _check_range(query: HistoryQuery) -> None:
    if query.countback is not None:
        return
    if query.from_s is None:
        raise FieldRefused(GatewayCode.FIELD_MISSING, "`from` or `countback` is required", field="from")
    if query.from_s > query.to_s:
        raise Problem(EdgeCode.RANGE_INVALID, "`to` must not be before `from`", field="to", value=query.to_s)


async def _bars(data: MarketData, market: Market, rows: list[CandleRow]) -> bytes:
    """The columns of UdfBars. Prices are numbers with the very digits of our decimals."""

    def price(ticks: int) -> msgspec.Raw:
        return msgspec.Raw(market.format_price(ticks).encode())

    columns: dict[str, Callable[[CandleRow], object]] = {
        "t": lambda row: row.open_ms // 1_000,
        "o": lambda row: price(row.open_ticks),
        "h": lambda row: price(row.high_ticks),
        "l": lambda row: price(row.low_ticks),
        "c": lambda row: price(row.close_ticks),
        "v": lambda row: msgspec.Raw(format_atoms(row.base_atoms, market.base_decimals).encode()),
    }
    lists = {name: msgspec.Raw(await data.answers.json_list(rows, of)) for name, of in columns.items()}
    return msgspec.json.encode({"s": "ok", **lists})


async def _no_data(
    data: MarketData, seq: int, market: Market, interval: str, from_ms: int | None, now_ms: int
) -> bytes:
    """UdfNoData; with the time of the bar before the range, if there is one."""
    answer: dict[str, object] = {"s": "no_data"}
    if from_ms is not None:
        before = await candles(
            data.clickhouse, seq, market.market_id, interval, to_ms=from_ms, limit=1, now_ms=now_ms
        )
        if before.items:
            answer["nextTime"] = before.items[0].open_ms // 1_000
    return msgspec.json.encode(answer)


def _symbol(edge: Edge, market: Market) -> UdfSymbol:
    _, lot_decimals = parse_decimal(market.lot)
    return UdfSymbol(
        name=market.symbol,
        ticker=market.symbol,
        full_name=f"{EXCHANGE}:{market.symbol}",
        description=_description(edge, market),
        minmov=market.tick_mantissa,
        pricescale=10**market.tick_decimals,
        volume_precision=lot_decimals,
    )


def _found(edge: Edge, market: Market) -> UdfFound:
    return UdfFound(
        symbol=market.symbol,
        ticker=market.symbol,
        full_name=f"{EXCHANGE}:{market.symbol}",
        description=_description(edge, market),
    )


def _description(edge: Edge, market: Market) -> str:
    assets = edge.view.assets
    return f"{assets[market.base_asset_id].symbol} / {assets[market.quote_asset_id].symbol}"
