"""Reading orders: open ones from the committed view, all of them from the read tables."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from exchange.core.rejects import RejectReason
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.identity import AUTHENTICATED, SessionOf
from exchange.edge.problems import Problem
from exchange.edge.reads import (
    PageAnswer,
    PageQuery,
    ReadQuery,
    decode_cursor,
    encode_cursor,
    require_as_new,
    require_projection,
    require_view,
)
from exchange.edge.rest.markets import market_of
from exchange.edge.rest.order_entry import parse_order_id
from exchange.edge.rest.order_shapes import OPEN, OrderAnswer, OrderItem, open_order_json, order_json
from exchange.edge.values import Symbol
from exchange.projections.orders import OrderRow, order_of_account, orders_page
from exchange.projections.page import Key

router = APIRouter(tags=["orders"])
_LISTING = "orders"


class OrdersQuery(PageQuery):
    """Which orders."""

    status: Literal["open", "all"] = Field(
        default="open", description="open: in the book now; all: the whole history."
    )
    market: Symbol | None = None


class OrdersAnswer(PageAnswer):
    """Orders, newest first."""

    items: list[OrderItem]


@router.get("/v1/orders", openapi_extra=AUTHENTICATED)
async def get_orders(
    request: Request, session: SessionOf, query: Annotated[OrdersQuery, Query()]
) -> OrdersAnswer:
    """The account's orders, newest first."""
    edge = edge_of(request)
    market_id = None if query.market is None else market_of(edge, query.market).market_id
    before = decode_cursor(query.cursor, _LISTING, 1)
    if query.status == OPEN:
        await require_view(edge, query.min_seq)
        return _open_orders(edge, session.account_id, market_id, before, query.limit)
    await require_projection(edge, query.min_seq)
    page = await orders_page(
        edge.pool, session.account_id, market_id=market_id, before=before, limit=query.limit
    )
    return OrdersAnswer(
        seq=page.seq,
        items=[_item(edge, row) for row in page.items],
        next_cursor=encode_cursor(_LISTING, page.next_key),
    )


@router.get("/v1/orders/{order_id}", openapi_extra=AUTHENTICATED)
async def get_order(
    request: Request, session: SessionOf, order_id: str, query: Annotated[ReadQuery, Query()]
) -> OrderAnswer:
    """One order of the account, open or ended."""
    edge = edge_of(request)
    number = parse_order_id(order_id)
    await require_view(edge, query.min_seq)
    wanted_seq = edge.view.seq
    order = edge.view.open_order(number)
    if order is not None and order.account_id == session.account_id:
        item = OrderItem.model_validate(open_order_json(edge.view.markets[order.market_id], order))
        return OrderAnswer(seq=edge.view.seq, order=item)
    await require_projection(edge, query.min_seq)
    found = await order_of_account(edge.pool, session.account_id, number)
    if found.item is None:
        require_as_new(found.seq, wanted_seq)
        raise Problem(RejectReason.UNKNOWN_ORDER)
    return OrderAnswer(seq=found.seq, order=_item(edge, found.item))


def _open_orders(
    edge: Edge, account_id: int, market_id: int | None, before: Key | None, limit: int
) -> OrdersAnswer:
    orders = [
        order
        for order in reversed(edge.view.open_orders(account_id))
        if (market_id is None or order.market_id == market_id)
        and (before is None or order.order_id < before[0])
    ]
    page = orders[:limit]
    return OrdersAnswer(
        seq=edge.view.seq,
        items=[
            OrderItem.model_validate(open_order_json(edge.view.markets[order.market_id], order))
            for order in page
        ],
        next_cursor=encode_cursor(_LISTING, (page[-1].order_id,)) if len(orders) > limit else None,
    )


def _item(edge: Edge, row: OrderRow) -> OrderItem:
    return OrderItem.model_validate(
        order_json(
            edge.view.markets[row.market_id],
            order_id=row.order_id,
            client_order_id=row.client_order_id,
            side=row.side,
            order_type=row.order_type,
            time_in_force=row.time_in_force,
            price_ticks=row.price_ticks,
            size_lots=row.size_lots,
            remaining_lots=row.remaining_lots,
            status=row.status,
            created_ns=row.created_ns,
            ended_ns=None if row.status == OPEN else row.updated_ns,
        )
    )
