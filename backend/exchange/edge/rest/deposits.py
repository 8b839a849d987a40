"""The account's deposits: those credited, from the read tables, and those on their way, from the chain's."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from exchange.chain.deposits import PendingDeposit, pending_deposits
from exchange.core.markets import Asset
from exchange.core.units import format_atoms
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.identity import AUTHENTICATED, SessionOf
from exchange.edge.reads import PageAnswer, PageQuery, decode_cursor, encode_cursor, require_projection
from exchange.edge.values import AmountText, AssetSymbol, Hash, IdText, TimeMs, time_ms
from exchange.projections.deposits import DepositRow, deposits_page

router = APIRouter(tags=["deposits"])
_LISTING = "deposits"
MAX_PENDING_SHOWN = 100


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


class DepositsAnswer(PageAnswer):
    """Deposits: on the first page the pending ones, besides `limit`; then the credited, newest first."""

    items: list[DepositItem]


@router.get("/v1/deposits", openapi_extra=AUTHENTICATED)
async def get_deposits(
    request: Request, session: SessionOf, query: Annotated[PageQuery, Query()]
) -> DepositsAnswer:
    """The account's deposits with their confirmations, pending ones first."""
    edge = edge_of(request)
    before = decode_cursor(query.cursor, _LISTING, 2)
    pending = await pending_deposits(edge.pool, session.owner) if before is None else []
    credited_up_to = {
        vault: edge.view.last_deposit(*vault) for vault in {(item.chain_id, item.vault) for item in pending}
    }
    reached = await require_projection(edge, query.min_seq)
    page = await deposits_page(edge.pool, session.account_id, before=before, limit=query.limit)
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
            items.append(_pending(edge, item, asset))
    items += [_credited(edge, row) for row in page.items]
    return DepositsAnswer(seq=page.seq, items=items, next_cursor=encode_cursor(_LISTING, page.next_key))


def _pending(edge: Edge, item: PendingDeposit, asset: Asset) -> DepositItem:
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


def _credited(edge: Edge, row: DepositRow) -> DepositItem:
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
