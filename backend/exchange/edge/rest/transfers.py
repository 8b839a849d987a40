"""Moving funds between one's own accounts, and what was moved."""

from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.core.commands import TransferFunds
from exchange.core.events import FundsTransferred, Rejected, TransferKnown
from exchange.core.units import format_atoms
from exchange.edge.body import refuse_parameters
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
from exchange.edge.identity import AGENTS_TOO, AUTHENTICATED, OwnerOf, ReaderOf
from exchange.edge.problems import rejected
from exchange.edge.reads import SeqAnswer, require_projection
from exchange.edge.values import AmountText, AssetSymbol, StrictBody, TimeMs, time_ms
from exchange.gateway.accounts import account_id_to_read, own_account_id
from exchange.gateway.transfers import TransferForm, transfer_command
from exchange.projections.transfers import TransferRow, transfers_of

router = APIRouter(tags=["transfers"])

_TABLE = CsvTable(
    time("time", "time_ms"),
    text("client_transfer_id"),
    *map(plain, ("from_sub_account", "to_sub_account", "asset", "amount")),
)

_SubAccount = Annotated[int, Field(ge=0, le=MAX_SUB_ACCOUNT, examples=[1])]
_ClientTransferId = Annotated[str, Field(examples=["to-the-bot-7"])]


class TransferRequest(StrictBody):
    """A transfer between two of your accounts. The receiving one is opened when it is new."""

    from_sub_account: _SubAccount
    to_sub_account: _SubAccount
    asset: str = Field(max_length=40, examples=["USDC"])
    amount: str = Field(max_length=200, examples=["250.5"])
    client_transfer_id: str = Field(
        max_length=36,
        pattern=r"^[A-Za-z0-9_-]{1,36}$",
        description="Of your own making. Sent again within a minute with the same content, the transfer is "
        "made once.",
        examples=["to-the-bot-7"],
    )
    expires_at_ms: int | None = Field(
        default=None,
        description="The engine refuses the request later; at most, and by default, 30 s from now.",
        examples=[1763841620000],
    )


class TransferItem(BaseModel):
    """One transfer."""

    client_transfer_id: _ClientTransferId
    from_sub_account: _SubAccount
    to_sub_account: _SubAccount
    asset: AssetSymbol
    amount: AmountText
    time_ms: TimeMs | None = Field(description="Null only in the answer to a transfer sent again.")


class TransferAnswer(SeqAnswer):
    """One transfer."""

    transfer: TransferItem


class TransfersAnswer(HistoryAnswer):
    """Transfers."""

    items: list[TransferItem]


_SENT_AGAIN: dict[int | str, dict[str, Any]] = {
    200: {"model": TransferAnswer, "description": "The transfer was made before."}
}


@router.post(
    "/v1/transfers",
    status_code=201,
    responses=_SENT_AGAIN,
    openapi_extra=AUTHENTICATED,
    dependencies=[Depends(refuse_parameters)],
)
async def post_transfer(
    request: Request, response: Response, caller: OwnerOf, body: TransferRequest
) -> TransferAnswer:
    """Moves funds between two of your accounts, at once."""
    edge = edge_of(request)
    form = msgspec.convert(body, TransferForm, from_attributes=True)
    account_id = own_account_id(edge.view, caller, form.from_sub_account, "from_sub_account")
    command = transfer_command(form, account_id, edge.view.asset_by_symbol, edge.clock_ns())
    outcome = await edge.submit(command)
    made_ns: int | None = None
    match outcome.events[-1]:  # the first may be that the receiving account was opened
        case FundsTransferred():
            made_ns = outcome.time_ns
        case TransferKnown():
            response.status_code = 200
        case Rejected(reason=reason):
            raise rejected(reason)
        case event:
            raise AssertionError(f"funds were transferred and {event!r} answered")
    return TransferAnswer(seq=outcome.seq, transfer=_made(edge, form, command, made_ns))


@router.get("/v1/transfers", openapi_extra=AGENTS_TOO)
async def get_transfers(
    request: Request, caller: ReaderOf, query: Annotated[AccountHistoryQuery, Query()]
) -> TransfersAnswer:
    """An account's transfers, in and out, newest first unless asked otherwise."""
    edge = edge_of(request)
    await require_projection(edge, query.min_seq)
    account_id = account_id_to_read(edge.view, caller, query.sub_account)
    place = place_of(query, transfers_of(account_id))
    page = await place.read(edge.pool, query.limit)
    return TransfersAnswer(
        seq=page.seq,
        items=[_stored(edge, row) for row in page.items],
        next_cursor=place.next_cursor(page),
        resume_cursor=place.resume_cursor(page),
    )


@router.get("/v1/transfers.csv", openapi_extra=AGENTS_TOO, responses=CSV_RESPONSES)
async def export_transfers(
    request: Request, caller: ReaderOf, query: Annotated[AccountExportQuery, Query()]
) -> Response:
    """An account's transfers, in and out, as one CSV file, oldest first."""
    edge = edge_of(request)
    await require_projection(edge, query.min_seq)
    selection = transfers_of(account_id_to_read(edge.view, caller, query.sub_account))
    rows = partial(open_export, edge, query, selection, lambda row: _stored(edge, row).model_dump())
    return CsvExport("transfers", caller, _TABLE, rows)


def _made(edge: Edge, form: TransferForm, command: TransferFunds, made_ns: int | None) -> TransferItem:
    asset = edge.view.assets[command.asset_id]
    return TransferItem(
        client_transfer_id=command.client_transfer_id,
        from_sub_account=form.from_sub_account,
        to_sub_account=form.to_sub_account,
        asset=asset.symbol,
        amount=format_atoms(command.amount_atoms, asset.decimals),
        time_ms=None if made_ns is None else time_ms(made_ns),
    )


def _stored(edge: Edge, row: TransferRow) -> TransferItem:
    asset = edge.view.assets[row.asset_id]
    own, other = edge.view.sub_account(row.account_id), edge.view.sub_account(row.other_account_id)
    giver, receiver = (own, other) if row.direction == "out" else (other, own)
    return TransferItem(
        client_transfer_id=row.client_transfer_id,
        from_sub_account=giver,
        to_sub_account=receiver,
        asset=asset.symbol,
        amount=format_atoms(row.amount_atoms, asset.decimals),
        time_ms=time_ms(row.time_ns),
    )
