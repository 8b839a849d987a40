"""Who a request is from: an owner's session or an agent, what it may do, and how much of it is left."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from exchange.core.words import AgentScope, RateClass
from exchange.edge.dependencies import edge_of
from exchange.edge.identity import AGENTS_TOO, CallerOf
from exchange.edge.rate_limiting import charge_of
from exchange.edge.reads import ReadQuery, SeqAnswer, require_view
from exchange.edge.rest.agents import AgentItem, agent_item
from exchange.edge.values import AddressText, IdText, TimeMs, time_ms
from exchange.gateway.addresses import checksummed

router = APIRouter(tags=["me"])


class LimitItem(BaseModel):
    """A budget: it holds `burst`, is refilled by `per_s` each second, and has `remaining` now."""

    name: str = Field(description="What is counted: requests, orders or cancels.", examples=["orders"])
    scope: Literal["ip", "key", "account"] = Field(
        description="Whose it is: of the client's address, of the session or key, of the owner.",
        examples=["account"],
    )
    burst: int = Field(examples=[1000])
    per_s: int = Field(examples=[200])
    remaining: int = Field(examples=[998])
    full_in_ms: int = Field(description="Until it is full again.", examples=[10])


class WhoamiAnswer(SeqAnswer):
    """Who is asking, for whom, and within which bounds."""

    kind: Literal["session", "agent"] = Field(examples=["agent"])
    address: AddressText = Field(description="The owner's.")
    account_id: IdText = Field(description="Of the owner's main account.")
    expires_at_ms: TimeMs = Field(description="When the session or the key ends.")
    scopes: list[AgentScope] = Field(examples=[["read", "trade"]])
    agent: AgentItem | None = Field(description="Null for a session.")
    rate_class: RateClass = Field(description="The owner's.", examples=["standard"])
    limits: list[LimitItem]


@router.get("/v1/whoami", openapi_extra=AGENTS_TOO)
async def get_whoami(
    request: Request, caller: CallerOf, query: Annotated[ReadQuery, Query()]
) -> WhoamiAnswer:
    """Whom your credentials stand for, what they allow, and what is left of each limit."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    return WhoamiAnswer(
        seq=edge.view.seq,
        kind="session" if caller.agent is None else "agent",
        address=checksummed(caller.owner),
        account_id=str(caller.account_id),
        expires_at_ms=time_ms(caller.expires_ns),
        scopes=list(caller.scopes),
        agent=None if caller.agent is None else agent_item(edge, caller.agent),
        rate_class=edge.view.rate_class(caller.owner),
        limits=[
            LimitItem.model_validate(left, from_attributes=True)
            for left in charge_of(request).left(caller.credential, caller.owner)
        ],
    )
