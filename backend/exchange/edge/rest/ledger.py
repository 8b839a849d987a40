"""The account's ledger: every movement of every balance and the balance after it."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from exchange.core.units import format_atoms
from exchange.edge.csv_table import CsvTable, plain, text, time
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
from exchange.edge.values import AmountText, AssetSymbol, TimeMs, time_ms
from exchange.gateway.accounts import account_id_to_read
from exchange.projections.ledger_entries import LedgerEntryRow, entries_of

router = APIRouter(tags=["ledger"])

_TABLE = CsvTable(
    time("time", "time_ms"),
    plain("entry_id"),
    plain("kind"),
    text("reference"),
    *map(plain, ("asset", "available_change", "held_change", "available", "held")),
)


class LedgerItem(BaseModel):
    """One movement: what changed, and the balance after it."""

    entry_id: str = Field(description="Sequence number, event, entry.", examples=["1042.0.1"])
    kind: str = Field(
        description="deposit, order_hold, order_amend, order_release, trade, self_trade_prevented, transfer, "
        "withdrawal, withdrawal_settled or withdrawal_refunded",
        examples=["trade"],
    )
    reference: str = Field(
        description="The order's, trade's or withdrawal's id; maker's:taker's order id of a prevented "
        "self-trade; your client_transfer_id of a transfer; chain:vault:number of a deposit.",
        examples=["17"],
    )
    asset: AssetSymbol
    available_change: AmountText
    held_change: AmountText
    available: AmountText
    held: AmountText
    time_ms: TimeMs


class LedgerAnswer(HistoryAnswer):
    """Movements."""

    items: list[LedgerItem]


@router.get("/v1/ledger", openapi_extra=AGENTS_TOO)
async def get_ledger(
    request: Request, caller: ReaderOf, query: Annotated[AccountHistoryQuery, Query()]
) -> LedgerAnswer:
    """An account's movements, newest first unless asked otherwise; their changes add up to the balances."""
    edge = edge_of(request)
    await require_projection(edge, query.min_seq)
    account_id = account_id_to_read(edge.view, caller, query.sub_account)
    place = place_of(query, entries_of(account_id))
    page = await place.read(edge.pool, query.limit)
    return LedgerAnswer(
        seq=page.seq,
        items=[_item(edge, row) for row in page.items],
        next_cursor=place.next_cursor(page),
        resume_cursor=place.resume_cursor(page),
    )


@router.get("/v1/ledger.csv", openapi_extra=AGENTS_TOO, responses=CSV_RESPONSES)
async def export_ledger(
    request: Request, caller: ReaderOf, query: Annotated[AccountExportQuery, Query()]
) -> Response:
    """An account's movements as one CSV file, oldest first."""
    edge = edge_of(request)
    await require_projection(edge, query.min_seq)
    selection = entries_of(account_id_to_read(edge.view, caller, query.sub_account))
    rows = partial(open_export, edge, query, selection, partial(_members, edge))
    return CsvExport("ledger", caller, _TABLE, rows)


def _item(edge: Edge, row: LedgerEntryRow) -> LedgerItem:
    return LedgerItem.model_validate(_members(edge, row))


def _members(edge: Edge, row: LedgerEntryRow) -> dict[str, object]:
    asset = edge.view.assets[row.asset_id]
    return {
        "entry_id": f"{row.seq}.{row.event_index}.{row.entry_index}",
        "kind": row.kind,
        "reference": row.reference,
        "asset": asset.symbol,
        "available_change": format_atoms(row.available_delta_atoms, asset.decimals),
        "held_change": format_atoms(row.held_delta_atoms, asset.decimals),
        "available": format_atoms(row.available_atoms, asset.decimals),
        "held": format_atoms(row.held_atoms, asset.decimals),
        "time_ms": time_ms(row.time_ns),
    }
