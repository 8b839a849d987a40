"""Reading orders: open ones from the committed view, all of them from the read tables."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from exchange.core.rejects import RejectReason
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.identity import AUTHENTICATED, SessionOf
from exchange.edge.problems import Problem
from exchange.edge.reads import (
    AccountPageQuery,
    PageAnswer,
    ReadQuery,
    decode_cursor,
    encode_cursor,
    require_as_new,
    require_projection,
    require_view,
)
from exchange.edge.rest.markets import market_of
from exchange.edge.rest.order_json import OPEN, open_order_json, order_row_json
from exchange.edge.rest.order_shapes import OrderAnswer, OrderItem
from exchange.edge.values import Symbol
from exchange.gateway.accounts import account_id_to_read
from exchange.gateway.fields import parse_order_id
from exchange.projections.orders import OrderRow, order_by_id, orders_page
from exchange.projections.page import Key
from exchange.sequencer.open_orders import OpenOrder

router = APIRouter(tags=["orders"])
_LISTING = "orders"


class OrdersQuery(AccountPageQuery):
    """Which orders."""

    status: Literal["open", "all"] = Field(
        default="open", description="open: in the book or waiting for a trigger; all: the whole history."
    )
    market: Symbol | None = None


class OrdersAnswer(PageAnswer):
    """Orders, newest first."""

    items: list[OrderItem]


@router.get("/v1/orders", openapi_extra=AUTHENTICATED)
async def get_orders(
    request: Request, session: SessionOf, query: Annotated[OrdersQuery, Query()]
) -> OrdersAnswer:
    """An account's orders, newest first."""
    edge = edge_of(request)
    market_id = None if query.market is None else market_of(edge, query.market).market_id
    before = decode_cursor(query.cursor, _LISTING, 1)
    if query.status == OPEN:
        await require_view(edge, query.min_seq)
        account_id = account_id_to_read(edge.view, session, query.sub_account)
        return _open_orders(edge, account_id, market_id, before, query.limit)
    await require_projection(edge, query.min_seq)
    account_id = account_id_to_read(edge.view, session, query.sub_account)
    page = await orders_page(edge.pool, account_id, market_id=market_id, before=before, limit=query.limit)
    return OrdersAnswer(
        seq=page.seq,
        items=[_stored(edge, row) for row in page.items],
        next_cursor=encode_cursor(_LISTING, page.next_key),
    )


@router.get("/v1/orders/{order_id}", openapi_extra=AUTHENTICATED)
async def get_order(
    request: Request, session: SessionOf, order_id: str, query: Annotated[ReadQuery, Query()]
) -> OrderAnswer:
    """One of your orders, open or ended, whichever of your accounts it is of."""
    edge = edge_of(request)
    number = parse_order_id(order_id)
    await require_view(edge, query.min_seq)
    wanted_seq = edge.view.seq
    order = edge.view.open_order(number)
    if order is not None and edge.view.owner(order.account_id) == session.owner:
        return OrderAnswer(seq=edge.view.seq, order=_open(edge, order))
    await require_projection(edge, query.min_seq)
    found = await order_by_id(edge.pool, number)
    if found.item is None or edge.view.owner(found.item.account_id) != session.owner:
        require_as_new(found.seq, wanted_seq)
        raise Problem(RejectReason.UNKNOWN_ORDER)
    return OrderAnswer(seq=found.seq, order=_stored(edge, found.item))


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
        items=[_open(edge, order) for order in page],
        next_cursor=encode_cursor(_LISTING, (page[-1].order_id,)) if len(orders) > limit else None,
    )


def _open(edge: Edge, order: OpenOrder) -> OrderItem:
    market, sub_account = edge.view.markets[order.market_id], edge.view.sub_account(order.account_id)
    return OrderItem.model_validate(open_order_json(market, order, sub_account))


def _stored(edge: Edge, row: OrderRow) -> OrderItem:
    market, sub_account = edge.view.markets[row.market_id], edge.view.sub_account(row.account_id)
    return OrderItem.model_validate(order_row_json(market, row, sub_account))
