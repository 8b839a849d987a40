"""The caller: who, and what it owns, from the committed view."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from exchange.core.units import format_atoms
from exchange.edge.dependencies import edge_of
from exchange.edge.identity import AUTHENTICATED, SessionOf
from exchange.edge.reads import ReadQuery, SeqAnswer, require_view
from exchange.edge.values import AddressText, AmountText, AssetSymbol, IdText, TimeMs, time_ms
from exchange.gateway.addresses import checksummed

router = APIRouter(tags=["me"])


class MeAnswer(SeqAnswer):
    """The session and the account that it speaks for."""

    address: AddressText
    account_id: IdText
    session_expires_at_ms: TimeMs


class BalanceItem(BaseModel):
    """One asset: `total` is `available` plus `held`, what open orders have set aside."""

    asset: AssetSymbol
    available: AmountText
    held: AmountText
    total: AmountText


class BalancesAnswer(SeqAnswer):
    """One item for each listed asset; an account never has any other."""

    items: list[BalanceItem]


@router.get("/v1/me", openapi_extra=AUTHENTICATED)
async def get_me(request: Request, session: SessionOf, query: Annotated[ReadQuery, Query()]) -> MeAnswer:
    """Whose session this is."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    return MeAnswer(
        seq=edge.view.seq,
        address=checksummed(session.owner),
        account_id=str(session.account_id),
        session_expires_at_ms=time_ms(session.expires_ns),
    )


@router.get("/v1/balances", openapi_extra=AUTHENTICATED)
async def get_balances(
    request: Request, session: SessionOf, query: Annotated[ReadQuery, Query()]
) -> BalancesAnswer:
    """What the account has, in each asset."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    items = []
    for asset in edge.view.asset_by_symbol.values():
        balance = edge.view.balance(session.account_id, asset.asset_id)
        items.append(
            BalanceItem(
                asset=asset.symbol,
                available=format_atoms(balance.available_atoms, asset.decimals),
                held=format_atoms(balance.held_atoms, asset.decimals),
                total=format_atoms(balance.available_atoms + balance.held_atoms, asset.decimals),
            )
        )
    return BalancesAnswer(seq=edge.view.seq, items=items)
