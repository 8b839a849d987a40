"""Test funds for the owner's own wallet, where the chain is a development one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from exchange.chain.errors import ChainError, WrongChain
from exchange.chain.faucet import Gift, TooSoon
from exchange.core.units import format_atoms, parse_atoms
from exchange.edge.body import refuse_parameters
from exchange.edge.dependencies import edge_of
from exchange.edge.errors import unavailable
from exchange.edge.identity import AUTHENTICATED, SessionOf
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.values import AddressText, AmountText, AssetSymbol, Hash
from exchange.gateway.addresses import checksummed
from exchange.gateway.refusals import GatewayCode

router = APIRouter(tags=["deposits"])

AMOUNTS = {"ETH": "10", "USDC": "25000", "WBTC": "0.5"}
"""What a wallet is given at a time, of each asset that it has less of."""


class FaucetTransaction(BaseModel):
    """One asset that was given."""

    asset: AssetSymbol
    amount: AmountText
    tx_hash: Hash


class FaucetAnswer(BaseModel):
    """What was sent to your wallet, mined already. To trade with it, deposit it."""

    address: AddressText
    transactions: Annotated[list[FaucetTransaction], Field(min_length=1)]


@router.post("/v1/faucet", openapi_extra=AUTHENTICATED, dependencies=[Depends(refuse_parameters)])
async def post_faucet(request: Request, session: SessionOf) -> FaucetAnswer:
    """Gives your wallet test funds, on a development chain: of each asset that it has little of.

    Once in 10 s for each owner. What you have at the exchange does not count. `faucet` of `/v1/deployment`
    says whether there is one.
    """
    edge = edge_of(request)
    if edge.faucet is None:
        raise Problem(EdgeCode.NO_FAUCET)
    place = (edge.config.chain_id, edge.config.vault)
    assets = [
        asset
        for asset in edge.view.assets.values()
        if asset.listed and (asset.chain_id, asset.vault) == place and asset.symbol in AMOUNTS
    ]
    decimals = {asset.symbol: asset.decimals for asset in assets}
    gifts = [
        Gift(asset.symbol, asset.token, parse_atoms(AMOUNTS[asset.symbol], asset.decimals))
        for asset in assets
    ]
    try:
        given = await edge.faucet.give(session.owner, gifts)
    except TooSoon as error:
        raise Problem(
            GatewayCode.RATE_LIMITED,
            f"try again in {error.wait_s} s",
            headers={"Retry-After": str(error.wait_s)},
        ) from error
    except WrongChain as error:
        raise Problem(EdgeCode.NO_FAUCET, "the chain is no development chain") from error
    except ChainError as error:
        raise unavailable(detail="the chain does not take the transactions now") from error
    if not given:
        raise Problem(EdgeCode.FAUCET_NOT_NEEDED)
    return FaucetAnswer(
        address=checksummed(session.owner),
        transactions=[
            FaucetTransaction(
                asset=one.gift.symbol,
                amount=format_atoms(one.gift.amount_atoms, decimals[one.gift.symbol]),
                tx_hash=one.tx_hash,
            )
            for one in given
        ],
    )
