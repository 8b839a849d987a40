"""What this deployment is: its time, its chain, its vault, and what its wallets sign."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from exchange.edge.caching import NOT_MODIFIED, answered
from exchange.edge.dependencies import edge_of
from exchange.edge.reads import ReadQuery, SeqAnswer, require_view
from exchange.edge.values import AddressText, Hash, TimeMs, time_ms
from exchange.gateway.addresses import checksummed

router = APIRouter(tags=["deployment"])


class TimeAnswer(SeqAnswer):
    """The server's clock, and how far the engine is."""

    time_ms: TimeMs
    decided_until_ms: TimeMs = Field(
        description="Requests whose `expires_at_ms` is before this are decided: what is not there as of "
        "`seq` never will be. A little behind `time_ms` while something is committed."
    )


class DeploymentAnswer(SeqAnswer):
    """`withdrawal_typed_data` is the EIP-712 domain and types of a withdrawal, as wallets take them;
    `withdrawal_address_typed_data` those of an address that withdrawals may go to, and
    `agent_approval_typed_data` those of an agent's approval.
    """

    genesis_id: Hash
    host: str = Field(
        description="What signed requests name as the host, whatever they are sent to.",
        examples=["localhost:8000"],
    )
    chain_id: int = Field(examples=[31337])
    vault: AddressText
    confirmations: int | None = Field(
        description="Blocks, its own included, until a deposit is credited; "
        "null: when the chain calls its block finalized.",
        examples=[3],
    )
    withdrawals_halted: bool = Field(
        description="Withdrawals are taken, but nothing is paid until an operator or the next comparison of "
        "the books says so. One that is not paid before its deadline is refunded.",
        examples=[False],
    )
    rpc_url: str | None = Field(
        description="A node of the chain that wallets may use; null: they need one of their own.",
        examples=["http://localhost:8545"],
    )
    faucet: bool = Field(
        description="Whether there are test funds to be had (`/v1/faucet`).", examples=[True]
    )
    withdrawal_typed_data: dict[str, Any]
    withdrawal_address_typed_data: dict[str, Any]
    agent_approval_typed_data: dict[str, Any]


@router.get("/v1/time")
async def get_time(request: Request) -> TimeAnswer:
    """The server's time; compare your clock with it, requests expire within 30 s."""
    edge = edge_of(request)
    return TimeAnswer(
        seq=edge.view.seq,
        time_ms=time_ms(edge.clock_ns()),
        decided_until_ms=time_ms(edge.horizon_ns()),
    )


@router.get("/v1/deployment", response_model=DeploymentAnswer, responses=NOT_MODIFIED)
async def get_deployment(request: Request, query: Annotated[ReadQuery, Query()]) -> Response:
    """Identity of this deployment: genesis id, host, chain, vault, and what owners' signatures cover."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    domain = edge.typed_data_domain
    answer = DeploymentAnswer(
        seq=edge.view.seq,
        genesis_id=edge.view.genesis_id,
        host=edge.config.host,
        chain_id=edge.config.chain_id,
        vault=checksummed(edge.config.vault),
        confirmations=edge.config.confirmations,
        withdrawals_halted=edge.withdrawals_halted(),
        rpc_url=edge.config.wallet_rpc_url,
        faucet=edge.faucet is not None,
        withdrawal_typed_data=domain.as_typed_data(),
        withdrawal_address_typed_data=domain.address_typed_data(),
        agent_approval_typed_data=domain.agent_typed_data(),
    )
    return answered(request, answer)
