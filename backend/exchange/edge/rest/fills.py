"""The account's fills, from the read tables."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from exchange.edge.csv_table import CsvTable, plain, time
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.exports import CSV_RESPONSES, CsvExport
from exchange.edge.history import (
    AccountExportQuery,
    AccountHistoryQuery,
    HistoryAnswer,
    open_export,
    place_of,
)
from exchange.edge.identity import AGENTS_TOO, ReaderOf
from exchange.edge.reads import require_projection
from exchange.edge.rest.markets import market_of
from exchange.edge.rest.order_json import fill_json
from exchange.edge.rest.order_shapes import FillItem
from exchange.edge.values import IdText, Symbol
from exchange.gateway.accounts import account_id_to_read
from exchange.gateway.callers import Caller
from exchange.gateway.fields import parse_order_id
from exchange.projections.fills import FillRow, fills_of
from exchange.projections.page import Selection

router = APIRouter(tags=["fills"])

_TABLE = CsvTable(
    time("time", "time_ms"),
    *map(plain, ("trade_id", "order_id", "market", "side", "role")),
    *map(plain, ("price", "size", "amount", "fee", "fee_asset")),
)


class FillsFilter(BaseModel):
    """Which fills."""

    market: Symbol | None = None
    order_id: IdText | None = None


class FillsQuery(AccountHistoryQuery, FillsFilter):
    """Which fills, and which page of them."""


class FillsExportQuery(AccountExportQuery, FillsFilter):
    """Which fills."""


class FillsAnswer(HistoryAnswer):
    """Fills."""

    items: list[FillItem]


@router.get("/v1/fills", openapi_extra=AGENTS_TOO)
async def get_fills(request: Request, caller: ReaderOf, query: Annotated[FillsQuery, Query()]) -> FillsAnswer:
    """An account's fills, newest first unless asked otherwise."""
    edge = edge_of(request)
    place = place_of(query, await _selected(edge, caller, query))
    page = await place.read(edge.pool, query.limit)
    return FillsAnswer(
        seq=page.seq,
        items=[_item(edge, row) for row in page.items],
        next_cursor=place.next_cursor(page),
        resume_cursor=place.resume_cursor(page),
    )


@router.get("/v1/fills.csv", openapi_extra=AGENTS_TOO, responses=CSV_RESPONSES)
async def export_fills(
    request: Request, caller: ReaderOf, query: Annotated[FillsExportQuery, Query()]
) -> Response:
    """An account's fills as one CSV file, oldest first."""
    edge = edge_of(request)
    selection = await _selected(edge, caller, query)
    rows = partial(open_export, edge, query, selection, partial(_members, edge))
    return CsvExport("fills", caller, _TABLE, rows)


async def _selected(edge: Edge, caller: Caller, query: FillsQuery | FillsExportQuery) -> Selection[FillRow]:
    """The fills that a request is about, when the read tables are new enough for it."""
    market_id = None if query.market is None else market_of(edge, query.market).market_id
    order_id = None if query.order_id is None else parse_order_id(query.order_id)
    await require_projection(edge, query.min_seq)
    account_id = account_id_to_read(edge.view, caller, query.sub_account)
    return fills_of(account_id, market_id=market_id, order_id=order_id)


def _item(edge: Edge, row: FillRow) -> FillItem:
    return FillItem.model_validate(_members(edge, row))


def _members(edge: Edge, row: FillRow) -> dict[str, object]:
    market = edge.view.markets[row.market_id]
    quote = edge.view.assets[market.quote_asset_id]
    return fill_json(
        market,
        quote.symbol,
        trade_id=row.trade_id,
        order_id=row.order_id,
        side=row.side,
        role=row.role,
        price_ticks=row.price_ticks,
        size_lots=row.size_lots,
        quote_atoms=row.quote_atoms,
        fee_atoms=row.fee_atoms,
        time_ns=row.time_ns,
    )
