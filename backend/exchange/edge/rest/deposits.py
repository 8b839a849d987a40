"""The account's deposits: those credited, from the read tables, and those on their way, from the chain's."""

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from exchange.chain.deposits import PendingDeposit, pending_deposits
from exchange.core.markets import Asset
from exchange.core.units import format_atoms
from exchange.edge.csv_table import CsvTable, plain, time
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.exports import CSV_RESPONSES, CsvExport
from exchange.edge.history import (
    ExportQuery,
    HistoryAnswer,
    HistoryQuery,
    is_within,
    open_export,
    place_of,
)
from exchange.edge.identity import AGENTS_TOO, ReaderOf
from exchange.edge.reads import require_projection
from exchange.edge.values import NS_PER_MS, AmountText, AssetSymbol, Hash, IdText, TimeMs, time_ms
from exchange.gateway.accounts import account_id_to_read
from exchange.projections.deposits import DepositRow, deposits_of

router = APIRouter(tags=["deposits"])
MAX_PENDING_SHOWN = 100

_TABLE = CsvTable(
    time("time", "time_ms"),
    *map(plain, ("number", "asset", "amount", "status", "tx_hash", "log_index", "block_number")),
)


class DepositItem(BaseModel):
    """One deposit. `number` is the vault's; `time_ms` is when it was credited, or first seen."""

    number: IdText
    asset: AssetSymbol
    amount: AmountText
    status: Literal["pending", "credited"] = Field(examples=["credited"])
    confirmations: int = Field(description="Blocks so far, its own included.", examples=[3])
    required_confirmations: int | None = Field(
        description="Null: it counts when the chain calls its block finalized.", examples=[3]
    )
    tx_hash: Hash
    log_index: int = Field(examples=[0])
    block_number: int = Field(examples=[120])
    time_ms: TimeMs


class DepositsAnswer(HistoryAnswer):
    """Deposits: newest first, on the first page the pending ones, besides `limit`, then the credited. With
    `order=asc` the credited only.
    """

    items: list[DepositItem]


@router.get("/v1/deposits", openapi_extra=AGENTS_TOO)
async def get_deposits(
    request: Request, caller: ReaderOf, query: Annotated[HistoryQuery, Query()]
) -> DepositsAnswer:
    """The account's deposits with their confirmations, pending ones first."""
    edge = edge_of(request)
    place = place_of(query, deposits_of(account_id_to_read(edge.view, caller, 0)))
    is_start = place.span.after is None and not place.span.ascending
    pending = await pending_deposits(edge.pool, caller.owner) if is_start else []
    pending = [item for item in pending if is_within(item.first_seen_ms * NS_PER_MS, query)]
    credited_up_to = {
        vault: edge.view.last_deposit(*vault) for vault in {(item.chain_id, item.vault) for item in pending}
    }
    reached = await require_projection(edge, query.min_seq)
    page = await place.read(edge.pool, query.limit)
    on_page = {(row.chain_id, row.vault, row.number) for row in page.items}
    asset_of_route = {
        (asset.chain_id, asset.vault, asset.token): asset for asset in edge.view.asset_by_symbol.values()
    }
    items: list[DepositItem] = []
    for item in pending:
        vault = (item.chain_id, item.vault)
        is_credited = (*vault, item.number) in on_page or (reached and item.number <= credited_up_to[vault])
        asset = asset_of_route.get((*vault, item.token))
        if asset is not None and not is_credited and len(items) < MAX_PENDING_SHOWN:
            items.append(pending_item(edge, item, asset))
    items += [credited_item(edge, row) for row in page.items]
    return DepositsAnswer(
        seq=page.seq,
        items=items,
        next_cursor=place.next_cursor(page),
        resume_cursor=place.resume_cursor(page),
    )


@router.get("/v1/deposits.csv", openapi_extra=AGENTS_TOO, responses=CSV_RESPONSES)
async def export_deposits(
    request: Request, caller: ReaderOf, query: Annotated[ExportQuery, Query()]
) -> Response:
    """The account's credited deposits as one CSV file, oldest first."""
    edge = edge_of(request)
    await require_projection(edge, query.min_seq)
    selection = deposits_of(account_id_to_read(edge.view, caller, 0))
    rows = partial(open_export, edge, query, selection, lambda row: credited_item(edge, row).model_dump())
    return CsvExport("deposits", caller, _TABLE, rows)


def pending_item(edge: Edge, item: PendingDeposit, asset: Asset) -> DepositItem:
    """A deposit that is on its way."""
    return DepositItem(
        number=str(item.number),
        asset=asset.symbol,
        amount=format_atoms(item.amount_atoms, asset.decimals),
        status="pending",
        confirmations=item.confirmations(edge.chain_head()),
        required_confirmations=edge.config.confirmations,
        tx_hash=item.tx_hash,
        log_index=item.log_index,
        block_number=item.block_number,
        time_ms=item.first_seen_ms,
    )


def credited_item(edge: Edge, row: DepositRow) -> DepositItem:
    """A deposit that was credited."""
    asset = edge.view.assets[row.asset_id]
    required = edge.config.confirmations
    return DepositItem(
        number=str(row.number),
        asset=asset.symbol,
        amount=format_atoms(row.amount_atoms, asset.decimals),
        status="credited",
        confirmations=max(required or 1, edge.chain_head() - row.block_number + 1),
        required_confirmations=required,
        tx_hash=row.tx_hash,
        log_index=row.log_index,
        block_number=row.block_number,
        time_ms=time_ms(row.time_ns),
    )
