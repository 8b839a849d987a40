"""The caller: who, and what it owns, from the committed view."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from exchange.core.units import format_atoms
from exchange.core.words import AccountState
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.identity import AGENTS_TOO, ReaderOf
from exchange.edge.reads import AccountQuery, ReadQuery, SeqAnswer, require_view
from exchange.edge.values import AddressText, AmountText, AssetSymbol, IdText, TimeMs, time_ms
from exchange.gateway.accounts import account_id_to_read
from exchange.gateway.addresses import checksummed

router = APIRouter(tags=["me"])


class SubAccountItem(BaseModel):
    """One of your accounts and what it may do."""

    sub_account: int = Field(examples=[0])
    account_id: IdText
    max_open_orders: int = Field(examples=[1000])
    max_orders_per_market: int = Field(examples=[1000])
    cancel_all_at_ms: TimeMs | None = Field(
        description="When the dead man's switch cancels all its orders; null: it is off."
    )
    state: AccountState = Field(
        description="cancel_only: it takes on nothing new. frozen: it does nothing, and has no open orders.",
        examples=["active"],
    )


class MeAnswer(SeqAnswer):
    """The owner and its accounts, the main one, 0, first. `session_expires_at_ms` of an agent is its end."""

    address: AddressText
    account_id: IdText = Field(description="Of the main account.")
    fee_tier: int = Field(description="Of all your accounts; see the markets' `fee_tiers`.", examples=[0])
    sub_accounts: list[SubAccountItem]
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


@router.get("/v1/me", openapi_extra=AGENTS_TOO)
async def get_me(request: Request, caller: ReaderOf, query: Annotated[ReadQuery, Query()]) -> MeAnswer:
    """The owner and its accounts; an agent sees of these the ones that it may use."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    return MeAnswer(
        seq=edge.view.seq,
        address=checksummed(caller.owner),
        account_id=str(caller.account_id),
        fee_tier=edge.view.fee_tier(caller.owner),
        sub_accounts=[
            _sub_account(edge, number, account_id)
            for number, account_id in edge.view.sub_accounts(caller.owner)
            if caller.may_use(number)
        ],
        session_expires_at_ms=time_ms(caller.expires_ns),
    )


@router.get("/v1/balances", openapi_extra=AGENTS_TOO)
async def get_balances(
    request: Request, caller: ReaderOf, query: Annotated[AccountQuery, Query()]
) -> BalancesAnswer:
    """What an account has, in each asset."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    account_id = account_id_to_read(edge.view, caller, query.sub_account)
    items = []
    for asset in edge.view.asset_by_symbol.values():
        balance = edge.view.balance(account_id, asset.asset_id)
        items.append(
            BalanceItem(
                asset=asset.symbol,
                available=format_atoms(balance.available_atoms, asset.decimals),
                held=format_atoms(balance.held_atoms, asset.decimals),
                total=format_atoms(balance.available_atoms + balance.held_atoms, asset.decimals),
            )
        )
    return BalancesAnswer(seq=edge.view.seq, items=items)


def _sub_account(edge: Edge, number: int, account_id: int) -> SubAccountItem:
    limits, fires_ns = edge.view.account_limits(account_id), edge.view.cancel_all_ns(account_id)
    return SubAccountItem(
        sub_account=number,
        account_id=str(account_id),
        max_open_orders=limits.max_open_orders,
        max_orders_per_market=limits.max_orders_per_market,
        cancel_all_at_ms=time_ms(fires_ns) if fires_ns else None,
        state=edge.view.account_state(account_id),
    )
