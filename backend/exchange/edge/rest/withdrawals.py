"""Withdrawals: asking for one with the owner's signature, and how far each has come.

The ledger's side comes from the read tables, the chain's side (signed, broadcast, mined) from the payments.
"""

from collections.abc import AsyncGenerator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from exchange.chain.allow_list import NotListed, Waiting
from exchange.chain.withdrawals import PaymentState, PaymentStatus, payment_status
from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.core.events import Rejected, WithdrawalRequested
from exchange.core.rejects import RejectReason
from exchange.core.units import format_atoms
from exchange.edge.body import refuse_parameters
from exchange.edge.csv_table import Column, CsvTable, plain, text, time
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.exports import CSV_RESPONSES, CsvExport, Opened
from exchange.edge.history import (
    AccountExportQuery,
    AccountHistoryQuery,
    HistoryAnswer,
    place_of,
)
from exchange.edge.identity import AGENTS_TOO, AUTHENTICATED, OwnerOf, ReaderOf
from exchange.edge.problems import Problem, rejected
from exchange.edge.reads import ReadQuery, SeqAnswer, require_as_new, require_projection
from exchange.edge.values import (
    AddressText,
    AmountText,
    AssetSymbol,
    Hash,
    IdText,
    StrictBody,
    TimeMs,
    rfc3339,
    time_ms,
)
from exchange.gateway.accounts import account_id_to_read, own_account_id
from exchange.gateway.addresses import checksummed
from exchange.gateway.refusals import GatewayCode
from exchange.gateway.withdrawals import WithdrawalForm, withdrawal_command
from exchange.projections.extract import Extract
from exchange.projections.withdrawals import WithdrawalRow, withdrawal_of_owner, withdrawals_of

router = APIRouter(tags=["withdrawals"])
_TABLE = CsvTable(
    time("requested", "requested_ms"),
    *map(plain, ("withdrawal_id", "asset", "amount", "fee", "destination", "nonce")),
    Column("deadline", "deadline_s", lambda deadline_s: rfc3339(deadline_s * 1_000)),
    plain("status"),
    text("reason"),
    plain("outcome"),
    plain("tx_hash"),
    time("updated", "updated_ms"),
)
REQUESTED = "requested"
SETTLED = "settled"
REFUNDED = "refunded"
_OUTCOMES = frozenset({"paid", "claimable"})

_AS_SHOWN = {state: state for state in PaymentState} | {
    # The payments may know before the read tables do; it is settled for the owner when those say so.
    PaymentState.SETTLED: PaymentState.MINED
}
_REJECTED = frozenset({PaymentState.REJECTED, PaymentState.REFUNDED})
"""States in which a payment's note is a reviewer's, as long as no vault has had it."""
_DECIDED = _REJECTED | {PaymentState.REQUESTED, PaymentState.REVIEW}
"""The same, or the risk step's."""


class WithdrawalRequest(StrictBody):
    """A withdrawal as the owner signed it (EIP-712, see `/v1/deployment`). `amount` is before the fee."""

    asset: str = Field(max_length=40, examples=["USDC"])
    amount: str = Field(max_length=200, examples=["250.5"])
    max_fee: str = Field(max_length=200, description="The fee may not be more.", examples=["0"])
    destination: str = Field(max_length=100, examples=["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"])
    nonce: str = Field(
        max_length=100, description="Any whole number that makes the message new.", examples=["1763841600000"]
    )
    deadline_s: int = Field(
        description="Last second at which the vault may pay; 2 minutes to 24 hours away.",
        examples=[1763845200],
    )
    signature: str = Field(max_length=200, examples=["0x" + "ab" * 64 + "1b"])
    sub_account: int = Field(
        default=0, ge=0, le=MAX_SUB_ACCOUNT, description="Which of your accounts; signed too.", examples=[0]
    )


class WithdrawalItem(BaseModel):
    """One withdrawal. `withdrawal_id` is the digest that the owner signed, on chain too."""

    withdrawal_id: Hash
    asset: AssetSymbol
    amount: AmountText = Field(description="Taken from the balance; the vault pays this less the fee.")
    fee: AmountText
    destination: AddressText
    nonce: IdText
    deadline_s: int = Field(examples=[1763845200])
    status: str = Field(
        description="requested, review, rejected, approved, signed, broadcast, mined; "
        "at the end settled or refunded",
        examples=["settled"],
    )
    reason: str | None = Field(
        description="Why it waits, is in review, or was rejected; null when it is none of these.",
        examples=["amount is reviewed by hand"],
    )
    outcome: str | None = Field(
        description="Of a settled one: paid; or claimable, when the transfer failed: the owner fetches it.",
        examples=["paid"],
    )
    tx_hash: Hash | None = Field(description="The payment's transaction, once there is one.")
    requested_ms: TimeMs
    updated_ms: TimeMs


class WithdrawalAnswer(SeqAnswer):
    """One withdrawal."""

    withdrawal: WithdrawalItem


class WithdrawalsAnswer(HistoryAnswer):
    """Withdrawals."""

    items: list[WithdrawalItem]


@router.post(
    "/v1/withdrawals",
    status_code=201,
    openapi_extra=AUTHENTICATED,
    dependencies=[Depends(refuse_parameters)],
)
async def post_withdrawal(request: Request, caller: OwnerOf, body: WithdrawalRequest) -> WithdrawalAnswer:
    """Asks for a withdrawal, with the owner's signature over it."""
    edge = edge_of(request)
    command = withdrawal_command(
        msgspec.convert(body, WithdrawalForm, from_attributes=True),
        own_account_id(edge.view, caller, body.sub_account),
        caller.owner,
        edge.view.asset_by_symbol,
        edge.typed_data_domain,
        edge.clock_ns(),
    )
    await _require_allowed(edge, caller.owner, command.destination)
    outcome = await edge.submit(command)
    match outcome.events[0]:
        case WithdrawalRequested() as requested:
            item = withdrawal_item(edge, requested, REQUESTED, outcome.time_ns, outcome.time_ns)
            return WithdrawalAnswer(seq=outcome.seq, withdrawal=item)
        case Rejected(reason=reason):
            raise rejected(reason)
        case event:
            raise AssertionError(f"a withdrawal was asked for and {event!r} answered")


@router.get("/v1/withdrawals", openapi_extra=AGENTS_TOO)
async def get_withdrawals(
    request: Request, caller: ReaderOf, query: Annotated[AccountHistoryQuery, Query()]
) -> WithdrawalsAnswer:
    """An account's withdrawals with their status, newest first unless asked otherwise."""
    edge = edge_of(request)
    await require_projection(edge, query.min_seq)
    account_id = account_id_to_read(edge.view, caller, query.sub_account)
    place = place_of(query, withdrawals_of(account_id))
    page = await place.read(edge.pool, query.limit)
    payments = await payment_status(edge.pool, [row.withdrawal_id for row in page.items])
    return WithdrawalsAnswer(
        seq=page.seq,
        items=[_stored(edge, row, payments.get(row.withdrawal_id)) for row in page.items],
        next_cursor=place.next_cursor(page),
        resume_cursor=place.resume_cursor(page),
    )


@router.get("/v1/withdrawals.csv", openapi_extra=AGENTS_TOO, responses=CSV_RESPONSES)
async def export_withdrawals(
    request: Request, caller: ReaderOf, query: Annotated[AccountExportQuery, Query()]
) -> Response:
    """An account's withdrawals with their status as one CSV file, oldest first."""
    edge = edge_of(request)
    await require_projection(edge, query.min_seq)
    selection = withdrawals_of(account_id_to_read(edge.view, caller, query.sub_account))

    async def open_rows() -> Opened[WithdrawalRow]:
        extract = await Extract.begin(edge.pool, selection, from_ns=query.from_ns, to_ns=query.to_ns)
        ids = [row.withdrawal_id for row in extract.changing.values()]
        payments = await payment_status(edge.pool, ids)

        async def pages() -> AsyncGenerator[list[WithdrawalRow], None]:
            async for rows in extract.pages():
                refunded = [row.withdrawal_id for row in rows if row.status == REFUNDED]
                if refunded:
                    payments.update(await payment_status(edge.pool, refunded))
                yield rows

        return Opened(
            extract.seq,
            pages(),
            lambda row: _stored(edge, row, payments.get(row.withdrawal_id)).model_dump(),
        )

    return CsvExport("withdrawals", caller, _TABLE, open_rows)


@router.get("/v1/withdrawals/{withdrawal_id}", openapi_extra=AGENTS_TOO)
async def get_withdrawal(
    request: Request, caller: ReaderOf, withdrawal_id: str, query: Annotated[ReadQuery, Query()]
) -> WithdrawalAnswer:
    """One of your withdrawals."""
    edge = edge_of(request)
    if len(withdrawal_id) != 66 or not withdrawal_id.isascii() or not withdrawal_id.isprintable():
        raise Problem(RejectReason.UNKNOWN_WITHDRAWAL)
    wanted_seq = edge.view.seq
    await require_projection(edge, query.min_seq)
    found = await withdrawal_of_owner(edge.pool, caller.owner, withdrawal_id.lower())
    if found.item is None:
        require_as_new(found.seq, wanted_seq)
        raise Problem(RejectReason.UNKNOWN_WITHDRAWAL)
    caller.require_sub_account(edge.view.sub_account(found.item.account_id), "withdrawal_id")
    payments = await payment_status(edge.pool, [found.item.withdrawal_id])
    item = _stored(edge, found.item, payments.get(found.item.withdrawal_id))
    return WithdrawalAnswer(seq=found.seq, withdrawal=item)


async def _require_allowed(edge: Edge, owner: str, destination: str) -> None:
    """Raises Problem (destination_not_allowed, destination_waiting). Whoever pays it asks again."""
    match await edge.allow_list.check(owner, destination, time_ms(edge.clock_ns())):
        case NotListed():
            raise Problem(
                GatewayCode.DESTINATION_NOT_ALLOWED,
                "add this destination to your withdrawal addresses first",
                field="destination",
                value=checksummed(destination),
            )
        case Waiting(active_ms):
            raise Problem(
                GatewayCode.DESTINATION_WAITING,
                f"this destination is new; it may be withdrawn to from {rfc3339(active_ms)} on",
                field="destination",
                value=checksummed(destination),
                retry_at_ms=active_ms,
            )


def _stored(edge: Edge, row: WithdrawalRow, payment: PaymentStatus | None) -> WithdrawalItem:
    status, reason, outcome, tx_hash = row.status, None, None, row.tx_hash
    if status == REQUESTED and payment is not None:
        status, reason, tx_hash = payment_as_shown(payment)
    elif status in _OUTCOMES:
        status, outcome = SETTLED, status
    elif status == REFUNDED and payment is not None:
        reason = reason_of_refund(payment)
    return withdrawal_item(
        edge, row, status, row.time_ns, row.updated_ns, reason=reason, outcome=outcome, tx_hash=tx_hash
    )


def payment_as_shown(payment: PaymentStatus) -> tuple[str, str | None, str | None]:
    """(status, reason, tx_hash) of a withdrawal in flight, as its owner is told.

    A note that decides nothing is the operator's: about funds, limits, node or signer.
    """
    is_for_owner = payment.state in _DECIDED and payment.outcome is None
    return _AS_SHOWN[payment.state], (payment.note or None) if is_for_owner else None, payment.tx_hash


def reason_of_refund(payment: PaymentStatus) -> str | None:
    """Why a withdrawal was not paid that has come back, if a reviewer rejected it; else its time was over."""
    return payment.note or None if payment.state in _REJECTED and payment.outcome is None else None


def withdrawal_item(
    edge: Edge,
    asked: WithdrawalRequested | WithdrawalRow,
    status: str,
    requested_ns: int,
    updated_ns: int,
    *,
    reason: str | None = None,
    outcome: str | None = None,
    tx_hash: str | None = None,
) -> WithdrawalItem:
    """A withdrawal as it is sent."""
    asset = edge.view.assets[asked.asset_id]
    return WithdrawalItem(
        withdrawal_id=asked.withdrawal_id,
        asset=asset.symbol,
        amount=format_atoms(asked.amount_atoms, asset.decimals),
        fee=format_atoms(asked.fee_atoms, asset.decimals),
        destination=checksummed(asked.destination),
        nonce=str(asked.nonce),
        deadline_s=asked.deadline_s,
        status=status,
        reason=reason,
        outcome=outcome,
        tx_hash=tx_hash,
        requested_ms=time_ms(requested_ns),
        updated_ms=time_ms(updated_ns),
    )
