"""What a withdrawal would cost and whether it would be taken now: to be shown before anything is signed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from exchange.chain.allow_list import Allowed, Decision, NotListed, Waiting
from exchange.chain.gas_price import GAS_PER_PAYMENT, GasPrice
from exchange.core.markets import Asset
from exchange.core.rejects import RejectReason
from exchange.core.units import div_ceil, format_atoms
from exchange.core.words import AccountState
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.identity import AGENTS_TOO, ReaderOf
from exchange.edge.reads import AccountQuery, SeqAnswer, require_view
from exchange.edge.values import AddressText, AmountText, AssetSymbol, IdText, TimeMs, time_ms
from exchange.gateway.accounts import NOBODY, account_id_to_read
from exchange.gateway.addresses import checksummed
from exchange.gateway.callers import Caller
from exchange.gateway.fields import parse_amount_atoms
from exchange.gateway.refusals import GatewayCode
from exchange.gateway.typed_data import WithdrawalMessage
from exchange.gateway.withdrawals import find_asset, parse_destination

router = APIRouter(tags=["withdrawals"])

DEADLINE_S = 3_600
DEADLINE_REVIEWED_S = 23 * 3_600
"""People take longer; a deadline may be 24 hours away."""


class QuoteQuery(AccountQuery):
    """What would be withdrawn, and perhaps where to."""

    asset: Annotated[str, Field(max_length=40, examples=["USDC"])]
    amount: Annotated[str, Field(max_length=200, description="Before the fee.", examples=["250.5"])]
    destination: Annotated[str, Field(max_length=100)] | None = Field(
        default=None,
        description="Who would be paid. With it the answer says whether that is allowed, and what to sign.",
        examples=["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"],
    )


class NetworkCost(BaseModel):
    """What the payment costs the exchange on the chain, about, if it were sent now."""

    gas: int = Field(examples=[GAS_PER_PAYMENT])
    base_fee_wei: IdText
    priority_fee_wei: IdText
    cost_wei: IdText = Field(description="gas x (base fee + priority fee)", examples=["260000000000000"])
    block_number: int = Field(examples=[120])


class DestinationState(BaseModel):
    """What the list of withdrawal addresses says of the destination."""

    address: AddressText
    status: Literal["allowed", "waiting", "not_listed"] = Field(examples=["allowed"])
    active_at_ms: TimeMs | None = Field(description="When a waiting one is allowed; else null.")


class ToSign(BaseModel):
    """`typed_data` is what `eth_signTypedData_v4` takes; `request` lacks the signature only."""

    typed_data: dict[str, Any]
    request: dict[str, Any] = Field(description="The body of `POST /v1/withdrawals`.")


class WithdrawalQuoteAnswer(SeqAnswer):
    """A withdrawal as it would be now. Nothing is promised: `max_fee` is what protects you."""

    asset: AssetSymbol
    amount: AmountText
    fee: AmountText = Field(description="What is charged now. It counts when the request is taken up.")
    receives: AmountText = Field(description="`amount` less `fee`; 0 when the fee is more.")
    minimum: AmountText = Field(description="The least `amount` that is taken, the fee included.")
    max_fee: AmountText = Field(description="What to sign: with room, where the fee follows the network's.")
    available: AmountText = Field(description="What the account has.")
    refusals: list[str] = Field(
        description="Codes for which the request would be refused now; none: it would be taken.",
        examples=[["insufficient_funds"]],
    )
    network: NetworkCost | None = Field(description="Null while the chain's fees are not known.")
    confirmations: int | None = Field(
        description="Blocks, its own included, until it is settled; null: when the chain calls it finalized.",
        examples=[3],
    )
    reviewed: bool = Field(description="Whether a person looks at it before it is paid.", examples=[False])
    review_reason: str | None = Field(description="Why, if so.", examples=[None])
    halted: bool = Field(
        description="Whether payments stand still now; requests are taken and wait.", examples=[False]
    )
    destination: DestinationState | None = Field(description="Null when none was asked about.")
    to_sign: ToSign | None = Field(description="With a nonce and a deadline for now; null likewise.")


@router.get("/v1/withdrawals/quote", openapi_extra=AGENTS_TOO)
async def get_withdrawal_quote(
    request: Request, caller: ReaderOf, query: Annotated[QuoteQuery, Query()]
) -> WithdrawalQuoteAnswer:
    """What a withdrawal would cost, whether it would be taken, and what to sign for it."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    asset = find_asset(query.asset, edge.view.asset_by_symbol)
    amount_atoms = parse_amount_atoms(query.amount, asset.decimals, "amount")
    destination, decision = None, None
    if query.destination is not None:
        caller.require_every_sub_account()  # the list of addresses is the owner's as a whole
        destination = parse_destination(query.destination, asset, edge.typed_data_domain)
        decision = await edge.allow_list.check(caller.owner, destination, time_ms(edge.clock_ns()))
    # From here on nothing is awaited: all of it is true as of one seq.
    asset = edge.view.assets[asset.asset_id]
    account_id = account_id_to_read(edge.view, caller, query.sub_account)
    available_atoms = edge.view.balance(account_id, asset.asset_id).available_atoms
    fee_atoms = asset.withdrawal_fee_atoms
    max_fee_atoms = _max_fee_atoms(asset, edge.config.network_fee_max_atoms)
    review_reason = edge.risk_policy.reviews(asset.symbol, amount_atoms)

    def text(atoms: int) -> str:
        return format_atoms(atoms, asset.decimals)

    return WithdrawalQuoteAnswer(
        seq=edge.view.seq,
        asset=asset.symbol,
        amount=text(amount_atoms),
        fee=text(fee_atoms),
        receives=text(max(0, amount_atoms - fee_atoms)),
        minimum=text(asset.min_withdrawal_atoms + fee_atoms),
        max_fee=text(max_fee_atoms),
        available=text(available_atoms),
        refusals=_refusals(edge, account_id, asset, amount_atoms, available_atoms, decision),
        network=_network_cost(edge.gas_price()),
        confirmations=edge.config.confirmations,
        reviewed=review_reason is not None,
        review_reason=review_reason,
        halted=edge.withdrawals_halted(),
        destination=None if destination is None else _destination(destination, decision),
        to_sign=None
        if destination is None
        else _to_sign(
            edge, caller, query, asset, (amount_atoms, max_fee_atoms), destination, review_reason is not None
        ),
    )


def _max_fee_atoms(asset: Asset, network_fee_max_atoms: Mapping[str, int]) -> int:
    """Half as much again where the fee follows the network's, but not above its own maximum."""
    fee_atoms, most_atoms = asset.withdrawal_fee_atoms, network_fee_max_atoms.get(asset.symbol)
    return fee_atoms if most_atoms is None else max(fee_atoms, min(div_ceil(3 * fee_atoms, 2), most_atoms))


def _refusals(
    edge: Edge,
    account_id: int,
    asset: Asset,
    amount_atoms: int,
    available_atoms: int,
    decision: Decision | None,
) -> list[str]:
    """As the gateway and the core would find them; the core's deadline and replays can not be known here."""
    found: list[StrEnum] = []
    if isinstance(decision, NotListed):
        found.append(GatewayCode.DESTINATION_NOT_ALLOWED)
    if isinstance(decision, Waiting):
        found.append(GatewayCode.DESTINATION_WAITING)
    if account_id != NOBODY and edge.view.account_state(account_id) is AccountState.FROZEN:
        found.append(RejectReason.ACCOUNT_FROZEN)
    if amount_atoms - asset.withdrawal_fee_atoms < asset.min_withdrawal_atoms:
        found.append(RejectReason.WITHDRAWAL_TOO_SMALL)
    if amount_atoms > available_atoms:
        found.append(RejectReason.INSUFFICIENT_FUNDS)
    return [code.value for code in found]


def _network_cost(price: GasPrice | None) -> NetworkCost | None:
    if price is None:
        return None
    return NetworkCost(
        gas=GAS_PER_PAYMENT,
        base_fee_wei=str(price.base_fee_wei),
        priority_fee_wei=str(price.priority_fee_wei),
        cost_wei=str(price.payment_wei),
        block_number=price.block_number,
    )


def _destination(address: str, decision: Decision | None) -> DestinationState:
    status: Literal["allowed", "waiting", "not_listed"] = "not_listed"
    if isinstance(decision, Allowed):
        status = "allowed"
    elif isinstance(decision, Waiting):
        status = "waiting"
    active_at_ms = decision.active_ms if isinstance(decision, Waiting) else None
    return DestinationState(address=checksummed(address), status=status, active_at_ms=active_at_ms)


def _to_sign(
    edge: Edge,
    caller: Caller,
    query: QuoteQuery,
    asset: Asset,
    amounts_atoms: tuple[int, int],
    destination: str,
    is_reviewed: bool,
) -> ToSign:
    """The message of this quote, and the request that goes with it. The nonce is the time."""
    now_ns = edge.clock_ns()
    amount_atoms, max_fee_atoms = amounts_atoms
    message = WithdrawalMessage(
        account=caller.owner,
        sub_account=query.sub_account,
        token=asset.token,
        amount_atoms=amount_atoms,
        max_fee_atoms=max_fee_atoms,
        destination=destination,
        nonce=time_ms(now_ns),
        deadline_s=now_ns // 10**9 + (DEADLINE_REVIEWED_S if is_reviewed else DEADLINE_S),
    )
    return ToSign(
        typed_data=edge.typed_data_domain.typed_withdrawal(message),
        request={
            "asset": asset.symbol,
            "amount": format_atoms(amount_atoms, asset.decimals),
            "max_fee": format_atoms(max_fee_atoms, asset.decimals),
            "destination": checksummed(destination),
            "nonce": str(message.nonce),
            "deadline_s": message.deadline_s,
            "sub_account": query.sub_account,
        },
    )
