"""The account's fills, from the read tables."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.history import AccountHistoryQuery, HistoryAnswer, place_of
from exchange.edge.identity import AUTHENTICATED, SessionOf
from exchange.edge.reads import require_projection
from exchange.edge.rest.markets import market_of
from exchange.edge.rest.order_json import fill_json
from exchange.edge.rest.order_shapes import FillItem
from exchange.edge.values import IdText, Symbol
from exchange.gateway.accounts import account_id_to_read
from exchange.gateway.fields import parse_order_id
from exchange.projections.fills import FillRow, fills_of

router = APIRouter(tags=["fills"])


class FillsQuery(AccountHistoryQuery):
    """Which fills."""

    market: Symbol | None = None
    order_id: IdText | None = None


class FillsAnswer(HistoryAnswer):
    """Fills."""

    items: list[FillItem]


@router.get("/v1/fills", openapi_extra=AUTHENTICATED)
async def get_fills(
    request: Request, session: SessionOf, query: Annotated[FillsQuery, Query()]
) -> FillsAnswer:
    """An account's fills, newest first unless asked otherwise."""
    edge = edge_of(request)
    market_id = None if query.market is None else market_of(edge, query.market).market_id
    order_id = None if query.order_id is None else parse_order_id(query.order_id)
    await require_projection(edge, query.min_seq)
    account_id = account_id_to_read(edge.view, session, query.sub_account)
    place = place_of(query, fills_of(account_id, market_id=market_id, order_id=order_id))
    page = await place.read(edge.pool, query.limit)
    return FillsAnswer(
        seq=page.seq,
        items=[_item(edge, row) for row in page.items],
        next_cursor=place.next_cursor(page),
        resume_cursor=place.resume_cursor(page),
    )


def _item(edge: Edge, row: FillRow) -> FillItem:
    market = edge.view.markets[row.market_id]
    quote = edge.view.assets[market.quote_asset_id]
    return FillItem.model_validate(
        fill_json(
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
    )
