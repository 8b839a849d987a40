"""The owner's list of withdrawal addresses: adding one takes a signature, removing one only the session."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from exchange.chain.allow_list import (
    MAX_ENTRIES,
    Added,
    Addition,
    AddressEntry,
    Kept,
    ListFull,
    SignatureUsed,
)
from exchange.edge.body import refuse_parameters
from exchange.edge.dependencies import edge_of
from exchange.edge.identity import AGENTS_TOO, AUTHENTICATED, ReaderOf, SessionOf
from exchange.edge.problems import Problem
from exchange.edge.reads import ReadQuery, SeqAnswer, require_view
from exchange.edge.values import AddressText, StrictBody, TimeMs, time_ms
from exchange.gateway.addresses import checksummed, parse_address
from exchange.gateway.refusals import GatewayCode
from exchange.gateway.withdrawal_addresses import WithdrawalAddressForm, signed_address

router = APIRouter(tags=["withdrawals"])


class WithdrawalAddressRequest(StrictBody):
    """An address as the owner signed it (EIP-712, see `/v1/deployment`). The label is not signed."""

    address: str = Field(max_length=100, examples=["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"])
    label: str = Field(
        default="",
        max_length=200,
        description="Your own words for it: at most 64 printable characters.",
        examples=["cold wallet"],
    )
    nonce: str = Field(
        max_length=100, description="Any whole number that makes the message new.", examples=["1763841600000"]
    )
    deadline_s: int = Field(
        description="Last second at which the signature may be used; at most an hour away.",
        examples=[1763845200],
    )
    signature: str = Field(max_length=200, examples=["0x" + "ab" * 64 + "1b"])


class WithdrawalAddressItem(BaseModel):
    """One address that withdrawals may go to, from `active_at_ms` on."""

    address: AddressText
    label: str = Field(examples=["cold wallet"])
    added_ms: TimeMs
    active_at_ms: TimeMs


class WithdrawalAddressAnswer(SeqAnswer):
    """One address of the list."""

    withdrawal_address: WithdrawalAddressItem


class WithdrawalAddressesAnswer(SeqAnswer):
    """The whole list, newest first. Your own wallet is always allowed, and not on it."""

    delay_s: int = Field(
        description="How long a new address waits. 0: the list is off, every destination is allowed.",
        examples=[86400],
    )
    items: list[WithdrawalAddressItem]


_LISTED_BEFORE: dict[int | str, dict[str, Any]] = {
    200: {"model": WithdrawalAddressAnswer, "description": "The address was on the list before."}
}


@router.get("/v1/withdrawal-addresses", openapi_extra=AGENTS_TOO)
async def get_withdrawal_addresses(
    request: Request, caller: ReaderOf, query: Annotated[ReadQuery, Query()]
) -> WithdrawalAddressesAnswer:
    """Where your withdrawals may go, and from when. Not for a key of only some sub-accounts."""
    edge = edge_of(request)
    caller.require_every_sub_account()
    await require_view(edge, query.min_seq)
    seq = edge.view.seq
    entries = await edge.allow_list.list(caller.owner)
    return WithdrawalAddressesAnswer(
        seq=seq, delay_s=edge.allow_list.delay_s, items=[_item(entry) for entry in entries]
    )


@router.post(
    "/v1/withdrawal-addresses",
    status_code=201,
    responses=_LISTED_BEFORE,
    openapi_extra=AUTHENTICATED,
    dependencies=[Depends(refuse_parameters)],
)
async def post_withdrawal_address(
    request: Request, response: Response, session: SessionOf, body: WithdrawalAddressRequest
) -> WithdrawalAddressAnswer:
    """Adds an address, with the owner's signature. One that is on the list stays as it is."""
    edge = edge_of(request)
    now_ns = edge.clock_ns()
    signed = signed_address(
        msgspec.convert(body, WithdrawalAddressForm, from_attributes=True),
        session.owner,
        edge.view.asset_by_symbol.values(),
        edge.typed_data_domain,
        now_ns,
    )
    addition = msgspec.convert(signed, Addition, from_attributes=True)
    match await edge.allow_list.add(addition, time_ms(now_ns)):
        case Added(entry):
            pass
        case Kept(entry):
            response.status_code = 200
        case ListFull():
            raise Problem(
                GatewayCode.WITHDRAWAL_ADDRESSES_FULL,
                f"at most {MAX_ENTRIES}, those removed within the last day counted too",
            )
        case SignatureUsed():
            raise Problem(
                GatewayCode.SIGNATURE_USED,
                "this signature has added the address before, and it was removed since; sign a new one",
                field="signature",
            )
    return WithdrawalAddressAnswer(seq=edge.view.seq, withdrawal_address=_item(entry))


@router.delete(
    "/v1/withdrawal-addresses/{address}",
    openapi_extra=AUTHENTICATED,
    dependencies=[Depends(refuse_parameters)],
)
async def delete_withdrawal_address(
    request: Request, session: SessionOf, address: str
) -> WithdrawalAddressAnswer:
    """Takes an address off the list, at once, also for withdrawals that are not approved for payment yet."""
    edge = edge_of(request)
    entry = await edge.allow_list.remove(
        session.owner, parse_address(address, "address"), time_ms(edge.clock_ns())
    )
    if entry is None:
        raise Problem(GatewayCode.UNKNOWN_WITHDRAWAL_ADDRESS, field="address", value=address)
    return WithdrawalAddressAnswer(seq=edge.view.seq, withdrawal_address=_item(entry))


def _item(entry: AddressEntry) -> WithdrawalAddressItem:
    return WithdrawalAddressItem(
        address=checksummed(entry.address),
        label=entry.label,
        added_ms=entry.added_ms,
        active_at_ms=entry.active_ms,
    )
