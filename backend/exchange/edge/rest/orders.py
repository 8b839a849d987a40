"""Reading orders: open ones from the committed view, all of them from the read tables."""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from exchange.core.rejects import RejectReason
from exchange.edge.csv_table import Column, CsvTable, flag, plain, text, time
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.exports import CSV_RESPONSES, CsvExport, Opened
from exchange.edge.history import (
    AccountExportQuery,
    AccountHistoryQuery,
    HistoryAnswer,
    Place,
    is_within,
    place_of,
)
from exchange.edge.identity import AGENTS_TOO, ReaderOf
from exchange.edge.problems import Problem
from exchange.edge.reads import AccountQuery, ReadQuery, require_as_new, require_projection, require_view
from exchange.edge.rest.markets import market_of
from exchange.edge.rest.order_json import OPEN, open_order_json, order_row_json
from exchange.edge.rest.order_shapes import CLIENT_ORDER_ID, OrderAnswer, OrderItem
from exchange.edge.values import Symbol
from exchange.gateway.accounts import account_id_to_read, open_order_by_client_id
from exchange.gateway.callers import Caller
from exchange.gateway.fields import parse_client_id, parse_order_id
from exchange.projections.extract import Extract
from exchange.projections.orders import OrderRow, Status, newest_order_of_client, order_by_id, orders_of
from exchange.projections.page import MAX_LOOKED_AT
from exchange.sequencer.open_orders import OpenOrder

router = APIRouter(tags=["orders"])

_TABLE = CsvTable(
    time("created", "created_ms"),
    plain("order_id"),
    text("client_order_id"),
    *map(plain, ("sub_account", "market", "side", "type", "time_in_force")),
    *map(plain, ("price", "size", "amount", "filled", "remaining", "status")),
    Column("trigger_type", "trigger", lambda trigger: str(trigger["type"])),
    Column("trigger_price", "trigger", lambda trigger: str(trigger["price"])),
    Column("trigger_met", "trigger", lambda trigger: flag(trigger["met"])),
    time("good_till", "good_till_ms"),
    plain("self_trade_prevention"),
    time("ended", "ended_ms"),
)


ClientOrderIdOfPath = Annotated[
    str, Path(examples=["my-order-1"], json_schema_extra={"pattern": CLIENT_ORDER_ID})
]
_STATUSES = "open: in the book or waiting for a trigger; ended: all others; all: the whole history."


class OrdersQuery(AccountHistoryQuery):
    """Which orders. `from` and `to` are about when they were placed."""

    status: Status = Field(default="open", description=_STATUSES)
    market: Symbol | None = None


class OrdersExportQuery(AccountExportQuery):
    """Which orders. `from` and `to` are about when they were placed."""

    status: Status = Field(default="all", description=_STATUSES)
    market: Symbol | None = None


class OrdersAnswer(HistoryAnswer):
    """Orders, by when they were placed."""

    items: list[OrderItem]


@router.get("/v1/orders", openapi_extra=AGENTS_TOO)
async def get_orders(
    request: Request, caller: ReaderOf, query: Annotated[OrdersQuery, Query()]
) -> OrdersAnswer:
    """An account's orders, newest first unless asked otherwise."""
    edge = edge_of(request)
    market_id = None if query.market is None else market_of(edge, query.market).market_id
    if query.status == OPEN:
        await require_view(edge, query.min_seq)
    else:
        await require_projection(edge, query.min_seq)
    account_id = account_id_to_read(edge.view, caller, query.sub_account)
    place = place_of(query, orders_of(account_id, status=query.status, market_id=market_id))
    if query.status == OPEN:
        return _open_orders(edge, account_id, market_id, place, query)
    page = await place.read(edge.pool, query.limit)
    return OrdersAnswer(
        seq=page.seq,
        items=[_stored(edge, row) for row in page.items],
        next_cursor=place.next_cursor(page),
        resume_cursor=place.resume_cursor(page),
    )


@router.get("/v1/orders.csv", openapi_extra=AGENTS_TOO, responses=CSV_RESPONSES)
async def export_orders(
    request: Request, caller: ReaderOf, query: Annotated[OrdersExportQuery, Query()]
) -> Response:
    """An account's orders as one CSV file, in the order in which they were placed."""
    edge = edge_of(request)
    market_id = None if query.market is None else market_of(edge, query.market).market_id
    await require_projection(edge, query.min_seq)
    account_id = account_id_to_read(edge.view, caller, query.sub_account)
    selection = orders_of(account_id, market_id=market_id)

    async def open_rows() -> Opened[OrderRow]:
        extract = await Extract.begin(edge.pool, selection, from_ns=query.from_ns, to_ns=query.to_ns)
        return Opened(extract.seq, _as_they_were(extract, query.status), partial(_members, edge))

    return CsvExport("orders", caller, _TABLE, open_rows)


async def _as_they_were(extract: Extract[OrderRow], status: Status) -> AsyncGenerator[list[OrderRow], None]:
    """The orders that had this status at the extract's seq, whatever they have now."""
    if status == OPEN:
        yield list(extract.changing.values())
        return
    async for rows in extract.pages():
        yield [row for row in rows if status == "all" or row.status != OPEN]


@router.get("/v1/orders/{order_id}", openapi_extra=AGENTS_TOO)
async def get_order(
    request: Request, caller: ReaderOf, order_id: str, query: Annotated[ReadQuery, Query()]
) -> OrderAnswer:
    """One of your orders, open or ended, whichever of your accounts it is of."""
    edge = edge_of(request)
    number = parse_order_id(order_id)
    await require_view(edge, query.min_seq)
    wanted_seq = edge.view.seq
    order = edge.view.open_order(number)
    if order is not None and _is_to_be_read(edge, caller, order.account_id):
        return OrderAnswer(seq=edge.view.seq, order=_open(edge, order))
    await require_projection(edge, query.min_seq)
    found = await order_by_id(edge.pool, number)
    if found.item is None or not _is_to_be_read(edge, caller, found.item.account_id):
        require_as_new(found.seq, wanted_seq)
        raise Problem(RejectReason.UNKNOWN_ORDER)
    return OrderAnswer(seq=found.seq, order=_stored(edge, found.item))


@router.get("/v1/orders/client/{client_order_id}", openapi_extra=AGENTS_TOO)
async def get_client_order(
    request: Request,
    caller: ReaderOf,
    client_order_id: ClientOrderIdOfPath,
    query: Annotated[AccountQuery, Query()],
) -> OrderAnswer:
    """The newest order of an account with this client order id, open or ended.

    An id may be used again once it is forgotten, a minute after its order has ended. Among the ended orders
    the account's newest 20,000 are looked through.
    """
    edge = edge_of(request)
    name = parse_client_id(client_order_id, "client_order_id")
    await require_view(edge, query.min_seq)
    wanted_seq = edge.view.seq
    account_id = account_id_to_read(edge.view, caller, query.sub_account)
    order = open_order_by_client_id(edge.view, account_id, name)
    if order is not None:
        return OrderAnswer(seq=wanted_seq, order=_open(edge, order))
    await require_projection(edge, query.min_seq)
    page = await newest_order_of_client(edge.pool, account_id, name)
    require_as_new(page.seq, wanted_seq)  # or an older order would be shown for a newer one
    if not page.items:
        raise Problem(RejectReason.UNKNOWN_ORDER, _not_found(looked_at_all=page.next_key is None))
    return OrderAnswer(seq=page.seq, order=_stored(edge, page.items[0]))


def _not_found(*, looked_at_all: bool) -> str:
    if looked_at_all:
        return "the account never had an order of this client order id"
    return (
        f"none of the account's newest {MAX_LOOKED_AT} orders has this client order id; list the older ones"
    )


def _is_to_be_read(edge: Edge, caller: Caller, account_id: int) -> bool:
    """Whether an order's account is the owner's. Raises AgentRefused (sub_account_not_allowed)."""
    if edge.view.owner(account_id) != caller.owner:
        return False
    caller.require_sub_account(edge.view.sub_account(account_id), "order_id")
    return True


def _open_orders(
    edge: Edge, account_id: int, market_id: int | None, place: Place[OrderRow], query: OrdersQuery
) -> OrdersAnswer:
    """The same part of the listing, from the committed view: always up to date."""
    orders = edge.view.open_orders(account_id)
    ascending, after = place.span.ascending, place.span.after
    wanted = [
        order
        for order in (orders if ascending else reversed(orders))
        if (market_id is None or order.market_id == market_id)
        and (after is None or (order.order_id > after[0] if ascending else order.order_id < after[0]))
        and is_within(order.created_ns, query)
    ]
    items = wanted[: query.limit]
    last_key = (items[-1].order_id,) if items else None
    return OrdersAnswer(
        seq=edge.view.seq,
        items=[_open(edge, order) for order in items],
        next_cursor=place.cursor_after(last_key) if len(wanted) > len(items) else None,
        resume_cursor=place.resume_after(last_key),
    )


def _open(edge: Edge, order: OpenOrder) -> OrderItem:
    market, sub_account = edge.view.markets[order.market_id], edge.view.sub_account(order.account_id)
    return OrderItem.model_validate(open_order_json(market, order, sub_account))


def _stored(edge: Edge, row: OrderRow) -> OrderItem:
    return OrderItem.model_validate(_members(edge, row))


def _members(edge: Edge, row: OrderRow) -> dict[str, object]:
    market, sub_account = edge.view.markets[row.market_id], edge.view.sub_account(row.account_id)
    return order_row_json(market, row, sub_account)
