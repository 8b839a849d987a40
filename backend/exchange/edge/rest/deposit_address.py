"""The account's personal deposit address, and what has arrived there and is not swept yet."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from exchange.chain.arrival_rows import Arrival, arrivals_of, issue_address
from exchange.core.markets import Asset
from exchange.core.units import format_atoms
from exchange.edge.dependencies import DepositAddressing, Edge, edge_of
from exchange.edge.errors import unavailable
from exchange.edge.identity import AGENTS_TOO, ReaderOf
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.reads import ReadQuery, SeqAnswer, require_view
from exchange.edge.values import AddressText, AmountText, AssetSymbol, TimeMs
from exchange.gateway.addresses import checksummed

router = APIRouter(tags=["deposits"])


class SweptAsset(BaseModel):
    """An asset that can be sent to the address. Anything else that is sent there is not credited."""

    asset: AssetSymbol
    minimum: AmountText = Field(
        description="Less than this waits at the address until more has arrived.", examples=["0.01"]
    )


class ArrivalItem(BaseModel):
    """Funds at the address. Not credited: that comes with the deposit that the sweep makes of them."""

    asset: AssetSymbol
    amount: AmountText
    status: Literal["pending", "below_minimum"] = Field(
        description="`pending`: will be swept into the vault. `below_minimum`: waits for more.",
        examples=["pending"],
    )
    block_number: int = Field(description="Newest block in which it was seen.", examples=[120])
    first_seen_ms: TimeMs


class DepositAddressAnswer(SeqAnswer):
    """Funds sent to `address` on chain `chain_id` are credited to this account, its sub-account 0."""

    address: AddressText
    chain_id: int = Field(examples=[31337])
    assets: list[SweptAsset]
    arrivals: list[ArrivalItem]


@router.get("/v1/deposit-address", openapi_extra=AGENTS_TOO)
async def get_deposit_address(
    request: Request, caller: ReaderOf, query: Annotated[ReadQuery, Query()]
) -> DepositAddressAnswer:
    """An address of your own: send to it from any wallet or exchange. It stays the same for ever.

    It is watched from the first time that you ask for it, and closely for a week from each time: what is sent
    to it later is seen too, but may take minutes longer.
    """
    edge = edge_of(request)
    caller.require_sub_account(0)
    addressing = edge.deposit_addressing
    if addressing is None:
        raise Problem(EdgeCode.NO_DEPOSIT_ADDRESSES)
    if not addressing.is_checked():
        raise unavailable(detail="the addresses were not compared with the chain yet; try again soon")
    await require_view(edge, query.min_seq)
    seq = edge.view.seq
    chain_id, registry = edge.config.chain_id, addressing.forwarders.registry
    address = addressing.forwarders.address_of(caller.owner)
    await issue_address(edge.pool, chain_id, registry, caller.owner, address)
    arrivals = await arrivals_of(edge.pool, chain_id, registry, caller.owner)
    listed = {asset.token: asset for asset in edge.view.assets.values() if _is_ours(edge, asset)}
    minima = addressing.minima()
    return DepositAddressAnswer(
        seq=seq,
        address=checksummed(address),
        chain_id=chain_id,
        assets=[
            SweptAsset(asset=asset.symbol, minimum=format_atoms(minima[token], asset.decimals))
            for token, asset in listed.items()
            if token in minima
        ],
        arrivals=[
            _item(addressing, arrival, listed[arrival.token])
            for arrival in arrivals
            if arrival.token in listed
        ],
    )


def _is_ours(edge: Edge, asset: Asset) -> bool:
    return asset.listed and (asset.chain_id, asset.vault) == (edge.config.chain_id, edge.config.vault)


def _item(addressing: DepositAddressing, arrival: Arrival, asset: Asset) -> ArrivalItem:
    minimum = addressing.minima().get(arrival.token)
    enough = minimum is not None and arrival.amount_atoms >= minimum
    return ArrivalItem(
        asset=asset.symbol,
        amount=format_atoms(arrival.amount_atoms, asset.decimals),
        status="pending" if enough else "below_minimum",
        block_number=arrival.block_number,
        first_seen_ms=arrival.first_seen_ms,
    )
